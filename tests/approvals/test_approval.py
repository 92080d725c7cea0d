"""What an approval is of, and whose it is to give."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.approvals.approval import Approval, Approver, Binding, State, Terms
from remit.errors import ApprovalUnusable
from remit.principal import Actor
from support.approvals import AGENT, ALICE, ARGUMENTS, BY_LEAD, BY_USER, ISSUER, LEAD, USER, binding

OTHER = "https://partner.example"
NAMES = st.lists(st.text(max_size=4), min_size=7, max_size=7).map(tuple)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


# ── the call ─────────────────────────────────────────────────────────────────────────────


@given(NAMES, NAMES)
def test_two_calls_have_one_digest_only_where_every_part_is_the_same(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert (Binding(*one).digest == Binding(*other).digest) == (one == other)


@given(NAMES, st.integers(0, 5), st.text(min_size=1, max_size=3))
def test_text_that_moves_into_the_next_part_changes_the_digest(parts: tuple[str, ...], place: int, text: str) -> None:
    before, after = list(parts), list(parts)
    before[place] += text
    after[place + 1] = text + after[place + 1]
    assert Binding(*before).digest != Binding(*after).digest


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_the_order_of_the_arguments_is_no_matter(arguments: dict[str, Any]) -> None:
    assert binding(arguments) == binding(dict(reversed(arguments.items())))


@pytest.mark.parametrize(
    "another",
    [
        binding(principal=replace(ALICE, subject="bob")),
        binding(principal=replace(ALICE, issuer=OTHER)),
        binding(acting=replace(AGENT, actor=Actor("other-agent", AGENT.actor.iss))),
        binding(acting=replace(AGENT, actor=Actor("agent-runner", OTHER))),
        binding(tool="cancel_order"),
        binding(tool_digest="d2"),
        binding({**ARGUMENTS, "amount": 501}),
        binding({**ARGUMENTS, "amount": 500.0}),
        binding({**ARGUMENTS, "amount": "500"}),
        binding({**ARGUMENTS, "note": None}),
    ],
)
def test_whatever_differs_makes_it_another_call(another: Binding) -> None:
    assert another != binding()
    assert another.digest != binding().digest


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, [{"deep": -math.inf}], 2**70, "\ud800", b"x", {1: "x"}, (1, 2), {"a"}, object()]
)
def test_arguments_without_a_canonical_form_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        binding({"value": value})


def test_no_argument_is_in_what_an_approval_prints() -> None:
    approval = Approval("A1", binding(), BY_USER, {"iban": "DE89"}, State.PENDING, 0, 600)
    assert "DE89" not in repr(approval)
    assert "DE89" not in str(approval.facts(USER, "operator"))


# ── whose it is to give ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "approver", "admitted"),
    [
        ("user", USER, True),
        ("user", LEAD, False),
        ("user", Approver(OTHER, "alice"), False),
        ("user:carol", LEAD, True),
        ("user:dave", LEAD, False),
        ("user:", Approver(ISSUER, ""), False),
        ("role:support-lead", LEAD, True),
        ("role:managers", LEAD, False),
        ("role:", Approver(ISSUER, "dave", roles=("",)), False),
        ("group:managers", LEAD, True),
        ("group:support-lead", LEAD, False),
        ("group:https://groups.example/1", Approver(ISSUER, "dave", groups=("https://groups.example/1",)), True),
        # names are those of the user's own issuer, unless it is said whose they are
        ("user:carol", Approver(OTHER, "carol"), False),
        ("role:support-lead", Approver(OTHER, "carol", roles=("support-lead",)), False),
        (f"user:{OTHER}#carol", Approver(OTHER, "carol"), True),
        (f"user:{OTHER}#carol", LEAD, False),
        (f"role:{OTHER}#boss", Approver(OTHER, "dave", roles=("boss",)), True),
        ("user:bob#EXT#@corp", Approver(ISSUER, "bob#EXT#@corp"), True),
        # nobody but `user` approves their own call
        ("role:support-lead", USER, False),
        ("user:alice", USER, False),
        (f"user:{ISSUER}#alice", USER, False),
        # what is no such form is nobody
        ("support-lead", LEAD, False),
        ("roles:support-lead", LEAD, False),
        ("", LEAD, False),
    ],
)
def test_who_is_meant(name: str, approver: Approver, admitted: bool) -> None:
    assert Terms(((name,),), 600).admits(approver, binding()) is admitted


def test_one_person_has_to_fit_every_list() -> None:
    terms = Terms((("role:support-lead", "user"), ("group:managers", "user:dave")), 600)
    assert terms.admits(LEAD, binding())
    assert not terms.admits(replace(LEAD, groups=()), binding())
    assert not terms.admits(USER, binding())
    assert not terms.asks_user
    assert Terms((("user", "role:x"), ("user",)), 600).asks_user
    assert not Terms(((),), 600).admits(LEAD, binding())


@given(st.lists(st.lists(st.text() | st.sampled_from(["role:support-lead", "user:alice", "group:g"]))))
def test_the_user_approves_their_own_call_only_where_every_list_says_user(lists: list[list[str]]) -> None:
    terms = Terms(tuple(tuple(names) for names in lists), 600)
    user = replace(USER, groups=("g",))
    assert terms.admits(user, binding()) is terms.asks_user is all("user" in names for names in lists)


# ── what may be done with it ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", list(State))
def test_only_a_pending_one_is_decided_and_only_an_approved_one_used(state: State) -> None:
    approval = Approval("A1", binding(), BY_LEAD, ARGUMENTS, state, 0, 600)
    checks: tuple[tuple[State, Callable[[], None]], ...] = (
        (State.PENDING, lambda: approval.check_decision(LEAD)),
        (State.APPROVED, lambda: approval.check_use(binding())),
    )
    for needed, check in checks:
        if state is needed:
            check()
        else:
            with pytest.raises(ApprovalUnusable):
                check()


def test_what_is_of_another_call_looks_like_what_is_not_there() -> None:
    approval = Approval("A1", binding(), BY_LEAD, ARGUMENTS, State.APPROVED, 0, 600)
    with pytest.raises(ApprovalUnusable, match="there is no such approval"):
        approval.check_decision(LEAD, binding({}))
    with pytest.raises(ApprovalUnusable, match="there is no such approval"):
        approval.check_use(binding({}))
