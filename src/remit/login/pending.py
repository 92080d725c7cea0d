"""Path: a sign-in that a process offers to the person it serves, while it goes on serving them. One at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

import structlog

from remit.errors import RemitError, SignInFailed

_LOG: Final = structlog.get_logger(__name__)

#: Shows a URL and waits until its sign-in has come to an end. Bounded in time. Raises leaves of ``RemitError``.
SignInBy: TypeAlias = Callable[[Callable[[str], None]], Awaitable[None]]


class PendingSignIn:
    """Runs ``sign_in`` in the background, for everybody who asks while it is under way."""

    def __init__(self, sign_in: SignInBy) -> None:
        self._sign_in = sign_in
        self._task: asyncio.Task[bool] | None = None
        self._url: asyncio.Future[str] | None = None

    async def url(self) -> str:
        """Where to sign in: of the sign-in that is under way, or of a new one. Raises leaves of ``RemitError``."""
        if self._task is None or self._url is None or self._task.done():
            self._url = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._url))
        return await asyncio.shield(self._url)

    async def finished(self, seconds: float) -> bool:
        """Wait for the sign-in, no longer than ``seconds``: whether somebody has signed in."""
        if self._task is None:
            return False
        await asyncio.wait({self._task}, timeout=seconds)
        return self._task.done() and not self._task.cancelled() and self._task.result()

    async def aclose(self) -> None:
        """Give it up."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, url: asyncio.Future[str]) -> bool:
        def show(text: str) -> None:
            if not url.done():
                url.set_result(text)

        try:
            await self._sign_in(show)
        except RemitError as error:
            _LOG.warning("sign_in_failed", code=error.code, detail=error.detail, hint=error.hint)
            if not url.done():
                url.set_exception(error)
            return False
        finally:
            if not url.done():
                url.set_exception(SignInFailed("the sign-in was given up"))
        return True
