"""Path: which client do people sign in through? A public one says so; any other proves it (RFC 6749 §2.3, §3.2.1)."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final, Protocol

from remit import oauth
from remit.authorization.client import ClientDirectory, SignInClient, Source
from remit.authorization.file import AuthorizationsFile
from remit.clock import Clock
from remit.errors import InvalidClient
from remit.sts.client_authentication import ASSERTION_LEEWAY, Assertions, assertion_verifier
from remit.sts.client_proof import ClientProof, read_proof
from remit.sts.clients import check_secret
from remit.sts.form import Form
from remit.tokens.jwks import KeySource

_SECRETS: Final = frozenset({oauth.CLIENT_SECRET_BASIC, oauth.CLIENT_SECRET_POST})


class KeyDirectory(ClientDirectory, Protocol):
    """A directory that also knows the clients' keys."""

    def keys_of(self, client: SignInClient) -> Awaitable[KeySource]:
        """The keys by which a ``private_key_jwt`` client proves itself. Raises ``InvalidClient``."""
        ...


class SignInClients:
    """Identifies the clients of ``directory``. ``audiences``: what a client assertion may be for."""

    def __init__(
        self, directory: KeyDirectory, audiences: frozenset[str], file: AuthorizationsFile, clock: Clock
    ) -> None:
        self._directory = directory
        self._assertions = Assertions(audiences, clock)
        self._file = file

    async def authenticate(self, authorization: Sequence[str], form: Form) -> SignInClient:
        """The client that made the request; ``authorization`` are the values of that header.

        Of a public client this is its own word: what it gets depends on a code or token that only it can have.
        Raises ``InvalidClient``, ``InvalidRequest``, and ``GrantUnavailable``.
        """
        proof = read_proof(authorization, form)
        if not proof.client_id:
            raise InvalidClient("client_id is missing")
        client = await self._directory.find(proof.client_id)
        if proof.method in _SECRETS:
            return _by_secret(client, proof)
        if client is None or client.auth_method != proof.method:
            raise InvalidClient("client authentication failed", detail=f"not by {proof.method}")
        if proof.method == oauth.PRIVATE_KEY_JWT:
            await self._check_assertion(client, proof)
        return client

    async def _check_assertion(self, client: SignInClient, proof: ClientProof) -> None:
        verifier = assertion_verifier(client.client_id, await self._directory.keys_of(client))
        token = await self._assertions.check(proof.secret, verifier)
        until = token.expires_at + ASSERTION_LEEWAY
        # Apart, so that strangers, who can have any number of keys, leave room for the operator's own clients.
        kind = "client_assertion" if client.source is Source.SETTINGS else "strangers_assertion"
        if not await self._file.use_once(kind, f"{client.client_id} {token.jti}", until=until):
            raise InvalidClient("client_assertion was used before")


def _by_secret(client: SignInClient | None, proof: ClientProof) -> SignInClient:
    """Both ways to send a secret will do; a secret that a client does not have is never passed over."""
    if not check_secret(client.secret_digest if client else b"", proof.secret) or client is None:
        raise InvalidClient("client authentication failed")
    if client.auth_method not in _SECRETS:
        raise InvalidClient("client authentication failed", detail=f"not by {proof.method}")
    return client
