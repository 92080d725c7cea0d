"""A stdio door that speaks for whoever signed in. Started as a process by test_sign_in.py.

The login is a file with the token; whoever writes it has signed in. Usage: sign_in_server.py TOKEN_FILE [nobody]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from remit.bridge import ToolCall
from remit.credential import UnverifiedToken
from remit.doors.mcp.contract import SignInOffer
from remit.doors.mcp.stdio import StdioDoor
from remit.errors import SignInRequired
from support.clock import FakeClock
from support.mcp_door import FakeBridge, a_tool


class FileSignIn:
    """Each sign-in has a number."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._number = 0
        self._under_way = False

    async def begin(self) -> SignInOffer:
        if not self._under_way:
            self._number += 1
            self._under_way = True
        return SignInOffer(f"https://idp.example.com/authorize?n={self._number}", "Sign in at idp.example.com.")

    async def finished(self, seconds: float) -> bool:
        before = self._file.read_text(encoding="utf-8")
        for _ in range(50):
            if self._file.read_text(encoding="utf-8") not in {"", before} or before == "token-alice":
                self._under_way = False
                return True
            await asyncio.sleep(0.01)  # another process writes it: there is no event to wait for
        return False


async def main(token_file: Path, *, offers: bool) -> None:
    async def token() -> UnverifiedToken | None:
        text = token_file.read_text(encoding="utf-8")
        if not text:
            raise SignInRequired("nobody is signed in: run `remit login`")
        return UnverifiedToken(text)

    async def whoami(call: ToolCall) -> Any:
        assert call.token is not None
        return {"token": call.token.reveal(), "arguments": dict(call.arguments)}

    bridge = FakeBridge(approvers={"refund": "user"})
    for name in ("whoami", "refund"):
        bridge.add(a_tool(name), whoami)
    sign_in = FileSignIn(token_file) if offers else None
    await StdioDoor(bridge, token, FakeClock(), progress_interval=0.02, sign_in=sign_in).serve()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), offers=len(sys.argv) == 2))
