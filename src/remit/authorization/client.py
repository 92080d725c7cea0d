"""Noun: a client that people sign in through, from wherever it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from remit import oauth
from remit.principal import Assurance
from remit.web import is_loopback

#: The client of `remit login`; it is always there.
LOGIN_CLIENT: Final = "remit-login"
DEFAULT_GRANTS: Final = frozenset({oauth.GRANT_AUTHORIZATION_CODE, oauth.GRANT_REFRESH_TOKEN})


class Source(StrEnum):
    """Who says what a client is."""

    SETTINGS = "settings"  # the operator
    METADATA_DOCUMENT = "metadata_document"  # whoever owns the URL that is its id
    DYNAMIC = "dynamic"  # it itself (RFC 7591): its name proves nothing


@dataclass(frozen=True, slots=True)
class SignInClient:
    """A client of the authorization code, device code or assertion grant.

    ``auth_method`` is how it proves itself at the token endpoint: ``none`` (a public client), ``private_key_jwt`` by a
    key of ``jwks`` or of the document at ``jwks_uri``, or a secret of SHA-256 ``secret_digest``. ``scopes``: all it may
    ever be given; empty: whatever the person may give.
    """

    client_id: str
    name: str
    source: Source
    redirect_uris: tuple[str, ...] = ()
    auth_method: str = oauth.NO_CLIENT_AUTHENTICATION
    secret_digest: bytes = field(default=b"", repr=False)
    jwks: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)
    jwks_uri: str = ""
    grants: frozenset[str] = DEFAULT_GRANTS
    scopes: tuple[str, ...] = ()
    client_uri: str = ""

    @property
    def is_public(self) -> bool:
        """Whether it cannot prove that it is itself."""
        return self.auth_method == oauth.NO_CLIENT_AUTHENTICATION

    @property
    def assurance(self) -> Assurance:
        """How sure it is that this client is the one it is said to be, once it got its tokens."""
        if self.source is Source.DYNAMIC:
            return Assurance.SELF_ASSERTED
        return Assurance.REGISTERED if self.is_public else Assurance.AUTHENTICATED

    def redirects_to(self, uri: str) -> bool:
        """Whether ``uri`` is registered: byte for byte, but for the port of a loopback address (RFC 8252 §7.3)."""
        return uri in self.redirect_uris or any(_same_but_for_port(uri, known) for known in self.redirect_uris)


class ClientDirectory(Protocol):
    """Where clients are found, whatever their source."""

    async def find(self, client_id: str) -> SignInClient | None:
        """The client of this id, or none. Raises ``InvalidClient`` where it cannot be had, saying why."""
        ...


def _same_but_for_port(uri: str, known: str) -> bool:
    """A native client cannot know in advance which port it will get; a name, path or query it can."""
    if not (uri.isascii() and uri.isprintable() and is_loopback(uri) and is_loopback(known)):
        return False
    try:
        given, registered = urlsplit(uri), urlsplit(known)
        given.port  # noqa: B018  raises where it is none
    except ValueError:
        return False
    plain = "@" not in given.netloc and "\\" not in uri and "#" not in uri
    return plain and given._replace(netloc=given.hostname or "") == registered._replace(
        netloc=registered.hostname or ""
    )
