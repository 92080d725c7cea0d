"""An exchange that wants a workload token gets one with everybody in it, or fails closed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from remit.credential import Credential
from remit.errors import DelegationMismatch
from remit.exchange.exchanger import DelegatedToken, Exchanger
from remit.exchange.messages import ClientCredentialsRequest, IssuedToken, Target, TokenRequest, Wanted
from remit.exchange.service import TokenService
from remit.principal import ActingParty, Actor, Assurance, Caller, Principal, Profile
from remit.resource import Delegation, ResourceServer
from remit.tokens.jwks import StaticKeys
from remit.tokens.verifier import TokenVerifier, TrustedIssuer
from support.issuer import claims_of
from support.sts import ISSUER, World
from support.workload import FRONTEND, GATEWAY, ORDERS, company

WORKLOAD = Profile.WORKLOAD


def trusted(world: World) -> TrustedIssuer:
    return TrustedIssuer(ISSUER, frozenset({"ES256"}), StaticKeys(world.keys.jwks()))


async def exchange(world: World, service: TokenService, caller: Caller, wanted: Wanted) -> DelegatedToken:
    exchanger = Exchanger(service, TokenVerifier([trusted(world)]), world.clock)
    return await exchanger.delegated_token(
        caller, ActingParty(Actor(service.client_id), Assurance.AUTHENTICATED, "workload"), wanted
    )


async def received(world: World, audience: str, token: str) -> Delegation:
    """The token as the API called with it reads it."""
    server = ResourceServer(
        audience, [trusted(world)], world.clock, profiles={"workload", "rfc8693"}, allow_direct=True
    )
    return await server.authenticate([(b"authorization", f"Bearer {token}".encode())])


def caller_of(delegation: Delegation) -> Caller:
    principal = Principal(
        subject=delegation.principal,
        issuer=delegation.principal_issuer,
        scopes=delegation.scopes,
        chain=delegation.chain,
        expires_at=delegation.expires_at,
    )
    return Caller(principal, delegation.subject_token)


async def hop_2(world: World) -> str:
    own = await world.embedded(FRONTEND).issue(ClientCredentialsRequest(Target("orchestrator-api")))
    caller = caller_of(await received(world, "orchestrator-api", own.access_token.reveal()))
    wanted = Wanted(Target("orders-service"), ("orders:read",), 120, WORKLOAD)
    return (await exchange(world, world.embedded(GATEWAY), caller, wanted)).credential.reveal()


async def hop_3(world: World, service: TokenService, wanted: Wanted) -> DelegatedToken:
    caller = caller_of(await received(world, "orders-service", await hop_2(world)))
    return await exchange(world, service, caller, wanted)


def charge(profile: Profile = WORKLOAD, audience: str = "payments-service") -> Wanted:
    scope = "payments:charge" if audience == "payments-service" else "orders:read"
    return Wanted(Target(audience), (scope,), 60, profile)


def test_three_hops_of_the_workload_profile_keep_everybody() -> None:
    world = company()
    token = asyncio.run(hop_3(world, world.embedded(ORDERS), charge()))
    assert (token.claims["sub"], token.claims["act"]) == (
        "orders-service",
        {"sub": "api-gateway", "act": {"sub": "client-frontend"}},
    )
    assert [actor.sub for actor in token.chain.actors] == ["orders-service", "api-gateway"]


def test_a_bridged_exchange_keeps_everybody_too() -> None:
    world = company()
    token = asyncio.run(hop_3(world, world.embedded(ORDERS), charge(Profile.RFC8693, "bridged-service")))
    assert token.claims["sub"] == "client-frontend"
    assert [actor.sub for actor in token.chain.actors] == ["orders-service", "api-gateway"]


@pytest.mark.parametrize(
    ("profile", "audience"), [(Profile.RFC8693, "payments-service"), (WORKLOAD, "bridged-service")]
)
def test_a_token_of_the_other_profile_is_not_what_was_asked_for(profile: Profile, audience: str) -> None:
    world = company()
    with pytest.raises(DelegationMismatch) as caught:
        asyncio.run(hop_3(world, world.embedded(ORDERS), charge(profile, audience)))
    assert caught.value.claim == "dlg"


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"act": {"sub": "api-gateway", "act": {"sub": "somebody"}}}, "sub"),
        ({"act": {"sub": "client-frontend"}}, "act"),
        ({"act": {"sub": "other", "act": {"sub": "client-frontend"}}}, "act"),
        ({"act": {"sub": "api-gateway", "iss": "https://x.example", "act": {"sub": "client-frontend"}}}, "act"),
        ({"sub": "api-gateway"}, "act"),
        ({"client_id": "api-gateway"}, "client_id"),
    ],
    ids=str,
)
def test_a_token_service_that_loses_or_changes_anybody_is_found_out(changes: dict[str, Any], claim: str) -> None:
    world = company()

    class Lying:
        client_id = "orders-service"

        async def issue(self, request: TokenRequest) -> IssuedToken:
            issued = await world.embedded(ORDERS).issue(request)
            claims = {**claims_of(issued.access_token.reveal()), **changes}
            return replace(issued, access_token=Credential(world.forge(**claims)))

    with pytest.raises(DelegationMismatch) as caught:
        asyncio.run(hop_3(world, Lying(), charge()))
    assert caught.value.claim == claim


def test_a_user_of_another_issuer_is_not_swapped_for_one_of_a_third() -> None:
    world = World()
    corp = "https://corp.example"
    subject = Principal("alice", corp, scopes=("orders:read",), expires_at=world.now + 3600)
    caller = Caller(subject, Credential("subject"))
    act = {"sub": "agent-runner", "iss": ISSUER}

    class Issuing:
        client_id = "agent-runner"

        def __init__(self, **claims: Any) -> None:
            self.claims = claims

        async def issue(self, request: TokenRequest) -> IssuedToken:
            token = world.forge(aud="orders", scope="orders:read", act=act, exp=world.now + 60, **self.claims)
            return IssuedToken(Credential(token), "", "Bearer", 60, None)

    wanted = Wanted(Target("orders"), ("orders:read",), 60)
    assert asyncio.run(exchange(world, Issuing(sub_iss=corp), caller, wanted)).jti
    assert asyncio.run(exchange(world, Issuing(), caller, wanted)).jti  # a service that does not say
    with pytest.raises(DelegationMismatch) as caught:
        asyncio.run(exchange(world, Issuing(sub_iss="https://other.example"), caller, wanted))
    assert caught.value.claim == "sub_iss"
