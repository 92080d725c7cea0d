from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import PolicyFailed
from remit.policy.obligations import Demands, Obligation, read_obligation


@dataclass(frozen=True, slots=True)
class Wanted:
    scopes: tuple[str, ...] = ("a", "b", "c")
    max_lifetime: int = 120
    target: str = "orders"


def scopes(*allowed: str) -> Obligation:
    return Obligation("s", "narrow_scopes", {"scopes": list(allowed)})


def seconds(value: Any) -> Obligation:
    return Obligation("t", "limit_lifetime", {"seconds": value})


def narrowed(wanted: Wanted, obligations: list[Obligation]) -> Wanted:
    return Demands.of(obligations).narrowed(wanted)


def test_nothing_demanded_changes_nothing() -> None:
    assert narrowed(Wanted(), []) == Wanted()


def test_the_strictest_of_several_holds() -> None:
    after = narrowed(Wanted(), [scopes("c", "b"), seconds(60), scopes("b", "z"), seconds(90)])
    assert after == Wanted(scopes=("b",), max_lifetime=60)


SCOPES = st.lists(st.sampled_from("abcdef"), unique=True).map(tuple)


@given(SCOPES, st.integers(1, 500), st.lists(SCOPES.map(lambda s: scopes(*s)) | st.integers(1, 500).map(seconds)))
def test_obligations_only_ever_restrict(had: tuple[str, ...], lifetime: int, obligations: list[Obligation]) -> None:
    wanted = Wanted(had, lifetime)
    try:
        after = narrowed(wanted, obligations)
    except PolicyFailed:
        assert any(isinstance(each.properties.get("scopes"), list) for each in obligations)
        return
    assert set(after.scopes) <= set(had)
    assert after.max_lifetime <= lifetime
    assert bool(after.scopes) == bool(had)


def test_a_call_left_without_any_scope_is_refused() -> None:
    with pytest.raises(PolicyFailed):
        narrowed(Wanted(), [scopes("z")])


@pytest.mark.parametrize("allowed", [(), ("a",)])
def test_a_request_that_names_no_scope_cannot_be_narrowed(allowed: tuple[str, ...]) -> None:
    with pytest.raises(PolicyFailed):
        narrowed(Wanted(scopes=()), [scopes(*allowed)])


@pytest.mark.parametrize(
    "obligation",
    [
        Obligation("x", "redact_result", {"pointers": []}),
        Obligation("x", "redact_result", {"mode": "mask"}),
        Obligation("x", "redact_result", {"classes": [], "mode": "mask"}),
        Obligation("x", "redact_result", {"classes": [], "pointers": ["/a"], "mode": "mask"}),
        Obligation("x", "redact_result", {"classes": "pii", "mode": "mask"}),
        Obligation("x", "redact_result", {"classes": ["pii"]}),
        Obligation("x", "redact_result", {"pointers": ["/a"], "mode": []}),
        Obligation("x", "redact_result", {"pointers": ["/a"], "mode": None}),
        Obligation("x", "", {}),
        Obligation("x", "narrow_scopes", {}),
        Obligation("x", "narrow_scopes", {"scopes": ["a"], "except": ["b"]}),
        Obligation("x", "narrow_scopes", {"scopes": ["a"] * 101}),
        seconds(-1),
        seconds(1e3),
        seconds(None),
        seconds(10**9),
    ],
    ids=repr,
)
def test_an_obligation_that_is_not_understood_refuses(obligation: Obligation) -> None:
    with pytest.raises(PolicyFailed):
        narrowed(Wanted(), [obligation])
    with pytest.raises(ValueError):
        read_obligation({"id": obligation.id, "type": obligation.type, "properties": obligation.properties})


@pytest.mark.parametrize("item", [None, [], "x", {}, {"id": 1, "type": "limit_lifetime", "properties": {"seconds": 1}}])
def test_what_is_no_obligation_is_refused(item: Any) -> None:
    with pytest.raises(ValueError):
        read_obligation(item)
