"""Approvals in a file: asked for, decided once, used once, gone when their time has passed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remit.approvals.approval import Approval, Approver, Binding, State, Terms
from remit.approvals.store import ApprovalStore
from remit.errors import ApprovalUnusable, StateInvalid
from support.approvals import AGENT, ALICE, ARGUMENTS, BY_LEAD, BY_USER, LEAD, USER, binding
from support.clock import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "approvals.db"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(path: Path, clock: FakeClock) -> Iterator[ApprovalStore]:
    with closing(ApprovalStore(path, clock)) as store:
        yield store


async def asked(store: ApprovalStore, terms: Terms = BY_LEAD, **arguments: Any) -> Approval:
    return await store.ask(binding({**ARGUMENTS, **arguments}), terms, {**ARGUMENTS, **arguments})


async def granted(store: ApprovalStore, terms: Terms = BY_LEAD, approver: Approver = LEAD) -> Approval:
    approval = await asked(store, terms)
    return await store.decide(approval.id, approver, grant=True, method="operator")


def bytes_on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def multiply(path: Path, count: int, **columns: str) -> None:
    """``count`` copies of the one approval, with other ``columns``: SQL expressions of the copy's number ``n``."""
    with closing(sqlite3.connect(path)) as connection, connection:
        names = [name for _, name, *_ in connection.execute("PRAGMA table_info(approvals)")]
        copied = ", ".join(columns.get(name, name) for name in names)
        connection.execute(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"  # noqa: S608
            f" INSERT INTO approvals SELECT {copied} FROM approvals, numbers",
            (count,),
        )


# ── asking ───────────────────────────────────────────────────────────────────────────────


async def test_the_same_call_is_asked_about_once(store: ApprovalStore, clock: FakeClock) -> None:
    first = await asked(store)
    assert (first.state, first.arguments, first.expires_at) == (State.PENDING, ARGUMENTS, clock.now() + 600)
    clock.advance(599)
    assert await store.ask(binding(), BY_LEAD, dict(reversed(list(ARGUMENTS.items())))) == first
    assert (await asked(store, amount=501)).id != first.id
    assert (await asked(store, BY_USER)).id != first.id  # other terms: another approval
    assert len(await store.listed()) == 3


async def test_what_was_decided_answers_the_same_call_until_it_expires(store: ApprovalStore, clock: FakeClock) -> None:
    approval = await granted(store)
    assert (approval.state, approval.approver, approval.method) == (State.APPROVED, LEAD, "operator")
    assert await asked(store) == approval  # with the roles that the approver had
    denied = await store.decide((await asked(store, amount=1)).id, LEAD, grant=False, method="operator")
    assert (denied.state, denied.decided_at) == (State.DENIED, clock.now())
    assert await asked(store, amount=1) == denied
    clock.advance(600)
    assert (await asked(store)).state is State.PENDING
    assert (await asked(store, amount=1)).state is State.PENDING


async def test_a_used_one_answers_no_call(store: ApprovalStore) -> None:
    approval = await granted(store)
    await store.use(approval.id, binding())
    again = await asked(store)
    assert (again.state, again.id != approval.id) == (State.PENDING, True)


async def test_what_is_shown_is_what_is_bound(store: ApprovalStore) -> None:
    for of, terms, arguments in (
        (binding(), BY_LEAD, {"order_id": "O1001", "amount": 1}),
        (binding(), Terms((), 600), ARGUMENTS),
        (binding(), replace(BY_LEAD, expires_in=0), ARGUMENTS),
    ):
        with pytest.raises(ValueError, match="nobody can be asked"):
            await store.ask(of, terms, arguments)
    assert await store.listed(every=True) == []


async def test_arguments_that_nobody_can_read_are_not_asked_about(store: ApprovalStore) -> None:
    with pytest.raises(ApprovalUnusable, match="too large"):
        await asked(store, note="x" * 65_536)


async def test_one_user_can_have_only_so_many_and_keeps_nobody_else_from_asking(
    store: ApprovalStore, clock: FakeClock
) -> None:
    for amount in range(32):
        await asked(store, amount=amount)
    with pytest.raises(ApprovalUnusable, match="too many") as refused:
        await asked(store, amount=32)
    assert "remit approvals list" in refused.value.hint
    assert (await asked(store, amount=31)).state is State.PENDING  # the old ones still count
    bob = binding(principal=replace(ALICE, subject="bob"))
    assert (await store.ask(bob, BY_LEAD, ARGUMENTS)).state is State.PENDING
    clock.advance(600)
    assert (await asked(store, amount=32)).state is State.PENDING


async def test_all_users_together_can_have_only_so_many(store: ApprovalStore, path: Path) -> None:
    template = await asked(store)
    multiply(path, 999, id="id || n", subject="'user' || n")
    assert len(await store.listed()) == 1000
    with pytest.raises(ApprovalUnusable, match="too many"):
        await asked(store, amount=1)
    assert await asked(store) == template


