"""Rule: how far a number, or the time, would have to be another. Where the verdict turns is found by halving."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from remit.policy.counterfactual.changes import Argument, Change, Made, later
from remit.policy.counterfactual.trial import Case, Does, Option, Search, Verdict
from remit.policy.input import Question

_MAX_SPOKEN: Final = 32
_HOURS: Final = 7 * 24
#: The last second that calendars know.
_LAST: Final = 253_402_300_799
_LIMITS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def last_that_does(
    case: Case, to: Callable[[int], Made], ends: tuple[int, int], verdict: Verdict, does: Does
) -> Search[tuple[int, Verdict]]:
    """The last number that does, and its verdict. ``ends``: one that does, with ``verdict``, and one that does not."""
    good, bad = ends
    while abs(bad - good) > 1:
        middle = (good + bad) // 2
        question = to(middle)(case.question)
        tried = (yield [question])[0] if case.fits(question.arguments) else None
        if tried is not None and does(tried):
            good, verdict = middle, tried
        else:
            bad = middle
    return good, verdict


# ── numbers ──────────────────────────────────────────────────────────────────────────────


def numbers(case: Case, argument: Argument, does: Does) -> Search[list[Option]]:
    """How much less or more would do."""
    value = argument.value
    tried = [
        number
        for number in dict.fromkeys(likely_numbers(case, argument))
        if number != value and case.fits(argument.to(number)(case.question).arguments)
    ]
    verdicts = yield case.with_each(map(argument.to, tried))
    known = dict(zip(tried, verdicts, strict=True))
    less = yield from _reach(case, argument, sorted((n for n in tried if n < value), reverse=True), known, does)
    more = yield from _reach(case, argument, sorted(n for n in tried if n > value), known, does)
    return less + more


def likely_numbers(case: Case, argument: Argument) -> Iterator[float]:
    """Those that policy and schema speak of, with their neighbours; and a few that nobody speaks of."""
    limits: list[float] = [limit for name in _LIMITS if is_number(limit := argument.schema.get(name))]
    for number in (*limits, *case.vocabulary.numbers[:_MAX_SPOKEN]):
        yield from (number, number - 1, number + 1)
    yield from (0, 1, -1, 10**9)
    if is_number(argument.value):
        yield from (math.floor(argument.value / 2), math.ceil(argument.value * 2))


def is_number(value: Any) -> TypeGuard[float]:
    """A finite number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _reach(
    case: Case, argument: Argument, side: Sequence[float], known: dict[float, Verdict], does: Does
) -> Search[list[Option]]:
    """The first of ``side`` that would do, as far towards the value as it goes; then the first that does freely.

    ``side`` begins at the value and leads away from it; ``known`` has the verdicts.
    """
    index = next((index for index, number in enumerate(side) if does(known[number])), None)
    if index is None:
        return []
    found, before = side[index], side[index - 1] if index else argument.value
    edge, verdict = found, known[found]
    if isinstance(found, int):
        beyond = math.ceil(before) if found < before else math.floor(before)
        edge, verdict = yield from last_that_does(case, argument.to, (found, beyond), verdict, does)
    change = _number_change(argument, edge, side[-1], holds=all(does(known[number]) for number in side[index:]))
    options = [Option(change, verdict)]
    if verdict.conditions:
        options += yield from _reach(case, argument, side[index:], known, _is_free)
    return options


def _number_change(argument: Argument, edge: float, farthest: float, *, holds: bool) -> Change:
    """``holds``: all that was tried beyond the edge would do as well."""
    bound = "at most " if edge < argument.value else "at least "
    says = f"{argument.name} were {bound if holds else ''}{edge}"
    made = (argument.to(edge), argument.to(farthest)) if holds else (argument.to(edge),)
    return Change("argument", f"argument {argument.name}", says, made)


def _is_free(verdict: Verdict) -> bool:
    return verdict.is_free


# ── times ────────────────────────────────────────────────────────────────────────────────


def times(case: Case, does: Does) -> Search[list[Option]]:
    """When it would do next, to the minute, in the week that comes."""
    minutes = list(_whole_hours(case.question))
    verdicts = yield case.with_each(map(later, minutes))
    doing = [does(verdict) for verdict in verdicts]
    if True not in doing:
        return []
    first = doing.index(True)
    last = doing.index(False, first) - 1 if False in doing[first:] else len(doing) - 1
    ends = (minutes[first], minutes[first - 1] if first else 0)
    start, verdict = yield from last_that_does(case, later, ends, verdicts[first], does)
    end = minutes[last]
    if last + 1 < len(minutes):
        end, _ = yield from last_that_does(case, later, (end, minutes[last + 1]), verdicts[last], does)
    says = _span(case.question, start, end + 1 if last + 1 < len(minutes) else None)
    return [Option(Change("time", "time", f"it were {says}", (later(start), later(end))), verdict)]


def _whole_hours(question: Question) -> Iterator[int]:
    """From now on, in minutes."""
    minute = int(question.now // 60)
    first = 60 - minute % 60
    for hour in range(_HOURS):
        if (minute + first + 60 * hour) * 60 <= _LAST:
            yield first + 60 * hour


def _span(question: Question, start: int, end: int | None) -> str:
    begins = _moment(question, start)
    if end is None:
        return f"{begins:%A %Y-%m-%d %H:%M} UTC or later"
    ends = _moment(question, end)
    shape = "%H:%M" if ends.date() == begins.date() else "%A %Y-%m-%d %H:%M"
    return f"{begins:%A %Y-%m-%d %H:%M} to {ends:{shape}} UTC"


def _moment(question: Question, minutes: int) -> datetime:
    return datetime.fromtimestamp((int(question.now // 60) + minutes) * 60, UTC)
