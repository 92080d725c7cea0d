from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.clock import SystemClock
from remit.errors import PolicyInvalid
from remit.policy.bundle import Bundle, load_policy
from remit.policy.decision import Decision, Deny
from remit.policy.process import ProcessEngine
from remit.policy.rego import RegoEngine
from support.clock import FakeClock
from support.policy import SAMPLE, person, question

HEAD = "package remit.authz\nimport rego.v1\n"
#: Longer than a busy machine keeps a process from answering.
LONG = 30.0

#: Permits what says ``yes``, and for every other id does what no policy should.
ODD = (
    HEAD
    + """
id := input.arguments.id if input.subject.id != ""
decision := {"allow": false} if input.subject.id == ""
decision := {"allow": true, "reasons": [{"code": id, "message": id, "audience": "user"}]} if startswith(id, "yes")
decision := null if id == "null"
decision := "true" if id == "text"
decision := {"allow": "true"} if id == "allow is text"
decision := {"reasons": []} if id == "no allow"
decision := {"allow": true} if id == "conflict"
decision := {"allow": false} if id == "conflict"
decision := {"allow": to_number(id) > 1} if id == "error"
decision := {"allow": true, "reasons": [{"code": "x", "message": concat("", [id | some a in xs; some b in xs])}]} if startswith(id, "large")
decision := {"allow": endless} if id == "endless"
xs := data.remit_data.xs
endless if count([1 | some a in xs; some b in xs; some c in xs; some d in xs; some e in xs; a + b + c + d + e < 0]) == 0
"""
)
ODD_BUNDLE = Bundle.of({"authz.rego": ODD}, {"xs": list(range(100))})


def document(text: str = "yes") -> dict[str, Any]:
    return question(arguments={"id": text}).document()


@asynccontextmanager
async def running(bundle: Bundle = ODD_BUNDLE, **changes: Any) -> AsyncIterator[ProcessEngine]:
    engine = await ProcessEngine.start(bundle, SystemClock(), **{"deadline": LONG, **changes})
    try:
        yield engine
    finally:
        await engine.aclose()


async def full(engine: ProcessEngine, processes: int) -> None:
    """Until so many are ready."""
    async with asyncio.timeout(LONG):
        while len(engine.pids) < processes:
            await asyncio.sleep(0.01)


def failure(decision: Decision) -> str:
    """Why there is no decision: its caller learns nothing but that there is none."""
    assert isinstance(decision, Deny)
    assert decision.failed
    assert [reason.code for reason in decision.reasons] == ["policy_failed"]
    return decision.detail


def kill(pid: int) -> None:
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


# ── deciding ─────────────────────────────────────────────────────────────────────────────


def test_whatever_is_no_permit_denies() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    failures: Sequence[tuple[Any, str]] = [
        ("nothing", "data.remit.authz.decision is undefined"),
        ("null", "authz.rego:5,authz.rego:6"),
        ("text", "the decision is not an object"),
        ("allow is text", "allow is neither true nor false"),
        ("no allow", "allow is neither true nor false"),
        ("conflict", "evaluation failed at authz.rego:"),
        ("error", "evaluation failed at authz.rego:"),
        ("large" * 60, "the decision is larger than"),
        (deep, "evaluation failed"),
        (object(), "the input is not JSON"),
        ("x" * (9 << 20), "the input is larger than"),
    ]
    asked = [{**document(), "arguments": {"id": value}} for value, _ in failures]

    async def main() -> list[Decision]:
        async with running(workers=1) as engine:
            each_then_a_good_one: list[Decision] = []
            for one in asked:
                each_then_a_good_one += [await engine.decide(one), await engine.decide(document())]
            return each_then_a_good_one

    decisions = asyncio.run(main())
    for (_, said), decision in zip(failures, decisions[::2], strict=True):
        assert said in failure(decision)
    assert all(decision.allow for decision in decisions[1::2]), "and the next caller is judged on their own"


def test_a_decision_says_what_it_rests_on() -> None:
    async def main() -> None:
        async with running() as engine:
            decision = await engine.decide(document())
            in_process = await RegoEngine(ODD_BUNDLE, FakeClock()).decide(document())
            assert engine.revision == decision.revision == ODD_BUNDLE.revision
            assert decision.input_digest == in_process.input_digest
            assert decision.rule == in_process.rule == "yes (authz.rego:6)"
            assert len(decision.decision_id) == 24
            assert decision.duration_us > 0

    asyncio.run(main())


