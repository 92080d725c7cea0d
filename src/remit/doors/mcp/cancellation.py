"""Door: lets a client of the handshake era cancel its call over HTTP.

Such a client keeps the response open and says ``notifications/cancelled`` in another POST. The SDK's stateless mode
serves each POST alone and cannot connect the two, so this does: ``initialize`` is answered with a random
``Mcp-Session-Id``, which the client repeats on every request. It is a label, not a session: nothing is kept under it
but the calls under way, and only the caller who made a call can cancel it. Clients of 2026-07-28 close the response
stream instead, which the SDK understands by itself.
"""

from __future__ import annotations

import secrets
from typing import Final, TypeAlias

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit.doors.mcp.admitted import ADMITTED, Admitted

LABEL_HEADER: Final = "mcp-session-id"

#: Issuer, subject and client of the caller; the client's label; the JSON-RPC id of the call.
_Key: TypeAlias = tuple[str, str, str, str, str]


class CancellableCalls:
    """ASGI middleware between the guard and the SDK."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way: dict[_Key, anyio.CancelScope] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request; take part where it starts a client, makes a call or cancels one."""
        admitted: Admitted = scope[ADMITTED]
        label = Headers(scope=scope).get(LABEL_HEADER, "")
        if admitted.method == "initialize":
            send = _labelling(send)
        elif label and admitted.method == "notifications/cancelled":
            self._cancel(_key(admitted, label, admitted.param("requestId")))
        elif label and admitted.method == "tools/call":
            await self._serve_call(_key(admitted, label, admitted.message.get("id")), scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _cancel(self, key: _Key) -> None:
        if call := self._under_way.get(key):
            call.cancel()

    async def _serve_call(self, key: _Key, scope: Scope, receive: Receive, send: Send) -> None:
        last: Message = {"type": ""}

        async def remembering(message: Message) -> None:
            nonlocal last
            last = message
            await send(message)

        with anyio.CancelScope() as call:
            self._under_way[key] = call
            try:
                await self._app(scope, receive, remembering)
            finally:
                if self._under_way.get(key) is call:
                    del self._under_way[key]
        if call.cancelled_caught:
            await _end_response(last, send)


def _key(admitted: Admitted, label: str, request_id: object) -> _Key:
    principal = admitted.caller.principal
    return (principal.issuer, principal.subject, principal.client_id, label, str(request_id))


def _labelling(send: Send) -> Send:
    async def labelled(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[LABEL_HEADER] = secrets.token_hex(16)
        await send(message)

    return labelled


async def _end_response(last: Message, send: Send) -> None:
    """Nobody waits for the answer any more, but the connection is to be used again."""
    if not last["type"]:
        await send({"type": "http.response.start", "status": 202, "headers": []})
    if not last["type"] or last["type"] == "http.response.start" or last.get("more_body", False):
        await send({"type": "http.response.body", "body": b"", "more_body": False})
