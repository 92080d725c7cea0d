from __future__ import annotations

import asyncio
import copy
import dataclasses
import statistics
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import PolicyInvalid
from remit.policy.bundle import Bundle
from remit.policy.decision import Decision, Deny, Permit
from remit.policy.input import ApprovalState, Phase, Question
from remit.policy.obligations import OF_A_ROUTE
from remit.policy.tables import check_tables
from remit.policy.testing import run_tests
from remit.principal import ActingParty, Actor, Assurance, DelegationChain
from support.policy import LIBRARY, NOW, decide, exchange, person, question, standard, tool

Tables = dict[str, Any]

PLAIN: Tables = {
    "roles": {"support-lead": {"orders": ["read", "write"]}},
    "agents": {"agent-runner": {}},
    "services": {"shop": None},
}
STS = "https://sts.example"
HOUR = 3600


def agent(name: str, assurance: Assurance = Assurance.AUTHENTICATED) -> ActingParty:
    return ActingParty(Actor(name, STS), assurance, "actor_token")


def answer(tables: Tables, asked: Question, rules: str = "") -> Decision:
    """The decision by sound tables, with own rules beside."""
    assert check_tables(tables) == []
    decision = decide(standard(tables, rules), asked)
    assert not (isinstance(decision, Deny) and decision.failed), decision
    return decision


def codes(tables: Tables, asked: Question, rules: str = "") -> set[str]:
    """Why not; empty for a permit."""
    return {reason.code for reason in answer(tables, asked, rules).reasons}


def demands(tables: Tables, asked: Question) -> dict[str, Any]:
    """What a permit demands: type and properties."""
    decision = answer(tables, asked)
    assert isinstance(decision, Permit), decision.reasons
    return {each.type: each.properties for each in decision.obligations}


def needing(**need: Any) -> Tables:
    """Plain tables, and one need."""
    return {**PLAIN, "needs": {"it": need}}


def test_the_tests_that_come_with_it_pass() -> None:
    modules = {f"remit/{name}": (LIBRARY / name).read_text("utf-8") for name in ("standard.rego", "authz.rego")}
    tests = {"standard_test.rego": (LIBRARY / "standard_test.rego").read_text("utf-8")}
    report = run_tests(Bundle.of(modules, tests=tests))
    assert report.results
    assert {result.outcome for result in report.results} == {"passed"}


# ── what the user may do ─────────────────────────────────────────────────────────────────

READ, REFUND, OTHER = "get_orders", "refund_orders", "get_payments"


def spelled(value: object) -> str:
    """A name that is the same in every process: a set's order is not."""
    return str(sorted(value)) if isinstance(value, set) else str(value)


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        ({"orders": ["read"]}, {READ}),
        ({"orders": ["write"]}, {REFUND}),
        ({"orders": ["read", "write"]}, {READ, REFUND}),
        ({"orders": []}, set()),
        ({"*": ["read"]}, {READ, OTHER}),
        ({"*": ["read"], "orders": ["write"]}, {READ, REFUND, OTHER}),
        ({"orders": [{"tool": "get_*"}]}, {READ}),
        ({"orders": [{"tool": "refund_orders"}]}, {REFUND}),
        ({"orders": [{"tool": ["get_orders", "refund_orders"]}]}, {READ, REFUND}),
        ({"orders": [{"tool": "*"}]}, {READ, REFUND}),
        ({"orders": [{"effects": "read"}]}, {READ}),
        ({"orders": [{"effects": ["read", "write"], "destructive": False}]}, {READ}),
        ({"orders": [{"tags": ["x", "money"]}]}, {REFUND}),
        ({"orders": [{"tool": "get_*", "tags": ["money"]}]}, set()),
        ({"orders": ["read", {"tags": ["money"]}]}, {READ, REFUND}),
        ({"*": [{"data_classes": ["pii"]}]}, set()),
        ({"payments": ["read"]}, {OTHER}),
        ({}, set()),
    ],
    ids=spelled,
)
def test_a_permission_covers_what_it_says_and_nothing_else(permissions: Tables, allowed: set[str]) -> None:
    tables = {"roles": {"support-lead": permissions}, "agents": {"agent-runner": {}}}
    for phase in (Phase.TOOL_LIST, Phase.TOOL_CALL, Phase.RESULT):
        for name in (READ, REFUND, OTHER):
            found = codes(tables, question(name, phase=phase))
            assert found == (set() if name in allowed else {"role_forbids"})


