"""The load: prebuilt requests over raw aiohttp, because an MCP client would cost more than the servers."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from yarl import URL

from bench.child import Child

MODERN: Final = "2026-07-28"
HANDSHAKE: Final = "2025-11-25"

_TOOL: Final = "get_order"
_ARGUMENTS: Final = {"order_id": "O1001"}


class WrongAnswer(Exception):
    """A server answered with something else than the result it should give: no figure would mean anything."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One request, and what its answer must hold."""

    url: URL
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    holds: tuple[bytes, ...]

    def check(self, status: int, answer: bytes) -> None:
        """Raise unless this is the result that was asked for."""
        if status != 200 or b'"isError":true' in answer or not all(part in answer for part in self.holds):
            raise WrongAnswer(f"{self.url} answered {status}: {answer[:500].decode(errors='replace')}")


@dataclass(frozen=True, slots=True)
class Volley:
    """What one round of load came to. ``latencies`` and ``elapsed`` in seconds, ``cpu`` in seconds of the server."""

    clients: int
    elapsed: float
    cpu: float
    latencies: list[float] = field(repr=False)


def tool_call(url: str, era: str, holds: tuple[bytes, ...], token: str = "") -> Shot:
    """A ``tools/call`` as a client of that era sends it; in the handshake era without the handshake, statelessly."""
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": era,
    }
    params: dict[str, object] = {"name": _TOOL, "arguments": _ARGUMENTS}
    if era == MODERN:
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": _TOOL}
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": era,
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return Shot(URL(url), headers, json.dumps(message).encode(), holds)


def session() -> aiohttp.ClientSession:
    """Keeps a connection for each client."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())


async def fire(http: aiohttp.ClientSession, shot: Shot, server: Child, *, clients: int, seconds: float) -> Volley:
    """So many clients, each calling again as soon as it is answered."""
    latencies: list[float] = []
    before = server.usage()
    started = time.perf_counter()

    async def client() -> None:
        while time.perf_counter() - started < seconds:
            latencies.append(await _once(http, shot))

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    elapsed = time.perf_counter() - started
    return Volley(clients, elapsed, server.usage().cpu - before.cpu, latencies)


async def fire_times(http: aiohttp.ClientSession, shot: Shot, *, clients: int, times: int) -> None:
    """So many calls, whatever they take."""
    left = iter(range(times))

    async def client() -> None:
        for _ in left:
            await _once(http, shot)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())


async def _once(http: aiohttp.ClientSession, shot: Shot) -> float:
    begun = time.perf_counter()
    async with http.post(shot.url, data=shot.body, headers=shot.headers) as answer:
        body = await answer.read()
    latency = time.perf_counter() - begun
    shot.check(answer.status, body)
    return latency
