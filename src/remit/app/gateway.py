"""Rule and door: settings → the gateway's doors, and what is wrong between their routes and the token service."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute

from remit.app import registry
from remit.app.wiring import App
from remit.credential import Credential
from remit.doors.gateway import forward_auth
from remit.doors.gateway.asking import RequestReader
from remit.doors.gateway.door import GatewayDoor, GatewayPlace
from remit.doors.gateway.forward_auth import STYLES, ForwardAuthDoor, Told, TrustedProxies
from remit.doors.gateway.route import Bounds, Route, Routes
from remit.doors.possession import TokenReader
from remit.errors import SettingsInvalid, SetupError
from remit.settings import Settings, read_secret
from remit.settings.gateway import ForwardAuthSettings, RouteSettings
from remit.sts.clients import Client
from remit.web import http_client

#: At once, to all APIs together; a stream that stays open counts.
_CONNECTIONS = 1000


class Gateway:
    """The gateway's doors: ``door`` for whatever no other door serves, ``routes`` for the rest.

    Without routes in the settings there is neither. To be entered before it serves.
    """

    def __init__(self, app: App) -> None:
        settings = app.settings
        self.door: GatewayDoor | None = None
        self.routes: list[BaseRoute] = []
        self._client = http_client(connections=_CONNECTIONS)
        if not settings.gateway.routes:
            return
        routes = routes_of(settings)
        place = GatewayPlace(
            resource=settings.gateway_audiences[0],
            base_url=settings.base_url,
            issuers=app.subject_issuers,
            hosts=settings.mcp.allowed_hosts,
        )
        tokens = TokenReader(app.clock)
        self.door = GatewayDoor(app.gateway, routes, tokens, place, self._client)
        self.routes = place.metadata_routes()
        if settings.gateway.forward_auth.enabled:
            asked = _forward_auth(app, RequestReader(routes, tokens, place.metadata_url))
            below = settings.gateway.forward_auth.style == "envoy"
            paths = [forward_auth.PATH, *([f"{forward_auth.PATH}/{{below:path}}"] if below else [])]
            self.routes += [HttpRoute(path, endpoint=asked) for path in paths]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()


def routes_of(settings: Settings) -> Routes:
    """The routes of the settings."""
    return Routes.of(_route(route) for route in settings.gateway.routes)


def problems(settings: Settings) -> Iterator[SetupError]:
    """What the embedded token service would refuse every time, and a secret that cannot be read."""
    try:
        _proxy_secret(settings.gateway.forward_auth)
    except SetupError as error:
        yield error
    if settings.exchange.service != "embedded" or not settings.gateway.routes:
        return
    client = registry.clients(settings).get(settings.agent.client_id)
    if client is None:  # told where clients are checked
        return
    for route in settings.gateway.routes:
        yield from _target_problems(route, client)


def _target_problems(route: RouteSettings, client: Client) -> Iterator[SetupError]:
    where = f"gateway.routes.{route.name}"
    rule = client.rule_for(route.audience or route.resource or "")
    if rule is None:
        hint = f"add it to sts.clients.{client.client_id}.targets"
        yield SettingsInvalid(
            f'client "{client.client_id}" has no target for this route\'s API', where=where, hint=hint
        )
        return
    wanted = {*route.scopes, *(scope for scopes in route.methods.values() for scope in scopes)}
    if missing := sorted(wanted - set(rule.scopes)):
        hint = f"add it to the target's scopes in sts.clients.{client.client_id}"
        yield SettingsInvalid(
            f'client "{client.client_id}" may not have the scope {missing[0]}', where=where, hint=hint
        )


def _route(route: RouteSettings) -> Route:
    definition = json.dumps(route.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return Route(
        name=route.name,
        prefix=route.prefix,
        upstream=route.upstream,
        digest=hashlib.sha256(definition.encode()).hexdigest(),
        audience=route.audience,
        resource=route.resource or "",
        scopes=route.scopes,
        methods={str(method): scopes for method, scopes in route.methods.items()},
        actor=route.actor,
        max_lifetime=route.max_lifetime,
        strip_prefix=route.strip_prefix,
        hosts=frozenset(route.hosts),
        cookies=route.cookies,
        bounds=Bounds(route.timeout, route.idle_timeout, route.max_request_bytes, route.max_response_bytes),
        facts=route.facts,
        tags=route.tags,
    )


def _forward_auth(app: App, reader: RequestReader) -> ForwardAuthDoor:
    settings = app.settings.gateway.forward_auth
    return ForwardAuthDoor(
        app.gateway,
        reader,
        TrustedProxies.of(settings.trusted_proxies, _proxy_secret(settings), settings.secret_header),
        _told(settings),
        token_header=settings.token_header,
    )


def _told(settings: ForwardAuthSettings) -> Told:
    style = STYLES[settings.style]
    return replace(
        style,
        method=settings.method_header or style.method,
        uri=settings.uri_header or style.uri,
        host=settings.host_header or style.host,
    )


def _proxy_secret(settings: ForwardAuthSettings) -> Credential | None:
    return read_secret(settings.secret, "gateway.forward_auth.secret") if settings.secret else None
