"""What somebody would try at the pages to have a client allowed that its person did not allow, and how it ends."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from support.attacked import Shop
from support.browsing import error_of, post
from support.pages import PASSWORD, Browser, answer_of

YES = {"answer": "allow"}


def session_of(browser: Browser) -> str:
    """What the browser proves to the server that somebody is signed in by."""
    return next((cookie.value or "" for cookie in browser.http.cookies.jar if "session" in cookie.name), "")


def went_nowhere(response: httpx2.Response, status: int) -> None:
    assert response.status_code == status, response.text
    assert "location" not in response.headers


# ── whose consent it is ──


def test_a_consent_that_another_site_sends_is_none(shop: Shop) -> None:
    desk, alice = shop.client("desk"), shop.browser()
    form = desk.consent(alice).form("/authorize")
    sound = {**form.fields, **dict.fromkeys(form.checked, "on"), **YES}
    with shop.nothing_given(), shop.told():
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "", "Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Sec_Fetch_Site": "none"},
        ):
            went_nowhere(alice.post(form.action, sound, **headers), 403)
        for csrf in ("", "0" * 64, form.fields["csrf"].upper()):
            went_nowhere(alice.post(form.action, {**sound, "csrf": csrf}), 403)
        went_nowhere(alice.post(form.action, {**sound, "csrf": ""}, Origin="", Sec_Fetch_Site=""), 403)
    assert "code" in answer_of(alice.submit(form, **YES), desk.redirect_uri)


def test_a_consent_that_one_browser_was_shown_is_none_of_another(shop: Shop) -> None:
    desk, alice, bob, nobody = shop.client("desk"), shop.browser(), shop.browser(), shop.browser()
    shown = desk.consent(bob, "bob")
    desk.consent(alice)
    with shop.nothing_given(), shop.told():
        went_nowhere(alice.submit(shown.form("/authorize"), **YES), 403)  # bob's form, at alice's browser
        sent_away = nobody.submit(shown.form("/authorize"), **YES)
        assert sent_away.headers["location"].startswith("/oauth2/authorize?")


def test_a_consent_is_worth_nothing_for_another_request(shop: Shop) -> None:
    desk, shell, alice = shop.client("desk"), shop.client("shell"), shop.browser()
    form = desk.consent(alice, state="mine").form("/authorize")
    fields = {**form.fields, **dict.fromkeys(form.checked, "on"), **YES}
    others = (
        shell.request(),
        desk.request(state="another's"),
        desk.request(state="mine", scope="orders:read refunds:write"),
        desk.request(state="mine", code_challenge="E" * 43),
        form.action + "&",
    )
    with shop.nothing_given(), shop.told():
        for action in others:
            went_nowhere(alice.post(action, fields), 403)


def test_a_consent_that_is_replayed_gives_nothing_to_whoever_has_only_that(shop: Shop) -> None:
    desk, alice = shop.client("desk"), shop.browser()
    page = desk.consent(alice)
    form = page.form("/authorize")
    tokens = desk.redeem(answer_of(alice.submit(form, **YES), desk.redirect_uri)["code"]).json()
    with shop.nothing_given(), shop.told():
        assert "code=" not in shop.browser().submit(form, **YES).headers["location"]  # without the cookie
    alice.submit(page.form("/sign-out/authorize"))
    desk.consent(alice)
    with shop.nothing_given(), shop.told():
        went_nowhere(alice.submit(form, **YES), 403)  # in another session of the same person
    assert desk.refresh(tokens["refresh_token"]).status_code == 200


def test_no_scope_is_given_that_was_not_asked_for_shown_and_checked(shop: Shop) -> None:
    desk, alice, bob = shop.client("desk"), shop.browser(), shop.browser()
    form = desk.consent(alice).form("/authorize")
    smuggled = {f"scope {name}": "on" for name in ("refunds:write", "payments:read", "admin", "")}
    answered = alice.submit(form, **smuggled, scope="orders:read refunds:write", **YES)
    assert desk.redeem(answer_of(answered, desk.redirect_uri)["code"]).json()["scope"] == "orders:read"
    unchecked = desk.consent(bob, "bob", scope="orders:read refunds:write").form("/authorize")
    kept = bob.post(unchecked.action, {**unchecked.fields, "scope orders:read": "on", **YES})
    tokens = desk.redeem(answer_of(kept, desk.redirect_uri)["code"], scope="orders:read refunds:write").json()
    assert tokens["scope"] == "orders:read"
    wider = desk.refresh(tokens["refresh_token"], scope="orders:read refunds:write")
    assert error_of(wider) == "invalid_scope"


# ── whose session it is ──


def test_a_session_that_somebody_planted_is_none_once_its_person_signs_in(shop: Shop) -> None:
    desk, thief, alice = shop.client("desk"), shop.browser(), shop.browser()
    desk.consent(thief, "bob")
    planted = session_of(thief)
    [name] = [cookie.name for cookie in thief.http.cookies.jar if "session" in cookie.name]
    for value in (planted, "A" * 43):
        alice.http.cookies.clear()
        alice.http.cookies.set(name, value, domain="127.0.0.1", path="/")
        page = alice.page(desk.request(prompt="login"))
        signed_in = alice.submit(page.form("/sign-in"), user="alice", password=PASSWORD)
        [fresh] = re.findall(rf"{name}=([^;]+)", signed_in.headers["set-cookie"])
        assert fresh not in {planted, value}
        assert "HttpOnly; SameSite=Lax" in signed_in.headers["set-cookie"]
        thief.http.cookies.set(name, value, domain="127.0.0.1", path="/")
        assert "Sign in" in thief.page(desk.request()).text


def test_a_session_cookie_that_is_there_twice_is_nobodys(shop: Shop) -> None:
    desk, alice = shop.client("desk"), shop.browser()
    desk.consent(alice)
    [name] = [cookie.name for cookie in alice.http.cookies.jar if "session" in cookie.name]
    twice = f"{name}={session_of(alice)}; {name}={'A' * 43}"
    answer = httpx2.get(shop.base + desk.request(), headers={"Cookie": twice}, trust_env=False)
    assert 'name="password"' in answer.text


def test_nobody_is_signed_in_as_somebody_else_by_another_site(shop: Shop) -> None:
    """Login CSRF: what alice does afterwards would be done for bob."""
    desk, bob, alice = shop.client("desk"), shop.browser(), shop.browser()
    form = bob.page(desk.request()).form("/sign-in")
    alice.page(desk.request())
    with shop.told():
        for csrf in (form.fields["csrf"], ""):
            sent = {"csrf": csrf, "user": "bob", "password": PASSWORD}
            went_nowhere(alice.post(form.action, sent), 403)
            went_nowhere(alice.post(form.action, sent, Origin="https://evil.example", Sec_Fetch_Site="cross-site"), 403)
            went_nowhere(shop.browser().post(form.action, sent), 403)
    assert session_of(alice) == ""


def test_a_sign_out_that_another_site_sends_is_none(shop: Shop) -> None:
    desk, alice = shop.client("desk"), shop.browser()
    page = desk.consent(alice)
    went_nowhere(alice.post("/oauth2/sign-out/authorize", {"csrf": ""}), 403)
    went_nowhere(alice.submit(page.form("/sign-out/authorize"), csrf=page.form("/authorize").fields["csrf"]), 403)
    assert "Allow" in desk.consent(alice).text


@pytest.mark.parametrize("name", ["dora", "nobody-is-called-so"])
def test_a_password_cannot_be_guessed_for_long_whether_there_is_such_a_person_or_not(shop: Shop, name: str) -> None:
    thief = shop.browser()
    form = thief.page(shop.client("desk").request()).form("/sign-in")
    before = len(shop.records())
    answers = [thief.submit(form, user=name, password=f"guess {number}") for number in range(8)]
    said = [answer.status_code for answer in answers]
    assert (said[:5], set(said)) == ([403] * 5, {403, 429})
    assert len({len(answer.text) for answer in answers if answer.status_code == 403}) == 1
    assert 1 <= shop.actions(before).count("sign_in_failed") <= 2  # one a minute, and that may just turn
    assert session_of(thief) == ""


def test_whoever_is_logged_out_everywhere_gives_nothing_by_a_session_or_a_client_from_before(shop: Shop) -> None:
    desk, carol = shop.client("desk"), shop.browser()
    tokens = desk.signed_in(carol, "carol")
    code, form = desk.code(carol), desk.consent(carol).form("/authorize")
    shop.log_out("carol")
    with shop.nothing_given():
        assert error_of(desk.redeem(code)) == "invalid_grant"
        assert error_of(desk.refresh(tokens["refresh_token"])) == "invalid_grant"
        assert carol.submit(form, **YES).headers["location"].startswith("/oauth2/authorize?")
        assert 'name="password"' in carol.get(desk.request()).text


# ── where the answer goes ──

TRICKS = (
    "https://desk.example/callback/",
    "https://desk.example/callback?x=1",
    "https://desk.example/callback#x",
    "https://desk.example/callback/../evil",
    "https://desk.example:443/callback",
    "https://desk.example.evil.example/callback",
    "https://evil.example/callback",
    "https://desk.example@evil.example/callback",
    "https://evil.example\\@desk.example/callback",
    "HTTPS://desk.example/callback",
    "https://DESK.example/callback",
    "http://desk.example/callback",
    "//desk.example/callback",
    "https://desk.example/callback\r\nSet-Cookie: x=1",
    "https://desk.example/%63allback",
    "javascript:alert(1)//https://desk.example/callback",
    "data:text/html,x",
    "",
)


@pytest.mark.parametrize("uri", TRICKS)
def test_no_answer_goes_to_an_address_that_only_looks_registered(shop: Shop, uri: str) -> None:
    desk, alice = shop.client("desk"), shop.browser()
    for changes in ({}, {"response_type": "token"}, {"prompt": "none"}):
        went_nowhere(alice.get(desk.request(redirect_uri=uri, **changes)), 400)
    went_nowhere(alice.get(desk.request(redirect_uri=[desk.redirect_uri, uri])), 400)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:1/other",
        "http://127.0.0.1:1/callback?x=1",
        "http://localhost:1/callback",
        "http://127.0.0.2:1/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://evil.example:80@127.0.0.1/callback",
        "https://127.0.0.1:1/callback",
    ],
)
def test_only_the_port_of_a_program_on_this_machine_is_free(shop: Shop, uri: str) -> None:
    shell, alice = shop.client("shell"), shop.browser()
    went_nowhere(alice.get(shell.request(redirect_uri=uri)), 400)


def test_a_code_goes_with_the_name_of_whoever_issued_it(shop: Shop) -> None:
    """A client that asked two issuers sees which one answers (RFC 9207), a refusal included."""
    desk, alice = shop.client("desk"), shop.browser()
    assert desk.allowed(alice, state="s")["iss"] == shop.base
    refused = answer_of(alice.get(desk.request(response_type="token")), desk.redirect_uri)
    assert (refused["error"], refused["iss"]) == ("unsupported_response_type", shop.base)
    metadata = alice.get("/.well-known/oauth-authorization-server").json()
    assert (metadata["issuer"], metadata["authorization_response_iss_parameter_supported"]) == (shop.base, True)


DOWNGRADES: list[tuple[dict[str, Any], str]] = [
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"code_challenge_method": ["S256", "plain"]}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code token"}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"response_mode": "form_post"}, "invalid_request"),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ({"request_uri": "https://evil.example/r"}, "request_not_supported"),
    ({"resource": "https://evil.example/mcp"}, "invalid_target"),
    ({"scope": ["orders:read", "refunds:write"]}, "invalid_request"),
    ({"state": ["a", "b"]}, "invalid_request"),
]


@pytest.mark.parametrize(("changes", "error"), DOWNGRADES, ids=str)
def test_a_request_cannot_be_made_weaker_or_read_in_two_ways(shop: Shop, changes: dict[str, Any], error: str) -> None:
    desk, alice = shop.client("desk"), shop.browser()
    refused = answer_of(alice.get(desk.request(**changes)), desk.redirect_uri)
    assert (refused["error"], refused["iss"]) == (error, shop.base)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_a_request_that_names_two_clients_or_addresses_goes_nowhere(shop: Shop, name: str) -> None:
    desk, alice = shop.client("desk"), shop.browser()
    sound = {"client_id": desk.client_id, "redirect_uri": desk.redirect_uri}[name]
    for values in ([sound, "shell"], ["shell", sound], [sound, sound]):
        went_nowhere(alice.get(desk.request(**{name: values})), 400)


def test_who_the_server_is_does_not_depend_on_what_it_is_called(shop: Shop) -> None:
    desk = shop.client("desk")
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", desk.request()):
        answer = httpx2.get(shop.base + path, headers=evil, trust_env=False)
        assert answer.status_code == 200
        assert "evil.example" not in answer.text + str(answer.headers)
    refused = httpx2.get(shop.base + desk.request(response_type="token"), headers=evil, trust_env=False)
    assert answer_of(refused, desk.redirect_uri)["iss"] == shop.base
    started = post(shop.base, "device_authorization", {"client_id": "shell"}, **evil).json()
    assert started["verification_uri"] == f"{shop.base}/oauth2/device"


# ── devices ──


def test_a_device_of_somebody_else_is_not_let_in_by_a_link(shop: Shop) -> None:
    shell, alice, bob = shop.client("shell"), shop.browser(), shop.browser()
    started = shell.post({}, place="device_authorization").json()
    code = started["user_code"]
    shell.consent(alice)
    shell.consent(bob, "bob")
    with shop.nothing_given(), shop.told():
        page = alice.page(started["verification_uri_complete"].removeprefix(shop.base))
        assert (page.form("/device").fields["user_code"], "Continue only if you" in page.text) == (code, True)
        shown = bob.submit(bob.page("/oauth2/device").form("/device"), user_code=code)
        for browser in (alice, shop.browser()):
            for csrf in ("", page.form("/device").fields["csrf"], _csrf(shown.text)):
                sent = {"csrf": csrf, "user_code": code, "answer": "allow", "scope orders:read": "on"}
                assert browser.post("/oauth2/device", sent).status_code in {303, 403}
                went_nowhere_or_to_sign_in(browser.post("/oauth2/device", sent, Origin="https://evil.example"))
        waiting = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": started["device_code"]}
        assert error_of(shell.post(waiting)) == "authorization_pending"
        other = {**waiting, "client_id": "remit-login"}
        assert error_of(shell.post(other)) == "invalid_grant"
        assert error_of(shop.client("desk").post(waiting)) == "unauthorized_client"


def went_nowhere_or_to_sign_in(response: httpx2.Response) -> None:
    assert (response.status_code, response.headers.get("location", "/oauth2/device")) in {
        (303, "/oauth2/device"),
        (403, "/oauth2/device"),
    }


def _csrf(text: str) -> str:
    found: list[str] = re.findall(r'name="csrf" value="([0-9a-f]{64})"', text)
    return found[-1]
