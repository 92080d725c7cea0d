"""Door: which client is it? Remembers the assertions it has seen; everything else is a function of the request.

RFC 6749 §2.3, RFC 7523 §3. Every client is confidential: a request that proves nothing is refused, whatever it
says of itself.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Final

from remit import oauth
from remit.clock import Clock
from remit.credential import Credential, UnverifiedToken
from remit.errors import GrantUnavailable, InvalidClient, KeysUnavailable, TokenInvalid
from remit.sts.client_proof import ClientProof, read_proof
from remit.sts.clients import Client, check_secret
from remit.sts.form import Form
from remit.tokens.jwks import KeySource, StaticKeys
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken

_ALGORITHMS: Final = frozenset({"ES256", "RS256"})
_MAX_ASSERTION_LIFETIME: Final = 600
_MAX_REMEMBERED: Final = 100_000
#: Seconds that an assertion may be accepted after it expired: for so long it has to be remembered.
ASSERTION_LEEWAY: Final = 30
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
        self._assertions = Assertions(audiences, clock)
        self._verifiers: dict[str, tuple[Client, TokenVerifier]] = {}
        for client in clients.values():
            self._verifier_of(client)  # keys that cannot be used are told before anything is served
        self._used = _UsedOnce(_MAX_REMEMBERED)

    async def authenticate(self, authorization: Sequence[str], form: Form) -> Client:
        """The client that made the request; ``authorization`` are the values of that header.

        Raises ``InvalidClient``, and ``InvalidRequest`` for more than one mechanism (RFC 6749 §5.2).
        """
        proof = read_proof(authorization, form)
        if proof.method == oauth.NO_CLIENT_AUTHENTICATION:
            raise InvalidClient("client authentication is missing")
        if proof.method == oauth.PRIVATE_KEY_JWT:
            return await self._by_assertion(proof)
        client = self._clients.get(proof.client_id)
        if not check_secret(client.secret_digest if client else b"", proof.secret) or client is None:
            raise InvalidClient("client authentication failed")
        return _allowed(client, proof.method)

    async def _by_assertion(self, proof: ClientProof) -> Client:
        """RFC 7523 §3: signed by the client's key, for this service, short-lived, used once."""
        client = self._clients.get(proof.client_id)
        verifier = self._verifier_of(client) if client else None
        if client is None or verifier is None:
            raise InvalidClient("client_assertion is not acceptable", detail="no client of that name has keys")
        token = await self._assertions.check(proof.secret, verifier)
        client = _allowed(client, proof.method)
        # Last, and without an await before it: of two requests with one assertion, one comes through.
        self._used.once((token.issuer, token.jti), until=token.expires_at + ASSERTION_LEEWAY, now=self._clock.now())
        return client

    def _verifier_of(self, client: Client) -> TokenVerifier | None:
        """Made once for a client as it is now: another one of the same id may have other keys."""
        if client.jwks is None:
            return None
        known, verifier = self._verifiers.get(client.client_id, (None, None))
        if verifier is None or known is not client:
            verifier = assertion_verifier(client.client_id, StaticKeys(client.jwks))
            self._verifiers[client.client_id] = (client, verifier)
        return verifier


class Assertions:
    """Checks client assertions for one of ``audiences``. This does NOT ask whether one was used before."""

    def __init__(self, audiences: frozenset[str], clock: Clock) -> None:
        self._clock = clock
        self._expect = Expectation(audiences, typ=_ASSERTION_TYP, required=_ASSERTION_CLAIMS, leeway=ASSERTION_LEEWAY)

    async def check(self, assertion: Credential, verifier: TokenVerifier) -> VerifiedToken:
        """The assertion: sound, about its own issuer, for this service alone, and short-lived.

        Raises ``InvalidClient``, and ``GrantUnavailable`` where the client's keys cannot be had.
        """
        now = self._clock.now()
        try:
            token = await verifier.verify(UnverifiedToken(assertion.reveal()), self._expect, now=now)
        except TokenInvalid as error:
            raise InvalidClient(
                "client_assertion is not acceptable", detail=f"{error.code}: {error.message}"
            ) from error
        except KeysUnavailable as error:
            raise GrantUnavailable("the client's keys cannot be had now", detail=error.message) from error
        if token.subject != token.issuer:
            raise InvalidClient("client_assertion is not about the client that made it")
        if len(token.audience) != 1:
            raise InvalidClient("client_assertion is for somebody else as well")
        if token.expires_at - now > _MAX_ASSERTION_LIFETIME:
            raise InvalidClient("client_assertion lives too long")
        return token


def assertion_verifier(client_id: str, keys: KeySource) -> TokenVerifier:
    """What verifies the assertions of one client."""
    return TokenVerifier([TrustedIssuer(client_id, _ALGORITHMS, keys)], cache_size=0)  # each is seen once


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


def _allowed(client: Client, method: str) -> Client:
    if method not in client.auth_methods:
        raise InvalidClient("client authentication failed", detail=f"{method} is not allowed for {client.client_id}")
    return client
