"""Door: where the browser comes back to: a loopback port, for one answer (RFC 8252 §7.3).

Whatever else knocks there, of whatever size and however slow, is sent away and does not end the wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Self

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"
_MAX_HEAD_BYTES: Final = 16 * 1024
_SECONDS: Final = 10.0
_MAX_WAITING: Final = 32

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>remit</title></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
_TAKEN: Final = ("200 OK", "remit has its answer", "You can close this page.")
_STRANGE: Final = ("404 Not Found", "Nothing is here", "This is not the page that a sign-in comes back to.")


class Loopback:
    """A listener, open while the block runs.

    ``expects`` says of a query whether it is the answer; until it is set nothing is.
    """

    def __init__(self) -> None:
        self.expects: Callable[[str], bool] = lambda _query: False
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting = 0
        self._server: asyncio.Server | None = None
        self.redirect_uri = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0, limit=_MAX_HEAD_BYTES)
        self.redirect_uri = f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}{PATH}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def answer(self) -> str:
        """The query that the browser brings. Waits for ever."""
        return await self._answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._waiting >= _MAX_WAITING:
            writer.close()
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(_SECONDS):
                await self._serve_one(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._waiting -= 1
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        query = _query_of(head)
        taken = query is not None and not self._answer.done() and self.expects(query)
        writer.write(_page(*(_TAKEN if taken else _STRANGE)))
        await writer.drain()
        if query is not None and taken and not self._answer.done():
            self._answer.set_result(query)


def _query_of(head: bytes) -> str | None:
    """The query of ``GET /callback``; ``None`` for any other request."""
    parts = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    if len(parts) != 3 or parts[0] != "GET" or not parts[2].startswith("HTTP/1."):
        return None
    path, _, query = parts[1].partition("?")
    return query if path == PATH and query.isascii() else None


def _page(status: str, title: str, text: str) -> bytes:
    body = _PAGE.format(title=title, text=text).encode()
    headers = (
        f"HTTP/1.1 {status}",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy: no-referrer",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    )
    return "\r\n".join((*headers, "", "")).encode() + body
