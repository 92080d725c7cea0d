from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from remit.policy.bundle import load_policy
from remit.policy.decision import Deny, Permit
from remit.policy.input import ApprovalState, Phase
from remit.policy.rego import RegoEngine
from remit.policy.testing import run_tests
from remit.principal import ActingParty, Actor, Assurance, DelegationChain
from support.clock import FakeClock
from support.policy import RUNNER, SAMPLE, decide, exchange, person, question, tool

POLICY = load_policy(SAMPLE)
ENGINE = RegoEngine(POLICY, FakeClock())
SMALL = {"id": "O77", "amount": 1250}


def demands(name: str, **changes: Any) -> dict[str, Any]:
    """What a permit demands: type and properties."""
    decision = decide(ENGINE, question(name, **{"arguments": SMALL, **changes}))
    assert isinstance(decision, Permit)
    return {each.type: each.properties for each in decision.obligations}


def test_the_tests_beside_it_pass() -> None:
    report = run_tests(POLICY)
    assert report.results
    assert {result.outcome for result in report.results} == {"passed"}


def codes(name: str = "get_orders", **changes: Any) -> list[str]:
    """The reasons against a call, of a small amount where nothing else is said; empty for a permit."""
    decision = decide(ENGINE, question(name, **{"arguments": SMALL, **changes}))
    assert decision.allow is (not decision.reasons)
    return [reason.code for reason in decision.reasons]


@pytest.mark.parametrize("name", ["get_orders", "refund_orders", "get_payments", "refund_payments", "get_stock"])
def test_a_support_lead_may_use_every_tool_of_the_three_apis(name: str) -> None:
    assert codes(name) == []


def test_a_support_lead_may_use_nothing_else() -> None:
    assert codes("get_hr") == ["role_forbids"]


def test_an_intern_may_read_orders_and_stock_only() -> None:
    intern = person("intern")
    assert codes("get_orders", principal=intern) == []
    assert codes("get_stock", principal=intern) == []
    assert codes("refund_orders", principal=intern) == ["role_forbids"]
    assert codes("refund_stock", principal=intern) == ["role_forbids"]
    assert codes("get_payments", principal=intern) == ["role_forbids"]


@pytest.mark.parametrize("roles", [(), ("stranger",), ("stranger", "toString")])
def test_without_a_known_role_nothing_is_allowed(roles: tuple[str, ...]) -> None:
    assert codes(principal=person(roles=roles)) == ["role_forbids"]


def told(name: str, role: str) -> bool:
    """Whether the person is told why; who is told nothing sees an unknown tool."""
    decision = decide(ENGINE, question(name, principal=person(roles=(role,))))
    return isinstance(decision, Deny) and decision.user_reasons == decision.reasons


def test_only_who_has_to_do_with_an_api_is_told_why() -> None:
    assert told("refund_orders", "intern")
    assert not told("get_payments", "intern")
    assert not told("get_orders", "stranger")


def test_one_role_that_allows_is_enough() -> None:
    assert codes("refund_orders", principal=person(roles=("intern", "support-lead"))) == []


@pytest.mark.parametrize("amount", [0, 1, 49_999, 50_000, 0.5])
def test_an_amount_up_to_the_limit_needs_no_further_scope(amount: float) -> None:
    assert codes("refund_orders", arguments={"id": "O77", "amount": amount}) == []


@pytest.mark.parametrize(
    "amount", [50_001, 60_000, 50_000.5, 2**53 - 1, -1, "60000", "1", None, [], {"value": 1}, True]
)
def test_an_amount_over_the_limit_or_none_that_can_be_compared_needs_the_scope(amount: Any) -> None:
    arguments = {"id": "O77", "amount": amount}
    assert codes("refund_orders", arguments=arguments) == ["amount_needs_scope"]
    trusted = person(scopes=("orders:write", "refunds:large"))
    assert codes("refund_orders", arguments=arguments, principal=trusted) == []


def test_an_amount_means_nothing_to_a_tool_that_moves_no_money() -> None:
    assert codes("get_orders", arguments={"id": "O77", "amount": 10**9}) == []


def test_an_agent_nobody_listed_gets_no_further_than_orders_and_a_look_at_stock() -> None:
    stranger = ActingParty(Actor("stranger"), Assurance.AUTHENTICATED, "actor_token")
    assert codes(acting=stranger) == []
    assert codes("get_stock", acting=stranger) == []
    assert codes("refund_stock", acting=stranger) == ["agent_forbids"]
    assert codes("get_payments", acting=stranger) == ["agent_forbids"]


