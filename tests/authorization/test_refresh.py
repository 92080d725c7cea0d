from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from remit.authorization.person import Person
from remit.sts.revocation import Kind, Order
from support.authorization import (
    ALICE,
    APP,
    CAROL,
    MCP,
    SERVER,
    TOKEN_URL,
    World,
    basic,
    claims,
    error_of,
    refresh_form,
)
from support.dpop import KeyHolder
from support.issuer import es256_key

DAY = 86_400


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def refresh_token(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    token: str = response.json()["refresh_token"]
    return token


def test_a_refresh_token_gives_another_pair_of_the_same_authorization(world: World) -> None:
    first = world.signed_in()
    world.clock.advance(300)
    second = world.refresh(refresh_token(first))
    assert claims(second)["txn"] == claims(first)["txn"]
    assert claims(second)["jti"] != claims(first)["jti"]
    assert claims(second)["auth_time"] == claims(first)["auth_time"]
    assert refresh_token(second) != refresh_token(first)


def test_a_refresh_token_that_comes_twice_ends_its_family(world: World) -> None:
    first = world.signed_in()
    second = world.refresh(refresh_token(first))
    third = world.refresh(refresh_token(second))
    assert error_of(world.refresh(refresh_token(first))) == "invalid_grant"
    for each in (first, second, third):
        assert not world.is_good(each.json()["access_token"])
        assert error_of(world.refresh(refresh_token(each))) == "invalid_grant"
    [(action, what)] = world.told
    assert action == "refresh_reused"
    assert (what["user"], what["client_id"], what["value"]) == ("alice", "app", claims(first)["txn"])
    assert refresh_token(first) not in str(what)


def test_there_is_no_grace_for_whoever_lost_the_answer(world: World) -> None:
    first = world.signed_in()
    world.refresh(refresh_token(first))
    assert error_of(world.refresh(refresh_token(first))) == "invalid_grant"


def test_a_refresh_token_in_the_hands_of_another_client_ends_its_family(world: World) -> None:
    first = world.signed_in()
    assert error_of(world.refresh(refresh_token(first), client_id="other")) == "invalid_grant"
    assert error_of(world.refresh(refresh_token(first))) == "invalid_grant"
    assert world.told[0][1]["by"] == "other"


def test_another_authorization_of_the_same_person_and_client_lives_on(world: World) -> None:
    here, there = world.signed_in(), world.signed_in()
    world.refresh(refresh_token(here))
    world.refresh(refresh_token(here))
    assert world.is_good(there.json()["access_token"])
    assert world.refresh(refresh_token(there)).status_code == 200


@pytest.mark.parametrize("token", ["x", "x" * 65, "x" * 66, "\N{SNOWMAN}" * 65, "x" * 10_000], ids=len)
def test_what_was_never_issued_gives_nothing_and_is_not_recorded(world: World, token: str) -> None:
    assert error_of(world.refresh(token)) == "invalid_grant"
    assert world.store.records == []


def test_a_refresh_token_is_missing(world: World) -> None:
    assert error_of(world.refresh("")) == "invalid_request"


def test_of_many_uses_at_once_one_comes_through_and_the_family_ends(world: World) -> None:
    others = [world.another_process() for _ in range(2)]
    token = refresh_token(world.signed_in())

    async def main() -> list[httpx.Response]:
        return await asyncio.gather(*(each.send(refresh_form(token)) for each in (world, *others) for _ in range(4)))

    answers = asyncio.run(main())
    good = [each for each in answers if each.status_code == 200]
    assert len(good) == 1
    assert error_of(world.refresh(refresh_token(good[0]))) == "invalid_grant"
    assert [action for each in (world, *others) for action, _ in each.told] == ["refresh_reused"]
    for each in others:
        each.close()


# ── scope ──


def test_a_refresh_may_ask_for_less_and_later_for_all_again(world: World) -> None:
    narrow = world.refresh(refresh_token(world.signed_in()), scope="orders:read")
    assert claims(narrow)["scope"] == "orders:read"
    assert claims(world.refresh(refresh_token(narrow)))["scope"] == "orders:read orders:write"


@pytest.mark.parametrize("scope", ["pay", "orders:read pay", "admin"])
def test_a_refresh_never_gives_more_and_asking_for_it_costs_nothing(world: World, scope: str) -> None:
    first = world.signed_in()
    assert error_of(world.refresh(refresh_token(first), scope=scope)) == "invalid_scope"
    assert world.refresh(refresh_token(first)).status_code == 200


def test_a_refresh_is_for_the_same_resource(world: World) -> None:
    first = world.signed_in()
    other = "https://remit.example.com/other"
    assert error_of(world.refresh(refresh_token(first), resource=other)) == "invalid_target"
    assert claims(world.refresh(refresh_token(first), resource=MCP))["aud"] == MCP


def test_a_scope_that_the_client_may_not_have_any_more_is_left_out(world: World) -> None:
    first = world.signed_in()
    world.clients.clients["app"] = replace(APP, scopes=("orders:write",))
    assert claims(world.refresh(refresh_token(first)))["scope"] == "orders:write"


# ── the person, now ──


def test_the_person_is_taken_as_they_are_now(world: World) -> None:
    first = world.signed_in()
    world.people.people["alice"] = replace(ALICE, scopes=("orders:read", "admin"), groups=("support",), roles=())
    said = claims(world.refresh(refresh_token(first)))
    assert (said["scope"], said["groups"], said.get("roles")) == ("orders:read", ["support"], None)


@pytest.mark.parametrize("now", [None, replace(ALICE, scopes=("admin",))], ids=["gone", "nothing left"])
def test_who_is_gone_or_has_nothing_left_refreshes_nothing(world: World, now: Person | None) -> None:
    first = world.signed_in()
    world.people.people = {"alice": now} if now else {}
    assert error_of(world.refresh(refresh_token(first))) == "invalid_grant"


def test_whom_another_provider_knows_stays_as_they_were(world: World) -> None:
    first = world.signed_in(person=CAROL)
    world.people.people = {}
    assert claims(world.refresh(refresh_token(first)))["sub"] == "carol"


# ── the end ──


def test_an_authorization_that_nobody_uses_ends(world: World) -> None:
    token = refresh_token(world.signed_in())
    for _ in range(3):
        world.clock.advance(14 * DAY - 1)
        token = refresh_token(world.refresh(token))
    world.clock.advance(14 * DAY)
    assert error_of(world.refresh(token)) == "invalid_grant"
    assert world.run(world.authorizations.listed("alice", "")) == []


def test_an_authorization_ends_however_much_it_is_used_and_no_token_outlives_it(world: World) -> None:
    token, end = refresh_token(world.signed_in()), int(world.clock.now()) + 90 * DAY
    for _ in range(8):
        world.clock.advance(11 * DAY)
        token = refresh_token(world.refresh(token))
    world.clock.advance(2 * DAY - 60)
    last = world.refresh(token)
    assert (claims(last)["exp"], last.json()["expires_in"]) == (end, 60)
    world.clock.advance(60)
    assert error_of(world.refresh(refresh_token(last))) == "invalid_grant"


@pytest.mark.parametrize(
    "order",
    [Order(Kind.SUBJECT, "alice"), Order(Kind.ACTOR, "app")],
    ids=["logged out everywhere", "client switched off"],
)
def test_what_is_revoked_cannot_be_refreshed(world: World, order: Order) -> None:
    first = world.signed_in()
    code = world.code()
    world.clock.advance(10)
    world.revocations.add(order)
    assert error_of(world.refresh(refresh_token(first))) == "invalid_grant"
    assert error_of(world.redeem(code)) == "invalid_grant"


def test_who_was_logged_out_everywhere_can_sign_in_again_but_their_old_sign_in_counts_no_more(world: World) -> None:
    before = world.sign_in()
    world.clock.advance(10)
    world.revocations.add(Order(Kind.SUBJECT, "alice"))
    world.clock.advance(10)
    assert world.signed_in().status_code == 200
    assert error_of(world.redeem(world.code(sign_in=before))) == "invalid_grant"


def test_a_revoked_transaction_cannot_be_refreshed(world: World) -> None:
    first = world.signed_in()
    world.revocations.add(Order(Kind.TXN, claims(first)["txn"]))
    assert error_of(world.refresh(refresh_token(first))) == "invalid_grant"


# ── keys and clients ──


def proof(holder: KeyHolder, world: World, **changes: Any) -> dict[str, str]:
    holder.now = world.clock.now()
    return {"DPoP": holder.proof("POST", TOKEN_URL, **changes)}


def test_a_public_client_that_proved_a_key_has_to_prove_it_each_time(world: World) -> None:
    holder, thief = KeyHolder(), KeyHolder(es256_key("thief"))
    first = world.redeem(world.code(), proof(holder, world))
    assert error_of(world.refresh(refresh_token(first))) == "invalid_dpop_proof"
    assert error_of(world.refresh(refresh_token(first), proof(thief, world))) == "invalid_dpop_proof"
    second = world.refresh(refresh_token(first), proof(holder, world))
    assert (second.json()["token_type"], claims(second)["cnf"]) == ("DPoP", {"jkt": holder.thumbprint})
    assert error_of(world.refresh(refresh_token(second))) == "invalid_dpop_proof"


def test_a_public_client_may_begin_to_prove_a_key_and_cannot_stop(world: World) -> None:
    holder = KeyHolder()
    second = world.refresh(refresh_token(world.signed_in()), proof(holder, world))
    assert claims(second)["cnf"] == {"jkt": holder.thumbprint}
    assert error_of(world.refresh(refresh_token(second))) == "invalid_dpop_proof"


def test_a_client_that_authenticates_itself_may_change_its_key(world: World) -> None:
    holder, other = KeyHolder(), KeyHolder(es256_key("next"))
    first = world.redeem(world.code(SERVER), {**basic(SERVER), **proof(holder, world)}, client_id="server")
    second = world.refresh(refresh_token(first), {**basic(SERVER), **proof(other, world)}, client_id="server")
    assert claims(second)["cnf"] == {"jkt": other.thumbprint}


def test_a_proof_counts_once(world: World) -> None:
    sent = proof(KeyHolder(), world)
    first = world.redeem(world.code(), sent)
    assert error_of(world.refresh(refresh_token(first), sent)) == "invalid_dpop_proof"


@pytest.mark.parametrize(
    "changes", [{"htm": "GET"}, {"htu": "https://remit.example.com/mcp"}, {"iat": 1}], ids=["method", "url", "age"]
)
def test_an_unsound_proof_is_refused_before_anything_is_used_up(world: World, changes: dict[str, Any]) -> None:
    code = world.code()
    assert error_of(world.redeem(code, proof(KeyHolder(), world, **changes))) == "invalid_dpop_proof"
    assert world.redeem(code).status_code == 200


def test_a_confidential_client_cannot_refresh_without_its_secret(world: World) -> None:
    first = world.redeem(world.code(SERVER), basic(SERVER), client_id="server")
    for headers in ({}, basic(SERVER, "wrong")):
        assert error_of(world.refresh(refresh_token(first), headers, client_id="server")) == "invalid_client"
    assert world.refresh(refresh_token(first), basic(SERVER), client_id="server").status_code == 200


def test_only_digests_of_refresh_tokens_are_kept(world: World) -> None:
    token = refresh_token(world.signed_in())
    rows = world.run(
        world.file.run(lambda connection, _: connection.execute("SELECT * FROM refresh_tokens").fetchall())
    )
    assert len(rows) == 1
    assert hashlib.sha256(token.encode()).digest() in rows[0]
    assert token not in str(rows)


def test_a_family_takes_one_row_however_often_it_is_refreshed(world: World) -> None:
    token = refresh_token(world.signed_in())
    for _ in range(20):
        token = refresh_token(world.refresh(token))
    count = "SELECT count(*) FROM refresh_tokens"
    assert world.run(world.file.run(lambda connection, _: connection.execute(count).fetchone())) == (1,)
