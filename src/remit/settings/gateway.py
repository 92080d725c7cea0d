"""Noun: the settings of the gateway: what it lets through to which API, and who may ask on a proxy's behalf."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from remit.settings.fields import Name, Scope, Seconds, SecretRef, Section, Url, WholeSeconds

#: First segments of paths that other doors serve.
RESERVED: Final = frozenset({"mcp", "oauth2", ".well-known", "healthz", "readyz", "forward-auth"})
_PATH = re.compile(r"/|(/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")


def _prefix(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise ValueError("write a prefix as /orders or /shop/orders: plain segments, no slash at the end")
    if (first := value.split("/")[1]) in RESERVED:
        raise ValueError(f"/{first} is served by another door")
    return value


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    path = parts.path.rstrip("/")
    if parts.query or "?" in value or (path and not _PATH.fullmatch(path)):
        raise ValueError("an upstream is a URL without query, whose path is made of plain segments")
    return value.rstrip("/")


def _network(value: str) -> str:
    ipaddress.ip_network(value)  # ValueError says what is wrong
    return value


Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Prefix = Annotated[str, AfterValidator(_prefix)]
BaseUrl = Annotated[Url, AfterValidator(_base_url)]
Network = Annotated[str, AfterValidator(_network)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Host = Annotated[str, Field(pattern=r"^[a-z0-9.-]+(:\d{1,5})?$")]
Bytes = Annotated[int, Field(ge=0, le=1 << 40)]


class RouteSettings(Section):
    """Requests below ``prefix`` go to ``upstream`` with a token for ``audience`` or ``resource``.

    ``methods``: which there are, each with its scopes (empty: the route's ``scopes``); none: all. ``timeout`` bounds
    the wait for the answer's beginning, ``idle_timeout`` every silence after it. ``hosts``: names of this server
    that the route is for; none: all. ``cookies``: let them pass. ``facts`` and ``tags`` are for policy.
    """

    name: Name
    prefix: Prefix
    upstream: BaseUrl
    audience: str = ""
    resource: Url | None = None
    scopes: tuple[Scope, ...] = ()
    methods: Mapping[Method, tuple[Scope, ...]] = Field(default_factory=dict)
    actor: Literal["required", "optional", "forbidden"] = "required"
    max_lifetime: WholeSeconds = 120
    strip_prefix: bool = False
    timeout: Seconds = 30.0
    idle_timeout: Seconds = 60.0
    max_request_bytes: Bytes = 10 << 20
    max_response_bytes: Bytes | None = None
    hosts: tuple[Host, ...] = ()
    cookies: bool = False
    facts: Mapping[str, Any] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_a_target(self) -> Self:
        if not self.audience and self.resource is None:
            raise ValueError("name the API's audience or resource: what its tokens are for")
        if not self.scopes and not (self.methods and all(self.methods.values())):
            raise ValueError("name the scopes: a token request without scope may get all there are")
        return self


class ForwardAuthSettings(Section):
    """The forward-auth door: a proxy asks ``/forward-auth``, and carries the traffic itself.

    ``trusted_proxies`` are the addresses it may come from (``10.0.0.5``, ``10.0.0.0/24``); ``secret`` is one it must
    show besides. ``style``: how it says what was asked. The headers ``…_header`` replace those of the style.
    """

    enabled: bool = False
    style: Literal["nginx", "traefik", "envoy"] = "nginx"
    trusted_proxies: tuple[Network, ...] = ()
    secret: SecretRef | None = None
    secret_header: HeaderName = "X-Remit-Proxy-Secret"
    method_header: HeaderName | None = None
    uri_header: HeaderName | None = None
    host_header: HeaderName | None = None
    token_header: HeaderName = "Authorization"

    @model_validator(mode="after")
    def _trusts_somebody(self) -> Self:
        if self.enabled and not self.trusted_proxies:
            raise ValueError("forward_auth needs trusted_proxies: the addresses the proxy asks from")
        if self.style == "envoy" and (self.method_header or self.uri_header):
            raise ValueError("envoy sends method and path as its own request's, not in headers")
        return self


class GatewaySettings(Section):
    """The gateway. ``audiences``: what callers' tokens must be for; default: ``<public_url>/gateway``."""

    audiences: tuple[Name, ...] = ()
    routes: tuple[RouteSettings, ...] = ()
    forward_auth: ForwardAuthSettings = ForwardAuthSettings()

    @model_validator(mode="after")
    def _routes_differ(self) -> Self:
        names = Counter(route.name for route in self.routes)
        places = Counter((route.prefix, host) for route in self.routes for host in route.hosts or ("",))
        for name, count in names.items():
            if count > 1:
                raise ValueError(f'two routes are named "{name}"')
        for (prefix, host), count in places.items():
            if count > 1:
                raise ValueError(f"two routes are for {host}{prefix}")
        if self.forward_auth.enabled and not self.routes:
            raise ValueError("forward_auth has no routes to decide about")
        return self
