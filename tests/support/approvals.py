"""Approvals about one sample call: alice's agent refunds an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remit.approvals.approval import Approver, Binding, Terms
from remit.principal import ActingParty, Actor, Assurance, Principal

ISSUER = "https://idp.example"
ARGUMENTS: Mapping[str, Any] = {"order_id": "O1001", "amount": 500}

ALICE = Principal("alice", ISSUER, roles=("support-lead",))
AGENT = ActingParty(Actor("agent-runner", "https://sts.example"), Assurance.AUTHENTICATED, "actor_token")
USER = Approver.of(ALICE)
LEAD = Approver(ISSUER, "carol", roles=("support-lead",), groups=("managers",))

BY_USER = Terms((("user",),), 600)
BY_LEAD = Terms((("role:support-lead",),), 600)


def binding(
    arguments: Mapping[str, Any] = ARGUMENTS,
    *,
    principal: Principal = ALICE,
    acting: ActingParty = AGENT,
    tool: str = "refund_order",
    tool_digest: str = "d1",
) -> Binding:
    """Of the sample call, but for what is named."""
    return Binding.of(principal, acting, tool=tool, tool_digest=tool_digest, arguments=arguments)
