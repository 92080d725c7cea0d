"""An OpenID Connect provider on a real socket: whoever comes is signed in as carol, and it can be made to lie.

::

    async with serving(OpenId(listener.url).app, listener):
        back = await provider.visit(url)       # what a browser does at its authorization endpoint: the query it brings
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from support.clock import FakeClock
from support.issuer import ABSENT, FakeIssuer, b64url

CLIENT = "remit"
SECRET = "s+cret %&"


@dataclass
class OpenId:
    """``claims``, ``header``, ``metadata``: what is changed. ``tokens``: the answer of the token endpoint, if another.

    ``seen``: the parameters of each authorization request. ``redeemed``: how many codes were.
    """

    issuer: str
    clock: FakeClock = field(default_factory=FakeClock)
    secret: str | None = SECRET
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    tokens: Callable[[dict[str, Any]], Response] | None = None
    key: Any = "ES256"
    error: str = ""
    seen: list[dict[str, str]] = field(default_factory=list)
    redeemed: int = 0
    discovered: int = 0

    def __post_init__(self) -> None:
        self.idp = FakeIssuer(self.issuer, name="openid")
        self.codes: dict[str, dict[str, str]] = {}
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
            ]
        )

    async def visit(self, url: str) -> str:
        """Go where a browser is sent; the query with which it is sent back."""
        async with httpx.AsyncClient() as browser:
            response = await browser.get(url)
        assert response.status_code == 307, response.text
        return urlsplit(response.headers["location"]).query

    async def _metadata(self, _: Request) -> Response:
        self.discovered += 1
        sound = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        return JSONResponse({k: v for k, v in {**sound, **self.metadata}.items() if v is not ABSENT})

    async def _keys(self, _: Request) -> Response:
        return JSONResponse(self.idp.jwks())

    async def _authorize(self, request: Request) -> Response:
        asked = dict(parse_qsl(request.url.query, keep_blank_values=True))
        self.seen.append(asked)
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        answer = {"error": self.error} if self.error else {"code": code}
        query = urlencode({**answer, "state": asked["state"], "iss": self.issuer})
        return RedirectResponse(f"{asked['redirect_uri']}?{query}")

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        asked = self.codes.pop(form["code"], None)
        if not self._is_client(request, form):
            return JSONResponse({"error": "invalid_client"}, 401)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        challenge = b64url(hashlib.sha256(form["code_verifier"].encode()).digest())
        if challenge != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        self.redeemed += 1
        access_token = secrets.token_urlsafe(16)
        document = {
            "access_token": access_token,
            "token_type": "Bearer",
            "id_token": self._id_token(asked, access_token),
        }
        return self.tokens(document) if self.tokens else JSONResponse(document)

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        shown = (form.get("client_id"), form.get("client_secret"))
        if header := request.headers.get("authorization"):
            name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
            shown = (unquote_plus(name), unquote_plus(secret))
        return shown == (CLIENT, self.secret)

    def _id_token(self, asked: dict[str, str], access_token: str) -> str:
        digest = hashlib.sha256(access_token.encode()).digest()
        sound = {
            "sub": "carol",
            "aud": CLIENT,
            "nonce": asked["nonce"],
            "name": "Carol C",
            "at_hash": b64url(digest[:16]),
            "client_id": ABSENT,
            "scope": ABSENT,
            "jti": ABSENT,
            "iat": int(self.clock.now()),
            "exp": int(self.clock.now()) + 300,
        }
        return self.idp.mint(header={"typ": "JWT", **self.header}, key=self.key, **{**sound, **self.claims})