def test_every_caller_gets_their_own_answer_and_a_list_its_order() -> None:
    async def main() -> None:
        async with running(workers=3) as engine:

            async def ask(name: str, times: int) -> None:
                for number in range(times):
                    decision = await engine.decide(document(f"yes {name} {number}"))
                    assert decision.reasons[0].message == f"yes {name} {number}"

            async def ask_many(name: str) -> None:
                texts = [f"yes {name} {number}" if number % 5 else "no" for number in range(203)]
                decisions = await engine.decide_many([document(text) for text in texts])
                said = [decision.reasons[0].message if decision.allow else "no" for decision in decisions]
                assert said == texts

            await asyncio.gather(*(ask(f"one {n}", 30) for n in range(12)), *(ask_many(f"many {n}") for n in range(4)))
            assert await engine.decide_many([]) == []

    asyncio.run(main())


def test_a_long_list_does_not_hold_up_a_single_decision() -> None:
    async def main() -> None:
        async with running(workers=1) as engine:
            many = asyncio.ensure_future(engine.decide_many([document()] * 1000))
            await asyncio.sleep(0)
            for _ in range(10):
                assert (await engine.decide(document())).allow
            assert not many.done()
            assert all(decision.allow for decision in await many)

    asyncio.run(main())


@settings(max_examples=10)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(["get_orders", "refund_orders", "get_payments", "refund_hr"]),
                "principal": st.sampled_from(["support-lead", "intern", "x"]).map(person),
                "arguments": st.dictionaries(
                    st.sampled_from(["id", "amount"]),
                    st.integers(-10, 10**6) | st.text("aé€😀", max_size=3) | st.none(),
                ),
            }
        ),
        min_size=1,
        max_size=30,
    )
)
def test_a_process_decides_as_the_engine_here_does(asked: list[Mapping[str, Any]]) -> None:
    documents = [question(**each).document() for each in asked]
    policy = load_policy(SAMPLE)

    async def main() -> list[Decision]:
        async with running(policy, run_tests=False, workers=1) as engine:
            return await engine.decide_many(documents)

    here = asyncio.run(RegoEngine(policy, FakeClock()).decide_many(documents))
    for one, other in zip(asyncio.run(main()), here, strict=True):
        assert (one.allow, one.reasons, one.obligations, one.rule) == (
            other.allow,
            other.reasons,
            other.obligations,
            other.rule,
        )


# ── deadlines and failures ───────────────────────────────────────────────────────────────


def test_a_policy_that_does_not_end_is_cut_and_delays_others_little() -> None:
    deadline = 0.4
    delays: list[float] = []

    async def main() -> None:
        async with running(deadline=deadline) as engine:
            await full(engine, 3)

            async def ask() -> None:
                for _ in range(20):
                    started = time.perf_counter()
                    assert (await engine.decide(document())).allow
                    delays.append(time.perf_counter() - started)
                    await asyncio.sleep(0.01)

            endless = asyncio.ensure_future(engine.decide(document("endless")))
            await asyncio.gather(*(ask() for _ in range(4)))
            assert failure(await endless) == "the evaluation took longer than 400 ms"
            assert len(engine.pids) >= 2

    asyncio.run(main())
    # With nothing else on the machine: within 25 ms of the deadline, see bench/decisions.py.
    assert max(delays) < deadline + 1.0


def test_a_worker_killed_in_the_middle_denies_that_decision_alone() -> None:
    async def main() -> None:
        async with running(workers=1) as engine:
            await full(engine, 2)
            endless = asyncio.ensure_future(engine.decide(document("endless")))
            others = [asyncio.ensure_future(engine.decide(document())) for _ in range(20)]
            await asyncio.sleep(0.1)
            assert not any(each.done() for each in others)
            kill(engine.pids[0])
            assert failure(await endless) == "the policy worker failed: it ended"
            assert all(decision.allow for decision in await asyncio.gather(*others))

    asyncio.run(main())


def test_killing_every_worker_again_and_again_permits_nothing_that_was_not_decided() -> None:
    async def main() -> None:
        async with running() as engine:
            stop = asyncio.Event()

            async def ask(number: int) -> None:
                while not stop.is_set():
                    decision = await engine.decide(document(f"yes {number}" if number % 2 else "no"))
                    if decision.allow:
                        assert decision.reasons[0].message == f"yes {number}"
                    elif number % 2:
                        assert failure(decision)

            asking = [asyncio.ensure_future(ask(number)) for number in range(8)]
            for _ in range(5):
                await full(engine, 1)
                for pid in engine.pids:
                    kill(pid)
                await asyncio.sleep(0.05)
            stop.set()
            await asyncio.gather(*asking)
            async with asyncio.timeout(LONG):
                while not (await engine.decide(document())).allow:
                    await asyncio.sleep(0.05)

    asyncio.run(main())


