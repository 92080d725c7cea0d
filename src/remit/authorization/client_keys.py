"""Path: a client that proves itself by its key → where its keys are."""

from __future__ import annotations

from remit.authorization.client import SignInClient
from remit.authorization.documents import ClientDocuments
from remit.errors import InvalidClient, SettingsInvalid
from remit.tokens.jwks import KeySource, StaticKeys


def keys_of(client: SignInClient, documents: ClientDocuments | None) -> KeySource:
    """Its keys. Raises ``InvalidClient`` where it has none that can be used."""
    if client.jwks_uri and documents is not None:
        return documents.keys_at(client.jwks_uri)
    if client.jwks is None:
        raise InvalidClient("client authentication failed", detail="the client has no keys")
    try:
        return StaticKeys(client.jwks)
    except SettingsInvalid as error:
        raise InvalidClient("client authentication failed", detail=f"the client's keys: {error.message}") from error
