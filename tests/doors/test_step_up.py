"""A token that is good but does not suffice: what the client is told so that its user can sign in for more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp import MCPError

from remit.bridge import ToolCall
from remit.errors import RemitError, ScopeInsufficient, StepUpRequired
from support.mcp_door import ERAS, FakeBridge, a_tool, call_message, challenge_of, served

pytestmark = pytest.mark.anyio
eras = pytest.mark.parametrize("era", ERAS)


async def echo(call: ToolCall) -> Any:
    return {"name": call.name}


def a_bridge() -> FakeBridge:
    bridge = FakeBridge(needed={"refund": ("orders:write", "orders:read")}, scopes={"alice": ("mcp", "orders:read")})
    bridge.add(a_tool("refund"), echo)
    return bridge


async def answer_to(bridge: FakeBridge, era: str) -> Any:
    async with served(bridge, baseline_scopes=("mcp",)) as at, at.http() as http:
        headers, body = call_message("refund", era)
        response = await http.post("/mcp", headers=headers, json=body)
        again = await http.post("/mcp", headers=headers, json=body)  # the connection is still of use
    assert response.status_code == again.status_code
    return response


@eras
async def test_a_token_without_the_scopes_of_a_call_is_told_all_of_them(era: str) -> None:
    response = await answer_to(a_bridge(), era)
    assert response.status_code == 403
    challenge = challenge_of(response)
    assert challenge.pop("resource_metadata").endswith("/.well-known/oauth-protected-resource/mcp")
    assert challenge == {
        "error": "insufficient_scope",
        "error_description": "the access token lacks scopes this needs (audit id call-0)",
        "scope": "mcp orders:write orders:read",
    }
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"


@eras
async def test_a_token_with_the_scopes_is_served(era: str) -> None:
    bridge = a_bridge()
    bridge.scopes = {"alice": ("mcp", "orders:read", "orders:write")}
    assert (await answer_to(bridge, era)).status_code == 200


@eras
async def test_a_sign_in_that_is_not_good_enough_is_told_which_would_be(era: str) -> None:
    bridge = a_bridge()
    bridge.needed = {}
    bridge.sign_in = {"refund": {"acr_values": ("urn:mfa", "urn:hw"), "max_age": 300, "scope": "orders:write"}}
    response = await answer_to(bridge, era)
    assert response.status_code == 401  # RFC 9470 §3
    challenge = challenge_of(response)
    assert challenge.pop("resource_metadata")
    assert challenge == {
        "error": "insufficient_user_authentication",
        "error_description": "the user has to sign in again for this (audit id call-0)",
        "scope": "mcp orders:write",
        "acr_values": "urn:mfa urn:hw",
        "max_age": "300",
    }


@eras
async def test_a_client_that_cannot_sign_anybody_in_still_learns_why(era: str) -> None:
    async with served(a_bridge()) as at, at.client("token-alice", era) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("refund")
    told = caught.value.error.data["error"]
    assert caught.value.error.message == "the user's token lacks scopes"
    assert (told["code"], told["audit_id"]) == ("insufficient_scope", "call-0")
    assert told["help"].startswith("Nothing was called. The person has to sign in again")


@eras
async def test_a_hidden_tool_gives_no_challenge(era: str) -> None:
    bridge = a_bridge()
    bridge.hidden = {"alice": {"refund"}}
    response = await answer_to(bridge, era)
    assert "WWW-Authenticate" not in response.headers
    assert "Unknown tool: refund" in response.text


@eras
@pytest.mark.parametrize(
    "error",
    [
        ScopeInsufficient("the user's token lacks the scope orders:write", scope="orders:write"),
        StepUpRequired("policy wants the user to sign in again", acr_values=("mfa",), max_age=0),
    ],
    ids=lambda error: error.code,
)
async def test_a_response_that_has_begun_ends_with_the_refusal_as_its_result(era: str, error: RemitError) -> None:
    told = asyncio.Event()

    async def answer(_call: ToolCall) -> Any:
        await told.wait()
        raise error

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.set()

    bridge = FakeBridge()
    bridge.add(a_tool("refund"), answer)
    async with served(bridge) as at, at.client("token-alice", era) as client:
        result = await client.call_tool("refund", progress_callback=hear)
    assert result.is_error
    assert result.structured_content["error"]["code"] == error.code
    assert result.structured_content["error"]["audit_id"] == "call-0"


@eras
async def test_a_refusal_that_no_sign_in_cures_is_a_result_as_ever(era: str) -> None:
    bridge = a_bridge()
    bridge.needed = {}
    bridge.approvers = {"refund": "role:lead"}
    response = await answer_to(bridge, era)
    assert response.status_code == 200
    assert "approval_required" in response.text
