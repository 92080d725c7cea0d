"""Rule: what would have to be otherwise for a denied call to be permitted.

Changes are proposed, not deduced: every name and number that stands in the policy or its data is tried where it could
matter, and policy itself says which of them would do. So it works for any policy, finds what one or two changes can
do, and proves nothing impossible.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from remit.oauth import parse_scope
from remit.policy.bundle import Bundle
from remit.policy.decision import Decision
from remit.policy.input import ApprovalState, Question
from remit.principal import ActingParty, Actor, Assurance, DelegationChain, Principal

_TEXT: Final = re.compile(r'"([^"\\\n]{1,100})"')
_NUMBER: Final = re.compile(r"(?<![\w.])\d{1,15}(?![\w.])")
_MAX_NAMES: Final = 2000
_MAX_AGENTS: Final = 200
_MAX_NUMBERS: Final = 100
_MAX_PAIRS: Final = 400
_HOUR: Final = 3600
_WEEK: Final = 7 * 24
_OF_A_PRINCIPAL: Final = ("roles", "groups", "scopes", "chain")
_OF_A_QUESTION: Final = ("principal", "acting", "now", "arguments", "approval", "first_time")


@dataclass(frozen=True, slots=True)
class Constants:
    """The names and numbers that a policy speaks of, each once, in order of appearance."""

    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()

    @classmethod
    def of(cls, bundle: Bundle, more: Iterable[str] = ()) -> Constants:
        """Those of its data and of its modules' text, and ``more`` names."""
        names: dict[str, None] = dict.fromkeys(more)
        numbers: dict[int, None] = {}
        _collect(bundle.data, names, numbers)
        for text in bundle.modules.values():
            names.update(dict.fromkeys(_TEXT.findall(text)))
            numbers.update(dict.fromkeys(map(int, _NUMBER.findall(text))))
        return cls(tuple(names)[:_MAX_NAMES], tuple(numbers)[:_MAX_NUMBERS])


@dataclass(frozen=True, slots=True)
class Change:
    """One way in which the question could have been another. ``says`` completes “it would be permitted if …”.

    ``kind`` is what was changed: there is no need to tell every hour of the week in which a call would do.
    """

    kind: str
    says: str
    question: Question


def single_changes(question: Question, constants: Constants, schema: Mapping[str, Any]) -> list[Change]:
    """Every question that differs from ``question`` in one respect. ``schema``: of the tool's arguments.

    What is easiest to change comes first.
    """
    return [
        *_arguments(question, constants.numbers, schema),
        *_approval(question),
        *_scopes(question, constants.names),
        *_memberships(question, constants.names),
        *_times(question),
        *_actors(question, constants.names),
    ]


def helpful(denied: Decision, changes: Sequence[Change], decisions: Sequence[Decision]) -> list[Change]:
    """The changes after which at least one reason is gone and no new one is there."""
    codes = {reason.code for reason in denied.reasons}
    return [
        change
        for change, decision in zip(changes, decisions, strict=True)
        if {reason.code for reason in decision.reasons} < codes
    ]


def paired(question: Question, changes: Sequence[Change]) -> list[Change]:
    """Two changes at once, for every two that touch different things."""
    pairs = itertools.islice(itertools.combinations(changes, 2), _MAX_PAIRS)
    return [
        Change(f"{first.kind} {second.kind}", f"{first.says}, and {second.says}", both)
        for first, second in pairs
        if (both := _merged(question, first.question, second.question)) is not None
    ]


# ── what can be otherwise ────────────────────────────────────────────────────────────────


def _arguments(question: Question, numbers: Sequence[int], schema: Mapping[str, Any]) -> Iterator[Change]:
    properties = schema.get("properties", {})
    for name, value in question.arguments.items():
        allowed = properties.get(name, {}) if isinstance(properties.get(name), dict) else {}
        if isinstance(value, int | float) and not isinstance(value, bool):
            for number in sorted({each for each in numbers if each < value}, reverse=True):
                yield _with_argument(question, name, number, f"{name} were {number}")
        for option in allowed.get("enum", ()):
            if option != value:
                yield _with_argument(question, name, option, f"{name} were {option}")