# ── deciding ─────────────────────────────────────────────────────────────────────────────


async def test_nobody_decides_who_may_not(store: ApprovalStore) -> None:
    approval = await asked(store)
    for stranger in (USER, replace(LEAD, roles=()), replace(LEAD, issuer="https://partner.example")):
        with pytest.raises(ApprovalUnusable, match="not theirs to give"):
            await store.decide(approval.id, stranger, grant=True, method="operator")
    assert await asked(store) == approval


async def test_it_is_decided_once(store: ApprovalStore) -> None:
    approval = await granted(store)
    for grant in (True, False):
        with pytest.raises(ApprovalUnusable, match="approved already"):
            await store.decide(approval.id, LEAD, grant=grant, method="operator")


async def test_it_is_decided_for_the_call_that_was_asked_about(store: ApprovalStore) -> None:
    approval = await asked(store, BY_USER)
    with pytest.raises(ApprovalUnusable, match="no such approval"):
        await store.decide(approval.id, USER, grant=True, method="elicitation", binding=binding({}))
    decided = await store.decide(approval.id, USER, grant=True, method="elicitation", binding=binding())
    assert (decided.state, decided.method) == (State.APPROVED, "elicitation")
    with pytest.raises(ApprovalUnusable, match="no such approval"):
        await store.decide("01ARZ3NDEKTSV4RRFFQ69G5FAV", USER, grant=True, method="elicitation")


async def test_a_way_of_asking_that_is_not_known_is_refused(store: ApprovalStore) -> None:
    approval = await asked(store)
    with pytest.raises(ValueError, match="no method"):
        await store.decide(approval.id, LEAD, grant=True, method="telepathy")


async def test_too_late_is_not_decided_and_not_used(store: ApprovalStore, clock: FakeClock) -> None:
    waiting, ready = await asked(store, amount=1), await granted(store)
    clock.advance(600)
    with pytest.raises(ApprovalUnusable, match="expired"):
        await store.decide(waiting.id, LEAD, grant=True, method="operator")
    with pytest.raises(ApprovalUnusable, match="expired"):
        await store.use(ready.id, binding())
    assert {each.state for each in await store.listed(every=True)} == {State.EXPIRED}
    assert await store.listed() == []


# ── using ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "another",
    [
        binding(principal=replace(ALICE, subject="bob")),
        binding(acting=replace(AGENT, actor=replace(AGENT.actor, sub="other-agent"))),
        binding(tool="cancel_order"),
        binding(tool_digest="d2"),
        binding({**ARGUMENTS, "amount": 501}),
    ],
)
async def test_it_is_good_for_its_own_call_alone(store: ApprovalStore, another: Binding) -> None:
    approval = await granted(store)
    with pytest.raises(ApprovalUnusable, match="no such approval"):
        await store.use(approval.id, another)
    assert (await store.use(approval.id, binding())).state is State.USED


async def test_it_is_used_once(store: ApprovalStore) -> None:
    pending = await asked(store, amount=1)
    with pytest.raises(ApprovalUnusable, match="nobody has decided"):
        await store.use(pending.id, binding({**ARGUMENTS, "amount": 1}))
    approval = await granted(store)
    used = await store.use(approval.id, binding())
    assert (used.approver, used.arguments) == (Approver(LEAD.issuer, LEAD.subject), {})
    with pytest.raises(ApprovalUnusable, match="used already"):
        await store.use(approval.id, binding())


async def test_of_ten_uses_at_once_one_succeeds(store: ApprovalStore) -> None:
    approval = await granted(store)
    ended = await asyncio.gather(*(store.use(approval.id, binding()) for _ in range(10)), return_exceptions=True)
    assert [sum(isinstance(each, kind) for each in ended) for kind in (Approval, ApprovalUnusable)] == [1, 9]


def uses(path: Path, approval_id: str) -> bool:
    """Whether another opener of the file succeeds to use it."""

    async def use() -> bool:
        with closing(ApprovalStore(path, FakeClock())) as other:
            try:
                await other.use(approval_id, binding())
            except ApprovalUnusable:
                return False
            return True

    return asyncio.run(use())


async def test_of_ten_openers_of_the_file_in_ten_threads_one_uses_it(store: ApprovalStore, path: Path) -> None:
    approval = await granted(store)
    with ThreadPoolExecutor(10) as threads:
        assert sorted(threads.map(uses, [path] * 10, [approval.id] * 10)) == [False] * 9 + [True]


CHILD = """
import asyncio, sys
from pathlib import Path
from remit.approvals.store import ApprovalStore
from remit.errors import ApprovalUnusable
from support.approvals import binding
from support.clock import FakeClock

async def main():
    store = ApprovalStore(Path(sys.argv[1]), FakeClock())
    print("ready", flush=True)
    sys.stdin.readline()
    uses = (store.use(sys.argv[2], binding()) for _ in range(3))
    ended = await asyncio.gather(*uses, return_exceptions=True)
    assert all(not isinstance(each, Exception) or isinstance(each, ApprovalUnusable) for each in ended), ended
    print(sum(not isinstance(each, Exception) for each in ended))
    store.close()

asyncio.run(main())
"""


