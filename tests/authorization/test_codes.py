from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from remit.authorization.client import SignInClient
from remit.principal import Assurance
from support.authorization import (
    APP,
    BOB,
    CAROL,
    DOCUMENT,
    DYNAMIC,
    MCP,
    OTHER,
    SERVER,
    TOKEN_URL,
    VERIFIER,
    World,
    basic,
    claims,
    code_form,
    error_of,
)
from support.dpop import KeyHolder
from support.issuer import es256_key


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_code_gives_a_token_that_says_who_signed_in_through_what(world: World) -> None:
    response = world.signed_in()
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 600, "orders:read orders:write")
    said = claims(response)
    assert {name: said[name] for name in ("iss", "sub", "aud", "client_id", "name", "groups", "roles", "amr")} == {
        "iss": "https://remit.example.com",
        "sub": "alice",
        "aud": MCP,
        "client_id": "app",
        "name": "Alice",
        "groups": ["sales"],
        "roles": ["lead"],
        "amr": ["pwd"],
    }
    assert said["auth_time"] == int(world.clock.now())
    assert said["client_assurance"] == Assurance.REGISTERED.value
    assert "act" not in said
    assert "sub_iss" not in said


@pytest.mark.parametrize(
    ("client", "headers", "assurance"),
    [
        (DOCUMENT, None, Assurance.REGISTERED),
        (DYNAMIC, None, Assurance.SELF_ASSERTED),
        (SERVER, basic(SERVER), Assurance.AUTHENTICATED),
    ],
    ids=["document", "dynamic", "secret"],
)
def test_a_token_says_how_sure_its_client_is(
    world: World, client: SignInClient, headers: dict[str, str] | None, assurance: Assurance
) -> None:
    response = world.redeem(world.code(client), headers, client_id=client.client_id)
    assert (claims(response)["client_id"], claims(response)["client_assurance"]) == (client.client_id, assurance.value)


def test_whom_another_provider_knows_is_named_with_it(world: World) -> None:
    said = claims(world.signed_in(person=CAROL))
    assert (said["sub"], said["sub_iss"]) == ("carol", "https://idp.example")


def test_the_resource_may_be_repeated(world: World) -> None:
    assert world.redeem(world.code(), resource=MCP).status_code == 200


ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "another client": ({"client_id": "other"}, "invalid_grant"),
    "no verifier": ({"code_verifier": None}, "invalid_request"),
    "another verifier": ({"code_verifier": "w" * 43}, "invalid_grant"),
    "the challenge itself": ({"code_verifier": "x" * 42 + "="}, "invalid_grant"),
    "a short verifier": ({"code_verifier": VERIFIER[:42]}, "invalid_grant"),
    "a long verifier": ({"code_verifier": "v" * 129}, "invalid_grant"),
    "no redirect_uri": ({"redirect_uri": None}, "invalid_grant"),
    "another redirect_uri": ({"redirect_uri": "https://app.example.com/callback2"}, "invalid_grant"),
    "a redirect_uri of another case": ({"redirect_uri": "https://APP.example.com/callback"}, "invalid_grant"),
    "another resource": ({"resource": "https://remit.example.com/other"}, "invalid_target"),
    "two resources": ({"resource": [MCP, "https://remit.example.com/other"]}, "invalid_target"),
    "another audience": ({"audience": "orders"}, "invalid_target"),
}


@pytest.mark.parametrize(("changes", "error"), ATTACKS.values(), ids=ATTACKS.keys())
def test_a_code_that_is_brought_wrongly_gives_nothing_and_is_used_up(
    world: World, changes: dict[str, Any], error: str
) -> None:
    code = world.code()
    assert error_of(world.redeem(code, **changes)) == error
    assert error_of(world.redeem(code)) == "invalid_grant"


def test_a_plain_challenge_proves_nothing(world: World) -> None:
    assert error_of(world.redeem(world.code(code_challenge=VERIFIER))) == "invalid_grant"


def test_a_code_expires_after_a_minute(world: World) -> None:
    code = world.code()
    world.clock.advance(60)
    assert error_of(world.redeem(code)) == "invalid_grant"


@pytest.mark.parametrize("code", ["x", "x" * 43, "\N{GREEK SMALL LETTER ALPHA}" * 43, "x" * 10_000], ids=len)
def test_a_code_that_was_never_issued_gives_nothing(world: World, code: str) -> None:
    assert error_of(world.redeem(code)) == "invalid_grant"