def test_what_roles_groups_and_the_user_are_given_adds_up() -> None:
    tables = {
        "roles": {"support-lead": {"orders": ["read"]}},
        "groups": {"sales": {"orders": [{"tool": "refund_*"}]}},
        "users": {"alice": {"may": {"*": ["read"]}}},
        "agents": {"agent-runner": {}},
    }
    alice, bob = person(groups=("sales",)), person(subject="bob")
    assert codes(tables, question(REFUND, principal=alice)) == set()
    assert codes(tables, question(REFUND)) == {"role_forbids"}
    assert codes(tables, question(OTHER)) == set()
    assert codes(tables, question(OTHER, principal=bob)) == {"role_forbids"}


def test_data_classes_are_the_authors_words() -> None:
    tables = {**PLAIN, "roles": {"support-lead": {"orders": [{"data_classes": ["pii"]}]}}}
    private = dataclasses.replace(tool(READ), facts={"dataClass": "pii"})
    assert codes(tables, question(tool=private)) == set()
    assert codes(tables, question()) == {"role_forbids"}


def test_a_subject_of_another_issuer_is_another_user() -> None:
    tables = {**PLAIN, "roles": {}, "users": {"alice": {"issuer": "https://hr.example", "may": {"orders": ["read"]}}}}
    assert codes(tables, question()) == {"role_forbids"}
    assert codes(tables, question(principal=person(issuer="https://hr.example"))) == set()


@pytest.mark.parametrize(("permissions", "told"), [(["read"], True), ([], True), (None, False)])
def test_only_whose_tables_speak_of_an_api_are_told_why(permissions: list[str] | None, told: bool) -> None:
    role = {"payments": ["read"]} if permissions is None else {"orders": permissions}
    rule = 'deny contains {"code": "own", "message": "m", "audience": "user"} if input.phase != ""'
    decision = answer({**PLAIN, "roles": {"support-lead": role}}, question(REFUND), rule)
    assert isinstance(decision, Deny)
    assert {reason.code for reason in decision.user_reasons} == ({"role_forbids", "own"} if told else set())


# ── what agents may do ───────────────────────────────────────────────────────────────────


def chained(*hops: str, first: str = "agent-runner") -> dict[str, Any]:
    chain = DelegationChain(tuple(Actor(hop, STS) for hop in hops))
    return {"acting": agent(first), "principal": person(chain=chain)}


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({}, set()),
        (None, set()),
        ({"issuer": STS}, set()),
        ({"issuer": "https://elsewhere.example"}, {"agent_unknown"}),
        ({"may": {"orders": ["read"]}}, {"agent_forbids"}),
        ({"may": {"*": [{"tool": "refund_*"}]}}, set()),
        ({"may": {}}, {"agent_forbids"}),
        ({"for": {"roles": ["support-lead"]}}, set()),
        ({"for": {"users": ["bob"], "groups": ["sales"]}}, {"agent_not_for_user"}),
        ({"for": {"users": ["alice"]}}, set()),
        ({"assurance": "attested"}, set()),
        ({"assurance": "authenticated"}, {"agent_unproven"}),
    ],
    ids=spelled,
)
def test_an_agent_may_at_most_what_its_entry_says(entry: Tables | None, code: set[str]) -> None:
    tables = {**PLAIN, "groups": {"sales": {}}, "agents": {"agent-runner": entry}}
    asked = question(REFUND, acting=agent("agent-runner", Assurance.ATTESTED))
    assert codes(tables, asked) == code
    at_once = code & {"agent_forbids", "agent_not_for_user"}
    assert codes(tables, dataclasses.replace(asked, phase=Phase.TOOL_LIST, arguments={})) == at_once


