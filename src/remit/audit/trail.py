"""Path: one ``Record`` per call, opened before anything is known, closed whatever happens.

::

    async with trail.record(door="mcp", tool="orders_get", arguments=arguments) as record:
        record.identified(principal, acting)
        record.found(tool)
        record.decided(decision, kept)
        await record.intend(wanted)        # durable on return, or AuditError: then nothing may leave
        record.exchanged(token)
        record.called(request, response)
        record.answered(result)

On leaving, the outcome is written, for a success before the result is handed on. No exception is swallowed. What
the records hold, and what they never hold, stands in ``remit.audit.event``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import structlog
from ulid import ULID

from remit.audit import event
from remit.audit.event import Facts, Kind
from remit.audit.seen import (
    ApprovalSeen,
    DecisionSeen,
    ParentSeen,
    RequestSeen,
    ResponseSeen,
    ResultSeen,
    TokenSeen,
    ToolSeen,
    TrafficSeen,
    WantedSeen,
)
from remit.audit.store import Store
from remit.clock import Clock
from remit.errors import AuditError
from remit.principal import ActingParty, Principal

_MAX_NAME: Final = 128
_LOG = structlog.get_logger(__name__)


class Trail:
    """Opens records in a store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def record(
        self,
        *,
        door: str,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        request_id: str = "",
        parent: ParentSeen | None = None,
    ) -> Record:
        """A record for one call, as it came in at ``door``. Nothing is written yet.

        ``parent``: the call whose code makes this one.
        """
        facts: Facts = {
            "door": door,
            "tool": {"name": event.text(tool, _MAX_NAME)},
            "request_id": event.text(request_id, _MAX_NAME),
        }
        if parent is not None:
            facts["parent"] = {
                "call_id": event.text(parent.call_id, _MAX_NAME),
                "tool": event.text(parent.tool, _MAX_NAME),
            }
        if arguments is not None:
            facts["arguments"] = event.of_arguments(arguments)
        return Record(self._store, self._clock, facts)

    async def control(self, action: str, what: Mapping[str, str]) -> str:
        """Record what was done to the installation and by whom; durable on return. Raises ``AuditError``.

        ``what`` never holds a credential. Returns the record's audit id.
        """
        now = self._clock.now()
        call_id = str(ULID.from_timestamp(now))
        facts = {"action": event.text(action), **{name: event.text(value) for name, value in what.items()}}
        record = {"control": facts, "call_id": call_id, "kind": Kind.CONTROL.value, "time_ms": int(now * 1000)}
        await self._store.append(record)
        return call_id

    async def shadow(self, call_id: str, difference: Mapping[str, Any]) -> None:
        """Record that a second policy would have decided a call differently; durable on return. Raises ``AuditError``.

        ``difference``: ``phase``, ``live`` and ``shadow``, the latter each with ``allow``, ``rule``, ``revision``,
        ``reasons`` (their codes) and ``obligations`` (their types). The call may be over by then, or not.
        """
        record = {
            **event.of_shadow(difference),
            "call_id": event.text(call_id, _MAX_NAME),
            "kind": Kind.SHADOW.value,
            "time_ms": int(self._clock.now() * 1000),
        }
        await self._store.append(record)


