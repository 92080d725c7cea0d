"""The sample company with remit in front of it, on free loopback ports, in a workspace of its own.

In the test's own event loop::

    async with company(tmp_path) as running:
        async with running.client("alice") as client: ...

In a thread, for fixtures that many tests share and for tests that block::

    with company_in_thread(tmp_path) as running: ...

``change`` edits the settings document before it is read, ``apis`` adds APIs of the test's own: each is served, its
address stands in the tool files' variable ``<NAME>_URL``, and its tool file is written into the workspace.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from remit.app.development import mint_for
from remit.app.serving import http_app
from remit.app.wiring import App, running
from remit.audit.store.reader import Call, open_reader
from remit.credential import Credential
from remit.demo.api import Journal
from remit.demo.orders import orders_app
from remit.demo.payments import payments_app
from remit.demo.stock import stock_app
from remit.demo.workspace import write_workspace
from remit.settings import load_settings
from support.command import environment, remit_command
from support.mcp_door import TLS
from support.servers import Listener, serving

#: The doors a client can come in by.
DOORS = ("http", "stdio")

Document = dict[str, Any]
Listeners = tuple[Listener, Listener, Listener, Listener]


@dataclass(frozen=True)
class Api:
    """An API of the test's own. ``make`` gets the issuer whose tokens it takes; ``tools`` is its tool file."""

    make: Callable[[str], Any]
    tools: str


@dataclass
class Workspace:
    """A folder with settings, tools, policy and secrets, and the ports its settings name."""

    folder: Path
    base: str
    orders_url: str
    payments_url: str
    stock_url: str

    @property
    def config(self) -> Path:
        return self.folder / "remit.yaml"

    @property
    def mcp_url(self) -> str:
        return f"{self.base}/mcp"

    @property
    def trail_file(self) -> Path:
        return self.folder / ".remit" / "audit.db"

    @property
    def secrets(self) -> dict[str, str]:
        return {path.name: path.read_text(encoding="ascii") for path in (self.folder / ".remit" / "secrets").iterdir()}

    def recorded(self, audit_id: str) -> Call:
        """The call of that id, as the trail has it."""
        with open_reader(self.trail_file) as trail:
            (call,) = trail.calls(audit_id)
        return call

    def facts(self) -> list[dict[str, Any]]:
        """What the trail knows of each call, by call."""
        with open_reader(self.trail_file) as trail:
            records = trail.after(0, limit=100_000)
        calls: dict[str, dict[str, Any]] = {}
        for record in records:
            calls.setdefault(record.call_id, {}).update(record.facts)
        return list(calls.values())

    @asynccontextmanager
    async def http_client(self, token: str, era: str = "2026-07-28", **options: Any) -> AsyncIterator[Client]:
        """The official client over HTTP."""
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(
                headers=headers, verify=TLS, timeout=30, limits=httpx2.Limits(max_connections=None)
            ) as http,
            Client(streamable_http_client(self.mcp_url, http_client=http), mode=era, **options) as client,
        ):
            yield client

    @asynccontextmanager
    async def stdio_client(self, user: str, era: str = "2026-07-28", **options: Any) -> AsyncIterator[Client]:
        """The official client over the standard input and output of a process it starts."""
        command, *arguments = remit_command("-c", self.config, "serve", "--stdio", "--as", user)
        parameters = StdioServerParameters(command=command, args=arguments, env=environment())
        async with Client(parameters, mode=era, **options) as client:
            yield client


@dataclass
class Company(Workspace):
    """A workspace whose servers run. The journals say what reached the sample company's APIs."""

    app: App = field(kw_only=True)
    orders: Journal = field(kw_only=True)
    payments: Journal = field(kw_only=True)
    stock: Journal = field(kw_only=True)

    def token(self, user: str = "alice") -> str:
        """A development user's token for the MCP door."""
        return mint_for(self.app, user).reveal()

    @asynccontextmanager
    async def client(
        self, user: str = "alice", *, door: str = "http", era: str = "2026-07-28", **options: Any
    ) -> AsyncIterator[Client]:
        """The official client, as ``user``, through either door."""
        coming = (
            self.http_client(self.token(user), era, **options)
            if door == "http"
            else self.stdio_client(user, era, **options)
        )
        async with coming as client:
            yield client


