"""Door: the token service over HTTP: tokens, introspection, revocation, the public keys and the metadata.

RFC 6749 §3.2 and §5, RFC 8693 §2, RFC 7662, RFC 7009, RFC 7517 §5, RFC 8414 §3. Every answer is JSON, none repeats
what was sent, and none but the keys may be stored.
"""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from remit import oauth
from remit.clock import Clock
from remit.errors import GrantError, InvalidRequest
from remit.sts.client_authentication import ASSERTION_ALGORITHMS, ClientAuthenticator
from remit.sts.clients import Client
from remit.sts.form import MAX_BODY_BYTES, Form, read_form
from remit.sts.grant import SecurityTokenService
from remit.sts.introspection import Introspection
from remit.sts.issued import IssuedTokens
from remit.sts.recording import OpenRecord, RecordedGrants
from remit.sts.returning import RecordControl, Returning
from remit.sts.revocation import RevocationList

TOKEN_PATH: Final = "/oauth2/token"
INTROSPECTION_PATH: Final = "/oauth2/introspect"
REVOCATION_PATH: Final = "/oauth2/revoke"
JWKS_PATH: Final = "/oauth2/jwks"

_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 §5.1
_JWKS_CACHE: Final = {"Cache-Control": "public, max-age=300"}
_BODY_SECONDS: Final = 10.0
_LOG: Final = logging.getLogger(__name__)

_AUTH_METHODS: Final = (oauth.CLIENT_SECRET_BASIC, oauth.CLIENT_SECRET_POST, oauth.PRIVATE_KEY_JWT)

Handler = Callable[[Request], Awaitable[Response]]
#: What an endpoint does with the form of an authenticated client. Raises leaves of ``GrantError``.
Answer = Callable[[Client, Form], Awaitable[Mapping[str, Any]]]


class RequestTooLarge(InvalidRequest):
    """More bytes than a token request can have (413)."""

    status = 413


class RequestTooSlow(InvalidRequest):
    """The body did not arrive in time (408)."""

    status = 408


def routes(
    sts: SecurityTokenService,
    clock: Clock,
    revocations: RevocationList | None = None,
    record: RecordControl | None = None,
    issuance: OpenRecord | None = None,
) -> list[Route]:
    """All routes of the token service, at the paths that its issuer's own path asks for.

    Clients can revoke their tokens where there is a list of ``revocations``; ``record`` tells the trail of it, and
    ``issuance`` of every token that is issued or refused.
    """
    path = urlsplit(sts.issuer).path.rstrip("/")
    metadata = partial(metadata_document, sts.issuer, sts.clients, revocation=revocations is not None)
    endpoints = {value for name, value in metadata().items() if name.endswith("_endpoint")}
    clients = ClientAuthenticator(sts.clients, frozenset({sts.issuer, *endpoints}), clock)
    issued = IssuedTokens(sts.issuer, sts.keys, clock)
    answers: dict[str, Answer] = {
        TOKEN_PATH: RecordedGrants(sts, issuance).answer if issuance else sts.grant,
        INTROSPECTION_PATH: Introspection(issued, sts.revocations).answer,
    }
    if revocations is not None:
        answers[REVOCATION_PATH] = Returning(issued, revocations, record).answer
    document = _Document(metadata, _NO_STORE)
    well_known = {
        oauth.WELL_KNOWN_AUTHORIZATION_SERVER + path,  # RFC 8414 §3.1
        oauth.WELL_KNOWN_OPENID_CONFIGURATION + path,
        path + oauth.WELL_KNOWN_OPENID_CONFIGURATION,  # OpenID Connect Discovery §4, for older clients
    }
    return [
        *(Route(path + place, _Only(("POST",), _FormEndpoint(clients, answer))) for place, answer in answers.items()),
        Route(path + JWKS_PATH, _Only(("GET", "HEAD"), _Document(sts.keys.jwks, _JWKS_CACHE))),
        *(Route(place, _Only(("GET", "HEAD"), document)) for place in sorted(well_known)),
    ]


def metadata_document(issuer: str, clients: Mapping[str, Client], *, revocation: bool = False) -> dict[str, Any]:
    """RFC 8414 §2. ``revocation``: clients can revoke their tokens here."""
    base = issuer.rstrip("/")
    scopes = {scope for client in clients.values() for rule in client.targets for scope in rule.scopes}
    served = {"token": TOKEN_PATH, "introspection": INTROSPECTION_PATH}
    if revocation:
        served["revocation"] = REVOCATION_PATH
    document: dict[str, Any] = {
        "issuer": issuer,
        "jwks_uri": base + JWKS_PATH,
        "grant_types_supported": [oauth.GRANT_CLIENT_CREDENTIALS, oauth.GRANT_TOKEN_EXCHANGE],
        "response_types_supported": [],  # REQUIRED, though there is no authorization endpoint
        "scopes_supported": sorted(scopes),
    }
    for name, path in served.items():
        document[f"{name}_endpoint"] = base + path
        document[f"{name}_endpoint_auth_methods_supported"] = list(_AUTH_METHODS)
        document[f"{name}_endpoint_auth_signing_alg_values_supported"] = list(ASSERTION_ALGORITHMS)
    return document


class _FormEndpoint:
    """An authenticated client's form in, JSON out, whatever happens (RFC 6749 §3.2)."""

    def __init__(self, clients: ClientAuthenticator, answer: Answer) -> None:
        self._clients = clients
        self._answer = answer

    async def __call__(self, request: Request) -> Response:
        try:
            form = await _read(request)
            client = await self._clients.authenticate(request.headers.getlist("authorization"), form)
            return _json(await self._answer(client, form), _NO_STORE)
        except GrantError as error:
            _LOG.info("%s refused: %s: %s (%s)", request.url.path, error.code, error.message, error.detail)
            return _refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:  # noqa: BLE001  the top of the request: nothing inner may show
            _LOG.error("%s failed: %s", request.url.path, _where(error))
            return _json({"error": "server_error"}, _NO_STORE, status=500)


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


def _refusal(error: GrantError) -> Response:
    """RFC 6749 §5.2. A 401 always carries a challenge (RFC 9110 §15.5.2)."""
    headers = dict(_NO_STORE)
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="token", charset="UTF-8"'
    if isinstance(error, RequestTooLarge | RequestTooSlow):
        headers["Connection"] = "close"  # the rest of the body is not wanted
    return _json({"error": error.code, "error_description": _described(error.message)}, headers, status=error.status)


def _described(message: str) -> str:
    """A message in the characters of ``error_description`` (RFC 6749 §5.2). A policy's author may have used others."""
    text = message.replace('"', "'").replace("\\", "/")
    return "".join(character if " " <= character <= "~" else "?" for character in text)


def _json(document: Mapping[str, Any], headers: Mapping[str, str], *, status: int = 200) -> Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, dict(headers), "application/json")


def _where(error: Exception) -> str:
    """Kind and place of an error, without its message."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-5:]))
    return f"{type(error).__name__} at {places}"


class _Document:
    """A public document, asked for each time: keys and clients change while serving."""

    def __init__(self, read: Callable[[], Mapping[str, Any]], headers: Mapping[str, str]) -> None:
        self._read = read
        self._headers = headers

    async def __call__(self, _: Request) -> Response:
        return _json(self._read(), self._headers)


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
            response = _json({"error": "invalid_request"}, {**_NO_STORE, "Allow": ", ".join(self._methods)}, status=405)
        await response(scope, receive, send)
