"""Noun: what is asked of a token service, and what it answers.

RFC 8693 §2.1 and §2.2.1 (token exchange), RFC 6749 §4.4 (client credentials). A request writes itself as form
fields; an answer reads itself from JSON and refuses what the RFC does not allow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from remit import oauth
from remit.credential import Credential
from remit.errors import ExchangeInvalid
from remit.principal import Profile

#: No access token longer than this is taken from a token service.
MAX_TOKEN_BYTES: Final = 16 * 1024
_MAX_EXPIRES_IN: Final = 2**31
_B64TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 §2.1: what may follow "Bearer "

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Target:
    """The API a token is for: its logical name, its URI (RFC 8707), or both. Their grammar is not checked here."""

    audience: str = ""
    resource: str = ""

    @property
    def names(self) -> frozenset[str]:
        """What a token's ``aud`` may say for this target."""
        return frozenset({self.audience, self.resource} - {""})

    def to_form(self) -> Fields:
        """The target parameters of a token request."""
        return _present([("audience", self.audience), ("resource", self.resource)])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one tool call needs: a token for ``target`` with ``scopes``, good for ``max_lifetime`` seconds at most.

    No ``scopes`` leaves the choice to the token service, within those of the subject token. ``profile``: how the
    token must say who acts for whom; the service decides it by target, so this is not sent but checked.
    """

    target: Target
    scopes: tuple[str, ...]
    max_lifetime: int
    profile: Profile = Profile.RFC8693


@dataclass(frozen=True, slots=True)
class TokenExchangeRequest:
    """A token exchange (RFC 8693 §2.1) of access tokens for an access token.

    ``requested_expires_in`` (seconds, 0: not said) is an extension; a service that does not know it ignores it.
    """

    subject_token: Credential
    target: Target
    scopes: tuple[str, ...]
    actor_token: Credential | None = None
    requested_expires_in: int = 0

    def __post_init__(self) -> None:
        if not self.target.names:
            raise ValueError("an exchange needs a target")

    def to_form(self) -> Fields:
        """The form fields, without client authentication. The text of both tokens leaves here."""
        fields = [
            ("grant_type", oauth.GRANT_TOKEN_EXCHANGE),
            ("subject_token", self.subject_token.reveal()),
            ("subject_token_type", oauth.TOKEN_TYPE_ACCESS_TOKEN),
        ]
        if self.actor_token is not None:  # its type goes with it and never without (RFC 8693 §2.1)
            fields.append(("actor_token", self.actor_token.reveal()))
            fields.append(("actor_token_type", oauth.TOKEN_TYPE_ACCESS_TOKEN))
        return [*fields, *self._wishes()]

    def describe(self) -> dict[str, str]:
        """The request for a person's eyes: tokens as fingerprints."""
        shown = {
            "grant_type": oauth.GRANT_TOKEN_EXCHANGE,
            "subject_token": _fingerprint(self.subject_token),
            "subject_token_type": oauth.TOKEN_TYPE_ACCESS_TOKEN,
        }
        if self.actor_token is not None:
            shown["actor_token"] = _fingerprint(self.actor_token)
            shown["actor_token_type"] = oauth.TOKEN_TYPE_ACCESS_TOKEN
        return shown | dict(self._wishes())

    def _wishes(self) -> Fields:
        lifetime = str(self.requested_expires_in) if self.requested_expires_in else ""
        return [
            *self.target.to_form(),
            *_present([("scope", oauth.format_scope(self.scopes))]),
            ("requested_token_type", oauth.TOKEN_TYPE_ACCESS_TOKEN),
            *_present([(oauth.PARAM_REQUESTED_EXPIRES_IN, lifetime)]),
        ]


@dataclass(frozen=True, slots=True)
class ClientCredentialsRequest:
    """A token for the client itself (RFC 6749 §4.4). Without a target the token service chooses one.

    ``requested_expires_in`` as of an exchange.
    """

    target: Target = Target()
    scopes: tuple[str, ...] = ()
    requested_expires_in: int = 0

    def to_form(self) -> Fields:
        """The form fields, without client authentication."""
        lifetime = str(self.requested_expires_in) if self.requested_expires_in else ""
        wishes = [("scope", oauth.format_scope(self.scopes)), (oauth.PARAM_REQUESTED_EXPIRES_IN, lifetime)]
        return [("grant_type", oauth.GRANT_CLIENT_CREDENTIALS), *self.target.to_form(), *_present(wishes)]

    def describe(self) -> dict[str, str]:
        """The request for a person's eyes."""
        return dict(self.to_form())


TokenRequest = TokenExchangeRequest | ClientCredentialsRequest


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token service's answer. What the token itself says is *not* checked here.

    ``issued_token_type`` is empty where the service did not say; ``expires_in`` and ``scope`` are ``None`` then.
    """

    access_token: Credential
    issued_token_type: str
    token_type: str
    expires_in: int | None
    scope: str | None

    @classmethod
    def from_json(cls, document: object, *, issued_token_type_required: bool) -> Self:
        """Read a 200 answer (RFC 8693 §2.2.1, RFC 6749 §5.1). Unknown members are ignored, as the RFCs ask.

        Raises ``ExchangeInvalid``.
        """
        if not isinstance(document, Mapping):
            raise ExchangeInvalid("the token service answered with something else than a JSON object")
        return cls(
            access_token=_access_token(document.get("access_token")),
            issued_token_type=_issued_token_type(document.get("issued_token_type"), issued_token_type_required),
            token_type=_token_type(document.get("token_type")),
            expires_in=_expires_in(document.get("expires_in")),
            scope=_scope(document.get("scope")),
        )


def _access_token(value: Any) -> Credential:
    if not isinstance(value, str) or not value:
        raise ExchangeInvalid("the token service answered without an access_token")
    if len(value) > MAX_TOKEN_BYTES or not _B64TOKEN.fullmatch(value):
        raise ExchangeInvalid("the token service answered with an access_token that cannot be a bearer token")
    return Credential(value)


def _issued_token_type(value: Any, required: bool) -> str:  # noqa: FBT001  a declared quirk of the service, passed on
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value:
        raise ExchangeInvalid(
            "the token service answered without an issued_token_type",
            hint="RFC 8693 §2.2.1 requires it; declare it optional for this service if that is how it is",
        )
    return value


def _token_type(value: Any) -> str:
    """Bearer, in any case; ``N_A`` and ``DPoP`` are not usable here."""
    if not isinstance(value, str) or value.lower() != "bearer":
        raise ExchangeInvalid("the token service answered with a token_type other than Bearer")
    return "Bearer"


def _expires_in(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_EXPIRES_IN:
        raise ExchangeInvalid("the token service answered with an expires_in that is no number of seconds")
    return value


def _scope(value: Any) -> str | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return oauth.format_scope(oauth.parse_scope(value))
    except ValueError as error:
        raise ExchangeInvalid("the token service answered with a malformed scope", detail=str(error)) from error
    raise ExchangeInvalid("the token service answered with a scope that is no string")


def _present(fields: Fields) -> Fields:
    """Without the empty ones: an empty value counts as omitted (RFC 6749 §3.2)."""
    return [(name, value) for name, value in fields if value]


def _fingerprint(credential: Credential) -> str:
    return f"sha256:{credential.digest.hex()[:16]}"
