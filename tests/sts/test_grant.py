from __future__ import annotations

import asyncio
from typing import Any

import pytest

from remit import oauth
from remit.errors import (
    GrantError,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from remit.sts.clients import Client, TargetRule
from remit.sts.users import DevelopmentUser
from support.issuer import FakeIssuer, claims_of, header_of
from support.sts import AGENT, BRIDGE, ISSUER, ORDERS, PAYMENTS, ROGUE, World, exchange_form

AT = oauth.TOKEN_TYPE_ACCESS_TOKEN
Form = dict[str, str | list[str]]


def granted(world: World, form: Form, client: Client = AGENT) -> dict[str, Any]:
    return asyncio.run(world.grant(client, form))


def exchanged(
    world: World, client: Client = AGENT, subject: str = "", **changes: str | list[str] | None
) -> dict[str, Any]:
    """The claims of the token that an exchange gives."""
    return claims_of(granted(world, exchange_form(subject or world.user_token(), **changes), client)["access_token"])


def refusal(world: World, client: Client = AGENT, subject: str = "", **changes: str | list[str] | None) -> GrantError:
    with pytest.raises(GrantError) as caught:
        exchanged(world, client, subject, **changes)
    return caught.value


def test_an_exchange_keeps_the_user_and_names_the_client_as_actor() -> None:
    world = World()
    answer = granted(world, exchange_form(world.user_token(), scope="orders:read"))
    token = answer.pop("access_token")
    assert answer == {"issued_token_type": AT, "token_type": "Bearer", "expires_in": 300, "scope": "orders:read"}
    claims = claims_of(token)
    assert len(claims.pop("jti")) >= 22
    assert claims.pop("txn")
    assert claims == {
        "iss": ISSUER,
        "sub": "alice",
        "aud": "orders",
        "client_id": "agent-runner",
        "scope": "orders:read",
        "iat": world.now,
        "exp": world.now + 300,
        "act": {"sub": "agent-runner", "iss": ISSUER},
        "auth_time": world.now,
    }
    assert header_of(token) == {"typ": "at+jwt", "alg": "ES256", "kid": world.keys.signing_key.kid}


def test_each_token_has_its_own_jti_and_keeps_the_transaction() -> None:
    world = World()
    user = world.forge(txn="t-1")
    first, second = exchanged(world, subject=user), exchanged(world, subject=user)
    assert first["jti"] != second["jti"]
    assert first["txn"] == second["txn"] == "t-1"


def test_what_describes_the_user_or_names_actors_to_be_is_not_copied() -> None:
    world = World()
    claims = exchanged(
        world,
        subject=world.forge(
            groups=["support"],
            roles=["lead"],
            email="a@example",
            may_act={"sub": "agent-runner"},
            acr="mfa",
            amr=["otp"],
        ),
    )
    assert not claims.keys() & {"groups", "roles", "email", "may_act", "name"}
    assert (claims["acr"], claims["amr"]) == ("mfa", ["otp"])


def test_three_hops_nest_their_actors_newest_outermost() -> None:
    world = World()
    first = granted(world, exchange_form(world.user_token()))["access_token"]
    second = granted(world, exchange_form(first, audience="payments"), ORDERS)["access_token"]
    claims = claims_of(granted(world, exchange_form(second, audience="ledger"), PAYMENTS)["access_token"])
    assert (claims["sub"], claims["aud"], claims["client_id"], claims["scope"]) == (
        "alice",
        "ledger",
        "payments-api",
        "log",
    )
    assert claims["act"] == {
        "sub": "payments-api",
        "iss": ISSUER,
        "act": {"sub": "orders-api", "iss": ISSUER, "act": {"sub": "agent-runner", "iss": ISSUER}},
    }


def test_the_same_actor_again_leaves_the_chain_as_it_is() -> None:
    world = World()
    act = {"sub": "agent-runner", "iss": ISSUER, "act": {"sub": "desk", "iss": ISSUER}}
    assert exchanged(world, subject=world.forge(act=act))["act"] == act


def test_an_actor_that_comes_back_is_a_loop_and_refused() -> None:
    world = World()
    act = {"sub": "desk", "iss": ISSUER, "act": {"sub": "agent-runner", "iss": ISSUER}}
    assert isinstance(refusal(world, subject=world.forge(act=act)), InvalidRequest)


def test_a_chain_over_the_clients_depth_is_refused_and_not_cut() -> None:
    world = World()
    act: dict[str, Any] = {"sub": "one", "iss": ISSUER}
    for name in ("two", "three"):
        act = {"sub": name, "iss": ISSUER, "act": act}
    assert exchanged(world, subject=world.forge(act=act))["act"] == {"sub": "agent-runner", "iss": ISSUER, "act": act}
    four = world.forge(act={"sub": "four", "iss": ISSUER, "act": act})
    assert isinstance(refusal(world, subject=four), InvalidRequest)


@pytest.mark.parametrize(
    ("subject_lifetime", "asked", "expected"),
    [(3600, None, 300), (3600, "60", 60), (3600, "9999", 300), (40, None, 40), (40, "60", 40)],
)
def test_a_lifetime_is_the_least_of_all_limits(subject_lifetime: int, asked: str | None, expected: int) -> None:
    world = World()
    claims = exchanged(world, subject=world.user_token(lifetime=subject_lifetime), requested_expires_in=asked)
    assert claims["exp"] - claims["iat"] == expected


def test_a_token_does_not_outlive_the_actor_token() -> None:
    world = World()
    actor = asyncio.run(world.actor_token())
    world.clock.advance(280)
    claims = exchanged(world, actor_token=actor, actor_token_type=AT)
    assert claims["exp"] == claims_of(actor)["exp"] == world.now + 20


@pytest.mark.parametrize("left", [5, 0, -10])
def test_a_subject_token_that_is_about_to_expire_is_refused(left: int) -> None:
    world = World()
    user = world.user_token(lifetime=100)
    world.clock.advance(100 - left)
    assert isinstance(refusal(world, subject=user), InvalidRequest)


def test_the_targets_own_limit_counts() -> None:
    world = World()
    short = TargetRule("orders", scopes=("orders:read",), max_lifetime=5)
    assert exchanged(world, world.change(AGENT, targets=(short,)))["exp"] == world.now + 5


# ── subject token ────────────────────────────────────────────────────────────────────────


def test_a_client_cannot_exchange_a_token_that_was_issued_for_somebody_else() -> None:
    error = refusal(World(), ROGUE)
    assert isinstance(error, InvalidRequest)
    assert error.message == "subject_token is not acceptable: audience_mismatch"


def test_a_client_cannot_exchange_anothers_actor_token() -> None:
    world = World()
    assert isinstance(refusal(world, ROGUE, asyncio.run(world.actor_token())), InvalidRequest)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_799_990_000},
        {"iat": 1_800_009_000},
        {"iss": "https://other.example"},
        {"aud": "orders"},
        {"aud": []},
        {"sub": None},
        {"jti": None},
        {"jti": 7},
        {"exp": "1800009000"},
        {"exp": True},
        {"client_id": None},
        {"scope": ["orders:read"]},
        {"act": "desk"},
        {"act": {"sub": "desk", "exp": 1}},
        {"cnf": {"jkt": "x"}},
    ],
    ids=str,
)
def test_an_unsound_subject_token_is_an_invalid_request(changes: dict[str, Any]) -> None:
    world = World()
    assert type(refusal(world, subject=world.forge(**{"iat": world.now, **changes}))) is InvalidRequest


