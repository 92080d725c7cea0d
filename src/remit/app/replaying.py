"""Path: past calls put to another policy: which of them would have ended otherwise, and by which rule.

1. **read** the decisions about calls out of the trail, with what was kept of their input (``past_calls``);
2. **guess** what they were about where no values were kept (``guessing``);
3. **decide** about each by the policy that is tried, and compare.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final

from remit.app.guessing import Document, Guesser
from remit.app.past_calls import Ending, Past, Seen, Unreadable, decided, ending_of, read_past
from remit.app.trying import Tried, trying
from remit.app.wiring import load_tools
from remit.audit.chain import StoredRecord
from remit.audit.store.reader import open_reader
from remit.clock import Clock
from remit.credential import Credential
from remit.errors import PolicyInvalid
from remit.policy.decision import Decision
from remit.policy.obligations import REQUIRE_APPROVAL, STEP_UP
from remit.settings import Settings

_BATCH: Final = 128
_MAX_CALLS: Final = 100
_MAX_GROUPS: Final = 1000
_FURTHER: Final = "further rules"


@dataclass(frozen=True, slots=True)
class Group:
    """Calls that would end otherwise in the same way, by the same ``rule``; ``now`` has more than one ending where that
    depends on values that were not kept. ``calls`` are the first hundred of ``count``.
    """

    rule: str
    was: Ending
    now: tuple[Ending, ...]
    count: int
    calls: tuple[Past, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of ``calls`` decisions under the policy ``revision``.

    ``guessed`` of them were decided about again with values that stand in for those that were not kept, the others as
    they were. ``flips`` would end otherwise; of ``uncertain`` that depends on those values. ``left_out``: why some could
    not be decided about at all, and how many.
    """

    revision: str
    calls: int
    guessed: int
    flips: tuple[Group, ...]
    uncertain: tuple[Group, ...]
    left_out: Mapping[str, int]

    @property
    def flip_count(self) -> int:
        """How many calls would end otherwise."""
        return sum(group.count for group in self.flips)

    @property
    def uncertain_count(self) -> int:
        """Of how many calls that is not known."""
        return sum(group.count for group in self.uncertain)


async def replay(
    settings: Settings, under: Settings, keys: Sequence[Credential], since: float, clock: Clock, seen: Seen
) -> Replayed:
    """Put the decisions since ``since`` (seconds since the epoch) to the policy of ``under``.

    ``settings`` are those in force. ``seen`` is told how many of how many records were read. Raises ``SetupError``
    leaves.
    """
    async with AsyncExitStack() as stack:
        trail = stack.enter_context(open_reader(settings.audit_file))
        tried = await stack.enter_async_context(trying(under, clock))
        then = await _in_force(settings, under, clock, stack)
        catalog = load_tools(settings).catalog
        replayer = _Replayer(tried, Guesser(tried, then, tried.vocabulary(settings), catalog), keys)
        for records in _batches(decided(trail, since, seen)):
            await replayer.take(records)
        return replayer.replayed()


async def _in_force(settings: Settings, under: Settings, clock: Clock, stack: AsyncExitStack) -> Tried | None:
    """The policy of the settings, where that is another one and can be used."""
    if settings.policy == under.policy:
        return None
    try:
        return await stack.enter_async_context(trying(settings, clock))
    except PolicyInvalid:
        return None


def _batches(records: Iterable[StoredRecord]) -> Iterator[list[StoredRecord]]:
    each = iter(records)
    while batch := list(itertools.islice(each, _BATCH)):
        yield batch


class _Replayer:
    """Decides again, and counts what comes of it."""

    def __init__(self, tried: Tried, guesser: Guesser, keys: Sequence[Credential]) -> None:
        self._tried = tried
        self._guesser = guesser
        self._keys = keys
        self._calls = 0
        self._guessed = 0
        self._left_out: Counter[str] = Counter()
        self._flips = _Groups()
        self._uncertain = _Groups()

    async def take(self, records: Sequence[StoredRecord]) -> None:
        """Some records, in order."""
        pasts = [past for record in records if (past := self._read(record)) is not None]
        asked = [past for past in pasts if not self._decides_the_same(past)]
        self._guessed += sum(past.misses_values for past in asked)
        documents = await self._guesser.documents(asked)
        decisions = iter(await self._tried.decide([document for each in documents for document in each]))
        for past, each in zip(asked, documents, strict=True):
            await self._compare(past, each, [next(decisions) for _ in each])

    def replayed(self) -> Replayed:
        """What came of all."""
        return Replayed(
            self._tried.engine.revision,
            self._calls,
            self._guessed,
            self._flips.all(),
            self._uncertain.all(),
            dict(sorted(self._left_out.items())),
        )

    def _read(self, record: StoredRecord) -> Past | None:
        try:
            past = read_past(record, self._keys)
        except Unreadable as error:
            self._calls += 1
            self._left_out[str(error)] += 1
            return None
        if past is not None:
            self._calls += 1
        return past

    def _decides_the_same(self, past: Past) -> bool:
        """The same policy does, whatever the values were."""
        is_known = bool(self._tried.bundle.modules)
        return is_known and past.revision == self._tried.engine.revision and not past.was_failure

    async def _compare(self, past: Past, documents: Sequence[Document], decisions: Sequence[Decision]) -> None:
        judged = [(ending_of(*each), each[0]) for each in zip(decisions, documents, strict=True)]
        if len({ending for ending, _ in judged}) > 1:
            judged = [judged[index] for index in await self._guesser.likely(past, documents)]
        endings = dict(reversed(judged))
        others = [ending for ending in Ending if ending in endings and ending is not past.ending]
        if others:
            now = tuple(ending for ending in Ending if ending in endings)
            groups = self._uncertain if past.ending in endings else self._flips
            groups.add(_rule(past, endings[others[-1]], others[-1]), past, now)


def _rule(past: Past, decision: Decision, ending: Ending) -> str:
    """What makes the difference: the rule that denied, else the one that denies or demands now, or demanded."""
    if past.ending is Ending.DENY:
        return past.rule
    match ending:
        case Ending.DENY:
            return f"{decision.rule}: {decision.detail}" if decision.detail else decision.rule
        case Ending.APPROVAL | Ending.SIGN_IN:
            kind = REQUIRE_APPROVAL if ending is Ending.APPROVAL else STEP_UP
            names = " ".join(each.id for each in decision.obligations if each.type == kind)
            return f"{decision.rule}: {kind} {names}"
        case _:
            return f"{past.rule}: {' '.join(past.demands)}"


class _Groups:
    """Calls by the rule that makes the difference, bounded: the trail and the policy say how many there are."""

    def __init__(self) -> None:
        self._counts: Counter[_Key] = Counter()
        self._calls: dict[_Key, list[Past]] = {}

    def add(self, rule: str, past: Past, now: tuple[Ending, ...]) -> None:
        """One more."""
        key = (rule, past.ending, now)
        if key not in self._counts and len(self._counts) >= _MAX_GROUPS:
            key = (_FURTHER, past.ending, now)
        self._counts[key] += 1
        if len(calls := self._calls.setdefault(key, [])) < _MAX_CALLS:
            calls.append(replace(past, document={}))

    def all(self) -> tuple[Group, ...]:
        """The largest first, else in order of appearance."""
        return tuple(Group(*key, count, tuple(self._calls[key])) for key, count in self._counts.most_common())


_Key = tuple[str, Ending, tuple[Ending, ...]]
