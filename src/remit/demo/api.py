"""Door: what the sample company's APIs share: bounded JSON in, JSON problems out, repeats, the journal."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from remit.clock import Clock
from remit.resource import BearerMiddleware, ResourceServer, delegation_of
from remit.tokens import strict_json
from remit.tokens.jwks import JwksClient
from remit.tokens.verifier import TrustedIssuer

MAX_BODY_BYTES: Final = 16 * 1024
_MAX_KEY_LENGTH: Final = 255
_MAX_REQUEST_ID_LENGTH: Final = 128
_MAX_REPEATS: Final = 1024
_MAX_WORDS: Final = 20


class ApiProblem(Exception):
    """A refusal as the caller reads it: ``{"error": code, "message": …}``."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def json_response(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer that no cache keeps."""
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return Response(orjson.dumps(document), status, headers, media_type="application/json")


async def problem_response(_: Request, problem: Exception) -> Response:
    """Starlette's exception handler for every problem; anything unforeseen says nothing of itself."""
    if isinstance(problem, ApiProblem):
        return json_response({"error": problem.code, "message": problem.message}, problem.status)
    if isinstance(problem, HTTPException):
        code = {404: "not_found", 405: "method_not_allowed"}.get(problem.status_code, "http_error")
        return json_response({"error": code, "message": problem.detail}, problem.status_code, problem.headers)
    return json_response({"error": "internal_error", "message": "something went wrong on this side"}, 500)


#: What ``Starlette(exception_handlers=…)`` takes.
PROBLEMS: Final[Mapping[Any, Any]] = {
    ApiProblem: problem_response,
    HTTPException: problem_response,
    Exception: problem_response,
}


# ── reading a request ────────────────────────────────────────────────────────────────────


async def bounded_body(request: Request) -> bytes:
    """The body; a 413 problem where it is longer than 16 KiB."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiProblem(413, "body_too_large", f"the body may have at most {MAX_BODY_BYTES} bytes")
    return bytes(body)


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Problems: 415 another media type, 413 longer than 16 KiB, 400 not a JSON object."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ApiProblem(415, "unsupported_media_type", "the body must be application/json")
    body = await bounded_body(request)
    try:
        document = strict_json.loads(body)
    except strict_json.NotStrict as error:
        raise ApiProblem(400, "body_malformed", f"the body cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ApiProblem(400, "body_malformed", "the body must be a JSON object")
    return document


def members(document: Mapping[str, Any], expected: Mapping[str, type], optional: Collection[str] = ()) -> list[Any]:
    """The values of exactly the ``expected`` members, in that order; any difference in name or type is a 422 problem.

    What is ``optional`` may be left out and is ``None`` then. JSON does not tell 2.0 from 2: both are integers.
    """
    if strangers := sorted(set(document) - set(expected)):
        raise ApiProblem(422, "body_invalid", f"{_short(strangers[0])} is not expected here")
    values = [_plain(document.get(name)) for name in expected]
    for value, (name, kind) in zip(values, expected.items(), strict=True):
        left_out = name in optional and name not in document
        if type(value) is not kind and not left_out:  # exactly: a bool is no int
            raise ApiProblem(422, "body_invalid", f"{name} must be {_KINDS[kind]}")
    return values


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_KINDS: Final[Mapping[type, str]] = {int: "an integer", str: "a string"}


def positive(amount: int) -> int:
    """An amount of money in minor units, or a 422 problem."""
    if amount < 1:
        raise ApiProblem(422, "body_invalid", "amount must be at least 1 minor unit")
    return amount


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """``value``, or a 422 problem that lists what is allowed."""
    if value not in allowed:
        raise ApiProblem(422, "value_invalid", f"{name} must be one of {', '.join(allowed)}")
    return value


def number_of(request: Request, name: str, *, largest: int) -> int | None:
    """A query parameter that is a number from 1 to ``largest``; ``None`` where it is not there, else a 422 problem."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= largest):
        raise ApiProblem(422, "value_invalid", f"{name} must be 1 to {largest}")
    return int(text)


def limit_of(request: Request, *, largest: int = 50) -> int:
    """The ``limit`` query parameter: 1 to ``largest``, which is also the default."""
    return number_of(request, "limit", largest=largest) or largest


