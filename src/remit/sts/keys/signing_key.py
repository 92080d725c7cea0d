"""Noun: one private signing key."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key, its algorithm and its ``kid``, which is the RFC 7638 thumbprint of the public half.

    Two with the same ``kid`` are the same key.
    """

    kid: str
    algorithm: str
    private_key: EllipticCurvePrivateKey = field(repr=False)
    public_jwk: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, private_key: EllipticCurvePrivateKey) -> Self:
        """An ES256 key with its public JWK."""
        public = ECAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
        members = {name: public[name] for name in ("crv", "kty", "x", "y")}
        kid = thumbprint(members)
        return cls(kid, "ES256", private_key, {**members, "kid": kid, "use": "sig", "alg": "ES256"})

    @classmethod
    def new(cls) -> Self:
        """A key nobody has seen yet."""
        return cls.of(generate_private_key(SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Raises ``ValueError`` for anything but an unencrypted PEM private key on P-256."""
        try:
            key = load_pem_private_key(pem, password=None)
        except TypeError as error:
            raise ValueError("the signing key is encrypted") from error
        except ValueError as error:
            raise ValueError("the signing key is no PEM private key") from error
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise ValueError("the signing key is no P-256 key")  # noqa: TRY004  one error kind for every bad key
        return cls.of(key)

    def to_pem(self) -> bytes:
        """The private key, for the file that keeps it."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def __eq__(self, other: object) -> bool:
        return self.kid == other.kid if isinstance(other, SigningKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.kid)


def thumbprint(members: dict[str, Any]) -> str:
    """RFC 7638 §3: SHA-256 of the required members, in order and without white space."""
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
