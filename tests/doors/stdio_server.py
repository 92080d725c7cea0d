"""A stdio door in front of a bridge that writes down what happens to it. Started as a process by test_stdio.py.

Usage: stdio_server.py TOKEN_FILE JOURNAL
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from remit.bridge import ToolCall
from remit.credential import UnverifiedToken
from remit.doors.mcp.stdio import StdioDoor
from remit.errors import PolicyDenied
from support.clock import FakeClock
from support.mcp_door import FakeBridge, a_tool


async def main(token_file: Path, journal: Path) -> None:
    def note(line: str) -> None:
        with journal.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    async def token() -> UnverifiedToken | None:
        text = token_file.read_text(encoding="utf-8").strip()
        return UnverifiedToken(text) if text else None

    bridge = FakeBridge(approvers={"refund": "user"}, needed={"scoped": ("orders:write",)})
    door = StdioDoor(bridge, token, FakeClock(), progress_interval=0.02)

    async def whoami(call: ToolCall) -> Any:
        print("a stray line for standard output")
        assert call.token is not None
        return {"token": call.token.reveal(), "door": call.door, "arguments": dict(call.arguments)}

    async def refuse(_call: ToolCall) -> Any:
        raise PolicyDenied("not today")

    async def wait(_call: ToolCall) -> Any:
        note("started")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            note("cancelled")
            raise

    async def change(_call: ToolCall) -> Any:
        bridge.add(a_tool("added"), whoami)
        await door.notify_tools_changed()
        return {}

    answers = {"whoami": whoami, "refuse": refuse, "wait": wait, "change": change, "refund": whoami, "scoped": whoami}
    for name, answer in answers.items():
        bridge.add(a_tool(name), answer)
    await door.serve()
    note("ended")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
