from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import PolicyInvalid
from remit.policy.bundle import load_policy
from remit.policy.tables import check_tables

Tables = dict[str, Any]

SMALL: Tables = {
    "roles": {"intern": {"orders": ["read"]}, "lead": {"*": ["read", "write"]}},
    "agents": {"agent-runner": None},
}
FULL: Tables = {
    **SMALL,
    "groups": {"sales": {"crm": [{"tool": "get_*", "tags": ["a"], "destructive": False}, "write"]}},
    "users": {"alice": {"issuer": "https://idp.example", "may": {"orders": []}}},
    "agents": {
        "agent-runner": {
            "issuer": "https://sts.example",
            "may": {"orders": ["read"]},
            "for": {"roles": ["lead"], "groups": ["sales"], "users": ["bob"]},
            "assurance": "attested",
            "audiences": ["orders-api"],
        }
    },
    "services": {"orders-api": None, "shop": {"audiences": []}},
    "max_chain_depth": 3,
    "needs": {
        "all": {
            "match": {"server": ["orders", "crm"], "tool": ["a", "b"], "effects": "write", "data_classes": ["pii"]},
            "unless": {"roles": ["lead"]},
            "first_time": True,
            "over": 99.5,
            "argument": "amount",
            "deny": "not today",
            "only": {"groups": ["sales"]},
            "scopes": ["x"],
            "hours": {"days": ["Monday"], "from": "08:00", "to": "24:00", "utc_offset": -3.5},
            "assurance": "registered",
            "limit_lifetime": {"seconds": 60},
            "narrow_scopes": {"scopes": ["x"]},
            "require_approval": {"approvers": ["user", "user:bob", "role:lead", "group:sales"], "expires_in": 60},
            "step_up": {"acr_values": ["mfa"], "max_age": 300, "scopes": ["x"]},
        },
        "redaction": {"redact_result": {"pointers": ["/a/*/b"], "mode": "remove"}},
    },
    "own": {"whatever": [1]},
}


@pytest.mark.parametrize("tables", [{}, SMALL, FULL], ids=["none", "small", "full"])
def test_sound_tables_have_no_problems(tables: Tables) -> None:
    assert check_tables(tables) == []


def need(**members: Any) -> Tables:
    return {**SMALL, "needs": {"n": members}}


def hours(**members: Any) -> Tables:
    return need(hours={"from": "08:00", "to": "18:00", **members})


NEED, DENY = ("needs", "n"), {"deny": "no"}


