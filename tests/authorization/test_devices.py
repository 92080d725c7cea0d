from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from remit import oauth
from remit.authorization.person import Person
from remit.errors import InvalidRequest
from remit.sts.revocation import Kind, Order
from support.authorization import (
    ALICE,
    APP,
    BOB,
    CAROL,
    MCP,
    SCOPES,
    SERVER,
    TOKEN_URL,
    World,
    basic,
    claims,
    error_of,
)
from support.dpop import KeyHolder

PATH = "/oauth2/device_authorization"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def begin(world: World, headers: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    response = world.post({"client_id": "app", "scope": "orders:read orders:write", **changes}, headers, PATH)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def poll_form(start: dict[str, Any], **changes: Any) -> dict[str, Any]:
    device = {"device_code": start["device_code"], "client_id": "app"}
    return {"grant_type": oauth.GRANT_DEVICE_CODE, **device, **changes}


def poll(world: World, start: dict[str, Any], headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    return world.post(poll_form(start, **changes), headers)


def approve(world: World, start: dict[str, Any], scopes: tuple[str, ...] = SCOPES) -> None:
    world.run(world.devices.approve(start["user_code"], world.sign_in(), scopes))


def test_a_device_is_told_what_to_show(world: World) -> None:
    start = begin(world)
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", start["user_code"])
    assert (start["expires_in"], start["interval"]) == (600, 5)
    assert start["verification_uri"] == "https://remit.example.com/oauth2/device"
    assert start["verification_uri_complete"] == f"{start['verification_uri']}?user_code={start['user_code']}"


def test_a_device_gets_its_tokens_once_somebody_says_yes(world: World) -> None:
    start = begin(world)
    assert error_of(poll(world, start)) == "authorization_pending"
    approve(world, start)
    response = poll(world, start)
    assert (claims(response)["sub"], claims(response)["scope"], claims(response)["aud"]) == (
        "alice",
        "orders:read orders:write",
        MCP,
    )
    assert world.refresh(response.json()["refresh_token"]).status_code == 200


@pytest.mark.parametrize("person", [ALICE, CAROL], ids=lambda person: person.sub)
def test_a_yes_from_before_somebody_was_logged_out_everywhere_gives_nothing(world: World, person: Person) -> None:
    start = begin(world)
    world.run(world.devices.approve(start["user_code"], world.sign_in(person), SCOPES))
    world.revocations.add(Order(Kind.SUBJECT, person.sub))
    world.clock.advance(5)
    assert error_of(poll(world, start)) == "invalid_grant"


@pytest.mark.parametrize("typed", ["{}", " {} ", "{lower}", "{bare}", "{spaced}"])
def test_a_code_is_known_however_it_is_typed(world: World, typed: str) -> None:
    code = begin(world)["user_code"]
    text = typed.format(code, lower=code.lower(), bare=code.replace("-", ""), spaced=code.replace("-", " "))
    found = world.run(world.devices.waiting(text))
    assert found is not None
    assert (found.user_code, found.client_id, found.audience, found.scopes) == (code, "app", MCP, SCOPES)


@pytest.mark.parametrize("code", ["", "BBBB-BBBB", "B", "x" * 1000, "'; DROP TABLE devices; --"], ids=len)
def test_nobody_shows_another_code(world: World, code: str) -> None:
    begin(world)
    assert world.run(world.devices.waiting(code)) is None


def test_a_device_gets_no_more_than_it_asked_for_and_no_more_than_was_given(world: World) -> None:
    start = begin(world, scope="orders:read")
    approve(world, start, ("orders:read", "pay"))
    assert claims(poll(world, start))["scope"] == "orders:read"


def test_who_gives_what_is_not_theirs_gives_nothing(world: World) -> None:
    start = begin(world)
    world.run(world.devices.approve(start["user_code"], world.sign_in(BOB), ("orders:write",)))
    assert error_of(poll(world, start)) == "invalid_grant"


def test_a_device_that_asks_too_often_has_to_wait_longer_each_time(world: World) -> None:
    start = begin(world)
    said = []
    for seconds in (0, 5, 1, 5, 10, 15, 30):
        world.clock.advance(seconds)
        said.append(error_of(poll(world, start)))
    pending, slow = "authorization_pending", "slow_down"
    assert said == [pending, pending, slow, slow, slow, slow, pending]


def test_a_device_is_told_no_once(world: World) -> None:
    start = begin(world)
    world.run(world.devices.deny(start["user_code"]))
    assert error_of(poll(world, start)) == "access_denied"
    assert error_of(poll(world, start)) == "invalid_grant"


def test_a_device_is_told_that_nobody_answered_in_time(world: World) -> None:
    start = begin(world)
    world.clock.advance(600)
    assert error_of(poll(world, start)) == "expired_token"
    assert error_of(poll(world, start)) == "invalid_grant"  # told once: the trail is not for anybody to fill
    assert len(world.store.records) == 1
    assert world.run(world.devices.waiting(start["user_code"])) is None
    with pytest.raises(InvalidRequest, match="does not wait"):
        approve(world, start)


def test_an_answer_is_given_once(world: World) -> None:
    start = begin(world)
    world.run(world.devices.deny(start["user_code"]))
    with pytest.raises(InvalidRequest, match="does not wait"):
        approve(world, start)
    assert error_of(poll(world, start)) == "access_denied"


def test_of_many_that_poll_at_once_one_gets_the_tokens(world: World) -> None:
    other, start = world.another_process(), begin(world)
    approve(world, start)

    async def main() -> list[httpx.Response]:
        return await asyncio.gather(*(each.send(poll_form(start)) for each in (world, other) for _ in range(5)))

    statuses = [response.status_code for response in asyncio.run(main())]
    assert sorted(statuses) == [200, *[400] * 9]
    other.close()


@pytest.mark.parametrize("device_code", ["x", "x" * 43], ids=len)
def test_a_device_code_that_was_never_issued_gives_nothing(world: World, device_code: str) -> None:
    assert error_of(poll(world, begin(world), device_code=device_code)) == "invalid_grant"


def test_the_device_code_of_another_client_gives_nothing_and_stays_its_own(world: World) -> None:
    start = begin(world)
    approve(world, start)
    assert error_of(poll(world, start, client_id="other")) == "invalid_grant"
    assert poll(world, start).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": None}, "invalid_client"),
        ({"client_id": "server"}, "invalid_client"),
        ({"client_secret": "guess"}, "invalid_client"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"resource": [MCP, "https://remit.example.com/other"]}, "invalid_target"),
        ({"scope": "a  b"}, "invalid_scope"),
        ({"scope": " ".join(f"s{number}" for number in range(49))}, "invalid_scope"),
    ],
    ids=str,
)
def test_a_device_that_asks_wrongly_waits_for_nothing(world: World, changes: dict[str, Any], error: str) -> None:
    assert error_of(world.post({"client_id": "app", **changes}, path=PATH)) == error