def make_workspace(folder: Path, listeners: Listeners, change: Callable[[Document], None] | None = None) -> Workspace:
    """Write the workspace that serves on these sockets: MCP and token service, orders, payments, stock."""
    mcp, orders, payments, stock = listeners
    write_workspace(folder, ports=(mcp.port, orders.port, payments.port, stock.port))
    if change is not None:
        edit_settings(folder / "remit.yaml", change)
    return Workspace(folder, mcp.url, orders.url, payments.url, stock.url)


def edit_settings(file: Path, change: Callable[[Document], None]) -> None:
    """Change the settings document in place."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(document)
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


@asynccontextmanager
async def company(
    folder: Path,
    change: Callable[[Document], None] | None = None,
    apis: Mapping[str, Api] | None = None,
) -> AsyncIterator[Company]:
    """Everything runs in this event loop while the block does."""
    async with AsyncExitStack() as stack:
        listeners = (Listener(), Listener(), Listener(), Listener())
        workspace = make_workspace(folder, listeners, change)
        for name, api in (apis or {}).items():
            url = await stack.enter_async_context(serving(api.make(workspace.base)))
            add_api(workspace, name, url, api.tools)
        opened = await _opened(stack, workspace, listeners)
        yield opened


async def _opened(stack: AsyncExitStack, workspace: Workspace, listeners: Listeners) -> Company:
    settings = load_settings(workspace.config)
    app = await stack.enter_async_context(running(settings))
    payments = payments_app(issuer=settings.issuer, clock=app.clock)
    orders = orders_app(
        issuer=settings.issuer,
        clock=app.clock,
        client_secret=Credential(workspace.secrets["orders-api"]),
        payments_url=workspace.payments_url,
    )
    stock = stock_app(issuer=settings.issuer, clock=app.clock)
    for asgi, listener in zip((http_app(app), orders, payments, stock), listeners, strict=True):
        await stack.enter_async_context(serving(asgi, listener))
    journals = {"orders": orders.state.journal, "payments": payments.state.journal, "stock": stock.state.journal}
    return Company(**vars(workspace), app=app, **journals)


def add_api(workspace: Workspace, name: str, url: str, tools: str) -> None:
    """Let the runner get tokens for ``<name>-api`` with the scope ``<name>:use``, and write the API's tool file."""

    def change(document: Document) -> None:
        document["variables"][f"{name.upper()}_URL"] = url
        target = {"audience": f"{name}-api", "scopes": [f"{name}:use"], "max_lifetime": "2m"}
        document["sts"]["clients"]["agent-runner"]["targets"].append(target)

    edit_settings(workspace.config, change)
    (workspace.folder / "tools" / f"{name}.yaml").write_text(tools, encoding="utf-8")


@contextmanager
def company_in_thread(
    folder: Path,
    change: Callable[[Document], None] | None = None,
    apis: Mapping[str, Api] | None = None,
) -> Iterator[Company]:
    """Everything runs in a thread while the block does."""
    ready = threading.Event()
    found: list[Company] = []
    failed: list[BaseException] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with company(folder, change, apis) as opened:
            found.append(opened)
            ready.set()
            await stop.wait()

    def main() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(run())
        except BaseException as error:  # noqa: BLE001  told to the test below
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    assert ready.wait(20), "the company did not start within 20 s"
    try:
        if failed:
            raise failed[0]
        yield found[0]
    finally:
        if found and not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join(20)
    assert not thread.is_alive(), "the company did not stop within 20 s"
    if failed:
        raise failed[0]


def error_of(result: Any) -> dict[str, Any]:
    """The error a refused call's result holds."""
    assert result.is_error, result.structured_content
    error: dict[str, Any] = result.structured_content["error"]
    return error


def audit_id_of(result: Any) -> str:
    """The audit id in a result's ``_meta``."""
    return str(result.meta["remit/audit_id"])


def free_port() -> int:
    """A port that was free a moment ago, for a process that must be told one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
