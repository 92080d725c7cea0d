"""Door: a policy worker, and the documents it was given."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from remit.policy.child import Child
from remit.policy.frames import ANSWERED, UNDECIDED, frame

_SMOOTHING: Final = 16
_MAX_NUMBER: Final = 2**32 - 1
_MAX_TEXT: Final = 300

#: What came of a document: the policy's answer (JSON), or why there is none.
Answer = bytes | str


class Job:
    """Documents that somebody waits for together. Nobody does any more where ``answered`` is done early."""

    __slots__ = ("_left", "answered", "answers", "bodies", "since")

    def __init__(self, bodies: Sequence[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self.bodies = bodies
        self.answers: list[Answer] = [""] * len(bodies)
        self.answered: asyncio.Future[None] = loop.create_future()
        self.since = loop.time()
        self._left = len(bodies)

    def answer(self, index: int, answer: Answer) -> None:
        """What came of one of them."""
        self.answers[index] = answer
        self._left -= 1
        if not self._left and not self.answered.done():
            self.answered.set_result(None)


#: One document of a job.
Item = tuple[Job, int]


class Worker:
    """A child with the items it was given, the one it is at first. ``since``: when it began with that one."""

    def __init__(self, free: Callable[[], None], lost: Callable[[Worker, str], None]) -> None:
        self.child: Child
        self.items: deque[Item] = deque()
        self.since = 0.0
        self.overdue: Item | None = None
        self._free = free
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._usual = 0.0  # seconds for one, smoothed
        self._given = 0
        self._answered = 0
        self._unsent: list[bytes] = []

    def give(self, item: Item) -> None:
        """To be sent by ``flush``."""
        if not self.items:
            self.since = self._loop.time()
        self._given = self._given % _MAX_NUMBER + 1
        self.items.append(item)
        job, index = item
        self._unsent.append(frame(self._given, job.bodies[index]))

    def wait(self, now: float) -> float:
        """How long one more would wait, in seconds, judging by those before."""
        return max(len(self.items) * self._usual, now - self.since) if self.items else 0.0

    def flush(self) -> None:
        """All that was given, in one write."""
        if self._unsent:
            self.child.send(b"".join(self._unsent))
            self._unsent.clear()

    def heard(self, frames: list[tuple[int, bytes]]) -> None:
        """Answers, each of which must be the one to the first item."""
        for number, body in frames:
            due = self._answered % _MAX_NUMBER + 1
            if not self.items or number != due or body[:1] not in (ANSWERED, UNDECIDED):
                self.child.kill()
                self.lost("it sent what is no answer")
                return
            self._answered = number
            job, index = self.items.popleft()
            began, self.since = self.since, self._loop.time()
            self._usual += (self.since - began - self._usual) / _SMOOTHING
            job.answer(index, body[1:] if body.startswith(ANSWERED) else body[1:_MAX_TEXT].decode(errors="replace"))
        self._free()

    def lost(self, why: str) -> None:
        """Nothing more will be heard of it."""
        self._lost(self, f"the policy worker failed: {why}")
