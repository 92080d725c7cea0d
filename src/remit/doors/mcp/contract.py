"""Noun: what a door needs: of the bridge (``remit.bridge.Bridge``), and to have somebody sign in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class SignInOffer:
    """A sign-in that waits for its user: the ``url`` they open, which holds no secret, and a sentence about it."""

    url: str
    message: str


class SignIn(Protocol):
    """Lets the person sign in whom a door speaks for."""

    async def begin(self) -> SignInOffer:
        """The sign-in that is under way, or a new one. Raises leaves of ``RemitError``."""
        ...

    async def finished(self, seconds: float) -> bool:
        """Wait for it, no longer than ``seconds``: whether they have signed in."""
        ...
