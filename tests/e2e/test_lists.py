"""A list that is remembered shows nothing that has been taken away: what a running server's clients see of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from remit.credential import UnverifiedToken
from remit.errors import ActorRevoked, TokenRevoked
from remit.sts.revocation import Kind, Order
from support.company import Company, company
from support.policy import edit_tables

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Company]:
    async with company(tmp_path / "shop") as running:
        yield running


async def listed(shop: Company, token: str) -> set[str]:
    """By a client that has not kept the list."""
    async with shop.http_client(token) as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def let_leads_read_alone(shop: Company) -> None:
    """Change the tables under the server. The sample's own tests say that support leads may refund."""
    (shop.folder / "policy" / "sample_test.rego").unlink()
    edit_tables(shop.folder, lambda tables: tables["roles"].update({"support-lead": {"orders": ["read"]}}))
    assert await shop.app.policies.live.reload()


async def test_tables_that_changed_show_at_once_and_to_whom_they_are_about(shop: Company) -> None:
    alices, bobs = shop.token("alice"), shop.token("bob")
    before = {token: await listed(shop, token) for token in (alices, bobs)}
    assert "refund_order" in before[alices] - before[bobs]
    await let_leads_read_alone(shop)
    after = await listed(shop, alices)
    assert "get_order" in after
    assert "refund_order" not in after
    assert await listed(shop, bobs) == before[bobs]


async def test_tools_that_are_gone_show_at_once(shop: Company) -> None:
    token = shop.token("alice")
    before = await listed(shop, token)
    (shop.folder / "tools" / "payments.yaml").unlink()
    shop.app.tools.reload()
    after = await listed(shop, token)
    assert after < before
    assert after == {name for name in before if name in shop.app.tools.catalog.tools}


async def test_who_is_revoked_is_shown_nothing_any_more(shop: Company) -> None:
    token = shop.token("alice")
    assert await listed(shop, token)
    revoked = shop.app.revocations.add(Order(Kind.ACTOR, "agent-runner"))
    with pytest.raises(ActorRevoked):
        await shop.app.bridge.visible_tools("mcp-http", UnverifiedToken(token))
    shop.app.revocations.lift(revoked.id)
    assert await listed(shop, token)
    shop.app.revocations.add(Order(Kind.SUBJECT, "alice"))
    with pytest.raises(TokenRevoked):
        await shop.app.bridge.visible_tools("mcp-http", UnverifiedToken(token))


async def test_a_list_is_advice_and_the_call_is_decided_by_itself(shop: Company) -> None:
    """The tables change under a list that a client goes by."""
    async with shop.client("alice") as client:
        assert "refund_order" in {tool.name for tool in (await client.list_tools()).tools}
        await let_leads_read_alone(shop)
        refused = await client.call_tool("refund_order", {"order_id": "O1001", "amount": 100, "reason": "late"})
    assert refused.is_error
    assert not shop.orders.entries