def test_a_confidential_client_proves_itself_for_its_device(world: World) -> None:
    start = begin(world, basic(SERVER), client_id="server")
    approve(world, start)
    assert claims(poll(world, start, basic(SERVER), client_id="server"))["client_id"] == "server"


def test_a_client_without_the_grant_cannot_begin(world: World) -> None:
    world.clients.clients["app"] = replace(APP, grants=frozenset({oauth.GRANT_AUTHORIZATION_CODE}))
    assert error_of(world.post({"client_id": "app"}, path=PATH)) == "unauthorized_client"


def test_a_device_can_prove_a_key(world: World) -> None:
    holder, start = KeyHolder(), begin(world)
    approve(world, start)
    response = poll(world, start, {"DPoP": holder.proof("POST", TOKEN_URL)})
    assert claims(response)["cnf"] == {"jkt": holder.thumbprint}


def test_so_many_devices_of_a_client_wait_and_no_more(world: World) -> None:
    async def main() -> list[httpx.Response]:
        for _ in range(1000):
            await world.devices.begin(APP, MCP, ())
        return [await world.send({"client_id": name}, path=PATH) for name in ("app", "other")]

    full, free = world.run(main())
    assert (full.status_code, error_of(full)) == (503, "server_error")
    assert free.status_code == 200
    world.clock.advance(600)
    begin(world)


def test_waiting_is_not_recorded(world: World) -> None:
    start = begin(world)
    poll(world, start)
    poll(world, start)
    assert world.store.records == []
    approve(world, start)
    poll(world, start)
    assert [record["grant"]["type"] for record in world.store.records] == ["device_code"]
