"""Door: lets as many calls through as the tool files say, counted in this process's memory.

Several processes count each for themselves, and a restart begins anew.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from remit.catalog.limits import Places, Rate
from remit.catalog.tool import Tool
from remit.clock import Clock
from remit.errors import RateLimited
from remit.principal import ActingParty, Principal

#: A window is counted in so many parts: no window ever holds more than the limit, and a call counts for at most a
#: sixteenth of the window too long.
_PARTS: Final = 16
_MAX_COUNTERS: Final = 100_000
_FREE: Final = nullcontext()


class CallGate:
    """One per process. ``max_counters`` bounds how many users or agents one limit can tell apart at a time."""

    def __init__(self, clock: Clock, *, max_counters: int = _MAX_COUNTERS) -> None:
        self._clock = clock
        self._max_counters = max_counters
        self._rates: dict[str, _Counters] = {}
        self._taken: dict[str, int] = {}

    def admitted(self, tool: Tool, principal: Principal, acting: ActingParty) -> AbstractContextManager[None]:
        """Let one call through and count it; its place is free again when the block ends.

        Raises ``RateLimited`` on entering; such a call counts nowhere.
        """
        limits = tool.limits
        return self._admit(tool, principal, acting) if limits.rates or limits.places else _FREE

    @contextmanager
    def _admit(self, tool: Tool, principal: Principal, acting: ActingParty) -> Iterator[None]:
        now, limits = self._clock.monotonic(), tool.limits
        for places in limits.places:
            self._check_place(places, tool)
        counters = [(self._counters(rate), _key(rate, tool, principal, acting)) for rate in limits.rates]
        for each, key in counters:
            _check(each, each.wait(key, now), tool)
        for each, key in counters:
            each.count(key, now)
        for places in limits.places:
            self._taken[places.owner] = self._taken.get(places.owner, 0) + 1
        try:
            yield
        finally:
            for places in limits.places:
                self._taken[places.owner] -= 1

    def _check_place(self, places: Places, tool: Tool) -> None:
        if self._taken.get(places.owner, 0) >= places.count:
            raise RateLimited(
                f"{places.count} calls are under way already; {tool.name} takes no more at a time",
                retry_after=1,
                detail=f"concurrency of {places.owner} is {places.count}",
                hint=f"raise concurrency in {tool.where} or its upstream, if the API can take more",
            )

    def _counters(self, rate: Rate) -> _Counters:
        """The counters of a limit; anew where a reload has changed it."""
        found = self._rates.get(rate.owner)
        if found is None or found.rate != rate:
            found = self._rates[rate.owner] = _Counters(rate, self._max_counters)
        return found


def _check(counters: _Counters, wait: float, tool: Tool) -> None:
    if wait > 0:
        rate = counters.rate
        raise RateLimited(
            f"{tool.name} was called as often as it may be for now",
            retry_after=max(1, math.ceil(wait)),
            detail=f"rate of {rate.owner} is {rate.count} in {rate.seconds} s per {rate.per}",
            hint=f"raise rate in {tool.where} or its upstream, if so many calls are meant",
        )


def _key(rate: Rate, tool: Tool, principal: Principal, acting: ActingParty) -> tuple[str, ...]:
    user, agent = (principal.issuer, principal.subject), (acting.actor.iss, acting.actor.sub)
    match rate.per:
        case "user":
            return user
        case "agent":
            return agent
        case "user+agent":
            return (*user, *agent)
        case "tool":
            return (tool.name,)
        case "all":
            return ()


@dataclass(slots=True)
class _Counters:
    """How many calls each has made of late: in which part of time how many, oldest first.

    ``by_key`` is in the order of the last calls, so that what stands first is the first to be of no use.
    """

    rate: Rate
    most: int
    by_key: OrderedDict[tuple[str, ...], deque[tuple[int, int]]] = field(default_factory=OrderedDict)

    def wait(self, key: tuple[str, ...], now: float) -> float:
        """Seconds until one more call may be made; 0 where it may be made now."""
        self._forget(now)
        parts = self.by_key.get(key)
        if parts is None:  # one who is not known cannot be counted where nobody can be forgotten
            return self.rate.seconds if len(self.by_key) >= self.most else 0
        while parts and not self._counts(parts[0][0], now):
            parts.popleft()
        if sum(calls for _, calls in parts) < self.rate.count:
            return 0
        return (parts[0][0] + _PARTS + 1) * self._width - now

    def count(self, key: tuple[str, ...], now: float) -> None:
        """One more call."""
        parts, part = self.by_key.setdefault(key, deque()), self._part(now)
        calls = parts.pop()[1] if parts and parts[-1][0] == part else 0
        parts.append((part, calls + 1))
        self.by_key.move_to_end(key)

    def _forget(self, now: float) -> None:
        while self.by_key:
            key, parts = next(iter(self.by_key.items()))
            if parts and self._counts(parts[-1][0], now):
                return
            del self.by_key[key]

    @property
    def _width(self) -> float:
        return self.rate.seconds / _PARTS

    def _part(self, now: float) -> int:
        return math.floor(now / self._width)

    def _counts(self, part: int, now: float) -> bool:
        """Whether a call of this part of time may lie within the window that ends now."""
        return part >= self._part(now) - _PARTS
