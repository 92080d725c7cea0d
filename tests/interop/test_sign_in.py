"""People sign in at an independent OpenID Connect provider."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from remit.authorization.authorization import AuthorizationRequest
from remit.authorization.claims import PersonClaims
from remit.authorization.file import AuthorizationsFile
from remit.authorization.person import Person, SignIn
from remit.authorization.provider import Provider, ProviderClient
from remit.authorization.upstream import Upstream, UpstreamTerms
from remit.clock import SystemClock
from remit.credential import Credential
from remit.errors import AccessDenied
from remit.web import http_client
from support.interop import Tools

CALLBACK = "https://remit.example.com/oauth2/callback"
SECRET = "sixteen-characters: and + more %"
METHODS = ("client_secret_basic", "client_secret_post", "none")
BROWSER = "b" * 43
REQUEST = AuthorizationRequest("desk", "https://desk.example.com/back", "https://remit.example.com/mcp", (), "c" * 43)
_ACTION = re.compile(r'<form[^>]* action="([^"]+)"')
_PROMPT = re.compile(r'name="prompt" value="([^"]+)"')


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """oidc-provider, with a client for each way to prove itself."""
    clients = [{"client_id": name, "token_endpoint_auth_method": name} for name in METHODS]
    for client in clients[:2]:
        client["client_secret"] = SECRET
    setup = {"clients": clients, "redirect_uri": CALLBACK}
    with Tools.installed().server("servers/openid_provider.mjs", setup, tmp_path_factory.mktemp("openid")) as ready:
        yield ready["issuer"]


async def visit(browser: httpx.AsyncClient, url: str) -> str:
    """Sign in there as carol and say yes to everything; the query that comes back."""
    response = await browser.get(url)
    for _ in range(12):
        if response.is_redirect:
            url = urljoin(str(response.url), response.headers["location"])
            if url.startswith(CALLBACK):
                return urlsplit(url).query
            response = await browser.get(url)
            continue
        action, prompt = _ACTION.search(response.text), _PROMPT.search(response.text)
        assert action is not None, response.text
        assert prompt is not None, response.text
        form = {"prompt": prompt[1], "login": "carol", "password": "any"}
        response = await browser.post(urljoin(str(response.url), action[1]), data=form)
    raise AssertionError("the provider never sends the browser back")


def play(issuer: str, directory: Path, method: str, *requests: AuthorizationRequest, **changes: Any) -> list[SignIn]:
    """The sign-ins for ``requests``, one after the other in one browser."""

    async def main() -> list[SignIn]:
        clock = SystemClock()
        file = AuthorizationsFile(directory / "authorizations.db", clock)
        client = ProviderClient(method, None if method == "none" else Credential(SECRET))
        terms = UpstreamTerms(client, CALLBACK, PersonClaims(scopes=("orders.read",)), frozenset({"ES256"}))
        async with http_client() as http, httpx.AsyncClient() as browser:
            upstream = Upstream(Provider(issuer, http, clock), replace(terms, **changes), file, clock, b"k" * 32)
            sign_ins = []
            for request in requests:
                query = await visit(browser, await upstream.begin("authorize?x=1", BROWSER, request))
                sign_in, going_to = await upstream.finish(query, BROWSER)
                assert going_to == "authorize?x=1"
                sign_ins.append(sign_in)
        file.close()
        return sign_ins

    return asyncio.run(main())


@pytest.mark.parametrize("method", METHODS)
def test_somebody_signs_in_at_oidc_provider(method: str, issuer: str, tmp_path: Path) -> None:
    [sign_in] = play(issuer, tmp_path, method, REQUEST)
    assert sign_in.person == Person("carol", issuer, "Carol C", ("sales",), scopes=("orders.read",))


def test_oidc_provider_signs_people_in_anew_where_that_is_asked_for(issuer: str, tmp_path: Path) -> None:
    began = int(time.time())
    login = replace(REQUEST, prompt=frozenset({"login"}))
    sign_ins = play(issuer, tmp_path, "none", REQUEST, replace(REQUEST, max_age=3600), login)
    assert all(began <= sign_in.auth_time <= time.time() for sign_in in sign_ins[1:])


def test_a_client_that_proves_nothing_gets_nothing_from_oidc_provider(issuer: str, tmp_path: Path) -> None:
    wrong = ProviderClient("client_secret_basic", Credential("wrong"))
    with pytest.raises(AccessDenied):
        play(issuer, tmp_path, "client_secret_basic", REQUEST, client=wrong)