def test_who_gives_up_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with running(workers=1, deadline=0.3) as engine:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(engine.decide(document("endless")), 0.05)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(engine.decide_many([document()] * 100), 0.05)
            assert (await engine.decide(document())).allow
            await full(engine, 2)
            assert len(asyncio.all_tasks()) == 2, "this one, and the one that keeps the pool full"

    asyncio.run(main())


def test_after_the_end_everything_is_denied() -> None:
    async def main() -> None:
        async with running() as engine:
            endless = asyncio.ensure_future(engine.decide(document("endless")))
            await asyncio.sleep(0.1)
            await engine.aclose()
            assert failure(await endless) == "the policy engine is closed"
            assert failure(await engine.decide(document())) == "the policy engine is closed"
            assert [failure(each) for each in await engine.decide_many([document()] * 20)]

    asyncio.run(main())


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_some_thousand_decisions_leave_no_memory_behind() -> None:
    async def main() -> None:
        async with running(workers=1) as engine:
            await full(engine, 2)
            mixed = [document(text) for text in ("yes", "no", "conflict", "error", "null") * 200]
            await engine.decide_many(mixed)
            before = memory(engine)
            for _ in range(5):
                await engine.decide_many(mixed)
            assert memory(engine) - before < 4 << 20

    asyncio.run(main())


def memory(engine: ProcessEngine) -> int:
    """Resident, in bytes, of this process and the workers."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in ("self", *engine.pids))
    return pages * os.sysconf("SC_PAGE_SIZE")


# ── loading ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("package remit.authz\nallow { true }\n", {}),
        (HEAD + 'decision := {"allow": http.send({}).ok}\n', {}),
        (HEAD + "decision := true\n", {}),
        (HEAD + 'decision := {"allow": false} if input.phase == "tool_list"\n', {}),
        (HEAD + 'decision := {"allow": to_number(input.subject.id) > 1}\n', {}),
        (HEAD + 'decision := {"allow": false}\ndecision := {"allow": true}\n', {}),
        ("package remit.other\nimport rego.v1\nx := 1\n", {}),
        (HEAD + 'decision := {"allow": false}\n', {"x": "\ud800"}),
    ],
)
def test_a_policy_that_must_not_be_used_is_refused_as_here(source: str, data: dict[str, Any]) -> None:
    bundle = Bundle.of({"authz.rego": source}, data)
    with pytest.raises(PolicyInvalid) as here:
        RegoEngine(bundle, FakeClock())
    with pytest.raises(PolicyInvalid) as there:
        asyncio.run(ProcessEngine.start(bundle, FakeClock()))
    assert (str(there.value), there.value.where, there.value.hint) == (
        str(here.value),
        here.value.where,
        here.value.hint,
    )
    assert there.value.detail == here.value.detail


@pytest.mark.parametrize(("expected", "passes"), [("true", False), ("false", True)])
def test_a_policy_is_used_only_if_its_own_tests_pass(expected: str, passes: bool) -> None:
    modules = {"authz.rego": HEAD + 'decision := {"allow": input.subject.id == "alice"}'}
    test = f'{HEAD}test_bob if decision.allow == {expected} with input as {{"subject": {{"id": "bob"}}}}\n'
    bundle = Bundle.of(modules, tests={"authz_test.rego": test})

    async def main(*, run_tests: bool = True) -> bool:
        async with running(bundle, run_tests=run_tests) as engine:
            return (await engine.decide(document())).allow

    assert asyncio.run(main(run_tests=False))
    if passes:
        assert asyncio.run(main())
        return
    with pytest.raises(PolicyInvalid) as caught:
        asyncio.run(main())
    assert caught.value.where == "authz_test.rego:3"
    assert "1 of the policy's own tests do not pass" in caught.value.message
    assert "test_bob" in caught.value.detail


def test_nothing_is_imported_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "regorus", "remit"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with running() as engine:
            assert (await engine.decide(document())).allow

    asyncio.run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")
def test_the_interrupt_of_a_terminal_does_not_reach_the_workers() -> None:
    async def main() -> None:
        async with running(workers=1) as engine:
            await full(engine, 2)
            before = engine.pids
            for pid in before:
                os.kill(pid, signal.SIGINT)
                os.kill(pid, signal.SIGTERM)
            await asyncio.sleep(0.05)
            assert (await engine.decide(document())).allow
            assert engine.pids == before

    asyncio.run(main())
