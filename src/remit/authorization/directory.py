"""Path: a client's id → the client, from wherever it is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from remit import oauth
from remit.authorization.client import DEFAULT_GRANTS, LOGIN_CLIENT, SignInClient, Source
from remit.authorization.client_keys import keys_of
from remit.authorization.document import is_document_url
from remit.authorization.documents import ClientDocuments
from remit.authorization.dynamic import PREFIX, find_client
from remit.authorization.file import AuthorizationsFile
from remit.errors import GrantUnavailable, StateInvalid
from remit.tokens.jwks import KeySource

#: `remit login`: it comes back to a port of this machine, or has the person type a code elsewhere.
_LOGIN: Final = SignInClient(
    LOGIN_CLIENT,
    "remit login",
    Source.SETTINGS,
    redirect_uris=("http://127.0.0.1/callback",),
    grants=DEFAULT_GRANTS | {oauth.GRANT_DEVICE_CODE},
)


class Directory:
    """The clients that the operator ``configured`` (by id), which go before all others; ``remit login``; those that
    registered themselves; and those with a document, where ``documents`` are taken.
    """

    def __init__(
        self,
        configured: Mapping[str, SignInClient],
        file: AuthorizationsFile,
        documents: ClientDocuments | None = None,
        *,
        registration: bool = True,
    ) -> None:
        self._configured = {LOGIN_CLIENT: _LOGIN, **configured}
        self._file = file
        self._documents = documents
        self._registration = registration

    async def find(self, client_id: str) -> SignInClient | None:
        """The client of this id, or none. What a client is may have changed since it was last asked for.

        Raises ``InvalidClient`` where its document cannot be used, and ``GrantUnavailable``.
        """
        configured = self._configured.get(client_id)
        if configured is not None:
            return configured
        if client_id.startswith(PREFIX) and self._registration:
            return await self._registered(client_id)
        if self._documents is not None and is_document_url(client_id):
            return await self._documents.find(client_id)
        return None

    async def keys_of(self, client: SignInClient) -> KeySource:
        """The keys by which a ``private_key_jwt`` client proves itself. Raises ``InvalidClient``."""
        return keys_of(client, self._documents)

    async def _registered(self, client_id: str) -> SignInClient | None:
        try:
            return await self._file.run(lambda connection, _: find_client(connection, client_id))
        except StateInvalid as error:
            raise GrantUnavailable("the registered clients cannot be read now", detail=error.detail) from error