def test_a_token_signed_by_anybody_else_is_an_invalid_request() -> None:
    idp = FakeIssuer(issuer=ISSUER, audience=BRIDGE)
    assert isinstance(refusal(World(), subject=idp.mint()), InvalidRequest)


@pytest.mark.parametrize("text", ["x", "a.b.c", "e30.e30.", "é", "." * 20_000], ids=repr)
def test_text_that_is_no_token_is_an_invalid_request(text: str) -> None:
    assert isinstance(refusal(World(), subject=text), InvalidRequest)


# ── actor token ──────────────────────────────────────────────────────────────────────────


def test_an_actor_token_names_the_actor() -> None:
    world = World()
    actor = asyncio.run(world.actor_token())
    assert claims_of(actor).keys() == {"iss", "sub", "aud", "client_id", "iat", "exp", "jti"}
    assert exchanged(world, actor_token=actor, actor_token_type=AT)["act"] == {"sub": "agent-runner", "iss": ISSUER}


def test_an_actor_token_of_another_client_is_refused() -> None:
    world = World()
    actor = asyncio.run(world.actor_token(ORDERS))
    assert isinstance(refusal(world, actor_token=actor, actor_token_type=AT), InvalidRequest)


def test_a_client_that_has_seen_the_proof_exchanges_a_bound_token_for_one_of_the_apis() -> None:
    world = World()
    taker = world.change(AGENT, takes_bound=True)
    claims = exchanged(world, taker, world.forge(cnf={"jkt": "x"}))
    assert (claims["aud"], claims["sub"], claims["exp"] - claims["iat"]) == ("orders", "alice", 300)
    assert "cnf" not in claims
    actor = world.forge(sub=AGENT.client_id, aud=ISSUER, cnf={"jkt": "x"})
    assert type(refusal(world, taker, actor_token=actor, actor_token_type=AT)) is InvalidRequest


