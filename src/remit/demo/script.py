"""Noun and path: the story the demonstration plays, and one of its scenes played by a real MCP client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult

from remit.credential import Credential

#: The key of the audit id in a result's ``_meta``.
AUDIT_ID_META: Final = "remit/audit_id"


@dataclass(frozen=True, slots=True)
class Scene:
    """One call, and how it must end. ``hops``: how many APIs further in are called on the way.

    ``says_yes``: the user is asked by their client whether they approve the call, and does.
    """

    says: str
    user: str
    tool: str
    arguments: Mapping[str, Any]
    outcome: str = "success"
    reason: str = ""
    hops: int = 0
    says_yes: bool = False


STORY: Final = (
    Scene("Alice, a support lead, asks her agent for an order", "alice", "get_order", {"order_id": "O1001"}),
    Scene(
        "She has it refund a part; orders calls payments on her behalf",
        "alice",
        "refund_order",
        {"order_id": "O1001", "amount": 1250, "reason": "late"},
        hops=1,
    ),
    Scene(
        "For more than 100.00 policy wants her own word: her client asks her, and she allows it",
        "alice",
        "refund_order",
        {"order_id": "O1003", "amount": 15_000, "reason": "damaged"},
        hops=1,
        says_yes=True,
    ),
    Scene("Bob, an intern, reads the order too", "bob", "get_order", {"order_id": "O1001"}),
    Scene(
        "Bob tries a refund with the same agent and the same scopes",
        "bob",
        "refund_order",
        {"order_id": "O1001", "amount": 1250, "reason": "late"},
        outcome="denied",
        reason="role_forbids",
    ),
    Scene(
        "Alice tries more than 500.00 without the scope for it",
        "alice",
        "refund_order",
        {"order_id": "O1003", "amount": 60_000, "reason": "damaged"},
        outcome="denied",
        reason="amount_needs_scope",
    ),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the agent was told: the text it reads, and the call's audit id; none where a tool is not there for it.

    ``question``: what its client asked the user.
    """

    text: str
    is_error: bool
    audit_id: str
    question: str = ""
    content: Any = field(default=None, repr=False)


async def ask(mcp_url: str, token: Credential, scene: Scene) -> Reply:
    """Play one scene over HTTP with the official client, the way an agent would."""
    headers = {"Authorization": f"Bearer {token.reveal()}"}  # the user's token, to the MCP door it was issued for
    user = _User(says_yes=scene.says_yes)
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(mcp_url, http_client=http), elicitation_callback=user) as client,
    ):
        try:
            result = await client.call_tool(scene.tool, dict(scene.arguments))
        except MCPError as fault:  # of the protocol: the tool is hidden from this user, say
            return Reply(text=fault.error.message, is_error=True, audit_id="")
    text = next((part.text for part in result.content if part.type == "text"), "")
    return Reply(
        text=text,
        is_error=bool(result.is_error),
        audit_id=str((result.meta or {}).get(AUDIT_ID_META, "")),
        question=user.question,
        content=result.structured_content,
    )


class _User:
    """Whom the client asks. Remembers the question."""

    def __init__(self, *, says_yes: bool) -> None:
        self._says_yes = says_yes
        self.question = ""

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        del context
        self.question = params.message
        return ElicitResult(action="accept" if self._says_yes else "decline")
