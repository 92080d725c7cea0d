"""A fake identity provider: mints any token with any claim or header changed, well formed or not.

Keys are made once per run and shared by every issuer that asks for the same kid::

    idp = FakeIssuer()
    idp.mint()                                          # a sound RFC 9068 access token
    idp.mint(sub="bob", act={"sub": "agent-runner"})    # any claim changed or added
    idp.mint(exp=ABSENT, header={"typ": "JWT"})         # a claim left out, a header changed
    idp.mint(key=RS256)                                 # signed with the other key
    idp.sign(b'{"alg":"ES256"}', b'{"sub":1,"sub":2}')  # any bytes at all
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import Algorithm, ECAlgorithm, RSAAlgorithm

from remit.credential import UnverifiedToken

#: What time it is for ``support.clock.FakeClock`` at its start.
NOW: Final = 1_800_000_000
ISSUER: Final = "https://idp.example"
AUDIENCE: Final = "https://bridge.example/mcp"


#: As a claim's or header's value: leave it out.
class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final[Any] = _Absent()

ES256: Final = "ES256"
RS256: Final = "RS256"


def b64url(data: bytes) -> str:
    """Base64url without padding, as JWS has it."""
    return base64url_bytes(data).decode()


def base64url_bytes(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def to_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True)
class SigningKey:
    """A private key with its kid and the one algorithm it signs with."""

    kid: str
    alg: str
    private: Any
    algorithm: Algorithm

    def sign(self, message: bytes) -> bytes:
        return self.algorithm.sign(message, self.private)

    def jwk(self) -> dict[str, Any]:
        """The public half, as it stands in a JWKS."""
        public = self.algorithm.to_jwk(self.private.public_key(), as_dict=True)
        public.pop("key_ops", None)
        return {**public, "kid": self.kid, "use": "sig", "alg": self.alg}


@cache
def es256_key(kid: str = "es256") -> SigningKey:
    """The P-256 key of that kid; the same one for the whole run."""
    return SigningKey(kid, ES256, ec.generate_private_key(ec.SECP256R1()), ECAlgorithm(ECAlgorithm.SHA256))


@cache
def rs256_key(kid: str = "rs256", bits: int = 2048) -> SigningKey:
    """The RSA key of that kid; the same one for the whole run."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return SigningKey(kid, RS256, private, RSAAlgorithm(RSAAlgorithm.SHA256))


@dataclass
class FakeIssuer:
    """An identity provider with an ES256 and, once asked for, an RS256 key.

    ``name`` tells the keys of two issuers apart. ``jwks()`` publishes the keys that were used or named so far.
    """

    issuer: str = ISSUER
    audience: str | list[str] = AUDIENCE
    name: str = "idp"
    now: float = NOW
    _used: dict[str, SigningKey] = field(default_factory=dict)

    def key(self, alg: str = ES256) -> SigningKey:
        """This issuer's key for ``alg``."""
        kid = f"{self.name}-{alg.lower()}"
        key = self._used.get(kid) or (es256_key(kid) if alg == ES256 else rs256_key(kid))
        self._used[kid] = key
        return key

    def jwks(self, *algs: str) -> dict[str, Any]:
        """The public keys for ``algs``; without ``algs`` those used so far and ES256."""
        if algs:
            return {"keys": [self.key(alg).jwk() for alg in algs]}
        self.key()
        return {"keys": [key.jwk() for key in self._used.values()]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a sound access token for alice, changed as told."""
        sound = {
            "iss": self.issuer,
            "sub": "alice",
            "aud": self.audience,
            "client_id": "agent-runner",
            "scope": "orders:read orders:write",
            "iat": int(self.now),
            "exp": int(self.now) + 300,
            "jti": uuid.uuid4().hex,
        }
        return {name: value for name, value in {**sound, **changes}.items() if value is not ABSENT}

    def mint(self, *, header: Mapping[str, Any] | None = None, key: str | SigningKey = ES256, **changes: Any) -> str:
        """A signed token: the sound one, with the claims in ``changes`` and the members of ``header`` changed."""
        signer = self.key(key) if isinstance(key, str) else key
        members = {"typ": "at+jwt", "alg": signer.alg, "kid": signer.kid, **(header or {})}
        members = {name: value for name, value in members.items() if value is not ABSENT}
        return self.sign(to_json(members), to_json(self.claims(**changes)), key=signer)

    def token(
        self, *, header: Mapping[str, Any] | None = None, key: str | SigningKey = ES256, **changes: Any
    ) -> UnverifiedToken:
        """``mint``, as it arrives from outside."""
        return UnverifiedToken(self.mint(header=header, key=key, **changes))

    def sign(self, header: bytes, payload: bytes, *, key: str | SigningKey = ES256) -> str:
        """Any header and payload bytes, properly signed: for what ``json`` would not write."""
        signer = self.key(key) if isinstance(key, str) else key
        message = base64url_bytes(header) + b"." + base64url_bytes(payload)
        return (message + b"." + base64url_bytes(signer.sign(message))).decode()


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, unverified: for a test that looks at what was issued."""
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert isinstance(claims, dict)
    return claims


def header_of(token: str) -> dict[str, Any]:
    """The header of a token, unverified."""
    part = token.split(".", maxsplit=1)[0]
    header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert isinstance(header, dict)
    return header
