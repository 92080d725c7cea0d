"""The official client starts a real process and speaks to it over its standard input and output, in both eras."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    ElicitRequestParams,
    ElicitResult,
    ToolListChangedNotification,
)

from support.mcp_door import ERAS, text_of

pytestmark = pytest.mark.anyio
eras = pytest.mark.parametrize("era", ERAS)
SCRIPT = Path(__file__).parent / "stdio_server.py"


class Process:
    """Where one server process gets its token and where it writes what happened."""

    def __init__(self, folder: Path) -> None:
        self.token_file = folder / "token"
        self.token_file.write_text("token-alice", encoding="utf-8")
        self.journal = folder / "journal"
        self.journal.touch()
        self.arguments = [str(SCRIPT), str(self.token_file), str(self.journal)]

    @asynccontextmanager
    async def client(self, era: str, **options: Any) -> AsyncIterator[Client]:
        command = StdioServerParameters(command=sys.executable, args=self.arguments, env=dict(os.environ))
        async with Client(command, mode=era, **options) as client:
            yield client

    async def happened(self, line: str) -> None:
        async with asyncio.timeout(10):
            while line not in self.journal.read_text(encoding="utf-8").splitlines():
                await asyncio.sleep(0.01)  # another process writes it: there is no event to wait for


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


@eras
async def test_a_session_is_governed_like_any_other_door(process: Process, era: str) -> None:
    """One process for all of it: starting one is what takes the time."""
    async with process.client(era) as client:
        await lists_and_calls(client)
        await reads_the_token_anew_for_each_call(client, process)
        await refuses(client)
        await cancels_a_slow_call_after_hearing_of_it(client, process)
        await serves_nobody_who_is_not_signed_in(client, process)
    await process.happened("ended")


async def lists_and_calls(client: Client) -> None:
    names = [tool.name for tool in (await client.list_tools()).tools]
    assert names == ["change", "refund", "refuse", "scoped", "wait", "whoami"]
    result = await client.call_tool("whoami", {"x": 1})  # which also prints to standard output
    assert result.structured_content == {"token": "token-alice", "door": "mcp-stdio", "arguments": {"x": 1}}


async def reads_the_token_anew_for_each_call(client: Client, process: Process) -> None:
    process.token_file.write_text("token-alice-renewed", encoding="utf-8")
    result = await client.call_tool("whoami")
    assert result.structured_content["token"] == "token-alice-renewed"


async def refuses(client: Client) -> None:
    result = await client.call_tool("refuse")
    assert result.is_error
    assert result.structured_content["error"]["code"] == "access_denied"
    result = await client.call_tool("scoped")  # there is no challenge here: it is a result like any other
    assert result.structured_content["error"]["code"] == "insufficient_scope"
    result = await client.call_tool("refund")  # a client that shows no forms
    assert result.structured_content["error"]["approval_id"] == "approval-0"
    assert "Call it again, unchanged" in text_of(result)
    with pytest.raises(MCPError) as caught:
        await client.call_tool("nosuch")
    assert caught.value.error.code == INVALID_PARAMS


async def cancels_a_slow_call_after_hearing_of_it(client: Client, process: Process) -> None:
    told = asyncio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert message == "waiting for wait"
        told.set()

    calling = asyncio.create_task(client.call_tool("wait", progress_callback=hear))
    async with asyncio.timeout(10):
        await told.wait()
    calling.cancel()
    await process.happened("cancelled")
    with pytest.raises(asyncio.CancelledError):
        await calling


async def serves_nobody_who_is_not_signed_in(client: Client, process: Process) -> None:
    process.token_file.write_text("", encoding="utf-8")
    for request in (client.session.list_tools, lambda: client.call_tool("whoami")):
        with pytest.raises(MCPError) as caught:
            await request()
        assert caught.value.error.code == INVALID_REQUEST
        assert caught.value.error.data["error"]["code"] == "token_missing"


@eras
async def test_the_user_is_asked_to_approve_a_call_and_only_they_count(process: Process, era: str) -> None:
    """One process for all of it."""
    answers = ["accept", "decline", "cancel", "accept"]
    questions: list[str] = []

    async def user(_context: Any, params: ElicitRequestParams) -> ElicitResult:
        questions.append(params.message)
        if len(questions) == len(answers):  # somebody else signs in while the question is shown
            process.token_file.write_text("token-bob", encoding="utf-8")
        return ElicitResult(action=answers[len(questions) - 1])  # type: ignore[arg-type]

    async with process.client(era, elicitation_callback=user) as client:
        made = await client.call_tool("refund", {"amount": 1})
        assert made.structured_content["arguments"] == {"amount": 1}
        declined = await client.call_tool("refund", {"amount": 2})
        assert declined.structured_content["error"]["code"] == "approval_denied"
        closed = await client.call_tool("refund", {"amount": 3})
        assert closed.structured_content["error"]["code"] == "approval_required"
        assert questions == [f"Allow refund with {{'amount': {amount}}}?" for amount in (1, 2, 3)]
        await is_not_made_for_somebody_else(client, era)


async def is_not_made_for_somebody_else(client: Client, era: str) -> None:
    if era == "legacy":
        result = await client.call_tool("refund", {"amount": 4})
        assert result.structured_content["error"]["code"] == "approval_unusable"
        return
    with pytest.raises(MCPError) as caught:
        await client.call_tool("refund", {"amount": 4})
    assert caught.value.error.message == "Invalid or expired requestState"


async def test_a_client_of_the_handshake_era_is_told_when_tools_change(process: Process) -> None:
    told = asyncio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            told.set()

    async with process.client("legacy", message_handler=hear) as client:
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.tools.list_changed
        await client.call_tool("change")
        async with asyncio.timeout(10):
            await told.wait()
        assert "added" in [tool.name for tool in (await client.list_tools()).tools]


def test_the_end_of_input_ends_the_process_and_its_calls(process: Process) -> None:
    """The client is killed: its end of the pipe closes and no goodbye is said."""
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    messages = [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami"}},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "wait"}},
    ]
    with subprocess.Popen(
        [sys.executable, *process.arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for message in messages:
            running.stdin.write(json.dumps(message).encode() + b"\n")
        running.stdin.flush()
        lines = [running.stdout.readline(), running.stdout.readline()]
        asyncio.run(process.happened("started"))
        running.stdin.close()
        lines += running.stdout.readlines()
        assert running.wait(timeout=10) == 0
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in lines)  # nothing but the protocol
    assert process.journal.read_text(encoding="utf-8").split() == ["started", "cancelled", "ended"]
