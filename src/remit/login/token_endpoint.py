"""Door: tokens for a login: by a code, by a refresh token, by a device code.

``resource`` goes with every request for a token (RFC 8707): a login is for this server and nobody else.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from remit import oauth
from remit.clock import Clock
from remit.credential import Credential, UnverifiedToken
from remit.errors import SignInFailed, TokenMalformed
from remit.login.asking import json_object, refused, send
from remit.login.login import Login, LoginClient
from remit.tokens.parse import parse
from remit.web import Answer, HttpClient

#: How long an access token is taken to live where the server does not say (RFC 6749 §5.1 only recommends that).
UNSAID_LIFETIME: Final = 300
_MAX_LIFETIME: Final = 366 * 86_400
_MAX_TOKEN: Final = 8192
_MAX_ACCOUNT: Final = 256
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")  # RFC 6749 Appendix A.12 and A.17, without spaces

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """The token endpoint at ``url``, for one client. Raises ``SignInUnavailable`` and ``SignInFailed``."""

    url: str
    client: LoginClient
    http: HttpClient
    clock: Clock

    async def redeem(self, code: Credential, verifier: Credential, redirect_uri: str) -> Login:
        """The login for an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
        fields = {
            "grant_type": oauth.GRANT_AUTHORIZATION_CODE,
            "code": code.reveal(),
            "code_verifier": verifier.reveal(),
            "redirect_uri": redirect_uri,
        }
        return await self._granted(fields, self.client.scopes)

    async def poll(self, device_code: Credential) -> Login:
        """The login for a device code, once its user has answered (RFC 8628 §3.4)."""
        fields = {"grant_type": oauth.GRANT_DEVICE_CODE, "device_code": device_code.reveal()}
        return await self._granted(fields, self.client.scopes)

    async def renew(self, login: Login) -> Login:
        """The same login with a fresh access token (RFC 6749 §6). Its refresh token may be another one from now on."""
        old = login.refresh_token
        if old is None:
            raise SignInFailed("the login cannot be renewed", error="invalid_grant")
        fields = {"grant_type": oauth.GRANT_REFRESH_TOKEN, "refresh_token": old.reveal()}
        renewed = await self._granted(fields, login.scopes)
        return renewed if renewed.refresh_token else replace(renewed, refresh_token=old)

    async def _granted(self, fields: Fields, scopes: tuple[str, ...]) -> Login:
        answer = await self.post(self.url, {**fields, "resource": self.client.target.resource})
        if answer.status == 200:
            return self._login(json_object(answer), scopes)
        raise refusal_in(answer)

    async def post(self, url: str, fields: Fields) -> Answer:
        """Post a form, as this client (RFC 6749 §2.3.1)."""
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        form, target = dict(fields), self.client.target
        if self.client.secret is None:
            form["client_id"] = target.client_id
        else:
            pair = f"{quote_plus(target.client_id)}:{quote_plus(self.client.secret.reveal())}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return await send(
            self.http, self.http.build_request("POST", url, headers=headers, content=urlencode(form).encode())
        )

    def _login(self, document: Mapping[str, Any], scopes: tuple[str, ...]) -> Login:
        """A 200 answer (RFC 6749 §5.1). Where it names no scope, it is what was asked for."""
        if str(document.get("token_type", "")).lower() != "bearer":
            raise _unusable("its token_type is not Bearer")
        access, refresh = _token(document, "access_token"), _token(document, "refresh_token")
        if not access:
            raise _unusable("it holds no access_token")
        token = UnverifiedToken(access)
        return Login(
            target=self.client.target,
            access_token=token,
            refresh_token=Credential(refresh) if refresh else None,
            expires_at=int(self.clock.now()) + _lifetime(document.get("expires_in", UNSAID_LIFETIME)),
            scopes=_scopes(document.get("scope"), scopes),
            account=_account(token),
            token_endpoint=self.url,
        )


def refusal_in(answer: Answer) -> SignInFailed:
    """What an answer other than 200 says (RFC 6749 §5.2)."""
    told = f"status {answer.status}"
    if answer.status < 400:  # a redirect is not followed: the request holds credentials
        return SignInFailed("the authorization server answered with neither a token nor an error", detail=told)
    document = json_object(answer)
    return refused(document.get("error"), document.get("error_description"), detail=told)


def _token(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name, "")
    if not isinstance(value, str) or len(value) > _MAX_TOKEN or (value and not _TOKEN.fullmatch(value)):
        raise _unusable(f"its {name} cannot be one")
    return value


def _lifetime(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_LIFETIME:
        raise _unusable("its expires_in is no number of seconds")
    return value


def _scopes(value: Any, asked: tuple[str, ...]) -> tuple[str, ...]:
    if value is None:
        return asked
    try:
        if isinstance(value, str):
            return oauth.parse_scope(value)
    except ValueError as error:
        raise _unusable("its scope breaks the grammar of scopes") from error
    raise _unusable("its scope is no text")


def _account(token: UnverifiedToken) -> str:
    """Whom the token seems to be about. Nothing is decided by it; a token may also say nothing that can be read."""
    try:
        subject = parse(token).claims.get("sub")
    except TokenMalformed:
        return ""
    return subject[:_MAX_ACCOUNT] if isinstance(subject, str) else ""


def _unusable(detail: str) -> SignInFailed:
    return SignInFailed("the authorization server's answer cannot be used", detail=detail)
