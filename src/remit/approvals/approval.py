"""Noun: an approval: of which call it is, who may give it, and what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

import orjson

from remit.errors import ApprovalUnusable
from remit.principal import ActingParty, Principal

#: The approver that is the user themself.
_THE_USER: Final = "user"


class State(StrEnum):
    """What became of it. One that was denied stays so until it expires, and answers the same call until then."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"
    EXPIRED = "expired"  # undecided or unused at its time


@dataclass(frozen=True, slots=True)
class Binding:
    """The one call an approval is good for: this user, this agent, this tool as it is defined, these arguments."""

    issuer: str
    subject: str
    actor_issuer: str
    actor: str
    tool: str
    tool_digest: str
    arguments_digest: str

    @classmethod
    def of(
        cls, principal: Principal, acting: ActingParty, *, tool: str, tool_digest: str, arguments: Mapping[str, Any]
    ) -> Self:
        """Raises ``ValueError`` for arguments that have no canonical form."""
        return cls(
            issuer=principal.issuer,
            subject=principal.subject,
            actor_issuer=acting.actor.iss,
            actor=acting.actor.sub,
            tool=tool,
            tool_digest=tool_digest,
            arguments_digest=digest_of(canonical(arguments)),
        )

    @property
    def digest(self) -> str:
        """SHA-256 over all parts, each within its own quotes: no text can move from one part into the next."""
        parts = (self.issuer, self.subject, self.actor_issuer, self.actor)
        call = (self.tool, self.tool_digest, self.arguments_digest)
        return digest_of(json.dumps([*parts, *call]).encode())


@dataclass(frozen=True, slots=True)
class Approver:
    """Somebody who proved who they are, with the roles and groups that their issuer gives them."""

    issuer: str
    subject: str
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """Does NOT look at who acts for them: whether an agent may speak for an approver is the door's to say."""
        return cls(principal.issuer, principal.subject, principal.roles, principal.groups)


@dataclass(frozen=True, slots=True)
class Terms:
    """Who has to approve: one person who fits every list; and for how many seconds that is waited for and then holds.

    A list names alternatives: ``user`` is the user themself; ``user:NAME``, ``role:NAME`` and ``group:NAME`` are
    others, and never the user, whatever roles they have. A name is one of the user's own issuer; another issuer's is
    written ``user:ISSUER#NAME``. An empty list fits nobody; no list at all asks nobody.
    """

    approvers: tuple[tuple[str, ...], ...]
    expires_in: int

    @property
    def asks_user(self) -> bool:
        """Whether the user themself may approve."""
        return all(_THE_USER in alternatives for alternatives in self.approvers)

    def admits(self, approver: Approver, binding: Binding) -> bool:
        """Whether ``approver`` may decide about the call of ``binding``."""
        return all(any(_is_meant(name, approver, binding) for name in names) for names in self.approvers)


@dataclass(frozen=True, slots=True)
class ApprovalAnswer:
    """What the user said when they were asked about the approval of that id."""

    approval_id: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval. Times in seconds since the epoch; ``decided_at`` is 0 and ``method`` empty until it is decided.

    ``method``: how the approver was asked: ``elicitation`` or ``operator``. ``arguments`` and what the approver's
    roles and groups were are erased once it is denied, used or expired.
    """

    id: str
    binding: Binding
    terms: Terms
    arguments: Mapping[str, Any] = field(repr=False)
    state: State
    asked_at: int
    expires_at: int
    approver: Approver | None = None
    method: str = ""
    decided_at: int = 0

    def check_decision(self, approver: Approver, binding: Binding | None = None) -> None:
        """Raise ``ApprovalUnusable`` where ``approver`` may not decide. ``binding``: the call they were asked about."""
        if binding is not None:
            self._check_call(binding)
        if not self.terms.admits(approver, self.binding):
            raise ApprovalUnusable(
                "this approval is not theirs to give",
                detail=f"{approver.subject} of {approver.issuer}",
                hint=f"`remit approvals show {self.id}` says whose it is",
            )
        self._check_state(State.PENDING)

    def check_use(self, binding: Binding) -> None:
        """Raise ``ApprovalUnusable`` where the call of ``binding`` may not be made on it."""
        self._check_call(binding)
        self._check_state(State.APPROVED)

    def facts(self, approver: Approver, method: str) -> dict[str, str]:
        """What the trail is told of a decision: who decided about whose call, none of its arguments."""
        return {
            "approval": self.id,
            "tool": self.binding.tool,
            "subject": self.binding.subject,
            "subject_issuer": self.binding.issuer,
            "actor": self.binding.actor,
            "actor_issuer": self.binding.actor_issuer,
            "approver": approver.subject,
            "approver_issuer": approver.issuer,
            "method": method,
        }

    def _check_call(self, binding: Binding) -> None:
        if binding != self.binding:
            raise unknown(f"approval {self.id} is of another call")

    def _check_state(self, needed: State) -> None:
        if self.state is needed:
            return
        match self.state:
            case State.PENDING:
                told = "nobody has decided about this approval yet"
            case State.EXPIRED:
                told = "the approval has expired"
            case _:
                told = f"the approval is {self.state.value} already"
        raise ApprovalUnusable(told, detail=f"approval {self.id}", hint="make the call again, and approve that")


def unknown(detail: str) -> ApprovalUnusable:
    """No such approval, or none of this call: whoever asks cannot tell which."""
    return ApprovalUnusable("there is no such approval", detail=detail, hint="see `remit approvals list`")


def canonical(arguments: Mapping[str, Any]) -> bytes:
    """The one JSON text of ``arguments``. Raises ``ValueError`` where they do not come back from it as they were."""
    try:
        text = orjson.dumps(dict(arguments), option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise ValueError("the arguments are not JSON") from error
    if orjson.loads(text) != arguments:
        raise ValueError("the arguments are not JSON")
    return text


def digest_of(text: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text).hexdigest()


def _is_meant(name: str, approver: Approver, binding: Binding) -> bool:
    is_user = (approver.issuer, approver.subject) == (binding.issuer, binding.subject)
    if is_user or name == _THE_USER:
        return is_user and name == _THE_USER
    kind, _, rest = name.partition(":")
    issuer, own_name = _qualified(rest, binding.issuer)
    if approver.issuer != issuer or not own_name:
        return False
    match kind:
        case "user":
            return own_name == approver.subject
        case "role":
            return own_name in approver.roles
        case "group":
            return own_name in approver.groups
        case _:
            return False


def _qualified(name: str, issuer: str) -> tuple[str, str]:
    """``ISSUER#NAME`` → both; a name alone is one of ``issuer``. An issuer is a URL and has no ``#`` (RFC 8414 §2)."""
    if name.startswith(("https://", "http://")) and "#" in name:
        issuer, _, name = name.partition("#")
    return issuer, name
