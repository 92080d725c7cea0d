"""What the trail says of approvals, of each decision of a call, and of a second policy that decides silently."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remit.audit.store.reader import open_reader
from remit.audit.store.sqlite import SqliteStore
from remit.audit.trail import Record, Trail
from remit.errors import ApprovalDenied, ApprovalRequired, AuditError, PolicyDenied, ResultWithheld
from support.clock import FakeClock
from support.command import environment, remit_command
from support.terminal import Terminal
from support.trail import (
    ALICE,
    DIFFERENCE,
    KEPT,
    RUNNER,
    Approval,
    Decision,
    MemoryStore,
    Reason,
    Request,
    Response,
    Tool,
    Wanted,
    play,
)


def waiting() -> ApprovalRequired:
    return ApprovalRequired(
        "this call needs the approval of role:lead",
        approval_id="approval-1",
        by_user=False,
        expires_at=1_800_000_600,
        question="agent-runner wants to refund 120.50 of O77",
    )


def recorded(steps: Callable[[Record], Any], clock: FakeClock | None = None) -> list[dict[str, Any]]:
    """The records of a call whose steps after finding the tool are ``steps``."""
    store = MemoryStore()

    async def main() -> None:
        async with Trail(store, clock or FakeClock()).record(door="mcp", tool="refund", arguments={}) as record:
            record.identified(ALICE, RUNNER)
            record.found(Tool())
            await steps(record)

    asyncio.run(main())
    return store.records


def ended(steps: Callable[[Record], Any], error: Exception) -> dict[str, Any]:
    """The last record of a call that ended with ``error`` after ``steps``."""
    store = MemoryStore()

    async def main() -> None:
        async with Trail(store, FakeClock()).record(door="mcp", tool="refund", arguments={}) as record:
            steps(record)
            raise error

    with pytest.raises(type(error)):
        asyncio.run(main())
    return store.records[-1]


# ── approvals ────────────────────────────────────────────────────────────────────────────


def test_a_call_that_waits_for_an_approval_is_pending_and_says_which() -> None:
    def steps(record: Record) -> None:
        record.decided(Decision())
        record.asked(Approval(state="pending", approver=None, method="", decided_at=0))

    outcome = ended(steps, waiting())
    assert (outcome["kind"], outcome["outcome"]) == ("outcome", "pending")
    assert outcome["error"]["code"] == "approval_required"
    assert outcome["approval"] == {
        "id": "approval-1",
        "state": "pending",
        "approver": {},
        "method": "",
        "decided_at": 0,
    }


def test_what_the_approver_is_shown_is_not_written() -> None:
    assert "120.50" not in json.dumps(ended(lambda record: record.asked(Approval()), waiting()))


def test_a_call_whose_approver_said_no_is_denied() -> None:
    outcome = ended(lambda record: record.asked(Approval(state="denied")), ApprovalDenied("no"))
    assert (outcome["outcome"], outcome["approval"]["state"]) == ("denied", "denied")


def test_the_intent_names_the_approver_on_whose_word_the_call_is_made() -> None:
    async def steps(record: Record) -> None:
        record.asked(Approval(state="approved"))
        record.approved(Approval(state="used"))
        await record.intend(Wanted())

    intent, outcome = recorded(steps)
    assert intent["approval"] == {
        "id": "approval-1",
        "state": "used",
        "approver": {"sub": "bob", "iss": "https://idp.example"},
        "method": "operator",
        "decided_at": 1_800_000_000,
    }
    assert "approval" not in outcome


# ── decisions ────────────────────────────────────────────────────────────────────────────


def test_each_decision_of_a_call_has_its_place() -> None:
    async def steps(record: Record) -> None:
        record.decided(Decision(decision_id="call"), KEPT)
        record.decided_exchange(Decision(decision_id="token"))
        await record.intend(Wanted())
        record.called(Request(), Response())
        record.decided_result(Decision(decision_id="answer", obligations=()))

    intent, outcome = recorded(steps)
    assert (intent["decision"]["id"], intent["decision"]["input"]) == ("call", KEPT)
    assert intent["exchange_decision"]["id"] == "token"
    assert (outcome["result_decision"]["id"], outcome["result_decision"]["obligations"]) == ("answer", [])
    assert outcome["result_decision"]["rule"] == "sample/1"


def test_of_two_decisions_about_the_call_the_last_counts_and_the_time_of_both() -> None:
    clock = FakeClock()

    async def steps(record: Record) -> None:
        clock.advance(0.002)
        record.decided(Decision(decision_id="first"), KEPT)
        clock.advance(0.003)
        record.decided(Decision(decision_id="second"))
        await record.intend(Wanted())

    intent, outcome = recorded(steps, clock)
    assert intent["decision"]["id"] == "second"
    assert "input" not in intent["decision"]
    assert outcome["durations"]["decide_us"] == 5000


def test_a_token_that_policy_denies_before_it_is_asked_for_is_a_denial() -> None:
    def steps(record: Record) -> None:
        record.decided(Decision())
        record.decided_exchange(Decision(allow=False, reasons=(Reason("too_wide", "too wide"),)))

    outcome = ended(steps, PolicyDenied("too wide"))
    assert (outcome["outcome"], outcome["exchange_decision"]["allow"]) == ("denied", False)


def test_an_answer_that_is_withheld_is_a_denial_and_says_what_the_api_did() -> None:
    def steps(record: Record) -> None:
        record.called(Request(), Response())
        record.decided_result(Decision(allow=False))

    outcome = ended(steps, ResultWithheld("withheld"))
    assert (outcome["outcome"], outcome["error"]["code"]) == ("denied", "result_withheld")
    assert outcome["downstream"]["status"] == 201


# ── a second policy ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".remit" / "audit.db"


def filled(file: Path) -> list[str]:
    """One call with a difference before its outcome, one with a difference after it, an unfinished one with another."""
    file.parent.mkdir()

    async def main() -> list[str]:
        store, clock = SqliteStore(file), FakeClock()
        trail = Trail(store, clock)
        async with trail.record(door="mcp", tool="refund", arguments={}) as first:
            await trail.shadow(first.id, DIFFERENCE)
            await play(first)
        clock.advance(1)
        async with trail.record(door="mcp", tool="refund", arguments={}) as second:
            await play(second)
        await trail.shadow(second.id, DIFFERENCE)
        await trail.shadow(second.id, {**DIFFERENCE, "phase": "result"})
        clock.advance(1)
        third = trail.record(door="mcp", tool="refund", arguments={})
        await third.intend(Wanted())
        await trail.shadow(third.id, DIFFERENCE)
        store.close()
        return [first.id, second.id, third.id]

    return asyncio.run(main())


def test_a_difference_is_a_record_that_neither_opens_nor_closes_a_call(file: Path) -> None:
    *_, unfinished = filled(file)
    with open_reader(file) as trail:
        report = trail.verify()
    assert (report.sound, report.records, report.shadows) == (True, 9, 4)
    assert (report.intents, report.outcomes) == (3, 2)
    assert report.unfinished == (unfinished,)


def test_a_difference_holds_what_both_policies_said_and_no_more() -> None:
    store = MemoryStore()
    noisy = {**DIFFERENCE, "shadow": {**DIFFERENCE["shadow"], "input": "secret"}, "arguments": "secret"}
    asyncio.run(Trail(store, FakeClock()).shadow("call-1", noisy))
    (record,) = store.records
    assert record == {"kind": "shadow", "call_id": "call-1", "time_ms": 1_800_000_000_000, **DIFFERENCE}


def test_a_difference_that_cannot_be_recorded_says_so() -> None:
    with pytest.raises(AuditError):
        asyncio.run(Trail(MemoryStore(refuse=frozenset({"shadow"})), FakeClock()).shadow("call-1", DIFFERENCE))


def test_a_call_is_read_with_its_differences(file: Path) -> None:
    first, second, third = filled(file)
    with open_reader(file) as trail:
        (one,), (two,) = trail.calls(first), trail.calls(second)
        assert [call.call_id for call in trail.latest(2)] == [second, third]
        assert len(trail.calls("", limit=2)) == 2
    assert one.facts["differences"] == [DIFFERENCE]
    assert (one.facts["outcome"], one.facts["kind"]) == ("success", "outcome")
    assert [each["phase"] for each in two.facts["differences"]] == ["tool_call", "result"]


def test_the_commands_show_differences(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, second, _ = filled(file)
    monkeypatch.setenv("COLUMNS", "200")
    remit = Terminal(file.parent.parent, monkeypatch, capsys)
    lines = remit("audit", "tail").out.splitlines()
    assert len(lines) == 7
    assert [line.split()[2] for line in lines] == [*["success", "shadow"] * 2, "shadow", "unfinished", "shadow"]
    assert "tool_call" in lines[1]
    assert "allowed, would be denied  too_late" in lines[1]
    newest, *_ = remit("audit", "tail", "-n", "1", "--json").out.splitlines()
    assert (json.loads(newest)["outcome"], json.loads(newest)["differences"]) == ("unfinished", [DIFFERENCE])
    shown = remit("audit", "show", second)
    assert shown.code == 0
    assert f"redacted, {len(KEPT['text'])} characters" in shown.out
    assert "bob" in shown.out
    assert remit("audit", "show", second, "--json").document["decision"]["input"] == KEPT
    assert "4 shadows" in remit("audit", "verify").out
    assert remit("audit", "verify", "--json").document["shadows"] == 4


def test_a_difference_that_comes_late_is_followed(file: Path) -> None:
    first, *_ = filled(file)
    command = remit_command("audit", "tail", "-n", "1", "--follow", "--json")
    with subprocess.Popen(
        command, cwd=file.parent.parent, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            newest = json.loads(process.stdout.readline())
            store = SqliteStore(file)
            asyncio.run(Trail(store, FakeClock()).shadow(first, DIFFERENCE))
            store.close()
            late = json.loads(process.stdout.readline())
        finally:
            process.kill()
    assert newest["outcome"] == "unfinished"
    assert late == {"audit_id": first, "differences": [DIFFERENCE], "records": {}}
