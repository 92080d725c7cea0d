"""Where a password, code, token or cookie could turn up that only its owner may see, and what could be kept by others."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from support.attacked import SECRET, Shop, attacked
from support.browsing import Client, call, post
from support.mcp_door import TLS
from support.pages import PASSWORD, VERIFIER, answer_of

WRONG: Final = "a password with a slip of the fingers"
#: Those that the tests send with; the server has others.
OWN_LOGS: Final = ("httpx2", "httpcore2")


class Secrets:
    """All that went over the wire in one day at the shop and that only its owner may see."""

    def __init__(self) -> None:
        self.known = {PASSWORD, WRONG, VERIFIER, SECRET}
        self.marks: set[str] = set()
        self.pages: list[str] = []

    def take(self, *texts: str) -> None:
        self.known |= set(texts)

    def tokens(self, response: httpx2.Response) -> dict[str, Any]:
        """The answer with tokens, which are taken."""
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        names = ("access_token", "refresh_token", "device_code")
        self.take(*(document[name] for name in names if name in document))
        return document

    def refused(self, response: httpx2.Response) -> None:
        """A refusal, which repeats nothing."""
        assert response.status_code >= 400, response.text
        self.pages.append(response.text + str(response.headers))

    def found_in(self, text: str) -> list[str]:
        return sorted(each for each in self.known | self.marks if each in text)


def a_day_at(shop: Shop) -> Secrets:
    """Somebody signs in, makes slips, allows, calls, refreshes and is attacked."""
    secrets, browser = Secrets(), shop.browser()
    desk, shell, server = shop.client("desk"), shop.client("shell"), shop.client("server")
    page = browser.page(desk.request())
    secrets.refused(browser.submit(page.form("/sign-in"), user="alice", password=WRONG))
    secrets.refused(browser.submit(page.form("/sign-in"), user=WRONG, password=WRONG, csrf="x"))
    code = desk.code(browser)
    tokens = secrets.tokens(desk.redeem(code))
    call(shop.company.mcp_url, tokens["access_token"])
    secrets.refused(call(shop.company.mcp_url, tokens["access_token"][:-4]))
    secrets.refused(desk.redeem(code))
    spoilt = desk.code(browser)
    secrets.refused(shell.redeem(spoilt))
    first = secrets.tokens(server.redeem(server.code(browser)))
    secrets.tokens(server.refresh(first["refresh_token"]))
    secrets.refused(server.refresh(first["refresh_token"]))
    secrets.refused(server.redeem(spoilt, client_secret=WRONG))
    started = secrets.tokens(shell.post({}, place="device_authorization"))
    waiting = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": started["device_code"]}
    secrets.refused(shell.post(waiting))
    secrets.refused(post(shop.base, f"token?code={code}", {"grant_type": "authorization_code", "code": spoilt}))
    denied = browser.submit(desk.consent(browser).form("/authorize"), answer="deny")
    assert answer_of(denied, desk.redirect_uri)["error"] == "access_denied"
    secrets.take(code, spoilt, *(cookie.value or "" for cookie in browser.http.cookies.jar))
    secrets.marks |= {value for form in page.forms for name, value in form.fields.items() if name == "csrf"}
    return secrets


def test_nothing_secret_is_in_a_log_a_file_a_record_or_a_refusal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with attacked(tmp_path) as shop:
        secrets = a_day_at(shop)
        assert (len(secrets.known), len(secrets.marks)) == (15, 1)
        logged = [each.getMessage() for each in caplog.records if not each.name.startswith(OWN_LOGS)]
        assert any("refused" in line for line in logged)
        written = capfd.readouterr()
        assert secrets.found_in("\n".join([*logged, written.out, written.err])) == []
        assert set(secrets.found_in("\n".join(secrets.pages))) <= secrets.marks  # shown once more, to try again
        assert secrets.found_in(json.dumps(shop.records())) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "secrets"]
    assert {"audit.db", "authorizations.db", "revocations.db", "passwords"} <= {path.name for path in files}
    for path in files:
        assert secrets.found_in(path.read_bytes().decode("latin-1")) == [], path.name


PAGES: Final = ("authorize", "device", "authorizations", "sign-in", "sign-in/device", "sign-out/authorize")
FORMS: Final = ("token", "introspect", "revoke", "device_authorization", "register")


@pytest.mark.parametrize("place", PAGES)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS"])
def test_no_page_is_kept_framed_or_read_by_another(shop: Shop, place: str, method: str) -> None:
    desk = shop.client("desk")
    url = shop.base + (desk.request() if place == "authorize" else f"/oauth2/{place}")
    answer = httpx2.request(method, url, headers={"Origin": "https://evil.example"}, trust_env=False, verify=TLS)
    headers = answer.headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert not [name for name in headers if name.startswith("access-control-")]
    if answer.status_code != 303:
        policy = headers["content-security-policy"]
        assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy.split("; "))
    for cookie in headers.get_list("set-cookie"):
        assert "; HttpOnly; SameSite=Lax" in cookie
        assert "Domain" not in cookie


@pytest.mark.parametrize("place", FORMS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_no_answer_with_a_token_or_a_refusal_is_kept(shop: Shop, place: str, method: str) -> None:
    url, other = f"{shop.base}/oauth2/{place}", {"Origin": "https://page.example", "Cookie": "a=b"}
    answer = httpx2.request(method, url, headers=other, trust_env=False, verify=TLS)
    assert answer.status_code in {400, 401, 405}
    assert (answer.headers["cache-control"], answer.headers["content-type"]) == ("no-store", "application/json")
    assert "set-cookie" not in answer.headers
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_a_secret_is_told_once_to_whoever_registers_and_kept_nowhere(shop: Shop) -> None:
    body = json.dumps({"redirect_uris": ["https://app.example/cb"]})
    headers = {"Content-Type": "application/json"}
    told = httpx2.post(f"{shop.base}/oauth2/register", content=body, headers=headers, trust_env=False, verify=TLS)
    assert (told.status_code, told.headers["cache-control"]) == (201, "no-store")
    secret = told.json()["client_secret"]
    kept = b"".join(path.read_bytes() for path in (shop.company.folder / ".remit").glob("*.db*"))
    assert secret.encode() not in kept
    client = Client(shop.base, told.json()["client_id"], "https://app.example/cb", secret=secret)
    refused = client.redeem("x").text
    assert secret not in refused
    assert not re.search(r"[0-9a-f]{64}", refused)
