from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import httpx
import pytest

from remit import oauth
from remit.sts import form_endpoint
from support.issuer import claims_of
from support.servers import serving
from support.sts import AGENT, BRIDGE, ISSUER, SECRET, World, exchange_form
from support.sts_http import BASIC, ask, check_refusal, post


def test_a_token_is_issued_and_may_not_be_stored() -> None:
    world = World()
    response = post(world, exchange_form(world.user_token(), scope="orders:read"))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert response.json().keys() == {"access_token", "issued_token_type", "token_type", "expires_in", "scope"}
    assert claims_of(response.json()["access_token"])["act"]["sub"] == "agent-runner"


def test_the_client_may_prove_itself_in_the_form() -> None:
    world = World()
    form = {**exchange_form(world.user_token()), "client_id": "agent-runner", "client_secret": SECRET.reveal()}
    assert post(world, form, {}).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer x"}], ids=str)
def test_a_client_that_is_not_proven_is_challenged(headers: dict[str, str]) -> None:
    world = World()
    response = post(world, exchange_form(world.user_token()), headers)
    check_refusal(response, "invalid_client", 401)
    assert response.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"subject_token": "x"}, "invalid_request"),
        ({"subject_token_type": oauth.TOKEN_TYPE_ID_TOKEN}, "invalid_request"),
        ({"actor_token": "x", "actor_token_type": oauth.TOKEN_TYPE_ACCESS_TOKEN}, "invalid_request"),
        ({"audience": "unknown"}, "invalid_target"),
        ({"audience": ["orders", "reports"]}, "invalid_target"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": ["orders:read", "orders:read"]}, "invalid_request"),
        ({"foo": ["1", "2"]}, "invalid_request"),
    ],
    ids=str,
)
def test_each_refusal_has_the_code_of_the_rfc(changes: dict[str, Any], error: str) -> None:
    world = World()
    check_refusal(post(world, {**exchange_form(world.user_token()), **changes}), error)


def test_a_client_without_the_grant_is_unauthorized() -> None:
    world = World()
    world.change(AGENT, grants=frozenset())
    check_refusal(post(world, exchange_form(world.user_token())), "unauthorized_client")


def test_no_refusal_repeats_what_was_sent() -> None:
    world = World()
    marker = "zqx-marker"
    for name in (
        "grant_type",
        "subject_token",
        "subject_token_type",
        "audience",
        "resource",
        "scope",
        "client_id",
        marker,
    ):
        response = post(world, {**exchange_form(world.user_token()), name: f'{marker}"<'})
        assert marker not in response.text


@pytest.mark.parametrize(
    ("body", "headers", "path", "status"),
    [
        (b"grant_type=%zz", {}, "/oauth2/token", 400),
        (b"grant_type=a%00", {}, "/oauth2/token", 400),
        (b"grant_type=\xff", {}, "/oauth2/token", 400),
        (b"a=" + b"x" * (64 * 1024), {}, "/oauth2/token", 413),
        (b"&".join(b"f%d=1" % number for number in range(65)), {}, "/oauth2/token", 400),
        (b"grant_type=client_credentials", {}, "/oauth2/token?scope=a", 400),
        (b"{}", {"Content-Type": "application/json"}, "/oauth2/token", 400),
    ],
)
def test_a_malformed_request_is_refused_before_anything_else(
    body: bytes, headers: dict[str, str], path: str, status: int
) -> None:
    check_refusal(post(World(), body, {**BASIC, **headers}, path), "invalid_request", status)


