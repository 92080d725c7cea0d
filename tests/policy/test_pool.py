from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import PolicyInvalid
from remit.policy.child import in_worker, order_of
from remit.policy.frames import FrameInvalid, Frames, frame
from remit.policy.pool import Pool
from support import odd_worker

#: Longer than a busy machine keeps a process from answering at once.
LONG = 30.0


@asynccontextmanager
async def running(*, deadline: float = LONG, workers: int = 1, mark: Path | None = None) -> AsyncIterator[Pool]:
    pool = Pool(order_of("decide", {}), deadline=deadline, workers=workers, command=odd_worker.command(mark))
    try:
        await pool.start()
        yield pool
    finally:
        await pool.aclose()


async def full(pool: Pool, processes: int) -> None:
    """Until so many are ready."""
    async with asyncio.timeout(LONG):
        while len(pool.pids) < processes:
            await asyncio.sleep(0.01)


# ── frames ───────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=50))), st.lists(st.integers(0, 200)))
def test_frames_are_read_however_they_are_cut(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frame(number, body) for number, body in sent)
    places = [0, *sorted(cuts), len(stream)]
    reader = Frames(50)
    heard = [each for start, end in pairwise(places) for each in reader.feed(stream[start:end])]
    assert heard == sent


def test_a_frame_beyond_the_limit_is_not_waited_for() -> None:
    with pytest.raises(FrameInvalid):
        Frames(10).feed(frame(1, b"x" * 11)[:9])


# ── answers ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "misdeed",
    [
        "garbage",
        "another's number",
        "an old number",
        "neither",
        "nothing in it",
        "too long",
        "half",
        "end",
    ],
)
def test_a_worker_that_misbehaves_loses_that_answer_and_its_place(misdeed: str) -> None:
    async def main() -> None:
        async with running() as pool:
            first = pool.pids[0]
            bad, *good = await asyncio.gather(*(pool.ask([text.encode()]) for text in (misdeed, "a", "b", "c")))
            assert isinstance(bad[0], str)
            assert bad[0].startswith("the policy worker failed: it ")
            assert good == [[b"a"], [b"b"], [b"c"]]
            assert first not in pool.pids

    asyncio.run(main())


def test_an_answer_sent_twice_reaches_nobody_else() -> None:
    async def main() -> None:
        async with running() as pool:
            twice, other = await asyncio.gather(pool.ask([b"twice"]), pool.ask([b"mine"]))
            assert twice == [b"{}"]
            assert other == ["the policy worker failed: it sent what is no answer"]
            assert await pool.ask([b"mine"]) == [b"mine"]

    asyncio.run(main())


def test_why_there_is_no_answer_is_passed_on() -> None:
    async def main() -> None:
        async with running() as pool:
            assert await pool.ask([b"undecided", b"x"]) == ["says why", b"x"]
            assert await pool.ask([]) == []

    asyncio.run(main())


def test_an_answer_that_comes_late_reaches_nobody() -> None:
    async def main() -> None:
        async with running(deadline=0.6) as pool:
            late, *others = await asyncio.gather(
                pool.ask([b"wait 0.9"]), *(pool.ask([str(number).encode()]) for number in range(20))
            )
            assert late == ["the evaluation took longer than 600 ms"]
            assert others == [[str(number).encode()] for number in range(20)]

    asyncio.run(main())


def test_an_answer_that_lies_unread_while_this_process_is_busy_counts() -> None:
    async def main() -> None:
        async with running(deadline=0.2) as pool:
            asked = asyncio.ensure_future(pool.ask([b"wait 0.01"]))
            await asyncio.sleep(0)
            before = pool.pids
            deadline = asyncio.get_running_loop().time() + 0.6
            while asyncio.get_running_loop().time() < deadline:
                pass
            assert await asked == [b"wait 0.01"]
            assert pool.pids[0] == before[0]

    asyncio.run(main())


# ── waiting ──────────────────────────────────────────────────────────────────────────────


def test_more_than_a_thousand_waiting_are_turned_away() -> None:
    async def main() -> None:
        async with running() as pool:
            first = asyncio.ensure_future(pool.ask([b"wait 0.5"]))
            waiting = [asyncio.ensure_future(pool.ask([b"x"])) for _ in range(1003)]
            await asyncio.sleep(0)
            assert await pool.ask([b"y"]) == ["1000 decisions are waiting already"]
            assert await first == [b"wait 0.5"]
            assert await asyncio.gather(*waiting) == [[b"x"]] * 1003
            assert await pool.ask([b"y"]) == [b"y"]

    asyncio.run(main())


