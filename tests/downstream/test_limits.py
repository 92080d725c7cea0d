"""As many calls as a tool's file says, and no more, in any window there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.tool import Tool
from remit.downstream.limits import CallGate
from remit.errors import RateLimited
from remit.principal import Actor
from support.clock import FakeClock
from support.tools import problems_of, tool_of
from support.trail import ALICE, RUNNER

BOB = replace(ALICE, subject="bob")
OTHER = replace(RUNNER, actor=Actor("other-runner", "https://sts.example"))


def limited(upstream: dict[str, Any] | None = None, name: str = "look_up", **limits: Any) -> Tool:
    return tool_of({"name": name, "limits": limits}, {"limits": upstream or {}})


class Gate:
    """A gate, its clock, and who was let through."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock(1000.0)
        self.gate = CallGate(self.clock, **options)

    def call(self, tool: Tool, principal: Any = ALICE, acting: Any = RUNNER) -> int:
        """0 where the call is let through, else the seconds to wait."""
        try:
            with self.gate.admitted(tool, principal, acting):
                return 0
        except RateLimited as error:
            return error.retry_after


# ── rate ──


def test_calls_are_let_through_until_the_rate_is_reached_and_again_when_the_window_is_over() -> None:
    gate, tool = Gate(), limited(rate="3/min per user")
    assert [gate.call(tool) for _ in range(3)] == [0, 0, 0]
    wait = gate.call(tool)
    assert 60 <= wait <= 64
    gate.clock.advance(wait - 1)
    assert gate.call(tool)
    gate.clock.advance(1)
    assert gate.call(tool) == 0


def test_a_refused_call_does_not_count() -> None:
    gate, tool = Gate(), limited(rate="1/min")
    assert gate.call(tool) == 0
    waits = []
    for _ in range(5):
        waits.append(gate.call(tool))
        gate.clock.advance(10)
    assert waits == sorted(waits, reverse=True)
    assert gate.call(tool) <= 64 - 50


@pytest.mark.parametrize(
    ("per", "free"),
    [
        ("", []),
        (" per all", []),
        (" per tool", []),
        (" per user", [(BOB, RUNNER)]),
        (" per agent", [(ALICE, OTHER)]),
        (" per user+agent", [(BOB, RUNNER), (ALICE, OTHER)]),
    ],
)
def test_each_of_those_the_rate_tells_apart_has_its_own(per: str, free: list[Any]) -> None:
    gate, tool = Gate(), limited(rate=f"1/h{per}")
    assert gate.call(tool) == 0
    for who in [(ALICE, RUNNER), (BOB, RUNNER), (ALICE, OTHER)]:
        assert bool(gate.call(tool, *who)) == (who not in free), who


def test_the_upstreams_rate_is_shared_by_its_tools_and_a_tools_own_holds_besides() -> None:
    gate, upstream = Gate(), {"rate": "3/min"}
    one, other = limited(upstream), limited(upstream, "other", rate="1/min")
    assert gate.call(other) == 0
    assert gate.call(other)
    assert [gate.call(one), gate.call(one)] == [0, 0]
    assert gate.call(one)


def test_an_upstreams_rate_per_tool_counts_each_by_itself() -> None:
    gate, upstream = Gate(), {"rate": "1/min per tool"}
    one, other = limited(upstream), limited(upstream, "other")
    assert [gate.call(one), gate.call(other)] == [0, 0]
    assert gate.call(one)
    assert gate.call(other)


@given(
    count=st.integers(1, 6),
    unit=st.sampled_from(["s", "min", "h"]),
    pauses=st.lists(st.floats(0, 1.5), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_calls_than_the_rate(count: int, unit: str, pauses: list[float]) -> None:
    seconds = {"s": 1, "min": 60, "h": 3600}[unit]
    gate, tool = Gate(), limited(rate=f"{count}/{unit}")
    through = []
    for pause in pauses:
        gate.clock.advance(pause * seconds)
        wait = gate.call(tool)
        assert wait <= seconds * 17 / 16 + 1
        if not wait:
            through.append(gate.clock.monotonic())
    for index, start in enumerate(through):
        assert sum(start <= at < start + seconds for at in through[index:]) <= count


def test_counters_are_bounded_and_whoever_cannot_be_counted_waits() -> None:
    gate, tool = Gate(max_counters=2), limited(rate="5/min per user")
    users = [replace(ALICE, subject=f"user-{number}") for number in range(3)]
    assert [gate.call(tool, user) for user in users] == [0, 0, 60]
    gate.clock.advance(65)
    assert [gate.call(tool, user) for user in reversed(users)][:2] == [0, 0]


def test_a_rate_that_is_changed_counts_anew() -> None:
    gate = Gate()
    assert gate.call(limited(rate="1/h")) == 0
    assert gate.call(limited(rate="1/h"))
    assert gate.call(limited(rate="2/h")) == 0


# ── concurrency ──


def test_no_more_calls_are_under_way_than_there_are_places() -> None:
    gate, tool = Gate(), limited(concurrency=2)
    with gate.gate.admitted(tool, ALICE, RUNNER):
        with gate.gate.admitted(tool, BOB, RUNNER):
            assert gate.call(tool) == 1
        assert gate.call(tool) == 0


def test_a_call_that_fails_gives_its_place_back() -> None:
    gate, tool = Gate(), limited({"concurrency": 1})
    for _ in range(3):
        with pytest.raises(KeyError), gate.gate.admitted(tool, ALICE, RUNNER):
            raise KeyError


def test_a_call_that_finds_no_place_does_not_count_for_the_rate() -> None:
    gate, tool = Gate(), limited(concurrency=1, rate="2/h")
    with gate.gate.admitted(tool, ALICE, RUNNER):
        assert gate.call(tool) == 1
    assert gate.call(tool) == 0
    assert gate.call(tool) > 1


# ── the file ──


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"rate": "60 per minute"}, "rate does not match"),
        ({"rate": "0/min"}, '"0/min" does not let 1 to 100000 calls through'),
        ({"rate": "5/week"}, "rate does not match"),
        ({"concurrency": 0}, "concurrency must be greater than or equal to 1"),
        ({"maxResponseBytes": "17MiB"}, "maxResponseBytes 17MiB is not between 1KiB and 16MiB"),
        ({"rates": "1/s"}, "did you mean rate?"),
    ],
)
def test_what_is_wrong_with_limits_is_said(limits: dict[str, Any], said: str) -> None:
    assert said in problems_of({"limits": limits})
    assert said in problems_of(upstream={"limits": limits})


def test_an_answers_bound_is_the_tools_or_the_upstreams() -> None:
    assert limited().limits.max_response_bytes == 1024 * 1024
    assert limited({"maxResponseBytes": "2MiB"}).limits.max_response_bytes == 2 * 1024 * 1024
    assert limited({"maxResponseBytes": "2MiB"}, maxResponseBytes="4KiB").limits.max_response_bytes == 4096
