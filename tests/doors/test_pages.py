"""Clients that run in a browser: pages of admitted origins may call the MCP door, and no others."""

from __future__ import annotations

import pytest

from support.mcp_door import FakeBridge, served

pytestmark = pytest.mark.anyio

ADMITTED = ["http://localhost:6274", "http://127.0.0.1", "https://console.example.com"]
STRANGE = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://localhost:6274.evil.example",
    "http://localhost:123456",
    "https://console.example.com.evil.example",
    "https://consoleXexample.com",
    "null",
]


def preflight(origin: str) -> dict[str, str]:
    wanted = "authorization,content-type,mcp-method,mcp-name,mcp-protocol-version"
    return {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}


@pytest.mark.parametrize("origin", ADMITTED)
async def test_a_page_of_an_admitted_origin_may_call_and_read_the_challenge(origin: str) -> None:
    async with served(FakeBridge(), allowed_origins=("https://console.example.com",)) as at, at.http() as http:
        asked = await http.options("/mcp", headers=preflight(origin))
        refused = await http.post("/mcp", headers={"Origin": origin}, json={})
    assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (200, origin)
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == origin
    assert "WWW-Authenticate" in refused.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origin", STRANGE)
async def test_a_page_of_another_origin_is_told_nothing(origin: str) -> None:
    async with served(FakeBridge(), allowed_origins=("https://console.example.com",)) as at, at.http() as http:
        asked = await http.options("/mcp", headers=preflight(origin))
        answered = await http.post("/mcp", headers={"Origin": origin}, json={})
    assert asked.status_code >= 400
    assert answered.status_code == 403
    assert "Access-Control-Allow-Origin" not in asked.headers
    assert "Access-Control-Allow-Origin" not in answered.headers


async def test_no_page_may_bring_the_browsers_own_credentials() -> None:
    async with served(FakeBridge()) as at, at.http() as http:
        answer = await http.options("/mcp", headers=preflight("http://localhost:6274"))
    assert "Access-Control-Allow-Credentials" not in answer.headers
