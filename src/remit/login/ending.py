"""Path: a login is ended at its issuer (RFC 7009).

1. ask the issuer where that is done;
2. have it revoke the refresh token, or the access token where there is no other.
"""

from __future__ import annotations

from remit.clock import Clock
from remit.errors import SignInFailed
from remit.login.asking import connected
from remit.login.login import Login, LoginClient
from remit.login.metadata import discover
from remit.login.token_endpoint import TokenEndpoint, refusal_in


async def revoke(login: Login, client: LoginClient, clock: Clock) -> None:
    """End ``login``. Raises ``SignInFailed``, also where the issuer revokes nothing, and ``SignInUnavailable``."""
    async with connected() as http:
        server = await discover(login.target.issuer, http)  # 1
        if not server.revocation_endpoint:
            raise SignInFailed("the issuer knows no revocation")
        token, hint = login.refresh_token, "refresh_token"
        if token is None:
            token, hint = login.access_token, "access_token"
        endpoint = TokenEndpoint(server.token_endpoint, client, http, clock)
        fields = {"token": token.reveal(), "token_type_hint": hint}
        answer = await endpoint.post(server.revocation_endpoint, fields)  # 2
    if answer.status != 200:
        raise refusal_in(answer)
