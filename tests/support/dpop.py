"""A client that holds a key: makes proofs (RFC 9449), sound ones and others.

::

    holder = KeyHolder()
    idp.mint(cnf={"jkt": holder.thumbprint})              # a token bound to its key
    holder.proof("POST", url, token)                      # a proof for one request
    holder.proof("POST", url, token, htm="GET")           # any claim or header changed, as with ``FakeIssuer``
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from support.issuer import ABSENT, NOW, SigningKey, b64url, es256_key, to_json


@dataclass
class KeyHolder:
    """Whoever holds ``key``. ``jwk`` is what its proofs show."""

    key: SigningKey = field(default_factory=lambda: es256_key("holder"))
    now: float = NOW

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key, without what proofs leave out."""
        return {name: value for name, value in self.key.jwk().items() if name in {"kty", "crv", "x", "y", "n", "e"}}

    @property
    def thumbprint(self) -> str:
        """RFC 7638, computed apart from the code under test."""
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return b64url(hashlib.sha256(canonical.encode()).digest())

    def proof(
        self,
        method: str,
        url: str,
        token: str | None = None,
        *,
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A proof for one request, with the claims in ``changes`` and the members of ``header`` changed."""
        members = {"typ": "dpop+jwt", "alg": self.key.alg, "jwk": self.jwk, **(header or {})}
        claims: dict[str, Any] = {"jti": uuid.uuid4().hex, "htm": method, "htu": url, "iat": int(self.now)}
        if token is not None:
            claims["ath"] = ath_of(token)
        return self.sign(_present(members), _present({**claims, **changes}))

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """Anything at all, properly signed."""
        message = f"{b64url(to_json(header))}.{b64url(to_json(claims))}"
        return f"{message}.{b64url(self.key.sign(message.encode()))}"


def ath_of(token: str) -> str:
    """RFC 9449 §4.1."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode("ascii")).digest()).rstrip(b"=").decode()


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ABSENT}
