"""DPoP proofs: whoever sends a request holds the private key of the JWK in the proof's header (RFC 9449) (rule).

A proof is a JWT made for one request. Its header is the one place from which a key is taken: the proof says nothing
of who holds the key, and its worth comes from a token that is bound to the key's thumbprint.

No nonce is asked for (RFC 9449 §8, optional): a proof counts for a minute and once, and clocks are near enough.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from remit.credential import Credential, UnverifiedToken
from remit.errors import ProofInvalid, ProofUncheckable, TokenInvalid
from remit.tokens.checks import check_algorithm, check_required, check_typ, read_name, read_seconds
from remit.tokens.http_url import normal_url
from remit.tokens.keyset import ALGORITHMS, read_key
from remit.tokens.parse import ParsedToken, parse
from remit.tokens.signature import verify_signature

#: What a proof may be signed with, in the order in which it is published.
PROOF_ALGORITHMS: Final = tuple(sorted(ALGORITHMS))
#: Seconds that a proof's ``iat`` may lie in the past or in the future.
PROOF_SECONDS: Final = 60

_TYP: Final = frozenset({"dpop+jwt"})
_REQUIRED: Final = frozenset({"jti", "htm", "htu", "iat"})
#: RFC 7638 §3.2, RFC 8037 §2: what makes the thumbprint.
_KEY_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
}
#: The sender chooses the key: a long exponent or modulus would make this side work for it.
_MAX_RSA_BITS: Final = 4096
_MAX_EXPONENT_BITS: Final = 32
_MAX_REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Proof:
    """A sound proof: the RFC 7638 thumbprint of its key, its id, the URL it is for (normalised), and when it was made."""

    thumbprint: str
    jti: str
    url: str
    iat: float


def check_proof(
    text: str,
    *,
    method: str,
    url: str,
    access_token: Credential | None,
    now: float,
    algorithms: AbstractSet[str] = ALGORITHMS,
) -> Proof:
    """Check the value of the one ``DPoP`` header of a request, as RFC 9449 §4.3 says. ``now``: seconds since the epoch.

    ``url`` is where clients send the request to, whatever this process calls itself. ``access_token`` is the token that
    came with it; ``None`` at a token endpoint, where there is none yet and ``ath`` is not looked at.

    1. It is one JWT with one reading, of type ``dpop+jwt``.
    2. ``alg`` is one of ``algorithms`` and fits ``jwk``, which is a public key and nothing more.
    3. That key made the signature.
    4. ``htm`` is the method, ``htu`` the URL without query and fragment, both normalised (RFC 3986 §6.2.2, §6.2.3).
    5. ``iat`` is no more than a minute away, ``jti`` is there, and ``ath`` is the hash of the token.

    This does NOT tell whether the proof was used before (``DpopProofs.spend``) or whether the token is bound to its key.

    Raises ``ProofInvalid``, and nothing else whatever ``text`` holds.
    """
    try:
        proof = UnverifiedToken(text)
        parsed = parse(proof)  # 1
        check_typ(parsed.header, _TYP)
        alg = check_algorithm(parsed.header, algorithms)  # 2
        key, thumbprint = _key_of(parsed, alg)
        verify_signature(proof, key, alg)  # 3
        check_required(parsed.claims, _REQUIRED)
        found = _check_request(parsed.claims, method, url)  # 4
        iat = _check_time(parsed.claims, now)  # 5
        _check_token(parsed.claims, access_token)
        return Proof(thumbprint, read_name(parsed.claims, "jti"), found, iat)
    except ProofInvalid:
        raise
    except TokenInvalid as error:
        raise _refused(error.message) from error


def _key_of(parsed: ParsedToken, alg: str) -> tuple[jwt.PyJWK, str]:
    jwk = parsed.header.get("jwk")
    if not isinstance(jwk, dict):
        raise _refused("jwk is no key")
    key = read_key(jwk, alg)
    if key is None:
        raise _refused(f"jwk is no public key that fits {alg}")
    if jwk["kty"] == "RSA" and not _is_cheap(key):
        raise _refused("jwk is an RSA key that is too long")
    return key, thumbprint(jwk)


def _is_cheap(key: jwt.PyJWK) -> bool:
    exponent: int = key.key.public_numbers().e
    size: int = key.key.key_size
    return size <= _MAX_RSA_BITS and exponent.bit_length() <= _MAX_EXPONENT_BITS


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The SHA-256 thumbprint of a public key that could be read (RFC 7638 §3)."""
    members = {name: jwk[name] for name in _KEY_MEMBERS[jwk["kty"]]}
    return _b64url(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest())


