"""Door: a second policy that decides silently, beside the one in force; where they differ, that is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog

from remit.errors import AuditError
from remit.policy.decision import Decision
from remit.policy.engine import PolicyEngine

log = structlog.get_logger("remit")

#: More comparisons than this do not wait: under such a load the policy in force comes first.
_MAX_WAITING: Final = 256

#: Records a difference: the call's audit id and what both said.
RecordDifference = Callable[[str, dict[str, Any]], Awaitable[None]]


class Shadow:
    """Asks ``engine`` about what was decided already. No call waits for it and none is touched by it."""

    def __init__(self, engine: PolicyEngine, record: RecordDifference) -> None:
        self._engine = engine
        self._record = record
        self._waiting: set[asyncio.Task[None]] = set()
        self._left_out = 0

    def compare(self, call_id: str, document: Mapping[str, Any], decision: Decision) -> None:
        """Have the second policy decide about ``document`` too. ``decision`` is what was decided."""
        if len(self._waiting) >= _MAX_WAITING:
            self._left_out += 1
            if self._left_out.bit_count() == 1:  # at 1, 2, 4, 8 …
                log.warning("shadow_left_out", comparisons=self._left_out)
            return
        task = asyncio.create_task(self._compare(call_id, document, decision))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def settled(self) -> None:
        """Wait for the comparisons under way."""
        while self._waiting:
            await asyncio.wait(self._waiting)

    async def _compare(self, call_id: str, document: Mapping[str, Any], decision: Decision) -> None:
        other = await self._engine.decide(document)
        if _outcome(other) == _outcome(decision):
            return
        facts = {"phase": document["phase"], "live": _facts(decision), "shadow": _facts(other)}
        try:
            await self._record(call_id, facts)
        except AuditError as error:
            _tell(call_id, error)


def _outcome(decision: Decision) -> tuple[bool, frozenset[str]]:
    """What makes a difference to a call: may it be made, and under which demands."""
    return decision.allow, frozenset(f"{each.type} {sorted(each.properties.items())}" for each in decision.obligations)


def _facts(decision: Decision) -> dict[str, Any]:
    return {
        "allow": decision.allow,
        "revision": decision.revision,
        "rule": decision.rule,
        "reasons": [reason.code for reason in decision.reasons],
        "obligations": [obligation.type for obligation in decision.obligations],
    }


def _tell(call_id: str, error: AuditError) -> None:
    log.error("shadow_not_recorded", call_id=call_id, detail=error.detail)