def test_who_passes_a_call_on_bounds_it_too() -> None:
    tables = {**PLAIN, "agents": {"agent-runner": {}, "reader": {"may": {"orders": ["read"]}}}}
    assert codes(tables, question(READ, **chained("reader"))) == set()
    assert codes(tables, question(REFUND, **chained("reader"))) == {"agent_forbids"}


@pytest.mark.parametrize(
    ("hops", "found"),
    [
        (["agent-runner"], set()),
        (["agent-runner", "shop"], set()),
        (["shop"], {"agent_unknown"}),
        (["agent-runner", "stranger"], {"agent_unknown"}),
        (["agent-runner", "shop", "agent-runner", "shop"], {"chain_too_deep"}),
    ],
    ids=spelled,
)
def test_agents_call_and_services_pass_on(hops: list[str], found: set[str]) -> None:
    first, *further = hops
    assert codes(PLAIN, question(**chained(*further, first=first))) == found


def test_the_length_of_a_chain_is_the_tables() -> None:
    assert codes({**PLAIN, "max_chain_depth": 1}, question(**chained("shop"))) == {"chain_too_deep"}


@pytest.mark.parametrize(
    ("table", "entry", "found"),
    [
        ("agents", {}, set()),
        ("services", None, set()),
        ("services", {"audiences": ["orders-api"]}, set()),
        ("services", {"audiences": []}, {"audience_forbidden"}),
        ("agents", {"audiences": ["payments-api"]}, {"audience_forbidden"}),
        ("services", {"issuer": "https://elsewhere.example"}, {"agent_unknown"}),
    ],
    ids=spelled,
)
def test_a_token_is_issued_by_agents_and_services_and_never_by_roles(
    table: str, entry: Tables | None, found: set[str]
) -> None:
    tables = {table: {"shop": entry}, "needs": {"all": {"deny": "never"}}}
    nobody = person(roles=())
    decision = answer(tables, exchange(principal=nobody, acting=agent("shop")))
    assert {reason.code for reason in decision.reasons} == found
    assert {reason.audience for reason in decision.reasons} <= {"user"}
    assert codes(tables, exchange(principal=nobody, acting=agent("stranger"))) == {"agent_unknown"}


# ── what a tool needs ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("match", "concerned"),
    [
        ({}, {READ, REFUND}),
        ({"server": "orders"}, {READ, REFUND}),
        ({"server": ["orders", "payments"]}, {READ, REFUND}),
        ({"server": "payments"}, set()),
        ({"tool": "*_orders"}, {READ, REFUND}),
        ({"tool": ["refund_orders", "x"]}, {REFUND}),
        ({"effects": ["write"]}, {REFUND}),
        ({"destructive": True}, {REFUND}),
        ({"destructive": False}, {READ}),
        ({"tags": ["money"], "effects": "read"}, set()),
        ({"data_classes": "pii"}, set()),
    ],
    ids=spelled,
)
def test_a_need_concerns_what_it_matches(match: Tables, concerned: set[str]) -> None:
    tables = needing(match=match, deny="not any more")
    for phase in (Phase.TOOL_LIST, Phase.TOOL_CALL):
        for name in (READ, REFUND):
            found = codes(tables, question(name, phase=phase))
            assert found == ({"forbidden"} if name in concerned else set())
    assert codes(tables, question(REFUND, phase=Phase.RESULT)) == set()


@pytest.mark.parametrize(
    "people", [{"roles": ["support-lead"]}, {"groups": ["sales"]}, {"users": ["alice"]}], ids=spelled
)
def test_needs_can_be_for_some_people_only_and_spare_some(people: Tables) -> None:
    known = {"groups": {"sales": {"orders": ["read"]}}}
    alice, bob = person(groups=("sales",)), person(subject="bob", roles=("x",), groups=())
    everybody = {"users": {name: {"may": {"orders": ["read"]}} for name in ("alice", "bob")}}
    for phase in (Phase.TOOL_LIST, Phase.TOOL_CALL):
        only, spared = (
            {**needing(**need), **known, **everybody} for need in ({"only": people}, {"unless": people, "deny": "no"})
        )
        assert codes(only, question(principal=alice, phase=phase)) == set()
        assert codes(only, question(principal=bob, phase=phase)) == {"not_entitled"}
        assert codes(spared, question(principal=alice, phase=phase)) == set()
        assert codes(spared, question(principal=bob, phase=phase)) == {"forbidden"}


