"""Noun: what the code of a tool has to work with. It offers no credential and no way to name another API.

Code runs in the server's own process, so this is no wall around it: whoever writes a tool's code is trusted as whoever
installs the server is. It is what keeps a credential from being used, logged or returned by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One request that code wants made. ``path`` is a template below the API's address, ``values`` fill it.

    ``scopes``: those that its token shall have, ``None`` for all that the tool has.
    """

    method: str
    path: str
    values: Mapping[str, Any] = field(repr=False)
    query: Mapping[str, Any] | None = field(default=None, repr=False)
    body: Any = field(default=None, repr=False)
    scopes: tuple[str, ...] | None = None


class Calls(Protocol):
    """Whoever makes the calls: each is decided, given a token of its own, and recorded."""

    async def request(self, call: ApiCall) -> Any:
        """The answer's data."""
        ...

    async def tool(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """The data that the other tool gives."""
        ...


class Api:
    """The API of the tool's own tool set. Paths are written out in the file, with ``{name}`` for values.

    A value is one percent-encoded segment or a part of one. Every method raises ``CallRefused``.
    """

    __slots__ = ("_calls", "_scopes")

    def __init__(self, calls: Calls, scopes: tuple[str, ...] | None = None) -> None:
        self._calls = calls
        self._scopes = scopes

    def scoped(self, *scopes: str) -> Api:
        """The same API with tokens that have no more than these of the tool's scopes."""
        return Api(self._calls, scopes)

    async def get(self, path: str, /, *, query: Mapping[str, Any] | None = None, **values: Any) -> Any:
        """GET, and the answer's data: JSON, a text, or ``None``."""
        return await self._calls.request(ApiCall("GET", path, values, query, None, self._scopes))

    async def post(
        self, path: str, /, *, body: Any = None, query: Mapping[str, Any] | None = None, **values: Any
    ) -> Any:
        """POST ``body`` as JSON."""
        return await self._calls.request(ApiCall("POST", path, values, query, body, self._scopes))

    async def put(
        self, path: str, /, *, body: Any = None, query: Mapping[str, Any] | None = None, **values: Any
    ) -> Any:
        """PUT ``body`` as JSON."""
        return await self._calls.request(ApiCall("PUT", path, values, query, body, self._scopes))

    async def patch(
        self, path: str, /, *, body: Any = None, query: Mapping[str, Any] | None = None, **values: Any
    ) -> Any:
        """PATCH ``body`` as JSON."""
        return await self._calls.request(ApiCall("PATCH", path, values, query, body, self._scopes))

    async def delete(self, path: str, /, *, query: Mapping[str, Any] | None = None, **values: Any) -> Any:
        """DELETE."""
        return await self._calls.request(ApiCall("DELETE", path, values, query, None, self._scopes))


class Ctx:
    """The first parameter of a code tool: for whom it works, and the calls it may make.

    ``user`` and ``agent`` are the ``sub`` of each, ``call_id`` names the call in the audit trail.
    """

    __slots__ = ("_calls", "agent", "api", "call_id", "user")

    def __init__(self, calls: Calls, *, user: str, agent: str, call_id: str) -> None:
        self._calls = calls
        self.api = Api(calls)
        self.user = user
        self.agent = agent
        self.call_id = call_id

    async def call(self, tool: str, /, **arguments: Any) -> Any:
        """Call another tool, whose scopes this one must have too; its result's data. Raises ``CallRefused``."""
        return await self._calls.tool(tool, arguments)

    def __repr__(self) -> str:
        return f"Ctx(user={self.user!r}, agent={self.agent!r}, call_id={self.call_id!r})"
