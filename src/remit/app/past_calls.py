"""Door: decisions about calls, out of the trail, with what was kept of their input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from remit.audit.chain import StoredRecord
from remit.audit.event import Kind
from remit.audit.store.reader import TrailReader
from remit.credential import Credential
from remit.errors import PolicyFailed, ScopeInsufficient, StepUpRequired
from remit.policy.decision import Decision
from remit.policy.input import SCHEMA, Phase
from remit.policy.inputs import KeptInput, KeptUnreadable, open_kept
from remit.policy.obligations import REQUIRE_APPROVAL, STEP_UP, Demands
from remit.policy.standins import check_types
from remit.principal import Principal

_PAGE: Final = 1000
#: Records lie in the order of their times, but for clocks that are set back.
_SLACK_MS: Final = 3_600_000
_SIGN_IN_ERRORS: Final = frozenset({StepUpRequired.code, ScopeInsufficient.code})
#: The size of no arguments: ``{}``.
_NO_ARGUMENTS: Final = 2

#: Told how many of how many records were read.
Seen = Callable[[int, int], None]


class Ending(StrEnum):
    """What policy makes of a call. The two in the middle are permits that somebody has to do something for."""

    ALLOW = "allow"
    APPROVAL = "approval"
    SIGN_IN = "sign-in"
    DENY = "deny"


class Unreadable(ValueError):
    """A decision about a call cannot be put to a policy again. The message says why and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Past:
    """A decision about a call: what it was, and what it was about.

    ``rule`` is what decided; ``codes`` and ``demands`` are its reasons' codes and its obligations' types. ``exact``:
    ``document`` is the very one that was decided about, and not without its values.
    """

    call_id: str
    tool: str
    subject: str
    actor: str
    ending: Ending
    rule: str
    revision: str
    codes: tuple[str, ...]
    demands: tuple[str, ...]
    exact: bool
    document: dict[str, Any] = field(repr=False)

    @property
    def was_failure(self) -> bool:
        """Whether there was no usable decision."""
        return self.rule == PolicyFailed.code

    @property
    def misses_values(self) -> bool:
        """Whether there was something that was not kept."""
        return not self.exact and (bool(self.document["arguments"]) or self.document["resource"]["type"] != "tool")

    def is_like(self, decision: Decision) -> bool:
        """Whether that is what was decided then, as far as it was recorded."""
        return (
            (self.ending is not Ending.DENY) == decision.allow
            and self.codes == tuple(reason.code for reason in decision.reasons)
            and self.demands == tuple(obligation.type for obligation in decision.obligations)
        )


def ending_of(decision: Decision, document: Mapping[str, Any]) -> Ending:
    """What ``decision`` makes of the call of ``document``. An approval that was given is one that is there."""
    if not decision.allow:
        return Ending.DENY
    demands = Demands.of(decision.obligations)
    principal, now = _signed_in(document), document["time"]["ns"] / 1_000_000_000
    if not all(step_up.is_met(principal, now) for step_up in demands.step_ups):
        return Ending.SIGN_IN
    is_approved = document["context"]["approval"]["state"] == "approved"
    return Ending.APPROVAL if demands.approvals and not is_approved else Ending.ALLOW


def _signed_in(document: Mapping[str, Any]) -> Principal:
    subject = document["subject"]
    properties = subject["properties"]
    return Principal(
        subject["id"],
        subject["issuer"],
        acr=properties["acr"],
        auth_time=properties["auth_time"],
        scopes=tuple(document["token"]["scopes"]),
    )


# ── reading ──────────────────────────────────────────────────────────────────────────────


def decided(trail: TrailReader, since: float, seen: Seen) -> Iterator[StoredRecord]:
    """The records of calls since then (seconds since the epoch), oldest first. One call has its decision in one of them.

    The trail is believed here; ``remit audit verify`` says whether it may be.
    """
    newest = trail.last(1)
    end = newest[0].seq if newest else 0
    start = seq = _before(trail, end, since * 1000 - _SLACK_MS)
    while page := trail.after(seq, _PAGE):
        seq = page[-1].seq
        for record in page:
            if record.time_ms >= since * 1000 and record.kind in (Kind.INTENT, Kind.OUTCOME):
                yield record
        seen(seq - start, end - start)


def _before(trail: TrailReader, end: int, time_ms: float) -> int:
    """The number of a record that is older than that, found by halving; 0 where there is none."""
    older, newer = 0, end
    while newer - older > 1:
        middle = (older + newer) // 2
        record = next(iter(trail.after(middle - 1, 1)), None)
        if record is None or record.time_ms >= time_ms:
            newer = middle
        else:
            older = middle
    return older


def read_past(record: StoredRecord, keys: Iterable[Credential]) -> Past | None:
    """The decision in a record; ``None`` where none is in it. Raises ``Unreadable``."""
    try:
        facts = record.facts
        decision = facts.get("decision")
        if decision is None:
            return None
        return _past(record, facts, decision, keys)
    except Unreadable:
        raise
    except KeptUnreadable as error:
        raise Unreadable(str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable("the record is not of the form that remit writes") from error


def _past(
    record: StoredRecord, facts: Mapping[str, Any], decision: Mapping[str, Any], keys: Iterable[Credential]
) -> Past:
    kept = open_kept(decision.get("input", {}), keys, decision.get("input_digest", ""))
    _check(kept, facts)
    demands = tuple(map(str, decision["obligations"]))
    return Past(
        call_id=record.call_id,
        tool=str(facts["tool"]["name"]),
        subject=str(facts["principal"]["subject"]),
        actor=str(facts["actor"]["sub"]),
        ending=_ending(record, facts, demands, kept.document),
        rule=str(decision["rule"]),
        revision=str(decision["revision"]),
        codes=tuple(str(reason["code"]) for reason in decision["reasons"]),
        demands=demands,
        exact=kept.exact,
        document=kept.document,
    )


def _ending(
    record: StoredRecord, facts: Mapping[str, Any], demands: tuple[str, ...], document: Mapping[str, Any]
) -> Ending:
    if facts["decision"]["allow"] is not True:
        return Ending.DENY
    is_refused = record.kind == Kind.OUTCOME  # after the permit, so before the intent
    if is_refused and STEP_UP in demands and facts.get("error", {}).get("code") in _SIGN_IN_ERRORS:
        return Ending.SIGN_IN
    is_approved = document["context"]["approval"]["state"] == "approved"
    return Ending.APPROVAL if REQUIRE_APPROVAL in demands and not is_approved else Ending.ALLOW


def _check(kept: KeptInput, facts: Mapping[str, Any]) -> None:
    """Raises ``Unreadable`` for what no policy of this release was asked, and ``KeyError`` or ``TypeError``."""
    document = kept.document
    if document["schema"] != SCHEMA or document["phase"] != Phase.TOOL_CALL:
        raise Unreadable("what was kept is an input of another release")
    parts = (document["arguments"], document["resource"]["properties"], document["subject"]["properties"])
    if not all(isinstance(part, dict) for part in (*parts, document["context"]["approval"])):
        raise TypeError
    orjson.dumps(document)
    _ = _signed_in(document).auth_time + document["time"]["ns"]
    if not kept.exact:
        check_types(document["arguments"])
        if not document["arguments"] and facts["arguments"].get("bytes", 0) > _NO_ARGUMENTS:
            raise Unreadable("the arguments were too large for their names to be kept")
