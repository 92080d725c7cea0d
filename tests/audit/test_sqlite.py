from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.audit.store.reader import open_reader
from remit.audit.store.sqlite import SqliteStore
from remit.audit.trail import Trail
from remit.credential import Credential
from remit.errors import AuditError, DownstreamFailed, StateInvalid
from support.clock import FakeClock
from support.trail import ALICE, RUNNER, Decision, Request, Response, Result, Token, Tool, Wanted, play


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path, seconds=2)
    yield store
    store.close()


def a_record(number: int = 0, kind: str = "intent") -> dict[str, Any]:
    return {"call_id": f"CALL{number:06d}", "kind": kind, "time_ms": 1_800_000_000_000, "who": "alice"}


def append(store: SqliteStore, *numbers: int) -> None:
    async def main() -> None:
        for number in numbers:
            await store.append(a_record(number))

    asyncio.run(main())


def commits_of(store: SqliteStore) -> list[str]:
    """Fills with one entry for each commit from now on."""
    commits: list[str] = []
    assert store._file is not None
    store._file.connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    return commits


def tamper(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_record_is_there_once_append_returns(store: SqliteStore, path: Path) -> None:
    append(store, 1)
    with open_reader(path) as reader:
        (record,) = reader.last(10)
        assert reader.verify().sound
    assert record.facts["who"] == "alice"
    assert (record.seq, record.call_id, record.prev) == (1, "CALL000001", "0" * 64)


def test_the_file_can_be_read_by_its_owner_alone(store: SqliteStore, path: Path) -> None:
    append(store, 1)
    if sys.platform != "win32":
        assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == dict.fromkeys(
            ("audit.db", "audit.db-wal", "audit.db-shm"), 384
        )


def test_a_file_that_is_opened_again_goes_on_with_its_chain(store: SqliteStore, path: Path) -> None:
    append(store, 1, 2)
    store.close()
    again = SqliteStore(path)
    append(again, 3)
    again.close()
    with open_reader(path) as reader:
        report = reader.verify()
    assert (report.records, report.sound) == (3, True)


def test_many_calls_share_a_commit(store: SqliteStore, path: Path) -> None:
    commits = commits_of(store)

    async def main() -> None:
        await asyncio.gather(*(store.append(a_record(number)) for number in range(200)))

    asyncio.run(main())
    assert 1 <= len(commits) <= 20
    with open_reader(path) as reader:
        assert (reader.verify().records, reader.verify().sound) == (200, True)


def test_several_event_loops_may_share_a_store(store: SqliteStore, path: Path) -> None:
    threads = [threading.Thread(target=append, args=(store, *range(n * 50, n * 50 + 50))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_reader(path) as reader:
        assert (reader.verify().records, reader.verify().sound) == (200, True)


def test_closing_writes_what_waits(store: SqliteStore, path: Path) -> None:
    async def main() -> None:
        waiting = [asyncio.create_task(store.append(a_record(number))) for number in range(50)]
        await asyncio.sleep(0)
        store.close()
        await asyncio.gather(*waiting)

    asyncio.run(main())
    with open_reader(path) as reader:
        assert reader.verify().records == 50


def test_a_wait_that_is_cancelled_does_not_take_the_record_back(store: SqliteStore, path: Path) -> None:
    async def main() -> None:
        waiting = asyncio.create_task(store.append(a_record(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    store.close()
    with open_reader(path) as reader:
        assert reader.verify().records == 1


def test_a_closed_store_refuses(store: SqliteStore) -> None:
    store.close()
    with pytest.raises(AuditError):
        append(store, 1)


@pytest.mark.parametrize("value", [1.5, None, 2**60, "\ud800"], ids=repr)
def test_a_record_without_canonical_form_is_refused_alone(store: SqliteStore, path: Path, value: Any) -> None:
    async def main() -> None:
        bad = asyncio.create_task(store.append({**a_record(1), "value": value}))
        await store.append(a_record(2))
        with pytest.raises(AuditError):
            await bad

    asyncio.run(main())
    with open_reader(path) as reader:
        assert reader.verify().records == 1


def test_processes_that_start_at_once_can_all_make_the_file(tmp_path: Path) -> None:
    for attempt in range(10):
        path, together = tmp_path / f"{attempt}.db", threading.Barrier(6)
        made: list[bool] = []

        def start(path: Path = path, together: threading.Barrier = together, made: list[bool] = made) -> None:
            together.wait()
            SqliteStore(path).close()
            made.append(True)

        threads = [threading.Thread(target=start) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 6


# ── trouble ──────────────────────────────────────────────────────────────────────────────


def test_a_full_disk_refuses_the_batch_and_the_next_one_is_tried(store: SqliteStore, path: Path) -> None:
    append(store, 1)
    assert store._file is not None
    store._file.connection.execute("PRAGMA max_page_count = 1")
    big = {**a_record(2), "pad": "x" * 100_000}

    async def main() -> None:
        results = await asyncio.gather(store.append(big), store.append(big), return_exceptions=True)
        assert [type(result) for result in results] == [AuditError, AuditError]

    asyncio.run(main())
    append(store, 3)
    with open_reader(path) as reader:
        assert [record.call_id for record in reader.last(9)] == ["CALL000001", "CALL000003"]
        assert reader.verify().sound


def test_a_file_that_somebody_keeps_locked_refuses_in_time(path: Path) -> None:
    store = SqliteStore(path, seconds=0.2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    with pytest.raises(AuditError):
        append(store, 1)
    assert time.monotonic() - started < 2
    other.execute("ROLLBACK")
    other.close()
    append(store, 2)
    store.close()
    with open_reader(path) as reader:
        assert reader.verify().sound


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be moved there")
def test_a_file_that_was_moved_is_noticed(store: SqliteStore, path: Path) -> None:
    append(store, 1)
    path.rename(path.with_suffix(".old"))
    with pytest.raises(AuditError) as caught:
        append(store, 2)
    assert "No such file" in caught.value.detail
    path.with_suffix(".old").rename(path)
    append(store, 3)
    with open_reader(path) as reader:
        assert (reader.verify().records, reader.verify().sound) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_a_file_replaced_by_something_else_refuses_until_it_is_mended(store: SqliteStore, path: Path) -> None:
    append(store, 1)
    for file in path.parent.iterdir():
        file.unlink()
    path.mkdir()
    for number in (2, 3):
        with pytest.raises(AuditError):
            append(store, number)
    path.rmdir()
    append(store, 4)
    with open_reader(path) as reader:
        assert reader.verify().records == 1


def test_too_many_waiting_records_are_refused_at_once(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit.audit.store.sqlite._MAX_WAITING", 5)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def main() -> None:
        tasks = [asyncio.create_task(store.append(a_record(number))) for number in range(20)]
        await asyncio.sleep(0.05)
        other.execute("ROLLBACK")
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(result, AuditError) for result in results) >= 10

    asyncio.run(main())
    other.close()


def unusable_directory(path: Path) -> None:
    path.mkdir(parents=True)


def unusable_parent(path: Path) -> None:
    path.parent.write_text("a file")


def unusable_bytes(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 1000)


def unusable_version(path: Path) -> None:
    SqliteStore(path).close()
    tamper(path, "PRAGMA user_version = 99")


@pytest.mark.parametrize("spoil", [unusable_directory, unusable_parent, unusable_bytes, unusable_version])
def test_a_file_that_cannot_be_a_trail_stops_the_start(path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(path)
    with pytest.raises(StateInvalid):
        SqliteStore(path)
    with pytest.raises(StateInvalid):
        open_reader(path)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="rights do not bind here")
def test_a_directory_that_may_not_be_written_stops_the_start(path: Path) -> None:
    path.parent.mkdir(mode=0o500)
    with pytest.raises(StateInvalid):
        SqliteStore(path)


# ── reading ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE records SET body = replace(body, 'alice', 'mallory') WHERE seq = 3", 3),
        ("UPDATE records SET time_ms = 5 WHERE seq = 3", 3),
        ("UPDATE records SET body = CAST(x'7bff7d' AS TEXT) WHERE seq = 3", 3),
        ("UPDATE records SET hash = '' WHERE seq = 3", 3),
        ("DELETE FROM records WHERE seq = 1", 2),
        ("DELETE FROM records WHERE seq = 3", 4),
        ("UPDATE records SET seq = 100 WHERE seq = 3", 4),
        ("INSERT INTO records SELECT 6, call_id, kind, time_ms, body, prev, hash FROM records WHERE seq = 5", 6),
        ("DROP TABLE records", 0),
    ],
)
def test_tampering_is_found(store: SqliteStore, path: Path, statement: str, seq: int) -> None:
    append(store, 1, 2, 3, 4, 5)
    tamper(path, statement)
    with open_reader(path) as reader:
        report = reader.verify()
    assert not report.sound
    assert report.broken is not None
    assert report.broken.seq == seq


def test_calls_are_found_by_the_beginning_of_their_id(store: SqliteStore, path: Path) -> None:
    async def main() -> None:
        for number in (100, 101, 200):
            await store.append(a_record(number))
        await store.append({**a_record(200, "outcome"), "outcome": "success"})

    asyncio.run(main())
    with open_reader(path) as reader:
        assert [call.call_id for call in reader.calls("CALL0001")] == ["CALL000100", "CALL000101"]
        (call,) = reader.calls("call0002")
        assert call.intent is not None
        assert call.outcome is not None
        assert (call.facts["who"], call.facts["outcome"]) == ("alice", "success")
        assert reader.calls("CALL9") == []
        assert len(reader.calls("", limit=2)) == 2


def test_the_tail_can_be_followed(store: SqliteStore, path: Path) -> None:
    append(store, 1, 2, 3)
    with open_reader(path) as reader:
        newest = reader.last(2)
        assert [record.seq for record in newest] == [2, 3]
        assert reader.after(3) == []
        append(store, 4)
        assert [record.seq for record in reader.after(3)] == [4]
        assert reader.call_of(newest[0]).intent == newest[0]


def test_a_trail_left_by_a_dead_process_can_be_read(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    append(store, 1, 2)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("audit.db", "audit.db-wal"):
        (copy / name).write_bytes((path.parent / name).read_bytes())
    with open_reader(copy / "audit.db") as reader:
        assert (reader.verify().records, reader.verify().sound) == (2, True)


def test_there_is_no_trail_where_none_was_written(path: Path) -> None:
    with pytest.raises(StateInvalid):
        open_reader(path)


# ── what is never written ────────────────────────────────────────────────────────────────


#: Long and odd enough not to stand anywhere by chance.
SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), max_size=30).map(
    "s3cr~t#".__add__
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(token=SECRETS, argument=SECRETS, answer=SECRETS, fails=st.booleans())
def test_no_token_argument_or_answer_is_ever_in_the_files(
    store: SqliteStore, path: Path, token: str, argument: str, answer: str, fails: bool
) -> None:
    token_in_url = quote(token, safe="")

    async def main() -> None:
        async with Trail(store, FakeClock()).record(door="mcp", tool="t", arguments={"note": argument}) as record:
            record.identified(ALICE, RUNNER)
            record.found(Tool())
            record.decided(Decision())
            await record.intend(Wanted())
            record.exchanged(Token(credential=Credential(token)))
            record.called(Request(url=f"https://u:{token_in_url}@h/{quote(argument)}"), Response(body=answer.encode()))
            record.answered(Result(text=answer))
            if fails:
                raise DownstreamFailed("the API failed", detail=f"eyJ{'a' * 10}.{'b' * 10}.{'c' * 10}")

    try:
        asyncio.run(main())
    except DownstreamFailed:
        assert fails
    raw = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for secret in (token, token_in_url, argument, quote(argument), answer, "aaaaaaaaaa.bbbbbbbbbb", "runner-secret"):
        assert secret.encode() not in raw


def test_a_whole_call_lies_in_the_file_as_two_records(store: SqliteStore, path: Path) -> None:
    async def main() -> None:
        async with Trail(store, FakeClock()).record(door="mcp", tool="t", arguments={}) as record:
            await play(record)

    asyncio.run(main())
    with open_reader(path) as reader:
        assert [record.kind for record in reader.last(5)] == ["intent", "outcome"]
        assert reader.verify().unfinished == ()
