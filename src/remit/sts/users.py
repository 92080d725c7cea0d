"""Noun and rule: users for development, whom this service vouches for without a sign-in. Not for production."""

from __future__ import annotations

from dataclasses import dataclass

from remit.credential import Credential
from remit.principal import Actor, Parties
from remit.sts.grant import SecurityTokenService, random_id
from remit.sts.minting import Grant, access_token_claims, sign


@dataclass(frozen=True, slots=True)
class DevelopmentUser:
    """Somebody who has no password because anybody who can mint a token here may be them."""

    sub: str
    name: str = ""
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


def mint_subject_token(
    sts: SecurityTokenService, user: DevelopmentUser, *, audience: str, client_id: str, lifetime: int, now: float
) -> Credential:
    """An access token (RFC 9068) as if ``user`` had just signed in through ``client_id`` to use ``audience``."""
    grant = Grant(
        issuer=sts.issuer,
        parties=Parties(Actor(user.sub, sts.issuer)),
        client_id=client_id,
        audience=audience,
        scopes=user.scopes,
        issued_at=int(now),
        lifetime=lifetime,
        jti=random_id(),
        txn=random_id(),
    )
    described = {"name": user.name, "groups": list(user.groups), "roles": list(user.roles)}
    claims = access_token_claims(grant, {"auth_time": int(now)})
    claims.update({name: value for name, value in described.items() if value})
    return sign(claims, sts.keys.signing_key)
