from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

from remit.audit.event import Kind
from remit.audit.store.reader import open_reader
from remit.audit.store.sqlite import SqliteStore
from remit.audit.trail import Trail
from remit.clock import SystemClock
from support.trail import play

TESTS = Path(__file__).parent.parent


def start(trail: Path, calls: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "support.audit_child", str(trail), str(calls), *arguments],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
    )


def wait_for_first_call(child: subprocess.Popen[bytes]) -> None:
    assert child.stdout is not None
    assert child.stdout.readline().strip() == b"calling"


def ids_with_intent(trail: Path) -> set[str]:
    with open_reader(trail) as reader:
        return {record.call_id for record in reader.after(0, limit=1_000_000) if record.kind == Kind.INTENT}


def test_every_call_that_was_made_has_its_intent_however_the_processes_are_killed(tmp_path: Path) -> None:
    trail, calls = tmp_path / "audit.db", tmp_path / "calls"
    moments = random.Random(7)  # noqa: S311  no secret
    for _ in range(5):
        children = [start(trail, calls) for _ in range(4)]
        for child in children:
            wait_for_first_call(child)
        for child in children:
            try:
                child.wait(timeout=moments.uniform(0, 0.03))
            except subprocess.TimeoutExpired:
                child.kill()
            child.communicate()
        made = set(calls.read_text().split())
        assert made <= ids_with_intent(trail)
        with open_reader(trail) as reader:
            assert reader.verify().sound

    store = SqliteStore(trail)

    async def another_call() -> None:
        async with Trail(store, SystemClock()).record(door="mcp", tool="orders_refund") as record:
            await play(record)

    asyncio.run(another_call())
    store.close()
    with open_reader(trail) as reader:
        report = reader.verify()
    assert report.sound
    assert report.intents - report.outcomes == len(report.unfinished)
    assert made <= ids_with_intent(trail)


def test_processes_that_append_at_once_keep_one_valid_chain(tmp_path: Path) -> None:
    trail, calls = tmp_path / "audit.db", tmp_path / "calls"
    children = [start(trail, calls, "40") for _ in range(3)]
    for child in children:
        child.communicate(timeout=30)
        assert child.returncode == 0
    with open_reader(trail) as reader:
        report = reader.verify()
    assert report.sound
    assert report.intents == report.outcomes == 3 * (1 + 4 * 40)
    assert report.unfinished == ()
