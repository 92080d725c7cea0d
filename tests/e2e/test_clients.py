"""The official client in both eras, over HTTP and over the standard input and output of a real process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import INVALID_PARAMS

from support.company import DOORS, Company, audit_id_of, company_in_thread, error_of
from support.mcp_door import ERAS

pytestmark = pytest.mark.anyio
doors = pytest.mark.parametrize("door", DOORS)
eras = pytest.mark.parametrize("era", ERAS)

ALL = ["get_order", "get_payment", "list_orders", "list_payments", "refund_order"]
READS = ["get_order", "list_orders"]
RUNNER = "agent-runner"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company_in_thread(tmp_path_factory.mktemp("company")) as running:
        yield running


@doors
@eras
async def test_a_support_lead_lists_reads_and_refunds(company: Company, door: str, era: str) -> None:
    """One session for all of it: starting a process is what takes the time."""
    async with company.client("alice", door=door, era=era) as client:
        await sees_every_tool_described(client)
        await reads_an_order_with_a_delegated_token(client, company, door)
        await refunds_through_two_hops(client, company)
        await is_told_what_policy_asks_for(client, company)
        await is_told_what_is_wrong_with_arguments(client, company)
        await is_told_what_the_api_refused(client, company)


@doors
@eras
async def test_an_intern_sees_and_does_less(company: Company, door: str, era: str) -> None:
    async with company.client("bob", door=door, era=era) as client:
        assert await names(client) == READS
        result = await client.call_tool("get_order", {"order_id": "O1002"})
        assert result.structured_content["id"] == "O1002"
        await is_refused_by_role(client, company)
        await knows_no_tool_that_is_not_there(client)


async def names(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


async def sees_every_tool_described(client: Client) -> None:
    first, again = await client.list_tools(), await client.list_tools()
    assert [tool.name for tool in first.tools] == ALL
    assert [tool.model_dump() for tool in first.tools] == [tool.model_dump() for tool in again.tools]
    tools = {tool.name: tool for tool in first.tools}
    get, refund = tools["get_order"], tools["refund_order"]
    assert get.annotations is not None
    assert get.annotations.read_only_hint is True
    assert refund.annotations is not None
    assert refund.annotations.destructive_hint is True
    assert refund.annotations.read_only_hint is False
    assert get.title == "Get an order"
    assert get.input_schema["required"] == ["order_id"]
    assert get.input_schema["properties"]["order_id"]["pattern"] == "^O[0-9]{1,12}$"
    assert "requested_by" not in refund.input_schema["properties"]  # the model neither sees nor sets it


async def reads_an_order_with_a_delegated_token(client: Client, company: Company, door: str) -> None:
    result = await client.call_tool("get_order", {"order_id": "O1001"})
    assert not result.is_error
    assert result.structured_content["customer"] == {"name": "Ada Brandt", "email": "ada.brandt@example.com"}
    (received,) = company.orders.of(audit_id_of(result))
    claims = received.claims
    assert claims["sub"] == "alice"
    assert claims["act"]["sub"] == RUNNER
    assert claims["aud"] == "orders-api"
    assert claims["scope"] == "orders:read"
    assert claims["exp"] - claims["iat"] <= 300
    facts = company.recorded(audit_id_of(result)).facts
    assert facts["outcome"] == "success"
    assert facts["door"] == f"mcp-{door}"
    assert facts["principal"]["subject"] == "alice"
    assert facts["actor"]["sub"] == RUNNER
    assert facts["actor"]["assurance"] == "authenticated"
    assert facts["decision"]["allow"] is True
    assert facts["exchange"]["jti"] == claims["jti"]
    assert facts["exchange"]["parent_jti"] == facts["principal"]["jti"]
    assert facts["downstream"]["path"] == "/orders/{order_id}"


async def refunds_through_two_hops(client: Client, company: Company) -> None:
    result = await client.call_tool("refund_order", {"order_id": "O1003", "amount": 11, "reason": "late"})
    assert result.structured_content["status"] == "paid"
    assert result.structured_content["requested_by"] == "alice"
    (orders,) = company.orders.of(audit_id_of(result))
    (payments,) = company.payments.of(audit_id_of(result))
    assert orders.claims["act"]["sub"] == RUNNER
    assert orders.claims["exp"] - orders.claims["iat"] <= 60  # the policy's obligation for what is destructive
    assert payments.claims["sub"] == "alice"
    assert payments.claims["aud"] == "payments-api"
    assert payments.claims["scope"] == "payments:refund"
    assert payments.claims["act"]["sub"] == "orders-api"
    assert payments.claims["act"]["act"]["sub"] == RUNNER


async def is_told_what_policy_asks_for(client: Client, company: Company) -> None:
    result = await client.call_tool("refund_order", {"order_id": "O1003", "amount": 50_001, "reason": "late"})
    refused_and_recorded(result, company, "access_denied", "refunds:large", "amount_needs_scope")


async def is_told_what_is_wrong_with_arguments(client: Client, company: Company) -> None:
    result = await client.call_tool("get_order", {"order_id": "../admin"})
    error = error_of(result)
    assert error["code"] == "invalid_arguments"
    assert "order_id" in error["message"]
    facts = company.recorded(error["audit_id"]).facts
    assert facts["outcome"] == "failure"
    assert "../admin" not in str(facts)


async def is_told_what_the_api_refused(client: Client, company: Company) -> None:
    error = error_of(await client.call_tool("get_order", {"order_id": "O9"}))
    assert error["code"] == "downstream_refused"
    assert "No order has that id" in error["message"]
    facts = company.recorded(error["audit_id"]).facts
    assert facts["outcome"] == "failure"
    assert facts["downstream"]["status"] == 404


async def is_refused_by_role(client: Client, company: Company) -> None:
    result = await client.call_tool("refund_order", {"order_id": "O1003", "amount": 1, "reason": "late"})
    refused_and_recorded(result, company, "access_denied", "your role does not allow", "role_forbids")


def refused_and_recorded(result: Any, company: Company, code: str, words: str, reason: str) -> None:
    """The agent reads code, reason and audit id, twice; the trail has them; no API saw the call."""
    error = error_of(result)
    assert error["code"] == code
    assert words in error["message"]
    assert error["help"]
    assert error["audit_id"] == audit_id_of(result)
    text = result.content[0].text
    assert f"code: {code}" in text
    assert words.casefold() in text.casefold()
    assert error["audit_id"] in text
    call = company.recorded(error["audit_id"])
    assert call.intent is None
    assert call.facts["outcome"] == "denied"
    assert [each["code"] for each in call.facts["decision"]["reasons"]] == [reason]
    assert "exchange" not in call.facts
    assert not company.orders.of(error["audit_id"])


async def knows_no_tool_that_is_not_there(client: Client) -> None:
    with pytest.raises(MCPError) as caught:
        await client.call_tool("no_such_tool", {})
    assert caught.value.error.code == INVALID_PARAMS
    assert caught.value.error.message == "Unknown tool: no_such_tool"
