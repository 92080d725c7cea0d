"""Whoever is asked before a token is issued can take away and refuse, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit import oauth
from remit.credential import Credential
from remit.errors import AccessDenied, ExchangeRefused, GrantError, PolicyDenied
from remit.exchange.messages import ClientCredentialsRequest, Target, TokenExchangeRequest
from remit.principal import Actor
from remit.sts.policy import Proposal, Terms
from remit.sts.watch import Watch
from support.issuer import claims_of
from support.requirements import requirement
from support.sts import AGENT, ISSUER, World, exchange_form
from support.sts_http import check_refusal, post
from support.workload import company

DIRECT = {"grant_type": oauth.GRANT_CLIENT_CREDENTIALS, "audience": "reports"}


@dataclass
class Answering:
    """Answers with ``terms``, as it came where there are none, or with ``refusal``; remembers what it was asked."""

    answer: Terms | None = None
    refusal: AccessDenied | None = None
    asked: list[Proposal] = field(default_factory=list)

    async def terms(self, proposal: Proposal, _: Watch) -> Terms:
        self.asked.append(proposal)
        if self.refusal is not None:
            raise self.refusal
        return self.answer or Terms(proposal.grant.scopes, proposal.grant.lifetime)


def asking(policy: Answering, world: World | None = None) -> World:
    world = world or World()
    world.sts.policy = policy
    return world


def exchange(world: World, **changes: Any) -> dict[str, Any]:
    form = {**exchange_form(world.user_token()), **changes}
    return claims_of(asyncio.run(world.grant(AGENT, form))["access_token"])


@requirement("policy-takes-away")
@given(
    scopes=st.lists(st.sampled_from(["orders:read", "refunds:write", "orders:admin", "everything"]), max_size=4),
    lifetime=st.integers(-10, 4000),
)
def test_policy_can_only_take_away(scopes: list[str], lifetime: int) -> None:
    world = asking(Answering(Terms(tuple(scopes), lifetime)))
    wanted = {"orders:read", "refunds:write"}
    try:
        token = exchange(world, scope="orders:read refunds:write", requested_expires_in="120")
    except AccessDenied:
        assert not wanted & set(scopes) or lifetime < 1
        return
    assert set(token["scope"].split()) == wanted & set(scopes)
    assert token["exp"] - token["iat"] == min(120, lifetime)


def test_the_answer_says_what_was_taken_away() -> None:
    world = asking(Answering(Terms(("orders:read",), 30)))
    form = exchange_form(world.user_token(), scope="orders:read refunds:write")
    answer = post(world, form).json()
    assert (answer["scope"], answer["expires_in"]) == ("orders:read", 30)


def test_policy_is_asked_about_the_token_as_it_would_be_issued() -> None:
    policy = Answering()
    world = asking(policy)
    user = world.forge(act={"sub": "desk", "iss": ISSUER})
    form = exchange_form(
        user, scope="orders:read", requested_expires_in="60", actor_token=asyncio.run(world.actor_token())
    )
    form["actor_token_type"] = oauth.TOKEN_TYPE_ACCESS_TOKEN
    token = claims_of(asyncio.run(world.grant(AGENT, form))["access_token"])
    (proposal,) = policy.asked
    assert proposal.grant.jti == token["jti"]
    assert proposal.grant.parties.chain.actors == (Actor("agent-runner", ISSUER), Actor("desk", ISSUER))
    assert (proposal.grant.scopes, proposal.grant.lifetime) == (("orders:read",), 60)
    assert proposal.rule.aud == "orders"
    assert proposal.actor_token
    assert proposal.subject is not None
    assert proposal.subject.parties.principal == Actor("alice", ISSUER)


@pytest.mark.parametrize("changes", [{"audience": "unknown"}, {"scope": "orders:admin"}, {"subject_token": "nonsense"}])
def test_policy_is_not_asked_about_what_the_service_refuses_itself(changes: dict[str, str]) -> None:
    policy = Answering()
    with pytest.raises(GrantError):
        exchange(asking(policy), **changes)
    assert not policy.asked


def test_a_denial_over_http_is_an_oauth_error_in_the_characters_it_may_have() -> None:
    message = 'nicht für "Praktikanten" \\ heute'
    world = asking(Answering(refusal=AccessDenied(message, detail="sample/1 interns (authz.rego:7)")))
    response = post(world, exchange_form(world.user_token()))
    check_refusal(response, "access_denied")
    assert response.json()["error_description"] == "nicht f?r 'Praktikanten' / heute"


def test_a_denial_in_process_is_policys_own() -> None:
    refusal = AccessDenied("interns may not refund", detail="sample/1 interns (authz.rego:7)")
    world = asking(Answering(refusal=refusal))
    request = TokenExchangeRequest(Credential(world.user_token()), Target("orders"), ("orders:read",))
    with pytest.raises(PolicyDenied, match="interns may not refund") as denied:
        asyncio.run(world.embedded().issue(request))
    assert denied.value.detail == refusal.detail


def test_any_other_refusal_in_process_stays_the_token_services() -> None:
    world = asking(Answering())
    request = TokenExchangeRequest(Credential(world.user_token()), Target("unknown"), ("orders:read",))
    with pytest.raises(ExchangeRefused):
        asyncio.run(world.embedded().issue(request))


def test_a_clients_own_token_for_an_api_is_asked_about_without_a_subject() -> None:
    policy = Answering(Terms(("reports:read",), 20))
    world = asking(policy)
    token = claims_of(asyncio.run(world.grant(AGENT, DIRECT))["access_token"])
    (proposal,) = policy.asked
    assert proposal.subject is None
    assert proposal.grant.parties.principal == Actor("agent-runner", ISSUER)
    assert not proposal.grant.parties.chain
    assert token["exp"] - token["iat"] == 20


def test_a_clients_own_token_for_an_api_can_be_denied() -> None:
    world = asking(Answering(refusal=AccessDenied("not at night")))
    check_refusal(post(world, DIRECT), "access_denied")
    with pytest.raises(PolicyDenied, match="not at night"):
        asyncio.run(world.embedded().issue(ClientCredentialsRequest(Target("reports"))))


def test_a_token_for_the_service_itself_is_not_asked_about() -> None:
    world = asking(Answering(refusal=AccessDenied("no")))
    assert asyncio.run(world.actor_token())


def test_a_workload_chain_can_be_narrowed_and_denied() -> None:
    policy = Answering(Terms(("orders:read",), 15))
    world = asking(policy, company())
    hop_1 = world.forge(sub="client-frontend", aud="orchestrator-api", scope="orders:read")
    form = exchange_form(hop_1, audience="orders-service")
    hop_2 = asyncio.run(world.grant(world.clients["api-gateway"], form))["access_token"]
    assert claims_of(hop_2)["exp"] - world.now == 15
    policy.refusal = AccessDenied("this is as far as it goes")
    with pytest.raises(AccessDenied):
        asyncio.run(world.grant(world.clients["orders-service"], exchange_form(hop_2, audience="payments-service")))
    assert policy.asked[-1].grant.parties.principal == Actor("client-frontend", ISSUER)
    assert [actor.sub for actor in policy.asked[-1].grant.parties.chain.actors] == ["orders-service", "api-gateway"]
