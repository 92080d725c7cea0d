"""An issuer whose tokens say nothing by themselves, on a real socket: it is asked about them (RFC 7662).

::

    issuer = AskedIssuer()
    async with serving(issuer.app) as url: ...
    issuer.tokens["opaque"] = issuer.described(sub="bob")
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from support.issuer import ABSENT, AUDIENCE, NOW

ASKED_ISSUER = "https://opaque.example"


@dataclass
class AskedIssuer:
    """Knows ``tokens`` by their text; a value that is no dict is sent as it is. ``hold`` keeps it from answering.

    ``asked`` has what came: the form's fields, and ``authorization``.
    """

    issuer: str = ASKED_ISSUER
    audience: str = AUDIENCE
    now: float = NOW
    tokens: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    began: asyncio.Event = field(default_factory=asyncio.Event)

    def described(self, **changes: Any) -> dict[str, Any]:
        """What it says of a sound token of alice, changed as told."""
        sound = {
            "active": True,
            "iss": self.issuer,
            "sub": "alice",
            "aud": self.audience,
            "client_id": "agent-runner",
            "scope": "orders:read orders:write",
            "exp": int(self.now) + 300,
        }
        return {name: value for name, value in {**sound, **changes}.items() if value is not ABSENT}

    @property
    def app(self) -> Starlette:
        """``POST /introspect``."""
        return Starlette(routes=[Route("/introspect", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.asked.append({**form, "authorization": request.headers.get("authorization", "")})
        self.began.set()
        if self.hold is not None:
            await self.hold.wait()
        document = self.tokens.get(form["token"], {"active": False})
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return Response(body, self.status, {"Content-Type": "application/json", **self.headers})
