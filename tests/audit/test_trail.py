from __future__ import annotations

import asyncio
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.audit import chain
from remit.audit.event import text
from remit.audit.trail import Record, Trail
from remit.errors import (
    ArgumentsInvalid,
    AuditError,
    DelegationMismatch,
    DownstreamFailed,
    InternalError,
    PolicyDenied,
    RemitError,
    TokenExpired,
    ToolHidden,
)
from support.clock import FakeClock
from support.trail import ALICE, RUNNER, Decision, MemoryStore, Reason, Tool, play


def record_in(store: MemoryStore, clock: FakeClock | None = None, **values: Any) -> Record:
    values = {"door": "mcp", "tool": "orders_refund", "arguments": {"order_id": "O77"}, **values}
    return Trail(store, clock or FakeClock()).record(**values)


def play_out(error: BaseException | None = None, *, store: MemoryStore | None = None, **values: Any) -> MemoryStore:
    """A call that gets as far as it can and then ends with ``error``."""
    store = store or MemoryStore()

    async def main() -> None:
        async with record_in(store, **values) as record:
            await play(record)
            if error is not None:
                raise error

    asyncio.run(main())
    return store


def refused(error: BaseException) -> dict[str, Any]:
    """The only record of a call that ended with ``error`` before an intent was due."""
    store = MemoryStore()

    async def main() -> None:
        async with record_in(store) as record:
            record.identified(ALICE, RUNNER)
            raise error

    with pytest.raises(type(error)):
        asyncio.run(main())
    (outcome,) = store.records
    return outcome


def test_the_operation_behind_a_tool_is_recorded_where_there_is_one() -> None:
    store = MemoryStore()

    async def main() -> None:
        async with record_in(store) as record:
            record.identified(ALICE, RUNNER)
            record.found(Tool(description_digest="c" * 64))

    asyncio.run(main())
    assert store.records[0]["tool"]["description_digest"] == "c" * 64
    assert "description_digest" not in play_out().records[0]["tool"]


def test_the_intent_says_who_what_on_whose_behalf_and_under_which_decision() -> None:
    intent, _ = play_out(request_id="7").records
    assert intent["kind"] == "intent"
    assert intent["time_ms"] == 1_800_000_000_000
    assert (intent["door"], intent["request_id"]) == ("mcp", "7")
    assert intent["principal"]["subject"] == "alice"
    assert intent["principal"]["jti"] == "subject-jti"
    assert intent["actor"] == {
        "sub": "agent-runner",
        "iss": "https://sts.example",
        "assurance": "authenticated",
        "evidence": "actor_token",
    }
    assert intent["tool"] == {"name": "orders_refund", "digest": "d" * 64, "upstream": "orders"}
    assert intent["arguments"]["bytes"] == len('{"order_id":"O77"}')
    assert intent["decision"]["allow"] is True
    assert intent["decision"]["rule"] == "sample/1"
    assert intent["decision"]["obligations"] == ["limit_lifetime"]
    assert intent["requested"] == {
        "audience": "https://orders.example",
        "resource": "",
        "scopes": ["orders:write"],
        "max_lifetime": 120,
    }


def test_the_outcome_says_with_which_token_and_what_came_back() -> None:
    intent, outcome = play_out().records
    assert outcome["call_id"] == intent["call_id"]
    assert outcome["outcome"] == "success"
    assert outcome["exchange"]["jti"] == "delegated-jti"
    assert outcome["exchange"]["parent_jti"] == "subject-jti"
    assert outcome["exchange"]["chain"] == [{"sub": "agent-runner", "iss": "https://sts.example"}]
    downstream = outcome["downstream"]
    assert (downstream["method"], downstream["host"]) == ("POST", "orders.example:8443")
    assert downstream["path"] == "/orders/{order_id}/refunds"
    assert (downstream["status"], downstream["bytes"]) == (201, 11)
    assert outcome["result"]["bytes"] == len('{"refund":"R9"}')
    assert "principal" not in outcome


