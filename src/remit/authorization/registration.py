"""Door: clients register themselves (RFC 7591), for want of something better.

Anybody may, so a client's name is its own word, there is room for so many of them, and each address has to take its
time. A document at the client's own URL is the better way (``documents``).
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from remit import oauth
from remit.authorization.document import ClientMetadata, read_registration
from remit.authorization.dynamic import PREFIX, insert_client
from remit.authorization.file import AuthorizationsFile
from remit.authorization.rates import Rate
from remit.authorization.throttle import network
from remit.clock import Clock
from remit.credential import Credential
from remit.errors import AuditError, GrantError, GrantUnavailable, InvalidClientMetadata, StateInvalid
from remit.sts.form_endpoint import NO_STORE, RequestTooLarge, RequestTooSlow, endpoint, json_response, refusal
from remit.sts.returning import RecordControl

REGISTRATION_PATH: Final = "/oauth2/register"
_MAX_BYTES: Final = 16 * 1024
_SECONDS: Final = 10.0
_PER_ADDRESS: Final = 20
_IN_ALL: Final = 120
_SECRETS: Final = frozenset({oauth.CLIENT_SECRET_BASIC, oauth.CLIENT_SECRET_POST})
_NOT_A_SLUG: Final = re.compile(r"[^a-z0-9]+")
_MAX_SLUG: Final = 32
_LOG: Final = logging.getLogger(__name__)


class TooManyRegistrations(GrantUnavailable):
    """From one address, or in all (429)."""

    status = 429


class Registration:
    """Registers clients in ``file``, at most ``limit`` in all; ``record`` tells the trail."""

    def __init__(
        self, file: AuthorizationsFile, clock: Clock, *, limit: int, record: RecordControl | None = None
    ) -> None:
        self._file = file
        self._clock = clock
        self._limit = limit
        self._record = record
        self._by_address = Rate(_PER_ADDRESS)
        self._in_all = Rate(_IN_ALL)

    async def register(self, body: bytes, address: str) -> dict[str, Any]:
        """The client information response (RFC 7591 §3.2.1). A secret is told here and never again.

        Raises ``InvalidClientMetadata``, ``InvalidRedirectUri``, ``TooManyRegistrations``, ``GrantUnavailable``.
        """
        metadata = read_registration(body)
        now = self._clock.monotonic()
        if not (self._by_address.admits(network(address), now) and self._in_all.admits("", now)):
            raise TooManyRegistrations("too many clients register, try again later")
        client_id = f"{PREFIX}{_slug(metadata.name)}.{secrets.token_urlsafe(16)}"
        secret = Credential(secrets.token_urlsafe(32)) if metadata.auth_method in _SECRETS else None
        try:
            issued_at = await self._keep(client_id, metadata, secret)
            if self._record is not None:
                await self._record("register_client", {"kind": "client", "value": client_id})
        except (AuditError, StateInvalid) as error:
            raise GrantUnavailable("no client can be registered now", detail=error.detail) from error
        return _information(client_id, metadata, secret, issued_at)

    async def _keep(self, client_id: str, metadata: ClientMetadata, secret: Credential | None) -> int:
        """When it was. Raises ``GrantUnavailable``."""
        digest = secret.digest if secret else b""
        at = await self._file.run(
            lambda connection, now: (
                now if insert_client(connection, client_id, metadata, digest, now=now, limit=self._limit) else 0
            )
        )
        if not at:
            hint = "raise sign_in.registration.limit, or switch registration off"
            raise GrantUnavailable("there is no room for another client", hint=hint)
        return at


def registration_route(issuer: str, registration: Registration) -> Route:
    """The endpoint, below the issuer's own path; pages of any origin may ask it."""
    path = urlsplit(issuer).path.rstrip("/") + REGISTRATION_PATH
    return endpoint(path, ("POST",), _Endpoint(registration), cross_origin=True)


class _Endpoint:
    """JSON in, JSON out (RFC 7591 §3)."""

    def __init__(self, registration: Registration) -> None:
        self._registration = registration

    async def __call__(self, request: Request) -> Response:
        address = request.client.host if request.client else ""
        try:
            document = await self._registration.register(await _body(request), address)
        except GrantError as error:
            _LOG.info("a registration was refused: %s: %s (%s)", error.code, error.message, error.detail)
            return refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        return json_response(document, NO_STORE, status=201)


async def _body(request: Request) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise InvalidClientMetadata("the body must be application/json")
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise RequestTooLarge(f"the body is longer than {_MAX_BYTES} bytes")
    except TimeoutError as error:
        raise RequestTooSlow("the body did not arrive in time") from error
    return bytes(body)


def _slug(name: str) -> str:
    """So that a person who reads the id in the trail has some idea whose it is."""
    return _NOT_A_SLUG.sub("-", name.lower()).strip("-")[:_MAX_SLUG].strip("-") or "client"


def _information(client_id: str, metadata: ClientMetadata, secret: Credential | None, issued_at: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "client_id": client_id,
        "client_id_issued_at": issued_at,
        "redirect_uris": list(metadata.redirect_uris),
        "grant_types": sorted(metadata.grants),
        "response_types": ["code"] if oauth.GRANT_AUTHORIZATION_CODE in metadata.grants else [],
        "token_endpoint_auth_method": metadata.auth_method,
    }
    if metadata.name:
        document["client_name"] = metadata.name
    if metadata.jwks is not None:
        document["jwks"] = metadata.jwks
    if secret is not None:  # told to its client, this once
        document |= {"client_secret": secret.reveal(), "client_secret_expires_at": 0}
    return document
