"""A code tool's requests (rule): the paths that are written out in its file, compiled as those of a tool file are.

No value can become a part of a path, neither on the wire nor in the trail.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from remit.catalog.binding import Arguments
from remit.catalog.code import Code, Written
from remit.catalog.definition import RequestBlock, RetryBlock
from remit.catalog.limits import CallLimits
from remit.catalog.plan import RequestPlan
from remit.catalog.problem import Flaws
from remit.catalog.request_plan import PLACEHOLDER, RequestCompiler, plan_retry
from remit.catalog.upstream import Upstream
from remit.errors import RequestUnusable

_MAX_PLANS: Final = 1000
_MAX_PATH: Final = 1024


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of a tool's file its code's requests are made with. ``max_bytes`` bounds their bodies."""

    upstream: Upstream
    retry: RetryBlock | None
    max_bytes: int


def compile_code(written: Written, around: Surroundings, limits: CallLimits) -> Code:
    """The code. ``limits`` are those of its requests."""
    return Code(written.run, written.max_calls, lru_cache(_MAX_PLANS)(_Planner(written.paths, around).plan), limits)


def split_limits(limits: CallLimits, own: str) -> tuple[CallLimits, CallLimits]:
    """Those of the tool ``own`` itself, which its calls keep to, and the upstream's, which its code's requests do."""
    rates, places = limits.rates, limits.places
    of_calls = replace(
        limits,
        rates=tuple(rate for rate in rates if rate.owner == own),
        places=tuple(place for place in places if place.owner == own),
    )
    of_requests = replace(
        limits,
        rates=tuple(rate for rate in rates if rate.owner != own),
        places=tuple(place for place in places if place.owner != own),
    )
    return of_calls, of_requests


@dataclass(frozen=True)
class _Planner:
    """Makes the plans of the requests of one tool's code."""

    paths: frozenset[str]
    around: Surroundings

    def plan(self, method: str, path: str) -> RequestPlan:
        """The plan, as of a tool file that has this request and requires every argument of its path."""
        if path not in self.paths or len(path) > _MAX_PATH:
            raise RequestUnusable(
                "the code asks for a path that is not written out in its file",
                hint='write the path as it is, with {name} for each value: get("/customers/{id}", id=…)',
            )
        names: dict[str, Any] = {name: {} for name in PLACEHOLDER.findall(path)}
        block, flaws = RequestBlock.model_validate({"method": method, "path": path}), Flaws()
        retry = plan_retry(self.around.retry, None, block, (), flaws)
        compiler = RequestCompiler(block, Arguments(names, frozenset(names)), (), flaws)
        plan = compiler.compile(self.around.upstream, retry, self.around.max_bytes)
        if flaws:
            raise RequestUnusable(f"the code asks for a path that cannot be: {flaws[0].message}", hint=flaws[0].hint)
        return plan
