"""The gateway of a sample workspace on real sockets, in front of an API of the test's own.

::

    async with gateway(tmp_path, api=app) as gate:
        answer = await gate.request("GET", "/orders/1")

Routes: ``orders`` (``/orders``, for ``orders-api``), ``payments`` (``/payments``, for ``payments-api``) and
``hidden`` (``/hidden``), which policy hides from everybody. All lead to the one API, or to ``upstream``.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from remit.app.serving import http_app
from remit.app.wiring import App, running
from remit.audit.store.reader import open_reader
from remit.demo.workspace import write_workspace
from remit.settings import load_settings
from remit.sts.users import mint_subject_token
from support.company import Document, edit_settings
from support.issuer import claims_of
from support.policy import allow_api, edit_tables
from support.servers import Listener, serving

#: Scopes of the routes' tokens, by route.
SCOPES = {"orders": "orders:read", "payments": "payments:read", "hidden": "orders:read"}

_HIDDEN = """\
package remit.rules

import rego.v1

deny contains {"code": "hidden", "message": "", "audience": "admin"} if "hidden" in input.resource.properties.tags
"""


@dataclass
class Gateway:
    """A running gateway. ``api_url`` is where its routes lead."""

    app: App
    url: str
    api_url: str
    folder: Path
    http: httpx.AsyncClient

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def token(self, user: str = "alice", **changes: Any) -> str:
        """A development user's token for the gateway."""
        return mint(self.app, user, **changes)

    async def request(self, method: str, path: str, *, user: str = "alice", **options: Any) -> httpx.Response:
        """A request with that user's token."""
        headers = {"Authorization": f"Bearer {self.token(user)}", **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)

    @asynccontextmanager
    async def stream(self, method: str, path: str, **options: Any) -> AsyncIterator[httpx.Response]:
        headers = {"Authorization": f"Bearer {self.token()}", **options.pop("headers", {})}
        async with self.http.stream(method, path, headers=headers, **options) as answer:
            yield answer

    async def raw(self, *lines: str, body: bytes = b"", token: str | None = "") -> bytes:
        """Send these header lines (the token's is added) and this body as they are; the whole answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        bearer = [] if token is None else [f"Authorization: Bearer {token or self.token()}"]
        writer.write("\r\n".join([*lines, *bearer, "Connection: close", "", ""]).encode("latin-1") + body)
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()

    async def facts(self, audit_id: str) -> dict[str, Any]:
        """What the trail knows of one call, once it has ended: that is written when the answer is on its way."""
        async with asyncio.timeout(10):
            while True:
                with open_reader(self.folder / ".remit" / "audit.db") as trail:
                    (call,) = trail.calls(audit_id)
                if call.outcome is not None:
                    return dict(call.facts)
                await asyncio.sleep(0.005)  # another connection writes it: there is no event to wait for

    async def last(self) -> dict[str, Any]:
        """What the trail knows of the last call, once it has ended."""
        with open_reader(self.folder / ".remit" / "audit.db") as trail:
            records = trail.after(0, limit=100_000)
        return await self.facts(records[-1].call_id)


def mint(app: App, user: str = "alice", **changes: Any) -> str:
    """A development user's token for the gateway."""
    assert app.sts is not None
    values = {"audience": app.settings.gateway_audiences[0], "client_id": "frontend", "lifetime": 3600, **changes}
    person = app.rules.user(user)
    return mint_subject_token(app.sts, person, now=app.clock.now(), **values).reveal()


def make_workspace(
    folder: Path, listener: Listener, upstream: str, change: Callable[[Document], None] | None = None
) -> Path:
    """A workspace whose gateway listens there and whose routes lead to ``upstream``; its settings file."""
    write_workspace(folder, ports=(listener.port, 1, 2, 3))  # the sample company's own APIs are not called
    allow_api(folder, "hidden")
    edit_tables(folder, lambda tables: tables["agents"].update(frontend={}))
    (folder / "policy" / "rules.rego").write_text(_HIDDEN, "utf-8")

    def add_gateway(document: Document) -> None:
        document["gateway"] = {"routes": [_route(name, upstream) for name in SCOPES]}
        if change is not None:
            change(document)

    config = folder / "remit.yaml"
    edit_settings(config, add_gateway)
    return config


def _route(name: str, upstream: str) -> Document:
    audience = "payments-api" if name == "payments" else "orders-api"
    route: Document = {
        "name": name,
        "prefix": f"/{name}",
        "upstream": upstream,
        "audience": audience,
        "scopes": [SCOPES[name]],
        "tags": ["hidden"] if name == "hidden" else [],
    }
    return route


@asynccontextmanager
async def gateway(
    folder: Path, *, api: Any = None, upstream: str = "", change: Callable[[Document], None] | None = None
) -> AsyncIterator[Gateway]:
    """Everything runs in this event loop while the block does. ``api``: an ASGI application for the routes."""
    async with _serving(folder, api or echo, upstream, change) as gate:
        yield gate
    del gate.app
    gc.collect()  # the policy engine must be let go in the thread that made it


@asynccontextmanager
async def _serving(
    folder: Path, api: Any, upstream: str, change: Callable[[Document], None] | None
) -> AsyncIterator[Gateway]:
    listener, backend = Listener(), Listener()
    settings = load_settings(make_workspace(folder, listener, upstream or backend.url, change))
    async with (
        running(settings) as app,
        serving(http_app(app), listener) as url,
        serving(api, backend) as api_url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as http,
    ):
        yield Gateway(app, url, upstream or api_url, folder, http)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it got: method, raw path, query, header fields, size of the body."""
    if scope["type"] == "lifespan":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    seen = {
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "headers": [[name.decode("latin-1"), _shown(name, value)] for name, value in scope["headers"]],
        "size": size,
    }
    body = json.dumps(seen).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Scripted:
    """An ASGI application that answers as it is told, and keeps what it got."""

    status: int = 200
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b"{}"
    seen: list[dict[str, Any]] = field(default_factory=list)
    handle: Callable[[Any, Any, Any], Awaitable[None]] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.seen.append(dict(scope))
        if self.handle is not None:
            await self.handle(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": self.body})


def _shown(name: bytes, value: bytes) -> str:
    """Of a token its claims, because the gateway withholds an answer that repeats the token itself."""
    if name == b"authorization" and value.startswith(b"Bearer "):
        return json.dumps(claims_of(value.decode()[7:]))
    return value.decode("latin-1")


def values(seen: dict[str, Any], name: str) -> list[str]:
    """The values of a field in what ``echo`` answered."""
    return [value for key, value in seen["headers"] if key == name]