@pytest.mark.parametrize(
    ("tables", "path", "message", "hint"),
    [
        ({"rolse": {}}, ("rolse",), 'unknown key "rolse"', "did you mean roles?"),
        ({"roles": []}, ("roles",), "is not a mapping", "NAME:"),
        ({"roles": {"": {}}}, ("roles", ""), "empty or longer", ""),
        ({"roles": {"a": None}}, ("roles", "a"), "is not a mapping", ""),
        ({"roles": {"a": {"orders": "read"}}}, ("roles", "a", "orders"), "is not a list", "in brackets"),
        ({"roles": {"a": {"orders": ["raed"]}}}, ("roles", "a", "orders", 0), '"raed" is none of', "read?"),
        ({"roles": {"a": {"orders": [1]}}}, ("roles", "a", "orders", 0), '"1" is none of', ""),
        ({"roles": {"a": {"orders": [{}]}}}, ("roles", "a", "orders", 0), "is empty", "permit everything"),
        ({"roles": {"a": {"x": [{"server": "x"}]}}}, ("roles", "a", "x", 0, "server"), "unknown key", "tool"),
        ({"roles": {"a": {"x": [{"tool": "g?t"}]}}}, ("roles", "a", "x", 0, "tool"), "neither a name nor", "get_*"),
        ({"roles": {"a": {"x": [{"tool": ["a*"]}]}}}, ("roles", "a", "x", 0, "tool", 0), "pattern in a list", ""),
        ({"roles": {"a": {"x": [{"tags": "a"}]}}}, ("roles", "a", "x", 0, "tags"), "is not a list", ""),
        ({"roles": {"a": {"x": [{"tags": ["*"]}]}}}, ("roles", "a", "x", 0, "tags", 0), "is a pattern", "leave it out"),
        ({"users": {"alice": {}}}, ("users", "alice"), "has no may", "add may"),
        ({"users": {"alice": {"may": {}, "orders": ["read"]}}}, ("users", "alice", "orders"), "unknown key", "may"),
        ({"agents": {"a": {"audience": []}}}, ("agents", "a", "audience"), "unknown key", "audiences?"),
        ({"agents": {"a": {"for": {}}}}, ("agents", "a", "for"), "is empty", "roles, groups or users"),
        ({"agents": {"a": {"for": {"roles": ["x"]}}}}, ("agents", "a", "for", "roles", 0), "not in roles", "add it"),
        ({"agents": {"a": {"assurance": "atested"}}}, ("agents", "a", "assurance"), "none of", "attested?"),
        ({"services": {"a": {"may": {}}}}, ("services", "a", "may"), "unknown key", "audiences"),
        ({"services": ["a"]}, ("services",), "is not a mapping", ""),
        ({"max_chain_depth": 0}, ("max_chain_depth",), "from 1 to 16", ""),
        ({"max_chain_depth": True}, ("max_chain_depth",), "from 1 to 16", ""),
        (need(), NEED, "demands nothing", "add one of deny"),
        (need(match={"server": "orders"}), NEED, "demands nothing", ""),
        (need(mach={}, **DENY), (*NEED, "mach"), "unknown key", "match?"),
        (need(match={"servr": "orders"}, **DENY), (*NEED, "match", "servr"), "unknown key", "server?"),
        (need(match={"server": "*"}, **DENY), (*NEED, "match", "server"), "is a pattern", "leave it out"),
        (need(match={"destructive": "yes"}, **DENY), (*NEED, "match", "destructive"), "neither true nor", ""),
        (need(only={"roles": ["laed"]}), (*NEED, "only", "roles", 0), "not in roles", "did you mean lead?"),
        (need(unless={"groups": ["x"]}, **DENY), (*NEED, "unless", "groups", 0), "not in groups", "add it"),
        (need(over="100", **DENY), (*NEED, "over"), "not a number", "without quotes"),
        (need(over=-1, **DENY), (*NEED, "over"), "not a number", ""),
        (need(over=True, **DENY), (*NEED, "over"), "not a number", ""),
        (need(argument="amount", **DENY), NEED, "no limit", "add over"),
        (need(first_time=False, **DENY), (*NEED, "first_time"), "is not true", ""),
        (need(deny=True), (*NEED, "deny"), "is not a text", "quotes"),
        (need(scopes=[]), (*NEED, "scopes"), "is empty", ""),
        (hours(**{"from": "8:00"}), (*NEED, "hours", "from"), '"8:00" is no time', "08:30"),
        (hours(to="25:00"), (*NEED, "hours", "to"), "is no time", ""),
        (hours(to=1800), (*NEED, "hours", "to"), "is no time", ""),
        (hours(to="08:00"), (*NEED, "hours"), "the same time", "24:00"),
        (hours(days=["Mon"]), (*NEED, "hours", "days", 0), "none of", "Monday?"),
        (hours(utc_offset="+1"), (*NEED, "hours", "utc_offset"), "no difference to UTC", "5.5"),
        (hours(utc_offset=15), (*NEED, "hours", "utc_offset"), "no difference to UTC", ""),
        (need(hours={"from": "08:00"}), (*NEED, "hours"), "has no to", "add to"),
        (need(limit_lifetime=60), (*NEED, "limit_lifetime"), "is not a mapping", "obligations"),
        (need(limit_lifetime={"seconds": 0}), (*NEED, "limit_lifetime"), "not between", ""),
        (need(require_approval={"approvers": ["bob"]}), (*NEED, "require_approval"), "an approver is none of", ""),
        (
            need(require_approval={"approvers": ["user", "role:boss"]}),
            (*NEED, "require_approval", "approvers", 1),
            '"boss" is not in roles',
            "add it",
        ),
        (need(step_up={"acr": ["x"]}), (*NEED, "step_up"), "properties are not", ""),
        (
            need(first_time=True, redact_result={"pointers": ["/a"], "mode": "mask"}),
            NEED,
            "the first time only",
            "leave out",
        ),
        ({"needs": {"x" * 101: DENY}}, ("needs", "x" * 101), "longer than 100", ""),
        ({"needs": {str(number): DENY for number in range(201)}}, ("needs",), "more than 200", ""),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_understood_is_told_with_its_place(
    tables: Tables, path: tuple[str | int, ...], message: str, hint: str
) -> None:
    (problem,) = check_tables(tables)
    assert problem.path == path
    assert message in problem.message
    assert hint in problem.hint


def test_a_policy_with_such_tables_is_refused_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("roles:\n  lead:\n    orders: [read, wirte]\n")
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(tmp_path)
    assert caught.value.where.startswith(f"{tmp_path / 'data.yaml'}:3:")
    assert caught.value.hint == "did you mean write?"


def test_tables_alone_are_a_policy(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("roles:\n  lead:\n    orders: [read]\nagents:\n  agent-runner:\n")
    assert set(load_policy(tmp_path).modules) == {"remit/standard.rego", "remit/authz.rego"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spoiled(draw: st.DrawFn) -> Tables:
    """Full tables with anything put somewhere into them."""

    def put(value: Any) -> Any:
        if not isinstance(value, dict | list) or not value or draw(st.booleans()):
            return draw(json_values)
        if isinstance(value, list):
            return [put(value[0]), *value[1:]]
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: put(value[name])}

    name = draw(st.sampled_from(sorted(FULL)))
    return {**FULL, name: put(FULL[name])}


@given(spoiled())
def test_whatever_tables_hold_is_answered_with_problems_or_none(tables: Tables) -> None:
    for problem in check_tables(tables):
        assert problem.message
        assert len(problem.message) + len(problem.hint) < 2000


def test_many_problems_are_cut_short() -> None:
    started = time.perf_counter()
    wrong = {"roles": {f"role-{number}": {"orders": ["raed"]} for number in range(10_000)}}
    assert len(check_tables(wrong)) == 20
    unknown = {"agents": {str(number): {"for": {"roles": [f"rloe-{number}"]}} for number in range(10_000)}}
    sound = {"roles": {f"role-{number}": {"orders": ["read"]} for number in range(10_000)}}
    assert len(check_tables({**sound, **unknown})) == 20
    assert time.perf_counter() - started < 5
