"""Somebody signs in with a browser elsewhere, by a code that they type in there."""

from __future__ import annotations

from typing import Any

import pytest

from remit.errors import SignInFailed
from remit.login.device import DeviceCode, read_device_code, sign_in_by_device
from remit.login.login import Login, LoginClient
from support.clock import FakeClock
from support.login_server import RESOURCE, LoginServer

pytestmark = pytest.mark.anyio


class Person:
    """Sees the code; time passes only while the program waits for them."""

    def __init__(self) -> None:
        self.shown: list[DeviceCode] = []
        self.pauses: list[float] = []
        self.clock = FakeClock()

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)

    async def signs_in(self, client: LoginClient) -> Login:
        return await sign_in_by_device(client, self.clock, self.shown.append, pause=self.pause)


async def test_whoever_types_in_the_code_is_signed_in(server: LoginServer, client: LoginClient) -> None:
    person = Person()
    login = await person.signs_in(client)
    assert login.account == "alice"
    (code,) = person.shown
    assert (code.user_code, code.uri) == ("WDJB-MJHT", f"{server.issuer}/device")
    asked, polled = server.forms
    assert asked == {"grant_type": "", "client_id": "tester", "resource": RESOURCE, "scope": "orders:read"}
    assert polled["device_code"] == "device-1"
    assert "device-1" not in repr(code)


async def test_it_is_asked_no_more_often_than_the_server_allows(server: LoginServer, client: LoginClient) -> None:
    server.polls = ["authorization_pending", "slow_down", "authorization_pending", "slow_down"]
    person = Person()
    await person.signs_in(client)
    assert person.pauses == [1, 1, 6, 6, 11]


async def test_a_server_that_is_out_of_order_for_a_while_is_asked_less_often(
    server: LoginServer, client: LoginClient
) -> None:
    person = Person()

    async def pause(seconds: float) -> None:
        await person.pause(seconds)
        server.status = 503 if len(person.pauses) == 1 else 0

    await sign_in_by_device(client, person.clock, person.shown.append, pause=pause)
    assert person.pauses == [1, 6]


@pytest.mark.parametrize("error", ["access_denied", "expired_token", "invalid_client"])
async def test_a_no_ends_it(server: LoginServer, client: LoginClient, error: str) -> None:
    server.polls = ["authorization_pending", error]
    with pytest.raises(SignInFailed) as caught:
        await Person().signs_in(client)
    assert caught.value.error == error


async def test_it_ends_when_the_code_does(server: LoginServer, client: LoginClient) -> None:
    server.polls, server.answer = ["authorization_pending"] * 100, {"expires_in": 5}
    person = Person()
    with pytest.raises(SignInFailed) as caught:
        await person.signs_in(client)
    assert caught.value.error == "expired_token"
    assert len(person.pauses) == 5


async def test_a_server_that_knows_no_device_codes_says_so(server: LoginServer, client: LoginClient) -> None:
    server.metadata = {"device_authorization_endpoint": None}
    with pytest.raises(SignInFailed) as caught:
        await Person().signs_in(client)
    assert "without --device" in caught.value.hint


GOOD = {"device_code": "d", "user_code": "U", "verification_uri": "https://a/d", "expires_in": 60}


@pytest.mark.parametrize(
    "change",
    [
        {"verification_uri": "http://a/d"},
        {"verification_uri": None},
        {"verification_uri": "https://a/\x1b[2J"},
        {"verification_uri_complete": "javascript:x"},
        {"user_code": "\x1b[2J"},
        {"user_code": ""},
        {"user_code": "x" * 65},
        {"device_code": ""},
        {"expires_in": "60"},
        {"expires_in": None},
        {"interval": 0},
        {"interval": True},
    ],
)
def test_what_a_person_could_not_be_shown_or_wait_for_is_refused(change: dict[str, Any]) -> None:
    assert read_device_code(GOOD).interval == 5
    with pytest.raises(SignInFailed):
        read_device_code({**GOOD, **change})
