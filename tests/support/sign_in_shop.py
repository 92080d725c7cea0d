"""The sample company as a newcomer has it: `remit serve` in a process of its own, and alice has a password.

Its APIs run in this event loop, so that a test sees what reached them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from remit.clock import SystemClock
from remit.credential import Credential
from remit.demo.api import Journal
from remit.demo.orders import orders_app
from remit.demo.payments import payments_app
from support.command import remit, remit_process, wait_until_served
from support.company import Document, Workspace, make_workspace
from support.servers import Listener, serving

PASSWORD: Final = "seven blue horses"
CALLBACK: Final = "/callback"
#: Where a client that is an app waits for its answer.
APP: Final = "com.example.desk:/callback"


@dataclass
class SignInShop(Workspace):
    """A workspace that another process serves."""

    orders: Journal = field(kw_only=True)
    payments: Journal = field(kw_only=True)

    def made(self, tool: str) -> dict[str, Any]:
        """What the trail knows of the last call of ``tool``."""
        return [facts for facts in self.facts() if facts.get("tool", {}).get("name") == tool][-1]

    def chain(self, journal: Journal | None = None) -> list[str]:
        """Who acted in the last call that an API saw, nearest to it first; the user at the end."""
        claims = (journal or self.orders).entries[-1].claims
        chain, act = [], claims.get("act")
        while act:
            chain.append(act["sub"])
            act = act.get("act")
        return [*chain, claims["sub"]]


@asynccontextmanager
async def sign_in_shop(
    folder: Path, change: Callable[[Document], None] | None = None, **environment: str
) -> AsyncIterator[SignInShop]:
    """It is served while the block runs. ``change`` edits the settings first."""
    mcp, orders, payments, stock = Listener(), Listener(), Listener(), Listener()
    workspace = make_workspace(folder, (mcp, orders, payments, stock), change)
    await asyncio.to_thread(set_password, workspace)
    clock = SystemClock()
    paying = payments_app(issuer=workspace.base, clock=clock)
    secret = Credential(workspace.secrets["orders-api"])
    ordering = orders_app(issuer=workspace.base, clock=clock, client_secret=secret, payments_url=workspace.payments_url)
    journals = {"orders": ordering.state.journal, "payments": paying.state.journal}
    mcp.socket.close()  # the serving process listens there
    stock.socket.close()  # it is not served
    async with serving(ordering, orders), serving(paying, payments):
        with (
            (folder / "serve.log").open("wb") as log,
            remit_process("-c", workspace.config, "serve", cwd=folder, stderr=log, env=environment) as process,
        ):
            await asyncio.to_thread(wait_until_served, workspace.base, process)
            yield SignInShop(**vars(workspace), **journals)


def set_password(workspace: Workspace, user: str = "alice") -> None:
    """As an operator does."""
    command = ("-c", workspace.config, "users", "password", user, "--stdin")
    done = remit(*command, cwd=workspace.folder, stdin=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr


@dataclass
class Callback:
    """Where a client on this machine waits for the answer to its request."""

    url: str
    _came: asyncio.Queue[str]

    async def answer(self) -> str:
        """The query that the next answer brings."""
        return await asyncio.wait_for(self._came.get(), 20)


@asynccontextmanager
async def callback() -> AsyncIterator[Callback]:
    """A loopback address that browsers can be sent to."""
    came: asyncio.Queue[str] = asyncio.Queue()

    async def answered(request: Request) -> Response:
        await came.put(urlsplit(str(request.url)).query)
        return HTMLResponse(
            '<!doctype html><link rel="icon" href="data:,"><title>Done</title><h1>Back at the client</h1>'
        )

    async with serving(Starlette(routes=[Route(CALLBACK, answered)])) as url:
        yield Callback(url + CALLBACK, came)


def told(shop: SignInShop, client_id: str, assurance: str) -> None:
    """The trail and the API know who it was, through which client, and how sure that is."""
    made = shop.made("get_order")
    assert made["principal"]["subject"] == "alice"
    assert made["actor"] == {
        "sub": client_id,
        "iss": shop.base,
        "assurance": assurance,
        "evidence": made["actor"]["evidence"],
        "via": {"sub": "agent-runner", "iss": shop.base},
    }
    assert shop.chain() == ["agent-runner", client_id, "alice"]
