"""The kill switch and key rotation in another process, as a running server and its clients feel them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client

from remit.clock import SystemClock
from remit.sts.keys import KeyRing
from remit.sts.revocation import Kind, Order, RevocationFile, RevocationList
from support.company import Company, company
from support.issuer import claims_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Company]:
    async with company(tmp_path / "shop") as running:
        yield running


def elsewhere(shop: Company) -> RevocationList:
    """The deny-list as another process has it."""
    settings = shop.app.settings
    return RevocationList(RevocationFile(settings.revocations_file), SystemClock())


async def order_of(client: Client) -> Any:
    return await client.call_tool("get_order", {"order_id": "O1002"})


async def status_at_the_door(shop: Company, token: str) -> int:
    async with httpx.AsyncClient() as http:
        return (await http.post(shop.mcp_url, headers={"Authorization": f"Bearer {token}"}, content=b"{}")).status_code


async def until_refused(shop: Company, token: str) -> None:
    async with asyncio.timeout(3):
        while await status_at_the_door(shop, token) != 401:
            await asyncio.sleep(0.05)  # another process did it: there is no event to wait for


@pytest.mark.parametrize("kind", [Kind.JTI, Kind.TXN, Kind.SUBJECT])
async def test_a_revoked_token_is_refused_at_the_door_and_others_are_not(shop: Company, kind: Kind) -> None:
    token, bobs = shop.token("alice"), shop.token("bob")
    claims = claims_of(token)
    assert await status_at_the_door(shop, token) != 401
    value = {Kind.JTI: claims["jti"], Kind.TXN: claims["txn"], Kind.SUBJECT: "alice"}[kind]
    revocation = elsewhere(shop).add(Order(kind, value))
    await until_refused(shop, token)
    assert await status_at_the_door(shop, bobs) != 401
    async with httpx.AsyncClient() as http:
        answer = await http.post(shop.mcp_url, headers={"Authorization": f"Bearer {token}"}, content=b"{}")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert "revoked" in answer.headers["www-authenticate"]
    elsewhere(shop).lift(revocation.id)
    async with asyncio.timeout(3):
        while await status_at_the_door(shop, token) == 401:
            await asyncio.sleep(0.05)


async def test_an_agent_that_is_switched_off_calls_nothing_for_anybody(shop: Company) -> None:
    async with shop.client("alice") as client:
        assert not (await order_of(client)).is_error
        shop.app.revocations.add(Order(Kind.ACTOR, "agent-runner"))
        answered = len(shop.orders.entries)
        refused = await order_of(client)
        assert refused.is_error
        assert "switched off" in str(refused.content)
        assert len(shop.orders.entries) == answered


async def test_after_an_emergency_old_tokens_are_refused_and_new_ones_work_at_once(shop: Company) -> None:
    old = shop.token("alice")
    async with shop.client("alice") as client:
        assert not (await order_of(client)).is_error  # and every cache is warm
    KeyRing.open(shop.app.settings.keys_dir).replace()
    await until_refused(shop, old)
    async with shop.client("alice") as client:
        await order_of(client)
    # Exchanged at once with the new key, whether or not the API has met that key already: it asks every 30 seconds.
    assert shop.facts()[-1]["exchange"]["chain"][0]["sub"] == "agent-runner"
    async with httpx.AsyncClient() as http:
        [key] = (await http.get(f"{shop.base}/oauth2/jwks")).json()["keys"]
    assert key["kid"] == shop.app.sts.keys.signing_key.kid  # type: ignore[union-attr]


async def test_a_graceful_rotation_is_felt_by_nobody(shop: Company) -> None:
    token = shop.token("alice")
    KeyRing.open(shop.app.settings.keys_dir).rotate()
    async with asyncio.timeout(3), httpx.AsyncClient() as http:
        while len((await http.get(f"{shop.base}/oauth2/jwks")).json()["keys"]) != 2:
            await asyncio.sleep(0.05)
    assert await status_at_the_door(shop, token) != 401
    async with shop.client("alice") as client:
        assert not (await order_of(client)).is_error
