"""What the official client is shown of the tools, in both eras."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_REQUEST
from mcp_types import Tool as ListedTool

from remit.bridge import ToolCall
from remit.catalog.tool import Tool, ToolAnnotations
from remit.errors import TokenExpired
from support.clock import FakeClock
from support.mcp_door import ERAS, FakeBridge, Served, a_tool, call_message, served

pytestmark = pytest.mark.anyio
eras = pytest.mark.parametrize("era", ERAS)


async def nothing(_call: ToolCall) -> Any:
    return {}


async def listed(at: Served, era: str) -> list[ListedTool]:
    """By a client that has not kept the list."""
    async with at.client("token-alice", era) as client:
        return (await client.list_tools()).tools


def bridge_of(*tools: Tool) -> FakeBridge:
    bridge = FakeBridge()
    for tool in tools:
        bridge.add(tool, nothing)
    return bridge


@eras
async def test_a_tool_is_listed_as_its_definition_says(era: str) -> None:
    schema = {
        "type": "object",
        "properties": {"id": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/ref"}]}},
        "$defs": {"ref": {"type": "string", "pattern": "^O-"}},
        "required": ["id"],
        "additionalProperties": False,
    }
    output = {"type": "object", "properties": {"total": {"type": "number"}}}
    tool = a_tool(
        "refund",
        title="Refund an order",
        description="Gives money back.",
        input_schema=schema,
        output_schema=output,
        annotations=ToolAnnotations(read_only=False, destructive=True, idempotent=True, open_world=False),
    )
    async with served(bridge_of(tool)) as at, at.client("token-alice", era) as client:
        (listed,) = (await client.list_tools()).tools
    assert (listed.name, listed.title, listed.description) == ("refund", "Refund an order", "Gives money back.")
    assert listed.input_schema == schema
    assert listed.output_schema == output
    assert listed.annotations is not None
    assert listed.annotations.model_dump(by_alias=True, exclude_none=True) == {
        "readOnlyHint": False,
        "destructiveHint": True,
        "idempotentHint": True,
        "openWorldHint": False,
    }


@pytest.mark.parametrize(("era", "shown"), [("2026-07-28", {"type": "array"}), ("legacy", None)], ids=ERAS)
async def test_an_output_schema_of_no_object_is_shown_only_where_the_era_allows_it(era: str, shown: Any) -> None:
    bridge = bridge_of(a_tool("names", output_schema={"type": "array"}))
    async with served(bridge) as at, at.client("token-alice", era) as client:
        (listed,) = (await client.list_tools()).tools
    assert listed.output_schema == shown


@eras
async def test_each_caller_sees_their_own_tools_in_order(era: str) -> None:
    bridge = bridge_of(*(a_tool(name) for name in ("c", "a", "b")))
    bridge.hidden = {"bob": {"a"}}
    names = {}
    async with served(bridge) as at:
        for user in ("alice", "bob"):
            async with at.client(f"token-{user}", era) as client:
                names[user] = [tool.name for tool in (await client.list_tools()).tools]
    assert names == {"alice": ["a", "b", "c"], "bob": ["b", "c"]}


async def test_a_list_is_private_to_its_caller_and_soon_stale() -> None:
    async with served(bridge_of(a_tool("a"))) as at, at.client("token-alice") as client:
        result = await client.list_tools()
    assert (result.cache_scope, result.ttl_ms) == ("private", 60_000)


@eras
async def test_five_hundred_tools_fit_on_one_page(era: str) -> None:
    bridge = bridge_of(*(a_tool(f"t{n:03}") for n in range(500)))
    async with served(bridge) as at, at.client("token-alice", era) as client:
        result = await client.list_tools()
    assert len(result.tools) == 500
    assert result.next_cursor is None


@eras
async def test_more_tools_come_on_further_pages_each_once(era: str) -> None:
    names = [f"t{n:04}" for n in range(1203)]
    seen: list[str] = []
    async with served(bridge_of(*map(a_tool, names))) as at, at.client("token-alice", era) as client:
        cursor = None
        while True:
            page = await client.list_tools(cursor=cursor)
            seen += [tool.name for tool in page.tools]
            if (cursor := page.next_cursor) is None:
                break
    assert seen == names


def in_the_list(tool: Tool) -> dict[str, Any]:
    """A tool that only reads, without title and output schema."""
    hints = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
    described = {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
    return {**described, "annotations": hints}


@eras
async def test_a_tool_is_written_for_each_era_as_it_stands(era: str) -> None:
    """Whatever stands in it, what the list is put together by included."""
    odd = a_tool(
        "odd",
        title='"tools":[]',
        description='Says "tools":[] and \\"tools\\":[], ends a line\r\n\r\n, and is not ASCII: \u2603 \U0001f600',
        input_schema={"type": "object", "properties": {"n": {"maximum": 10**30, "default": None}}, "x": {"tools": []}},
    )
    plain = a_tool("plain", title="", output_schema={"type": "object"})
    async with served(bridge_of(odd, plain)) as at:
        first, again = await listed(at, era), await listed(at, era)
    assert first == again
    assert [tool.model_dump(by_alias=True, exclude_none=True) for tool in first] == [
        {**in_the_list(odd), "title": '"tools":[]'},
        {**in_the_list(plain), "outputSchema": {"type": "object"}},
    ]


@pytest.mark.parametrize("request_id", ['"tools":[]', '\\"tools\\":[]', "1"])
@eras
async def test_tools_stand_nowhere_else_than_in_their_list(era: str, request_id: str) -> None:
    async with served(bridge_of(a_tool("a"), a_tool("b"))) as at:
        headers, message = call_message("", era)
        message |= {"id": request_id, "method": "tools/list"}
        headers |= {"Mcp-Method": "tools/list"}
        headers.pop("Mcp-Name", None)
        async with at.http() as http:
            answer = await http.post("/mcp", headers=headers, json=message)
    message = json.loads(answer.text.partition("data: ")[2] or answer.text)
    assert message["id"] == request_id
    assert [tool["name"] for tool in message["result"]["tools"]] == ["a", "b"]


@eras
async def test_nobody_is_shown_a_tool_as_it_was(era: str) -> None:
    bridge = bridge_of(a_tool("a", title="before"), a_tool("b", title="stays"))
    titles = []
    async with served(bridge) as at:
        titles.append([tool.title for tool in await listed(at, era)])
        bridge.add(a_tool("a", title="after"), nothing)
        titles.append([tool.title for tool in await listed(at, era)])
        await at.door.notify_tools_changed()
        titles.append([tool.title for tool in await listed(at, era)])
    assert titles == [["before", "stays"], ["after", "stays"], ["after", "stays"]]


@eras
async def test_a_tool_that_the_protocol_has_no_words_for_is_a_fault_and_no_crash(era: str) -> None:
    bridge = bridge_of(a_tool("a", input_schema={"type": "array"}))
    async with served(bridge) as at, at.client("token-alice", era) as client:
        with pytest.raises(MCPError) as caught:
            await client.list_tools()
    assert caught.value.error.code == INTERNAL_ERROR


@eras
async def test_a_tool_is_written_once(era: str) -> None:
    """Nobody changes a tool: that a list does not show it tells that the SDK was not asked to write it again."""
    schema: dict[str, Any] = {"type": "object"}
    async with served(bridge_of(a_tool("a", input_schema=schema))) as at:
        first = await listed(at, era)
        schema["title"] = "changed"
        assert await listed(at, era) == first


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_the_server_tells_the_agent_how_to_behave(mode: str, version: str) -> None:
    async with served(bridge_of()) as at, at.client("token-alice", mode) as client:
        assert client.protocol_version == version
        assert client.instructions is not None
        assert "on behalf of the signed-in user" in client.instructions


async def test_a_call_does_not_make_a_list_first() -> None:
    bridge = bridge_of(a_tool("a"))
    lists = 0
    visible_tools = bridge.visible_tools

    async def counted(door: str, token: Any) -> Any:
        nonlocal lists
        lists += 1
        return await visible_tools(door, token)

    async with served(bridge) as at, at.client("token-alice") as client:
        await client.list_tools()
        bridge.visible_tools = counted  # type: ignore[method-assign]
        await client.call_tool("a", {"x": 1})
    assert lists == 1  # the fake bridge's own


async def test_a_client_that_listens_is_told_when_tools_change() -> None:
    bridge = bridge_of(a_tool("a"))
    async with served(bridge) as at, at.client("token-alice", "auto") as client:
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.tools.list_changed
        async with client.listen(tools_list_changed=True) as changes:
            bridge.add(a_tool("b"), nothing)
            await at.door.notify_tools_changed()
            with anyio.fail_after(5):
                await anext(aiter(changes))
        names = [tool.name for tool in (await client.list_tools()).tools]
    assert names == ["a", "b"]


async def test_a_change_stream_ends_with_the_token_it_was_opened_with() -> None:
    bridge = bridge_of(a_tool("a"))
    clock = FakeClock(bridge.expires_at - 0.05)
    async with served(bridge, clock) as at, at.client("token-alice") as client:
        with anyio.fail_after(5):
            async with client.listen(tools_list_changed=True) as changes:
                assert [change async for change in changes] == []


async def test_change_streams_can_be_ended_before_the_server_stops() -> None:
    async with served(bridge_of(a_tool("a"))) as at, at.client("token-alice") as client:
        with anyio.fail_after(5):
            async with client.listen(tools_list_changed=True) as changes:
                at.door.end_streams()
                assert [change async for change in changes] == []


@eras
async def test_a_token_that_expired_behind_the_guard_is_a_fault_of_the_protocol(era: str) -> None:
    class Late(FakeBridge):
        async def visible_tools(self, door: str, token: Any) -> tuple[Tool, ...]:
            raise TokenExpired("the token has expired")

    async with served(Late()) as at, at.client("token-alice", era) as client:
        with pytest.raises(MCPError) as caught:
            await client.list_tools()
    assert caught.value.error.code == INVALID_REQUEST
    assert caught.value.error.data["error"]["code"] == "token_expired"
