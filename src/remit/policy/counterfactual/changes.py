"""Noun and rule: one respect in which a question could have been another. Nothing is tried here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from remit.oauth import parse_scope
from remit.policy.input import ApprovalState, Question
from remit.policy.vocabulary import AGENT, GROUP, ROLE, SCOPE
from remit.principal import ActingParty, Actor, Assurance, DelegationChain

#: What a change makes of a question, which itself stays as it is.
Made = Callable[[Question], Question]

_MAX_DEPTH: Final = 3
_MAX_SHOWN: Final = 40
_EVIDENCE: Final = {
    Assurance.AUTHENTICATED: "actor_token",
    Assurance.ATTESTED: "act",
    Assurance.REGISTERED: "client_id",
    Assurance.SELF_ASSERTED: "workload",
}
_SAYS: Final = {
    SCOPE: "the user's token held {name}",
    ROLE: "the user had {name}",
    GROUP: "the user were in {name}",
    AGENT: "{name} acted",
}


@dataclass(frozen=True, slots=True)
class Change:
    """``says`` completes “it would be permitted if …”.

    ``kind`` is what sort of thing is changed, ``part`` which: two changes of one part do not go together. The words
    hold where every question that ``made`` makes is permitted: the first is what they name, the others are how far
    they reach.
    """

    kind: str
    part: str
    says: str
    made: tuple[Made, ...]


def evidence_of(assurance: Assurance) -> str:
    """How an actor of that assurance is known."""
    return _EVIDENCE[assurance]


# ── names ────────────────────────────────────────────────────────────────────────────────


def named(kind: str, names: Sequence[str], *, more: bool = False) -> str:
    """The words for one of ``names`` (``more``: and others); without any, for a name that is none of the policy's."""
    if not names:
        name = f"some other {kind}"
    elif len(names) == 1 and not more:
        name = f"the {kind} {names[0]}"
    else:
        name = f"one of the {kind}s {', '.join(names)}{' and others' if more else ''}"
    return _SAYS[kind].format(name=name)


def with_names(kind: str, names: Sequence[str]) -> Made:
    """The user has these roles, groups or scopes besides; of agents the first acts instead."""

    def made(question: Question) -> Question:
        principal = question.principal
        match kind:
            case "role":
                principal = replace(principal, roles=_also(principal.roles, names))
            case "group":
                principal = replace(principal, groups=_also(principal.groups, names))
            case "scope":
                principal = replace(principal, scopes=_also(principal.scopes, names))
            case _:
                acting = question.acting
                other = ActingParty(Actor(names[0], acting.actor.iss), acting.assurance, acting.evidence)
                return replace(question, acting=other)
        return replace(question, principal=principal)

    return made


def is_possible(kind: str, name: str) -> bool:
    """Whether a token can hold it, where it is to be a scope."""
    try:
        return kind != SCOPE or parse_scope(name) == (name,)
    except ValueError:
        return False


def has(kind: str, question: Question, name: str) -> bool:
    """Whether the question says so already."""
    principal = question.principal
    held = {ROLE: principal.roles, GROUP: principal.groups, SCOPE: principal.scopes}
    return name in held[kind] if kind in held else name == question.acting.actor.sub


def _also(held: tuple[str, ...], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*held, *names)))


# ── arguments ────────────────────────────────────────────────────────────────────────────

#: In the place of the value of an argument that is not given.
MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument, or a member of one. ``schema`` is what its tool says of it, as far as that is plain."""

    path: tuple[str, ...]
    value: Any
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        """``total.amount``."""
        return ".".join(self.path)

    def to(self, value: Any) -> Made:
        """Another value; ``MISSING``: none."""
        return lambda question: replace(question, arguments=_put(question.arguments, self.path, value))


def arguments_of(
    arguments: Mapping[str, Any], schema: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[Argument]:
    """Those that are given, then those that could be; members of objects down to the third level."""
    properties = _object(schema.get("properties"))
    for name in dict.fromkeys((*arguments, *properties)):
        value, known = arguments.get(name, MISSING), _object(properties.get(name))
        if isinstance(value, Mapping) and len(path) + 1 < _MAX_DEPTH:
            yield from arguments_of(value, known, (*path, name))
        else:
            yield Argument((*path, name), value, known)


def shown(value: Any) -> str:
    """A value as it reads in a sentence."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _put(arguments: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    if rest:
        return {**arguments, first: _put(_object(arguments.get(first)), rest, value)}
    if value is MISSING:
        return {name: each for name, each in arguments.items() if name != first}
    return {**arguments, first: value}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


# ── what there are but a few of ──────────────────────────────────────────────────────────


def few(question: Question) -> Iterator[Change]:
    """What is neither a name of the policy nor an argument nor a time."""
    if question.first_time:
        says = "the agent had acted for the user before"
        yield Change("first", "first", says, (lambda asked: replace(asked, first_time=False),))
    if question.principal.chain:
        yield Change("chain", "chain", "nobody had handed the request on to the agent", (_at_first_hand,))
    yield from _less(question)
    for assurance in Assurance:
        if assurance is not question.acting.assurance:
            yield Change("assurance", "assurance", f"the agent were {assurance.value}", (_assured(assurance),))
    for approver, name in ((question.principal.subject, "the user"), ("somebody", "somebody else")):
        says = f"{name} had approved it, which policy would have to demand (require_approval)"
        yield Change("approval", "approval", says, (_approved(approver),))


def _less(question: Question) -> Iterator[Change]:
    """What the user would better not have: policies name the suspended, and duties that exclude each other."""
    for role in question.principal.roles:
        yield Change("less", f"role {role}", f"the user did not have the role {role}", (_without_role(role),))
    for group in question.principal.groups:
        yield Change("less", f"group {group}", f"the user were not in the group {group}", (_without_group(group),))


def _without_role(role: str) -> Made:
    def made(question: Question) -> Question:
        left = tuple(each for each in question.principal.roles if each != role)
        return replace(question, principal=replace(question.principal, roles=left))

    return made


def _without_group(group: str) -> Made:
    def made(question: Question) -> Question:
        left = tuple(each for each in question.principal.groups if each != group)
        return replace(question, principal=replace(question.principal, groups=left))

    return made


def _at_first_hand(question: Question) -> Question:
    return replace(question, principal=replace(question.principal, chain=DelegationChain()))


def _assured(assurance: Assurance) -> Made:
    def made(question: Question) -> Question:
        acting = ActingParty(question.acting.actor, assurance, evidence_of(assurance))
        return replace(question, acting=acting)

    return made


def _approved(approver: str) -> Made:
    def made(question: Question) -> Question:
        method = "elicitation" if approver == question.principal.subject else "operator"
        return replace(question, approval=ApprovalState("approved", "supposed", approver, method))

    return made


def later(minutes: int) -> Made:
    """As much later, by a user who signs in then."""

    def made(question: Question) -> Question:
        # From one whole minute to another, so that the hours of a policy are met.
        seconds = (question.now // 60 + minutes) * 60 - question.now
        principal = question.principal
        moved = replace(
            principal,
            auth_time=principal.auth_time + int(seconds),
            expires_at=principal.expires_at + int(seconds),
        )
        return replace(question, now=question.now + seconds, principal=moved)

    return made
