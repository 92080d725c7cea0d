"""Somebody signs in with a browser, over real sockets; and what a strange server or a strange page cannot do."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.credential import Credential
from remit.errors import SignInFailed, SignInUnavailable
from remit.login.authorization import AuthorizationRequest
from remit.login.browser import sign_in_by_browser
from remit.login.login import Login, LoginClient, LoginTarget
from remit.login.loopback import Loopback
from remit.login.metadata import ServerMetadata, read_metadata
from support.clock import FakeClock
from support.login_server import RESOURCE, LoginServer, browse

pytestmark = pytest.mark.anyio


class Browser:
    """Opens what it is shown, and remembers it."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.pages: list[asyncio.Task[httpx.Response]] = []

    def __call__(self, url: str) -> None:
        self.urls.append(url)
        self.pages.append(asyncio.get_running_loop().create_task(browse(url)))

    @property
    def asked(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.urls[0]).query))


async def signed_in(client: LoginClient, browser: Browser, seconds: float = 5.0) -> Login:
    return await sign_in_by_browser(client, FakeClock(), browser, seconds=seconds)


async def test_whoever_follows_the_url_is_signed_in(server: LoginServer, client: LoginClient) -> None:
    browser = Browser()
    login = await signed_in(client, browser)
    assert login.target == client.target
    assert login.account == "alice"
    assert login.scopes == ("orders:read",)
    assert login.expires_at == FakeClock().now() + 600
    assert login.refresh_token == Credential("refresh-2")
    page = await browser.pages[0]
    assert page.status_code == 200
    assert "You can close this page" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_request_says_all_that_keeps_it_safe_and_nothing_secret(
    server: LoginServer, client: LoginClient
) -> None:
    browser = Browser()
    login = await signed_in(client, browser)
    asked, redeemed = browser.asked, server.forms[0]
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["resource"] == redeemed["resource"] == RESOURCE
    assert asked["scope"] == "orders:read"
    assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    assert len(asked["state"]) == 43
    assert redeemed["client_id"] == "tester"
    assert redeemed["code_verifier"] not in browser.urls[0]
    assert login.access_token.reveal() not in repr(login)
    assert "refresh-2" not in repr(login)


async def test_two_requests_have_nothing_in_common_that_could_be_guessed(client: LoginClient) -> None:
    one, other = Browser(), Browser()
    await asyncio.gather(signed_in(client, one), signed_in(client, other))
    assert {one.asked["state"], one.asked["code_challenge"]}.isdisjoint(other.asked.values())


async def test_a_client_with_a_secret_proves_itself_in_the_header_alone(
    server: LoginServer, client: LoginClient
) -> None:
    await signed_in(replace(client, secret=Credential("s3cret:é")), Browser())
    assert server.headers[0]["authorization"].startswith("Basic ")
    assert "client_secret" not in server.forms[0]
    assert "client_id" not in server.forms[0]


@pytest.mark.parametrize(
    ("redirect", "message"),
    [
        ({"iss": "https://evil.example.com"}, "the browser brought the answer of another issuer"),
        ({"iss": None}, "the browser brought the answer of another issuer"),
        ({"code": None}, "the browser brought no authorization code"),
        ({"code": None, "error": "access_denied"}, 'the authorization server refused with "access_denied"'),
        ({"error": "<script>"}, "the authorization server refused without an OAuth error code"),
    ],
)
async def test_an_answer_that_is_not_right_signs_nobody_in(
    server: LoginServer, client: LoginClient, redirect: dict[str, str | None], message: str
) -> None:
    server.redirect = redirect
    with pytest.raises(SignInFailed) as caught:
        await signed_in(client, Browser())
    assert caught.value.message == message
    assert server.forms == []


async def test_a_server_that_never_names_itself_need_not_but_may_not_name_another(
    server: LoginServer, client: LoginClient
) -> None:
    server.metadata, server.redirect = {"authorization_response_iss_parameter_supported": None}, {"iss": None}
    assert (await signed_in(client, Browser())).account == "alice"
    server.redirect = {"iss": f"{server.issuer}/"}
    with pytest.raises(SignInFailed):
        await signed_in(client, Browser())


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example.com"},
        {"code_challenge_methods_supported": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"authorization_endpoint": None},
        {"token_endpoint": "http://evil.example.com/token"},
        {"token_endpoint": None},
        {"token_endpoint": 7},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_a_server_that_does_not_say_what_makes_it_safe_is_not_asked(
    server: LoginServer, client: LoginClient, metadata: dict[str, Any]
) -> None:
    server.metadata, browser = metadata, Browser()
    with pytest.raises(SignInFailed):
        await signed_in(client, browser)
    assert browser.urls == []


