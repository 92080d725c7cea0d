"""A tool that is code: what runs, and the requests that it may make (noun)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from remit.catalog.limits import NO_LIMITS, CallLimits
from remit.catalog.plan import RequestPlan
from remit.tools.context import Ctx

#: Runs the code with a call's arguments and gives its result as JSON has it. Raises whatever the code raises.
Run = Callable[[Ctx, Mapping[str, Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Written:
    """A code tool as its file has it. ``paths``: every text of the file that begins with a slash."""

    run: Run = field(repr=False)
    digest: str
    max_calls: int
    paths: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Code:
    """The code of one tool, ready to run.

    ``plan`` gives the plan of a request by method and path, without query and body; raises ``RequestUnusable``.
    ``limits`` are those of the upstream, which each of its requests keeps to; the tool's own are for its calls.
    """

    run: Run = field(repr=False)
    max_calls: int
    plan: Callable[[str, str], RequestPlan] = field(repr=False)
    limits: CallLimits = NO_LIMITS