def test_each_step_is_timed() -> None:
    clock, store = FakeClock(), MemoryStore()

    async def main() -> None:
        async with record_in(store, clock) as record:
            clock.advance(0.001)
            record.identified(ALICE, RUNNER)
            clock.advance(0.5)
            record.found(Tool())

    asyncio.run(main())
    assert store.records[0]["durations"] == {"identify_us": 1000, "find_us": 500_000, "total_us": 501_000}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TokenExpired("the token has expired"), "denied"),
        (PolicyDenied("no"), "denied"),
        (ToolHidden("no such tool"), "denied"),
        (ArgumentsInvalid("amount must be at most 10"), "failure"),
        (DelegationMismatch("not what was asked", claim="aud", detail="aud differs"), "failure"),
        (DownstreamFailed("the API failed", status=503), "failure"),
        (InternalError("something went wrong"), "error"),
        (KeyError("x"), "error"),
        (asyncio.CancelledError(), "cancelled"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_every_ending_is_recorded_and_passed_on(error: BaseException, outcome: str) -> None:
    record = refused(error)
    assert (record["kind"], record["outcome"]) == ("outcome", outcome)
    if isinstance(error, RemitError):
        assert record["error"]["code"] == error.code


def test_a_refusal_before_the_intent_carries_all_that_is_known() -> None:
    store = MemoryStore()

    async def main() -> None:
        async with record_in(store) as record:
            record.identified(ALICE, RUNNER)
            record.found(Tool())
            record.decided(Decision(allow=False, reasons=(Reason("role_forbids", "interns may not refund"),)))
            raise PolicyDenied("interns may not refund")

    with pytest.raises(PolicyDenied):
        asyncio.run(main())
    (outcome,) = store.records
    assert outcome["principal"]["subject"] == "alice"
    assert outcome["decision"]["allow"] is False
    assert outcome["decision"]["reasons"] == [{"code": "role_forbids", "message": "interns may not refund"}]


def test_what_an_unforeseen_error_says_is_not_written() -> None:
    assert refused(ValueError("order O77 for alice"))["error"] == {"code": "internal_error", "detail": "ValueError"}


def test_what_is_wrong_with_an_argument_is_not_written() -> None:
    error = ArgumentsInvalid("order_id: 'O77' does not match", detail="'O77' does not match")
    assert refused(error)["error"] == {"code": "invalid_arguments", "detail": ""}


def test_without_the_intent_nothing_goes_on() -> None:
    store = MemoryStore(refuse=frozenset({"intent"}))
    with pytest.raises(AuditError):
        play_out(store=store)
    (outcome,) = store.records
    assert outcome["outcome"] == "failure"
    assert outcome["error"]["code"] == "audit_unavailable"
    assert outcome["requested"]["audience"] == "https://orders.example"
    assert "exchange" not in outcome


def test_a_success_that_cannot_be_recorded_is_withheld() -> None:
    with pytest.raises(AuditError, match="withheld"):
        play_out(store=MemoryStore(refuse=frozenset({"outcome"})))


def test_an_error_that_cannot_be_recorded_stays_itself() -> None:
    with pytest.raises(DownstreamFailed):
        play_out(DownstreamFailed("the API failed"), store=MemoryStore(refuse=frozenset({"outcome"})))


def test_a_cancelled_call_has_its_outcome() -> None:
    store = MemoryStore()

    async def main() -> None:
        calling = asyncio.Event()

        async def call() -> None:
            async with record_in(store) as record:
                await play(record)
                calling.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(call())
        await calling.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [record.get("outcome") for record in store.records] == [None, "cancelled"]


def test_a_call_in_a_cancelled_scope_has_its_outcome() -> None:
    store = MemoryStore()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            async with record_in(store) as record:
                await play(record)
                scope.cancel()
                await anyio.sleep_forever()
        while len(store.records) < 2:
            await anyio.lowlevel.checkpoint()

    asyncio.run(main())
    assert store.records[-1]["outcome"] == "cancelled"


def test_cancelling_while_the_outcome_is_being_written_does_not_lose_it() -> None:
    gate = asyncio.Event()
    store = MemoryStore(gate=gate)

    async def main() -> None:
        async def call() -> None:
            async with record_in(store) as record:
                record.identified(ALICE, RUNNER)

        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        while not store.records:
            await asyncio.sleep(0)

    asyncio.run(main())
    assert store.records[0]["outcome"] == "success"


def test_every_call_has_its_own_id() -> None:
    store = MemoryStore()
    ids = {record_in(store).id for _ in range(1000)}
    assert len(ids) == 1000


@given(st.text(), st.text(), st.dictionaries(st.text(), st.integers() | st.floats() | st.text() | st.none()))
def test_whatever_a_client_sends_can_be_recorded(tool: str, request_id: str, arguments: dict[str, Any]) -> None:
    for record in play_out(tool=tool, request_id=request_id, arguments=arguments).records:
        chain.check(record)
        chain.canonical(record)


@pytest.mark.parametrize("arguments", [{"n": 2**70}, {"s": "\ud800"}, {"f": 1.5}], ids=repr)
def test_arguments_of_any_kind_have_a_digest(arguments: dict[str, Any]) -> None:
    intent, _ = play_out(arguments=arguments).records
    assert len(intent["arguments"]["sha256"]) == 64


def test_arguments_nested_beyond_writing_leave_no_digest_but_a_record() -> None:
    value: Any = "x"
    for _ in range(100_000):
        value = [value]
    intent, _ = play_out(arguments={"deep": value}).records
    assert intent["arguments"] == {}


def test_the_order_of_arguments_does_not_change_their_digest() -> None:
    one, _ = play_out(arguments={"a": 1, "b": 2}).records
    two, _ = play_out(arguments={"b": 2, "a": 1}).records
    assert one["arguments"] == two["arguments"]


def test_text_from_outside_is_bounded_and_printable() -> None:
    assert text("a" * 600) == "a" * 500
    assert text("a\x1b[31m\nb\u202e") == "a\ufffd[31m\ufffdb\ufffd"


def test_a_token_in_a_text_is_struck_out() -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    assert text(f"refused {token}, sorry") == "refused [token], sorry"