def test_several_authorization_headers_are_refused() -> None:
    response = post(World(), {"grant_type": "client_credentials"}, [*BASIC.items(), *BASIC.items()])
    check_refusal(response, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_the_token_endpoint_takes_post_only(method: str) -> None:
    response = ask(World(), method, "/oauth2/token")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/oauth2/jwks", "/.well-known/oauth-authorization-server"])
def test_the_documents_take_get_only(path: str) -> None:
    response = ask(World(), "POST", path)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


def test_what_nobody_foresaw_is_a_server_error_without_a_word_of_what_it_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()

    async def broken(*_: object) -> dict[str, Any]:
        raise KeyError("s3cret value")

    monkeypatch.setattr(world.sts, "grant", broken)
    with caplog.at_level(logging.DEBUG):
        response = post(world, exchange_form(world.user_token()))
    check_refusal(response, "server_error", 500)
    assert "KeyError at broken" in caplog.text
    assert "s3cret" not in caplog.text + response.text


def test_a_refusal_is_logged_without_a_token(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    token = world.user_token(audience="somebody")
    with caplog.at_level(logging.DEBUG):
        check_refusal(post(world, exchange_form(token)), "invalid_request")
    assert "audience_mismatch" in caplog.text
    assert token not in caplog.text
    assert SECRET.reveal() not in caplog.text


def test_the_keys_may_be_kept_five_minutes() -> None:
    world = World()
    response = ask(world, "GET", "/oauth2/jwks")
    assert response.json() == world.keys.jwks()
    assert response.headers["cache-control"] == "public, max-age=300"


@pytest.mark.parametrize(
    ("issuer", "paths"),
    [
        (ISSUER, ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]),
        (
            f"{ISSUER}/tenant",
            ["/.well-known/oauth-authorization-server/tenant", "/tenant/.well-known/openid-configuration"],
        ),
    ],
)
def test_the_metadata_say_where_everything_is(issuer: str, paths: list[str]) -> None:
    world = World(issuer=issuer)
    for path in paths:
        document = ask(world, "GET", path).json()
        assert document["issuer"] == issuer
        assert document["token_endpoint"] == f"{issuer}/oauth2/token"
        assert document["grant_types_supported"] == [oauth.GRANT_CLIENT_CREDENTIALS, oauth.GRANT_TOKEN_EXCHANGE]
        assert "orders:read" in document["scopes_supported"]
        assert ask(world, "GET", document["jwks_uri"]).json() == world.keys.jwks()
        assert post(world, {"grant_type": "client_credentials"}, path=document["token_endpoint"]).status_code == 200


async def raw(url: str, request: bytes, *, half_close: bool = False) -> bytes:
    """What comes back for these bytes on a socket."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    if half_close:
        writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


HEAD = b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"garbage\r\n\r\n",
        HEAD + b"Content-Length: nine\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        HEAD + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\n\xff\xfe\x00",
        HEAD
        + b"Content-Type: application/x-www-form-urlencoded\r\nAuthorization: Basic \xff\r\nContent-Length: 1\r\n\r\na",
        HEAD + b"Content-Type: \xff\r\nContent-Length: 1\r\n\r\na",
        b"POST /oauth2/token?%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"\r\n",
    ],
)
def test_malformed_http_is_refused_as_the_clients_fault(request_bytes: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> bytes:
        async with serving(World().app()) as url:
            return await raw(url, request_bytes)

    with caplog.at_level(logging.ERROR):
        answer = asyncio.run(main())
    assert answer.split(b" ")[1].startswith(b"4")
    assert b"Traceback" not in answer
    assert not caplog.records


def test_a_client_that_hangs_up_half_way_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> int:
        async with serving(World().app()) as url:
            head = HEAD + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\ngrant_type="
            await raw(url, head, half_close=True)
            async with httpx.AsyncClient(base_url=url) as http:
                return (await http.get("/oauth2/jwks")).status_code

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(main()) == 200
    assert not caplog.records


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_endpoint, "_BODY_SECONDS", 0.05)

    async def main() -> bytes:
        async with serving(World().app()) as url:
            head = HEAD + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\ngrant_type="
            return await raw(url, head)

    assert asyncio.run(main()).startswith(b"HTTP/1.1 408")


def test_a_token_goes_over_a_real_socket() -> None:
    world = World()

    async def main() -> Any:
        async with serving(world.app()) as url, httpx.AsyncClient(base_url=url, headers=BASIC) as http:
            return (await http.post("/oauth2/token", data=exchange_form(world.user_token()))).json()

    assert claims_of(asyncio.run(main())["access_token"])["sub"] == "alice"


def test_a_development_users_token_says_who_they_are() -> None:
    world = World()
    claims = claims_of(world.user_token(lifetime=60))
    described = {
        name: claims[name] for name in ("sub", "name", "groups", "roles", "aud", "client_id", "scope", "auth_time")
    }
    assert described == {
        "sub": "alice",
        "name": "Alice",
        "groups": ["support"],
        "roles": ["lead"],
        "aud": BRIDGE,
        "client_id": "agent-runner",
        "scope": "orders:read refunds:write pay log",
        "auth_time": world.now,
    }
    assert claims["exp"] == world.now + 60
    assert json.dumps(claims["jti"])