@pytest.mark.parametrize(
    "changes",
    [
        {"act": {"sub": "desk", "iss": ISSUER}},
        {"sub": "alice"},
        {"client_id": "orders-api"},
        {"aud": "agent-runner"},
        {"exp": 1_799_990_000},
        {"cnf": {"jkt": "x"}},
        {"jti": "forged"},
    ],
    ids=str,
)
def test_an_actor_token_that_is_not_the_clients_own_direct_credential_is_refused(changes: dict[str, Any]) -> None:
    world = World()
    own = {"sub": "agent-runner", "client_id": "agent-runner", "aud": ISSUER, "jti": "actor", "scope": None}
    assert exchanged(world, subject=world.forge(), actor_token=world.forge(**own), actor_token_type=AT)
    error = refusal(world, subject=world.forge(), actor_token=world.forge(**{**own, **changes}), actor_token_type=AT)
    assert type(error) is InvalidRequest


def test_nobody_acts_for_themselves() -> None:
    world = World()
    assert isinstance(refusal(world, subject=world.forge(sub="agent-runner")), InvalidRequest)


# ── may_act ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "may_act",
    [
        {"sub": "agent-runner"},
        {"client_id": "agent-runner"},
        {"sub": "agent-runner", "iss": ISSUER},
        {"sub": "agent-runner", "client_id": "agent-runner"},
    ],
    ids=str,
)
@pytest.mark.parametrize("with_actor_token", [True, False])
def test_may_act_that_names_the_actor_is_satisfied(may_act: dict[str, str], with_actor_token: bool) -> None:
    world = World()
    extra: dict[str, Any] = {}
    if with_actor_token:
        extra = {"actor_token": asyncio.run(world.actor_token()), "actor_token_type": AT}
    assert exchanged(world, subject=world.forge(may_act=may_act), **extra)["act"]["sub"] == "agent-runner"


@pytest.mark.parametrize(
    "may_act",
    [
        {"sub": "somebody"},
        {"client_id": "somebody"},
        {"sub": "agent-runner", "client_id": "somebody"},
        {"sub": "agent-runner", "iss": "https://other.example"},
        {"sub": "agent-runner", "tier": "gold"},
        {"iss": ISSUER},
        {},
        [],
        "agent-runner",
        {"sub": ["agent-runner"]},
        False,
    ],
    ids=str,
)
@pytest.mark.parametrize("with_actor_token", [True, False])
def test_may_act_that_does_not_name_the_actor_refuses(may_act: Any, with_actor_token: bool) -> None:
    world = World()
    extra: dict[str, Any] = {}
    if with_actor_token:
        extra = {"actor_token": asyncio.run(world.actor_token()), "actor_token_type": AT}
    assert isinstance(refusal(world, subject=world.forge(may_act=may_act), **extra), InvalidRequest)


# ── scope ────────────────────────────────────────────────────────────────────────────────


def test_an_omitted_scope_means_all_that_client_and_subject_have_in_common() -> None:
    world = World()
    user = world.user_token(DevelopmentUser("bob", scopes=("orders:read", "unknown")))
    assert exchanged(world, subject=user)["scope"] == "orders:read"


@pytest.mark.parametrize(
    "scope", ["orders:admin", "orders:read orders:admin", "nothing:known", "orders:read  pay", "é"]
)
def test_a_scope_that_may_not_be_given_is_refused_and_not_dropped(scope: str) -> None:
    assert type(refusal(World(), scope=scope)) is InvalidScope


@pytest.mark.parametrize("scope", [None, "orders:read"])
def test_a_subject_token_without_scope_has_none_to_give(scope: str | None) -> None:
    world = World()
    assert type(refusal(world, subject=world.forge(scope=None), scope=scope)) is InvalidScope


# ── target ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "target",
    [
        {"audience": "orders"},
        {"audience": None, "resource": "https://orders.example/v1"},
        {"resource": "https://orders.example/v1"},
        {"audience": ["orders", "orders"]},
    ],
    ids=str,
)
def test_a_target_may_be_named_in_every_way_that_means_one(target: dict[str, Any]) -> None:
    assert exchanged(World(), **target)["aud"] == "orders"


