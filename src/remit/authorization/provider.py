"""Door: an OpenID Connect provider over HTTP: where its endpoints are, and what it gives for a code."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import httpx

from remit import oauth
from remit.clock import Clock
from remit.credential import Credential, UnverifiedToken
from remit.errors import AccessDenied, GrantUnavailable
from remit.tokens import strict_json
from remit.tokens.checks import quoted
from remit.tokens.jwks import JwksClient
from remit.web import Answer, AnswerTooLarge, HttpClient, is_loopback, is_secure, send_bounded

_SECONDS: Final = 5.0
_MAX_BYTES: Final = 256 * 1024
_FRESH: Final = 3600.0
#: While it cannot be asked, what it said is still good for so long.
_STALE: Final = 86_400.0
_PAUSE: Final = 5.0
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What is used of it (OpenID Connect Discovery §3).

    ``basic``: the client sends its secret in the header. ``names_itself``: its answers hold ``iss`` (RFC 9207).
    """

    authorization_endpoint: str
    token_endpoint: str
    keys: JwksClient
    basic: bool
    names_itself: bool


@dataclass(frozen=True, slots=True)
class ProviderClient:
    """What this service is at the provider. Without ``secret`` it is a public client: PKCE has to do."""

    client_id: str
    secret: Credential | None = None

    def proof(self, *, basic: bool) -> tuple[dict[str, str], dict[str, str]]:
        """The headers and form fields of a token request that show who makes it (RFC 6749 §2.3.1)."""
        if self.secret is None:
            return _FORM, {"client_id": self.client_id}
        if basic:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret.reveal())}"
            return {**_FORM, "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}
        return _FORM, {"client_id": self.client_id, "client_secret": self.secret.reveal()}


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What came for a code. ``access_token``: ``""`` where there was none."""

    id_token: UnverifiedToken
    access_token: Credential


class Provider:
    """The provider ``issuer``, asked by ``http``. What it says of itself is kept for an hour."""

    def __init__(self, issuer: str, http: HttpClient, clock: Clock) -> None:
        self.issuer = issuer
        self._http = http
        self._clock = clock
        self._keys: dict[str, JwksClient] = {}
        self._metadata: ProviderMetadata | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None
        self._trouble = ("", "")  # detail and hint of what went wrong the last time
        self._lock = asyncio.Lock()

    async def metadata(self) -> ProviderMetadata:
        """What it says of itself. Raises ``GrantUnavailable`` where that cannot be had, or must not be believed."""
        async with self._lock:
            now = self._clock.monotonic()
            tried_just_now = self._tried_at is not None and now - self._tried_at < _PAUSE
            if not self._is_good(now, _FRESH) and not tried_just_now:
                await self._refresh(now)
            if self._metadata is None or not self._is_good(now, _STALE):
                raise _unusable(*self._trouble)
            return self._metadata

    async def redeem(self, code: str, code_verifier: str, redirect_uri: str, client: ProviderClient) -> Redeemed:
        """Redeem a code (RFC 6749 §4.1.3). Raises ``AccessDenied`` and ``GrantUnavailable``."""
        metadata = await self.metadata()
        form = {
            "grant_type": oauth.GRANT_AUTHORIZATION_CODE,
            "code": code,
            "code_verifier": code_verifier,
            "redirect_uri": redirect_uri,
        }
        headers, own = client.proof(basic=metadata.basic)
        content = urlencode({**form, **own}).encode()
        request = self._http.build_request("POST", metadata.token_endpoint, content=content, headers=headers)
        answer = await self._send(request)
        document = _object(answer)
        if answer.status != 200:
            error = quoted(document.get("error"))
            if answer.status >= 500 or answer.status == 429:
                raise GrantUnavailable("the provider that people sign in at gives no answer now", detail=error)
            raise AccessDenied("the provider did not confirm the sign-in", detail=f"{answer.status} {error}")
        return _redeemed(document)

    def _is_good(self, now: float, seconds: float) -> bool:
        return self._metadata is not None and now - self._fetched_at < seconds

    async def _refresh(self, now: float) -> None:
        self._tried_at = now
        try:
            self._metadata, self._fetched_at = self._read(await self._discover()), now
        except GrantUnavailable as error:
            self._trouble = (error.detail, error.hint)

    async def _discover(self) -> Mapping[str, Any]:
        url = self.issuer.rstrip("/") + oauth.WELL_KNOWN_OPENID_CONFIGURATION
        answer = await self._send(self._http.build_request("GET", url, headers={"Accept": "application/json"}))
        if answer.status != 200:
            raise _unusable(f"{url} answers {answer.status}")
        return _object(answer)

    def _read(self, document: Mapping[str, Any]) -> ProviderMetadata:
        """OpenID Connect Discovery §4.3: the ``issuer`` in it "MUST exactly match" the one that was asked."""
        if document.get("issuer") != self.issuer:
            raise _unusable(
                "its metadata are of another issuer", "write sign_in.upstream.issuer as the metadata have it"
            )
        methods = document.get("token_endpoint_auth_methods_supported", [oauth.CLIENT_SECRET_BASIC])
        jwks_uri = self._endpoint(document, "jwks_uri")
        keys = self._keys.setdefault(jwks_uri, JwksClient(jwks_uri, client=self._http))
        return ProviderMetadata(
            authorization_endpoint=self._endpoint(document, "authorization_endpoint"),
            token_endpoint=self._endpoint(document, "token_endpoint"),
            keys=keys,
            basic=isinstance(methods, list) and oauth.CLIENT_SECRET_BASIC in methods,
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def _endpoint(self, document: Mapping[str, Any], name: str) -> str:
        """``https``; only a provider on this machine may have ``http`` endpoints on this machine."""
        value = document.get(name)
        if not isinstance(value, str) or not is_secure(value) or (is_loopback(value) and not is_loopback(self.issuer)):
            raise _unusable(f"its {name} is missing, or not one that may be sent a credential")
        return value

    async def _send(self, request: httpx.Request) -> Answer:
        try:
            return await send_bounded(self._http, request, seconds=_SECONDS, max_bytes=_MAX_BYTES)
        except (httpx.HTTPError, TimeoutError, AnswerTooLarge) as error:
            raise _unusable(f"{request.url.host}: {type(error).__name__}: {error}") from error


def _object(answer: Answer) -> Mapping[str, Any]:
    try:
        document = strict_json.loads(answer.body)
    except strict_json.NotStrict as error:
        raise _unusable(f"status {answer.status}, and {error}") from error
    if not isinstance(document, dict):
        raise _unusable(f"status {answer.status}, and no JSON object")
    return document


def _redeemed(document: Mapping[str, Any]) -> Redeemed:
    id_token, access_token = document.get("id_token"), document.get("access_token", "")
    if not isinstance(id_token, str) or not isinstance(access_token, str):
        raise AccessDenied("the provider did not say who signed in", detail="no ID token")
    return Redeemed(UnverifiedToken(id_token), Credential(access_token))


def _unusable(detail: str, hint: str = "") -> GrantUnavailable:
    return GrantUnavailable("the provider that people sign in at cannot be used now", detail=detail, hint=hint)
