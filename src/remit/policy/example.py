"""Noun: an input document as policy is asked it, to read and to try policies with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.catalog.tool import ToolAnnotations, ToolAuth
from remit.policy.input import Phase, Question
from remit.principal import ActingParty, Actor, Assurance, DelegationChain, Principal

_NOW: Final = 1_795_341_600


@dataclass(frozen=True, slots=True)
class _Refund:
    """A tool that moves money."""

    annotations: ToolAnnotations
    auth: ToolAuth
    kind: str = "tool"
    name: str = "refund_payment"
    method: str = "POST"
    path: str = "/payments/{id}/refunds"
    upstream: str = "payments"
    tags: tuple[str, ...] = ("money",)
    facts: Mapping[str, Any] = field(default_factory=lambda: {"dataClass": "financial", "moneyField": "amount"})
    digest: str = "9f2c7a"
    description_digest: str = ""


def example_document() -> dict[str, Any]:
    """Alice's agent wants to refund a part of a payment. There is no answer yet, so ``result`` is empty."""
    return Question(
        phase=Phase.TOOL_CALL,
        principal=_alice(),
        acting=ActingParty(Actor("agent-runner", "https://sts.example.com"), Assurance.AUTHENTICATED, "actor_token"),
        tool=_tool(),
        now=_NOW,
        arguments={"id": "P1001", "amount": 2500},
        door="mcp",
        request_id="01KAJ8Z3",
        client="some-client 1.0",
        first_time=True,
    ).document()


def _alice() -> Principal:
    return Principal(
        subject="alice",
        issuer="https://idp.example.com",
        client_id="agent-runner",
        audience=("https://bridge.example.com",),
        scopes=("payments:read", "payments:write"),
        name="Alice Adams",
        groups=("support",),
        roles=("support-lead",),
        acr="urn:example:mfa",
        amr=("pwd", "otp"),
        auth_time=_NOW - 600,
        expires_at=_NOW + 900,
        chain=DelegationChain((Actor("assistant", "https://sts.example.com"),)),
    )


def _tool() -> _Refund:
    return _Refund(
        annotations=ToolAnnotations(read_only=False, destructive=True, idempotent=False, open_world=False),
        auth=ToolAuth(
            type="token-exchange",
            audience="payments-api",
            resource="https://payments.example.com",
            scopes=("payments:write",),
            actor="required",
            max_lifetime=120,
        ),
    )
