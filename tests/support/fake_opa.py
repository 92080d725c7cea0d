"""A server that behaves like OPA, or like no server should, on a real loopback or unix socket::

    async with fake_opa(says({"allow": True})) as fake:
        ...                       # fake.place(), fake.requests, fake.connections, fake.behave = hangs

It reads whole HTTP/1.1 requests and writes bytes, so it can also answer what no HTTP library would.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remit.policy.opa import OpaPlace
from support.servers import Listener

PROVENANCE: dict[str, Any] = {"version": "1.20.2", "bundles": {"b": {"revision": "r7"}}}
PERMIT: dict[str, Any] = {"allow": True, "reasons": [], "obligations": [], "policy": "p/1"}


@dataclass
class Asked:
    """One request, and the way to answer it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter
    closing: asyncio.Event

    @property
    def input(self) -> dict[str, Any]:
        """The document that was asked about."""
        value: dict[str, Any] = json.loads(self.body)["input"]
        return value

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


Behaviour = Callable[[Asked], Awaitable[None]]


@dataclass
class FakeOpa:
    behave: Behaviour
    requests: list[Asked] = field(default_factory=list)
    connections: int = 0
    #: How many requests waited for their answer at once, at most.
    most: int = 0
    answered: int = 0
    port: int = 0
    socket: Path | None = None

    def place(self, **changes: Any) -> OpaPlace:
        """Where it is."""
        url = "" if self.socket else f"http://127.0.0.1:{self.port}"
        return OpaPlace(url=url, socket=self.socket, **changes)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
        self.connections += 1
        try:
            while True:
                asked = await _read(reader, writer, closing)
                self.requests.append(asked)
                self.most = max(self.most, len(self.requests) - self.answered)
                await self.behave(asked)
                self.answered += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def fake_opa(behave: Behaviour, socket: Path | None = None) -> AsyncIterator[FakeOpa]:
    """Serve one in this event loop, until the block is left."""
    fake = FakeOpa(behave, socket=socket)
    closing = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(fake.serve(reader, writer, closing)))

    if socket is None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        fake.port = server.sockets[0].getsockname()[1]
    else:
        server = await asyncio.start_unix_server(connected, socket)
    try:
        yield fake
    finally:
        closing.set()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def unanswered() -> str:
    """The URL of a port where nobody listens, or did not a moment ago."""
    listener = Listener()
    listener.socket.close()
    return listener.url


# ── ways to behave ───────────────────────────────────────────────────────────────────────


def says(result: Any, **members: Any) -> Behaviour:
    """A sound answer with this result."""
    return answers(200, {"result": result, "provenance": PROVENANCE, **members})


def answers(status: int, document: Any, headers: str = "") -> Behaviour:
    """This status, and this document as JSON."""
    return sends(response(status, json.dumps(document).encode(), headers))


def sends(data: bytes, *, then_hangs: bool = False, then_closes: bool = False) -> Behaviour:
    """These bytes."""

    async def behave(asked: Asked) -> None:
        await asked.send(data)
        if then_hangs:
            await asked.closing.wait()
        if then_closes:
            asked.writer.close()
            await asked.writer.wait_closed()

    return behave


async def hangs(asked: Asked) -> None:
    """Takes the request and says nothing."""
    await asked.closing.wait()


async def drips(asked: Asked) -> None:
    """A sound answer, a byte at a time: no pause is long, but the whole of it is."""
    for byte in response(200, json.dumps({"result": PERMIT, "provenance": PROVENANCE}).encode()):
        with suppress(TimeoutError):
            await asyncio.wait_for(asked.closing.wait(), 0.01)
        await asked.send(bytes([byte]))


def response(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}"
    return head.encode() + b"\r\n" + body


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, closing: asyncio.Event) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request_line, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body, writer, closing)
