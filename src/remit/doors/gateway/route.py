"""Noun: where requests may go, and a request to such a place as policy and trail see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

from remit.catalog.tool import ToolAnnotations, ToolAuth
from remit.doors.gateway.target import Target
from remit.doors.hosts import AllowedHosts

#: Methods there are. Not TRACE, which would show the token to the caller, nor CONNECT.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REPEATABLE: Final = _READING | {"PUT", "DELETE"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds of silence and bytes of bodies. ``timeout`` is for the beginning of the answer, ``idle`` after it."""

    timeout: float = 30.0
    idle: float = 60.0
    request_bytes: int = 10 << 20
    response_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Requests below ``prefix`` go to ``upstream``, a base URL without slash at its end.

    ``methods``: those there are, each with its scopes; empty: all, with ``scopes``. ``hosts``: the names of this
    server it is for; empty: all. ``digest`` is the SHA-256 of its definition.
    """

    name: str
    prefix: str
    upstream: str
    digest: str
    audience: str = ""
    resource: str = ""
    scopes: tuple[str, ...] = ()
    methods: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    actor: Literal["required", "optional", "forbidden"] = "required"
    max_lifetime: int = 120
    strip_prefix: bool = False
    hosts: frozenset[str] = frozenset()
    cookies: bool = False
    bounds: Bounds = Bounds()
    facts: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def template(self) -> str:
        """The path as the trail has it: what follows the prefix may be about people."""
        return f"{self.prefix.rstrip('/')}/*"

    def takes(self, host: str, path: str) -> bool:
        """Whether a request to this path of this host is for this route."""
        below = self.prefix in {"/", path} or path.startswith(f"{self.prefix}/")
        return below and (not self.hosts or AllowedHosts(self.hosts, frozenset()).admits_host([host]))

    def scopes_for(self, method: str) -> tuple[str, ...] | None:
        """The scopes a request needs; ``None`` where there is no such method. HEAD is GET without a body."""
        if not self.methods:
            return self.scopes if method in METHODS else None
        if method not in self.methods and method == "HEAD":
            method = "GET"
        return (self.methods[method] or self.scopes) if method in self.methods else None

    def url_of(self, target: Target) -> str:
        """Where the request goes."""
        cut = len(self.prefix) if self.strip_prefix and self.prefix != "/" else 0
        path = target.raw_path[cut:] or "/"
        return self.upstream + path + target.raw[len(target.raw_path) :]


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """One request to a route: an ``Operation`` for policy and trail. ``path`` is the one asked for, decoded."""

    route: Route
    method: str
    path: str
    scopes: tuple[str, ...]

    @property
    def kind(self) -> str:
        """What policy knows it as."""
        return "route"

    @property
    def name(self) -> str:
        """The route's name."""
        return self.route.name

    @property
    def upstream(self) -> str:
        """The API goes by its route's name."""
        return self.route.name

    @property
    def annotations(self) -> ToolAnnotations:
        """What the method says (RFC 9110 §9.2), as for tools."""
        return ToolAnnotations(
            read_only=self.method in _READING,
            destructive=self.method == "DELETE",
            idempotent=self.method in _REPEATABLE,
            open_world=True,
        )

    @property
    def auth(self) -> ToolAuth:
        """The token it needs: always a delegated one."""
        route = self.route
        return ToolAuth("token-exchange", route.audience, route.resource, self.scopes, route.actor, route.max_lifetime)

    @property
    def tags(self) -> tuple[str, ...]:
        """Its author's labels."""
        return self.route.tags

    @property
    def facts(self) -> Mapping[str, Any]:
        """Its author's facts for policy."""
        return self.route.facts

    @property
    def digest(self) -> str:
        """SHA-256 of the route's definition."""
        return self.route.digest

    @property
    def description_digest(self) -> str:
        """No description stands behind a route."""
        return ""


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes, those with the longest prefix first, and those for certain hosts before those for all."""

    ordered: tuple[Route, ...]

    @classmethod
    def of(cls, routes: Iterable[Route]) -> Self:
        """These routes in the order they are tried in."""
        return cls(tuple(sorted(routes, key=lambda route: (-len(route.prefix), not route.hosts, route.name))))

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that some route is for."""
        return frozenset().union(*(route.hosts for route in self.ordered))

    def find(self, method: str, host: str, target: Target) -> RouteRequest | None:
        """The request as its route takes it. ``None`` where there is no route, or no such method on it."""
        route = next((route for route in self.ordered if route.takes(host, target.path)), None)
        scopes = route.scopes_for(method) if route else None
        return RouteRequest(route, method, target.path, scopes) if route and scopes is not None else None
