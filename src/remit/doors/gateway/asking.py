"""Rule: a request as both doors read it, before anybody is asked about it.

The order matters: what is malformed is refused first, then who shows no token, and only then are routes looked at,
so nobody learns of routes without a token, and nobody but policy decides who learns of them with one.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers

from remit.bridge import ToolCall
from remit.credential import ConfirmedToken, UnverifiedToken
from remit.doors.challenge import Challenge
from remit.doors.gateway.contract import NO_ROUTE
from remit.doors.gateway.refusal import challenged, refused, tell_operator
from remit.doors.gateway.route import RouteRequest, Routes
from remit.doors.gateway.target import Target, read_target
from remit.doors.possession import Shown, TokenReader
from remit.errors import AuthenticationError


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its token, its target, and the route that takes it, if one does."""

    token: UnverifiedToken
    target: Target
    request: RouteRequest | None

    @property
    def dpop(self) -> bool:
        """Whether the token came with a proof of possession."""
        return isinstance(self.token, ConfirmedToken)

    def call(self, door: str) -> ToolCall:
        """The call as the bridge takes it. Policy sees no arguments of it: what is asked for is in the operation."""
        return ToolCall(door=door, token=self.token, name=self.request.name if self.request else NO_ROUTE, arguments={})


@dataclass(frozen=True, slots=True)
class RequestLine:
    """What a request asks for: its method, the host it names, path and query as they came.

    ``origin`` is where clients find the path, as ``https://api.example``; empty where that is not known.
    """

    method: str
    host: str
    uri: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class RequestReader:
    """Reads requests: their tokens by ``tokens``. Challenges name ``metadata_url``."""

    routes: Routes
    tokens: TokenReader
    metadata_url: str

    def read(self, line: RequestLine, headers: Headers) -> Asked:
        """The request with these headers. Raises ``TargetRefused`` or ``Refused``."""
        path, _, query = line.uri.partition(b"?")
        target = read_target(path, query)
        url = line.origin + target.raw_path if line.origin else ""
        try:
            token = self.tokens.read(Shown.of(headers, method=line.method, url=url, query=query))
        except AuthenticationError as error:
            tell_operator(error)
            raise refused(error, self.metadata_url, dpop=True) from error
        if isinstance(token, Challenge):
            raise challenged(token, self.metadata_url)
        return Asked(token, target, self.routes.find(line.method, line.host, target))
