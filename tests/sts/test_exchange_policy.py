"""What policy is told of a token before it is issued, and what becomes of its decision."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from remit import oauth
from remit.app.exchange_policy import ExchangePolicyOf
from remit.audit.issuance import Issuance
from remit.errors import AccessDenied
from remit.identity.subject import ClaimNames
from remit.policy.decision import Basis, Decision, Permit
from remit.policy.engine import PolicyEngine
from remit.sts.endpoints import routes
from support.issuer import claims_of
from support.policy import answering, engine
from support.sts import AGENT, ISSUER, ORDERS, World, exchange_form
from support.sts_http import BASIC, FORM
from support.trail import MemoryStore
from support.workload import company

#: Leads may; with limits for what is asked without a user, and a word for interns.
POLICY = """
package remit.authz
import rego.v1

default decision := {"allow": false, "policy": "sample/1", "reasons": []}

exchange if input.phase == "token_exchange"

decision := {"allow": true, "policy": "sample/1", "obligations": [
    {"id": "short", "type": "limit_lifetime", "properties": {"seconds": 45}},
    {"id": "read", "type": "narrow_scopes", "properties": {"scopes": ["orders:read", "orders:everything"]}},
]} if {
    exchange
    "lead" in input.subject.properties.roles
}

decision := {"allow": false, "policy": "sample/1", "reasons": [
    {"code": "interns", "message": "interns may not", "audience": "user"},
    {"code": "why", "message": "rule 7", "audience": "admin"},
]} if {
    exchange
    "intern" in input.subject.properties.roles
}
"""


@dataclass
class Permitting:
    """Permits everything and remembers what it was asked."""

    asked: list[Mapping[str, Any]] = field(default_factory=list)
    revision: str = "rev-1"

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        self.asked.append(document)
        return Permit(Basis("decision-1", self.revision))

    async def decide_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        return [await self.decide(document) for document in documents]

    async def aclose(self) -> None:
        pass


def governed(policy: PolicyEngine, world: World | None = None, names: Mapping[str, ClaimNames] | None = None) -> World:
    world = world or World()
    world.sts.policy = ExchangePolicyOf(policy, world.clock, names)
    return world


def exchange(world: World, token: str, **changes: Any) -> dict[str, Any]:
    return claims_of(asyncio.run(world.grant(AGENT, exchange_form(token, **changes)))["access_token"])


def post(world: World, store: MemoryStore, form: Mapping[str, Any]) -> httpx.Response:
    async def main() -> httpx.Response:
        app = Starlette(routes=routes(world.sts, world.clock, issuance=partial(Issuance, store, world.clock)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as http:
            return await http.post("/oauth2/token", data=dict(form), headers={**FORM, **BASIC})

    return asyncio.run(main())


def test_policy_is_told_whom_the_subject_token_proves_and_who_asks() -> None:
    policy = Permitting()
    world = governed(policy)
    user = world.forge(roles=["lead"], groups=["support"], name="Alice", acr="mfa", act={"sub": "desk", "iss": ISSUER})
    exchange(world, user, scope="orders:read", requested_expires_in="60")
    (asked,) = policy.asked
    assert (asked["phase"], asked["context"]["door"]) == ("token_exchange", "token_endpoint")
    assert asked["context"]["supported_obligations"] == ["limit_lifetime", "narrow_scopes"]
    assert (asked["subject"]["id"], asked["subject"]["issuer"]) == ("alice", ISSUER)
    described = asked["subject"]["properties"]
    assert (described["roles"], described["groups"], described["acr"]) == (["lead"], ["support"], "mfa")
    assert (asked["actor"]["id"], asked["actor"]["issuer"]) == ("agent-runner", ISSUER)
    assert asked["actor"]["properties"]["assurance"] == "authenticated"
    assert asked["actor"]["properties"]["evidence"] == "workload"
    assert [hop["id"] for hop in asked["chain"]] == ["agent-runner", "desk"]
    assert (asked["resource"]["type"], asked["resource"]["id"]) == ("target", "orders")
    assert asked["token"]["scopes"] == ["orders:read", "refunds:write", "pay", "log"]
    assert asked["token"]["requested"] == {
        "scopes": ["orders:read"],
        "audience": "orders",
        "resource": "https://orders.example/v1",
        "lifetime": 60,
        "grant": "token-exchange",
    }


def test_no_token_is_in_what_policy_is_told() -> None:
    policy = Permitting()
    world = governed(policy)
    user = world.user_token()
    exchange(world, user)
    assert user.split(".")[2] not in str(policy.asked)


def test_an_actor_token_is_evidence_of_the_actor() -> None:
    policy = Permitting()
    world = governed(policy)
    actor = asyncio.run(world.actor_token())
    exchange(world, world.user_token(), actor_token=actor, actor_token_type=oauth.TOKEN_TYPE_ACCESS_TOKEN)
    assert policy.asked[0]["actor"]["properties"]["evidence"] == "actor_token"


def test_claims_are_read_as_their_issuer_spells_them() -> None:
    policy = Permitting()
    world = governed(policy, names={ISSUER: ClaimNames(roles="job")})
    exchange(world, world.forge(job=["lead"], roles=["none"]))
    assert policy.asked[0]["subject"]["properties"]["roles"] == ["lead"]


def test_in_a_workload_chain_the_subject_is_the_principal() -> None:
    policy = Permitting()
    world = governed(policy, company())
    hop_1 = world.forge(sub="client-frontend", aud="orchestrator-api", scope="orders:read")
    form = exchange_form(hop_1, audience="orders-service")
    hop_2 = asyncio.run(world.grant(world.clients["api-gateway"], form))["access_token"]
    asyncio.run(world.grant(world.clients["orders-service"], exchange_form(hop_2, audience="payments-service")))
    assert policy.asked[-1]["subject"]["id"] == "client-frontend"
    assert [hop["id"] for hop in policy.asked[-1]["chain"]] == ["orders-service", "api-gateway"]


def test_the_next_hop_is_asked_about_too() -> None:
    policy = Permitting()
    world = governed(policy)
    token = asyncio.run(world.grant(AGENT, exchange_form(world.user_token())))["access_token"]
    asyncio.run(world.grant(ORDERS, exchange_form(token, audience="payments")))
    assert [hop["id"] for hop in policy.asked[-1]["chain"]] == ["orders-api", "agent-runner"]
    assert policy.asked[-1]["subject"]["properties"]["roles"] == []  # a delegated token describes nobody


def test_of_a_clients_own_token_the_client_is_subject_and_actor() -> None:
    policy = Permitting()
    world = governed(policy)
    asyncio.run(world.grant(AGENT, {"grant_type": oauth.GRANT_CLIENT_CREDENTIALS, "audience": "reports"}))
    (asked,) = policy.asked
    assert asked["subject"]["id"] == asked["actor"]["id"] == "agent-runner"
    assert asked["subject"]["properties"]["roles"] == []
    assert asked["token"]["requested"]["grant"] == "client-credentials"
    assert asked["token"]["requested"]["scopes"] == ["reports:read"]


def test_obligations_narrow_the_token_and_stand_in_the_record() -> None:
    world, store = governed(engine(POLICY)), MemoryStore()
    form = exchange_form(world.user_token(), scope="orders:read refunds:write")
    token = claims_of(post(world, store, form).json()["access_token"])
    assert (token["scope"], token["exp"] - token["iat"]) == ("orders:read", 45)
    (record,) = store.records
    assert (record["kind"], record["decision"]["allow"]) == ("issued", True)
    assert record["decision"]["obligations"] == ["limit_lifetime", "narrow_scopes"]
    assert record["exchange"]["scopes"] == ["orders:read"]


def test_a_denial_tells_the_client_what_is_meant_for_it_and_the_record_everything() -> None:
    world, store = governed(engine(POLICY)), MemoryStore()
    response = post(world, store, exchange_form(world.forge(roles=["intern"])))
    assert response.status_code == 400
    assert response.json() == {"error": "access_denied", "error_description": "interns may not"}
    (record,) = store.records
    assert (record["kind"], record["outcome"], record["error"]["code"]) == ("refused", "denied", "access_denied")
    assert [reason["code"] for reason in record["decision"]["reasons"]] == ["interns", "why"]
    assert record["decision"]["rule"].startswith("sample/1 ")
    assert "exchange" not in record


def test_a_denial_without_a_word_for_the_client_says_no_more_than_that() -> None:
    world = governed(engine(POLICY))
    with pytest.raises(AccessDenied) as denied:
        exchange(world, world.forge(roles=["guest"]))
    assert denied.value.message == "policy does not permit this token"
    assert "sample/1" in denied.value.detail


@pytest.mark.parametrize(
    "answer",
    [
        '{"allow": "true"}',
        '{"allow": true, "obligations": [{"id": "a", "type": "step_up", "properties": {"max_age": 1}}]}',
        '{"allow": true, "obligations": [{"id": "a", "type": "narrow_scopes", "properties": {"scopes": ["no"]}}]}',
        '{"allow": true, "obligations": [{"id": "a", "type": "unknown", "properties": {}}]}',
    ],
)
def test_what_cannot_be_decided_or_done_is_denied(answer: str) -> None:
    world, store = governed(answering(answer)), MemoryStore()
    response = post(world, store, exchange_form(world.user_token()))
    assert (response.status_code, response.json()["error"]) == (400, "access_denied")
    (record,) = store.records
    assert record["kind"] == "refused"
    assert record["error"]["detail"]