def words_of(request: Request, name: str, allowed: re.Pattern[str]) -> tuple[str, ...]:
    """A query parameter that is a list with commas between its words (``style: form``, ``explode: false``).

    Empty where it is not there. 422 problems: given twice, more than 20 words, a word that is not ``allowed``.
    """
    given = request.query_params.getlist(name)
    if not given:
        return ()
    words = tuple(given[0].split(","))
    if len(given) > 1 or len(words) > _MAX_WORDS or not all(map(allowed.fullmatch, words)):
        raise ApiProblem(422, "value_invalid", f"{name} must be 1 to {_MAX_WORDS} valid words with commas between them")
    return words


def _short(name: str) -> str:
    return f'"{name}"' if len(name) <= 40 and name.isprintable() else "a member"


# ── repeats ──────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Repeat:
    digest: bytes
    running: bool = False
    answer: dict[str, Any] | None = None


@dataclass(slots=True)
class Repeats:
    """What was asked and answered under each ``Idempotency-Key``; the oldest are forgotten beyond 1024.

    Only successes are answered from memory; what was refused or failed is tried again, with the same body.
    """

    _known: OrderedDict[tuple[str, ...], _Repeat] = field(default_factory=OrderedDict)

    async def once(
        self, key: tuple[str, ...], document: Mapping[str, Any], act: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """Act, unless that was done under ``key``. 409 problems: another body, or the first is still under way."""
        repeat = self._begin(key, hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).digest())
        if repeat.answer is None:
            repeat.running = True
            try:
                repeat.answer = await act()
            finally:
                repeat.running = False
        return repeat.answer

    def _begin(self, key: tuple[str, ...], digest: bytes) -> _Repeat:
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Repeat(digest)
            while len(self._known) > _MAX_REPEATS:
                self._known.popitem(last=False)
        if known.digest != digest:
            raise ApiProblem(409, "idempotency_key_reused", "the idempotency key was used with another body")
        if known.running:
            raise ApiProblem(409, "request_in_progress", "the first request with this idempotency key is under way")
        return known


def idempotency_key(request: Request) -> str:
    """The ``Idempotency-Key`` header; empty where there is none, a 400 problem where it is no short printable text."""
    key = request.headers.get("idempotency-key", "")
    if len(key) > _MAX_KEY_LENGTH or not key.isprintable():
        raise ApiProblem(400, "idempotency_key_invalid", "the idempotency key must be a short printable text")
    return key


# ── journal ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One authenticated request: what it asked and the claims of the token it came with, never the token."""

    request_id: str
    method: str
    path: str
    claims: Mapping[str, Any]


@dataclass(slots=True)
class Journal:
    """The latest requests, for the process that runs the API. Never served over HTTP."""

    entries: deque[JournalEntry] = field(default_factory=lambda: deque(maxlen=256))

    def of(self, request_id: str) -> list[JournalEntry]:
        """The requests that carried this ``X-Request-ID``, oldest first."""
        return [entry for entry in self.entries if entry.request_id == request_id]


class JournalMiddleware:
    """Writes every request into the journal; stands behind ``BearerMiddleware``, which lets only verified ones by."""

    def __init__(self, app: ASGIApp, *, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the request, then pass it on."""
        if scope["type"] == "http":
            request = Request(scope)
            claims = delegation_of(request).claims
            self._journal.entries.append(JournalEntry(request_id(request), request.method, request.url.path, claims))
        await self._app(scope, receive, send)


def request_id(request: Request) -> str:
    """The ``X-Request-ID`` that ties the requests of one call together; empty where it is no short printable text."""
    value = request.headers.get("x-request-id", "")
    return value if len(value) <= _MAX_REQUEST_ID_LENGTH and value.isprintable() else ""


# ── putting it together ──────────────────────────────────────────────────────────────────


def trusted_issuer(issuer: str, http: httpx.AsyncClient) -> TrustedIssuer:
    """The company's token service: its ES256 keys, fetched from where it publishes them."""
    return TrustedIssuer(issuer, frozenset({"ES256"}), JwksClient(f"{issuer}/oauth2/jwks", client=http))


def guarded(
    audience: str, issuer: TrustedIssuer, clock: Clock, routes: list[Route], http: httpx.AsyncClient
) -> Starlette:
    """An API that serves only delegated tokens for ``audience``; its journal is ``app.state.journal``.

    Closes ``http`` when it stops.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with http:
            yield

    journal = Journal()
    server = ResourceServer(audience, [issuer], clock)
    middleware = [
        Middleware(BearerMiddleware, server=server, realm=audience),
        Middleware(JournalMiddleware, journal=journal),
    ]
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=dict(PROBLEMS), lifespan=lifespan)
    app.state.journal = journal
    return app
