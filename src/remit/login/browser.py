"""Path: a sign-in by the browser on this machine (RFC 8252).

1. ask the issuer what it says of itself;
2. open a loopback port to come back to;
3. show the URL of the authorization request;
4. wait for the browser;
5. turn its code into a login.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from remit.clock import Clock
from remit.errors import SignInFailed
from remit.login.asking import connected
from remit.login.authorization import AuthorizationRequest
from remit.login.login import Login, LoginClient
from remit.login.loopback import Loopback
from remit.login.metadata import discover
from remit.login.token_endpoint import TokenEndpoint

#: How long a person may take, in seconds.
PATIENCE: Final = 300.0


async def sign_in_by_browser(
    client: LoginClient, clock: Clock, show: Callable[[str], None], *, seconds: float = PATIENCE
) -> Login:
    """The login of whoever follows the URL that ``show`` is given. Raises ``SignInFailed`` and ``SignInUnavailable``.

    ``show`` must not block.
    """
    async with connected() as http, Loopback() as loopback:
        server = await discover(client.target.issuer, http)  # 1
        request = AuthorizationRequest.begin(server, client, loopback.redirect_uri)  # 2
        loopback.expects = request.is_answer
        show(request.url)  # 3
        try:
            async with asyncio.timeout(seconds):
                query = await loopback.answer()  # 4
        except TimeoutError as error:
            raise SignInFailed("nobody signed in in time", detail=f"{seconds:g} seconds") from error
        code = request.code_in(query)
        endpoint = TokenEndpoint(server.token_endpoint, client, http, clock)
        return await endpoint.redeem(code, request.verifier, request.redirect_uri)  # 5
