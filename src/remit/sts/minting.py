"""Rule: claims and a signed access token (RFC 9068)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from remit import oauth
from remit.credential import Credential
from remit.principal import DelegationChain
from remit.sts.keys import SigningKey

#: What an exchanged token takes over from the subject token: how the user signed in (RFC 9068 §2.2.1).
#: Not ``may_act``, which ends where it is used, and nothing that describes the user.
_CARRIED: Final = ("auth_time", "acr", "amr")


@dataclass(frozen=True, slots=True)
class Grant:
    """What was granted: to whom, for what, how long. Times are whole seconds."""

    issuer: str
    subject: str
    client_id: str
    audience: str
    scopes: tuple[str, ...]
    issued_at: int
    lifetime: int
    jti: str
    txn: str = ""
    chain: DelegationChain = field(default_factory=DelegationChain)


def access_token_claims(grant: Grant, subject_claims: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The claims of RFC 9068 §2.2 and RFC 8693 §4; ``subject_claims`` are those of the subject token."""
    claims: dict[str, Any] = {
        "iss": grant.issuer,
        "sub": grant.subject,
        "aud": grant.audience,
        "client_id": grant.client_id,
        "iat": grant.issued_at,
        "exp": grant.issued_at + grant.lifetime,
        "jti": grant.jti,
    }
    if grant.scopes:
        claims["scope"] = oauth.format_scope(grant.scopes)
    if grant.txn:
        claims["txn"] = grant.txn
    if (act := grant.chain.to_act()) is not None:
        claims["act"] = act
    carried = subject_claims or {}
    claims.update({name: carried[name] for name in _CARRIED if name in carried})
    return claims


def sign(claims: Mapping[str, Any], key: SigningKey) -> Credential:
    """An ``at+jwt`` (RFC 9068 §2.1) signed by ``key``."""
    headers = {"typ": oauth.TYP_ACCESS_TOKEN, "kid": key.kid}
    return Credential(jwt.encode(dict(claims), key.private_key, algorithm=key.algorithm, headers=headers))
