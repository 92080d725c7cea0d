"""Door: connects the POSTs of one client of the handshake era, so that it can cancel a call and answer a question.

Such a client keeps the response to its call open. It cancels the call by ``notifications/cancelled`` in another POST,
and answers in another POST too what it is asked on that open response. The SDK's stateless mode serves each POST alone
and cannot connect them, so this does: ``initialize`` is answered with a random ``Mcp-Session-Id``, which the client
repeats on every request. It is a label, not a session: nothing is kept under it but the calls under way and their
questions, and only the caller who made a call can cancel it or answer for it. Whether the client takes questions is
written into the label itself, so any process can tell. The answer has to come to the process that asks, though: of
several, a balancer has to choose by the label. Clients of 2026-07-28 need none of this.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit.doors.mcp.admitted import ADMITTED, Admitted
from remit.doors.mcp.approval import elicitation, meaning_of, takes_forms

LABEL_HEADER: Final = "mcp-session-id"
#: Key of the ASGI scope: what asks the user of this call's client, where it can be asked.
ASK: Final = "remit.ask"
_ASKABLE: Final = "-asks"

#: Shows the user a question. Yes, no, or ``None`` for no answer; waits for ever.
Ask: TypeAlias = Callable[[str], Awaitable[bool | None]]
#: Issuer, subject and client of the caller; the client's label; the JSON-RPC id of the call or question.
_Key: TypeAlias = tuple[str, str, str, str, str]


class _Question:
    """One that waits for its answer."""

    def __init__(self) -> None:
        self.answered = anyio.Event()
        self.answer: object = None


class Conversations:
    """ASGI middleware between the guard and the SDK."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._calls: dict[_Key, anyio.CancelScope] = {}
        self._questions: dict[_Key, _Question] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request; take part where it starts a client, makes a call, cancels one or answers a question."""
        admitted: Admitted = scope[ADMITTED]
        label = Headers(scope=scope).get(LABEL_HEADER, "")
        if admitted.method == "initialize":
            send = _labelling(send, askable=_is_askable(admitted))
        elif label and admitted.method == "notifications/cancelled":
            self._cancel(_key(admitted, label, admitted.param("requestId")))
        elif label and admitted.method is None:
            self._answer(_key(admitted, label, admitted.message.get("id")), admitted.message.get("result"))
        elif label and admitted.method == "tools/call":
            await self._serve_call(label, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _cancel(self, key: _Key) -> None:
        if call := self._calls.get(key):
            call.cancel()

    def _answer(self, key: _Key, answer: object) -> None:
        if question := self._questions.get(key):
            question.answer = answer
            question.answered.set()

    async def _serve_call(self, label: str, scope: Scope, receive: Receive, send: Send) -> None:
        admitted: Admitted = scope[ADMITTED]
        key = _key(admitted, label, admitted.message.get("id"))
        last: Message = {"type": ""}

        async def remembering(message: Message) -> None:
            nonlocal last
            last = message
            await send(message)

        if label.endswith(_ASKABLE):
            scope = {**scope, ASK: partial(self._ask, admitted, label, remembering)}
        with anyio.CancelScope() as call:
            self._calls[key] = call
            try:
                await self._app(scope, receive, remembering)
            finally:
                if self._calls.get(key) is call:
                    del self._calls[key]
        if call.cancelled_caught:
            await _end_response(last, send)

    async def _ask(self, admitted: Admitted, label: str, send: Send, text: str) -> bool | None:
        """Ask on the open response of the call, between the SDK's own events."""
        question_id = secrets.token_hex(16)
        question = _Question()
        key = _key(admitted, label, question_id)
        self._questions[key] = question
        try:
            await send({"type": "http.response.body", "body": _event(question_id, text), "more_body": True})
            await question.answered.wait()
        finally:
            del self._questions[key]
        return meaning_of(question.answer)


def _key(admitted: Admitted, label: str, message_id: object) -> _Key:
    principal = admitted.caller.principal
    return (principal.issuer, principal.subject, principal.client_id, label, str(message_id))


def _is_askable(admitted: Admitted) -> bool:
    capabilities = admitted.param("capabilities")
    return takes_forms(capabilities.get("elicitation")) if isinstance(capabilities, dict) else False


def _labelling(send: Send, *, askable: bool) -> Send:
    async def labelled(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[LABEL_HEADER] = secrets.token_hex(16) + (_ASKABLE if askable else "")
        await send(message)

    return labelled


def _event(question_id: str, text: str) -> bytes:
    """The question as one server-sent event. JSON on one line has no line break that could end it early."""
    request: dict[str, Any] = {"jsonrpc": "2.0", "id": question_id, **elicitation(text)}
    return f"event: message\r\ndata: {json.dumps(request)}\r\n\r\n".encode()


async def _end_response(last: Message, send: Send) -> None:
    """Nobody waits for the answer any more, but the connection is to be used again."""
    if not last["type"]:
        await send({"type": "http.response.start", "status": 202, "headers": []})
    if not last["type"] or last["type"] == "http.response.start" or last.get("more_body", False):
        await send({"type": "http.response.body", "body": b"", "more_body": False})
