"""Noun: one call as it arrives, what goes back, and who may watch it on its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remit.approvals.approval import ApprovalAnswer
from remit.credential import UnverifiedToken
from remit.downstream.request import ApiRequest
from remit.downstream.result import ToolResult
from remit.exchange.exchanger import DelegatedToken
from remit.exchange.messages import Wanted
from remit.policy.decision import Decision
from remit.principal import ActingParty, Principal


@dataclass(frozen=True, slots=True)
class Parent:
    """The call of a tool whose code makes another call."""

    call_id: str
    tool: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call as it arrived. ``client`` is what the client says of itself, never believed.

    ``answer``: what the user said when their client asked them to approve this very call. ``parent``: no agent makes it,
    but the code of a tool.
    """

    door: str
    token: UnverifiedToken | None
    name: str
    arguments: Mapping[str, Any]
    request_id: str = ""
    client: str = ""
    answer: ApprovalAnswer | None = None
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class CallResult:
    """What goes back through the door. ``call_id`` names the call in the audit trail."""

    call_id: str
    result: ToolResult


class Watch:
    """Sees each step as it happens (`remit call --explain`). No token is shown to it. This one looks away."""

    def identified(self, principal: Principal, acting: ActingParty) -> None:
        """Step 1."""

    def decided(self, decision: Decision) -> None:
        """Step 3."""

    def exchanged(self, wanted: Wanted, token: DelegatedToken) -> None:
        """Step 5."""

    def calling(self, request: ApiRequest) -> None:
        """Step 6, before it is sent."""


NOBODY = Watch()