def _check_request(claims: Mapping[str, Any], method: str, url: str) -> str:
    if claims["htm"] != method:
        raise _refused("htm is not the method of this request")
    try:
        asked, named = normal_url(url), normal_url(claims["htu"])
    except ValueError as error:
        raise _refused(f"htu or the URL of this request {error}") from error
    if named != asked:
        raise _refused("htu is not the URL of this request", hint=f"clients must reach this under {asked}")
    return named


def _check_time(claims: Mapping[str, Any], now: float) -> float:
    iat = read_seconds(claims, "iat")
    if iat is None or abs(now - iat) > PROOF_SECONDS:
        raise _refused(f"iat is more than {PROOF_SECONDS} seconds away", hint="set the clocks of client and server")
    return iat


def _check_token(claims: Mapping[str, Any], access_token: Credential | None) -> None:
    if access_token is not None and claims.get("ath") != _b64url(access_token.digest):
        raise _refused("ath is not the hash of the access token")


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _refused(rule: str, hint: str = "") -> ProofInvalid:
    return ProofInvalid("the DPoP proof is not accepted", detail=rule, hint=hint)


@dataclass(slots=True)
class DpopProofs:
    """Checks proofs and lets each count once in this process, for as long as it could be used again.

    What is remembered is bounded; when that is full, no further proof counts until some have expired
    (``ProofUncheckable``): a proof that could have been used before is never taken for a new one. So let only proofs
    of those who could show something else, too, come to be remembered.
    """

    algorithms: AbstractSet[str] = ALGORITHMS
    size: int = _MAX_REMEMBERED
    _spent: set[bytes] = field(default_factory=set, repr=False)
    _until: list[tuple[float, bytes]] = field(default_factory=list, repr=False)

    def verify(self, text: str, method: str, url: str, token: Credential | None = None, *, now: float) -> str:
        """The thumbprint of the key that a proof proves, which counts no more after this.

        Raises ``ProofInvalid``, or ``ProofUncheckable``.
        """
        proof = self.check(text, method, url, token, now=now)
        self.spend(proof, now=now)
        return proof.thumbprint

    def check(self, text: str, method: str, url: str, token: Credential | None = None, *, now: float) -> Proof:
        """As ``check_proof``: the proof may be spent later."""
        return check_proof(text, method=method, url=url, access_token=token, now=now, algorithms=self.algorithms)

    def spend(self, proof: Proof, *, now: float) -> None:
        """Let this proof count, now and never again. Raises ``ProofInvalid``, or ``ProofUncheckable``."""
        while self._until and self._until[0][0] < now:
            self._spent.discard(heapq.heappop(self._until)[1])
        key = hashlib.sha256(f"{proof.thumbprint}\n{proof.url}\n{proof.jti}".encode()).digest()
        if key in self._spent:
            raise _refused("it was used before")
        if len(self._spent) >= self.size:
            raise ProofUncheckable(
                "proofs of possession cannot be checked right now",
                detail=f"{self.size} proofs were used within {PROOF_SECONDS} seconds",
                hint="serve from more processes",
            )
        self._spent.add(key)
        heapq.heappush(self._until, (proof.iat + PROOF_SECONDS, key))
