"""A JWKS document → the public keys of it that may verify a signature (noun)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jwt

#: Public-key signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1) by the ``kty`` and ``crv`` they need (RFC 7518 §6).
_FITTING: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
#: Every algorithm a trusted issuer may use.
ALGORITHMS: Final = frozenset(alg for algs in _FITTING.values() for alg in algs)

_MAX_KEYS: Final = 100
_RSA_BITS: Final = range(2048, 8193)  # below is broken (RFC 7518 §3.3), above costs the verifier too much
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 §6.2.2, §6.3.2, §6.4


class KeySet:
    """The usable public keys of one issuer, never none.

    Raises ``ValueError`` where the document is no JWKS, has more than 100 keys, has no usable key, or has two
    usable keys of one ``kid``. Single keys that cannot be used (for encryption, symmetric, private, too short, of
    an unknown kind) are passed over as RFC 7517 §5 says.
    """

    def __init__(self, document: object) -> None:
        self._keys: list[tuple[str | None, dict[str, jwt.PyJWK]]] = []
        for jwk in _entries(document):
            if fitting := _read_key(jwk):
                self._keys.append((jwk.get("kid"), fitting))
        if not self._keys:
            raise ValueError("the key set has no usable key")
        kids = [kid for kid, _ in self._keys if kid is not None]
        if len(set(kids)) != len(kids):
            raise ValueError("the key set has two keys of one kid")

    def find(self, kid: str | None, alg: str) -> jwt.PyJWK | None:
        """The key of that ``kid`` for ``alg``; without ``kid`` the only key there is for ``alg``."""
        found = [fitting[alg] for name, fitting in self._keys if alg in fitting and kid in (None, name)]
        return found[0] if len(found) == 1 else None


def _entries(document: object) -> list[dict[str, Any]]:
    keys = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(keys, list):
        raise ValueError("not a key set: no list of keys")  # noqa: TRY004  one error kind for every bad set
    if len(keys) > _MAX_KEYS:
        raise ValueError(f"the key set has more than {_MAX_KEYS} keys")
    return [jwk for jwk in keys if isinstance(jwk, dict)]


def read_key(jwk: Mapping[str, Any], alg: str) -> jwt.PyJWK | None:
    """The public key that ``jwk`` holds, if it may verify signatures made with ``alg``; ``None`` for any other."""
    kty, crv = jwk.get("kty"), jwk.get("crv", "")
    if not isinstance(kty, str) or not isinstance(crv, str) or not _is_for_signatures(jwk):
        return None
    if alg not in _FITTING.get((kty, crv), ()) or jwk.get("alg", alg) != alg:
        return None
    try:
        key = jwt.PyJWK(dict(jwk), algorithm=alg)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):  # a member that is no text is not PyJWT's to tell
        return None
    return None if kty == "RSA" and key.key.key_size not in _RSA_BITS else key


def _read_key(jwk: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    """The key once for each algorithm it may verify; empty where it may not be used."""
    found = {alg: read_key(jwk, alg) for alg in ALGORITHMS}
    return {alg: key for alg, key in found.items() if key is not None}


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    """RFC 7517 §4.2, §4.3: not another use; and no private member, for then the key is no secret of its owner."""
    key_ops = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig"
        and isinstance(key_ops, list)
        and "verify" in key_ops
        and isinstance(jwk.get("kid", ""), str)
        and _PRIVATE_MEMBERS.isdisjoint(jwk)
    )
