"""What an HTTP request must bring before it is served, and what it is told otherwise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

from remit.bridge import ToolCall
from remit.clock import SystemClock
from remit.doors.mcp.http import HttpDoor, McpHttpSettings
from remit.errors import (
    AudienceMismatch,
    AuthenticationError,
    KeysUnavailable,
    SettingsInvalid,
    SignatureInvalid,
    TokenExpired,
)
from remit.tokens.dpop import PROOF_ALGORITHMS
from support.mcp_door import ERAS, ISSUER, FakeBridge, a_tool, call_message, challenge_of, raw_request, served

pytestmark = pytest.mark.anyio
eras = pytest.mark.parametrize("era", ERAS)


async def echo(call: ToolCall) -> Any:
    return {"name": call.name}


def a_bridge() -> FakeBridge:
    bridge = FakeBridge(needed={"refund": ("orders:write", "orders:read")})
    for name in ("orders", "refund"):
        bridge.add(a_tool(name), echo)
    return bridge


# ── the metadata ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["", "/mcp"])
async def test_the_metadata_say_who_issues_tokens(path: str) -> None:
    async with served(a_bridge(), baseline_scopes=("mcp",)) as at, at.http() as http:
        response = await http.get(f"/.well-known/oauth-protected-resource{path}")
    assert response.status_code == 200
    assert response.json() == {
        "resource": at.url,
        "authorization_servers": [ISSUER],  # exactly, without a slash added
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
        "resource_name": "remit",
        "scopes_supported": ["mcp"],
    }
    assert response.headers["Cache-Control"].startswith("public")


async def test_a_page_in_a_browser_may_read_the_metadata() -> None:
    async with served(a_bridge()) as at, at.http() as http:
        preflight = {"Origin": "https://inspector.example", "Access-Control-Request-Method": "GET"}
        response = await http.options("/.well-known/oauth-protected-resource", headers=preflight)
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("resource", ["http://mcp.example.com/mcp", "https://h/mcp?x=1", "https://h/mcp#x", "mcp", ""])
def test_a_resource_that_is_no_safe_url_is_refused_at_start(resource: str) -> None:
    with pytest.raises(SettingsInvalid):
        McpHttpSettings(resource=resource, issuers=(ISSUER,))


def test_a_server_nobody_issues_tokens_for_is_refused_at_start() -> None:
    with pytest.raises(SettingsInvalid):
        McpHttpSettings(resource="https://mcp.example.com/mcp", issuers=())


def test_the_endpoint_is_at_the_resources_own_path() -> None:
    settings = McpHttpSettings(resource="https://example.com/agents/mcp", issuers=(ISSUER,))
    paths = [route.path for route in HttpDoor(a_bridge(), settings, SystemClock()).routes]  # type: ignore[attr-defined]
    assert paths == [
        "/agents/mcp",
        "/.well-known/oauth-protected-resource/agents/mcp",
        "/.well-known/oauth-protected-resource",
    ]


# ── the token ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("authorization", [None, "Basic dXNlcjpwYXNz", "Token abc"])
async def test_without_a_token_the_challenge_names_no_error(authorization: str | None) -> None:
    async with served(a_bridge(), baseline_scopes=("mcp", "orders:read")) as at, at.http() as http:
        headers, body = call_message("orders", "legacy")
        del headers["Authorization"]
        if authorization:
            headers["Authorization"] = authorization
        response = await http.post("/mcp", headers=headers, json=body)
    assert response.status_code == 401
    assert challenge_of(response) == {
        "scope": "mcp orders:read",
        "resource_metadata": f"{at.base}/.well-known/oauth-protected-resource/mcp",
    }
    assert response.headers["Cache-Control"] == "no-store"


async def test_a_token_that_cannot_be_one_is_invalid_without_asking_anybody() -> None:
    bridge = a_bridge()
    bridge.distrusts = KeysUnavailable("was asked")
    async with served(bridge) as at, at.http() as http:
        headers, body = call_message("orders", "legacy")
        response = await http.post("/mcp", headers=headers | {"Authorization": 'Bearer "x"'}, json=body)
    assert response.status_code == 401
    assert challenge_of(response)["error"] == "invalid_token"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TokenExpired("expired at 12:00", detail="alice"), "the access token has expired"),
        (AudienceMismatch('for "https://other"'), "the access token is not for this server"),
        (SignatureInvalid("kid abc"), "the access token is not signed by a trusted key"),
        (AuthenticationError('"quoted" words'), "the access token is not accepted"),
    ],
)
async def test_a_token_that_is_not_accepted_is_told_which_rule_it_broke(error: Any, words: str) -> None:
    bridge = a_bridge()
    bridge.distrusts = error
    async with served(bridge, baseline_scopes=("mcp",)) as at, at.http() as http:
        headers, body = call_message("orders", "2026-07-28")
        response = await http.post("/mcp", headers=headers, json=body)
    assert response.status_code == 401
    assert challenge_of(response) == {
        "error": "invalid_token",
        "error_description": words,
        "scope": "mcp",
        "resource_metadata": f"{at.base}/.well-known/oauth-protected-resource/mcp",
    }
    assert bridge.calls == []


async def test_keys_that_cannot_be_had_say_nothing_of_the_token() -> None:
    bridge = a_bridge()
    bridge.distrusts = KeysUnavailable("the issuer's keys cannot be fetched", detail="https://10.0.0.1/jwks")
    async with served(bridge) as at, at.http() as http:
        headers, body = call_message("orders", "legacy")
        response = await http.post("/mcp", headers=headers, json=body)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "WWW-Authenticate" not in response.headers
    assert "10.0.0.1" not in response.text


@pytest.mark.parametrize("query", ["access_token=token-alice", "x=1&access_token", "&".join(["x"] * 200)])
async def test_a_token_in_the_query_is_refused_even_beside_a_good_one(query: str) -> None:
    bridge = a_bridge()
    async with served(bridge) as at, at.http() as http:
        headers, body = call_message("orders", "legacy")
        response = await http.post(f"/mcp?{query}", headers=headers, json=body)
    assert response.status_code == 400
    assert challenge_of(response)["error"] == "invalid_request"
    assert bridge.calls == []


async def test_two_authorization_headers_are_refused() -> None:
    bridge = a_bridge()
    async with served(bridge) as at, at.http() as http:
        headers, body = call_message("orders", "legacy")
        twice = [*headers.items(), ("Authorization", "Bearer token-bob")]
        response = await http.post("/mcp", headers=twice, json=body)
    assert response.status_code == 400
    assert challenge_of(response)["error"] == "invalid_request"
    assert bridge.calls == []


# ── scopes ───────────────────────────────────────────────────────────────────────────────


async def test_a_token_without_the_baseline_is_not_served_at_all() -> None:
    bridge = a_bridge()
    async with served(bridge, baseline_scopes=("mcp",)) as at, at.http() as http:
        headers, body = call_message("orders", "legacy")
        response = await http.post("/mcp", headers=headers, json=body)
    assert response.status_code == 403
    assert challenge_of(response)["scope"] == "mcp"


@eras
async def test_no_challenge_tells_a_hidden_tool_from_an_unknown_one(era: str) -> None:
    bridge = a_bridge()
    bridge.hidden = {"alice": {"refund"}}
    responses = []
    async with served(bridge) as at, at.http() as http:
        for name in ("refund", "nosuch"):
            headers, body = call_message(name, era)
            response = await http.post("/mcp", headers=headers, json=body)
            kept = {key: value for key, value in response.headers.items() if key not in {"date", "content-length"}}
            responses.append((response.status_code, kept, response.text.replace(name, "NAME")))
    assert responses[0] == responses[1]
    assert "Unknown tool: NAME" in responses[0][2]


async def test_forged_headers_skip_nothing() -> None:
    """A client of the handshake era may write anything into headers that only the newer era reads."""
    bridge = a_bridge()
    async with served(bridge) as at, at.http() as http:
        for forged in ({"Mcp-Method": "tools/list"}, {"Mcp-Method": "tools/call", "Mcp-Name": "orders"}):
            headers, body = call_message("refund", "legacy")
            response = await http.post("/mcp", headers=headers | forged, json=body)
            assert response.status_code == 403
    assert [call.name for call in bridge.calls] == ["refund", "refund"]


async def test_headers_that_differ_from_the_body_are_refused_in_the_newer_era() -> None:
    bridge = a_bridge()
    async with served(bridge) as at, at.http() as http:
        headers, body = call_message("orders", "2026-07-28")
        response = await http.post("/mcp", headers=headers | {"Mcp-Name": "refund"}, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32020
    assert bridge.calls == []


# ── where it comes from, and how much of it ──────────────────────────────────────────────


async def statuses(header: str, values: Iterable[str], **settings: Any) -> dict[str, int]:
    async with served(a_bridge(), **settings) as at, at.http() as http:
        headers, body = call_message("orders", "2026-07-28")
        return {
            value: (await http.post("/mcp", headers=headers | {header: value}, json=body)).status_code
            for value in values
        }


async def test_only_our_own_names_are_served() -> None:
    expected = {
        "localhost:1234": 200,
        "[::1]": 200,
        "MCP.example.com": 200,
        "mcp.example.com:8443": 200,
        "evil.example": 421,
        "127.0.0.1.evil.example": 421,
        "localhost:80@evil.example": 421,
        "": 421,
    }
    assert await statuses("Host", expected, allowed_hosts=("mcp.example.com",)) == expected


async def test_only_pages_of_our_own_origins_are_served() -> None:
    expected = {
        "http://localhost:6274": 200,
        "https://console.example.com": 200,
        "https://evil.example": 403,
        "http://localhost.evil.example": 403,
        "null": 403,
    }
    assert await statuses("Origin", expected, allowed_origins=("https://console.example.com",)) == expected


@eras
async def test_a_body_that_is_too_large_is_refused(era: str) -> None:
    bridge = a_bridge()
    async with served(bridge, max_body_bytes=1000) as at, at.http() as http:
        headers, body = call_message("orders", era, {"x": "y" * 1000})
        response = await http.post("/mcp", headers=headers, json=body)
        assert response.status_code == 413

        async def in_pieces() -> Any:
            for _ in range(5):
                yield b" " * 300

        response = await http.post("/mcp", headers=headers, content=in_pieces())
        assert response.status_code == 413
    assert bridge.calls == []


async def test_a_body_that_ends_early_reaches_nobody() -> None:
    bridge = a_bridge()
    async with served(bridge) as at:
        whole = raw_request(at, *call_message("orders", "legacy"))
        _reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(whole[:-10])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with at.client("token-alice") as client:  # the server is still well
            await client.call_tool("orders")
    assert [call.name for call in bridge.calls] == ["orders"]


async def test_only_post_is_served() -> None:
    headers = {"Authorization": "Bearer token-alice", "Accept": "text/event-stream"}
    async with served(a_bridge()) as at, at.http() as http:
        for method in ("GET", "DELETE", "PUT", "OPTIONS"):
            response = await http.request(method, "/mcp", headers=headers)
            assert response.status_code == 405
            assert response.headers["Allow"] == "POST"


@eras
async def test_a_body_that_is_no_request_is_answered_and_harms_nothing(era: str) -> None:
    bodies = [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b'{"a":' * 5000, b'{"method":"tools/call"}']
    bridge = a_bridge()
    async with served(bridge) as at, at.http() as http:
        headers, _ = call_message("orders", era)
        answers = [await http.post("/mcp", headers=headers, content=body) for body in bodies]
    assert {answer.status_code for answer in answers} <= {202, 400}
    assert bridge.calls == []


async def test_a_handler_without_the_guard_finds_no_token() -> None:
    """Whoever mounts the SDK's app without the guard gets refusals, not another session's token."""
    settings = McpHttpSettings(resource="http://127.0.0.1/mcp", issuers=(ISSUER,))
    door = HttpDoor(a_bridge(), settings, SystemClock())
    headers, body = call_message("orders", "2026-07-28")
    payload = json.dumps(body).encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "headers": [(key.lower().encode(), value.encode()) for key, value in headers.items()],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        if sent:
            await asyncio.Event().wait()
        sent.append("asked")
        return {"type": "http.request", "body": payload, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async with door.running():
        await door._sessions.asgi_app(scope, receive, send)
    answer = json.loads(sent[-1]["body"])
    assert answer["error"]["data"]["error"]["code"] == "token_missing"
