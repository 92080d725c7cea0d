"""Noun: what policy said. A decision is a value; it becomes an exception in one place, ``require_permit``.

``read_decision`` is how any engine's answer becomes one: whatever is not exactly a well-formed permit is a deny.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal

from remit.errors import PolicyDenied, PolicyFailed
from remit.policy.obligations import SUPPORTED, Obligation, read_obligation

Audience = Literal["user", "admin"]

_MAX_REASONS: Final = 50
_MAX_CODE: Final = 100
_MAX_MESSAGE: Final = 1000
_MEMBERS: Final = frozenset({"allow", "reasons", "obligations", "policy"})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why. Only those with audience ``user`` are shown to the caller and their agent; all go to the trail."""

    code: str
    message: str
    audience: Audience = "admin"


#: The only thing a caller learns when no decision could be had.
FAILED: Final = Reason("policy_failed", "policy could not be evaluated, so the call is refused", "user")


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision rests on: which policy revision decided which input, and how long that took.

    ``input_digest`` is the SHA-256 of the input document's canonical JSON.
    """

    decision_id: str
    revision: str
    input_digest: str = ""
    duration_us: int = 0


@dataclass(frozen=True, slots=True)
class Places:
    """Where a policy says what, as ``file:line``: its entrypoint, and the rule that gives each reason code."""

    entry: str = ""
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Decision:
    """What permit and deny share. ``rule`` says what decided: ``sample/1 role_forbids (authz.rego:33)``."""

    basis: Basis
    reasons: tuple[Reason, ...] = ()
    rule: str = ""

    @property
    def decision_id(self) -> str:
        """Names this decision in the trail."""
        return self.basis.decision_id

    @property
    def revision(self) -> str:
        """Of the policy that decided."""
        return self.basis.revision

    @property
    def input_digest(self) -> str:
        """SHA-256 of the input document."""
        return self.basis.input_digest

    @property
    def duration_us(self) -> int:
        """How long it took, in microseconds."""
        return self.basis.duration_us


@dataclass(frozen=True, slots=True)
class Permit(_Decision):
    """Yes, under ``obligations``, each of a known type."""

    allow: ClassVar[Literal[True]] = True
    detail: ClassVar[str] = ""

    obligations: tuple[Obligation, ...] = ()

    def require_permit(self) -> Permit:
        """Itself."""
        return self


@dataclass(frozen=True, slots=True)
class Deny(_Decision):
    """No. ``failed``: no usable decision could be had; ``detail`` then tells the operator why."""

    allow: ClassVar[Literal[False]] = False
    obligations: ClassVar[tuple[Obligation, ...]] = ()

    detail: str = ""
    failed: bool = field(default=False)

    @property
    def user_reasons(self) -> tuple[Reason, ...]:
        """The reasons the caller may be told."""
        return tuple(reason for reason in self.reasons if reason.audience == "user")

    def require_permit(self) -> Permit:
        """Raise: ``PolicyFailed`` where there was no decision, ``PolicyDenied`` otherwise."""
        if self.failed:
            raise PolicyFailed(
                FAILED.message, detail=self.detail, hint="see the detail in the audit trail, then `remit check`"
            )
        message = "; ".join(reason.message for reason in self.user_reasons) or "policy does not permit this call"
        raise PolicyDenied(message, detail=self.rule)


Decision = Permit | Deny


def failed(basis: Basis, detail: str) -> Deny:
    """The deny that stands for a decision that could not be had."""
    return Deny(basis, (FAILED,), FAILED.code, detail=detail, failed=True)


def read_decision(answer: object, basis: Basis, places: Places, supported: Collection[str] = SUPPORTED) -> Decision:
    """The answer of an engine's entrypoint as a decision. ``supported``: the obligations that can be enforced.

    Permit only where ``allow`` is exactly true and everything beside it is well formed: a misspelt or unknown
    member or obligation could be a restriction nobody would enforce. Never raises.
    """
    try:
        return _decision(answer, basis, places, supported)
    except ValueError as error:
        return failed(basis, f"{places.entry}: {error}" if places.entry else str(error))


def supported_by(document: Mapping[str, Any]) -> Collection[str]:
    """The obligations that can be enforced for an input document; none where it does not say."""
    try:
        return list(document["context"]["supported_obligations"])
    except (KeyError, TypeError):
        return ()


def _decision(answer: object, basis: Basis, places: Places, supported: Collection[str]) -> Decision:
    if not isinstance(answer, Mapping):
        raise ValueError("the decision is not an object")  # noqa: TRY004  one kind of error for every bad answer
    if strangers := answer.keys() - _MEMBERS:
        raise ValueError(f"the decision has the unknown member {min(strangers)[:_MAX_CODE]!r}")
    reasons = tuple(_reason(item) for item in _items(answer, "reasons"))
    obligations = tuple(read_obligation(item) for item in _items(answer, "obligations"))
    rule = " ".join(filter(None, [_policy(answer), *_decided_by(reasons, places)]))
    match answer.get("allow"):
        case True:
            for obligation in obligations:
                if obligation.type not in supported:
                    raise ValueError(f"{obligation.type} cannot be enforced here")
            return Permit(basis, reasons, rule, obligations)
        case False:
            return Deny(basis, reasons, rule)
        case _:
            raise ValueError("allow is neither true nor false")


def _decided_by(reasons: tuple[Reason, ...], places: Places) -> list[str]:
    codes = sorted({reason.code for reason in reasons})
    located = [f"{code} ({place})" if (place := places.codes.get(code)) else code for code in codes]
    return located or ([f"({places.entry})"] if places.entry else [])


def _items(answer: Mapping[str, Any], name: str) -> list[Any]:
    items = answer.get(name, [])
    if not isinstance(items, list) or len(items) > _MAX_REASONS:
        raise ValueError(f"{name} is not a list of at most {_MAX_REASONS}")
    return items


def _policy(answer: Mapping[str, Any]) -> str:
    name = answer.get("policy", "")
    if not isinstance(name, str) or len(name) > _MAX_CODE:
        raise ValueError("policy is not a short text")
    return name


def _reason(item: Any) -> Reason:
    match item:
        case {"code": str(code), "message": str(message), **rest} if rest.keys() <= {"audience"}:
            audience = rest.get("audience", "admin")
        case _:
            raise ValueError("a reason is not of the form {code, message, audience}")
    if audience not in ("user", "admin"):
        raise ValueError("a reason's audience is neither user nor admin")
    if not 0 < len(code) <= _MAX_CODE or len(message) > _MAX_MESSAGE:
        raise ValueError("a reason's code or message is empty or too long")
    return Reason(code, message, audience)