@pytest.mark.parametrize(
    "target",
    [
        {"audience": None},
        {"audience": "unknown"},
        {"audience": ["orders", "reports"]},
        {"audience": "reports", "resource": "https://orders.example/v1"},
        {"audience": "orders", "resource": "https://unknown.example"},
        {"audience": None, "resource": "orders"},
        {"audience": None, "resource": "https://orders.example/v1#x"},
        {"audience": None, "resource": "https://["},
        {"audience": None, "resource": "//orders.example"},
    ],
    ids=str,
)
def test_a_target_that_is_unknown_malformed_or_several_is_refused(target: dict[str, Any]) -> None:
    assert type(refusal(World(), **target)) is InvalidTarget


def test_the_target_is_checked_before_any_token_is_read() -> None:
    assert isinstance(refusal(World(), subject="nonsense", audience="unknown"), InvalidTarget)


# ── grammar ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token_type": None},
        {"subject_token_type": oauth.TOKEN_TYPE_ID_TOKEN},
        {"subject_token_type": oauth.TOKEN_TYPE_REFRESH_TOKEN},
        {"subject_token_type": "access_token"},
        {"actor_token_type": AT},
        {"actor_token": "x"},
        {"actor_token": "x", "actor_token_type": oauth.TOKEN_TYPE_ID_TOKEN},
        {"requested_token_type": oauth.TOKEN_TYPE_ID_TOKEN},
        {"requested_expires_in": "0"},
        {"requested_expires_in": "-5"},
        {"requested_expires_in": "1e3"},
        {"requested_expires_in": "٣"},
        {"subject_token": None},
        {"subject_token": ["a", "b"]},
        {"scope": ["orders:read", "pay"]},
        {"grant_type": [oauth.GRANT_TOKEN_EXCHANGE] * 2},
        {"grant_type": None},
    ],
    ids=str,
)
def test_a_request_that_breaks_the_grammar_is_an_invalid_request(changes: dict[str, Any]) -> None:
    world = World()
    form: dict[str, Any] = {**exchange_form(world.user_token()), **changes}
    with pytest.raises(InvalidRequest):
        granted(world, {name: value for name, value in form.items() if value is not None})


def test_requested_token_type_access_token_is_what_there_is() -> None:
    assert exchanged(World(), requested_token_type=AT)["aud"] == "orders"


def test_unknown_parameters_are_ignored() -> None:
    assert exchanged(World(), something="else")["aud"] == "orders"


def test_other_grants_are_not_served() -> None:
    with pytest.raises(UnsupportedGrantType):
        granted(World(), {"grant_type": "password"})


def test_a_client_uses_only_the_grants_it_was_given() -> None:
    world = World()
    client = world.change(AGENT, grants=frozenset({oauth.GRANT_CLIENT_CREDENTIALS}))
    assert isinstance(refusal(world, client), UnauthorizedClient)


# ── client credentials ───────────────────────────────────────────────────────────────────


def own_token(world: World, **form: str) -> dict[str, Any]:
    return granted(world, {"grant_type": oauth.GRANT_CLIENT_CREDENTIALS, **form})


@pytest.mark.parametrize("target", [{}, {"audience": ISSUER}, {"resource": ISSUER}], ids=str)
def test_a_client_gets_a_token_of_its_own_for_the_service_itself(target: dict[str, str]) -> None:
    world = World()
    answer = own_token(world, **target)
    claims = claims_of(answer.pop("access_token"))
    assert answer == {"token_type": "Bearer", "expires_in": 300}
    assert (claims["sub"], claims["client_id"], claims["aud"]) == ("agent-runner", "agent-runner", ISSUER)
    assert not claims.keys() & {"act", "scope"}


def test_a_client_gets_a_token_of_its_own_where_its_rule_says_direct() -> None:
    answer = own_token(World(), audience="reports")
    assert answer["scope"] == "reports:read"
    assert "act" not in claims_of(answer["access_token"])


def test_a_client_gets_no_token_of_its_own_where_it_may_only_act_for_somebody() -> None:
    with pytest.raises(InvalidTarget):
        own_token(World(), audience="orders")


@pytest.mark.parametrize("form", [{"scope": "a"}, {"audience": "reports", "scope": "reports:write"}], ids=str)
def test_a_client_gets_no_scope_that_it_was_not_given(form: dict[str, str]) -> None:
    with pytest.raises(InvalidScope):
        own_token(World(), **form)
