"""Path: the gateway: a request of a caller becomes one of an API, with a delegated token in place of theirs.

1. it names this server, its framing and target have one reading, it is no WebSocket;
2. it shows exactly one token, in the header, with the proof of possession that goes with it if it is a DPoP token;
3. some route takes its method and path; where none does, that is recorded and answered like a hidden one;
4. **the bridge** identifies, decides, records the intent and exchanges the token;
5. the request goes to the API and the answer to the caller, part by part;
6. the outcome is recorded; only then is the answer's end sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute
from starlette.types import Receive, Scope, Send

from remit.audit.trail import Record
from remit.doors.challenge import metadata_path, metadata_url
from remit.doors.gateway.asking import Asked, RequestLine, RequestReader
from remit.doors.gateway.carrying import Answer, CallerSide, Carriage
from remit.doors.gateway.contract import DelegationPath
from remit.doors.gateway.headers import Fields, FieldsRefused, Origin, body_length, request_fields
from remit.doors.gateway.refusal import Refused, refused, tell_operator
from remit.doors.gateway.route import Routes
from remit.doors.gateway.target import TargetRefused, without_origin
from remit.doors.hosts import AllowedHosts
from remit.doors.possession import TokenReader
from remit.errors import DownstreamFailed, DownstreamRefused, RemitError
from remit.exchange.exchanger import DelegatedToken
from remit.tokens.dpop import PROOF_ALGORITHMS
from remit.web import HttpClient, Outgoing, is_secure

DOOR: Final = "gateway"
_METADATA_SECONDS: Final = 3600
_CLOSE: Final = {"Connection": "close"}


@dataclass(frozen=True, slots=True)
class GatewayPlace:
    """Where the gateway is: its first audience, its base URL, its other names, and who issues tokens for it."""

    resource: str
    base_url: str
    issuers: tuple[str, ...]
    hosts: tuple[str, ...] = ()

    @property
    def metadata_url(self) -> str:
        """Where its metadata are (RFC 9728); empty where its audience is no URL."""
        return metadata_url(self.resource) if is_secure(self.resource) else ""

    def metadata_routes(self) -> list[BaseRoute]:
        """The protected resource metadata (RFC 9728 §2), for anybody."""
        document: dict[str, Any] = {
            "resource": self.resource,
            "authorization_servers": list(self.issuers),
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
            "resource_name": "remit gateway",
        }
        headers = {"Cache-Control": f"public, max-age={_METADATA_SECONDS}", "Access-Control-Allow-Origin": "*"}

        async def metadata(_request: Request) -> JSONResponse:
            return JSONResponse(document, headers=headers)

        return [HttpRoute(metadata_path(self.resource), endpoint=metadata)] if self.metadata_url else []


@dataclass(frozen=True, slots=True)
class _Request:
    """What was read of a request: what is asked, the fields that pass, and how long its body is."""

    asked: Asked
    fields: Fields
    length: int | None


class GatewayDoor:
    """An ASGI application for everything that no other door serves."""

    def __init__(
        self, bridge: DelegationPath, routes: Routes, tokens: TokenReader, place: GatewayPlace, client: HttpClient
    ) -> None:
        self._bridge = bridge
        self._reader = RequestReader(routes, tokens, place.metadata_url)
        self._place = place
        self._client = client
        self._hosts = AllowedHosts.of(place.base_url, (*place.hosts, *routes.hosts))
        self._own_hosts = AllowedHosts(routes.hosts, frozenset())
        self._scheme = urlsplit(place.base_url).scheme

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        answer = Answer(send)
        with anyio.CancelScope() as under_way:
            try:
                request = self._read(scope)
                await self._serve(request, CallerSide(receive, answer, request.length, under_way.cancel))
            except Refused as refusal:
                await answer.whole(refusal.status, refusal.fields(), refusal.body())

    def _read(self, scope: Scope) -> _Request:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if not self._hosts.admits_host(hosts):  # 1
            raise Refused(421, "misdirected_request", "this server does not go by that Host")
        if "websocket" in headers.get("upgrade", "").lower():
            raise Refused(501, "not_implemented", "WebSockets are not passed on")
        try:
            length = body_length(scope["headers"])
            path = without_origin(scope["raw_path"], hosts)
            query: bytes = scope["query_string"]
            uri = path + b"?" + query if query else path
            line = RequestLine(scope["method"], hosts[0], uri, self._origin_of(hosts[0]))
            asked = self._reader.read(line, headers)  # 2 3
            origin = Origin((scope.get("client") or ("",))[0], self._scheme, hosts[0])
            cookies = asked.request is not None and asked.request.route.cookies
            return _Request(asked, request_fields(scope["headers"], origin, cookies=cookies), length)
        except TargetRefused as error:
            raise Refused(400, "invalid_request", str(error)) from error
        except FieldsRefused as error:
            raise Refused(error.status, "invalid_request", str(error), headers=_CLOSE) from error

    def _origin_of(self, host: str) -> str:
        """Where clients find this: at the host some routes are for, else at the base URL, whatever a proxy calls it."""
        return f"{self._scheme}://{host}" if self._own_hosts.admits_host([host]) else self._place.base_url

    async def _serve(self, request: _Request, caller: CallerSide) -> None:
        asked, answer = request.asked, caller.answer
        try:
            async with self._bridge.delegated(asked.call(DOOR), asked.request) as (token, record):  # 4
                await self._carry(request, caller, token, record)  # 5
        except RemitError as error:
            tell_operator(error)
            if not answer.started:
                raise refused(error, self._place.metadata_url, dpop=asked.dpop) from error
            if not isinstance(error, DownstreamRefused | DownstreamFailed):
                return  # what was sent is not the whole answer; cutting the connection says so
        await answer.end()  # 6

    async def _carry(self, request: _Request, caller: CallerSide, token: DelegatedToken | None, record: Record) -> None:
        route_request = request.asked.request
        if route_request is None or token is None:
            raise AssertionError("the bridge let pass what has no route or no token")
        route = route_request.route
        bearer = f"Bearer {token.credential.reveal()}"  # read by the API alone
        # Not compressed, so that the token would be noticed in the answer.
        own = [("authorization", bearer), ("x-request-id", record.id), ("accept-encoding", "identity")]
        fields = [*request.fields, *own]
        outgoing = Outgoing(route_request.method, route.url_of(request.asked.target), fields, None)
        carriage = Carriage(self._client, caller, route, outgoing, token.credential)
        try:
            await carriage.go(record.id)
        finally:
            record.passed_on(carriage.traffic)