class Record:
    """What becomes known of one call, step by step. ``id`` names the call to the agent and in the trail."""

    def __init__(self, store: Store, clock: Clock, facts: Facts) -> None:
        self.id = str(ULID.from_timestamp(clock.now()))
        self._store = store
        self._clock = clock
        self._intent = facts
        self._outcome: Facts = {}
        self._intended = False
        self._path_template = ""
        self._parent_jti = ""
        self._started = self._marked = clock.monotonic()
        self._durations: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._durations["total_us"] = _microseconds(self._clock.monotonic() - self._started)
        known = {} if self._intended else self._intent
        facts = {**known, **self._outcome, **event.of_error(error), "durations": self._durations}
        try:
            # Shielded: a call that is cancelled now, or again, still has its outcome written.
            await asyncio.shield(asyncio.ensure_future(self._append(Kind.OUTCOME, facts)))
        except AuditError as failed:
            if error is None:
                raise AuditError(
                    "the call was made, but its outcome could not be recorded; the result is withheld",
                    detail=failed.detail,
                    hint=failed.hint,
                ) from failed
            _LOG.error("outcome_not_recorded", call_id=self.id, error=failed.detail)

    def identified(self, principal: Principal, acting: ActingParty) -> None:
        """Who calls, and who acts for them."""
        self._mark("identify_us")
        self._parent_jti = principal.jti
        self._intent["principal"] = event.of_principal(principal)
        self._intent["actor"] = event.of_acting(acting)

    def found(self, tool: ToolSeen) -> None:
        """The tool's definition, by digest."""
        self._mark("find_us")
        self._path_template = tool.path
        self._intent["tool"] |= {"digest": event.text(tool.digest), "upstream": event.text(tool.upstream)}
        if tool.description_digest:
            self._intent["tool"]["description_digest"] = event.text(tool.description_digest)

    def decided(self, decision: DecisionSeen, kept: Mapping[str, str] | None = None) -> None:
        """What policy said of the call; of two decisions the last. ``kept``: what to keep of what it was asked."""
        self._mark("decide_us")
        self._intent["decision"] = event.of_decision(decision)
        if kept is not None:
            self._intent["decision"]["input"] = event.of_kept(kept)

    def decided_exchange(self, decision: DecisionSeen) -> None:
        """What policy said of the token, where it was asked before the token service was."""
        self._mark("decide_us")
        self._intent["exchange_decision"] = event.of_decision(decision)

    def decided_result(self, decision: DecisionSeen) -> None:
        """What policy said of the answer."""
        self._mark("decide_us")
        self._outcome["result_decision"] = event.of_decision(decision)

    def asked(self, approval: ApprovalSeen) -> None:
        """Somebody is asked to approve the call, or has been."""
        self._intent["approval"] = event.of_approval(approval)

    def approved(self, approval: ApprovalSeen) -> None:
        """The call is made on this approval, which is used up by it. To be said before the intent."""
        self.asked(approval)

    async def intend(self, wanted: WantedSeen) -> None:
        """Write the intent. Durable on return; raises ``AuditError``, and then nothing may leave."""
        self._intent["requested"] = event.of_wanted(wanted)
        await self._append(Kind.INTENT, self._intent)
        self._intended = True
        self._mark("intend_us")

    def exchanged(self, token: TokenSeen) -> None:
        """The delegated token that was issued and verified."""
        self._mark("exchange_us")
        self._outcome["exchange"] = event.of_token(token, self._parent_jti)

    def called(self, request: RequestSeen, response: ResponseSeen) -> None:
        """What the API answered; again for each further page of the same answer."""
        self._mark("call_us")
        before = self._outcome.get("downstream", {})
        self._outcome["downstream"] = {
            **event.of_request(request, self._path_template),
            "status": response.status,
            "bytes": before.get("bytes", 0) + len(response.body),
            "duration_us": self._durations["call_us"],
            **({"requests": before.get("requests", 1) + 1} if before else {}),
        }

    def broke_off(self, code: str) -> None:
        """A further page of the answer could not be had, with this error; the agent gets those before it."""
        self._outcome["downstream"] = {**self._outcome.get("downstream", {}), "broke_off": event.text(code)}

    def passed_on(self, traffic: TrafficSeen) -> None:
        """What a door passed on to the API and back, whole or as far as it came. The bytes are those of the bodies."""
        self._mark("call_us")
        self._outcome["downstream"] = {
            **event.of_request(traffic, traffic.template),
            "status": traffic.status,
            "bytes": traffic.received,
            "request_bytes": traffic.sent,
            "duration_us": self._durations["call_us"],
        }

    def handed_over(self, method: str, template: str) -> None:
        """The token went to a proxy that carries the traffic itself: what the API answers is not seen here."""
        self._outcome["downstream"] = {
            "method": event.text(method),
            "path": event.text(template),
            "carried_by": "proxy",
        }

    def made_calls(self, count: int) -> None:
        """How many calls the tool's code made; each has a record that names this one as its parent."""
        self._mark("code_us")
        self._outcome["inner_calls"] = count

    def answered(self, result: ResultSeen) -> None:
        """What the agent gets."""
        self._outcome["result"] = {**event.of_bytes(result.text.encode()), "truncated": result.truncated}

    def _mark(self, step: str) -> None:
        """Time since the step before, in whole microseconds; a step that is made again takes as long as both."""
        now = self._clock.monotonic()
        self._durations[step] = self._durations.get(step, 0) + _microseconds(now - self._marked)
        self._marked = now

    async def _append(self, kind: Kind, facts: Facts) -> None:
        record = {**facts, "call_id": self.id, "kind": kind.value, "time_ms": int(self._clock.now() * 1000)}
        await self._store.append(record)


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
