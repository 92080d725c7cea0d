"""Door: whose token a stdio session or a single call shows, and tokens of development users."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Final

from remit.app import login
from remit.app.wiring import App
from remit.authorization.client import LOGIN_CLIENT
from remit.credential import Credential, UnverifiedToken
from remit.errors import SettingsInvalid
from remit.identity.sources import (
    SubjectTokenSource,
    no_token,
    token_from_command,
    token_from_file,
    token_from_value,
)
from remit.login.tokens import LoginTokens, Served
from remit.sts.users import mint_subject_token

#: How long a token lives that is minted for a development user's stdio session or single call.
_DEVELOPMENT_SECONDS: Final = 3600


def subject_token_source(
    app: App, as_user: str | None = None, *, issuer_served: Served = nullcontext
) -> SubjectTokenSource:
    """Where a stdio session or a single call gets its subject token: a development user, or as the settings say.

    Where they say nothing, it is that of whoever signed in with `remit login`; ``issuer_served`` is open while that
    is renewed.
    """
    settings = app.settings
    if as_user:
        mint_for(app, as_user)  # an unknown user is an error now, not at the first call
        return partial(_development_token, app, as_user)
    if settings.subject_token:
        return token_from_value(Credential(settings.subject_token))
    if settings.subject_token_file:
        return token_from_file(settings.subject_token_file)
    if settings.subject_token_command:
        return token_from_command(settings.subject_token_command)
    if login.offers_login(settings):
        return LoginTokens(
            login.login_client(settings),
            login.login_store(settings),
            app.clock,
            required=login.what_to_run(settings),
            served=issuer_served,
        )
    return no_token


def mint_for(app: App, user: str, *, seconds: int = _DEVELOPMENT_SECONDS, audience: str = "") -> Credential:
    """A token of a development user, as if they had signed in. Raises ``SettingsInvalid``.

    It is for ``audience``: the MCP door where nobody else is named.
    """
    if app.sts is None:
        raise SettingsInvalid(
            "development users need the embedded token service", where="sts.enabled", hint="present a token instead"
        )
    return mint_subject_token(
        app.sts,
        app.rules.user(user),
        audience=audience or app.settings.mcp_resource,
        client_id=LOGIN_CLIENT,
        lifetime=seconds,
        now=app.clock.now(),
    )


async def _development_token(app: App, user: str) -> UnverifiedToken:
    return UnverifiedToken(mint_for(app, user).reveal())
