"""How this product speaks HTTP as a client: one place that spells out what is allowed.

No redirects (a credential never follows one), no proxy or ``.netrc`` from the environment, bounded time,
bounded answers, HTTP/1.1 keep-alive over the aiohttp transport (about a third of httpx's own CPU per request).
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

#: What a client says it is.
USER_AGENT: Final = "remit"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer, read within bounds. ``headers`` has lower-case names."""

    status: int
    headers: httpx.Headers
    body: bytes


class AnswerTooLarge(Exception):
    """The body is longer than was allowed; nothing of it is kept."""


def http_client(*, connect: float = 5.0, total: float = 10.0, connections: int = 100) -> httpx.AsyncClient:
    """A client for credentials: redirects off, environment ignored, TLS verified, times in seconds."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30)
    return httpx.AsyncClient(
        transport=AiohttpTransport(verify=True, trust_env=False, limits=limits, http2=False),
        timeout=httpx.Timeout(total, connect=connect),
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": USER_AGENT},
    )


async def send_bounded(client: httpx.AsyncClient, request: httpx.Request, *, seconds: float, max_bytes: int) -> Answer:
    """Send and read the whole answer within ``seconds`` and ``max_bytes`` (of the decoded body).

    Raises ``TimeoutError``, ``AnswerTooLarge`` or ``httpx.HTTPError``. httpx's own timeouts are per operation;
    this one bounds the whole exchange.
    """
    try:
        return await _send_bounded(client, request, seconds=seconds, max_bytes=max_bytes)
    except aiohttp.ClientError:
        # An answer that is not HTTP passes the transport's translation by. ``from None``, because the repr of
        # aiohttp's error shows the request's headers, ``Authorization`` among them.
        raise httpx.RemoteProtocolError("the answer is not HTTP", request=request) from None


def nothing_was_sent(error: httpx.HTTPError) -> bool:
    """Whether no connection came about, so that even a request that may act only once may be sent again.

    The transport calls every lost connection ``ConnectTimeout``; only the cause tells which was never made.
    """
    return isinstance(error, httpx.ConnectError) or isinstance(error.__cause__, aiohttp.ClientConnectorError)


async def _send_bounded(client: httpx.AsyncClient, request: httpx.Request, *, seconds: float, max_bytes: int) -> Answer:
    async with asyncio.timeout(seconds):
        response = await client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > max_bytes:
                    raise AnswerTooLarge(f"more than {max_bytes} bytes")
            return Answer(response.status_code, response.headers, bytes(body))
        finally:
            await response.aclose()


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine by ``localhost`` or a loopback address (no name is looked up)."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_secure(url: str) -> bool:
    """Whether a credential may be sent to ``url``: ``https``, or ``http`` to this machine."""
    parts = urlsplit(url)
    if parts.username or parts.password or parts.fragment or not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
