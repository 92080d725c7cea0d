"""A call's values as the trail sees them, and a store that keeps records in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remit.audit.trail import Record
from remit.credential import Credential
from remit.errors import AuditError
from remit.principal import ActingParty, Actor, Assurance, DelegationChain, Principal

ALICE = Principal(
    subject="alice",
    issuer="https://idp.example",
    name="Alice Example",
    client_id="agent-runner",
    scopes=("orders:read", "orders:write"),
    jti="subject-jti",
    txn="txn-1",
)
RUNNER = ActingParty(
    Actor("agent-runner", "https://sts.example"), Assurance.AUTHENTICATED, "actor_token", Credential("runner-secret")
)


@dataclass(frozen=True)
class Tool:
    digest: str = "d" * 64
    description_digest: str = ""
    upstream: str = "orders"
    path: str = "/orders/{order_id}/refunds"


@dataclass(frozen=True)
class Target:
    audience: str = "https://orders.example"
    resource: str = ""


@dataclass(frozen=True)
class Wanted:
    target: Target = Target()
    scopes: tuple[str, ...] = ("orders:write",)
    max_lifetime: int = 120


@dataclass(frozen=True)
class Reason:
    code: str
    message: str


@dataclass(frozen=True)
class Obligation:
    type: str


@dataclass(frozen=True)
class Decision:
    allow: bool = True
    decision_id: str = "decision-1"
    revision: str = "rev-1"
    rule: str = "sample/1"
    reasons: tuple[Reason, ...] = ()
    obligations: tuple[Obligation, ...] = (Obligation("limit_lifetime"),)
    input_digest: str = "e" * 64
    duration_us: int = 90
    detail: str = ""


@dataclass(frozen=True)
class Approver:
    issuer: str = "https://idp.example"
    subject: str = "bob"


@dataclass(frozen=True)
class Approval:
    id: str = "approval-1"
    state: str = "used"
    approver: Approver | None = Approver()
    method: str = "operator"
    decided_at: int = 1_800_000_000


#: What policy was asked, as the trail keeps it.
KEPT = {"mode": "redacted", "text": '{"arguments":{"order_id":"string"}}'}
#: Where a second policy would have decided differently.
DIFFERENCE: dict[str, Any] = {
    "phase": "tool_call",
    "live": {"allow": True, "rule": "sample/1", "revision": "rev-1", "reasons": [], "obligations": []},
    "shadow": {"allow": False, "rule": "next/1", "revision": "rev-2", "reasons": ["too_late"], "obligations": []},
}


@dataclass(frozen=True)
class Token:
    credential: Credential = field(default_factory=lambda: Credential("delegated-token-text"))
    target: Target = Target()
    scopes: tuple[str, ...] = ("orders:write",)
    chain: DelegationChain = field(default_factory=lambda: DelegationChain((RUNNER.actor,)))
    jti: str = "delegated-jti"
    expires_at: int = 1_800_000_060
    kind: str = "delegated"


@dataclass(frozen=True)
class Request:
    method: str = "POST"
    url: str = "https://orders.example:8443/orders/O77/refunds?note=secret"


@dataclass(frozen=True)
class Response:
    status: int = 201
    body: bytes = b'{"id":"R9"}'


@dataclass(frozen=True)
class Result:
    text: str = '{"refund":"R9"}'
    truncated: bool = False


async def play(record: Record) -> None:
    """Every step of a call that goes well."""
    record.identified(ALICE, RUNNER)
    record.found(Tool())
    record.decided(Decision(), KEPT)
    record.decided_exchange(Decision(decision_id="decision-2"))
    record.approved(Approval())
    await record.intend(Wanted())
    record.exchanged(Token())
    record.called(Request(), Response())
    record.decided_result(Decision(decision_id="decision-3"))
    record.answered(Result())


@dataclass
class MemoryStore:
    """Keeps records, or refuses those of the kinds in ``refuse``. ``gate`` holds every append until it is set."""

    records: list[dict[str, Any]] = field(default_factory=list)
    refuse: frozenset[str] = frozenset()
    gate: asyncio.Event | None = None

    async def append(self, record: Mapping[str, Any]) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if record["kind"] in self.refuse:
            raise AuditError("the call could not be recorded", detail="no room")
        self.records.append(dict(record))

    def close(self) -> None:
        pass
