"""One server of the benchmark, in a process of its own: ``python -m bench.server bare | remit FOLDER | orders FOLDER``.

It writes one JSON line once it serves, then one line of what it has used for each line it reads, and ends when its
standard input does. Pipes and threads only, so that it runs wherever remit runs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp_types import CallToolRequestParams, CallToolResult, TextContent
from starlette.applications import Starlette
from starlette.routing import Route

from remit import logs
from remit.app.development import mint_for
from remit.app.serving import http_app, listening, served
from remit.app.wiring import running
from remit.clock import SystemClock
from remit.demo.orders import orders_app
from remit.settings import load_settings, read_secret

ANYWHERE: Final = "127.0.0.1:0"
CONSTANT: Final = "a constant"
#: The demo's development user whose token the load carries.
USER: Final = "alice"


def bare_app() -> Starlette:
    """The SDK's low-level server with one tool that returns a constant, as cheap as it gets.

    The schema hook spares it the whole list that the SDK otherwise makes before each call (python-sdk #3565).
    """

    async def call_tool(_: ServerRequestContext[Any, Any], __: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=CONSTANT)])

    sdk = Server("bare", on_call_tool=call_tool, get_tool_input_schema=lambda _name: None)
    sessions = StreamableHTTPSessionManager(sdk, stateless=True)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with sessions.run():
            yield

    return Starlette(routes=[Route("/mcp", endpoint=StreamableHTTPASGIApp(sessions))], lifespan=lifespan)


async def serve_bare() -> None:
    """Serve the bare SDK."""
    with listening(ANYWHERE) as listener:
        async with served(bare_app(), listener):
            await obey({"url": f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"})


async def serve_remit(folder: Path) -> None:
    """Serve the workspace in ``folder`` as `remit serve` does; tells a development user's token for it."""
    settings = load_settings(folder / "remit.yaml")
    with listening(settings.listen) as listener:
        async with running(settings, serving=True) as app, served(http_app(app), listener), app.watching():
            token = mint_for(app, USER, seconds=8 * 3600)
            await obey({"url": settings.mcp_resource, "issuer": settings.issuer, "token": token.reveal()})


async def serve_orders(folder: Path) -> None:
    """Serve the orders API that the workspace's tools call."""
    settings = load_settings(folder / "remit.yaml")
    secret = settings.sts.clients["orders-api"].secret
    assert secret is not None
    app = orders_app(
        issuer=settings.issuer,
        client_secret=read_secret(secret, "orders-api"),
        payments_url=settings.variables["PAYMENTS_URL"],
        clock=SystemClock(),
    )
    with listening(settings.variables["ORDERS_URL"].removeprefix("http://")) as listener:
        async with served(app, listener):
            await obey({"url": settings.variables["ORDERS_URL"]})


async def obey(ready: dict[str, str]) -> None:
    """Say that it serves, then answer each line with what was used so far, until there are no more."""
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    process = psutil.Process()

    def answer() -> None:
        say(ready)
        for _ in sys.stdin:
            say(_usage(process))
        loop.call_soon_threadsafe(end.set)

    threading.Thread(target=answer, daemon=True).start()
    await end.wait()


def say(line: dict[str, Any]) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve what the arguments name."""
    logs.configure("error")
    match sys.argv[1:]:
        case ["bare"]:
            asyncio.run(serve_bare())
        case ["remit", folder]:
            asyncio.run(serve_remit(Path(folder)))
        case ["orders", folder]:
            asyncio.run(serve_orders(Path(folder)))
        case other:
            sys.exit(f"no such server: {other}")


def _usage(process: psutil.Process) -> dict[str, float]:
    """Of this process and of those it has started: policy is evaluated in processes of its own."""
    started = process.children(recursive=True)
    times = [each.cpu_times() for each in started]
    return {
        "cpu": time.process_time() + sum(each.user + each.system for each in times),
        "memory": sum(each.memory_info().rss for each in (process, *started)),
    }


if __name__ == "__main__":
    main()
