from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import respx

from remit import oauth
from remit.credential import Credential
from remit.errors import ExchangeError, ExchangeInvalid, ExchangeRefused, ExchangeUnavailable, SettingsInvalid
from remit.exchange.client_auth import ClientSecretBasic
from remit.exchange.discovery import metadata_urls
from remit.exchange.messages import ClientCredentialsRequest, IssuedToken, Target, TokenExchangeRequest, TokenRequest
from remit.exchange.service import RemoteTokenService, TokenEndpoint
from remit.web import http_client
from support.clock import FakeClock
from support.sts import World
from support.token_endpoint import FakeTokenEndpoint, Mode, token_endpoint

AT = oauth.TOKEN_TYPE_ACCESS_TOKEN
ANSWER = {"access_token": "a.b.c", "issued_token_type": AT, "token_type": "Bearer", "expires_in": 60, "scope": "read"}
REQUEST = TokenExchangeRequest(Credential("subject-token"), Target("orders"), ("read",), Credential("actor-token"))
PROOF = ClientSecretBasic("agent-runner", Credential("the-client-secret"))
METADATA = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


async def issue(endpoint: TokenEndpoint, request: TokenRequest = REQUEST) -> IssuedToken:
    async with http_client() as http:
        return await RemoteTokenService(endpoint, PROOF, http, FakeClock()).issue(request)


def with_fake(body: Callable[[FakeTokenEndpoint], Awaitable[Any]], mode: Mode = Mode.ISSUES) -> Any:
    async def main() -> Any:
        async with token_endpoint(mode, ANSWER) as fake:
            return await body(fake)

    return asyncio.run(main())


def failure(mode: Mode, seconds: float = 5) -> ExchangeError:
    async def body(fake: FakeTokenEndpoint) -> ExchangeError:
        with pytest.raises(ExchangeError) as caught:
            await issue(TokenEndpoint(fake.issuer, fake.url, seconds))
        assert len(fake.requests) == 1, "a request that was sent is never sent again"
        return caught.value

    error: ExchangeError = with_fake(body, mode)
    return error


def test_a_request_goes_out_once_as_a_form_and_the_answer_is_read() -> None:
    async def body(fake: FakeTokenEndpoint) -> None:
        issued = await issue(TokenEndpoint(fake.issuer, fake.url))
        assert issued == IssuedToken(Credential("a.b.c"), AT, "Bearer", 60, "read")
        [request] = fake.requests
        assert (request.method, request.path) == ("POST", "/token")
        assert request.form == REQUEST.to_form()
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.headers["authorization"] == dict(PROOF.prove(now=0).headers)["Authorization"]

    with_fake(body)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (Mode.REFUSES, ExchangeRefused),
        (Mode.REFUSES_WITHOUT_CODE, ExchangeInvalid),
        (Mode.WAF_BLOCK, ExchangeInvalid),
        (Mode.SERVER_ERROR, ExchangeUnavailable),
        (Mode.TOO_MANY_REQUESTS, ExchangeUnavailable),
        (Mode.REDIRECTS, ExchangeInvalid),
        (Mode.WEB_PAGE, ExchangeInvalid),
        (Mode.MALFORMED_JSON, ExchangeInvalid),
        (Mode.REPEATED_MEMBER, ExchangeInvalid),
        (Mode.TOO_LARGE, ExchangeInvalid),
        (Mode.HANGS_UP, ExchangeUnavailable),
        (Mode.BREAKS_OFF, ExchangeUnavailable),
        (Mode.NOT_HTTP, ExchangeUnavailable),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_failure_has_its_own_error_and_shows_no_credential(mode: Mode, kind: type[ExchangeError]) -> None:
    error = failure(mode)
    assert type(error) is kind
    shown = repr((error, error.message, error.detail, error.hint, error.__cause__, error.__context__))
    for secret in ("subject-token", "actor-token", "the-client-secret", "Basic "):
        assert secret not in shown


@pytest.mark.parametrize("mode", [Mode.NEVER_ANSWERS, Mode.NEVER_ENDS], ids=lambda mode: mode.name)
def test_a_service_that_does_not_end_its_answer_is_left_in_time(mode: Mode) -> None:
    started = time.perf_counter()
    assert type(failure(mode, seconds=0.2)) is ExchangeUnavailable
    assert time.perf_counter() - started < 3


def test_a_refusal_keeps_the_code_and_cuts_the_description() -> None:
    error = failure(Mode.REFUSES)
    assert isinstance(error, ExchangeRefused)
    assert error.error == "invalid_target"
    assert error.detail == "status 400: no?" + "x" * 197
    assert "x" not in error.message.replace("exchange", "")
    assert error.hint


