"""Rule: a request as both doors read it, before anybody is asked about it.

The order matters: what is malformed is refused first, then who shows no token, and only then are routes looked at,
so nobody learns of routes without a token, and nobody but policy decides who learns of them with one.
"""

from __future__ import annotations

from dataclasses import dataclass

from remit.bridge import ToolCall
from remit.credential import UnverifiedToken
from remit.doors.challenge import Challenge, read_bearer
from remit.doors.gateway.contract import NO_ROUTE
from remit.doors.gateway.refusal import challenged
from remit.doors.gateway.route import RouteRequest, Routes
from remit.doors.gateway.target import Target, read_target


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its token, its target, and the route that takes it, if one does."""

    token: UnverifiedToken
    target: Target
    request: RouteRequest | None

    def call(self, door: str) -> ToolCall:
        """The call as the bridge takes it. Policy sees no arguments of it: what is asked for is in the operation."""
        return ToolCall(door=door, token=self.token, name=self.request.name if self.request else NO_ROUTE, arguments={})


def read_asked(
    routes: Routes, *, method: str, host: str, uri: bytes, authorization: list[str], metadata_url: str
) -> Asked:
    """The request. ``uri`` is path and query as they came. Raises ``TargetRefused`` or ``Refused``."""
    path, _, query = uri.partition(b"?")
    target = read_target(path, query)
    token = read_bearer(authorization, query)
    if isinstance(token, Challenge):
        raise challenged(token, metadata_url)
    return Asked(token, target, routes.find(method, host, target))
