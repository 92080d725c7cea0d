"""Door: a form in, JSON out, whatever happens: what the endpoints of the token service have in common.

RFC 6749 §3.2 and §5. Every answer is JSON, and none repeats what was sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from remit.errors import GrantError, InvalidRequest
from remit.sts.form import MAX_BODY_BYTES, Form, read_form

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 §5.1
_BODY_SECONDS: Final = 10.0
_LOG: Final = logging.getLogger(__name__)
#: Pages of any origin may ask, for nothing here depends on a cookie: what is shown stands in the request itself.
_CROSS_ORIGIN: Final = Middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_methods=["GET", "POST"],
    allow_headers=["Authorization", "Content-Type", "DPoP", "MCP-Protocol-Version"],
    expose_headers=["WWW-Authenticate", "Retry-After"],
    max_age=3600,
)

Handler = Callable[[Request], Awaitable[Response]]
#: What an endpoint does with a request's headers and form. Raises leaves of ``GrantError``.
Answer = Callable[[Headers, Form], Awaitable[Mapping[str, Any]]]


class RequestTooLarge(InvalidRequest):
    """More bytes than a token request can have (413)."""

    status = 413


class RequestTooSlow(InvalidRequest):
    """The body did not arrive in time (408)."""

    status = 408


def endpoint(path: str, methods: tuple[str, ...], handler: Handler, *, cross_origin: bool = False) -> Route:
    """The route of a handler for these methods; any other is answered 405. ``cross_origin``: for pages of any origin."""
    return Route(path, _Only(methods, handler), middleware=[_CROSS_ORIGIN] if cross_origin else None)


class FormEndpoint:
    """A form in, JSON out, whatever happens (RFC 6749 §3.2)."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        try:
            form = await _read(request)
            return json_response(await self._answer(request.headers, form), NO_STORE)
        except GrantError as error:
            _LOG.info("%s refused: %s: %s (%s)", request.url.path, error.code, error.message, error.detail)
            return refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:  # noqa: BLE001  the top of the request: nothing inner may show
            _LOG.error("%s failed: %s", request.url.path, _where(error))
            return json_response({"error": "server_error"}, NO_STORE, status=500)


async def _read(request: Request) -> Form:
    """The form, from the body alone: what stands in a URL ends up in logs."""
    if request.scope["query_string"]:
        raise InvalidRequest("parameters belong in the body, not in the URL")
    content_types = request.headers.getlist("content-type")
    if len(content_types) != 1:
        raise InvalidRequest("one Content-Type is needed")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return read_form(content_types[0], await _body(request))
    except TimeoutError as error:
        raise RequestTooSlow("the body did not arrive in time") from error


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLarge(f"the body is longer than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def refusal(error: GrantError) -> Response:
    """RFC 6749 §5.2. A 401 always carries a challenge (RFC 9110 §15.5.2)."""
    headers = dict(NO_STORE)
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="token", charset="UTF-8"'
    if isinstance(error, RequestTooLarge | RequestTooSlow):
        headers["Connection"] = "close"  # the rest of the body is not wanted
    return json_response(
        {"error": error.code, "error_description": _described(error.message)}, headers, status=error.status
    )


def _described(message: str) -> str:
    """A message in the characters of ``error_description`` (RFC 6749 §5.2). A policy's author may have used others."""
    text = message.replace('"', "'").replace("\\", "/")
    return "".join(character if " " <= character <= "~" else "?" for character in text)


def json_response(document: Mapping[str, Any], headers: Mapping[str, str], *, status: int = 200) -> Response:
    """``document`` as it is."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, dict(headers), "application/json")


def _where(error: Exception) -> str:
    """Kind and place of an error, without its message."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-5:]))
    return f"{type(error).__name__} at {places}"


class Document:
    """A public document, asked for each time: keys and clients change while serving."""

    def __init__(self, read: Callable[[], Mapping[str, Any]], headers: Mapping[str, str]) -> None:
        self._read = read
        self._headers = headers

    async def __call__(self, _: Request) -> Response:
        """The document as it is now."""
        return json_response(self._read(), self._headers)


class _Only:
    """An ASGI application for these methods; any other is answered 405 with ``Allow`` (RFC 9110 §15.5.6)."""

    def __init__(self, methods: tuple[str, ...], handler: Handler) -> None:
        self._methods = methods
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method in self._methods:
            response = await self._handler(request)
        else:
            response = json_response(
                {"error": "invalid_request"}, {**NO_STORE, "Allow": ", ".join(self._methods)}, status=405
            )
        await response(scope, receive, send)
