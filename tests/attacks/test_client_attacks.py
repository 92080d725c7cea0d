"""What somebody would try who can register any client, or name one by any URL, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.attacked import Shop, attacked
from support.browsing import Client, call, error_of
from support.issuer import claims_of
from support.mcp_door import TLS
from support.servers import Listener

BACK = "http://127.0.0.1/callback"


def register(shop: Shop, body: Any = None, **metadata: Any) -> httpx2.Response:
    """A registration of a sound public client, with these members changed; or a body as it is."""
    sound = {"client_name": "Helper", "redirect_uris": [BACK], "token_endpoint_auth_method": "none"}
    content = body if body is not None else json.dumps({**sound, **metadata})
    headers = {"Content-Type": "application/json"}
    url = f"{shop.base}/oauth2/register"
    return httpx2.post(url, content=content, headers=headers, verify=TLS, trust_env=False, timeout=20)


def registered(shop: Shop, **metadata: Any) -> dict[str, Any]:
    answer = register(shop, **metadata)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


# ── clients that register themselves ──


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(document.domain)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,<script>1</script>",
        "file:///etc/passwd",
        "blob:https://evil.example/1",
        "about:blank",
        "http://evil.example/callback",
        "https://evil.example/callback#fragment",
        "https://user@evil.example/callback",
        "https:///callback",
        "https://evil.example/\r\nLocation: x",
        "//evil.example",
        "cb",
        "unclaimed:/cb",
        "https://evil.example/cb?code=mine",
        "",
    ],
)
def test_no_address_is_registered_that_a_code_must_not_go_to(shop: Shop, uri: str) -> None:
    with shop.told():
        assert error_of(register(shop, redirect_uris=[BACK, uri])) == "invalid_redirect_uri"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{" + b" " * (16 * 1024) + b"}", 413),
        (json.dumps({"redirect_uris": [f"https://a.example/{n}" for n in range(21)]}).encode(), 400),
        (b"[" * 10_000, 400),
        (b'{"redirect_uris": ["https://a.example/"], "redirect_uris": ["https://evil.example/"]}', 400),
        (b'{"redirect_uris": "https://a.example/"}', 400),
        (b'{"client_name": NaN}', 400),
        (b"\xff\xfe", 400),
        (b"", 400),
    ],
    ids=["long", "many", "deep", "twice", "no list", "no number", "no UTF-8", "empty"],
)
def test_no_client_is_registered_by_what_has_no_one_short_reading(shop: Shop, body: bytes, status: int) -> None:
    with shop.told():
        answer = register(shop, body)
    assert answer.status_code == status
    assert answer.json()["error"] in {"invalid_client_metadata", "invalid_redirect_uri", "invalid_request"}


def test_nobody_fills_the_server_with_clients(tmp_path: Path) -> None:
    with attacked(tmp_path) as shop:
        said = [register(shop).status_code for _ in range(24)]
        assert (said[:20], set(said[20:])) == ([201] * 20, {429})
        assert shop.actions() == ["register_client"] * 20


def test_a_public_client_has_no_secret_whatever_it_says(shop: Shop) -> None:
    told = registered(shop, client_secret="mine", client_secret_expires_at=0)
    assert "client_secret" not in told
    client = Client(shop.base, told["client_id"], BACK, secret="mine")
    with shop.nothing_given():
        assert error_of(client.redeem("x"), 401) == "invalid_client"


def test_a_client_chooses_neither_its_id_nor_what_it_is_worth(shop: Shop) -> None:
    told = registered(
        shop,
        client_id="agent-runner",
        client_name="remit login",
        scope="orders:read refunds:write admin",
        client_assurance="authenticated",
        grant_types=["authorization_code", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
        token_endpoint_auth_method="client_secret_post",
    )
    assert told["client_id"].startswith("dynamic.remit-login.")
    assert told["grant_types"] == ["authorization_code"]
    client = Client(shop.base, told["client_id"], BACK, secret=told["client_secret"])
    alice = shop.browser()
    page = client.consent(alice)
    assert "It calls itself “remit login”. Nobody has checked that." in page.text
    tokens = client.signed_in(alice)
    assert "refresh_token" not in tokens
    said = claims_of(tokens["access_token"])
    assert (said["client_id"], said["client_assurance"]) == (told["client_id"], "self_asserted")
    call(shop.company.mcp_url, tokens["access_token"])
    actor = next(facts["actor"] for _, facts in reversed(shop.records()) if "actor" in facts)
    assert (actor["sub"], actor["assurance"]) == (told["client_id"], "self_asserted")
    with shop.nothing_given():
        for grant in ("client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", "password"):
            assert client.post({"grant_type": grant}).status_code in {400, 401}


def test_a_client_says_nothing_on_a_page_but_text(shop: Shop) -> None:
    name = '<script>alert(1)</script>"><img src=x onerror=alert(1)>\u202e{{ 7*7 }}'
    client = Client(shop.base, registered(shop, client_name=name)["client_id"], BACK)
    page = client.consent(shop.browser())
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert "\u202e" not in page.text
    assert "{{ 7*7 }}" in page.text
    assert "default-src 'none'" in page.response.headers["content-security-policy"]


def test_a_link_to_the_server_leads_to_no_page_that_somebody_registered(shop: Shop) -> None:
    told = registered(shop, redirect_uris=["https://phish.example/login"])
    client = Client(shop.base, told["client_id"], "https://phish.example/login")
    browser = shop.browser()
    for changes in ({}, {"response_type": "x"}, {"prompt": "none"}, {"code_challenge": None}, {"scope": "\\"}):
        answer = browser.get(client.request(**changes))
        assert answer.status_code in {200, 400}
        assert "location" not in answer.headers


def test_a_self_made_client_is_none_before_it_is_registered(shop: Shop) -> None:
    for client_id in ("dynamic.helper.AAAAAAAAAAAAAAAAAAAAAA", "dynamic.", "agent-runner", "orders-api", "*", "%00"):
        client = Client(shop.base, client_id, BACK)
        answer = shop.browser().get(client.request())
        assert (answer.status_code, "location" in answer.headers) == (400, False)
        with shop.nothing_given():
            assert client.redeem("x").status_code in {400, 401}


# ── clients that are known by their URL ──


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",  # noqa: S104  a name for this machine, nothing is bound
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
        "localhost.",
        "user@localhost",
    ],
)
def test_nobody_has_the_server_connect_to_its_own_machine(shop: Shop, host: str) -> None:
    listener = Listener()
    with listener.socket as listening:
        listening.setblocking(False)
        client = Client(shop.base, f"https://{host}:{listener.port}/client.json", BACK)
        answer = shop.browser().get(client.request())
        with shop.nothing_given():
            assert client.redeem("x").status_code in {401, 503}
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert (answer.status_code in {400, 503}, "location" in answer.headers) == (True, False)
    assert "127.0.0.1" not in answer.text.replace(shop.base.removeprefix("http://"), "")


@pytest.mark.parametrize(
    "client_id",
    [
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/client.json",
        "https://[fd00::1]/client.json",
        "https://[64:ff9b::a9fe:a9fe]/client.json",
        "http://tool.example.org/client.json",
        "https://tool.example.org",
        "https://tool.example.org/",
        "https://tool.example.org/a/../client.json",
        "https://tool.example.org/a/%2e%2e/client.json",
        "https://tool.example.org/client.json?x=1",
        "https://tool.example.org/client.json#x",
        "https://tool.example.org\\@evil.example/client.json",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/x",
    ],
)
def test_a_url_that_is_no_clients_id_is_not_asked(shop: Shop, client_id: str) -> None:
    client = Client(shop.base, client_id, BACK)
    answer = shop.browser().get(client.request())
    assert (answer.status_code, "location" in answer.headers) == (400, False)  # 503 would be: it was asked
    with shop.nothing_given():
        assert error_of(client.redeem("x"), 401) == "invalid_client"
