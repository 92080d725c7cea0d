"""`remit policy explain`: would this call be permitted, which rule decides, and what would have to change."""

from __future__ import annotations

import json

import pytest

from support.terminal import Done, Terminal

REFUND = ("refund_order", "order_id=O1001", "reason=late")


@pytest.fixture
def here(remit: Terminal) -> Terminal:
    assert remit("init", ".").code == 0
    return remit


def lines(done: Done) -> list[str]:
    return [" ".join(line.split()) for line in done.out.splitlines()]


def test_a_denial_names_the_rule_the_line_and_what_would_do(here: Terminal) -> None:
    done = here("policy", "explain", "bob", "agent-runner", *REFUND, "amount=1250")
    assert done.code == 4
    assert done.err == ""
    told = lines(done)
    assert told[:2] == ["bob ← agent-runner refund_order(order_id=O1001, reason=late, amount=1250)", "denied"]
    assert "call denied" in told
    assert any(line.startswith("rule standard/1 role_forbids (remit/standard.rego:") for line in told)
    assert told[-2:] == ["it would be permitted if", "the user had the role support-lead"]


def test_a_permit_that_waits_does_not_read_as_one_that_does_not(here: Terminal) -> None:
    waits = here("policy", "explain", "alice", "agent-runner", *REFUND, "amount=20000")
    assert waits.code == 0
    assert lines(waits)[1] == "permitted, once the user approves it"
    assert lines(waits)[-2:] == ["it would be permitted just so if", "amount were at most 10000"]
    free = here("policy", "explain", "alice", "agent-runner", *REFUND, "amount=2000")
    assert free.code == 0
    assert lines(free)[1] == "permitted"


def test_for_programs_it_is_all_there(here: Terminal) -> None:
    done = here("policy", "explain", "alice", "agent-runner", *REFUND, "amount=60000", "--json")
    assert done.code == 4
    document = done.document
    assert document["allowed"] is False
    assert document["complete"] is True
    assert list(document["decisions"]) == ["tool_list", "tool_call", "token_exchange"]
    call = document["decisions"]["tool_call"]
    assert (call["allow"], call["reasons"][0]["code"]) == (False, "amount_needs_scope")
    assert document["ways"][:2] == [
        {"if": "amount were at most 50000", "conditions": ["the user approves it"], "changes": ["argument"]},
        {"if": "amount were at most 10000", "conditions": [], "changes": ["argument"]},
    ]


def test_roles_times_and_agents_can_be_supposed(here: Terminal) -> None:
    asked = ("carol", "agent-runner", "get_order", "order_id=O1")
    assert here("policy", "explain", *asked, "--role", "intern", "--scope", "orders:read").code == 0
    poor = here("policy", "explain", *asked, "--role", "intern")
    assert poor.code == 4
    assert lines(poor)[1] == "refused: the user's token lacks the scope orders:read"
    far = here("policy", "explain", "alice", *asked[1:], "--through", "client-frontend", "--through", "orders-api")
    assert lines(far)[0].startswith("alice ← client-frontend ← orders-api ← agent-runner ")
    weak = here("policy", "explain", "alice", *asked[1:], "--assurance", "self_asserted", "--at", "2027-01-15T09:30")
    assert weak.code == 4


def test_another_policy_can_be_asked_and_need_not_be_signed(here: Terminal) -> None:
    policy = here.cwd / "next"
    policy.mkdir()
    tables = {"roles": {"clerk": {"orders": ["read"]}}, "agents": {"agent-runner": {}}}
    (policy / "data.json").write_text(json.dumps(tables), "utf-8")
    done = here("policy", "explain", "bob", "agent-runner", "get_order", "order_id=O1", "--policy", "next")
    assert done.code == 4
    assert lines(done)[1] == "denied; the agent is told that there is no such tool"
    assert lines(done)[-1] == "the user had the role clerk"


def test_a_policy_that_fails_is_to_be_mended(here: Terminal) -> None:
    policy = here.cwd / "next"
    policy.mkdir()
    (policy / "authz.rego").write_text(
        "package remit.authz\n\nimport rego.v1\n\n"
        'decision := {"allow": false} if input.subject.id == ""\n\n'
        'decision := {"allow": "yes"} if input.subject.id != ""\n',
        "utf-8",
    )
    done = here("policy", "explain", "bob", "agent-runner", "get_order", "order_id=O1", "--policy", "next")
    assert done.code == 4
    assert lines(done)[-1].startswith("policy failed, so it is the policy that has to change")


def test_what_was_typed_cannot_steer_the_terminal(here: Terminal) -> None:
    done = here("policy", "explain", "alice", "agent\x1b[31m", "list_payments")
    assert done.code == 4
    assert "\x1b[31m" not in done.out
    assert "agent\\x1b[31m" in done.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nobody", "agent-runner", "get_order", "order_id=O1"), 2),
        (("alice", "agent-runner", "unknown_tool"), 7),
        (("alice", "agent-runner", "get_order", "order_id=1"), 7),
        (("alice", "agent-runner", "get_order", "order_id"), 2),
        (("alice", "agent-runner", "get_order", "order_id=O1", "--assurance", "perfect"), 2),
        (("alice", "agent-runner", "get_order", "order_id=O1", "--at", "noon"), 2),
        (("alice", "agent-runner", "get_order", "order_id=O1", "--policy", "nowhere"), 2),
    ],
)
def test_what_cannot_be_asked_ends_with_its_own_code(here: Terminal, arguments: tuple[str, ...], code: int) -> None:
    done = here("policy", "explain", *arguments)
    assert done.code == code
    assert done.out == ""
