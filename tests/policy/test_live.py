"""The policy in force is replaced as a whole or not at all, and a second one decides without being noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from remit.errors import AuditError, PolicyInvalid
from remit.policy.decision import Basis, Decision, Deny, Permit, failed
from remit.policy.engine import PolicyEngine
from remit.policy.live import LivePolicy
from remit.policy.obligations import Obligation
from remit.policy.shadow import Shadow

pytestmark = pytest.mark.anyio

DOCUMENT = {"phase": "tool_call"}


@dataclass(eq=False)
class Engine:
    """Decides as it is told to, once it may."""

    revision: str
    decision: Decision = field(default_factory=lambda: Permit(Basis("d", "r")))
    may: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    def __post_init__(self) -> None:
        self.may.set()

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        await self.may.wait()
        return failed(Basis("", ""), "closed") if self.closed else self.decision

    async def decide_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        return [await self.decide(document) for document in documents]

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class Source:
    """What the files hold at the moment."""

    now: PolicyEngine | PolicyInvalid

    async def load(self, revision: str) -> PolicyEngine | None:
        if isinstance(self.now, PolicyInvalid):
            raise self.now
        return None if self.now.revision == revision else self.now


async def test_a_new_policy_takes_the_place_of_the_old_one() -> None:
    old, new = Engine("1"), Engine("2")
    live = LivePolicy(old, Source(new).load)
    assert await live.reload()
    assert live.revision == "2"
    assert old.closed
    assert (await live.decide(DOCUMENT)).allow


async def test_a_broken_policy_replaces_nothing() -> None:
    old = Engine("1")
    live = LivePolicy(old, Source(PolicyInvalid("broken", where="a.rego:1:1")).load)
    assert not await live.reload()
    assert live.revision == "1"
    assert not old.closed
    assert (await live.decide(DOCUMENT)).allow


async def test_what_has_not_changed_is_not_replaced() -> None:
    old = Engine("1")
    live = LivePolicy(old, Source(Engine("1")).load)
    assert not await live.reload()
    assert not old.closed


async def test_a_decision_under_way_is_finished_by_the_policy_it_was_begun_with() -> None:
    old, new = Engine("1"), Engine("2", Deny(Basis("d", "2")))
    old.may.clear()
    live = LivePolicy(old, Source(new).load)
    begun = [asyncio.create_task(live.decide(DOCUMENT)), asyncio.create_task(live.decide_many([DOCUMENT] * 2))]
    await asyncio.sleep(0)
    await live.reload()
    assert not old.closed
    assert not (await live.decide(DOCUMENT)).allow
    old.may.set()
    single, several = await asyncio.gather(*begun)
    assert isinstance(single, Permit)
    assert isinstance(several, list)
    assert all(decision.allow for decision in several)
    assert old.closed


async def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    source, stop, asked = Source(Engine("1")), asyncio.Event(), asyncio.Event()

    async def load(revision: str) -> PolicyEngine | None:
        asked.set()
        return await source.load(revision)

    live = LivePolicy(Engine("1"), load)
    watching = asyncio.create_task(live.watch(tmp_path, stop))
    source.now = Engine("2")
    async with asyncio.timeout(10):
        while not asked.is_set():  # the watcher takes a moment to begin, and tells nobody when it has
            (tmp_path / "authz.rego").write_text("package remit.authz", encoding="utf-8")
            await asyncio.sleep(0.1)
        while live.revision != "2":
            await asyncio.sleep(0.01)
        stop.set()
        await watching


# ── the shadow ───────────────────────────────────────────────────────────────────────────


@dataclass
class Records:
    """What was recorded."""

    differences: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    broken: bool = False

    async def record(self, call_id: str, facts: dict[str, Any]) -> None:
        if self.broken:
            raise AuditError("no disk")
        self.differences.append((call_id, facts))


PERMIT = Permit(Basis("a", "live"), rule="mine/1")
DENY = Deny(Basis("b", "next"), rule="mine/2 no (a.rego:3)")
NARROWER = Permit(Basis("b", "next"), obligations=(Obligation("o", "limit_lifetime", {"seconds": 5}),))


async def compared(live: Decision, other: Decision) -> list[tuple[str, dict[str, Any]]]:
    records = Records()
    shadow = Shadow(Engine("next", other), records.record)
    shadow.compare("C1", DOCUMENT, live)
    await shadow.settled()
    return records.differences


async def test_another_verdict_is_recorded_with_both_sides() -> None:
    ((call_id, facts),) = await compared(PERMIT, DENY)
    assert call_id == "C1"
    assert facts["phase"] == "tool_call"
    assert (facts["live"]["allow"], facts["shadow"]["allow"]) == (True, False)
    assert facts["shadow"]["rule"] == "mine/2 no (a.rego:3)"
    assert facts["shadow"]["revision"] == "next"


async def test_other_demands_are_a_difference_too() -> None:
    assert len(await compared(PERMIT, NARROWER)) == 1


async def test_agreement_leaves_no_trace() -> None:
    assert await compared(PERMIT, PERMIT) == []
    assert await compared(DENY, Deny(Basis("x", "y"), rule="for another reason")) == []


async def test_a_shadow_that_fails_is_a_difference_and_harms_nobody() -> None:
    assert len(await compared(PERMIT, failed(Basis("", ""), "timeout"))) == 1


async def test_a_difference_that_cannot_be_recorded_harms_nobody() -> None:
    records = Records(broken=True)
    shadow = Shadow(Engine("next", DENY), records.record)
    shadow.compare("C1", DOCUMENT, PERMIT)
    await shadow.settled()
    assert records.differences == []


async def test_nobody_waits_for_a_shadow_and_a_slow_one_is_not_asked_without_end() -> None:
    slow, records = Engine("next", DENY), Records()
    slow.may.clear()
    shadow = Shadow(slow, records.record)
    for number in range(1000):
        shadow.compare(f"C{number}", DOCUMENT, PERMIT)
    slow.may.set()
    await shadow.settled()
    assert len(records.differences) == 256
