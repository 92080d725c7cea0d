"""`remit serve` in a process of its own before the sample company's APIs, which tell every byte that reached them.

The APIs run in a thread, so that a test may block. ``prepare`` may change the workspace before it is served.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit.clock import SystemClock
from remit.credential import Credential
from remit.demo.orders import orders_app
from remit.demo.payments import payments_app
from remit.demo.stock import stock_app
from support.command import remit, remit_process, wait_until_served
from support.company import Workspace, make_workspace
from support.described_requests import Seen
from support.servers import Listener, serving


@dataclass
class WatchedApi:
    """Passes requests on and keeps them, with the status of their answers."""

    app: ASGIApp
    seen: list[Seen] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, statuses = await _whole(receive), []
        parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def received() -> Message:
            return parts.pop() if parts else await receive()

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        try:
            await self.app(scope, received, sent)
        finally:
            self.seen.append(_seen(scope, body, statuses[0] if statuses else 0))


async def _whole(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _seen(scope: Scope, body: bytes, status: int) -> Seen:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    assert len(headers) == len(scope["headers"]), "a header field stands there twice"
    return Seen(
        scope["method"],
        scope["raw_path"].decode("ascii"),
        scope["query_string"].decode("ascii"),
        headers,
        body,
        status,
    )


@dataclass
class WatchedCompany(Workspace):
    """A workspace that another process serves, and what reached each API."""

    apis: dict[str, WatchedApi] = field(kw_only=True)
    portal: BlockingPortal = field(kw_only=True)
    token: str = field(kw_only=True, repr=False)

    @property
    def log(self) -> str:
        """What the serving process wrote about itself."""
        return (self.folder / "serve.log").read_text(encoding="utf-8")

    @property
    def seen(self) -> list[tuple[str, Seen]]:
        """Every request with the name of the API that got it."""
        return [(name, seen) for name, api in self.apis.items() for seen in api.seen]

    def tools(self) -> dict[str, Any]:
        """The tools that Alice's agent is shown, by name."""

        async def listed(client: Client) -> dict[str, Any]:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

        with self.portal.wrap_async_context_manager(self.http_client(self.token)) as client:
            return self.portal.call(listed, client)


@contextmanager
def watched_company(folder: Path, prepare: Callable[[Workspace], None] | None = None) -> Iterator[WatchedCompany]:
    """It is served while the block runs."""
    mcp, orders, payments, stock = listeners = (Listener(), Listener(), Listener(), Listener())
    workspace = make_workspace(folder, listeners)
    if prepare is not None:
        prepare(workspace)
    mcp.socket.close()  # the serving process listens there
    apis = _apis(workspace)
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        there = zip(apis.values(), (orders, payments, stock), strict=True)
        stack.enter_context(portal.wrap_async_context_manager(_all_served(list(there))))
        log = stack.enter_context((folder / "serve.log").open("wb"))
        process = stack.enter_context(remit_process("-c", workspace.config, "serve", cwd=folder, stderr=log))
        wait_until_served(workspace.base, process)
        yield WatchedCompany(**vars(workspace), apis=apis, portal=portal, token=minted(workspace, "alice"))


def minted(workspace: Workspace, user: str) -> str:
    """A development user's token for the MCP door, as the operator gets it."""
    done = remit("-c", workspace.config, "token", "mint", user, cwd=workspace.folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _apis(workspace: Workspace) -> dict[str, WatchedApi]:
    issuer, clock = workspace.base, SystemClock()
    secret = Credential(workspace.secrets["orders-api"])
    orders = orders_app(issuer=issuer, clock=clock, client_secret=secret, payments_url=workspace.payments_url)
    payments = payments_app(issuer=issuer, clock=clock)
    stock = stock_app(issuer=issuer, clock=clock)
    return {"orders": WatchedApi(orders), "payments": WatchedApi(payments), "stock": WatchedApi(stock)}


@asynccontextmanager
async def _all_served(there: list[tuple[WatchedApi, Listener]]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for api, listener in there:
            await stack.enter_async_context(serving(api, listener))
        yield
