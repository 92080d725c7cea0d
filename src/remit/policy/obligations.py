"""Noun and rule: what a permit demands. Obligations only ever restrict, and one that is not understood denies.

All obligations of a decision count. ``Demands`` is what they come to together, the strictest of each kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Protocol, TypeVar

from remit.errors import PolicyFailed
from remit.principal import Principal

NARROW_SCOPES: Final = "narrow_scopes"
LIMIT_LIFETIME: Final = "limit_lifetime"
REDACT_RESULT: Final = "redact_result"
REQUIRE_APPROVAL: Final = "require_approval"
STEP_UP: Final = "step_up"

#: Everything a policy may demand of a tool call.
SUPPORTED: Final = (LIMIT_LIFETIME, NARROW_SCOPES, REDACT_RESULT, REQUIRE_APPROVAL, STEP_UP)
#: Of an exchange at the token service, which sees neither result nor user.
OF_AN_EXCHANGE: Final = (LIMIT_LIFETIME, NARROW_SCOPES)
#: Of a request that a gateway passes on: nobody can be asked, and an answer that streams cannot be redacted.
OF_A_ROUTE: Final = (LIMIT_LIFETIME, NARROW_SCOPES, STEP_UP)

#: The approver that is the user themself.
THE_USER: Final = "user"

#: How far an issuer's clock may be ahead of this one. A time in milliseconds is thousands of years ahead.
_CLOCK_SECONDS: Final = 60
_MAX_SECONDS: Final = 86_400
_MAX_ITEMS: Final = 100
_MAX_TEXT: Final = 256
_MIN_APPROVAL_SECONDS: Final = 10
_APPROVAL_SECONDS: Final = 600
_MODES: Final = frozenset({"remove", "mask", "hash"})
_APPROVER: Final = re.compile(r"user|(user|role|group):\S.*")
#: RFC 6749 §3.3; acr values have the same form, because they stand in a list with spaces between.
_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_POINTER: Final = re.compile(r"(/([^~/]|~[01])*)+")


@dataclass(frozen=True, slots=True)
class Obligation:
    """One demand: its type, and what that type needs to know."""

    id: str
    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Redaction:
    """What of a result to hide: JSON pointers (RFC 6901) as steps, where ``*`` is every item or member.

    And classes of data, of which a tool's file says where they are in its results.
    """

    paths: tuple[tuple[str, ...], ...]
    mode: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """Who has to approve, and for how many seconds that may be waited for and then holds.

    ``approvers`` are alternatives: ``user`` (the user themself), ``user:ID``, ``role:NAME`` and ``group:NAME``.
    Nobody but ``user`` approves their own call.
    """

    approvers: tuple[str, ...]
    expires_in: int


@dataclass(frozen=True, slots=True)
class StepUp:
    """How the user has to have signed in (RFC 9470) and with which scopes. 0 and empty: no matter."""

    acr_values: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    max_age: int = 0

    def is_met(self, principal: Principal, now: float) -> bool:
        """Whether the user's token says so. What it does not say does not count, nor a sign-in that is yet to be."""
        signed_in = principal.auth_time
        return (
            (not self.acr_values or principal.acr in self.acr_values)
            and set(self.scopes) <= set(principal.scopes)
            and (not self.max_age or (signed_in > 0 and now - self.max_age <= signed_in <= now + _CLOCK_SECONDS))
        )


class Narrowable(Protocol):
    """What a call wants of the token service: a data class with scopes, and a lifetime in seconds."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes wanted."""
        ...

    @property
    def max_lifetime(self) -> int:
        """The longest lifetime wanted."""
        ...


Wanted = TypeVar("Wanted", bound=Narrowable)


@dataclass(frozen=True, slots=True)
class Demands:
    """What all obligations of a decision come to. ``None``: no limit. Every approval and step-up has to be met."""

    scopes: frozenset[str] | None = None
    lifetime: int | None = None
    redactions: tuple[Redaction, ...] = ()
    approvals: tuple[ApprovalTerms, ...] = ()
    step_ups: tuple[StepUp, ...] = ()

    @classmethod
    def of(cls, obligations: Iterable[Obligation]) -> Demands:
        """Raises ``PolicyFailed`` for an obligation that is not understood."""
        demands = cls()
        for obligation in obligations:
            try:
                demands = demands._with(obligation)
            except ValueError as error:
                raise _failed(str(error)) from error
        return demands

    def narrowed(self, wanted: Wanted) -> Wanted:
        """``wanted`` within these limits: common scopes, shortest lifetime.

        Raises ``PolicyFailed`` where no scope is left, or none was named that could be narrowed: a token request
        without scope asks many servers for all of them (RFC 6749 §3.3).
        """
        scopes, lifetime = wanted.scopes, wanted.max_lifetime
        if self.scopes is not None:
            scopes = tuple(scope for scope in scopes if scope in self.scopes)
        if self.lifetime is not None:
            lifetime = min(lifetime, self.lifetime)
        if self.scopes is not None and not scopes:
            raise _failed("narrow_scopes leaves none of the scopes that are needed, or none are named")
        return replace(wanted, scopes=scopes, max_lifetime=lifetime)

    def _with(self, obligation: Obligation) -> Demands:
        meant = _meaning(obligation)
        match obligation.type:
            case "narrow_scopes":
                return replace(self, scopes=meant if self.scopes is None else self.scopes & meant)
            case "limit_lifetime":
                return replace(self, lifetime=meant if self.lifetime is None else min(self.lifetime, meant))
            case "redact_result":
                return replace(self, redactions=(*self.redactions, meant))
            case "require_approval":
                return replace(self, approvals=(*self.approvals, meant))
            case _:
                return replace(self, step_ups=(*self.step_ups, meant))


