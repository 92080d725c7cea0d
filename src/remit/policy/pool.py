"""Door: policy workers, and the documents that wait for one.

Each worker is given a few documents ahead and answers them in order, so that the first unanswered one is the one it is
at: where that takes too long, or the worker ends, that one goes unanswered, and those behind it go to another worker.
A spare worker is loaded and takes the place of one that is lost; the next spare is started meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

import structlog

from remit.errors import PolicyInvalid
from remit.policy.asking import Answer, Item, Job, Worker
from remit.policy.child import COMMAND, Child

log = structlog.get_logger("remit")

#: Loading a policy may take so long, in seconds.
LOAD_SECONDS: Final = 10.0
_MAX_WAITING: Final = 1000
#: Documents given to a worker ahead of its answers.
_AHEAD: Final = 4
#: A wait of no account, in seconds: rather than wake another process, a worker is given one more.
_SOON: Final = 0.0005
#: A document waits for a worker as long as so many evaluations may take.
_PATIENCE: Final = 10
#: How often it is looked whether a deadline has passed, in deadlines.
_LOOK: Final = 0.1
_FIRST_PAUSE: Final = 0.1
_MAX_PAUSE: Final = 30.0
_CLOSED: Final = "the policy engine is closed"
_NONE: Final = "no policy worker can be started"
_SATURATED: Final = f"{_MAX_WAITING} decisions are waiting already"


class Pool:
    """``workers`` processes that decide, and ``spare`` ones. ``order`` is what each is started with.

    ``deadline``: how long one document may take, in seconds.
    """

    def __init__(
        self,
        order: bytes,
        *,
        deadline: float,
        workers: int,
        spare: int = 1,
        revision: str = "",
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._order = order
        self._deadline = deadline
        self._workers = workers
        self._wanted = workers + spare
        self._log = log.bind(revision=revision)
        self._command = command
        self._loop = asyncio.get_running_loop()
        self._live: list[Worker] = []  # those that decide, then the spare
        self._children: list[Child] = []  # all that have not ended
        self._waiting: deque[Item] = deque()
        self._short = asyncio.Event()
        self._pause = 0.0
        self._look_timer: asyncio.TimerHandle | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that are ready, the spare last."""
        return tuple(worker.child.pid for worker in self._live)

    async def start(self) -> Any:
        """Start the first worker, and give what it says of its order; the others follow. Raises ``PolicyInvalid``."""
        worker, reply = await self._loaded()
        self._live.append(worker)
        if self._wanted > 1:
            self._short.set()
        self._keeper = asyncio.create_task(self._keep_full())
        return reply

    async def ask(self, bodies: Sequence[bytes]) -> list[Answer]:
        """An answer for each, in order. Never raises."""
        problem = self._cannot_take(len(bodies))
        if problem or not bodies:
            await asyncio.sleep(0)  # or who asks again at once would keep the loop from bringing workers back
            return [problem] * len(bodies)
        job = Job(bodies, self._loop)
        self._waiting.extend((job, index) for index in range(len(bodies)))
        self._hand_out()
        self._watch()
        await job.answered
        return job.answers

    async def aclose(self) -> None:
        """Answer everybody that there is no answer, and end the processes."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._look_timer is not None:
            self._look_timer.cancel()
        for worker in self._live:
            self._waiting.extend(worker.items)
        self._live.clear()
        self._turn_away(_CLOSED)
        for child in self._children:
            child.kill()
        for child in self._children:
            await child.gone()

    # ── handing out ──────────────────────────────────────────────────────────────────────

    def _cannot_take(self, number: int) -> str:
        """Why not, or empty."""
        if self._closed:
            return _CLOSED
        if not self._live and self._pause:
            return _NONE
        if len(self._waiting) + number > _MAX_WAITING:
            self._waiting = deque(item for item in self._waiting if not item[0].answered.done())
        return _SATURATED if len(self._waiting) + number > _MAX_WAITING else ""

    def _hand_out(self) -> None:
        deciding = self._live[: self._workers]
        while self._waiting and (free := [worker for worker in deciding if len(worker.items) < _AHEAD]):
            item = self._waiting.popleft()
            if not item[0].answered.done():
                self._best(free).give(item)
        for worker in deciding:
            worker.flush()

    def _best(self, free: Sequence[Worker]) -> Worker:
        """The first that begins soon, else the one that begins first."""
        now = self._loop.time()
        waits = [(worker.wait(now), worker) for worker in free]
        soon = (worker for wait, worker in waits if wait <= _SOON)
        return next(soon, None) or min(waits, key=itemgetter(0))[1]

    def _turn_away(self, why: str) -> None:
        while self._waiting:
            job, index = self._waiting.popleft()
            job.answer(index, why)

    # ── deadlines ────────────────────────────────────────────────────────────────────────

    def _watch(self) -> None:
        """Look at the deadlines soon, as long as anybody waits."""
        if self._look_timer is None and (self._waiting or any(worker.items for worker in self._live)):
            self._look_timer = self._loop.call_later(_LOOK * self._deadline, self._look)

    def _look(self) -> None:
        self._look_timer = None
        now = self._loop.time()
        for worker in self._live[: self._workers]:
            self._look_at(worker, now)
        patience = _PATIENCE * self._deadline
        while self._waiting and now - self._waiting[0][0].since > patience:
            job, index = self._waiting.popleft()
            job.answer(index, f"no policy worker was free within {patience:g} s")
        self._watch()

    def _look_at(self, worker: Worker, now: float) -> None:
        """Twice before it is ended: where this process was busy, the answer may lie here unread."""
        item = worker.items[0] if worker.items and now - worker.since > self._deadline else None
        if item is not None and item is worker.overdue:
            worker.child.kill()
            self._replace(worker, f"the evaluation took longer than {self._deadline * 1000:g} ms")
        worker.overdue = item

    # ── workers come and go ──────────────────────────────────────────────────────────────

    def _replace(self, worker: Worker, why: str) -> None:
        """The item it was at goes without an answer, the others go to another worker: the spare is one now."""
        if worker not in self._live:
            return
        self._live.remove(worker)
        self._log.warning("policy_worker_lost", problem=why)
        if worker.items:
            job, index = worker.items.popleft()
            job.answer(index, why)
        else:
            self._lengthen_pause()
        self._waiting.extendleft(reversed(worker.items))
        self._short.set()
        self._hand_out()

    def _answered(self) -> None:
        self._pause = 0.0
        self._hand_out()

    async def _keep_full(self) -> None:
        """Start workers as long as there are too few, one after the other, ever more slowly where that fails."""
        while True:
            await self._short.wait()
            await asyncio.sleep(self._pause)
            try:
                worker, _ = await self._loaded()
            except PolicyInvalid as error:
                self._lengthen_pause()
                self._log.error("policy_worker_not_started", problem=error.message, next_try_in=self._pause)
                if not self._live:
                    self._turn_away(_NONE)
                continue
            self._live.append(worker)
            if len(self._live) >= self._wanted:
                self._short.clear()
            self._hand_out()

    async def _loaded(self) -> tuple[Worker, Any]:
        worker = Worker(self._answered, self._replace)
        try:
            worker.child = await Child.start(worker.heard, worker.lost, self._command)
        except OSError as error:
            raise PolicyInvalid(_NONE, detail=str(error)) from error
        self._children = [child for child in self._children if not child.has_ended] + [worker.child]
        try:
            return worker, await worker.child.order(self._order, LOAD_SECONDS)
        except BaseException:
            worker.child.kill()
            raise

    def _lengthen_pause(self) -> None:
        self._pause = min(_MAX_PAUSE, self._pause * 2 or _FIRST_PAUSE)