def test_a_code_is_missing(world: World) -> None:
    assert error_of(world.redeem("")) == "invalid_request"


@pytest.mark.parametrize("client_id", ["app", "other"])
def test_a_code_that_comes_twice_ends_all_that_came_of_it(world: World, client_id: str) -> None:
    code = world.code()
    first = world.redeem(code).json()
    second = world.refresh(first["refresh_token"]).json()
    assert world.is_good(second["access_token"])
    assert error_of(world.redeem(code, client_id=client_id)) == "invalid_grant"
    assert not world.is_good(first["access_token"])
    assert not world.is_good(second["access_token"])
    assert error_of(world.refresh(second["refresh_token"])) == "invalid_grant"
    assert [action for action, _ in world.told] == ["authorization_revoked"]
    assert world.told[0][1]["user"] == "alice"


def test_a_code_that_comes_a_third_time_is_told_once(world: World) -> None:
    code = world.code()
    for _ in range(4):
        world.redeem(code)
    assert len(world.told) == 1


def test_of_many_that_bring_one_code_one_gets_something_and_even_that_ends(world: World) -> None:
    others = [world.another_process() for _ in range(2)]
    code = world.code()

    async def main() -> list[httpx.Response]:
        requests = [each.send(code_form(code)) for each in (world, *others) for _ in range(4)]
        return await asyncio.gather(*requests)

    answers = asyncio.run(main())
    good = [each for each in answers if each.status_code == 200]
    assert len(good) == 1
    assert {error_of(each) for each in answers if each.status_code != 200} == {"invalid_grant"}
    assert not world.is_good(good[0].json()["access_token"])
    assert error_of(world.refresh(good[0].json()["refresh_token"])) == "invalid_grant"
    for each in others:
        each.close()


def test_a_client_without_refresh_tokens_gets_none(world: World) -> None:
    world.clients.clients["app"] = _without(APP, "refresh_token")
    answer = world.signed_in().json()
    assert "refresh_token" not in answer
    assert len(world.run(world.authorizations.listed("alice", ""))) == 1
    world.clock.advance(answer["expires_in"])
    assert world.run(world.authorizations.listed("alice", "")) == []


def test_a_client_without_the_grant_gets_nothing(world: World) -> None:
    code = world.code()
    world.clients.clients["app"] = _without(APP, "authorization_code")
    assert error_of(world.redeem(code)) == "unauthorized_client"


def test_who_is_gone_since_they_said_yes_gives_nothing(world: World) -> None:
    code = world.code()
    del world.people.people["alice"]
    assert error_of(world.redeem(code)) == "invalid_grant"


def test_what_a_person_may_not_give_any_more_is_not_given(world: World) -> None:
    code = world.code()
    world.people.people["alice"] = BOB
    assert claims(world.redeem(code))["scope"] == "orders:read"


def test_a_code_that_is_bound_to_a_key_needs_a_proof_of_it(world: World) -> None:
    holder, thief = KeyHolder(), KeyHolder(es256_key("thief"))
    bound = holder.thumbprint
    assert error_of(world.redeem(world.code(dpop_jkt=bound))) == "invalid_dpop_proof"
    stolen = {"DPoP": thief.proof("POST", TOKEN_URL)}
    assert error_of(world.redeem(world.code(dpop_jkt=bound), stolen)) == "invalid_dpop_proof"
    response = world.redeem(world.code(dpop_jkt=bound), {"DPoP": holder.proof("POST", TOKEN_URL)})
    assert response.json()["token_type"] == "DPoP"
    assert claims(response)["cnf"] == {"jkt": bound}


def test_nobody_holds_more_authorizations_for_a_client_than_twenty(world: World) -> None:
    first = world.signed_in().json()
    for _ in range(20):
        world.signed_in()
    assert len(world.run(world.authorizations.listed("alice", ""))) == 20
    assert error_of(world.refresh(first["refresh_token"])) == "invalid_grant"


def test_no_code_and_no_token_stands_in_the_file(world: World) -> None:
    code = world.code()
    answer = world.redeem(code).json()
    start = world.run(world.devices.begin(OTHER, MCP, ()))
    world.close()
    written = b"".join(path.read_bytes() for path in world.directory.glob("authorizations*"))
    for secret in (code, answer["refresh_token"], answer["access_token"], start.device_code):
        assert secret.encode() not in written
        assert secret[:20].encode() not in written


def _without(client: SignInClient, grant: str) -> SignInClient:
    return replace(client, grants=client.grants - {grant})