def test_every_agent_on_the_way_counts() -> None:
    chain = DelegationChain((Actor("agent-runner"), Actor("stranger")))
    assert codes("get_payments", principal=person(chain=chain)) == ["agent_forbids"]


def test_a_service_is_no_agent() -> None:
    assert codes(acting=ActingParty(Actor("orders-api"), Assurance.AUTHENTICATED, "actor_token")) == ["agent_unknown"]


def test_a_chain_of_more_than_three_is_too_deep() -> None:
    three, four = (DelegationChain((Actor("agent-runner"),) * depth) for depth in (2, 3))
    assert codes(principal=person(chain=three)) == []
    assert codes(principal=person(chain=four)) == ["chain_too_deep"]


def test_several_reasons_are_all_given() -> None:
    stranger = ActingParty(Actor("stranger"), Assurance.REGISTERED, "client_id")
    found = codes("refund_payments", principal=person("intern"), acting=stranger, arguments={"amount": 60_000})
    assert found == ["agent_forbids", "amount_needs_scope", "role_forbids"]


def test_lists_show_what_the_role_may_use_whoever_the_agent_is() -> None:
    stranger = ActingParty(Actor("stranger"), Assurance.REGISTERED, "client_id")
    listing: dict[str, Any] = {"phase": Phase.TOOL_LIST, "arguments": {}, "acting": stranger}
    assert codes("refund_orders", **listing) == []
    assert codes("refund_orders", principal=person("intern"), **listing) == ["role_forbids"]
    assert codes("get_orders", principal=person("intern"), **listing) == []


def test_a_refund_without_an_amount_could_be_any_amount() -> None:
    assert codes("refund_orders", arguments={"id": "O77"}) == ["amount_needs_scope"]


def test_the_token_of_a_destructive_tool_lives_a_minute() -> None:
    assert demands("refund_orders") == {"limit_lifetime": {"seconds": 60}}
    assert demands("get_orders") == {}


@pytest.mark.parametrize(("amount", "asked"), [(10_000, False), (10_001, True), (50_000, True)])
def test_the_user_agrees_to_larger_refunds(amount: int, asked: bool) -> None:
    wanted = demands("refund_orders", arguments={"id": "O77", "amount": amount})
    assert wanted.get("require_approval") == ({"approvers": ["user"], "expires_in": 300} if asked else None)


def test_what_the_user_agreed_to_is_not_asked_again() -> None:
    call = {"arguments": {"id": "O77", "amount": 20_000}}
    assert "require_approval" not in demands("refund_orders", approval=ApprovalState("approved", "1", "alice"), **call)
    assert "require_approval" in demands("refund_orders", approval=ApprovalState("approved", "1", "bob"), **call)
    assert "require_approval" in demands("refund_orders", approval=ApprovalState("pending", "1"), **call)


def test_interns_do_not_see_the_address_of_a_customer() -> None:
    order = dataclasses.replace(tool("get_orders"), facts={"dataClass": "pii"})
    result: dict[str, Any] = {"tool": order, "phase": Phase.RESULT}
    hidden = {"redact_result": {"pointers": ["/customer/email"], "mode": "mask"}}
    assert demands("get_orders", principal=person("intern"), **result) == hidden
    assert demands("get_orders", **result) == {}
    assert demands("get_orders", principal=person("intern"), tool=order) == {}


@pytest.mark.parametrize("target", ["orders-service", "payments-service", "orchestrator-api"])
def test_services_that_call_services_may_have_tokens(target: str) -> None:
    service = ActingParty(Actor("orders-service"), Assurance.AUTHENTICATED, "workload")
    chain = DelegationChain((Actor("api-gateway"), Actor("client-frontend")))
    asked = exchange(target, principal=person(roles=(), chain=chain), acting=service)
    assert decide(ENGINE, asked).allow


def test_the_reasons_tell_an_agent_what_would_help_and_quote_no_argument() -> None:
    refused = decide(ENGINE, question("refund_orders", arguments={"id": "O77", "amount": 61_234}))
    (reason,) = refused.reasons
    assert "refunds:large" in reason.message
    assert "61234" not in reason.message
    assert re.fullmatch(r"standard/1 amount_needs_scope \(remit/standard\.rego:\d+\)", refused.rule)
    assert RUNNER.actor.sub not in reason.message
