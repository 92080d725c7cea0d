"""How this product speaks HTTP as a client: one place that spells out what is allowed.

No redirects (a credential never follows one), no cookies (one client serves many users), no proxy or
``.netrc`` from the environment, bounded time, bounded answers, HTTP/1.1 keep-alive over the aiohttp transport
(about a third of httpx's own CPU per request).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket as sockets
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from yarl import URL

#: What ``http_client`` makes, for those that only hand it on.
HttpClient: TypeAlias = httpx.AsyncClient

_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?(\d{1,9})", re.IGNORECASE)
_NOT_CACHED: Final = re.compile(r"(?:^|[\s,])no-(?:store|cache)\b", re.IGNORECASE)

#: What a client says it is.
USER_AGENT: Final = "remit"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer, read within bounds. ``headers`` has lower-case names."""

    status: int
    headers: httpx.Headers
    body: bytes


class AnswerTooLarge(Exception):
    """The body is longer than was allowed; nothing of it is kept but what stood before it."""

    def __init__(self, message: str, status: int, headers: httpx.Headers) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def http_client(
    *,
    connect: float = 5.0,
    total: float = 10.0,
    connections: int = 100,
    socket: Path | None = None,
    admits: Callable[[str], bool] | None = None,
    tls: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """A client for credentials: redirects off, environment ignored, TLS verified, times in seconds.

    With a unix ``socket`` everything goes there, whatever host a URL names. ``admits`` says of an IP address whether
    it may be connected to: for URLs that others choose. ``tls``: whom to trust, instead of the public authorities.
    """
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30)
    transport = _Transport(
        verify=tls or _public_authorities(),
        trust_env=False,
        limits=limits,
        http2=False,
        uds=str(socket) if socket else None,
    )
    transport.admits = admits
    return _Client(
        transport=transport,
        timeout=httpx.Timeout(total, connect=connect),
        follow_redirects=False,
        trust_env=False,
        cookies=_NoCookies(),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
    )


@cache
def _public_authorities() -> ssl.SSLContext:
    """Whom to trust where nobody else is named. Made once: there are several clients, and it is a lot to read."""
    return httpx.create_ssl_context(trust_env=False)


async def send_bounded(client: httpx.AsyncClient, request: httpx.Request, *, seconds: float, max_bytes: int) -> Answer:
    """Send and read the whole answer within ``seconds`` and ``max_bytes`` (of the decoded body).

    Raises ``TimeoutError``, ``AnswerTooLarge`` or ``httpx.HTTPError``. httpx's own timeouts are per operation;
    this one bounds the whole exchange.
    """
    async with asyncio.timeout(seconds):
        response = await client.send(request, stream=True)
        try:
            body = await _read(response, max_bytes)
            if len(body) > max_bytes:
                raise AnswerTooLarge(f"more than {max_bytes} bytes", response.status_code, response.headers)
            return Answer(response.status_code, response.headers, body)
        finally:
            await response.aclose()


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """The decoded body, or the beginning of one that is longer."""
    decoded, body = _decoder(response), bytearray()
    if response.is_stream_consumed:  # one that was made here, and never came over a wire
        return response.content
    async for chunk in response.aiter_raw():
        body += decoded(chunk, max_bytes + 1 - len(body))
        if len(body) > max_bytes:
            break
    return bytes(body)


def _decoder(response: httpx.Response) -> Callable[[bytes, int], bytes]:
    """What decodes a part of the body, to at most so many bytes: never does more come into memory than may be there."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    if "," in coding:
        # Each coding multiplies what the one around it gave, before there is a length to look at.
        message = "encoded more than once, so its length has no bound"
        raise AnswerTooLarge(message, response.status_code, response.headers)
    if coding in {"", "identity"}:
        return lambda part, most: part[:most]
    if coding not in {"gzip", "x-gzip"}:
        raise httpx.DecodingError("the answer is encoded in a way that was not asked for", request=response.request)
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def inflated(part: bytes, most: int) -> bytes:
        try:
            return inflater.decompress(part, most)
        except zlib.error as error:
            raise httpx.DecodingError(str(error), request=response.request) from error

    return inflated


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to pass on: URL and headers leave as they are. ``body`` flows as it comes; ``None``: there is none."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: AsyncIterator[bytes] | None


@dataclass(frozen=True, slots=True)
class Incoming:
    """An answer whose body flows as it comes, encoded as it was sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: AsyncIterator[bytes]


class PeerUnreachable(Exception):
    """No connection came about: nothing was sent."""


class PeerBroke(Exception):
    """The connection broke off, or what came is not HTTP."""


@asynccontextmanager
async def streamed(client: httpx.AsyncClient, outgoing: Outgoing, *, connect: float = 5.0) -> AsyncIterator[Incoming]:
    """Send, and answer as soon as the headers are there. Leaving the block before the end closes the connection.

    Only the time to connect is bounded here (seconds). Raises ``PeerUnreachable`` or ``PeerBroke``; what ``body``
    raises comes as ``PeerBroke``.
    """
    request = httpx.Request(
        outgoing.method,
        outgoing.url,
        headers=[(name.encode("ascii"), value.encode()) for name, value in outgoing.headers],
        content=outgoing.body,
        extensions={"timeout": {"connect": connect, "pool": connect}},
    )
    if str(request.url) != outgoing.url:
        raise ValueError("httpx would send another URL")
    with _peer_errors():
        response = await client.send(request, stream=True)
    try:
        yield Incoming(response.status_code, response.headers.raw, _raw_parts(response))
    finally:
        await response.aclose()