def _with_argument(question: Question, name: str, value: Any, says: str) -> Change:
    return Change(f"argument {name}", says, replace(question, arguments={**question.arguments, name: value}))


def _approval(question: Question) -> Iterator[Change]:
    if question.approval.state != "approved":
        approved = ApprovalState("approved", "explained", question.principal.subject, "elicitation")
        yield Change("approval", "the user approved it", replace(question, approval=approved))
        yield Change(
            "approval", "somebody else approved it", replace(question, approval=replace(approved, approver="somebody"))
        )
    if question.first_time:
        yield Change("first", "this agent had acted for this user before", replace(question, first_time=False))


def _scopes(question: Question, names: Iterable[str]) -> Iterator[Change]:
    held = question.principal.scopes
    for scope in dict.fromkeys((*question.tool.auth.scopes, *names)):
        if scope not in held and _is_scope(scope):
            principal = replace(question.principal, scopes=(*held, scope))
            yield Change("scope", f"the user's token held the scope {scope}", replace(question, principal=principal))


def _is_scope(name: str) -> bool:
    try:
        return parse_scope(name) == (name,)
    except ValueError:
        return False


def _memberships(question: Question, names: Iterable[str]) -> Iterator[Change]:
    principal = question.principal
    for name in names:
        if name not in principal.roles:
            more = replace(principal, roles=(*principal.roles, name))
            yield Change("role", f"the user had the role {name}", replace(question, principal=more))
        if name not in principal.groups:
            more = replace(principal, groups=(*principal.groups, name))
            yield Change("group", f"the user were in the group {name}", replace(question, principal=more))


def _times(question: Question) -> Iterator[Change]:
    """Each hour of the week that comes."""
    for hours in range(1, _WEEK):
        now = question.now + hours * _HOUR
        at = datetime.fromtimestamp(now, UTC)
        yield Change("time", f"it were {at:%A %H:%M} UTC", replace(question, now=now))


def _actors(question: Question, names: Sequence[str]) -> Iterator[Change]:
    acting = question.acting
    for assurance in Assurance:
        if assurance is not acting.assurance:
            better = replace(acting, assurance=assurance)
            yield Change("assurance", f"the agent were {assurance.value}", replace(question, acting=better))
    if question.principal.chain:
        alone = replace(question.principal, chain=DelegationChain())
        yield Change("chain", "the request came from the user's own agent", replace(question, principal=alone))
    for name in names[:_MAX_AGENTS]:
        if name != acting.actor.sub:
            other = ActingParty(Actor(name, acting.actor.iss), acting.assurance, acting.evidence)
            yield Change("agent", f"the agent were {name}", replace(question, acting=other))


def _merged(question: Question, first: Question, second: Question) -> Question | None:
    """Both changes; none where they touch the same part."""
    principal = _joined(question.principal, first.principal, second.principal, _OF_A_PRINCIPAL)
    if principal is None:
        return None
    return _joined(question, replace(first, principal=principal), replace(second, principal=principal), _OF_A_QUESTION)


_Value = TypeVar("_Value", Question, Principal)


def _joined(value: _Value, first: _Value, second: _Value, names: Iterable[str]) -> _Value | None:
    changed: dict[str, Any] = {}
    for name in names:
        ours, theirs, before = getattr(first, name), getattr(second, name), getattr(value, name)
        if before == ours:
            changed[name] = theirs
        elif theirs in (before, ours):
            changed[name] = ours
        else:
            return None
    return replace(value, **changed)


def _collect(value: Any, names: dict[str, None], numbers: dict[int, None]) -> None:
    """Every text and whole number of the data, keys before what they hold."""
    waiting = deque([value])
    while waiting and len(names) < _MAX_NAMES:
        node = waiting.popleft()
        if isinstance(node, dict):
            names.update(dict.fromkeys(key for key in node if len(key) <= 100))
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, str) and 0 < len(node) <= 100:
            names[node] = None
        elif isinstance(node, int) and not isinstance(node, bool):
            numbers[node] = None
