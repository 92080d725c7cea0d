"""Noun: who is signed in, where, and through which client.

Its text form holds both tokens and goes nowhere but into a vault (``remit.login.vault``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Self

from remit import oauth
from remit.credential import Credential, UnverifiedToken
from remit.tokens import strict_json
from remit.web import is_secure


@dataclass(frozen=True, slots=True)
class LoginTarget:
    """Where one signs in, as what client, and for which resource (RFC 8707). There is one login for each."""

    issuer: str
    client_id: str
    resource: str

    @property
    def key(self) -> str:
        """A name for it that any file system and keyring takes: 32 hex digits."""
        text = f"{self.issuer}\n{self.client_id}\n{self.resource}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class LoginClient:
    """The client that one signs in through. Without ``secret`` it is a public one. ``scopes``: what it asks for."""

    target: LoginTarget
    scopes: tuple[str, ...] = ()
    secret: Credential | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """One login. ``account`` is the ``sub`` of the access token, unverified and for people to read; it may be empty.

    ``expires_at`` is the access token's, in seconds since the epoch. ``repr`` shows fingerprints of the tokens.
    """

    target: LoginTarget
    access_token: UnverifiedToken
    refresh_token: Credential | None
    expires_at: int
    scopes: tuple[str, ...]
    account: str
    token_endpoint: str = field(repr=False)

    def to_text(self) -> str:
        """ASCII text from which it can be read again. Secret."""
        refresh = self.refresh_token.reveal() if self.refresh_token else ""
        return json.dumps(
            {
                "issuer": self.target.issuer,
                "client_id": self.target.client_id,
                "resource": self.target.resource,
                "access_token": self.access_token.reveal(),
                "refresh_token": refresh,
                "expires_at": self.expires_at,
                "scope": oauth.format_scope(self.scopes),
                "account": self.account,
                "token_endpoint": self.token_endpoint,
            }
        )

    @classmethod
    def from_text(cls, text: str) -> Self:
        """What ``to_text`` wrote. Raises ``ValueError``, which repeats nothing of it."""
        document = strict_json.loads(text.encode("utf-8", "surrogatepass"))
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")  # noqa: TRY004  the text is what is wrong
        expires_at = document.get("expires_at")
        if not isinstance(expires_at, int) or isinstance(expires_at, bool):
            raise ValueError("expires_at is no number")  # noqa: TRY004  as above
        endpoint = _text(document, "token_endpoint")
        if not is_secure(endpoint):
            raise ValueError("token_endpoint is not one that may be sent a credential")
        refresh = _text(document, "refresh_token")
        return cls(
            target=LoginTarget(*(_text(document, name) for name in ("issuer", "client_id", "resource"))),
            access_token=UnverifiedToken(_text(document, "access_token")),
            refresh_token=Credential(refresh) if refresh else None,
            expires_at=expires_at,
            scopes=oauth.parse_scope(_text(document, "scope")),
            account=_text(document, "account"),
            token_endpoint=endpoint,
        )


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")  # noqa: TRY004  as above
    return value
