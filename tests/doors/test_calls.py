"""The official client calls tools through the HTTP door, in both eras."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mcp import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from structlog.testing import capture_logs

from remit.bridge import ToolCall
from remit.catalog.tool import Tool
from remit.errors import ArgumentsInvalid, DownstreamRefused, PolicyDenied, RateLimited
from support.mcp_door import ERAS, FakeBridge, a_tool, call_message, raw_request, served, text_of

pytestmark = pytest.mark.anyio
eras = pytest.mark.parametrize("era", ERAS)


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


async def echo(call: ToolCall) -> Any:
    return {"arguments": dict(call.arguments)}


def bridge_with(name: str, answer: Any, **tool: Any) -> FakeBridge:
    bridge = FakeBridge()
    bridge.add(a_tool(name, **tool), answer)
    return bridge


def raising(make: Callable[[], Exception]) -> Any:
    async def answer(_call: ToolCall) -> Any:
        raise make()

    return answer


@eras
async def test_a_result_comes_as_text_as_structured_content_and_with_its_audit_id(era: str) -> None:
    bridge = bridge_with("orders.get", echo)
    async with served(bridge) as at, at.client("token-alice", era) as client:
        result = await client.call_tool("orders.get", {"order_id": 7})
    assert not result.is_error
    assert result.structured_content == {"arguments": {"order_id": 7}}
    assert text_of(result) == "text of {'arguments': {'order_id': 7}}"
    assert result.meta is not None
    assert result.meta["remit/audit_id"] == "call-0"


@eras
async def test_the_bridge_gets_the_call_as_it_was_made(era: str) -> None:
    bridge = bridge_with("orders.get", echo)
    async with served(bridge) as at, at.client("token-alice", era) as client:
        await client.call_tool("orders.get", {"order_id": 7})
    (call,) = bridge.calls
    assert (call.door, call.name, call.arguments) == ("mcp-http", "orders.get", {"order_id": 7})
    assert call.token is not None
    assert call.token.reveal() == "token-alice"
    assert call.request_id


async def test_what_the_client_calls_itself_is_passed_on() -> None:
    bridge = bridge_with("orders.get", echo)
    async with served(bridge) as at, at.client("token-alice") as client:
        await client.call_tool("orders.get")
    assert bridge.calls[0].client.startswith("mcp/")


@eras
async def test_no_arguments_are_empty_arguments(era: str) -> None:
    bridge = bridge_with("orders.list", echo)
    async with served(bridge) as at, at.client("token-alice", era) as client:
        await client.call_tool("orders.list")
    assert bridge.calls[0].arguments == {}


@pytest.mark.parametrize(
    ("era", "structured"), [("2026-07-28", ["a", "b"]), ("legacy", {"result": ["a", "b"]})], ids=ERAS
)
async def test_a_result_that_is_no_object_is_wrapped_only_where_the_era_demands_it(era: str, structured: Any) -> None:
    async def answer(_call: ToolCall) -> Any:
        return ["a", "b"]

    schema = {"type": "array", "items": {"type": "string"}}
    async with (
        served(bridge_with("names", answer, output_schema=schema)) as at,
        at.client("token-alice", era) as client,
    ):
        result = await client.call_tool("names")
    assert result.structured_content == structured


@eras
async def test_an_answer_without_data_has_no_structured_content(era: str) -> None:
    async def answer(_call: ToolCall) -> Any:
        return None

    async with served(bridge_with("orders.cancel", answer)) as at, at.client("token-alice", era) as client:
        result = await client.call_tool("orders.cancel")
    assert result.structured_content is None
    assert text_of(result)


@eras
async def test_a_refusal_is_a_result_the_model_reads(era: str) -> None:
    denied = raising(lambda: PolicyDenied("bob may not refund orders", detail="rule refunds.rego:12", hint="grant it"))
    schema = {"type": "object", "required": ["refunded"]}
    async with served(bridge_with("refund", denied, output_schema=schema)) as at, at.client("token-bob", era) as client:
        result = await client.call_tool("refund", {"amount": 3})
    assert result.is_error
    error = result.structured_content["error"]
    assert error["code"] == "access_denied"
    assert error["message"] == "bob may not refund orders"
    assert error["audit_id"] == "call-0"
    assert "Do not repeat it unchanged" in error["help"]
    text = text_of(result)
    assert text.startswith("Bob may not refund orders. Do not repeat it unchanged")
    assert "code: access_denied" in text
    assert "audit id: call-0" in text
    assert result.meta is not None
    assert result.meta["remit/audit_id"] == "call-0"


@eras
async def test_a_refusal_says_the_apis_status_and_how_long_to_wait(era: str) -> None:
    busy = raising(lambda: DownstreamRefused("the API asks for fewer calls", status=429, retry_after=30))
    limited = raising(lambda: RateLimited("called as often as it may be", retry_after=12))
    bridge = bridge_with("busy", busy)
    bridge.add(a_tool("limited"), limited)
    async with served(bridge) as at, at.client("token-alice", era) as client:
        of_api, of_ours = await client.call_tool("busy"), await client.call_tool("limited")
    assert of_api.structured_content["error"].items() >= {"status": 429, "retry_after": 30}.items()
    assert "status: 429\nretry after: 30" in text_of(of_api)
    assert "Wait as long as `retry_after` says" in text_of(of_api)
    assert of_ours.structured_content["error"].items() >= {"code": "rate_limited", "retry_after": 12}.items()
    assert "status" not in of_ours.structured_content["error"]
    assert "Nothing was called" in text_of(of_ours)


@eras
async def test_detail_and_hint_never_reach_the_agent(era: str) -> None:
    failing = raising(lambda: DownstreamRefused("the API said no", detail="10.0.0.7 said 403", hint="rotate the key"))
    async with served(bridge_with("orders.get", failing)) as at, at.client("token-alice", era) as client:
        result = await client.call_tool("orders.get")
    assert "10.0.0.7" not in result.model_dump_json()
    assert "rotate" not in result.model_dump_json()


@eras
async def test_what_nobody_foresaw_shows_nothing_of_itself(era: str, logged: list[Any]) -> None:
    failing = raising(lambda: ZeroDivisionError("secret inside"))
    async with served(bridge_with("orders.get", failing)) as at, at.client("token-alice", era) as client:
        result = await client.call_tool("orders.get")
    assert result.is_error
    assert result.structured_content["error"]["code"] == "internal_error"
    assert "secret inside" not in result.model_dump_json()
    assert logged[0]["event"].startswith("internal error")


@eras
async def test_a_list_that_fails_shows_nothing_of_itself(era: str, logged: list[Any]) -> None:
    class Broken(FakeBridge):
        async def visible_tools(self, door: str, token: Any) -> tuple[Tool, ...]:
            raise ZeroDivisionError("secret inside")

    async with served(Broken()) as at, at.client("token-alice", era) as client:
        with pytest.raises(MCPError) as caught:
            await client.list_tools()
    assert caught.value.error.code == INTERNAL_ERROR
    assert "secret inside" not in str(caught.value.error)
    assert logged[0]["event"].startswith("internal error")


@eras
async def test_a_hidden_tool_and_an_unknown_one_answer_the_same(era: str) -> None:
    bridge = bridge_with("payroll.read", echo)
    bridge.hidden = {"bob": {"payroll.read"}}
    bridge.needed = {"payroll.read": ("payroll",)}
    errors = []
    async with served(bridge) as at, at.client("token-bob", era) as client:
        for name in ("payroll.read", "payroll.none"):
            with pytest.raises(MCPError) as caught:
                await client.call_tool(name, {"x": 1})
            errors.append(caught.value.error.model_dump_json().replace(name, "NAME"))
    assert errors[0] == errors[1]
    assert caught.value.error.code == INVALID_PARAMS
    assert caught.value.error.message == "Unknown tool: payroll.none"


@eras
async def test_a_name_that_is_too_long_is_unknown_and_not_sent_back_whole(era: str) -> None:
    bridge = bridge_with("orders.get", echo)
    async with served(bridge) as at, at.client("token-bob", era) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("x" * 5000)
    assert caught.value.error.message == f"Unknown tool: {'x' * 64}…"
    assert bridge.calls == []


@eras
async def test_arguments_that_are_nested_too_deep_are_refused_before_the_bridge(era: str) -> None:
    bridge = bridge_with("orders.get", echo)
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"a": deep}
    async with served(bridge) as at, at.client("token-bob", era) as client:
        result = await client.call_tool("orders.get", deep)
    assert result.structured_content["error"]["code"] == ArgumentsInvalid.code
    assert bridge.calls == []


@eras
async def test_a_slow_call_says_that_it_is_still_running(era: str) -> None:
    told: list[tuple[float, str | None]] = []
    enough = asyncio.Event()

    async def answer(_call: ToolCall) -> Any:
        await enough.wait()
        return {"done": True}

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))
        if len(told) == 3:
            enough.set()

    async with served(bridge_with("report", answer)) as at, at.client("token-alice", era) as client:
        result = await client.call_tool("report", progress_callback=hear)
    assert result.structured_content == {"done": True}
    assert told[:3] == [(1, "waiting for report"), (2, "waiting for report"), (3, "waiting for report")]


@eras
async def test_a_call_that_is_given_up_is_cancelled_at_the_bridge(era: str) -> None:
    async def answer(_call: ToolCall) -> Any:
        await asyncio.Event().wait()

    bridge = bridge_with("report", answer)
    async with served(bridge) as at, at.client("token-alice", era) as client:
        calling = asyncio.create_task(client.call_tool("report"))
        await bridge.started.wait()
        calling.cancel()
        async with asyncio.timeout(5):
            await bridge.cancelled.wait()
        with pytest.raises(asyncio.CancelledError):
            await calling


@eras
async def test_a_client_that_goes_away_cancels_its_call(era: str) -> None:
    """The connection breaks without a word: what a killed client looks like."""

    async def answer(_call: ToolCall) -> Any:
        await asyncio.Event().wait()

    bridge = bridge_with("report", answer)
    async with served(bridge) as at:
        _reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(raw_request(at, *call_message("report", era)))
        await bridge.started.wait()
        writer.close()
        async with asyncio.timeout(5):
            await bridge.cancelled.wait()


async def test_only_the_caller_can_cancel_a_call() -> None:
    finish = asyncio.Event()

    async def answer(_call: ToolCall) -> Any:
        await finish.wait()
        return {"done": True}

    bridge = bridge_with("report", answer)
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    async with served(bridge) as at, at.http() as http:
        headers, body = call_message("report", "legacy")
        headers["Mcp-Session-Id"] = "label"
        calling = asyncio.create_task(http.post("/mcp", headers=headers, json=body))
        await bridge.started.wait()
        for token, label in (("token-bob", "label"), ("token-alice", "another"), ("token-alice", "")):
            told = {**headers, "Authorization": f"Bearer {token}", "Mcp-Session-Id": label}
            assert (await http.post("/mcp", headers=told, json=cancel)).status_code == 202
        assert not bridge.cancelled.is_set()
        finish.set()
        assert '"done":true' in (await calling).text


async def test_a_cancelled_call_ends_its_response_and_leaves_the_connection_usable() -> None:
    async def answer(_call: ToolCall) -> Any:
        await asyncio.Event().wait()

    bridge = bridge_with("report", answer)
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "1"}}
    async with served(bridge) as at, at.http() as http:
        headers, body = call_message("report", "legacy")
        headers["Mcp-Session-Id"] = "label"
        calling = asyncio.create_task(http.post("/mcp", headers=headers, json=body))
        await bridge.started.wait()
        await http.post("/mcp", headers=headers, json=cancel)
        async with asyncio.timeout(5):
            response = await calling
        assert response.status_code == 200
        assert "result" not in response.text
        assert bridge.cancelled.is_set()


async def test_two_hundred_calls_at_once_never_mix_their_callers() -> None:
    ready = asyncio.Barrier(20)

    async def answer(call: ToolCall) -> Any:
        assert call.token is not None
        await ready.wait()  # twenty are always inside together
        return {"token": call.token.reveal(), "arguments": dict(call.arguments)}

    bridge = bridge_with("whoami", answer)

    async def calls_of(user: int) -> None:
        era = ERAS[user % 2]
        async with at.client(f"token-user{user}", era) as client:
            for number in range(10):
                result = await client.call_tool("whoami", {"user": user, "number": number})
                expected = {"token": f"token-user{user}", "arguments": {"user": user, "number": number}}
                assert result.structured_content == expected

    async with served(bridge) as at:
        await asyncio.gather(*(calls_of(user) for user in range(20)))
    assert len(bridge.calls) == 200