def test_a_user_named_with_their_issuer_is_nobody_elses_user_of_that_name() -> None:
    tables = {**needing(only={"users": ["https://idp.example#alice"]}), "roles": PLAIN["roles"]}
    assert codes(tables, question(principal=person())) == set()
    assert codes(tables, question(principal=person(issuer="https://other.example"))) == {"not_entitled"}


def test_a_name_that_looks_like_one_with_an_issuer_is_not_taken_for_it() -> None:
    odd = person(subject="https://idp.example#alice", issuer="https://other.example")
    tables = {**needing(only={"users": ["https://idp.example#alice"]}), "roles": PLAIN["roles"]}
    assert codes(tables, question(principal=odd)) == {"not_entitled"}


@pytest.mark.parametrize("amount", [0, 99.5, 100])
def test_an_amount_up_to_the_limit_is_within_it(amount: float) -> None:
    assert codes(needing(over=100, deny="too much"), question(REFUND, arguments={"amount": amount})) == set()


@pytest.mark.parametrize("amount", [100.5, 2**53 - 1, -1, "5", "", None, True, [], {"amount": 5}])
def test_any_other_amount_is_over_it(amount: Any) -> None:
    assert codes(needing(over=100, deny="too much"), question(REFUND, arguments={"amount": amount})) == {"forbidden"}


def test_an_amount_that_is_missing_could_be_any() -> None:
    tables = needing(over=100, deny="too much")
    assert codes(tables, question(REFUND)) == {"forbidden"}
    assert codes(tables, question(REFUND, phase=Phase.TOOL_LIST, arguments={})) == set()
    assert codes(tables, question(READ)) == set(), "it moves no money"


def test_a_need_may_name_its_argument() -> None:
    tables = needing(match={"tool": READ}, over=10, argument="limit", deny="too many")
    assert codes(tables, question(READ, arguments={"limit": 10})) == set()
    assert codes(tables, question(READ, arguments={"limit": 11})) == {"forbidden"}


@pytest.mark.parametrize(("need", "code"), [({"over": 100}, "amount_needs_scope"), ({}, "scope_needed")])
def test_a_scope_can_be_needed(need: Tables, code: str) -> None:
    tables = needing(**need, scopes=["refunds:large"])
    assert codes(tables, question(REFUND)) == {code}
    assert codes(tables, question(REFUND, principal=person(scopes=("refunds:large",)))) == set()
    assert codes(tables, question(REFUND, phase=Phase.TOOL_LIST)) == set()


@pytest.mark.parametrize(
    ("hours", "later", "is_open"),
    [  # NOW is a Friday, 08:00 UTC
        ({"from": "08:00", "to": "18:00"}, 0, True),
        ({"from": "08:00", "to": "18:00"}, -1, False),
        ({"from": "08:00", "to": "18:00"}, 10 * HOUR - 1, True),
        ({"from": "08:00", "to": "18:00"}, 10 * HOUR, False),
        ({"from": "00:00", "to": "24:00", "days": ["Friday"]}, 16 * HOUR - 1, True),
        ({"from": "00:00", "to": "24:00", "days": ["Friday"]}, 16 * HOUR, False),
        ({"from": "00:00", "to": "24:00", "days": ["Saturday"]}, 16 * HOUR, True),
        ({"from": "00:00", "to": "24:00", "days": ["Friday"], "utc_offset": -8}, 24 * HOUR - 1, True),
        ({"from": "00:00", "to": "24:00", "days": ["Friday"], "utc_offset": -8}, -1, False),
        ({"from": "13:30", "to": "13:31", "utc_offset": 5.5}, 0, True),
        ({"from": "22:00", "to": "06:00"}, 0, False),
        ({"from": "22:00", "to": "06:00"}, 14 * HOUR, True),
        ({"from": "22:00", "to": "06:00"}, 22 * HOUR - 1, True),
        ({"from": "22:00", "to": "06:00"}, 22 * HOUR, False),
    ],
    ids=spelled,
)
def test_hours_are_those_of_the_place(hours: Tables, later: int, is_open: bool) -> None:
    tables = needing(hours=hours)
    assert codes(tables, question(now=NOW + later)) == (set() if is_open else {"outside_hours"})
    assert codes(tables, question(now=NOW + later, phase=Phase.TOOL_LIST)) == set()
    assert codes(tables, question(now=NOW + later, phase=Phase.RESULT)) == set()


