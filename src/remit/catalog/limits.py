"""How often, how many at a time and how much: a tool's limits (noun), and the blocks they are made of (rule).

A tool keeps its own limits and its upstream's: both hold, so that a tool cannot lift what protects the API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from remit.catalog.definition import LimitsBlock, ToolLimitsBlock, amount
from remit.catalog.problem import Flaws, Path

Whose = Literal["user", "agent", "user+agent", "tool", "all"]

_WINDOWS: Final = {"s": 1, "min": 60, "h": 3600, "day": 86_400}
_RATE: Final = re.compile(r"([0-9]{1,6})/(s|min|h|day)(?: per (user|agent|user\+agent|tool|all))?")
_WHOSE: Final[tuple[Whose, ...]] = ("user", "agent", "user+agent", "tool", "all")
_MAX_COUNT: Final = 100_000
_MAX_RESPONSE: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` calls in any ``seconds``, for each of ``per`` (``all``: together).

    ``owner`` says whose limit it is: ``crm`` an upstream's, which all its tools share, ``crm/find_customers`` a tool's.
    """

    owner: str
    count: int
    seconds: int
    per: Whose


@dataclass(frozen=True, slots=True)
class Places:
    """At most ``count`` calls at a time. ``owner`` as of a ``Rate``."""

    owner: str
    count: int


@dataclass(frozen=True, slots=True)
class CallLimits:
    """All that one tool's calls keep to. ``max_response_bytes`` bounds each answer, decoded."""

    rates: tuple[Rate, ...] = ()
    places: tuple[Places, ...] = ()
    max_response_bytes: int = 1024 * 1024


NO_LIMITS: Final = CallLimits()


def compile_limits(
    upstream: LimitsBlock, tool: ToolLimitsBlock, *, server: str, name: str, path: Path, flaws: Flaws
) -> CallLimits:
    """The limits of tool ``name`` of ``server``; ``path`` leads to the tool. Of use only when nothing was added to
    ``flaws``.
    """
    rates: list[Rate] = []
    places: list[Places] = []
    of_upstream: Path = ("upstream", "limits")
    blocks: tuple[tuple[LimitsBlock | ToolLimitsBlock, str, Path], ...] = (
        (upstream, server, of_upstream),
        (tool, f"{server}/{name}", (*path, "limits")),
    )
    for block, owner, where in blocks:
        if block.rate is not None:
            rates += _rate(block.rate, owner, (*where, "rate"), flaws)
        if block.concurrency is not None:
            places.append(Places(owner, block.concurrency))
    text = tool.max_response_bytes or upstream.max_response_bytes
    size = int(amount(text))
    if not 1024 <= size <= _MAX_RESPONSE:
        where = (*path, "limits") if tool.max_response_bytes else of_upstream
        flaws.add((*where, "maxResponseBytes"), f"maxResponseBytes {text} is not between 1KiB and 16MiB")
    return CallLimits(tuple(rates), tuple(places), size)


def _rate(text: str, owner: str, path: Path, flaws: Flaws) -> list[Rate]:
    match = _RATE.fullmatch(text)
    count = int(match[1]) if match else 0
    if match is None or not 1 <= count <= _MAX_COUNT:
        flaws.add(path, f'"{text[:60]}" does not let 1 to {_MAX_COUNT} calls through', "write 60/min per user")
        return []
    per: Whose = next((whose for whose in _WHOSE if whose == match[3]), "all")
    return [Rate(owner, count, _WINDOWS[match[2]], per)]
