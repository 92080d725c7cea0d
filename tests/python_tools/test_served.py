"""The sample company with a code tool of its own, through the doors that clients come in by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.company import Company, Document, audit_id_of, company
from support.mcp_door import ERAS
from support.policy import edit_tables

pytestmark = pytest.mark.anyio

DESK = '''
from __future__ import annotations

from pydantic import BaseModel

from remit.tools import CallRefused, Ctx, TokenExchange, ToolSet, env

desk = ToolSet(
    "orders",
    base_url=env("ORDERS_URL"),
    auth=TokenExchange(audience="orders-api", scopes=["orders:read"], max_ttl="120s"),
)


class Settlement(BaseModel):
    order: str
    refunded: int


@desk.tool(scopes=["orders:read", "refunds:write", "payments:refund"], destructive=True, output=True, tags=["money"])
async def settle_order(ctx: Ctx, order_id: str, amount: int) -> Settlement:
    """Look at an order, and pay back this much of it where that much is left. Money moves; ask the user first."""
    order = await ctx.api.scoped("orders:read").get("/orders/{id}", id=order_id)
    body = {"amount": min(amount, order["total"]["amount"]), "reason": "goodwill", "requested_by": ctx.user}
    refund = await ctx.api.post("/orders/{id}/refunds", id=order_id, body=body)
    return Settlement(order=order["id"], refunded=refund["amount"]["amount"])


@desk.tool(scopes=["orders:read"], read_only=True)
async def first_order(ctx: Ctx) -> str:
    """Say which order is the oldest, whatever became of it."""
    found = await ctx.call("list_orders", limit=1)
    return found["orders"][0]["id"]
'''


@asynccontextmanager
async def served(folder: Path, tables: Callable[[dict[str, Any]], None] | None = None) -> AsyncIterator[Company]:
    def change(document: Document) -> None:
        document["python_tools"] = True
        (folder / "tools" / "desk.py").write_text(DESK, encoding="utf-8")
        if tables is not None:
            edit_tables(folder, tables)

    async with company(folder, change) as running:
        yield running


def calls_of(running: Company) -> list[dict[str, Any]]:
    """What the trail has of calls; the payments API's exchange is none of ours."""
    return [facts for facts in running.facts() if "tool" in facts]


@pytest.mark.parametrize("era", ERAS)
async def test_two_calls_inside_one_are_in_the_trail_with_their_tokens_at_the_api(tmp_path: Path, era: str) -> None:
    async with served(tmp_path) as running, running.client("alice", era=era) as client:
        [tool] = [tool for tool in (await client.list_tools()).tools if tool.name == "settle_order"]
        assert tool.input_schema["required"] == ["order_id", "amount"]
        assert tool.output_schema is not None
        assert (tool.annotations.read_only_hint, tool.annotations.destructive_hint) == (False, True)  # type: ignore[union-attr]
        result = await client.call_tool("settle_order", {"order_id": "O1001", "amount": 990})
        assert result.structured_content == {"order": "O1001", "refunded": 990}

        whole, *inner = [facts for facts in calls_of(running) if facts["tool"]["name"].startswith("settle_order")]
        assert [facts["parent"] for facts in inner] == [{"call_id": audit_id_of(result), "tool": "settle_order"}] * 2
        assert whole["inner_calls"] == 2
        assert "exchange" not in whole
        issued = {facts["exchange"]["jti"]: facts["exchange"]["scopes"] for facts in inner}
        assert list(issued.values()) == [["orders:read"], ["orders:read", "refunds:write", "payments:refund"]]
        arrived = [entry.claims["jti"] for entry in running.orders.entries]
        assert arrived == list(issued)
        assert {entry.claims["sub"] for entry in running.orders.entries} == {"alice"}


async def test_policy_may_refuse_the_second_call_alone(tmp_path: Path) -> None:
    def tables(document: dict[str, Any]) -> None:
        document["needs"]["no-refunds-by-code"] = {
            "match": {"tool": "settle_order:POST:*"},
            "deny": "code pays nothing back here",
        }

    async with served(tmp_path, tables) as running, running.client("alice") as client:
        result = await client.call_tool("settle_order", {"order_id": "O1001", "amount": 990})
        assert result.is_error
        assert result.structured_content is not None
        error = result.structured_content["error"]
        assert error["code"] == "call_refused"
        assert "code pays nothing back here (access_denied)" in error["message"]
        ends = {facts["tool"]["name"]: facts["outcome"] for facts in calls_of(running)}
        assert ends == {
            "settle_order": "failure",
            "settle_order:GET:/orders/{id}": "success",
            "settle_order:POST:/orders/{id}/refunds": "denied",
        }


async def test_another_tool_is_called_within_and_whoever_may_not_see_the_tool_does_not(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        async with running.client("alice") as client:
            result = await client.call_tool("first_order", {})
            assert result.structured_content in ("O1001", {"result": "O1001"})
        async with running.client("bob") as client:
            assert "settle_order" not in [tool.name for tool in (await client.list_tools()).tools]
            assert "first_order" in [tool.name for tool in (await client.list_tools()).tools]