def test_who_gave_up_waiting_takes_no_room() -> None:
    async def main() -> None:
        async with running() as pool:
            first = asyncio.ensure_future(pool.ask([b"wait 0.5"]))
            waiting = [asyncio.ensure_future(pool.ask([b"end"])) for _ in range(1003)]
            await asyncio.sleep(0)
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)
            assert await pool.ask([b"y"]) != ["1000 decisions are waiting already"]
            assert await first == [b"wait 0.5"]

    asyncio.run(main())


def test_nobody_waits_longer_than_ten_deadlines_for_a_worker() -> None:
    async def main() -> None:
        async with running(deadline=0.1) as pool:
            answers = await asyncio.gather(*(pool.ask([b"wait 9"]) for _ in range(40)))
            said = {answer for (answer,) in answers}
            assert said == {"the evaluation took longer than 100 ms", "no policy worker was free within 1 s"}

    asyncio.run(main())


def test_the_answer_to_somebody_who_gave_up_is_dropped() -> None:
    async def main() -> None:
        async with running() as pool:
            asked = asyncio.ensure_future(pool.ask([b"wait 0.2"]))
            await asyncio.sleep(0.05)
            asked.cancel()
            assert await pool.ask([b"mine"]) == [b"mine"]
            assert asked.cancelled()

    asyncio.run(main())


# ── workers ──────────────────────────────────────────────────────────────────────────────


def test_there_is_one_process_to_spare() -> None:
    async def main() -> None:
        async with running(workers=2) as pool:
            await full(pool, 3)
            before = pool.pids
            await pool.ask([b"end"])
            await full(pool, 3)
            assert len(set(pool.pids) & set(before)) == 2

    asyncio.run(main())


def test_where_none_can_be_started_everybody_is_turned_away_until_one_can(tmp_path: Path) -> None:
    async def main() -> None:
        mark = tmp_path / "mark"
        async with running(mark=mark) as pool:
            await full(pool, 2)
            mark.touch()
            await pool.ask([b"end"])
            await pool.ask([b"end"])
            assert await pool.ask([b"x"]) == ["no policy worker can be started"]
            assert pool.pids == ()
            mark.unlink()
            async with asyncio.timeout(LONG):
                while await pool.ask([b"x"]) != [b"x"]:
                    pass  # who asks again at once does not keep it from coming back

    asyncio.run(main())


def test_after_the_end_everybody_is_turned_away() -> None:
    async def main() -> None:
        async with running(workers=2) as pool:
            asked = [asyncio.ensure_future(pool.ask([b"wait 9", b"x"])) for _ in range(10)]
            await asyncio.sleep(0)
            await pool.aclose()
            assert await asyncio.gather(*asked) == [["the policy engine is closed"] * 2] * 10
            assert await pool.ask([b"x"]) == ["the policy engine is closed"]
            assert pool.pids == ()

    asyncio.run(main())


@pytest.mark.parametrize("command", [("/nowhere/python",), (sys.executable, "-c", "print('hello there')")])
def test_a_program_that_is_no_worker_is_refused(command: tuple[str, ...]) -> None:
    async def main() -> None:
        pool = Pool(b"{}", deadline=LONG, workers=1, command=command)
        try:
            with pytest.raises(PolicyInvalid):
                await pool.start()
        finally:
            await pool.aclose()

    asyncio.run(main())


# ── one task ─────────────────────────────────────────────────────────────────────────────


def test_a_task_that_is_not_done_in_time_is_ended() -> None:
    endless = (
        "package remit.authz\nimport rego.v1\nxs := data.remit_data.xs\n"
        'decision := {"allow": count([1 | some a in xs; some b in xs; some c in xs; some d in xs; a + b + c + d < 0]) > 0}'
    )
    payload = {
        "modules": {"a.rego": endless},
        "data": f'{{"xs": {list(range(500))}}}',
        "trials": ["{}"],
        "load_seconds": LONG,
        "decide_seconds": LONG,
    }
    with pytest.raises(PolicyInvalid) as caught:
        asyncio.run(in_worker("decide", payload, seconds=1.0))
    assert caught.value.message == "the policy is not ready after 1 s"
    assert caught.value.hint


def test_a_worker_that_fails_at_its_task_is_no_success() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        asyncio.run(in_worker("nosuch", {}, seconds=LONG))
    assert caught.value.detail == "it ended"