def test_an_issuer_elsewhere_cannot_have_a_credential_sent_to_this_machine() -> None:
    issuer = "https://idp.example.com"
    with pytest.raises(SignInFailed):
        read_metadata(issuer, {"issuer": issuer, "token_endpoint": "http://127.0.0.1:9/token"})


@pytest.mark.parametrize(
    "answer",
    [
        {"token_type": "DPoP"},
        {"access_token": None},
        {"access_token": "a b"},
        {"access_token": "x" * 8193},
        {"expires_in": "600"},
        {"expires_in": 0},
        {"expires_in": True},
        {"refresh_token": 7},
        {"scope": ["a"]},
        {"scope": "a  b"},
    ],
)
async def test_tokens_that_cannot_be_used_sign_nobody_in(
    server: LoginServer, client: LoginClient, answer: dict[str, Any]
) -> None:
    server.answer = answer
    with pytest.raises(SignInFailed):
        await signed_in(client, Browser())


async def test_an_opaque_token_without_a_lifetime_is_a_login_of_somebody_for_five_minutes(
    server: LoginServer, client: LoginClient
) -> None:
    server.answer = {"access_token": "opaque", "expires_in": None, "refresh_token": None, "scope": "orders:read x"}
    login = await signed_in(client, Browser())
    assert (login.account, login.refresh_token, login.scopes) == ("", None, ("orders:read", "x"))
    assert login.expires_at == FakeClock().now() + 300


async def test_an_issuer_that_nobody_serves_is_out_of_reach() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        issuer = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(SignInUnavailable):
        await signed_in(LoginClient(LoginTarget(issuer, "c", RESOURCE)), Browser())


async def test_nobody_is_waited_for_for_ever(client: LoginClient) -> None:
    with pytest.raises(SignInFailed) as caught:
        await sign_in_by_browser(client, FakeClock(), lambda _url: None, seconds=0.05)
    assert caught.value.message == "nobody signed in in time"


# ── the port that the browser comes back to ──────────────────────────────────────────────


async def spoken_to(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /callback?state=wrong&code=x HTTP/1.1\r\n\r\n",
        b"GET /callback?state=right&state=right HTTP/1.1\r\n\r\n",
        b"GET /favicon.ico HTTP/1.1\r\n\r\n",
        b"POST /callback?state=right HTTP/1.1\r\n\r\n",
        b"GET /callback?state=right\xff HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"GET /callback?state=right HTTP/1.1\r\nX: " + b"x" * 40_000,
    ],
)
async def test_strangers_at_the_port_do_not_end_the_wait(request_head: bytes) -> None:
    async with Loopback() as loopback:
        loopback.expects = lambda query: "state=right" in query and query.count("state") == 1
        port = int(urlsplit(loopback.redirect_uri).port or 0)
        said = await spoken_to(port, request_head)
        assert not said or said.startswith(b"HTTP/1.1 404")
        assert b"right" not in said
        ok = await spoken_to(port, b"GET /callback?state=right HTTP/1.1\r\n\r\n")
        assert ok.startswith(b"HTTP/1.1 200")
        assert await loopback.answer() == "state=right"
        again = await spoken_to(port, b"GET /callback?state=right HTTP/1.1\r\n\r\n")
        assert again.startswith(b"HTTP/1.1 404")


@given(st.text())
def test_no_query_is_an_answer_without_the_state(query: str) -> None:
    server = ServerMetadata("https://a", "https://a/t", "https://a/z?x=1", takes_pkce=True, names_itself=True)
    request = AuthorizationRequest.begin(
        server, LoginClient(LoginTarget("https://a", "c", RESOURCE)), "http://127.0.0.1:1/callback"
    )
    assert not request.is_answer(query)
    assert request.is_answer(f"state={request.state.reveal()}")
    assert request.url.startswith("https://a/z?x=1&response_type=code&")
    with pytest.raises(SignInFailed):
        request.code_in(query)