async def _raw_parts(response: httpx.Response) -> AsyncIterator[bytes]:
    with _peer_errors():
        async for part in response.aiter_raw():
            yield part


@contextmanager
def _peer_errors() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        kind = PeerUnreachable if nothing_was_sent(error) else PeerBroke
        raise kind(str(error)) from error


def nothing_was_sent(error: httpx.HTTPError) -> bool:
    """Whether no connection came about, so that even a request that may act only once may be sent again."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


class _Client(httpx.AsyncClient):
    """Sends what it is given, once.

    What httpx does around that, for each request, is off here and so left out: credentials from the URL, redirects,
    cookies, hooks. It cost a fifth of a request.
    """

    async def send(
        self, request: httpx.Request, *, stream: bool = False, auth: Any = None, follow_redirects: Any = None
    ) -> httpx.Response:
        """Send ``request`` as it is; ``auth`` and ``follow_redirects`` are not heeded."""
        del auth, follow_redirects
        if self.is_closed:
            raise RuntimeError("the client is closed")
        request.extensions.setdefault("timeout", self.timeout.as_dict())
        # Through the method that httpx itself asks, because that is where tests put their answers.
        response = await self._transport_for_url(request.url).handle_async_request(request)
        response.request = request
        if not stream:
            await response.aread()
        return response


class _NoCookies(CookieJar):
    """Keeps nothing: a cookie set for one user must not be sent for another."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Pass over ``Set-Cookie``."""


#: What aiohttp would add by itself where a request has none.
_AUTO_HEADERS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class _Transport(AiohttpTransport):
    """The aiohttp transport with some things put right for credentials.

    The URL leaves byte for byte (the parent has it normalised, which decodes ``%3B`` and ``%2C``), and so do the
    headers, with none added; the session keeps no cookies either; and each fault becomes the httpx error that tells whether anything can have been sent:
    ``ConnectError`` and ``ConnectTimeout`` before, every other one after. ``admits`` is asked where a socket is made, of
    the address that this socket then connects to: whatever a name means, now or a moment later, nothing gets around it.
    """

    admits: Callable[[str], bool] | None = None

    def get_client(self) -> aiohttp.ClientSession:
        """Make the session, inside the running loop."""
        limit, keepalive = self.limits.max_connections or 0, self.limits.keepalive_expiry
        connector: aiohttp.BaseConnector
        if self.uds:
            connector = aiohttp.UnixConnector(self.uds, limit=limit, keepalive_timeout=keepalive)
        else:
            factory = _socket_factory(self.admits) if self.admits else None
            connector = aiohttp.TCPConnector(
                ssl=self.ssl_context, limit=limit, keepalive_timeout=keepalive, socket_factory=factory
            )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and answer as soon as the headers are there."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        whole = isinstance(request.stream, httpx.ByteStream)
        content: Any = (await request.aread() or None) if whole else request.stream
        timeout = request.extensions.get("timeout", {})
        with _httpx_errors():
            answer = await self.client.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=[field for field in request.headers.multi_items() if field[0] != "transfer-encoding"],
                data=content,
                skip_auto_headers=_AUTO_HEADERS,
                allow_redirects=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(
                    connect=timeout.get("pool"), sock_connect=timeout.get("connect"), sock_read=timeout.get("read")
                ),
            )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer), request=request)


def _socket_factory(admits: Callable[[str], bool]) -> Callable[[Any], sockets.socket]:
    def make(found: Any) -> sockets.socket:
        family, kind, protocol, _, address = found
        if not admits(address[0]):
            raise OSError("the address is not one that may be connected to")
        return sockets.socket(family, kind, protocol)

    return make


class _Body(httpx.AsyncByteStream):
    """An answer's body as it comes; closing it before its end closes the connection."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for chunk in self._answer.content.iter_chunked(16 * 1024):
                yield chunk

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body was not read to its end."""
        self._answer.close()


@contextmanager
def _httpx_errors() -> Iterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except TimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        # ``from None`` and no ``str``, because aiohttp's errors show the request: its query and its headers.
        raise httpx.ReadError(f"the answer broke off or is not HTTP: {type(error).__name__}") from None


def fresh_seconds(cache_control: str, *, least: float, most: float, unsaid: float) -> float:
    """How long an answer may be kept (RFC 9111 §5.2.2), within bounds; ``unsaid``: where it does not say."""
    if _NOT_CACHED.search(cache_control):
        return least
    stated = _MAX_AGE.search(cache_control)
    return min(max(float(stated[1]), least), most) if stated else unsaid


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
    """Whether a credential may be sent to ``url``: ``https``, or ``http`` to this machine.

    Anything that is not a URL with one reading is not secure.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises where there is a port that is none
    except ValueError:
        return False
    if not url.isascii() or not url.isprintable() or " " in url:  # what urlsplit would strip in silence
        return False
    if parts.username or parts.password or parts.fragment or not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