def test_some_tools_need_an_agent_that_proves_more() -> None:
    tables = needing(match={"effects": ["write"]}, assurance="attested")
    weak = agent("agent-runner", Assurance.REGISTERED)
    assert codes(tables, question(REFUND, acting=weak)) == {"agent_unproven"}
    assert codes(tables, question(READ, acting=weak)) == set()
    assert codes(tables, question(REFUND)) == set()


DEMANDS: Tables = {
    "limit_lifetime": {"seconds": 60},
    "narrow_scopes": {"scopes": ["orders:read"]},
    "require_approval": {"approvers": ["user"], "expires_in": 60},
    "step_up": {"max_age": 300},
}


def test_what_is_demanded_stands_in_a_call_as_it_stands_in_the_table() -> None:
    assert demands(needing(**DEMANDS), question()) == DEMANDS
    for asked in (question(phase=Phase.TOOL_LIST), question(phase=Phase.RESULT), exchange()):
        assert demands(needing(**DEMANDS), asked) == {}


def test_the_first_time_of_a_pair_may_need_more() -> None:
    tables = needing(first_time=True, require_approval={"approvers": ["user"]})
    assert "require_approval" in demands(tables, question(first_time=True))
    assert demands(tables, question()) == {}


@pytest.mark.parametrize(
    ("approvers", "approver", "open_still"),
    [
        (["user"], "alice", False),
        (["user"], "bob", True),
        (["role:support-lead"], "bob", False),
        (["role:support-lead"], "alice", True),
        (["user:bob"], "bob", False),
        (["user:bob"], "carol", True),
        (["user:alice"], "alice", True),
        (["user:carol", "group:sales"], "bob", False),
        (["user", "role:support-lead"], "bob", False),
    ],
    ids=spelled,
)
def test_an_approval_counts_where_its_approver_was_asked_for(
    approvers: list[str], approver: str, open_still: bool
) -> None:
    tables = {**needing(require_approval={"approvers": approvers}), "groups": {"sales": {}}}
    given_ = question(approval=ApprovalState("approved", "1", approver))
    assert ("require_approval" in demands(tables, given_)) is open_still
    for state in ("none", "pending", "denied"):
        assert "require_approval" in demands(tables, question(approval=ApprovalState(state, "1", approver)))


def test_a_result_is_redacted_when_it_is_there() -> None:
    tables = needing(redact_result={"pointers": ["/a"], "mode": "hash"}, hours={"from": "09:00", "to": "10:00"})
    assert demands(tables, question(phase=Phase.RESULT)) == {"redact_result": {"pointers": ["/a"], "mode": "hash"}}


@pytest.mark.parametrize(
    ("need", "found"),
    [
        ({"redact_result": {"pointers": ["/a"], "mode": "hash"}}, {"not_possible_here"}),
        ({"require_approval": {"approvers": ["user"]}}, {"not_possible_here"}),
        ({"step_up": {"max_age": 60}}, set()),
    ],
    ids=spelled,
)
def test_what_a_route_cannot_do_closes_it(need: Tables, found: set[str]) -> None:
    document = question(supported=OF_A_ROUTE).document()
    document["resource"]["type"] = "route"
    decision = asyncio.run(standard(needing(**need)).decide(document))
    assert {reason.code for reason in decision.reasons} == found


# ── own rules ────────────────────────────────────────────────────────────────────────────


