"""The worker process alone, asked over its pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from remit.policy.child import COMMAND
from remit.policy.frames import ANSWERED, HEAD, UNDECIDED, frame
from support.policy import question

LONG = 30.0
SOURCE = """package remit.authz
import rego.v1
decision := {"allow": slow} if input.arguments.id == "endless"
decision := {"allow": false} if input.arguments.id != "endless"
xs := data.remit_data.xs
slow if count([1 | some a in xs; some b in xs; some c in xs; some d in xs; some e in xs; a + b + c + d + e < 0]) == 0
"""


@contextmanager
def worker(*, decide_seconds: float = LONG, source: str = SOURCE, seconds: float = LONG) -> Iterator[Any]:
    order = {
        "task": "decide",
        "modules": {"a.rego": source},
        "data": json.dumps({"xs": list(range(100))}),
        "trials": ['{"arguments": {"id": ""}}'],
        "load_seconds": seconds,
        "decide_seconds": decide_seconds,
    }
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(frame(0, json.dumps(order).encode()))
        process.stdin.flush()
        yield process


def received(process: Any) -> tuple[int, bytes]:
    length, number = HEAD.unpack(process.stdout.read(HEAD.size))
    return number, process.stdout.read(length)


def ask(process: Any, number: int, name: str) -> None:
    process.stdin.write(frame(number, json.dumps(question(arguments={"id": name}).document()).encode()))
    process.stdin.flush()


def test_it_says_where_things_are_and_answers_in_order() -> None:
    with worker() as process:
        number, reply = received(process)
        done = json.loads(reply)["done"]
        assert number == 0
        assert done["entry"] == "a.rego:3,a.rego:4"
        assert len(done["answers"]) == 1
        for asked in (5, 6):
            ask(process, asked, "x")
        process.stdin.write(frame(7, b"no JSON s3cret"))
        process.stdin.flush()
        assert [received(process) for _ in range(2)] == [(n, ANSWERED + b'{\n  "allow": false\n}') for n in (5, 6)]
        number, undecided = received(process)
        assert (number, undecided[:1]) == (7, UNDECIDED)
        assert b"s3cret" not in undecided
        process.stdin.close()
        assert process.wait(LONG) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("sent", [b"", frame(0, b"{}")[:3], frame(0, b"{}" * 9)[:12]])
def test_it_ends_with_its_input(sent: bytes) -> None:
    with worker() as process:
        received(process)
        process.stdin.write(sent)
        process.stdin.close()
        assert process.wait(LONG) == 0


def test_it_ends_over_an_endless_evaluation_though_nobody_is_left_to_end_it() -> None:
    with worker(decide_seconds=0.3) as process:
        received(process)
        ask(process, 1, "endless")
        process.stdin.close()
        assert process.wait(LONG) != 0


def test_it_ends_over_an_endless_policy_though_nobody_is_left_to_end_it() -> None:
    with worker(source=SOURCE.replace('input.arguments.id == "endless"', "true"), seconds=0.3) as process:
        assert process.wait(LONG) != 0


def test_it_imports_little() -> None:
    code = "import sys, remit.policy.worker; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"asyncio", "pydantic", "yaml", "jwt", "structlog", "remit.policy.input"} & set(loaded)
