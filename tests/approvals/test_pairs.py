"""Which agent has acted for which user before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from remit.approvals.pairs import Pairs
from remit.approvals.store import ApprovalStore
from remit.errors import StateInvalid
from remit.principal import Actor
from support.approvals import AGENT, ALICE
from support.clock import FakeClock

pytestmark = pytest.mark.anyio

OTHER_AGENT = replace(AGENT, actor=Actor("other-agent", AGENT.actor.iss))


async def test_a_pair_is_new_until_it_has_met(tmp_path: Path) -> None:
    path = tmp_path / "approvals.db"
    with closing(Pairs(path, FakeClock())) as pairs, closing(Pairs(path, FakeClock())) as elsewhere:
        assert await pairs.is_first(ALICE, AGENT)
        assert await pairs.is_first(ALICE, AGENT)  # asking is not meeting
        await pairs.met(ALICE, AGENT)
        await pairs.met(ALICE, AGENT)
        await elsewhere.met(ALICE, AGENT)
        assert not await pairs.is_first(ALICE, AGENT)
        assert not await elsewhere.is_first(ALICE, AGENT)
        for user, agent in (
            (replace(ALICE, subject="bob"), AGENT),
            (replace(ALICE, issuer="https://partner.example"), AGENT),
            (ALICE, OTHER_AGENT),
            (ALICE, replace(AGENT, actor=Actor(AGENT.actor.sub, ""))),
        ):
            assert await pairs.is_first(user, agent)
    with closing(Pairs(path, FakeClock())) as again:
        assert not await again.is_first(ALICE, AGENT)


async def test_who_has_met_is_remembered_without_the_file(tmp_path: Path) -> None:
    path = tmp_path / "approvals.db"
    with closing(Pairs(path, FakeClock())) as pairs:
        await pairs.met(ALICE, AGENT)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM pairs")
        assert not await pairs.is_first(ALICE, AGENT)
        with closing(Pairs(path, FakeClock())) as another:
            assert await another.is_first(ALICE, AGENT)


async def test_no_name_is_in_the_file(tmp_path: Path) -> None:
    with closing(Pairs(tmp_path / "approvals.db", FakeClock())) as pairs:
        await pairs.met(ALICE, AGENT)
    assert b"agent-runner" not in (tmp_path / "approvals.db").read_bytes()
    assert b"alice" not in (tmp_path / "approvals.db").read_bytes()


async def test_memory_is_bounded(tmp_path: Path) -> None:
    with closing(Pairs(tmp_path / "approvals.db", FakeClock())) as pairs:
        await pairs.met(ALICE, AGENT)
        for number in range(10_001):
            pairs._remember(("issuer", str(number), "", "agent"))
        assert len(pairs._known) == 10_000
        assert not await pairs.is_first(ALICE, AGENT)  # the file knows it still


async def test_it_shares_the_file_of_the_approvals(tmp_path: Path) -> None:
    path = tmp_path / "approvals.db"
    with closing(ApprovalStore(path, FakeClock())) as store, closing(Pairs(path, FakeClock())) as pairs:
        await pairs.met(ALICE, AGENT)
        assert await store.listed(every=True) == []


async def test_a_file_that_cannot_be_read_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "approvals.db"
    with closing(Pairs(path, FakeClock())) as pairs:
        pairs.close()
        with pytest.raises(StateInvalid):
            await pairs.is_first(ALICE, AGENT)
