"""Rule: what else could be otherwise, tried name by name and value by value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from remit.policy.counterfactual.changes import (
    MISSING,
    Argument,
    Change,
    few,
    has,
    is_possible,
    named,
    shown,
    with_names,
)
from remit.policy.counterfactual.ranges import likely_numbers
from remit.policy.counterfactual.trial import Case, Does, Option, Search, Verdict
from remit.policy.vocabulary import AGENT

#: A name of no policy: where it would do, it is not the name that matters.
_STRANGER: Final = "anything-else"
#: So many names are tried one by one; of more, first those of which a handful together makes a difference.
_ONE_BY_ONE: Final = 256
_HANDFUL: Final = 64
#: So many that would do are enough to know.
ENOUGH: Final = 4
_MAX_VALUES: Final = 64
_MAX_OPTIONS: Final = 20


# ── names ────────────────────────────────────────────────────────────────────────────────


def names(case: Case, kind: str, does: Does) -> Search[list[Option]]:
    """Which other roles, groups, scopes or agents would do: what looks like one first, and other names only then."""
    (verdict,) = yield [with_names(kind, (_STRANGER,))(case.question)]
    if does(verdict):
        return [Option(by_name(kind, ""), verdict)]
    for likely in (case.vocabulary.of_kind.get(kind, ()), case.vocabulary.others(kind)):
        candidates = [name for name in likely if is_possible(kind, name) and not has(kind, case.question, name)]
        found = yield from _that_do(case, kind, candidates, does)
        if found:
            return found
    return []


def _that_do(case: Case, kind: str, candidates: Sequence[str], does: Does) -> Search[list[Option]]:
    if len(candidates) > _ONE_BY_ONE and kind != AGENT:
        candidates = yield from _telling(case, kind, candidates, does)
    candidates = candidates[:_ONE_BY_ONE]
    verdicts = yield case.with_each(with_names(kind, (name,)) for name in candidates)
    found = (
        Option(by_name(kind, name), verdict, kind, name)
        for name, verdict in zip(candidates, verdicts, strict=True)
        if does(verdict)
    )
    return [option for option, _ in zip(found, range(ENOUGH), strict=False)]


def _telling(case: Case, kind: str, candidates: Sequence[str], does: Does) -> Search[list[str]]:
    """The handfuls that make a difference, those that would do first."""
    handfuls = [candidates[start : start + _HANDFUL] for start in range(0, len(candidates), _HANDFUL)]
    verdicts = yield case.with_each(with_names(kind, handful) for handful in handfuls)
    tried = list(zip(handfuls, verdicts, strict=True))
    doing = [name for handful, verdict in tried if does(verdict) for name in handful]
    other = [name for handful, verdict in tried if not does(verdict) and verdict != case.verdict for name in handful]
    return doing + other


def by_name(kind: str, name: str) -> Change:
    """One more role, group or scope, or another agent; without a name, one that no policy names."""
    says = named(kind, (name,) if name else ())
    part = AGENT if kind == AGENT else f"{kind} {name}"
    return Change(kind, part, says, (with_names(kind, (name or _STRANGER,)),))


# ── values ───────────────────────────────────────────────────────────────────────────────


def values(case: Case, argument: Argument, does: Does) -> Search[list[Option]]:
    """Which other values would do, or none. Numbers that are given are another matter (``ranges``)."""
    tried = [
        value
        for value in _values(case, argument)
        if value != argument.value and case.fits(argument.to(value)(case.question).arguments)
    ][:_MAX_VALUES]
    verdicts = yield case.with_each(map(argument.to, tried))
    doing = [(value, verdict) for value, verdict in zip(tried, verdicts, strict=True) if does(verdict)]
    if any(value == _STRANGER for value, _ in doing):  # then it is not the value that matters
        doing = [(value, verdict) for value, verdict in doing if value in (MISSING, _STRANGER)]
    return [valued(argument, value, verdict) for value, verdict in doing[:ENOUGH]]


def _values(case: Case, argument: Argument) -> Iterator[Any]:
    """What the schema allows; a text that nobody speaks of; those that policy speaks of; none at all."""
    schema = argument.schema
    kinds = schema.get("type", ())
    yield MISSING
    if options := options_of(argument):
        yield from options
        return
    if "boolean" in kinds or isinstance(argument.value, bool):
        yield from (True, False)
    if "string" in kinds or isinstance(argument.value, str):
        yield from (_STRANGER, *case.vocabulary.names)
    if argument.value is MISSING and ("integer" in kinds or "number" in kinds):
        yield from likely_numbers(case, argument)


def options_of(argument: Argument) -> list[Any]:
    """The values its schema lists, if it does."""
    options = argument.schema.get("enum")
    return options[:_MAX_OPTIONS] if isinstance(options, list) else []


def valued(argument: Argument, value: Any, verdict: Verdict) -> Option:
    """Another value of an argument, and what comes of it."""
    name, part = argument.name, f"argument {argument.name}"
    if value is MISSING:
        return Option(Change("argument", part, f"{name} were left out", (argument.to(value),)), verdict)
    if value == _STRANGER:
        told = "given" if argument.value is MISSING else "another"
        return Option(Change("argument", part, f"{name} were {told}", (argument.to(value),)), verdict)
    change = Change("argument", part, f"{name} were {shown(value)}", (argument.to(value),))
    return Option(change, verdict, part, shown(value))


# ── what there are but a few of ──────────────────────────────────────────────────────────


def others(case: Case, does: Does) -> Search[list[Option]]:
    """See ``changes.few``. Whoever may call may be asked for an approval anyway."""
    changes = [change for change in few(case.question) if not (case.verdict.allowed and change.kind == "approval")]
    verdicts = yield case.with_each(change.made[0] for change in changes)
    tried = zip(changes, verdicts, strict=True)
    return [Option(change, verdict) for change, verdict in tried if does(verdict)]
