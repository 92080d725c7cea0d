"""Path: what an HTTP request must pass before the MCP SDK sees it.

1. it names this server in ``Host``, and no strange ``Origin``;
2. it shows exactly one token, in the header, with the proof of possession that goes with it if it is a DPoP token;
3. the bridge knows who that is;
4. the token has the scopes that every use of this server needs;
5. it is a POST (nothing is ever pushed to a client that did not ask, so there is no GET stream to open);
6. its body is within bounds.

What is allowed is decided by the bridge, which verifies the same token again. Where it finds that the token does not
suffice, the response becomes a challenge (``remit.doors.mcp.held``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit.credential import ConfirmedToken, UnverifiedToken
from remit.doors.challenge import Challenge, challenge_for, metadata_url, step_up_for
from remit.doors.hosts import AllowedHosts
from remit.doors.mcp.admitted import ADMITTED, Admitted, read_message
from remit.doors.mcp.contract import CallPath
from remit.doors.mcp.held import HELD, HeldResponse
from remit.doors.possession import Shown, TokenReader
from remit.errors import AuthenticationError, KeysUnavailable, RemitError
from remit.principal import Caller

_LOG = structlog.get_logger(__name__)

DOOR: Final = "mcp-http"
_BODY_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 5


class _Refused(Exception):
    """Ends the path with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


@dataclass(frozen=True, slots=True)
class Terms:
    """What a request has to keep to at the endpoint ``resource``, which is its own URL and name."""

    resource: str
    hosts: AllowedHosts
    baseline_scopes: tuple[str, ...]
    max_body_bytes: int


class Guard:
    """ASGI middleware in front of the MCP endpoint."""

    def __init__(self, app: ASGIApp, bridge: CallPath, tokens: TokenReader, terms: Terms) -> None:
        self._app = app
        self._bridge = bridge
        self._tokens = tokens
        self._resource = terms.resource
        self._metadata_url = metadata_url(terms.resource)
        self._hosts = terms.hosts
        self._baseline = terms.baseline_scopes
        self._max_body_bytes = terms.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it."""
        try:
            admitted, body = await self._admit(scope, receive)
        except _Refused as refused:
            await refused.response(scope, receive, send)
            return
        held = HeldResponse(send)
        await self._app({**scope, ADMITTED: admitted, HELD: held}, _replay(body, receive), held.send)

    def step_up(self, error: RemitError, content: Mapping[str, Any]) -> Response | None:
        """``content`` under a challenge that tells how the call can succeed; ``None`` if no sign-in helps."""
        challenge = step_up_for(error, self._baseline)
        if challenge is None:
            return None
        headers = {"WWW-Authenticate": challenge.header(self._metadata_url), "Cache-Control": "no-store"}
        return JSONResponse(content, challenge.status, headers)

    async def _admit(self, scope: Scope, receive: Receive) -> tuple[Admitted, bytes]:
        headers = Headers(scope=scope)
        self._check_origin(headers)  # 1
        token = self._read_token(scope, headers)  # 2
        caller = await self._identify(token)  # 3
        self._check_baseline(caller)  # 4
        if scope["method"] != "POST":  # 5
            raise _refused(405, "method_not_allowed", "only POST is served here", {"Allow": "POST"})
        body = await self._read_body(headers, receive)  # 6
        return Admitted(token, caller, read_message(body)), body

    def _check_origin(self, headers: Headers) -> None:
        if not self._hosts.admits_host(headers.getlist("host")):
            raise _refused(421, "misdirected_request", "this server does not go by that Host")
        if not self._hosts.admits_origin(headers.getlist("origin")):
            raise _refused(403, "origin_refused", "pages of that Origin may not call this server")

    def _read_token(self, scope: Scope, headers: Headers) -> UnverifiedToken:
        shown = Shown.of(headers, method=scope["method"], url=self._resource, query=scope["query_string"])
        try:
            token = self._tokens.read(shown)
        except AuthenticationError as error:
            raise self._distrusted(error, dpop=True) from error
        if isinstance(token, Challenge):
            raise self._challenged(replace(token, scopes=self._baseline))
        return token

    async def _identify(self, token: UnverifiedToken) -> Caller:
        try:
            return await self._bridge.identify(token)
        except KeysUnavailable as error:
            _LOG.warning("keys unavailable", detail=error.detail, hint=error.hint)
            headers = {"Retry-After": str(_RETRY_SECONDS)}
            raise _refused(503, "temporarily_unavailable", "tokens cannot be verified right now", headers) from error
        except AuthenticationError as error:
            raise self._distrusted(error, dpop=isinstance(token, ConfirmedToken)) from error

    def _distrusted(self, error: AuthenticationError, *, dpop: bool) -> _Refused:
        _LOG.info("token refused", code=error.code, detail=error.detail, hint=error.hint)
        return self._challenged(challenge_for(error, self._baseline, dpop=dpop))

    def _check_baseline(self, caller: Caller) -> None:
        if not set(self._baseline) <= set(caller.principal.scopes):
            raise self._challenged(
                Challenge(403, "insufficient_scope", "the access token lacks scopes this needs", self._baseline)
            )

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes:
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > self._max_body_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                return await self._received(receive)
        except TimeoutError as error:
            raise _refused(408, "request_timeout", f"the body took longer than {_BODY_SECONDS:.0f} s") from error

    async def _received(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _refused(400, "invalid_request", "the body ended early")
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> _Refused:
        return _refused(413, "request_too_large", f"the body is larger than {self._max_body_bytes} bytes")

    def _challenged(self, challenge: Challenge) -> _Refused:
        headers = {"WWW-Authenticate": challenge.header(self._metadata_url)}
        return _refused(challenge.status, challenge.error or "unauthorized", challenge.description, headers)


def _refused(status: int, error: str, description: str, headers: dict[str, str] | None = None) -> _Refused:
    content = {"error": error, "error_description": description} if description else {"error": error}
    return _Refused(JSONResponse(content, status, {**(headers or {}), "Cache-Control": "no-store"}))


def _replay(body: bytes, receive: Receive) -> Receive:
    """``receive`` for the app: the body that was read, then whatever follows (the client going away)."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
