"""Door: one request in the air for many who wait for the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class SingleFlight(Generic[Value]):
    """Callers that arrive while a request runs share its answer or its error. Nothing is kept afterwards.

    A caller that is cancelled leaves the request to the others.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Value]]) -> None:
        self._fetch = fetch
        self._running: asyncio.Task[Value] | None = None

    async def __call__(self) -> Value:
        """The answer of the request that runs, or of a new one."""
        if self._running is None:
            self._running = asyncio.create_task(self._run())
            # An error nobody waits for any more is nobody's; without this the loop would log it.
            self._running.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._running)

    async def _run(self) -> Value:
        try:
            return await self._fetch()
        finally:
            self._running = None
