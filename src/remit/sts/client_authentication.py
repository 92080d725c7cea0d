"""Door: which client is it? Remembers the assertions it has seen; everything else is a function of the request.

RFC 6749 §2.3, RFC 7523 §3. Every client is confidential: a request that proves nothing is refused, whatever it
says of itself.
"""

from __future__ import annotations

import base64
import heapq
from collections.abc import Mapping, Sequence
from typing import Final

from remit import oauth
from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.errors import InvalidClient, InvalidRequest, IssuerUntrusted, TokenInvalid
from remit.sts.clients import Client, check_secret
from remit.sts.form import Form, decode, single
from remit.tokens.checks import check_issuer
from remit.tokens.jwks import StaticKeys
from remit.tokens.parse import parse
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken

_ALGORITHMS: Final = frozenset({"ES256", "RS256"})
_MAX_ASSERTION_LIFETIME: Final = 600
_MAX_REMEMBERED: Final = 100_000
_LEEWAY: Final = 30
#: Assertions have no fixed ``typ``; what must not pass is a token of another kind.
_ASSERTION_TYP: Final = frozenset({"", "jwt", "client-authentication+jwt"})
_ASSERTION_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "jti"})

#: Signature algorithms a client assertion may have.
ASSERTION_ALGORITHMS: Final = tuple(sorted(_ALGORITHMS))


class ClientAuthenticator:
    """Authenticates the clients in ``clients`` (by client id), as they are at each request.

    ``audiences``: what a client assertion may be for, the issuer first and foremost.
    """

    def __init__(self, clients: Mapping[str, Client], audiences: frozenset[str], clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._expect = Expectation(audiences, typ=_ASSERTION_TYP, required=_ASSERTION_CLAIMS, leeway=_LEEWAY)
        self._verifiers: dict[str, tuple[Client, TokenVerifier]] = {}
        for client in clients.values():
            self._verifier_of(client)  # keys that cannot be used are told before anything is served
        self._used = _UsedOnce(_MAX_REMEMBERED)

    async def authenticate(self, authorization: Sequence[str], form: Form) -> Client:
        """The client that made the request; ``authorization`` are the values of that header.

        Raises ``InvalidClient``, and ``InvalidRequest`` for more than one mechanism (RFC 6749 §5.2).
        """
        used = [*authorization, *form.get("client_secret", ()), *form.get("client_assertion", ())]
        if len(used) > 1:
            raise InvalidRequest("more than one client authentication is included")
        if authorization:
            client_id, secret = _read_basic(authorization[0])
            return self._by_secret(client_id, secret, oauth.CLIENT_SECRET_BASIC, form)
        if "client_assertion" in form:
            return await self._by_assertion(single(form, "client_assertion"), form)
        if "client_secret" in form:
            client_id, secret = single(form, "client_id"), single(form, "client_secret")
            return self._by_secret(client_id, secret, oauth.CLIENT_SECRET_POST, form)
        raise InvalidClient("client authentication is missing")

    def _by_secret(self, client_id: str, secret: str, method: str, form: Form) -> Client:
        client = self._clients.get(client_id)
        if not check_secret(client, secret) or client is None:
            raise InvalidClient("client authentication failed")
        return _allowed(client, method, form)

    async def _by_assertion(self, assertion: str, form: Form) -> Client:
        """RFC 7523 §3: signed by the client's key, for this service, short-lived, used once."""
        if single(form, "client_assertion_type") != oauth.CLIENT_ASSERTION_TYPE_JWT_BEARER:
            raise InvalidClient("client_assertion_type is not supported, only jwt-bearer is")
        now = self._clock.now()
        try:
            client, verifier = self._signer(UnverifiedToken(assertion))
            token = await verifier.verify(UnverifiedToken(assertion), self._expect, now=now)
        except TokenInvalid as error:
            raise InvalidClient(
                "client_assertion is not acceptable", detail=f"{error.code}: {error.message}"
            ) from error
        client = _allowed(client, oauth.PRIVATE_KEY_JWT, form)
        self._check_assertion(token, now)
        return client

    def _signer(self, assertion: UnverifiedToken) -> tuple[Client, TokenVerifier]:
        """The client that an assertion says it is from, and what verifies that. Raises ``TokenInvalid`` leaves."""
        said = check_issuer(parse(assertion).claims, self._clients.keys())
        client = self._clients[said]
        verifier = self._verifier_of(client)
        if verifier is None:
            raise IssuerUntrusted("the client has no keys")
        return client, verifier

    def _verifier_of(self, client: Client) -> TokenVerifier | None:
        """Made once for a client as it is now: another one of the same id may have other keys."""
        if client.jwks is None:
            return None
        known, verifier = self._verifiers.get(client.client_id, (None, None))
        if verifier is None or known is not client:
            trusted = TrustedIssuer(client.client_id, _ALGORITHMS, StaticKeys(client.jwks))
            verifier = TokenVerifier([trusted], cache_size=0)  # each assertion is seen once
            self._verifiers[client.client_id] = (client, verifier)
        return verifier

    def _check_assertion(self, token: VerifiedToken, now: float) -> None:
        if token.subject != token.issuer:
            raise InvalidClient("client_assertion is not about the client that made it")
        if len(token.audience) != 1:
            raise InvalidClient("client_assertion is for somebody else as well")
        if token.expires_at - now > _MAX_ASSERTION_LIFETIME:
            raise InvalidClient("client_assertion lives too long")
        # Last, and without an await before it: of two requests with one assertion, one comes through.
        self._used.once((token.issuer, token.jti), until=token.expires_at + _LEEWAY, now=now)


class _UsedOnce:
    """What has been used, until it has expired. When it is full nothing more is taken: that fails closed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._keys: set[tuple[str, str]] = set()
        self._by_expiry: list[tuple[float, tuple[str, str]]] = []

    def once(self, key: tuple[str, str], *, until: float, now: float) -> None:
        while self._by_expiry and self._by_expiry[0][0] < now:
            self._keys.discard(heapq.heappop(self._by_expiry)[1])
        if key in self._keys:
            raise InvalidClient("client_assertion was used before")
        if len(self._keys) >= self._size:
            raise InvalidClient("too many client assertions at once, try again later")
        self._keys.add(key)
        heapq.heappush(self._by_expiry, (until, key))


def _allowed(client: Client, method: str, form: Form) -> Client:
    if method not in client.auth_methods:
        raise InvalidClient("client authentication failed", detail=f"{method} is not allowed for {client.client_id}")
    if single(form, "client_id") not in ("", client.client_id):
        raise InvalidClient("client_id is not the authenticated client")
    return client


def _read_basic(authorization: str) -> tuple[str, str]:
    """RFC 6749 §2.3.1: id and secret are form-encoded, joined by a colon and base64-encoded."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("the Authorization header is not Basic")
    try:
        pair = base64.b64decode(encoded.strip(" "), validate=True).decode("utf-8")
        client_id, colon, secret = pair.partition(":")
        if colon:
            return decode(client_id), decode(secret)
    except (ValueError, InvalidRequest) as error:
        raise InvalidClient("the Authorization header cannot be read") from error
    raise InvalidClient("the Authorization header cannot be read")