async def test_of_several_processes_one_uses_it(store: ApprovalStore, path: Path) -> None:
    approval = await granted(store)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), approval.id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert sorted(child.communicate()[0].strip() for child in children) == ["0", "0", "0", "1"]
    assert [child.returncode for child in children] == [0] * 4


# ── finding ──────────────────────────────────────────────────────────────────────────────


async def test_one_is_found_by_the_beginning_of_its_id(store: ApprovalStore) -> None:
    one, other = await asked(store), await asked(store, amount=1)
    length = next(n for n in range(1, 27) if one.id[:n] != other.id[:n])
    assert await store.find(one.id[:length].lower()) == one
    for prefix in (one.id[: length - 1], "", "%", "_" * 26, one.id + "0", "é", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"):
        with pytest.raises(ApprovalUnusable, match="no such approval"):
            await store.find(prefix)


# ── what is left on the disk ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", ["denied", "used", "expired", "unused"])
async def test_the_arguments_leave_the_disk_once_they_are_of_no_use(
    store: ApprovalStore, path: Path, clock: FakeClock, end: str
) -> None:
    arguments = {"iban": "DE89370400440532013000", "note": "x" * 9000}
    approval = await store.ask(binding(arguments), BY_LEAD, arguments)
    assert b"DE8937" in bytes_on_disk(path)
    if end != "expired":
        await store.decide(approval.id, LEAD, grant=end != "denied", method="operator")
    if end == "used":
        await store.use(approval.id, binding(arguments))
    if end in ("expired", "unused"):
        clock.advance(600)
        await store.sweep()
    assert b"DE8937" not in bytes_on_disk(path)
    assert b"managers" not in bytes_on_disk(path)  # nor what the approver's groups were
    assert (await store.find(approval.id)).arguments == {}


async def test_old_ones_are_dropped_some_time_after(store: ApprovalStore, clock: FakeClock) -> None:
    await granted(store)
    clock.advance(600 + 86_399)
    assert len(await store.listed(every=True)) == 1
    clock.advance(1)
    assert await store.listed(every=True) == []


async def test_only_so_many_used_ones_are_kept(store: ApprovalStore, path: Path) -> None:
    approval = await granted(store)
    await store.use(approval.id, binding())
    multiply(path, 10_050, id="'0' || n")
    waiting = await asked(store, amount=1)
    kept = await store.listed(every=True)
    assert len(kept) == 10_001
    assert {approval.id, waiting.id} <= {each.id for each in kept}


# ── the file ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(os.name != "posix", reason="the file modes of POSIX")
async def test_the_file_is_for_its_owner_alone(store: ApprovalStore, path: Path) -> None:
    await asked(store)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


async def test_it_outlives_the_process(store: ApprovalStore, path: Path, clock: FakeClock) -> None:
    approval = await granted(store)
    store.close()
    store.close()
    with pytest.raises(StateInvalid):
        await store.listed()
    with closing(ApprovalStore(path, clock)) as again:
        assert await asked(again) == approval


@pytest.mark.parametrize("content", [b"hello " * 100, b"SQLite format 3\x00" + b"x" * 4096])
def test_a_damaged_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StateInvalid):
        ApprovalStore(path, FakeClock())


def test_a_file_of_another_release_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(StateInvalid):
        ApprovalStore(path, FakeClock())


@pytest.mark.parametrize(
    "damage",
    ["state = 'granted'", "terms = '[[], 600]'", "terms = 'x'", "arguments = '{'", "terms = '{}'", "terms = '7'"],
)
async def test_a_damaged_approval_is_trouble_and_not_passed_over(store: ApprovalStore, path: Path, damage: str) -> None:
    approval = await granted(store)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE approvals SET {damage}")  # noqa: S608
    for refused in (store.use(approval.id, binding()), asked(store), store.listed(every=True)):
        with pytest.raises(StateInvalid):
            await refused


@pytest.mark.skipif(os.name != "posix", reason="an open file can be moved on POSIX alone")
async def test_a_file_that_was_moved_is_noticed(store: ApprovalStore, path: Path) -> None:
    approval = await granted(store)
    for file in list(path.parent.iterdir()):
        file.rename(path.parent / file.name.replace("approvals", "moved"))
    with pytest.raises(StateInvalid):
        await store.use(approval.id, binding())
    with pytest.raises(ApprovalUnusable, match="no such approval"):  # the new file knows of none
        await store.use(approval.id, binding())


async def test_a_file_that_somebody_keeps_locked_keeps_nothing_else_waiting(store: ApprovalStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(asked(store))
        await asyncio.sleep(0)
        assert not waiting.done()  # the loop is free while the file's thread waits
        connection.execute("ROLLBACK")
        assert (await waiting).state is State.PENDING
