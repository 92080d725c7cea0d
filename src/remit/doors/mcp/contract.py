"""Noun: what a door needs of the bridge. ``remit.bridge.Bridge`` is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from remit.bridge import CallResult, ToolCall
from remit.catalog.tool import Tool
from remit.credential import UnverifiedToken
from remit.principal import Caller


class CallPath(Protocol):
    """The path of a call, seen from a door. Tokens are handed over unread and verified there, every time."""

    async def call(self, call: ToolCall) -> CallResult:
        """Make one call. Raises leaves of ``RemitError`` with ``call_id`` set."""
        ...

    async def visible_tools(self, door: str, token: UnverifiedToken | None) -> Sequence[Tool]:
        """The tools this caller may ever use, sorted by name. Raises ``AuthenticationError``."""
        ...

    async def identify(self, token: UnverifiedToken | None) -> Caller:
        """Who shows this token. Raises ``AuthenticationError``."""
        ...
