"""Door: the embedded engine in processes of its own, which can be ended: a policy that does not end stops nobody.

Documents are written, answers read and decisions made here; a worker process is given text and gives text.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from remit.clock import Clock
from remit.errors import PolicyInvalid
from remit.policy.bundle import Bundle
from remit.policy.child import in_worker, order_of
from remit.policy.decision import Basis, Decision, Places
from remit.policy.embedded import TRIALS, Asked, check_trials
from remit.policy.pool import LOAD_SECONDS, Pool

#: So many documents of a list are asked about together, and so many such lots at a time: single ones get their turn.
_LOT: Final = 8
_LOTS: Final = 2
_MAX_NAMED: Final = 20


class ProcessEngine:
    """``PolicyEngine`` in worker processes. ``start`` makes one, ``aclose`` ends its processes."""

    def __init__(self, bundle: Bundle, clock: Clock, pool: Pool, places: Places) -> None:
        self._revision = bundle.revision
        self._clock = clock
        self._pool = pool
        self._places = places

    @classmethod
    async def start(
        cls,
        bundle: Bundle,
        clock: Clock,
        *,
        deadline: float = 0.1,
        workers: int = 2,
        spare: int = 1,
        run_tests: bool = True,
    ) -> ProcessEngine:
        """Try the policy out, with its own tests if ``run_tests``, and be ready to decide.

        ``deadline`` is for each decision, in seconds. ``spare``: how many processes wait to step in. Raises ``PolicyInvalid`` (file:line:column) for a policy that
        must not be used. Ready with the first worker; the others follow.
        """
        order = order_of("decide", _payload(bundle, deadline))
        pool = Pool(order, deadline=deadline, workers=workers, spare=spare, revision=bundle.revision)
        try:
            loaded = await pool.start()
            places = Places(loaded["entry"], loaded["codes"])
            check_trials(loaded["answers"], places, bundle.revision)
            if run_tests and bundle.tests:
                await _pass_tests(bundle)
        except BaseException:
            await pool.aclose()
            raise
        return cls(bundle, clock, pool, places)

    @property
    def revision(self) -> str:
        """The bundle's."""
        return self._revision

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker processes that are ready, the spare last."""
        return self._pool.pids

    async def aclose(self) -> None:
        """End the processes. Decisions under way, and later ones, are denied."""
        await self._pool.aclose()

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        """See ``PolicyEngine.decide``."""
        (decision,) = await self._decided([document])
        return decision

    async def decide_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """See ``PolicyEngine.decide_many``. A long list does not hold up single decisions."""
        lots = iter(range(0, len(documents), _LOT))
        decided: dict[int, list[Decision]] = {}

        async def decide_lots() -> None:
            for start in lots:
                decided[start] = await self._decided(documents[start : start + _LOT])

        await asyncio.gather(*(decide_lots() for _ in range(_LOTS)))
        return [decision for start in sorted(decided) for decision in decided[start]]

    async def _decided(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        started = self._clock.monotonic()
        asked = [Asked.of(document) for document in documents]
        answers = iter(await self._pool.ask([each.text for each in asked if not each.problem]))
        duration = round((self._clock.monotonic() - started) * 1_000_000)
        return [
            each.decided(each.problem or next(answers), self._basis(each, duration), self._places) for each in asked
        ]

    def _basis(self, asked: Asked, duration: int) -> Basis:
        return Basis(secrets.token_hex(12), self._revision, asked.digest, duration)


def _payload(bundle: Bundle, deadline: float) -> dict[str, Any]:
    """What a worker has to know. Its own limits are the last resort: they hold where nobody ends it any more."""
    return {
        "modules": dict(bundle.modules),
        "data": json.dumps(bundle.data),
        "trials": TRIALS,
        "load_seconds": 2 * LOAD_SECONDS,
        "decide_seconds": 1 + 2 * deadline,
    }


async def _pass_tests(bundle: Bundle) -> None:
    payload = {"modules": dict(bundle.modules), "data": bundle.data, "tests": dict(bundle.tests)}
    report = await in_worker("tests", payload, seconds=LOAD_SECONDS)
    if not report["ok"]:
        raise _failing([each for each in report["results"] if each["outcome"] not in ("passed", "skipped")])


def _failing(results: Sequence[Mapping[str, Any]]) -> PolicyInvalid:
    named = (f"{each['where']}: {each['name']} {each['outcome']} {each['message']}".rstrip() for each in results)
    return PolicyInvalid(
        f"{len(results)} of the policy's own tests do not pass",
        where=results[0]["where"],
        detail="; ".join(list(named)[:_MAX_NAMED]),
        hint="`remit policy test` shows them all",
    )
