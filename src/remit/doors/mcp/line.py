"""Noun: what the server needs of the door it belongs to, beyond what the SDK says of a request."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from mcp.server.context import ServerRequestContext

from remit.credential import UnverifiedToken
from remit.errors import RemitError

RequestContext: TypeAlias = ServerRequestContext[Any, Any]


class Line(Protocol):
    """One way in. ``door`` is its name in policy and trail."""

    @property
    def door(self) -> str:
        """Its name."""
        ...

    async def token_of(self, ctx: RequestContext) -> UnverifiedToken | None:
        """The token of the request that is served; ``None`` where there is none."""
        ...

    async def ask(self, ctx: RequestContext, question: str) -> bool | None:
        """Ask the user of a client of the handshake era. Waits for the answer as long as it takes.

        ``None``: no answer, or nobody who could be asked.
        """
        ...

    def refused(self, ctx: RequestContext, error: RemitError) -> None:
        """The call ends with ``error``, which the door may tell in its own way besides."""
        ...

    def put_tools(self, ctx: RequestContext, tools: bytes) -> bool:
        """Have the answer's empty list of tools hold these when it is sent: JSON, each after a comma but the first.

        ``False``: the door does not write its answers itself.
        """
        ...