def test_own_rules_take_away_and_demand() -> None:
    rules = (
        'deny contains {"code": "closed", "message": "closed on Fridays", "audience": "user"} if {\n'
        '\tinput.time.weekday == "Friday"\n\tinput.action.properties.effect == "write"\n}\n'
        'obligations contains {"id": "o", "type": "limit_lifetime", "properties": {"seconds": 5}}\n'
    )
    assert codes(PLAIN, question(REFUND), rules) == {"closed"}
    permit = answer(PLAIN, question(READ), rules)
    assert isinstance(permit, Permit)
    assert [each.id for each in permit.obligations] == ["o"]
    assert codes({**PLAIN, "roles": {}}, question(READ), rules) == {"role_forbids"}


@pytest.mark.parametrize(
    "rules",
    [
        "deny if asked",
        "deny := [] if asked",
        'deny contains "closed" if asked',
        "obligations := {} if asked",
        "obligations contains 1 if asked",
    ],
)
def test_own_rules_that_cannot_be_read_deny(rules: str) -> None:
    """A deny that nobody understood must not be passed over."""
    decision = decide(standard(PLAIN, f'asked if input.subject.id != ""\n{rules}\n'), question())
    assert isinstance(decision, Deny)
    assert decision.failed
    with pytest.raises(PolicyInvalid):  # where it shows at once, the policy is not used at all
        standard(PLAIN, f"asked := true\n{rules}\n")


# ── invariants ───────────────────────────────────────────────────────────────────────────

ROLES = ("support-lead", "intern", "auditor")
permissions = st.lists(
    st.sampled_from(["read", "write"])
    | st.fixed_dictionaries({"tool": st.sampled_from(["get_*", "refund_orders", "*"])})
    | st.fixed_dictionaries({"effects": st.just(["read"]), "destructive": st.booleans()}),
    max_size=2,
)
may = st.dictionaries(st.sampled_from(["orders", "payments", "*"]), permissions, max_size=2)
people = st.lists(st.sampled_from(ROLES), min_size=1, max_size=2).map(lambda roles: {"roles": roles})
match = st.fixed_dictionaries(
    {}, optional={"server": st.sampled_from(["orders", "payments"]), "effects": st.sampled_from(["read", "write"])}
)
need = st.fixed_dictionaries(
    {},
    optional={
        "match": match,
        "unless": people,
        "over": st.integers(0, 200),
        "first_time": st.just(True),
        "only": people,
        "scopes": st.just(["refunds:large"]),
        "limit_lifetime": st.just({"seconds": 9}),
    },
)
tables = st.fixed_dictionaries(
    {
        "roles": st.fixed_dictionaries(dict.fromkeys(ROLES, may)),
        "agents": st.fixed_dictionaries({"agent-runner": st.just({}) | st.builds(dict, may=may)}),
        "needs": st.dictionaries(st.sampled_from("abc"), need, max_size=3),
    }
)
questions = st.builds(
    lambda roles, name, phase, amount: question(
        name, phase=phase, principal=person(roles=tuple(roles)), arguments={"amount": amount}
    ),
    st.lists(st.sampled_from(ROLES), min_size=1, max_size=3, unique=True),
    st.sampled_from([READ, REFUND, OTHER]),
    st.sampled_from(list(Phase)),
    st.integers(-1, 300) | st.none(),
)


@settings(max_examples=25, deadline=None)
@given(tables, match, st.lists(questions, min_size=1, max_size=6))
def test_one_more_need_never_allows_what_was_denied(before: Tables, match: Tables, asked: list[Question]) -> None:
    after = copy.deepcopy(before)
    after["needs"]["more"] = {"match": match, "deny": "no"}
    old, new = standard(before), standard(after)
    for each in asked:
        assert decide(old, each).allow or not decide(new, each).allow


@settings(max_examples=25, deadline=None)
@given(tables, st.lists(questions, min_size=1, max_size=6))
def test_one_role_less_never_allows_what_was_denied(before: Tables, asked: list[Question]) -> None:
    after = copy.deepcopy(before)
    after["roles"].pop("auditor")
    old, new = standard(before), standard(after)
    for each in asked:
        allowed = decide(old, each).allow
        assert allowed or not decide(new, each).allow
        fewer = dataclasses.replace(each.principal, roles=each.principal.roles[1:])
        assert allowed or not decide(old, dataclasses.replace(each, principal=fewer)).allow


