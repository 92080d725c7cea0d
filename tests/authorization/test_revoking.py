from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.errors import InvalidGrant
from support.authorization import APP, BOB, OTHER, SERVER, World, basic, claims, error_of
from support.sts_http import BASIC as STS_BASIC

PATH = "/oauth2/revoke"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_refresh_token_that_is_given_back_takes_everything_along(world: World) -> None:
    first = world.signed_in().json()
    assert world.post({"token": first["refresh_token"], "client_id": "app"}, path=PATH).json() == {}
    assert not world.is_good(first["access_token"])
    assert error_of(world.refresh(first["refresh_token"])) == "invalid_grant"
    assert world.run(world.authorizations.listed("alice", "")) == []
    assert [action for action, _ in world.told] == ["authorization_revoked"]


def test_an_access_token_that_is_given_back_goes_alone(world: World) -> None:
    first = world.signed_in().json()
    assert world.post({"token": first["access_token"], "client_id": "app"}, path=PATH).json() == {}
    assert not world.is_good(first["access_token"])
    assert world.is_good(world.refresh(first["refresh_token"]).json()["access_token"])


@pytest.mark.parametrize("which", ["refresh_token", "access_token"])
def test_a_token_of_another_client_stays(world: World, which: str) -> None:
    first = world.signed_in().json()
    response = world.post({"token": first[which], "client_id": "other"}, path=PATH)
    assert error_of(response) == "unauthorized_client"
    assert world.is_good(first["access_token"])
    assert world.refresh(first["refresh_token"]).status_code == 200


@pytest.mark.parametrize("token", ["x", "x" * 65, "a.b.c"])
def test_what_is_no_token_is_no_trouble(world: World, token: str) -> None:
    response = world.post({"token": token, "client_id": "app"}, path=PATH)
    assert (response.status_code, response.json()) == (200, {})


def test_a_token_is_missing(world: World) -> None:
    assert error_of(world.post({"client_id": "app"}, path=PATH)) == "invalid_request"


def test_a_confidential_client_has_to_prove_itself(world: World) -> None:
    first = world.redeem(world.code(SERVER), basic(SERVER), client_id="server").json()
    form = {"token": first["refresh_token"], "client_id": "server"}
    assert error_of(world.post(form, path=PATH)) == "invalid_client"
    assert world.post(form, basic(SERVER), PATH).status_code == 200
    assert not world.is_good(first["access_token"])


def test_clients_of_the_token_service_revoke_as_ever(world: World) -> None:
    token = world.post({"grant_type": "client_credentials"}, STS_BASIC).json()["access_token"]
    assert world.post({"token": token}, STS_BASIC, PATH).status_code == 200
    assert not world.is_good(token)


def test_people_see_what_they_gave_and_take_it_back(world: World) -> None:
    world.signed_in()
    world.clock.advance(1)
    kept, taken = world.signed_in().json(), world.signed_in(OTHER).json()
    world.signed_in(person=BOB, scopes=("orders:read",))
    listed = world.run(world.authorizations.listed("alice", ""))
    assert [each.client_id for each in listed] == ["other", "app", "app"]
    assert [each.scopes for each in listed] == [("orders:read", "orders:write")] * 3
    world.run(world.authorizations.revoke(listed[0].id))
    assert len(world.run(world.authorizations.listed("alice", ""))) == 2
    assert not world.is_good(taken["access_token"])
    assert error_of(world.refresh(taken["refresh_token"], client_id="other")) == "invalid_grant"
    assert world.refresh(kept["refresh_token"]).status_code == 200


def test_what_is_taken_back_twice_is_taken_back(world: World) -> None:
    world.signed_in()
    [given] = world.run(world.authorizations.listed("alice", ""))
    world.run(world.authorizations.revoke(given.id))
    world.run(world.authorizations.revoke(given.id))
    assert len(world.another_list().entries()) == 1


def test_people_of_another_provider_have_a_list_of_their_own(world: World) -> None:
    world.signed_in()
    assert world.run(world.authorizations.listed("alice", "https://idp.example")) == []


def test_a_code_that_waits_is_no_authorization_yet(world: World) -> None:
    world.code()
    assert world.run(world.authorizations.listed("alice", "")) == []


def test_an_authorization_that_was_taken_back_can_issue_nothing(world: World) -> None:
    given = world.run(world.authorizations.start(APP, world.sign_in(), world.audiences[0], ("orders:read",)))
    issued = world.run(world.authorizations.issue(given, scopes=("orders:read",), refresh=False))
    assert "refresh_token" not in issued.document
    assert issued.grant.txn == given.txn
    world.run(world.authorizations.revoke(given.id))
    with pytest.raises(InvalidGrant, match="revoked"):
        world.run(world.authorizations.issue(given, scopes=("orders:read",), refresh=False))


def test_a_revocation_counts_in_other_processes_and_names_the_transaction(world: World) -> None:
    first = world.signed_in()
    [given] = world.run(world.authorizations.listed("alice", ""))
    world.run(world.authorizations.revoke(given.id))
    [entry] = world.another_list().entries()
    assert (entry.order.kind, entry.order.value, entry.order.by) == ("txn", claims(first)["txn"], "user:alice")
