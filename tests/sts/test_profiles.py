"""The two profiles at the token service: the release note's hops, crossing, translated scopes, rules of a target."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from remit import oauth
from remit.errors import GrantError, InvalidClient, InvalidRequest, InvalidScope, InvalidTarget, SettingsInvalid
from remit.principal import Profile
from remit.sts.clients import TargetRule
from remit.sts.revocation import NothingRevoked
from remit.tokens.verifier import VerifiedToken
from support.issuer import claims_of
from support.sts import AGENT, ISSUER, World, exchange_form
from support.workload import GATEWAY, ORDERS, company

AT = oauth.TOKEN_TYPE_ACCESS_TOKEN


def granted(world: World, client: str, form: dict[str, Any]) -> str:
    token: str = asyncio.run(world.grant(world.clients[client], form))["access_token"]
    return token


def exchanged(world: World, client: str, subject: str, audience: str, scope: str | None = None, **extra: str) -> str:
    return granted(world, client, exchange_form(subject, audience=audience, scope=scope, **extra))


def hop_1(world: World) -> str:
    return granted(
        world,
        "client-frontend",
        {"grant_type": oauth.GRANT_CLIENT_CREDENTIALS, "audience": "orchestrator-api", "scope": "orders:read"},
    )


def hop_2(world: World) -> str:
    return exchanged(world, "api-gateway", hop_1(world), "orders-service", "orders:read")


def noted(token: str) -> dict[str, Any]:
    """The claims that the release note shows, without the times."""
    claims = claims_of(token)
    return {name: claims[name] for name in ("iss", "sub", "aud", "scope", "act") if name in claims}


def test_three_hops_are_as_the_release_note_decodes_them() -> None:
    world = company()
    one = hop_1(world)
    two = exchanged(world, "api-gateway", one, "orders-service", "orders:read")
    three = exchanged(world, "orders-service", two, "payments-service", "payments:charge")
    assert noted(one) == {
        "iss": ISSUER,
        "sub": "client-frontend",
        "aud": "orchestrator-api",
        "scope": "orders:read",
    }
    assert noted(two) == {
        "iss": ISSUER,
        "sub": "api-gateway",
        "aud": "orders-service",
        "scope": "orders:read",
        "act": {"sub": "client-frontend"},
    }
    assert noted(three) == {
        "iss": ISSUER,
        "sub": "orders-service",
        "aud": "payments-service",
        "scope": "payments:charge",
        "act": {"sub": "api-gateway", "act": {"sub": "client-frontend"}},
    }


def test_a_workload_token_is_marked_and_names_the_exchanging_client() -> None:
    claims = claims_of(hop_2(company()))
    assert claims.keys() == {
        "iss", "sub", "aud", "scope", "act", "iat", "exp", "client_id", "jti", "txn", "dlg",
    }  # fmt: skip
    assert (claims["dlg"], claims["client_id"]) == ("workload", "api-gateway")


def test_a_workload_token_says_nothing_of_how_a_user_signed_in() -> None:
    world = company()
    user = world.forge(aud="orchestrator-api", scope="orders:read", auth_time=world.now, acr="mfa", amr=["otp"])
    claims = claims_of(exchanged(world, "api-gateway", user, "orders-service"))
    assert claims["act"] == {"sub": "alice"}
    assert not claims.keys() & {"auth_time", "acr", "amr"}


def test_the_transaction_goes_through_all_hops() -> None:
    world = company()
    two = hop_2(world)
    three = exchanged(world, "orders-service", two, "payments-service")
    assert claims_of(two)["txn"] == claims_of(three)["txn"]


def refused(world: World, client: str, subject: str, audience: str, **extra: Any) -> GrantError:
    with pytest.raises(GrantError) as caught:
        exchanged(world, client, subject, audience, **extra)
    return caught.value


def test_a_client_that_did_not_opt_in_gets_no_workload_token() -> None:
    world = company(replace(GATEWAY, profile=Profile.RFC8693))
    assert type(refused(world, "api-gateway", hop_1(world), "orders-service")) is InvalidTarget


def test_a_target_that_did_not_opt_in_gets_rfc8693() -> None:
    world = company()
    user = world.forge(aud="orders-service", scope="orders:read")
    claims = claims_of(exchanged(world, "orders-service", user, "user-service"))
    assert (claims["sub"], claims["act"]["sub"]) == ("alice", "orders-service")
    assert "dlg" not in claims


def test_a_token_of_one_profile_is_not_exchanged_under_the_other() -> None:
    world = company()
    assert type(refused(world, "orders-service", hop_2(world), "user-service")) is InvalidRequest
    delegated = world.forge(aud="orders-service", scope="orders:read", act={"sub": "desk", "iss": ISSUER})
    assert type(refused(world, "orders-service", delegated, "payments-service")) is InvalidRequest


def test_a_bridge_lets_a_workload_token_into_rfc8693_with_everybody_in_their_place() -> None:
    world = company()
    claims = claims_of(exchanged(world, "orders-service", hop_2(world), "bridged-service"))
    assert claims["sub"] == "client-frontend"
    assert claims["act"] == {
        "sub": "orders-service",
        "iss": ISSUER,
        "act": {"sub": "api-gateway", "iss": ISSUER},
    }
    assert "dlg" not in claims


def test_a_bridge_lets_an_rfc8693_token_into_workload_with_everybody_in_their_place() -> None:
    payments = replace(ORDERS.targets[0], bridge=True)
    world = company(replace(ORDERS, targets=(payments,)))
    delegated = world.forge(
        aud="orders-service",
        scope="orders:read",
        act={"sub": "agent-runner", "iss": ISSUER, "act": {"sub": "desk", "iss": "https://corp.example"}},
    )
    claims = claims_of(exchanged(world, "orders-service", delegated, "payments-service", "orders:read"))
    assert (claims["sub"], claims["dlg"]) == ("orders-service", "workload")
    assert claims["act"] == {
        "sub": "agent-runner",
        "act": {"sub": "desk", "iss": "https://corp.example", "act": {"sub": "alice"}},
    }


@pytest.mark.parametrize("audience", ["payments-service", "user-service", "bridged-service"])
@pytest.mark.parametrize("dlg", ["impersonation", "", 1, ["workload"]], ids=repr)
def test_a_token_marked_as_no_known_profile_is_refused_everywhere(audience: str, dlg: Any) -> None:
    world = company()
    token = world.forge(aud="orders-service", scope="orders:read", act={"sub": "desk"}, dlg=dlg)
    assert type(refused(world, "orders-service", token, audience)) is InvalidRequest


def test_nobody_exchanges_their_own_token_in_either_profile() -> None:
    world = company()
    own = world.forge(sub="orders-service", aud="orders-service", scope="orders:read")
    for audience in ("payments-service", "user-service"):
        assert refused(world, "orders-service", own, audience).message == "the actor and the subject are the same party"


def test_a_workload_chain_with_the_client_in_it_is_a_loop() -> None:
    world = company()
    act = {"sub": "orders-service", "act": {"sub": "alice"}}
    loop = world.forge(sub="api-gateway", aud="orders-service", scope="orders:read", act=act, dlg="workload")
    assert type(refused(world, "orders-service", loop, "payments-service")) is InvalidRequest


def test_the_depth_of_a_workload_chain_counts_everybody_but_the_principal() -> None:
    world = company(replace(ORDERS, max_depth=1))
    assert type(refused(world, "orders-service", hop_2(world), "payments-service")) is InvalidRequest
    world = company(replace(ORDERS, max_depth=2))
    assert exchanged(world, "orders-service", hop_2(world), "payments-service")


def test_a_target_may_bound_the_depth_further() -> None:
    rule = replace(ORDERS.targets[0], max_depth=1)
    world = company(replace(ORDERS, targets=(rule,)))
    assert type(refused(world, "orders-service", hop_2(world), "payments-service")) is InvalidRequest


# ── translated scopes ────────────────────────────────────────────────────────────────────


def translating(profile: Profile, *held: str) -> tuple[World, str]:
    rule = replace(ORDERS.targets[0], profile=profile)
    world = company(replace(ORDERS, targets=(rule,)))
    return world, world.forge(aud="orders-service", scope=" ".join(held))


@pytest.mark.parametrize("profile", Profile)
def test_a_scope_is_given_for_the_one_it_is_translated_from(profile: Profile) -> None:
    world, token = translating(profile, "orders:read")
    issued = exchanged(world, "orders-service", token, "payments-service", "payments:charge")
    assert claims_of(issued)["scope"] == "payments:charge"


@pytest.mark.parametrize("profile", Profile)
def test_a_scope_is_not_given_to_who_does_not_hold_what_it_is_translated_from(profile: Profile) -> None:
    world, token = translating(profile, "orders:write")
    assert type(refused(world, "orders-service", token, "payments-service", scope="payments:charge")) is InvalidScope


def test_without_a_translation_scope_only_narrows() -> None:
    world = company(replace(ORDERS, targets=(replace(ORDERS.targets[0], translate={}),)))
    assert type(refused(world, "orders-service", hop_2(world), "payments-service", scope="payments:charge")) is (
        InvalidScope
    )


def test_translations_do_not_add_up() -> None:
    rule = TargetRule("t", scopes=("a", "b"), translate={"a": "b", "b": "c"})
    assert rule.scopes_for(("c",)) == ("b",)


def test_a_translation_into_a_scope_that_may_not_be_given_is_a_mistake() -> None:
    with pytest.raises(SettingsInvalid):
        TargetRule("t", scopes=("a",), translate={"b": "a"})


# ── rules of a client and a target ───────────────────────────────────────────────────────


def test_a_target_may_need_an_actor_token() -> None:
    world = World()
    client = world.change(AGENT, targets=(replace(AGENT.targets[0], require_actor=True),))
    form = exchange_form(world.user_token())
    with pytest.raises(InvalidRequest, match="actor_token is missing"):
        asyncio.run(world.grant(client, form))
    actor = asyncio.run(world.actor_token())
    assert asyncio.run(world.grant(client, {**form, "actor_token": actor, "actor_token_type": AT}))


def test_a_client_may_need_to_be_named_in_may_act() -> None:
    world = World()
    client = world.change(AGENT, require_may_act=True)
    with pytest.raises(InvalidRequest, match="may_act"):
        asyncio.run(world.grant(client, exchange_form(world.forge())))
    assert asyncio.run(world.grant(client, exchange_form(world.forge(may_act={"sub": "agent-runner"}))))


def test_replaced_clients_count_at_once() -> None:
    world = World()
    form = {name: [str(value)] for name, value in exchange_form(world.user_token()).items()}
    assert asyncio.run(world.sts.grant_in_process("agent-runner", form))
    world.sts.replace_clients({"agent-runner": replace(AGENT, targets=())})
    with pytest.raises(InvalidTarget):
        asyncio.run(world.sts.grant_in_process("agent-runner", form))
    world.sts.replace_clients({})
    with pytest.raises(InvalidClient):
        asyncio.run(world.sts.grant_in_process("agent-runner", form))


@pytest.mark.parametrize("parameter", ["subject_token", "actor_token"])
def test_a_revoked_token_is_an_invalid_request(parameter: str) -> None:
    world = World()
    tokens = {"subject_token": world.user_token(), "actor_token": asyncio.run(world.actor_token())}
    form = exchange_form(tokens["subject_token"], actor_token=tokens["actor_token"], actor_token_type=AT)
    assert asyncio.run(world.grant(AGENT, form))
    revoked = claims_of(tokens[parameter])["jti"]

    class OneRevoked(NothingRevoked):
        def is_revoked(self, token: VerifiedToken, principal: str = "") -> bool:
            return bool(token.jti == revoked)

    world.sts.revocations = OneRevoked()
    with pytest.raises(InvalidRequest, match=f"{parameter} is not acceptable: revoked"):
        asyncio.run(world.grant(AGENT, form))
