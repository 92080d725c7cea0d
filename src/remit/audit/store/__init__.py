"""Doors to where the trail is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Store(Protocol):
    """Keeps records durably, in one chain, and never changes them."""

    async def append(self, record: Mapping[str, Any]) -> None:
        """Return once ``record`` is durable. Raises ``AuditError`` where that cannot be had in time.

        ``record`` holds ``call_id``, ``kind`` and ``time_ms`` and has a canonical form (``chain.check``). A wait
        that is cancelled does not take the record back.
        """
        ...

    def close(self) -> None:
        """Write what is still waiting, then stop."""
        ...
