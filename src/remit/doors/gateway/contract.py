"""Noun: what these doors need of the bridge. ``remit.bridge.Bridge`` is one, with an identifier of its own."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from remit.audit.trail import Record
from remit.bridge import ToolCall
from remit.exchange.exchanger import DelegatedToken
from remit.policy.input import Operation

#: What a door is given to carry the traffic with.
Delegated: TypeAlias = tuple[DelegatedToken | None, Record]

#: The name in the trail of what no route takes.
NO_ROUTE = "(no route)"


class DelegationPath(Protocol):
    """The path of a call up to the delegated token, seen from a door that carries the traffic itself."""

    def delegated(self, call: ToolCall, operation: Operation | None) -> AbstractAsyncContextManager[Delegated]:
        """Identify, decide, record, exchange; record the outcome when the block ends. Raises ``RemitError`` leaves."""
        ...
