"""Door: a response whose start waits for its first byte, so that until then it can become another, or grow.

The SDK answers every call with 200, and in the handshake era before the call is even made. A call that ends with a
challenge has to be a 401 or 403 instead, which can be said only while nothing has been sent. A stream that has sent
something, a progress notice say, goes on as it is.
"""

from __future__ import annotations

from typing import Final

import anyio
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Send

#: Key of the ASGI scope.
HELD: Final = "remit.held"


class HeldResponse:
    """One response on its way out. ``send`` is the ASGI callable for whoever makes it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._started = anyio.Event()
        self._begun = False
        self._instead: Response | None = None
        self._filling: tuple[bytes, bytes] | None = None
        self._lock = anyio.Lock()  # a question to the user is sent beside what the SDK sends

    def become(self, response: Response) -> None:
        """Answer with ``response``; without effect once something was sent."""
        if not self._begun:
            self._instead = response

    def fill(self, place: bytes, content: bytes) -> None:
        """Have ``content`` stand where ``place`` does, the first time that is in the body."""
        self._filling = (place, content)

    async def send(self, message: Message) -> None:
        """Keep the start back; pass everything else on, or drop it where another response was given."""
        if message["type"] == "http.response.start":
            self._start = message
            self._started.set()
            return
        await self._started.wait()
        async with self._lock:
            message = self._filled(message)
            if not self._begun:
                self._begun = True
                await self._begin()
            if self._instead is None:
                await self._send(message)

    def _filled(self, message: Message) -> Message:
        body = message.get("body", b"")
        if self._filling is None or self._filling[0] not in body:
            return message
        (place, content), self._filling = self._filling, None
        headers = MutableHeaders(scope=self._start)
        if "content-length" in headers:
            headers["content-length"] = str(int(headers["content-length"]) + len(content) - len(place))
        return {**message, "body": body.replace(place, content, 1)}

    async def _begin(self) -> None:
        if (response := self._instead) is None:
            await self._send(self._start)
            return
        headers = response.raw_headers
        await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await self._send({"type": "http.response.body", "body": response.body, "more_body": False})
