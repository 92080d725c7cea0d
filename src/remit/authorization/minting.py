"""Rule: the access token of an authorization (RFC 9068)."""

from __future__ import annotations

from typing import Any

from remit.authorization.authorization import Authorization
from remit.authorization.person import Person
from remit.principal import Actor, Parties
from remit.sts.grant import random_id
from remit.sts.minting import Grant, access_token_claims


def access_grant(
    authorization: Authorization, issuer: str, scopes: tuple[str, ...], *, now: float, lifetime: int
) -> Grant:
    """A token's worth of ``authorization``: these of its scopes, for ``lifetime`` seconds, not beyond its own end."""
    issued_at = int(now)
    person = authorization.sign_in.person
    return Grant(
        issuer=issuer,
        parties=Parties(Actor(person.sub, person.issuer or issuer)),
        client_id=authorization.client_id,
        audience=authorization.audience,
        scopes=scopes,
        issued_at=issued_at,
        lifetime=min(lifetime, authorization.expires_at - issued_at),
        jti=random_id(),
        txn=authorization.txn,
    )


def access_claims(authorization: Authorization, grant: Grant, person: Person, thumbprint: str = "") -> dict[str, Any]:
    """The claims, with what policy wants to know of ``person`` as they are now, and of the client.

    ``thumbprint``: the key the token is bound to (RFC 9449 §6.1).
    """
    sign_in = authorization.sign_in
    told = {"auth_time": sign_in.auth_time, "acr": sign_in.acr, "amr": list(sign_in.amr)}
    claims = access_token_claims(grant, {name: value for name, value in told.items() if value})
    described = {
        "name": person.name,
        "groups": list(person.groups),
        "roles": list(person.roles),
        "client_assurance": authorization.assurance.value,
        "cnf": {"jkt": thumbprint} if thumbprint else None,
    }
    return claims | {name: value for name, value in described.items() if value}
