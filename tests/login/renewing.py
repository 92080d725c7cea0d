"""One process that needs the access token of a login. Started by test_tokens.py.

Usage: renewing.py FOLDER ISSUER TIMES
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from remit.clock import SystemClock
from remit.login.login import LoginClient, LoginTarget
from remit.login.store import LoginStore
from remit.login.tokens import LoginTokens
from support.login_server import CLIENT, RESOURCE


async def main(folder: str, issuer: str, times: int) -> None:
    client = LoginClient(LoginTarget(issuer, CLIENT, RESOURCE))
    tokens = LoginTokens(client, LoginStore(Path(folder), keep="file"), SystemClock(), required="nobody")
    print("ready", flush=True)
    sys.stdin.readline()  # all begin together
    for _ in range(times):
        token = await tokens()
        assert token is not None
        print(token.digest.hex())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
