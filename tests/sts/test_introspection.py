"""RFC 7662: what an API is told of a token it was shown, and what nobody is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from remit.errors import StateInvalid
from remit.sts.revocation import Kind, Order
from support.issuer import FakeIssuer, claims_of
from support.revocation import Guarded, basic
from support.sts import AGENT, BRIDGE, ISSUER, ORDERS, PAYMENTS, World, exchange_form

PATH = "/oauth2/introspect"
INACTIVE = {"active": False}


@pytest.fixture
def sts(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path)


def delegated(world: World) -> str:
    answer = asyncio.run(world.grant(AGENT, exchange_form(world.user_token(), scope="orders:read")))
    return str(answer["access_token"])


def test_the_api_a_token_is_for_is_told_who_acts_for_whom(sts: Guarded) -> None:
    token = delegated(sts.world)
    response = sts.post(PATH, {"token": token}, basic(ORDERS))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    claims = claims_of(token)
    assert response.json() == {
        "active": True,
        "token_type": "Bearer",
        "iss": ISSUER,
        "sub": "alice",
        "aud": "orders",
        "client_id": "agent-runner",
        "scope": "orders:read",
        "act": {"sub": "agent-runner", "iss": ISSUER},
        **{name: claims[name] for name in ("exp", "iat", "jti", "txn")},
    }


def test_may_act_and_what_describes_the_user_are_told_to_nobody(sts: Guarded) -> None:
    token = sts.world.forge(aud="orders", may_act={"sub": "agent-runner"}, groups=["a"], email="alice@example.com")
    told = sts.post(PATH, {"token": token}, basic(ORDERS)).json()
    assert told["active"]
    assert not {"may_act", "groups", "email"} & told.keys()


def test_the_profile_a_token_is_written_in_is_told(sts: Guarded) -> None:
    token = sts.world.forge(aud="orders", sub="api-gateway", act={"sub": "client-frontend"}, dlg="workload")
    told = sts.post(PATH, {"token": token}, basic(ORDERS)).json()
    assert (told["sub"], told["act"], told["dlg"]) == ("api-gateway", {"sub": "client-frontend"}, "workload")


def test_a_token_for_somebody_else_is_inactive_even_to_the_client_that_got_it(sts: Guarded) -> None:
    token = delegated(sts.world)
    for client in (AGENT, PAYMENTS):
        assert sts.post(PATH, {"token": token}, basic(client)).json() == INACTIVE
    assert sts.post(PATH, {"token": sts.world.user_token(audience=BRIDGE)}, basic(ORDERS)).json() == INACTIVE


UNSOUND: list[Callable[[World], str]] = [
    lambda world: "x",
    lambda world: "a.b.c",
    lambda world: world.forge(aud="orders")[:-4] + "AAAA",
    lambda world: world.forge(aud="orders", exp=world.now - 1),
    lambda world: world.forge(aud="orders", exp=world.now),
    lambda world: world.forge(aud="orders", iat=world.now + 600),
    lambda world: world.forge(aud="orders", iss="https://other.example"),
    lambda world: world.forge(aud=None),
    lambda world: world.forge(aud=["orders", 7]),
    lambda world: FakeIssuer(issuer=ISSUER, audience="orders").mint(),
    lambda world: FakeIssuer(audience="orders").mint(),
    lambda world: "x" * 20_000,
]


@pytest.mark.parametrize("make", UNSOUND)
def test_an_unsound_expired_or_foreign_token_is_inactive_and_nothing_more(
    sts: Guarded, make: Callable[[World], str]
) -> None:
    response = sts.post(PATH, {"token": make(sts.world)}, basic(ORDERS))
    assert (response.status_code, response.json()) == (200, INACTIVE)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer x"}], ids=str)
def test_nobody_is_told_anything_without_proof_of_who_they_are(sts: Guarded, headers: dict[str, str]) -> None:
    response = sts.post(PATH, {"token": delegated(sts.world)}, headers)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert "www-authenticate" in response.headers


def test_a_token_proves_no_client(sts: Guarded) -> None:
    token = delegated(sts.world)
    response = sts.post(PATH, {"token": token}, {"Authorization": f"Bearer {token}"})
    assert response.status_code == 401


def test_a_request_without_a_token_or_with_two_is_refused(sts: Guarded) -> None:
    for form in ({}, {"token": ""}, {"token": ["a", "b"]}):
        response = sts.post(PATH, form, basic(ORDERS))
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_the_hint_changes_nothing(sts: Guarded) -> None:
    form = {"token": delegated(sts.world), "token_type_hint": "refresh_token"}
    assert sts.post(PATH, form, basic(ORDERS)).json()["active"]


@pytest.mark.parametrize("kind", [Kind.JTI, Kind.TXN, Kind.SUBJECT, Kind.ACTOR])
def test_a_revoked_token_is_inactive_at_once(sts: Guarded, kind: Kind) -> None:
    token = delegated(sts.world)
    claims = claims_of(token)
    value = {Kind.JTI: claims["jti"], Kind.TXN: claims["txn"], Kind.SUBJECT: "alice", Kind.ACTOR: "agent-runner"}[kind]
    assert sts.post(PATH, {"token": token}, basic(ORDERS)).json()["active"]
    sts.revocations.add(Order(kind, value))
    assert sts.post(PATH, {"token": token}, basic(ORDERS)).json() == INACTIVE


def test_a_client_that_is_switched_off_is_told_nothing(sts: Guarded) -> None:
    token = delegated(sts.world)
    sts.revocations.add(Order(Kind.ACTOR, "orders-api"))
    assert sts.post(PATH, {"token": token}, basic(ORDERS)).json() == INACTIVE


def test_nothing_is_said_while_it_is_not_known_what_was_revoked(sts: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    token = delegated(sts.world)

    def fail() -> None:
        raise StateInvalid("no", detail="gone")

    monkeypatch.setattr(sts.revocations._file, "news", fail)
    sts.world.clock.advance(9)
    assert sts.post(PATH, {"token": token}, basic(ORDERS)).json()["active"]
    sts.world.clock.advance(1)
    response = sts.post(PATH, {"token": token}, basic(ORDERS))
    assert response.status_code == 503
