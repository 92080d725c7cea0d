"""A small authorization server: people sign in at once, refresh tokens are good once, and a second use is theft."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT = "tester"
RESOURCE = "https://remit.example.com/mcp"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def an_access_token(subject: str, number: int) -> str:
    """One that can be read, and is signed by nobody."""
    header = {"alg": "ES256", "typ": "at+jwt"}
    return ".".join(b64(json.dumps(part).encode()) for part in (header, {"sub": subject, "n": number})) + ".c2ln"


@dataclass
class LoginServer:
    """What it does, and what was done to it. ``metadata`` and ``answer`` are put over what it says by itself.

    ``answer`` is the token endpoint's; ``redirect`` that of the authorization endpoint; ``polls`` what a device code
    gives before it is good.
    """

    issuer: str = ""
    user: str = "alice"
    lifetime: int = 600
    rotates: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    redirect: dict[str, str | None] = field(default_factory=dict)
    polls: list[str] = field(default_factory=list)
    status: int = 0
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    families: dict[str, int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    authorized: list[dict[str, str]] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    revoked: list[dict[str, str]] = field(default_factory=list)
    renewing: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def refreshes(self) -> int:
        return sum(form["grant_type"] == "refresh_token" for form in self.forms)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/oauth-authorization-server", self._metadata),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/device_authorization", self._device, methods=["POST"]),
                Route("/revoke", self._revoke, methods=["POST"]),
            ]
        )

    async def _metadata(self, _request: Request) -> Response:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "device_authorization_endpoint": f"{self.issuer}/device_authorization",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }
        return JSONResponse({name: value for name, value in document.items() if value is not None})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.authorized.append(asked)
        code = f"code-{next(self._numbers)}"
        self.codes[code] = asked
        told: dict[str, str | None] = {"code": code, "state": asked["state"], "iss": self.issuer, **self.redirect}
        query = urlencode({name: value for name, value in told.items() if value is not None})
        return RedirectResponse(f"{asked['redirect_uri']}?{query}", 302)

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.forms.append(form)
        self.headers.append(dict(request.headers))
        if self.status:
            return JSONResponse({"error": "server_error"}, self.status)
        if form["grant_type"] == "refresh_token":
            return await self._refresh(form["refresh_token"])
        if form["grant_type"] == DEVICE_CODE and self.polls:
            return JSONResponse({"error": self.polls.pop(0)}, 400)
        if form["grant_type"] == "authorization_code" and not self._is_redeemable(form):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return self._issue(next(self._numbers))

    def _is_redeemable(self, form: dict[str, str]) -> bool:
        asked = self.codes.pop(form["code"], None)
        if asked is None:
            return False
        challenge = b64(hashlib.sha256(form["code_verifier"].encode()).digest())
        return challenge == asked["code_challenge"] and form["redirect_uri"] == asked["redirect_uri"]

    async def _refresh(self, token: str) -> Response:
        self.renewing.set()
        if self.hold is not None:
            await self.hold.wait()
        family = self.families.get(token)
        if family is None or family in self.ended:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if token in self.used:
            self.ended.add(family)
            return JSONResponse({"error": "invalid_grant", "error_description": "used before"}, 400)
        if self.rotates:
            self.used.add(token)
        return self._issue(family)

    def _issue(self, family: int) -> Response:
        number = next(self._numbers)
        document = {
            "access_token": an_access_token(self.user, number),
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "refresh_token": f"refresh-{number}",
            **self.answer,
        }
        self.families[f"refresh-{number}"] = family
        return JSONResponse({name: value for name, value in document.items() if value is not None})

    async def _device(self, request: Request) -> Response:
        self.forms.append({"grant_type": "", **{name: str(value) for name, value in (await request.form()).items()}})
        document = {
            "device_code": "device-1",
            "user_code": "WDJB-MJHT",
            "verification_uri": f"{self.issuer}/device",
            "expires_in": 600,
            "interval": 1,
            **self.answer,
        }
        return JSONResponse(document)

    async def _revoke(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.revoked.append(form)
        family = self.families.get(form["token"])
        if family is not None:
            self.ended.add(family)
        return Response(status_code=self.status or 200)


async def browse(url: str) -> httpx.Response:
    """What a browser does: it follows the redirects."""
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as http:
        return await http.get(url)
