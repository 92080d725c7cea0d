"""Rule: how this product proves itself at a token endpoint.

Each method is a frozen value with one question, ``prove(now)``; the answer is what to add to the token request.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote_plus

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from remit import oauth
from remit.credential import Credential
from remit.errors import SettingsInvalid

#: How long a client assertion is good for, in seconds: long enough for a slow network, too short to be worth stealing.
ASSERTION_LIFETIME: Final = 60


@dataclass(frozen=True, slots=True)
class ClientProof:
    """Headers and form fields that prove the client. Secret: not to be printed."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class ClientAuthentication(Protocol):
    """A way to prove to be ``client_id``."""

    @property
    def client_id(self) -> str:
        """Who is proven."""
        ...

    def prove(self, *, now: float) -> ClientProof:
        """What to send along, at ``now`` (seconds since the epoch)."""
        ...


@dataclass(frozen=True, slots=True)
class ClientSecretBasic:
    """``client_secret_basic`` (RFC 6749 §2.3.1)."""

    client_id: str
    secret: Credential

    def prove(self, *, now: float) -> ClientProof:  # noqa: ARG002  the protocol's
        """An ``Authorization: Basic`` header; both parts are form-encoded first, as the RFC has it."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret.reveal())}"
        return ClientProof(headers=(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"),))


@dataclass(frozen=True, slots=True)
class ClientSecretPost:
    """``client_secret_post`` (RFC 6749 §2.3.1)."""

    client_id: str
    secret: Credential

    def prove(self, *, now: float) -> ClientProof:  # noqa: ARG002  the protocol's
        """``client_id`` and ``client_secret`` in the form."""
        return ClientProof(fields=(("client_id", self.client_id), ("client_secret", self.secret.reveal())))


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """``private_key_jwt`` (RFC 7523 §2.2): a short-lived assertion that only the holder of the key can make.

    ``audience`` is the token service's issuer identifier, the sole audience. ``kid`` may be empty.
    """

    client_id: str
    audience: str
    algorithm: str
    key: Any = field(repr=False)
    kid: str = ""

    @classmethod
    def from_pem(cls, client_id: str, pem: Credential, *, audience: str, kid: str = "") -> PrivateKeyJwt:
        """With an unencrypted PEM key: P-256 (ES256) or RSA of at least 2048 bits (RS256).

        Raises ``SettingsInvalid``.
        """
        try:
            key = load_pem_private_key(pem.reveal().encode(), password=None)
        except (ValueError, TypeError) as error:  # TypeError: it is encrypted
            raise SettingsInvalid("the client's private key is no unencrypted PEM private key") from error
        if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
            return cls(client_id, audience, "ES256", key, kid)
        if isinstance(key, RSAPrivateKey) and key.key_size >= 2048:
            return cls(client_id, audience, "RS256", key, kid)
        raise SettingsInvalid("the client's private key is neither P-256 nor RSA of at least 2048 bits")

    def prove(self, *, now: float) -> ClientProof:
        """A fresh assertion. Its ``jti`` is random, the one thing here that is no argument."""
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "iat": int(now),
            "exp": int(now) + ASSERTION_LIFETIME,
            "jti": secrets.token_urlsafe(16),
        }
        headers = {"kid": self.kid} if self.kid else None
        assertion = jwt.encode(claims, self.key, self.algorithm, headers=headers)
        return ClientProof(
            fields=(
                ("client_id", self.client_id),
                ("client_assertion_type", oauth.CLIENT_ASSERTION_TYPE_JWT_BEARER),
                ("client_assertion", assertion),
            )
        )
