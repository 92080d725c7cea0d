"""Path: a proxy asks whether a request may pass, and with which token; it carries the traffic itself.

1. the one who asks is a proxy that is trusted, by its address and, where one is set, by a secret;
2. it says which method and target it was asked for, in one way, the configured one;
3. to 6. as at the gateway: token, route, **the bridge**, outcome;
7. the answer is 200 with the delegated token, which the proxy puts in place of the caller's; 401 and 403 with what
   the caller is told; 5xx where no decision could be had. Proxies understand no other status, so what the gateway
   answers with 400 or 404 is 403 here.

The proxy must replace ``Authorization`` and must not believe the caller's own ``X-Remit-*``: ``deploy/`` shows how.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from remit.credential import Credential
from remit.doors.gateway.asking import Asked, RequestLine, RequestReader
from remit.doors.gateway.carrying import Answer
from remit.doors.gateway.contract import DelegationPath
from remit.doors.gateway.refusal import Refused, refused, tell_operator
from remit.doors.gateway.target import TargetRefused
from remit.errors import RemitError
from remit.exchange.exchanger import DelegatedToken
from remit.principal import Actor, DelegationChain, Parties, read_profile
from remit.web import is_loopback

DOOR: Final = "forward-auth"
PATH: Final = "/forward-auth"
_VISIBLE: Final = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}"  # and what quote leaves alone anyway
_HOST: Final = re.compile(r"((?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+|\[[0-9A-Fa-f:.]+\])\.?(:[0-9]{1,5})?")

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Style: TypeAlias = Literal["nginx", "traefik", "envoy"]


@dataclass(frozen=True, slots=True)
class Told:
    """The headers in which a proxy says what it was asked for; empty: by the method and path of its own request."""

    method: str
    uri: str
    host: str


#: Each proxy's own names.
STYLES: Final[Mapping[Style, Told]] = {
    "nginx": Told("X-Original-Method", "X-Original-URI", "X-Original-Host"),
    "traefik": Told("X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"),
    "envoy": Told("", "", "Host"),
}


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Who may ask: the networks they come from, and the secret they show in ``secret_header``, where there is one."""

    networks: tuple[Network, ...]
    secret: Credential | None = None
    secret_header: str = "X-Remit-Proxy-Secret"

    @classmethod
    def of(cls, networks: Iterable[str], secret: Credential | None, secret_header: str) -> TrustedProxies:
        """From texts like ``10.0.0.0/24`` or ``::1``."""
        return cls(tuple(ipaddress.ip_network(network) for network in networks), secret, secret_header)

    def admit(self, address: str, headers: Headers) -> bool:
        """Whether this peer is one of them."""
        shown = headers.getlist(self.secret_header)
        proven = self.secret is None or (len(shown) == 1 and Credential(shown[0]) == self.secret)
        return proven and self._knows(address)

    def _knows(self, address: str) -> bool:
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = peer.ipv4_mapped if isinstance(peer, ipaddress.IPv6Address) else None
        return any((mapped or peer) in network for network in self.networks)


class ForwardAuthDoor:
    """An ASGI application at ``/forward-auth``; with ``envoy``, below it too. ``token_header`` holds the token."""

    def __init__(
        self,
        bridge: DelegationPath,
        reader: RequestReader,
        proxies: TrustedProxies,
        told: Told,
        *,
        token_header: str,
    ) -> None:
        self._bridge = bridge
        self._reader = reader
        self._proxies = proxies
        self._told = told
        self._token_header = token_header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one question."""
        del receive  # the body, if there is one, is none of this door's business
        answer = Answer(send)
        try:
            fields = await self._decide(scope)
        except Refused as refusal:
            status = refusal.status if refusal.status == 401 or refusal.status >= 500 else 403
            code = [(b"x-remit-error", refusal.error.encode())]
            await answer.whole(status, [*refusal.fields(), *code], refusal.body())
        else:
            await answer.whole(200, [*fields, (b"cache-control", b"no-store"), (b"content-length", b"0")])

    async def _decide(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        headers = Headers(scope=scope)
        if not self._proxies.admit((scope.get("client") or ("",))[0], headers):  # 1
            raise Refused(403, "proxy_untrusted", "this may be asked by trusted proxies only")
        asked = self._read(scope, headers)  # 2 3
        try:
            async with self._bridge.delegated(asked.call(DOOR), asked.request) as (token, record):
                if asked.request is None or token is None:
                    raise AssertionError("the bridge let pass what has no route or no token")
                record.handed_over(asked.request.method, asked.request.route.template)
                return self._permission(token, record.id)
        except RemitError as error:
            tell_operator(error)
            raise refused(error, self._reader.metadata_url, dpop=asked.dpop) from error

    def _read(self, scope: Scope, headers: Headers) -> Asked:
        told = self._told
        own: bytes = scope["raw_path"]
        uri = _one(headers, told.uri).encode("latin-1") if told.uri else _below(own, scope["query_string"])
        host = _host(headers, told.host)
        method = _one(headers, told.method) if told.method else scope["method"]
        line = RequestLine(method, host, uri, _origin_of(host))
        try:
            return self._reader.read(line, headers)
        except TargetRefused as error:
            raise Refused(400, "invalid_request", str(error)) from error

    def _permission(self, token: DelegatedToken, audit_id: str) -> list[tuple[bytes, bytes]]:
        claims = token.claims
        parties = Parties.read(Actor(claims["sub"]), DelegationChain.from_claims(claims), read_profile(claims))
        actor = parties.chain.current
        return [
            (self._token_header, f"Bearer {token.credential.reveal()}".encode()),  # for the proxy to pass on
            (b"x-request-id", audit_id.encode()),
            (b"x-remit-subject", _visible(parties.principal.sub)),
            (b"x-remit-actor", _visible(actor.sub if actor else "")),
        ]


def _one(headers: Headers, name: str) -> str:
    values = headers.getlist(name)
    if len(values) != 1 or not values[0]:
        raise Refused(400, "invalid_request", f"the proxy has to say {name}, once")
    return values[0]


def _host(headers: Headers, name: str) -> str:
    """The host in one spelling, without the dot a name may end in; empty where the proxy says none.

    Any other spelling is refused: it would pass by the routes that are for that host.
    """
    if not any(values := headers.getlist(name)):
        return ""
    match = _HOST.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        raise Refused(400, "invalid_request", f"the proxy has to say {name}, in one way")
    return match[1] + (match[2] or "")


def _origin_of(host: str) -> str:
    """Where the client sent the request: a token goes by https, or stays on this machine (``web.is_secure``)."""
    if not host:
        return ""
    return f"http://{host}" if is_loopback(f"http://{host}") else f"https://{host}"


def _below(raw_path: bytes, query: bytes) -> bytes:
    path = raw_path.removeprefix(PATH.encode())
    return path + b"?" + query if query else path


def _visible(text: str) -> bytes:
    """A claim as a header field: what is not visible ASCII, and ``%``, percent-encoded."""
    return quote(text, safe=_VISIBLE).encode()
