"""Past calls under another policy: exact where everything was kept, and never certain of what was not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remit.app.past_calls import Ending
from remit.app.replaying import Group
from remit.credential import Credential
from remit.policy.input import ApprovalState, ExchangeTarget
from remit.policy.inputs import InputKeeper
from support.past import Change, Workspace
from support.policy import NOW, person, question

ALLOW, APPROVAL, SIGN_IN, DENY = Ending
KEY = Credential("k" * 40)
OTHER_KEY = Credential("o" * 40)


@pytest.fixture
def company(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def told(groups: tuple[Group, ...]) -> list[tuple[Ending, tuple[Ending, ...], int]]:
    return [(group.was, group.now, group.count) for group in groups]


def large(limit: int) -> Change:
    return lambda tables: tables["needs"]["large-amount"].update(over=limit)


ENCRYPTED = InputKeeper("encrypted", KEY)
AMOUNTS = (100, 20_000, 40_000, 70_000)

# ── what was kept ────────────────────────────────────────────────────────────────────────


def test_a_call_that_was_kept_whole_is_decided_about_as_it_was(company: Workspace) -> None:
    company.remember(*map(company.refund, AMOUNTS), keeper=ENCRYPTED)
    stricter, laxer = company.with_tables(large(30_000)), company.with_tables(large(90_000))
    replayed = company.replay(stricter, KEY)
    assert told(replayed.flips) == [(APPROVAL, (DENY,), 1)]
    (group,) = replayed.flips
    assert group.rule.startswith("standard/1 amount_needs_scope (remit/standard.rego:")
    assert (group.calls[0].tool, group.calls[0].subject, group.calls[0].actor) == (
        "refund_order",
        "alice",
        "agent-runner",
    )
    assert (replayed.calls, replayed.guessed, replayed.uncertain, replayed.left_out) == (4, 0, (), {})
    assert told(company.replay(laxer, KEY).flips) == [(DENY, (APPROVAL,), 1)]


def test_the_same_policy_decides_the_same_whatever_was_kept(company: Workspace) -> None:
    company.remember(*map(company.refund, AMOUNTS))
    replayed = company.replay()
    assert (replayed.calls, replayed.guessed, replayed.flips, replayed.uncertain) == (4, 0, (), ())


def test_what_was_decided_then_says_much_about_values_that_were_not_kept(company: Workspace) -> None:
    company.remember(*map(company.refund, AMOUNTS))
    replayed = company.replay(company.with_tables(large(30_000)))
    # 100 needed no approval then, and 70000 was denied: only what needed one may lie on either side of 30000.
    assert replayed.flips == ()
    assert told(replayed.uncertain) == [(APPROVAL, (APPROVAL, DENY), 2)]
    assert replayed.guessed == 4
    everybody = company.replay(company.with_tables(lambda tables: tables["needs"]["user-agrees"].update(over=0)))
    assert told(everybody.flips) == [(ALLOW, (APPROVAL,), 1)]
    assert everybody.uncertain == ()


def test_without_the_policy_that_decided_then_less_is_certain_and_nothing_wrong(company: Workspace) -> None:
    company.remember(*map(company.refund, AMOUNTS))
    gone = company.with_tables(lambda tables: tables["needs"].clear())
    replayed = company.replay(company.with_tables(large(30_000)), settings=gone)
    assert replayed.flips == ()
    assert sum(group.count for group in replayed.uncertain) == 4


def test_what_does_not_depend_on_a_value_is_certain_without_it(company: Workspace) -> None:
    bob = person("intern", subject="bob")
    company.remember(
        company.asked("get_order", {"order_id": "O1"}, principal=bob),
        company.asked("get_order", {"order_id": "O1"}),
        company.asked("list_orders", {}, principal=bob),
    )
    replayed = company.replay(company.with_tables(lambda tables: tables["roles"].update(intern={})))
    assert told(replayed.flips) == [(ALLOW, (DENY,), 2)]
    assert [call.tool for call in replayed.flips[0].calls] == ["get_order", "list_orders"]
    assert (replayed.guessed, replayed.uncertain) == (2, ())


@pytest.mark.parametrize(
    ("limit", "flips", "uncertain"),
    [
        (-5, [(ALLOW, (DENY,), 1)], []),
        (0, [(ALLOW, (DENY,), 1)], []),  # no less than 1, by the tool's schema
        (1, [], [(ALLOW, (ALLOW, DENY), 1)]),
        (7_654, [], [(ALLOW, (ALLOW, DENY), 1)]),
        (12_345, [], []),  # no more than 10000: it needed no approval
    ],
)
def test_a_limit_of_any_size_is_noticed(
    company: Workspace, limit: int, flips: list[object], uncertain: list[object]
) -> None:
    company.remember(company.refund(50))
    rule = f'decision := {{"allow": false}} if input.arguments.amount > {limit} else := {{"allow": true}}'
    replayed = company.replay(company.with_policy(rule))
    assert told(replayed.flips) == flips
    assert told(replayed.uncertain) == uncertain


def test_a_value_of_a_list_is_noticed(company: Workspace) -> None:
    company.remember(company.refund(50))
    rule = 'decision := {"allow": false} if input.arguments.reason == "goodwill" else := {"allow": true}'
    assert told(company.replay(company.with_policy(rule)).uncertain) == [(ALLOW, (ALLOW, DENY), 1)]


def test_times_are_those_of_the_call(company: Workspace) -> None:
    company.remember(company.refund(50, now=NOW), company.refund(60, now=NOW + 12 * 3600))
    rule = 'decision := {"allow": false} if input.time.hour > 12 else := {"allow": true}'
    replayed = company.replay(company.with_policy(rule))
    assert told(replayed.flips) == [(ALLOW, (DENY,), 1)]


# ── approvals, sign-ins, failures ────────────────────────────────────────────────────────


def test_a_call_that_was_approved_stays_so_where_policy_goes_on_to_want_it(company: Workspace) -> None:
    approved = ApprovalState("approved", "A1", "alice", "elicitation")
    company.remember(company.refund(20_000, approval=approved), company.refund(20_000), keeper=ENCRYPTED)
    wants_always = (
        'decision := {"allow": true, "obligations": [{"id": "a", "type": "require_approval", '
        '"properties": {"approvers": ["user"]}}]}'
    )
    assert company.replay(company.with_policy(wants_always), KEY).flips == ()
    permits = company.replay(company.with_policy('decision := {"allow": true}'), KEY)
    assert told(permits.flips) == [(APPROVAL, (ALLOW,), 1)]


def test_a_sign_in_that_is_wanted_is_told_from_one_that_is_there(company: Workspace) -> None:
    rule = (
        'decision := {"allow": true, "obligations": [{"id": "fresh", "type": "step_up", '
        '"properties": {"acr_values": ["phr"], "max_age": 300}}]}'
    )
    fresh, stale = person(acr="phr", auth_time=NOW - 100), person(acr="phr", auth_time=NOW - 400)
    company.remember(*(company.refund(50, principal=each) for each in (person(), fresh, stale)))
    under = company.with_policy(rule)
    replayed = company.replay(under)
    assert told(replayed.flips) == [(ALLOW, (SIGN_IN,), 2)]
    assert replayed.flips[0].rule.endswith("step_up fresh")

    company.remember(company.refund(50), policy=under, now=NOW + 10)
    back = company.replay(company.with_policy('decision := {"allow": true}'), since=NOW + 5)
    assert told(back.flips) == [(SIGN_IN, (ALLOW,), 1)]


def test_what_failed_then_is_decided_about_now(company: Workspace) -> None:
    broken = company.with_policy(
        'decision := {"allow": true} if input.subject.id == ""\n'
        'decision := {"allow": 1 / input.context.nothing} if input.subject.id != ""\n'
    )
    company.remember(company.refund(50), policy=broken)
    assert told(company.replay().uncertain) == [(DENY, (ALLOW, APPROVAL, DENY), 1)]
    permits = company.replay(company.with_policy('decision := {"allow": true}'))
    assert [(group.rule, group.now) for group in permits.flips] == [("policy_failed", (ALLOW,))]


def test_what_would_fail_now_is_said_with_its_cause(company: Workspace) -> None:
    company.remember(company.refund(50))
    failing = company.with_policy(
        'decision := {"allow": true} if input.subject.id == ""\n'
        'decision := {"allow": true, "sure": true} if input.subject.id != ""\n'
    )
    (group,) = company.replay(failing).flips
    assert group.now == (DENY,)
    assert group.rule.startswith("policy_failed: ")
    assert "unknown member" in group.rule


# ── what cannot be replayed ──────────────────────────────────────────────────────────────


def test_what_cannot_be_opened_is_left_out_and_counted(company: Workspace) -> None:
    company.remember(company.refund(100), keeper=ENCRYPTED)
    company.remember(company.refund(200), keeper=InputKeeper("encrypted", OTHER_KEY))
    company.remember(company.refund(300), keeper=InputKeeper("none"))
    company.remember(company.refund(400))
    denies = company.with_policy('decision := {"allow": false}')
    replayed = company.replay(denies, OTHER_KEY)
    assert replayed.left_out == {
        "it was encrypted with a key that is not at hand": 1,
        "nothing was kept": 1,
    }
    assert (replayed.calls, replayed.flip_count) == (4, 2)
    assert company.replay(denies, KEY, OTHER_KEY).flip_count == 3


GOOD: dict[str, Any] = {
    "allow": True,
    "rule": "r",
    "revision": "old",
    "reasons": [],
    "obligations": [],
    "input_digest": "",
}


def kept(document: object) -> dict[str, Any]:
    return {
        **GOOD,
        "input": {"mode": "redacted", "text": document if isinstance(document, str) else json.dumps(document)},
    }


def test_what_remit_never_wrote_ends_nothing(company: Workspace) -> None:
    sound = json.loads(json.dumps({**question().document(), "arguments": {"id": "string"}}))
    deep: Any = {}
    for _ in range(300):
        deep = {"x": deep}
    inputs: list[Any] = [
        {**sound, "schema": "remit.authz.input/v9"},
        {**sound, "phase": "result"},
        {**sound, "arguments": {"amount": 5}},
        {**sound, "arguments": [1]},
        {**sound, "subject": "alice"},
        {**sound, "context": {}},
        {**sound, "time": {"ns": "now"}},
        {**sound, "token": {"scopes": 5}},
        {**sound, "result": deep},
        {},
        [],
        "nonsense",
    ]
    parts = {"tool": {"name": "t"}, "principal": {"subject": "s"}, "actor": {"sub": "a"}, "arguments": {"bytes": 2}}
    company.write(
        *({**parts, "decision": kept(each)} for each in inputs),
        {**parts, "decision": {**GOOD, "input": ["redacted"]}},
        {**parts, "decision": {**GOOD, "input": {"mode": "unheard-of", "text": "{}"}}},
        {**parts, "decision": "allow"},
        {"decision": kept(sound)},
        {**parts, "arguments": {"bytes": 99}, "decision": kept({**sound, "arguments": {}})},
        {**parts, "kind": "shadow", "decision": kept(sound)},
        {**parts},
        {**parts, "decision": kept(sound)},
    )
    replayed = company.replay(company.with_policy('decision := {"allow": false}'))
    assert replayed.flip_count == 1
    assert replayed.calls == len(inputs) + 6
    assert sum(replayed.left_out.values()) == replayed.calls - 1
    assert replayed.left_out["the arguments were too large for their names to be kept"] == 1
    assert replayed.left_out["what was kept is an input of another release"] == 2


# ── much of it ───────────────────────────────────────────────────────────────────────────


def test_only_what_is_recent_is_replayed(company: Workspace) -> None:
    for hours in range(12):
        company.remember(company.refund(hours + 1), now=NOW + hours * 3600)
    denies = company.with_policy('decision := {"allow": false}')
    assert company.replay(denies).calls == 12
    assert company.replay(denies, since=NOW + 8 * 3600).calls == 4
    assert company.replay(denies, since=NOW + 900 * 3600).calls == 0


def test_of_many_calls_a_hundred_are_named_and_all_are_counted(company: Workspace) -> None:
    company.remember(*(company.refund(number + 1) for number in range(250)))
    (group,) = company.replay(company.with_policy('decision := {"allow": false}')).flips
    assert (group.count, len(group.calls)) == (250, 100)


def test_a_request_to_a_route_is_uncertain_where_policy_looks_at_its_path(company: Workspace) -> None:
    route = ExchangeTarget(company.tools["get_order"].auth, kind="route", method="GET", path="/admin/users")
    permits = company.with_policy('decision := {"allow": true}')
    company.remember(question(tool=route, arguments={}), policy=permits)
    rule = (
        'decision := {"allow": false} if startswith(input.resource.properties.path, "/admin/") else := {"allow": true}'
    )
    replayed = company.replay(company.with_policy(rule))
    assert told(replayed.uncertain) == [(ALLOW, (ALLOW, DENY), 1)]


def test_an_empty_trail_is_none_to_worry_about(company: Workspace) -> None:
    company.write()
    replayed = company.replay()
    assert (replayed.calls, replayed.flips, replayed.left_out) == (0, (), {})
