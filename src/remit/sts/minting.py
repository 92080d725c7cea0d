"""Rule: claims and a signed access token (RFC 9068)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
import orjson

from remit import oauth
from remit.credential import Credential
from remit.principal import Parties, Profile
from remit.sts.keys import SigningKey

#: What an exchanged token takes over from the subject token: how the user signed in (RFC 9068 §2.2.1).
#: Not ``may_act``, which ends where it is used, and nothing that describes the user. Not in the ``workload`` profile,
#: where they would be said of the client.
_CARRIED: Final = ("auth_time", "acr", "amr")
_JWS: Final = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Grant:
    """What was granted: on whose behalf and to whom, for what, how long. Times are whole seconds.

    ``sub_id``: the principal's own id at ``sub_iss``, where ``sub`` is another name for them.
    """

    issuer: str
    parties: Parties
    client_id: str
    audience: str
    scopes: tuple[str, ...]
    issued_at: int
    lifetime: int
    jti: str
    txn: str = ""
    profile: Profile = Profile.RFC8693
    sub_id: str = ""

    @property
    def expires_at(self) -> int:
        """``exp``."""
        return self.issued_at + self.lifetime


def access_token_claims(grant: Grant, subject_claims: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The claims of RFC 9068 §2.2 and RFC 8693 §4; ``subject_claims`` are those of the subject token."""
    claims: dict[str, Any] = {
        "iss": grant.issuer,
        "aud": grant.audience,
        "client_id": grant.client_id,
        "iat": grant.issued_at,
        "exp": grant.expires_at,
        "jti": grant.jti,
        **grant.parties.to_claims(grant.profile, grant.issuer),
    }
    if grant.scopes:
        claims["scope"] = oauth.format_scope(grant.scopes)
    if grant.txn:
        claims["txn"] = grant.txn
    if grant.profile is Profile.RFC8693:
        carried = subject_claims or {}
        claims.update({name: carried[name] for name in _CARRIED if name in carried})
        claims.update({"sub_id": grant.sub_id} if grant.sub_id else {})
    return claims


def sign(claims: Mapping[str, Any], key: SigningKey) -> Credential:
    """An ``at+jwt`` (RFC 9068 §2.1) signed by ``key``."""
    headers = {"typ": oauth.TYP_ACCESS_TOKEN, "kid": key.kid}
    return Credential(
        _JWS.encode(orjson.dumps(dict(claims)), key.private_key, algorithm=key.algorithm, headers=headers)
    )
