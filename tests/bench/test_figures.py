from __future__ import annotations

import io

import pytest
from bench.figures import VERIFY_SEEN, Decided, Lap, Listed, Memory, Rate, Ratio, Results, Served, Soak, Step
from bench.load import HANDSHAKE, MODERN, Shot, Volley, WrongAnswer, tool_call
from bench.report import print_report
from rich.console import Console
from yarl import URL


def volley(*, clients: int = 1, calls: int = 10, latency: float = 0.001, cpu_each: float = 0.0005) -> Volley:
    return Volley(clients, calls * latency / clients, calls * cpu_each, [latency] * calls)


def results(*, cpu: float = 2.0, latency: float = 2.0, decision: float = 0.0003, soak: Soak | None = None) -> Results:
    bare = {clients: [volley(clients=clients)] * 3 for clients in (1, 16)}
    remit = {
        clients: [volley(clients=clients, latency=0.001 * latency, cpu_each=0.0005 * cpu)] * 3 for clients in (1, 16)
    }
    return Results(
        served=[
            Served.of(name, MODERN, rounds[clients])
            for clients in (1, 16)
            for name, rounds in (("bare", bare), ("remit", remit))
        ],
        ratios=[Ratio.of(MODERN, bare[clients], remit[clients]) for clients in (1, 16)],
        memory=[Memory("remit", 100, 101)],
        steps=[Step.of("decide", [(0.0001, 0.0001)])],
        rates=[Rate("exchange", 1000, 900)],
        decided=[
            Decided.of(engine, policy, 4, [Lap(0.1, [latency] * 100)] * 3)
            for engine, policy, latency in (
                ("embedded", "small", decision),
                ("server", "small", 0.1),
                ("embedded", "large", 0.0005),
            )
        ],
        longest_wait=0.2,
        help_seconds=0.2,
        ready_seconds=1.5,
        soak=soak,
    )


def test_figures_are_per_call_and_in_the_units_they_say() -> None:
    served = Served.of("bare", MODERN, [volley(calls=10, latency=0.002, cpu_each=0.0007)])
    assert served.calls == 10
    assert [served.per_second, served.p50_ms, served.p99_ms, served.cpu_us] == pytest.approx([500, 2, 2, 700])


def test_a_ratio_is_of_rounds_that_met_the_same_moment() -> None:
    """Both are three times as slow in the second round: the ratio stays what it is."""
    bare = [volley(cpu_each=0.0005), volley(cpu_each=0.0015), volley(cpu_each=0.0005)]
    remit = [volley(cpu_each=0.0010), volley(cpu_each=0.0030), volley(cpu_each=0.0010)]
    assert Ratio.of(MODERN, bare, remit).cpu == pytest.approx(2)


@pytest.mark.parametrize(("microseconds", "reached"), [(29.0, True), (31.0, False)])
def test_verifying_a_known_token_has_a_target(microseconds: float, reached: bool) -> None:
    known = Results(steps=[Step.of(VERIFY_SEEN, [(microseconds / 1e6, 0.0)])])
    assert {target.name: target.reached for target in known.targets()}[VERIFY_SEEN] is reached


@pytest.mark.parametrize(("cpu", "latency", "missed"), [(2.4, 2.9, 0), (2.6, 2.9, 1), (2.6, 3.1, 2)])
def test_cpu_and_latency_are_held_against_their_targets(cpu: float, latency: float, missed: int) -> None:
    targets = results(cpu=cpu, latency=latency).targets()
    assert [target.reached for target in targets].count(False) == missed


@pytest.mark.parametrize(("decision", "missed"), [(0.0003, 0), (0.0004, 1), (0.0011, 2), (0.0002, 1)])
def test_decisions_of_the_embedded_engine_are_held_against_their_targets(decision: float, missed: int) -> None:
    """The last one is twice as fast with the small table."""
    targets = results(decision=decision).targets()
    assert [target.reached for target in targets].count(False) == missed


@pytest.mark.parametrize(("again", "memory", "missed"), [(49.0, 149.0, 0), (51.0, 149.0, 1), (51.0, 151.0, 2)])
def test_a_second_list_and_the_memory_it_is_made_in_have_targets(again: float, memory: float, missed: int) -> None:
    targets = Results(listed=Listed(1000, 900.0, again, 120.0, memory)).targets()
    assert [target.reached for target in targets if "1,000 tools" in target.name][1:].count(False) == missed


def test_memory_is_judged_from_where_the_caches_are_full() -> None:
    grown = Soak(400, [100.0, 120.0, 120.5, 120.5, 121.0])
    assert grown.growth == pytest.approx(1)
    assert results(soak=grown).targets()[-1].reached
    assert not results(soak=Soak(400, [100.0, 120.0, 130.0, 140.0, 150.0])).targets()[-1].reached


@pytest.mark.parametrize("terminal", [True, False])
def test_the_report_says_pass_and_miss(terminal: bool) -> None:
    out = io.StringIO()
    measured = results(cpu=3.0, soak=Soak(4, [1.0] * 5))
    print_report(measured, Console(file=out, width=118, force_terminal=terminal, color_system=None))
    text = out.getvalue()
    assert "pass" in text
    assert "miss" in text
    assert "3.00" in text
    assert measured.document()["targets"][1]["reached"] is False


def test_an_answer_that_is_no_result_stops_the_benchmark() -> None:
    shot = Shot(URL("http://127.0.0.1/mcp"), {}, b"", (b"O1001",))
    shot.check(200, b'{"id":"O1001"}')
    for status, answer in ((500, b"O1001"), (200, b"O1002"), (200, b'{"isError":true,"text":"O1001"}')):
        with pytest.raises(WrongAnswer):
            shot.check(status, answer)


def test_a_call_says_which_era_it_is_of() -> None:
    modern, handshake = (tool_call("http://127.0.0.1/mcp", era, (), "secret") for era in (MODERN, HANDSHAKE))
    assert modern.headers["Mcp-Method"] == "tools/call"
    assert b"_meta" in modern.body
    assert "Mcp-Method" not in handshake.headers
    assert b"_meta" not in handshake.body
    assert "secret" not in repr(modern)