def test_a_service_that_leaves_out_the_issued_token_type_needs_a_declaration() -> None:
    async def body(fake: FakeTokenEndpoint) -> None:
        del fake.answer["issued_token_type"]
        with pytest.raises(ExchangeInvalid):
            await issue(TokenEndpoint(fake.issuer, fake.url))
        lenient = TokenEndpoint(fake.issuer, fake.url, issued_token_type_required=False)
        assert (await issue(lenient)).issued_token_type == ""
        assert (await issue(TokenEndpoint(fake.issuer, fake.url), ClientCredentialsRequest())).issued_token_type == ""

    with_fake(body)


def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ExchangeUnavailable):
            asyncio.run(issue(TokenEndpoint(url, f"{url}/token")))


@pytest.mark.parametrize(("failures", "calls"), [(1, 2), (2, 2)])
def test_a_connection_that_never_came_about_is_tried_once_more(failures: int, calls: int) -> None:
    url = "https://sts.example/token"
    outcomes: list[Any] = [httpx.ConnectError("refused")] * failures + [httpx.Response(200, json=ANSWER)]

    async def main() -> IssuedToken:
        async with httpx.AsyncClient() as http:
            return await RemoteTokenService(TokenEndpoint("https://sts.example", url), PROOF, http, FakeClock()).issue(
                REQUEST
            )

    with respx.mock(using="httpx") as mock:
        route = mock.post(url).mock(side_effect=outcomes)
        if failures == 1:
            assert asyncio.run(main()).access_token == Credential("a.b.c")
        else:
            with pytest.raises(ExchangeUnavailable):
                asyncio.run(main())
        assert route.call_count == calls


# ── discovery ────────────────────────────────────────────────────────────────────────────


def test_the_well_known_part_goes_before_the_issuers_path_and_for_openid_after_it() -> None:
    assert metadata_urls("https://idp.example") == (f"https://idp.example{METADATA}", f"https://idp.example{OPENID}")
    assert metadata_urls("https://idp.example/realms/r/") == (
        f"https://idp.example{METADATA}/realms/r",
        f"https://idp.example/realms/r{OPENID}",
    )


@pytest.mark.parametrize("place", [METADATA, OPENID])
def test_the_endpoint_is_found_in_the_metadata_and_asked_for_once(place: str) -> None:
    async def body(fake: FakeTokenEndpoint) -> None:
        fake.documents[place] = {"issuer": fake.issuer, "token_endpoint": fake.url}
        async with http_client() as http:
            service = RemoteTokenService(TokenEndpoint(fake.issuer), PROOF, http, FakeClock())
            await asyncio.gather(*(service.issue(REQUEST) for _ in range(5)))
            await service.issue(REQUEST)
        assert [request.path for request in fake.requests].count(place) == 1
        assert [request.path for request in fake.requests].count("/token") == 6

    with_fake(body)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": "http://other.example/token"},
        {"token_endpoint": "https://["},
        {"token_endpoint": "https://other.example:99999/token"},
        {"token_endpoint": ["https://other.example/token"]},
    ],
    ids=str,
)
def test_metadata_that_may_not_be_used_are_refused(changes: dict[str, Any]) -> None:
    async def body(fake: FakeTokenEndpoint) -> None:
        fake.documents[METADATA] = {"issuer": fake.issuer, "token_endpoint": fake.url, **changes}
        with pytest.raises(ExchangeInvalid):
            await issue(TokenEndpoint(fake.issuer))

    with_fake(body)


def test_an_issuer_is_compared_byte_for_byte() -> None:
    async def body(fake: FakeTokenEndpoint) -> None:
        fake.documents[METADATA] = {"issuer": f"{fake.issuer}/", "token_endpoint": fake.url}
        with pytest.raises(ExchangeInvalid):
            await issue(TokenEndpoint(fake.issuer))

    with_fake(body)


def test_discovery_that_failed_is_tried_again_with_the_next_request() -> None:
    async def body(fake: FakeTokenEndpoint) -> None:
        async with http_client() as http:
            service = RemoteTokenService(TokenEndpoint(fake.issuer), PROOF, http, FakeClock())
            with pytest.raises(ExchangeInvalid):
                await service.issue(REQUEST)
            fake.documents[METADATA] = {"issuer": fake.issuer, "token_endpoint": fake.url}
            assert (await service.issue(REQUEST)).expires_in == 60

    with_fake(body)


@pytest.mark.parametrize(
    ("issuer", "url"),
    [("http://idp.example", ""), ("https://idp.example", "http://idp.example/token"), ("idp", ""), ("https://[", "")],
)
def test_no_credential_is_sent_in_the_clear(issuer: str, url: str) -> None:
    with pytest.raises(SettingsInvalid):
        TokenEndpoint(issuer, url)


# ── embedded ─────────────────────────────────────────────────────────────────────────────


def test_an_embedded_refusal_is_the_same_error() -> None:
    world = World()
    request = TokenExchangeRequest(Credential(world.user_token()), Target("unknown"), ())
    with pytest.raises(ExchangeRefused) as caught:
        asyncio.run(world.embedded().issue(request))
    assert caught.value.error == "invalid_target"
    assert caught.value.detail.startswith("status 400: ")
