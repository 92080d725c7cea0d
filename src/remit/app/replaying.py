"""Path: past calls put to another policy: which of them would have ended otherwise, and by which rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from remit.app.policy import start_engine
from remit.audit.store.reader import TrailReader, open_reader
from remit.clock import Clock
from remit.credential import Credential
from remit.policy.decision import Decision
from remit.policy.engine import PolicyEngine
from remit.policy.inputs import KeptInput, KeptUnreadable, open_kept
from remit.settings import Settings

_PAGE: Final = 1000
_BATCH: Final = 256
#: Values that stand in for arguments that were not kept: whatever policy compares them with lies between some of them.
_STAND_INS: Final[Sequence[Mapping[str, Any]]] = (
    {"number": 0, "string": "", "boolean": False, "array": [], "object": {}, "null": None},
    {"number": 1, "string": "a", "boolean": True, "array": [], "object": {}, "null": None},
    {"number": 10**12, "string": "zzzzzzzz", "boolean": True, "array": [], "object": {}, "null": None},
)


@dataclass(frozen=True, slots=True)
class Past:
    """A decision about a call, out of the trail. ``rule`` is what decided then."""

    call_id: str
    tool: str
    subject: str
    actor: str
    allow: bool
    rule: str
    kept: KeptInput = field(repr=False)


@dataclass(frozen=True, slots=True)
class Flip:
    """A call that would end otherwise."""

    past: Past
    now: Decision

    @property
    def by(self) -> str:
        """The rule that makes the difference: the one that denies, then or now."""
        return self.past.rule if self.now.allow else self.now.rule or self.now.detail


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of ``calls`` decisions. ``uncertain``: it depends on argument values, and those were not kept.

    ``left_out``: decisions of which nothing was kept that can be read.
    """

    revision: str
    calls: int
    flips: tuple[Flip, ...]
    uncertain: tuple[Past, ...]
    left_out: int

    def by_rule(self) -> dict[str, list[Flip]]:
        """The flips grouped by the rule that makes the difference, the largest group first."""
        groups: dict[str, list[Flip]] = {}
        for flip in self.flips:
            groups.setdefault(flip.by, []).append(flip)
        return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


async def replay(settings: Settings, keys: Iterable[Credential], since: float, clock: Clock) -> Replayed:
    """Put the decisions since ``since`` (seconds since the epoch) to the policy of ``settings``.

    The trail itself is believed here; `remit audit verify` says whether it may be. Raises ``SetupError`` leaves.
    """
    engine = await start_engine(settings, clock)
    try:
        with open_reader(settings.audit_file) as trail:
            return await _replay(engine, _decisions(trail, since), list(keys))
    finally:
        await engine.aclose()


async def _replay(engine: PolicyEngine, facts: Iterator[Mapping[str, Any]], keys: list[Credential]) -> Replayed:
    calls, left_out = 0, 0
    flips: list[Flip] = []
    uncertain: list[Past] = []
    batch: list[Past] = []
    for each in facts:
        past = _past(each, keys)
        calls, left_out = calls + 1, left_out + (past is None)
        if past is not None:
            batch.append(past)
        if len(batch) == _BATCH:
            await _judge(engine, batch, flips, uncertain)
            batch = []
    await _judge(engine, batch, flips, uncertain)
    return Replayed(engine.revision, calls, tuple(flips), tuple(uncertain), left_out)


async def _judge(engine: PolicyEngine, batch: list[Past], flips: list[Flip], uncertain: list[Past]) -> None:
    documents = [list(_documents(past.kept)) for past in batch]
    decisions = iter(await engine.decide_many([document for each in documents for document in each]))
    for past, each in zip(batch, documents, strict=True):
        judged = [next(decisions) for _ in each]
        verdicts = {decision.allow for decision in judged}
        if len(verdicts) > 1:
            uncertain.append(past)
        elif past.allow not in verdicts:
            flips.append(Flip(past, judged[0]))


def _documents(kept: KeptInput) -> Iterator[dict[str, Any]]:
    """The document as it was, or with each set of stand-ins for the arguments that were not kept."""
    if kept.exact or not kept.document.get("arguments"):
        yield kept.document
        return
    for values in _STAND_INS:
        yield {**kept.document, "arguments": _filled(kept.document["arguments"], values)}


def _filled(types: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(types, dict):
        return {name: _filled(each, values) for name, each in types.items()}
    return values.get(types)


def _past(facts: Mapping[str, Any], keys: list[Credential]) -> Past | None:
    decision = facts["decision"]
    try:
        kept = open_kept(decision.get("input") or {}, keys, decision.get("input_digest", ""))
    except KeptUnreadable:
        return None
    return Past(
        call_id=facts["call_id"],
        tool=facts.get("tool", {}).get("name", ""),
        subject=facts.get("principal", {}).get("subject", ""),
        actor=facts.get("actor", {}).get("sub", ""),
        allow=decision.get("allow") is True,
        rule=decision.get("rule", ""),
        kept=kept,
    )


def _decisions(trail: TrailReader, since: float) -> Iterator[Mapping[str, Any]]:
    """The records that hold a decision about a call, oldest first."""
    seq = 0
    while page := trail.after(seq, _PAGE):
        seq = page[-1].seq
        for record in page:
            if record.time_ms >= since * 1000 and record.kind in ("intent", "outcome") and "decision" in record.facts:
                yield record.facts