def read_obligation(item: Any) -> Obligation:
    """An engine's answer → an obligation that can be enforced. Raises ``ValueError`` for any other."""
    match item:
        case {"id": str(name), "type": str(kind), "properties": dict(properties)} if item.keys() == {
            "id",
            "type",
            "properties",
        }:
            obligation = Obligation(name[:100], kind[:100], properties)
        case _:
            raise ValueError("an obligation is not of the form {id, type, properties}")
    _meaning(obligation)
    return obligation


# ── what each type's properties mean ─────────────────────────────────────────────────────


def _meaning(obligation: Obligation) -> Any:
    """What the obligation's type makes of its properties. Raises ``ValueError`` for what cannot be enforced."""
    reader = _READERS.get(obligation.type)
    if reader is None:
        raise ValueError(f"unknown obligation {obligation.type!r}")
    try:
        return reader(obligation.properties)
    except ValueError as error:
        raise ValueError(f"{obligation.type}: {error}") from error


def _narrow_scopes(properties: Mapping[str, Any]) -> frozenset[str]:
    _only(properties, {"scopes"}, {"scopes"})
    return frozenset(_texts(properties, "scopes"))


def _limit_lifetime(properties: Mapping[str, Any]) -> int:
    _only(properties, {"seconds"}, {"seconds"})
    return _seconds(properties, "seconds", 1)


def _redact_result(properties: Mapping[str, Any]) -> Redaction:
    _only(properties, {"mode"}, {"pointers", "classes", "mode"})
    named = {name: _texts(properties, name) for name in ("pointers", "classes") if name in properties}
    if not named or not all(named.values()):
        raise ValueError("it names no pointers and no classes")
    pointers, classes = named.get("pointers", ()), named.get("classes", ())
    if not all(_POINTER.fullmatch(pointer) for pointer in pointers):
        raise ValueError("pointers are not JSON pointers like /items/*/tax_id")
    if not isinstance(properties["mode"], str) or properties["mode"] not in _MODES:
        raise ValueError("mode is none of hash, mask and remove")
    return Redaction(tuple(_steps(pointer) for pointer in pointers), properties["mode"], classes)


def _require_approval(properties: Mapping[str, Any]) -> ApprovalTerms:
    _only(properties, {"approvers"}, {"approvers", "expires_in"})
    approvers = _texts(properties, "approvers")
    if not approvers or not all(_APPROVER.fullmatch(approver) for approver in approvers):
        raise ValueError("an approver is none of user, user:ID, role:NAME and group:NAME")
    seconds = _seconds(properties, "expires_in", _MIN_APPROVAL_SECONDS) if "expires_in" in properties else None
    return ApprovalTerms(approvers, seconds or _APPROVAL_SECONDS)


def _step_up(properties: Mapping[str, Any]) -> StepUp:
    _only(properties, set(), {"acr_values", "scopes", "max_age"})
    if not properties:
        raise ValueError("it names none of acr_values, scopes and max_age")
    acr_values, scopes = (_texts(properties, name) if name in properties else None for name in ("acr_values", "scopes"))
    if () in (acr_values, scopes):
        raise ValueError("acr_values or scopes is empty")
    if not all(_TOKEN.fullmatch(text) for text in (*(acr_values or ()), *(scopes or ()))):
        raise ValueError("acr_values or scopes holds what a challenge cannot name")
    max_age = _seconds(properties, "max_age", 1) if "max_age" in properties else 0
    return StepUp(acr_values or (), scopes or (), max_age)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    NARROW_SCOPES: _narrow_scopes,
    LIMIT_LIFETIME: _limit_lifetime,
    REDACT_RESULT: _redact_result,
    REQUIRE_APPROVAL: _require_approval,
    STEP_UP: _step_up,
}


def _only(properties: Mapping[str, Any], required: set[str], known: set[str]) -> None:
    if not required <= properties.keys() <= known:
        raise ValueError("its properties are not what they should be")


def _texts(properties: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = properties[name]
    if not isinstance(texts, list) or len(texts) > _MAX_ITEMS:
        raise ValueError(f"{name} is not a list of at most {_MAX_ITEMS}")
    if not all(isinstance(text, str) and 0 < len(text) <= _MAX_TEXT for text in texts):
        raise ValueError(f"{name} holds something else than short texts")
    return tuple(texts)


def _seconds(properties: Mapping[str, Any], name: str, least: int) -> int:
    seconds = properties[name]
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not least <= seconds <= _MAX_SECONDS:
        raise ValueError(f"{name} is not between {least} and {_MAX_SECONDS}")
    return seconds


def _steps(pointer: str) -> tuple[str, ...]:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _failed(detail: str) -> PolicyFailed:
    return PolicyFailed(
        "policy demands what cannot be done, so the call is refused",
        detail=detail,
        hint="mend the policy's obligations",
    )
