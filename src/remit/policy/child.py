"""Door: one policy worker process, as the process that started it sees it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from remit.errors import PolicyInvalid
from remit.policy.frames import MAX_ANSWER, FrameInvalid, Frames, frame

#: ``-P``: the working directory is no place to import from.
COMMAND: Final = (sys.executable, "-P", "-m", "remit.policy.worker")

#: What a worker says of its order may be longer than an answer: where each text of a policy stands.
_MAX_REPLY: Final = 64 * 1024 * 1024
_SECONDS_TO_EXIT: Final = 5.0

Heard = Callable[[list[tuple[int, bytes]]], None]
Lost = Callable[[str], None]


class Child(asyncio.SubprocessProtocol):
    """A running worker. ``heard`` is given each lot of frames that follows the reply to its order.

    ``lost`` is told, once, why nothing more will be heard, unless that is by ``kill``. Its standard error goes nowhere:
    what the engine says of a panic may quote the input.
    """

    def __init__(self, heard: Heard, lost: Lost) -> None:
        self._heard = heard
        self._lost = lost
        self._frames = Frames(_MAX_REPLY)
        self._over = ""
        loop = asyncio.get_running_loop()
        self._reply: asyncio.Future[bytes] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()

    @classmethod
    async def start(cls, heard: Heard, lost: Lost, command: Sequence[str] = COMMAND) -> Child:
        """Raises ``OSError`` where no process can be started."""
        loop = asyncio.get_running_loop()
        _, child = await loop.subprocess_exec(lambda: cls(heard, lost), *command, stderr=subprocess.DEVNULL)
        return child

    @property
    def pid(self) -> int:
        """The process."""
        return self._transport.get_pid()

    @property
    def has_ended(self) -> bool:
        """Whether the process has, and was waited for."""
        return self._gone.done()

    async def order(self, order: bytes, seconds: float) -> Any:
        """What it has to say of its order (``order_of``). Raises ``PolicyInvalid``: its own, too late, or none at all."""
        self.send(frame(0, order))
        try:
            async with asyncio.timeout(seconds):
                reply = await self._reply
        except TimeoutError as error:
            raise PolicyInvalid(
                f"the policy is not ready after {seconds:g} s",
                hint="look for a rule that does not end, or for data that is searched from end to end",
            ) from error
        self._frames = Frames(MAX_ANSWER)
        return _done(b"" if self._over else reply, self._over)

    def send(self, data: bytes) -> None:
        """Frames. Nothing where it is over."""
        if not self._over:
            self._input.write(data)

    def kill(self) -> None:
        """End it now. Nothing more is heard of it."""
        self._finish("it was ended")
        self._transport.close()

    async def gone(self) -> None:
        """Once the process has ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS_TO_EXIT):
                await asyncio.shield(self._gone)

    # ── what asyncio tells ────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It runs."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._input = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:  # noqa: ARG002  asyncio's
        """It says something. After its end nothing counts."""
        if self._over:
            return
        try:
            frames = self._frames.feed(cast("bytes", data))
        except FrameInvalid:
            self._end("it sent what is no answer")
            self._transport.close()
            return
        if frames and not self._reply.done():
            self._reply.set_result(frames.pop(0)[1])
        if frames:
            self._heard(frames)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002
        """It closed a pipe, which it does by ending. It has a moment for that: what has ended must not be killed."""
        if not self._over:
            self._end("it ended")
            self._input.close()
            asyncio.get_running_loop().call_later(_SECONDS_TO_EXIT, self._transport.close)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """It has ended, and was waited for."""
        self._end("it ended")
        self._transport.close()
        if not self._gone.done():
            self._gone.set_result(None)

    def _end(self, why: str) -> None:
        if not self._over:
            loaded = self._reply.done()
            self._finish(why)
            if loaded:
                self._lost(why)

    def _finish(self, why: str) -> None:
        self._over = self._over or why
        if not self._reply.done():
            self._reply.set_result(b"")


def order_of(task: str, payload: Mapping[str, Any]) -> bytes:
    """An order for a worker: one of its tasks, and what that needs to know."""
    return json.dumps({"task": task, **payload}).encode()


async def in_worker(task: str, payload: Mapping[str, Any], *, seconds: float) -> Any:
    """Do one task in a process of its own, which is ended after so many seconds. Raises ``PolicyInvalid``."""
    try:
        child = await Child.start(lambda _: None, lambda _: None)
    except OSError as error:
        raise PolicyInvalid("no policy worker can be started", detail=str(error)) from error
    try:
        return await child.order(order_of(task, payload), seconds)
    finally:
        child.kill()
        await child.gone()


def _done(reply: bytes, over: str) -> Any:
    """The reply to an order. Raises ``PolicyInvalid``."""
    try:
        document = json.loads(reply)
    except ValueError:
        document = None
    match document:
        case {"done": done}:
            return done
        case {"refused": {"message": str(message), "where": str(where), "detail": str(detail), "hint": str(hint)}}:
            raise PolicyInvalid(message, where=where, detail=detail, hint=hint)
        case _:
            raise PolicyInvalid(
                "the policy made its worker fail",
                detail=over or "it sent what is no reply",
                hint="look for a rule or data of enormous size",
            )
