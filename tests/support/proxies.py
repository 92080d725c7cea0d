"""Real proxies in front of an API that checks delegated tokens, with the configurations of ``deploy/``."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from remit.resource import BearerMiddleware, ResourceServer, delegation_of
from remit.tokens.jwks import LiveKeys
from remit.tokens.verifier import TrustedIssuer
from support.company import Document, free_port
from support.gateway import Gateway, gateway
from support.servers import serving

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRET = "the-secret-that-the-proxy-shows"
METHODS = ["GET", "POST", "PUT", "DELETE"]

#: What a proxy is told: its own port, remit's, the API's. Returns the command that starts it.
Configure = Callable[[Path, int, int, int], list[str]]


def program(name: str) -> str | None:
    """The proxy's program, also where only an administrator's search path finds it."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


@dataclass
class Proxied:
    """A proxy that runs, the gateway it asks, and what reached the API behind it."""

    gate: Gateway
    url: str
    http: httpx.AsyncClient
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def request(self, method: str, path: str, *, user: str = "alice", **options: Any) -> httpx.Response:
        """A request of that user through the proxy."""
        headers = {"Authorization": f"Bearer {self.gate.token(user)}", **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)

    async def raw(self, *lines: str) -> bytes:
        """These lines as they are; the whole answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.url.rpartition(":")[2]))
        bearer = f"Authorization: Bearer {self.gate.token()}"
        writer.write("\r\n".join([*lines, bearer, "Connection: close", "", ""]).encode())
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()


def the_api(gate: Gateway, seen: list[dict[str, Any]]) -> Starlette:
    """The orders API: takes delegated tokens alone, says whose it was, remembers the fields and the path."""

    async def answer(request: Request) -> JSONResponse:
        delegation = delegation_of(request)
        size = 0
        async for part in request.stream():
            size += len(part)
        path = request.scope["raw_path"].decode()
        seen.append({"path": path, "fields": request.headers.items(), "size": size})
        said = {"user": delegation.principal, "actor": delegation.current_actor, "path": path, "size": size}
        return JSONResponse(said, headers={"Set-Cookie": "inner=1"})

    assert gate.app.sts is not None
    issuer = TrustedIssuer(gate.app.settings.issuer, frozenset({"ES256"}), LiveKeys(gate.app.sts.keys.jwks))
    server = ResourceServer("orders-api", [issuer], gate.app.clock)
    return Starlette(
        routes=[Route("/{path:path}", answer, methods=METHODS)],
        middleware=[Middleware(BearerMiddleware, server=server)],
    )


@asynccontextmanager
async def proxied(folder: Path, style: str, configure: Configure) -> AsyncIterator[Proxied]:
    """The proxy's process, remit and the API, while the block runs."""

    def change(document: Document) -> None:
        (folder / "proxy-secret").write_text(SECRET, "ascii")
        (folder / "policy" / "closed.rego").write_text(
            "package remit.rules\nimport rego.v1\n"
            'deny contains {"code": "closed", "message": "this order is closed", "audience": "user"} if {\n'
            '\tstartswith(input.resource.properties.path, "/orders/C")\n}\n',
            "utf-8",
        )
        document["gateway"]["forward_auth"] = {
            "enabled": True,
            "style": style,
            "trusted_proxies": ["127.0.0.1"],
            "secret": {"file": "proxy-secret"},
        }

    seen: list[dict[str, Any]] = []
    port = free_port()
    async with (
        gateway(folder, change=change) as gate,
        serving(the_api(gate, seen)) as api_url,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as http,
    ):
        command = configure(folder, port, gate.port, int(api_url.rpartition(":")[2]))
        with (folder / "proxy.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=folder)
        try:
            await _until_it_listens(port, process, folder / "proxy.log")
            yield Proxied(gate, f"http://127.0.0.1:{port}", http, seen)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _until_it_listens(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(20):
        while True:
            assert process.returncode is None, log.read_text("utf-8", "replace")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)  # another process opens the port: there is no event to wait for
            else:
                writer.close()
                return


def replaced(text: str, **changes: str) -> str:
    """The text with each of these lines changed; ``changes`` maps a name for people to ``old → new``."""
    for change in changes.values():
        old, _, new = change.partition(" → ")
        assert old in text, f"{old!r} is not in the configuration"
        text = text.replace(old, new)
    return text