@settings(max_examples=25, deadline=None)
@given(tables, st.lists(questions, min_size=1, max_size=6))
def test_a_call_that_is_allowed_is_listed_and_answered(before: Tables, asked: list[Question]) -> None:
    engine = standard(before)
    for each in asked:
        call = dataclasses.replace(each, phase=Phase.TOOL_CALL)
        listing = dataclasses.replace(each, phase=Phase.TOOL_LIST, arguments={})
        result = dataclasses.replace(each, phase=Phase.RESULT)
        if decide(engine, call).allow:
            assert decide(engine, listing).allow
            assert decide(engine, result).allow


# ── size ─────────────────────────────────────────────────────────────────────────────────

MANY = 10_000


@pytest.mark.parametrize(
    "large",
    [
        {"roles": {**PLAIN["roles"], **{f"role-{n}": {"orders": ["read"]} for n in range(MANY)}}},
        {"roles": {"support-lead": {"orders": ["read"], **{f"api-{n}": ["read"] for n in range(MANY)}}}},
        {"agents": {**PLAIN["agents"], **{f"agent-{n}": {} for n in range(MANY)}}},
        {"users": {f"user-{n}": {"may": {"orders": ["read"]}} for n in range(MANY)}},
    ],
    ids=["roles", "grants", "agents", "users"],
)
def test_large_tables_are_looked_up_and_not_searched(large: Tables) -> None:
    document = question().document()

    def median(tables: Tables) -> float:
        engine = standard(tables)

        async def times() -> list[float]:
            taken = []
            for _ in range(100):
                started = time.perf_counter()
                assert (await engine.decide(document)).allow
                taken.append(time.perf_counter() - started)
            return taken

        return statistics.median(asyncio.run(times()))

    small, big = median(PLAIN), median({**PLAIN, **large})
    assert big < 2 * small or big < 2 * median(PLAIN), (small, big)


# ── agents that nobody listed ────────────────────────────────────────────────────────────


def test_an_entry_called_star_stands_for_every_agent_without_one_of_its_own() -> None:
    tables = {**PLAIN, "agents": {"agent-runner": {"may": {}}, "*": {"for": {"roles": ["support-lead"]}}}}
    stranger = dataclasses.replace(question(READ), acting=agent("https://ide.example/client"))
    assert codes(tables, stranger) == set()
    assert codes(tables, question(READ)) == {"agent_forbids"}
    assert "agent_unknown" in codes({**tables, "agents": {"agent-runner": {}}}, stranger)


def test_the_entry_called_star_says_how_sure_a_stranger_must_be() -> None:
    tables = {**PLAIN, "agents": {"*": {"assurance": "registered"}}}
    for assurance, found in ((Assurance.SELF_ASSERTED, {"agent_unproven"}), (Assurance.REGISTERED, set())):
        asked = dataclasses.replace(question(READ), acting=agent("ide", assurance))
        assert codes(tables, asked) == found


def test_a_service_is_no_agent_for_there_being_an_entry_called_star() -> None:
    tables = {**PLAIN, "agents": {"*": {}}}
    asked = dataclasses.replace(question(READ), acting=agent("shop"))
    assert codes(tables, asked) == {"agent_unknown"}


def test_who_passes_a_call_on_has_to_be_known_like_who_asks_for_it() -> None:
    acting = dataclasses.replace(agent("ide"), via=Actor("agent-runner", STS))
    asked = dataclasses.replace(question(READ), acting=acting)
    assert codes({**PLAIN, "agents": {"ide": {}, "agent-runner": {}}}, asked) == set()
    assert codes({**PLAIN, "agents": {"ide": {}}}, asked) == {"agent_unknown"}
    assert codes({**PLAIN, "agents": {"agent-runner": {}}}, asked) == {"agent_unknown"}
