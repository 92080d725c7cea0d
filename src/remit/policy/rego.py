"""Door: the embedded engine in this process.

It holds the interpreter lock while it evaluates and cannot be stopped: a policy that does not end stops the process.
What serves asks it in processes of their own (``remit.policy.process``); this one is for a policy at a desk. It
belongs to the thread that made it, any other gets a deny.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from remit.clock import Clock
from remit.policy.bundle import Bundle
from remit.policy.decision import Basis, Decision, Places
from remit.policy.embedded import TRIALS, Asked, check_trials
from remit.policy.evaluator import Evaluator, Undecided

#: After so many decisions in a row other work gets a turn.
_TURN: Final = 16


class RegoEngine:
    """``PolicyEngine`` in this process. Raises ``PolicyInvalid`` (file:line:column) for a policy that must not be used."""

    def __init__(self, bundle: Bundle, clock: Clock) -> None:
        self._bundle = bundle
        self._clock = clock
        self._evaluator = Evaluator(bundle.modules, json.dumps(bundle.data))
        self._places = Places(self._evaluator.entry, self._evaluator.codes)
        check_trials(self._evaluator.try_out(TRIALS), self._places, bundle.revision)

    @property
    def revision(self) -> str:
        """The bundle's."""
        return self._bundle.revision

    async def aclose(self) -> None:
        """Nothing runs apart from this process."""

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        """See ``PolicyEngine.decide``."""
        return self._decided(document)

    async def decide_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """See ``PolicyEngine.decide_many``. Other work gets its turn in between."""
        decisions: list[Decision] = []
        for number, document in enumerate(documents, start=1):
            decisions.append(self._decided(document))
            if number % _TURN == 0:
                await asyncio.sleep(0)
        return decisions

    def _decided(self, document: Mapping[str, Any]) -> Decision:
        started = self._clock.monotonic()
        asked = Asked.of(document)
        answer = asked.problem or self._answer(asked.text)
        duration = round((self._clock.monotonic() - started) * 1_000_000)
        return asked.decided(answer, Basis(secrets.token_hex(12), self.revision, asked.digest, duration), self._places)

    def _answer(self, text: bytes) -> bytes | str:
        try:
            return self._evaluator.answer(text.decode()).encode()
        except Undecided as error:
            return str(error)
