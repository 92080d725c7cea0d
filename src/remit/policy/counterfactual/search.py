"""Rule: which one or two changes would do.

Changes are proposed, not deduced: the names and numbers that a policy speaks of, and what a tool's schema allows, are
tried where they could matter, and policy itself says which of them would do. So it works for any policy, and proves
nothing impossible.

``search`` asks and is told: it yields lists of questions, and is sent the list of their verdicts. Whoever runs it
decides who is asked, and for how long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Final

from remit.policy.counterfactual.changes import Argument, Change, arguments_of, has, is_possible, named
from remit.policy.counterfactual.families import ENOUGH, by_name, names, options_of, others, valued, values
from remit.policy.counterfactual.ranges import is_number, numbers, times
from remit.policy.counterfactual.trial import Case, Does, Option, Search, Verdict
from remit.policy.input import Question
from remit.policy.vocabulary import AGENT, GROUP, ROLE, SCOPE

#: What is easiest to change comes first. An approval comes last: of a denied call nobody is asked for one.
_ORDER: Final = (
    "argument", "first", SCOPE, ROLE, GROUP, "less", "time", AGENT, "chain", "assurance", "approval",
)  # fmt: skip
_MAX_ARGUMENTS: Final = 12
_MAX_HELPS: Final = 24
_MAX_REFINED: Final = 8
_MAX_UNCOVERING: Final = 4
_MAX_OF_A_KIND: Final = 3
_MAX_WAYS: Final = 10


@dataclass(frozen=True, slots=True)
class Way:
    """``says`` completes “it would be permitted if …”; ``conditions`` are what has to happen even then.

    ``kinds`` are what is changed. Each of ``tried`` was put to policy, and it permitted it.
    """

    kinds: tuple[str, ...]
    says: str
    conditions: tuple[str, ...]
    tried: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """``ways`` that would do; where there are none, ``steps`` that would each take away a part of what is in the way."""

    ways: tuple[Way, ...] = ()
    steps: tuple[Way, ...] = ()


def search(case: Case) -> Search[Found]:
    """What would do: single changes, or pairs where no single one does. Of a call that may be made under conditions:
    what would make it free of them.
    """
    does = _is_free if case.verdict.allowed else _is_allowed
    found = yield from _singles(case, does)
    if found or case.verdict.allowed:
        return Found(_few(_merged(case, found)))
    return (yield from _pairs(case))


def _is_free(verdict: Verdict) -> bool:
    return verdict.is_free


def _is_allowed(verdict: Verdict) -> bool:
    return verdict.allowed


def _singles(case: Case, does: Does) -> Search[list[Option]]:
    found: list[Option] = []
    for argument in _arguments(case):
        found += yield from (numbers if is_number(argument.value) else values)(case, argument, does)
    for kind in (SCOPE, ROLE, GROUP, AGENT):
        found += yield from names(case, kind, does)
    found += yield from times(case, does)
    found += yield from others(case, does)
    return sorted(found, key=_rank)


def _arguments(case: Case) -> list[Argument]:
    return list(arguments_of(case.question.arguments, case.schema))[:_MAX_ARGUMENTS]


def _rank(option: Option) -> int:
    return _ORDER.index(option.change.kind)


# ── two changes ──────────────────────────────────────────────────────────────────────────


def _pairs(case: Case) -> Search[Found]:
    """Of the changes that help, two that do not touch the same thing. A number is looked for anew beside each other.

    Where a change uncovers what else is in the way, all is looked for anew.
    """
    helps = yield from _singles(case, lambda verdict: verdict.is_nearer(case.verdict) or verdict.is_past(case.verdict))
    tried = _some_of_each(helps or _plausible(case))
    plain = [option.change for option in tried if not _is_numeric(case, option.change)]
    found = yield from _both(case, [pair for pair in combinations(plain, 2) if pair[0].part != pair[1].part])
    for argument in _arguments(case):
        if is_number(argument.value):
            found += yield from _beside(case, argument, plain[:_MAX_REFINED])
    uncovering = [option for option in tried if option.verdict.is_past(case.verdict)]
    for option in uncovering[:_MAX_UNCOVERING] if not found else ():
        found += yield from _after(case, option.change)
    nearer = [option for option in helps if not _is_elsewhere(option.verdict, case.verdict)]
    steps = _merged(case, nearer or helps)
    return Found(_few(sorted(found, key=_rank_of_way)), () if found else _few(steps))


def _is_elsewhere(verdict: Verdict, before: Verdict) -> bool:
    """Whether another reason has only come in the place of the one before."""
    return verdict.step == before.step and verdict.is_past(before)


def _rank_of_way(way: Way) -> list[int]:
    return [_ORDER.index(kind) for kind in way.kinds]


def _after(case: Case, change: Change) -> Search[list[Way]]:
    """What would do besides."""
    found = yield from _singles(case.after(change.made[0]), _is_allowed)
    return (yield from _both(case, [(change, option.change) for option in found[:_MAX_HELPS]]))


def _both(case: Case, pairs: Sequence[tuple[Change, Change]]) -> Search[list[Way]]:
    """The pairs that would do: first what each names is tried, and where that does, how far their words reach."""
    verdicts = yield [second.made[0](first.made[0](case.question)) for first, second in pairs]
    doing = [(pair, verdict) for pair, verdict in zip(pairs, verdicts, strict=True) if verdict.allowed]
    found: list[Way] = []
    for (first, second), verdict in doing:
        tried = [two(one(case.question)) for one, two in product(first.made, second.made)]
        if all(each.allowed for each in (yield tried)):
            says = f"{first.says}, and {second.says}"
            found.append(Way((first.kind, second.kind), says, verdict.conditions, tuple(tried)))
    return found


def _beside(case: Case, argument: Argument, changes: Sequence[Change]) -> Search[list[Way]]:
    """Which number would do beside each of the changes."""
    found: list[Way] = []
    for change in changes:
        for option in (yield from numbers(case.after(change.made[0]), argument, _is_allowed)):
            both, (_, *also) = option.change, change.made
            tried = [two(one(case.question)) for one, two in product(change.made, both.made)]
            if not also or all(each.allowed for each in (yield tried)):
                says = f"{both.says}, and {change.says}"
                found.append(Way((both.kind, change.kind), says, option.verdict.conditions, tuple(tried)))
    return found


def _some_of_each(options: Sequence[Option]) -> list[Option]:
    """Of each kind some, so that no kind leaves no room for others."""
    kept: list[Option] = []
    for option in options:
        if sum(each.change.kind == option.change.kind for each in kept) < ENOUGH:
            kept.append(option)
    return kept[:_MAX_HELPS]


def _plausible(case: Case) -> list[Option]:
    """Where a denial says nothing of what would help: what the schema names, and what looks like the right kind of name."""
    found = [
        valued(argument, value, case.verdict)
        for argument in _arguments(case)
        for value in options_of(argument)[:ENOUGH]
        if value != argument.value
    ]
    for kind in (SCOPE, ROLE, GROUP, AGENT):
        likely = case.vocabulary.of_kind.get(kind, ()) or case.vocabulary.names
        fit = [name for name in likely if is_possible(kind, name) and not has(kind, case.question, name)]
        found += [Option(by_name(kind, name), case.verdict) for name in fit[:ENOUGH]]
    return found


def _is_numeric(case: Case, change: Change) -> bool:
    return any(change.part == f"argument {argument.name}" for argument in _arguments(case) if is_number(argument.value))


# ── telling ──────────────────────────────────────────────────────────────────────────────


def _merged(case: Case, options: Sequence[Option]) -> list[Way]:
    """Options that differ by a name alone, and need the same, are one way."""
    groups: dict[Any, list[Option]] = {}
    for number, option in enumerate(options):
        groups.setdefault((option.group or number, option.verdict.conditions), []).append(option)
    return [_way(case, group) for group in groups.values()]


def _way(case: Case, group: Sequence[Option]) -> Way:
    first = group[0]
    tried = tuple(question for option in group for question in case.with_each(option.change.made))
    return Way((first.change.kind,), _says(group), first.verdict.conditions, tried)


def _says(group: Sequence[Option]) -> str:
    if len(group) == 1:
        return group[0].change.says
    told, more = [option.name for option in group[:_MAX_OF_A_KIND]], len(group) > _MAX_OF_A_KIND
    if group[0].group in (SCOPE, ROLE, GROUP, AGENT):
        return named(group[0].group, told, more=more)
    argument = group[0].group.removeprefix("argument ")
    return f"{argument} were one of {', '.join(told)}{' and others' if more else ''}"


def _few(found: Sequence[Way]) -> tuple[Way, ...]:
    """Not all there are: some of each kind."""
    told: list[Way] = []
    for way in found:
        if sum(each.kinds == way.kinds for each in told) < _MAX_OF_A_KIND:
            told.append(way)
    return tuple(told[:_MAX_WAYS])
