"""What would have to be otherwise: only what policy permits is said, and the question stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from remit.policy.bundle import Bundle
from remit.policy.counterfactual.search import Found, search
from remit.policy.counterfactual.trial import Case, Verdict
from remit.policy.input import Question
from remit.policy.vocabulary import AGENT, GROUP, ROLE, SCOPE, Vocabulary
from remit.principal import ActingParty, Actor, Assurance, DelegationChain
from support.policy import NOW, RUNNER, person, question

#: A policy as a function: the codes of its reasons, none: permitted.
Policy = Callable[[Question], set[str]]
WORDS = Vocabulary(
    {
        ROLE: ("support-lead", "manager"),
        SCOPE: ("refunds:large",),
        GROUP: ("on-call",),
        AGENT: ("agent-runner", "night-runner"),
    },
    ("support-lead", "manager", "refunds:large", "on-call", "agent-runner", "night-runner", "orders"),
    (50_000, 10_000, 3),
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["amount"],
    "properties": {
        "amount": {"type": "integer", "minimum": 1, "maximum": 10**8},
        "reason": {"enum": ["damaged", "late", "goodwill"]},
        "express": {"type": "boolean"},
    },
}
INTERN = person("intern")
HOUR = 3600


def fits(arguments: Any) -> bool:
    amount, reason = arguments.get("amount"), arguments.get("reason", "late")
    is_whole = isinstance(amount, int) and not isinstance(amount, bool)
    is_known = reason in ("damaged", "late", "goodwill") and isinstance(arguments.get("express", True), bool)
    return is_whole and 1 <= amount <= 10**8 and is_known


def asked(amount: int = 60_000, **changes: Any) -> Question:
    return question("refund_orders", arguments={"amount": amount, **changes.pop("more", {})}, **changes)


def found(
    policy: Policy, asked: Question, *, words: Vocabulary = WORDS, waits: Callable[[Question], bool] | None = None
) -> Found:
    """What the search finds for a policy. ``waits``: whose permits wait for an approval."""

    def verdict(question: Question) -> Verdict:
        codes = policy(question)
        if codes:
            return Verdict(allowed=False, codes=frozenset(codes))
        return Verdict(allowed=True, conditions=("the user approves it",) if waits and waits(question) else ())

    searching = search(Case(asked, verdict(asked), words, SCHEMA, fits))
    try:
        questions = next(searching)
        while True:
            questions = searching.send([verdict(each) for each in questions])
    except StopIteration as done:
        result: Found = done.value
        return result


def says(policy: Policy, asked: Question, **more: Any) -> list[str]:
    return [way.says for way in found(policy, asked, **more).ways]


def denies(code: str, when: Callable[[Question], Any]) -> Policy:
    return lambda asked: {code} if when(asked) else set()


def at_most(limit: int) -> Policy:
    return denies("too_much", lambda asked: asked.arguments["amount"] > limit)


def needs(*roles: str) -> Policy:
    return denies("wrong_role", lambda asked: not set(roles) & set(asked.principal.roles))


def both(*policies: Policy) -> Policy:
    return lambda asked: set().union(*(policy(asked) for policy in policies))


# ── numbers ──────────────────────────────────────────────────────────────────────────────


def test_a_limit_of_the_policy_is_named() -> None:
    assert says(at_most(50_000), asked()) == ["amount were at most 50000"]


def test_a_limit_that_stands_nowhere_is_found_too() -> None:
    assert says(at_most(31_415), asked()) == ["amount were at most 31415"]


def test_so_is_one_from_below() -> None:
    policy = denies("too_little", lambda asked: asked.arguments["amount"] < 777)
    assert says(policy, asked(5)) == ["amount were at least 777"]


def test_at_most_is_said_only_where_less_would_do_as_well() -> None:
    policy = denies("odd", lambda asked: not 9_000 <= asked.arguments["amount"] <= 10_000)
    assert says(policy, asked()) == ["amount were 10000"]


def test_up_to_where_it_needs_an_approval_and_up_to_where_it_needs_none() -> None:
    ways = found(at_most(50_000), asked(), waits=lambda asked: asked.arguments["amount"] > 10_000).ways
    assert [(way.says, way.conditions) for way in ways] == [
        ("amount were at most 50000", ("the user approves it",)),
        ("amount were at most 10000", ()),
    ]


def test_a_permit_that_waits_is_told_what_would_free_it() -> None:
    ways = found(at_most(10**8), asked(20_000), waits=lambda asked: asked.arguments["amount"] > 10_000).ways
    assert [(way.says, way.conditions) for way in ways] == [("amount were at most 10000", ())]


def test_a_number_inside_of_an_argument_is_one_too() -> None:
    nested = question("refund_orders", arguments={"amount": 1, "total": {"value": 900}})
    policy = denies("too_much", lambda asked: asked.arguments["total"]["value"] > 450)
    assert says(policy, nested) == ["total.value were at most 450"]


@given(limit=st.integers(1, 10**8 - 1), over=st.integers(1, 10**8))
def test_a_limit_is_met_exactly(limit: int, over: int) -> None:
    amount = min(limit + over, 10**8)
    assert says(at_most(limit), asked(amount)) == [f"amount were at most {limit}"]


# ── names and values ─────────────────────────────────────────────────────────────────────


def test_a_role_that_would_do() -> None:
    assert says(needs("manager"), asked(principal=INTERN)) == ["the user had the role manager"]


def test_roles_that_would_do_are_told_together() -> None:
    assert says(needs("manager", "support-lead"), asked(principal=INTERN)) == [
        "the user had one of the roles support-lead, manager"
    ]


def test_what_looks_like_no_role_is_tried_after_what_does() -> None:
    assert says(needs("manager", "orders"), asked(principal=INTERN)) == ["the user had the role manager"]
    assert says(needs("orders"), asked(principal=INTERN)) == ["the user had the role orders"]


def test_where_any_name_would_do_none_is_named() -> None:
    policy = denies("no_group", lambda asked: not asked.principal.groups)
    assert says(policy, asked()) == ["the user were in some other group"]


def test_one_role_is_found_among_ten_thousand() -> None:
    roles = tuple(f"role-{number}" for number in range(10_000))
    tried = []

    def policy(asked: Question) -> set[str]:
        tried.append(asked)
        return needs("role-7777")(asked)

    words = Vocabulary({ROLE: roles}, roles)
    assert says(policy, asked(principal=INTERN), words=words) == ["the user had the role role-7777"]
    assert len(tried) < 1500


def test_a_scope_an_agent_and_an_assurance() -> None:
    scope = denies("scope", lambda asked: "refunds:large" not in asked.principal.scopes)
    assert says(scope, asked()) == ["the user's token held the scope refunds:large"]
    stranger = ActingParty(Actor("stranger", RUNNER.actor.iss), Assurance.REGISTERED, "client_id")
    agent = denies("agent", lambda asked: asked.acting.actor.sub != "night-runner")
    assert says(agent, asked(acting=stranger)) == ["the agent night-runner acted"]
    weak = denies("weak", lambda asked: asked.acting.assurance is not Assurance.AUTHENTICATED)
    assert says(weak, asked(acting=stranger)) == ["the agent were authenticated"]


def test_what_the_schema_lists_and_what_may_be_left_out() -> None:
    late = denies("reason", lambda asked: asked.arguments.get("reason") not in ("damaged", "goodwill"))
    assert says(late, asked(more={"reason": "late"})) == ["reason were one of damaged, goodwill"]
    given = denies("reason", lambda asked: "reason" in asked.arguments)
    assert says(given, asked(more={"reason": "late"})) == ["reason were left out"]
    express = denies("express", lambda asked: asked.arguments.get("express"))
    assert says(express, asked(more={"express": True})) == ["express were left out", "express were false"]


def test_what_the_user_would_better_not_have() -> None:
    suspended = person("support-lead", roles=("support-lead", "suspended"))
    policy = denies("suspended", lambda asked: "suspended" in asked.principal.roles)
    assert says(policy, asked(principal=suspended)) == ["the user did not have the role suspended"]


def test_a_chain_a_first_time_and_an_approval() -> None:
    chain = denies("deep", lambda asked: asked.principal.chain)
    handed_on = person(chain=DelegationChain((Actor("gateway"),)))
    assert says(chain, asked(principal=handed_on)) == ["nobody had handed the request on to the agent"]
    new = denies("new", lambda asked: asked.first_time)
    assert says(new, asked(first_time=True)) == ["the agent had acted for the user before"]
    unasked = denies("unasked", lambda asked: asked.approval.state != "approved")
    by_user, by_another = says(unasked, asked())
    assert by_user.startswith("the user had approved it, which policy would have to demand")
    assert by_another.startswith("somebody else had approved it")


# ── times ────────────────────────────────────────────────────────────────────────────────


def minutes_of(asked: Question) -> int:
    return int(asked.now // 60) % (24 * 60)


def test_the_hours_that_would_do_are_told_to_the_minute() -> None:
    policy = denies("closed", lambda asked: not 9 * 60 + 30 <= minutes_of(asked) < 17 * 60)
    assert says(policy, asked(now=NOW + 17)) == ["it were Friday 2027-01-15 09:30 to 17:00 UTC"]


def test_hours_over_midnight_and_a_date_to_wait_for() -> None:
    night = denies("day", lambda asked: 6 * 60 <= minutes_of(asked) < 22 * 60)
    assert says(night, asked()) == ["it were Friday 2027-01-15 22:00 to Saturday 2027-01-16 06:00 UTC"]
    later = denies("early", lambda asked: asked.now < NOW + 50 * HOUR)
    assert says(later, asked()) == ["it were Sunday 2027-01-17 10:00 UTC or later"]


def test_a_token_does_not_expire_for_being_asked_about_later() -> None:
    def policy(asked: Question) -> set[str]:
        expired = asked.principal.expires_at < asked.now
        return {"expired"} if expired else {"closed"} if minutes_of(asked) < 12 * 60 else set()

    assert says(policy, asked()) == ["it were Friday 2027-01-15 12:00 to Saturday 2027-01-16 00:00 UTC"]


def test_the_end_of_all_calendars_is_no_fault() -> None:
    assert says(lambda asked: {"no"}, asked(now=253_402_300_000)) == []


# ── two changes ──────────────────────────────────────────────────────────────────────────


def test_two_changes_where_one_is_not_enough() -> None:
    ways = says(both(at_most(50_000), needs("manager")), asked(principal=INTERN))
    assert ways == ["amount were at most 50000, and the user had the role manager"]


def test_a_limit_that_depends_on_the_other_change_is_right_beside_it() -> None:
    def policy(asked: Question) -> set[str]:
        limits = {"support-lead": 10_000, "manager": 50_000}
        limit = max((limits.get(role, 0) for role in asked.principal.roles), default=0)
        return {"not_yours"} if not limit else {"too_much"} if asked.arguments["amount"] > limit else set()

    assert says(policy, asked(principal=INTERN)) == [
        "amount were at most 10000, and the user had the role support-lead",
        "amount were at most 50000, and the user had the role manager",
    ]


def test_denials_that_say_nothing_are_looked_into_by_what_is_likely() -> None:
    policy = both(at_most(50_000), needs("manager"))
    assert says(lambda asked: {""} if policy(asked) else set(), asked(principal=INTERN)) == [
        "amount were at most 50000, and the user had the role manager"
    ]


def test_where_two_are_not_enough_each_that_helps_is_told() -> None:
    policy = both(at_most(50_000), needs("manager"), denies("group", lambda asked: not asked.principal.groups))
    result = found(policy, asked(principal=INTERN))
    assert result.ways == ()
    assert [step.says for step in result.steps] == [
        "amount were at most 50000",
        "the user had the role manager",
        "the user were in some other group",
    ]


def test_where_nothing_helps_nothing_is_said() -> None:
    assert found(lambda asked: {"never"}, asked()) == Found()


# ── always ───────────────────────────────────────────────────────────────────────────────

rules = st.sampled_from(
    [
        at_most(50_000),
        at_most(10_000),
        at_most(123),
        needs("manager"),
        needs("support-lead", "orders"),
        denies("scope", lambda asked: "refunds:large" not in asked.principal.scopes),
        denies("chain", lambda asked: asked.principal.chain),
        denies("agent", lambda asked: asked.acting.actor.sub == "stranger"),
        denies("hours", lambda asked: minutes_of(asked) >= 17 * 60),
        denies("reason", lambda asked: asked.arguments.get("reason") == "late"),
        denies("conflict", lambda asked: {"manager", "intern"} <= set(asked.principal.roles)),
    ]
)
questions = st.builds(
    lambda amount, reason, role, chain, agent, now: asked(
        amount,
        more={"reason": reason},
        principal=person(role, chain=DelegationChain(tuple(map(Actor, chain)))),
        acting=ActingParty(Actor(agent, RUNNER.actor.iss), Assurance.AUTHENTICATED, "actor_token"),
        now=now,
    ),
    st.integers(1, 10**8),
    st.sampled_from(["late", "damaged"]),
    st.sampled_from(["intern", "manager", "support-lead"]),
    st.lists(st.just("gateway"), max_size=2),
    st.sampled_from(["stranger", "agent-runner"]),
    st.integers(NOW, NOW + 10**6),
)


@given(rules=st.lists(rules, min_size=1, max_size=3), asked=questions)
def test_what_is_said_is_permitted_and_changes_nothing(rules: list[Policy], asked: Question) -> None:
    policy, before = both(*rules), copy.deepcopy(asked.document())
    result = found(policy, asked)
    for way in result.ways:
        assert way.tried
        assert not any(policy(each) for each in way.tried)
        assert all(fits(each.arguments) for each in way.tried)
        assert asked not in way.tried
    told = [way.says for way in (*result.ways, *result.steps)]
    assert len(told) == len(set(told))
    assert len(result.ways) <= 10
    assert not (result.ways and result.steps)
    assert asked.document() == before


@given(codes=st.lists(st.sets(st.sampled_from("abc")), min_size=1, max_size=200), asked=questions)
def test_a_policy_without_rhyme_or_reason_ends_the_search_as_well(codes: list[set[str]], asked: Question) -> None:
    given = iter(codes)
    found(lambda _: next(given, {"a"}), asked)


# ── what a policy speaks of ──────────────────────────────────────────────────────────────


def test_names_are_known_by_where_they_stand() -> None:
    module = """package remit.authz
# "nobody" in a comment
allow if "lead" in input.subject.properties.roles
allow if `night` == input.actor.id
limit := 250
"""
    data = {"roles": {"clerk": {"orders": ["read"]}}, "needs": {"large": {"over": 5000, "scopes": ["pay:large"]}}}
    words = Vocabulary.of(Bundle.of({"authz.rego": module}, data), {ROLE: ["known"]})
    assert words.of_kind == {ROLE: ("known", "lead", "clerk"), SCOPE: ("pay:large",), AGENT: ("night",), GROUP: ()}
    assert list(words.numbers) == [250, 5000]
    assert "nobody" not in words.names


def test_what_comes_with_the_product_speaks_of_nothing() -> None:
    assert Vocabulary.of(Bundle.of({"remit/standard.rego": 'x := "role_forbids"'})).names == ()


def test_a_truth_value_is_no_number() -> None:
    data = {"a": [1, True, None, 2.5, "", {"b": []}], "open": False}
    assert Vocabulary.of(Bundle.of({}, data)).numbers == (1, 2.5)
