"""The authorize endpoint: who gets a code, and where nobody is sent."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.authorization.request import is_safe_redirect
from support.pages import (
    APP,
    BOB,
    CHALLENGE,
    DESK,
    DOCUMENT,
    DYNAMIC,
    ISSUER,
    MCP,
    SHELL,
    Page,
    Site,
    answer_of,
    authorize,
    site,
)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def test_a_yes_brings_the_client_a_code_with_its_state_and_the_issuer(shop: Site) -> None:
    browser = shop.browser()
    page = browser.consent(authorize())
    answer = answer_of(browser.submit(page.form("/authorize"), answer="allow"))
    assert answer == {"code": "code-1", "state": "s-1", "iss": ISSUER}
    [(request, client, sign_in, scopes)] = shop.authorizations.granted
    assert client == DESK
    assert (request.redirect_uri, request.audience, request.code_challenge) == (DESK.redirect_uris[0], MCP, CHALLENGE)
    assert (sign_in.person.sub, sign_in.amr, sign_in.auth_time) == ("alice", ("pwd",), int(shop.clock.now()))
    assert scopes == ("orders.read", "orders.write")
    assert shop.actions == ["sign_in", "authorize"]


def test_a_no_brings_access_denied(shop: Site) -> None:
    browser = shop.browser()
    page = browser.consent(authorize())
    answer = answer_of(browser.submit(page.form("/authorize"), answer="deny"))
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "s-1", ISSUER)
    assert not shop.authorizations.granted
    assert shop.actions[-1] == "authorization_refused"


def test_whoever_is_signed_in_is_asked_again_each_time(shop: Site) -> None:
    browser = shop.browser()
    browser.consent(authorize())
    again = browser.page(authorize())
    assert "Allow “Order Desk”" in again.text
    assert "Alice Adams" in again.text


def test_a_client_gets_the_checked_scopes_and_no_others(shop: Site) -> None:
    browser = shop.browser()
    form = browser.consent(authorize()).form("/authorize")
    answer_of(
        browser.post(form.action, {**form.fields, "scope orders.read": "on", "scope admin": "on", "answer": "allow"})
    )
    assert shop.authorizations.granted[0][3] == ("orders.read",)


def test_nothing_checked_is_not_a_yes(shop: Site) -> None:
    browser = shop.browser()
    form = browser.consent(authorize()).form("/authorize")
    again = Page(browser.post(form.action, {**form.fields, "answer": "allow"}))
    assert again.status == 422
    assert "Choose at least one permission" in again.text
    assert not shop.authorizations.granted


def test_people_give_only_what_they_have_and_the_client_may_have(shop: Site) -> None:
    page = shop.browser().consent(authorize(), "bob")
    assert page.form("/authorize").checked == ["scope orders.read"]
    shop.directory.clients["desk"] = replace(DESK, scopes=("orders.write",))
    assert shop.browser().consent(authorize()).form("/authorize").checked == ["scope orders.write"]


def test_who_has_nothing_of_what_is_asked_can_only_go_back(shop: Site) -> None:
    browser = shop.browser()
    page = browser.consent(authorize(scope="admin"))
    assert "do not have" in page.text
    form = page.form("/authorize")
    assert answer_of(browser.submit(form, answer="deny"))["error"] == "access_denied"
    forced = browser.submit(form, answer="allow")
    assert forced.status_code == 422
    assert not shop.authorizations.granted


def test_without_scope_a_client_asks_for_the_default_or_for_all_that_there_is(shop: Site, tmp_path: Path) -> None:
    asked = shop.browser().consent(authorize(scope=None)).form("/authorize").checked
    assert asked == ["scope orders.read", "scope orders.write"]
    with site(tmp_path / "other", default_scopes=("orders.read",)) as narrow:
        assert narrow.browser().consent(authorize(scope=None)).form("/authorize").checked == ["scope orders.read"]


def test_somebody_without_scopes_can_still_let_a_client_know_who_they_are(shop: Site) -> None:
    shop.people.people["bob"] = replace(BOB, scopes=())
    browser = shop.browser()
    page = browser.consent(authorize(scope=None), "bob")
    assert answer_of(browser.submit(page.form("/authorize"), answer="allow"))["code"]
    assert shop.authorizations.granted[0][3] == ()


def test_the_resource_is_the_audience_and_there_is_one(shop: Site) -> None:
    other = "https://remit.example.com/gateway"
    for url, audience in ((authorize(resource=other), other), (authorize(resource=None), MCP)):
        browser = shop.browser()
        browser.submit(browser.consent(url).form("/authorize"), answer="allow")
        assert shop.authorizations.granted[-1][0].audience == audience


FAULTS = {
    "no response_type": ({"response_type": None}, "invalid_request"),
    "a token": ({"response_type": "token"}, "unsupported_response_type"),
    "hybrid": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "a plain challenge": ({"code_challenge_method": "plain"}, "invalid_request"),
    "no method": ({"code_challenge_method": None}, "invalid_request"),
    "a short challenge": ({"code_challenge": "abc"}, "invalid_request"),
    "two challenges": ({"code_challenge": [CHALLENGE, CHALLENGE]}, "invalid_request"),
    "two scopes": ({"scope": ["orders.read", "admin"]}, "invalid_request"),
    "two of what nobody knows": ({"x": ["1", "2"]}, "invalid_request"),
    "a bad scope": ({"scope": 'orders.read "'}, "invalid_scope"),
    "a long scope": ({"scope": "x" * 129}, "invalid_scope"),
    "many scopes": ({"scope": " ".join(f"s{n}" for n in range(49))}, "invalid_scope"),
    "another resource": ({"resource": "https://api.example.net"}, "invalid_target"),
    "two resources": ({"resource": [MCP, "https://remit.example.com/gateway"]}, "invalid_target"),
    "a request object": ({"request": "e30.e30."}, "request_not_supported"),
    "a request by reference": ({"request_uri": "https://evil.example/r"}, "request_not_supported"),
    "a form as the answer": ({"response_mode": "form_post"}, "invalid_request"),
    "an unknown prompt": ({"prompt": "create"}, "invalid_request"),
    "none and more": ({"prompt": "none login"}, "invalid_request"),
    "a bad age": ({"max_age": "-1"}, "invalid_request"),
    "a way to sign in that there is not": ({"acr_values": "phr"}, "unmet_authentication_requirements"),
    "a bad thumbprint": ({"dpop_jkt": "abc"}, "invalid_request"),
    "no page": ({"prompt": "none"}, "login_required"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_to_the_client_with_its_state_and_the_issuer(shop: Site, fault: str) -> None:
    changes, error = FAULTS[fault]
    answer = answer_of(shop.browser().get(authorize(**changes)))  # type: ignore[arg-type]
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "s-1", ISSUER)


@pytest.mark.parametrize("changes", [{"response_type": "token"}, {"scope": "a\\b"}, {"prompt": "none"}], ids=str)
def test_nobody_is_sent_by_themselves_to_an_address_that_anybody_could_have_registered(
    shop: Site, changes: dict[str, str]
) -> None:
    elsewhere = replace(DYNAMIC, client_id="dynamic.helper.x2", redirect_uris=("https://phish.example/cb",))
    shop.directory.clients[elsewhere.client_id] = elsewhere
    for client in (DOCUMENT, elsewhere):
        page = shop.browser().page(authorize(client, **changes))
        assert (page.status, "location" in page.response.headers) == (400, False)
        [link] = [given["href"] for tag, given in page.tags if tag == "a"]
        assert link.startswith(f"{client.redirect_uris[0]}?error=")
        assert (urlsplit(client.redirect_uris[0]).hostname or "?") in page.text
    response = shop.browser().get(authorize(DYNAMIC, **changes))
    assert "error" in answer_of(response, DYNAMIC.redirect_uris[0])  # a program on this machine


def test_a_state_that_is_there_twice_is_not_sent_back(shop: Site) -> None:
    answer = answer_of(shop.browser().get(authorize(state=["a", "b"])))
    assert answer["error"] == "invalid_request"
    assert "state" not in answer


def test_a_client_that_may_not_use_this_grant_is_told_so(shop: Site) -> None:
    shop.directory.clients["desk"] = replace(DESK, grants=frozenset())
    assert answer_of(shop.browser().get(authorize()))["error"] == "unauthorized_client"


REDIRECTS = (
    None,
    "",
    "https://evil.example/callback",
    "https://DESK.example.com/callback",
    "HTTPS://desk.example.com/callback",
    "https://desk.example.com:8443/callback",
    "https://desk.example.com:443/callback",
    "https://desk.example.com/callback/",
    "https://desk.example.com/callback/../evil",
    "https://desk.example.com/callback%2f..%2fevil",
    "https://desk.example.com/callback?x=1",
    "https://desk.example.com/callback#x",
    "https://desk.example.com/callback#",
    "https://desk.example.com@evil.example/callback",
    "https://user@desk.example.com/callback",
    "https://desk.example.com\\@evil.example/callback",
    "https://desk.example.com.evil.example/callback",
    "//desk.example.com/callback",
    "http://desk.example.com/callback",
    "javascript:alert(1)//https://desk.example.com/callback",
    "data:text/html,<script>alert(1)</script>",
    "https://desk.example.com/callback\r\nSet-Cookie: a=b",
    "https://desk.example.com/callback ",
    " https://desk.example.com/callback",
    ["https://desk.example.com/callback", "https://evil.example/"],
    ["https://evil.example/", "https://desk.example.com/callback"],
)


@pytest.mark.parametrize("redirect_uri", REDIRECTS)
def test_nobody_is_sent_to_an_address_that_is_not_registered(shop: Site, redirect_uri: str | None) -> None:
    for url in (
        authorize(redirect_uri=redirect_uri),
        authorize(redirect_uri=redirect_uri, response_type="token"),
        authorize(redirect_uri=redirect_uri, prompt="none"),
    ):
        response = shop.browser().get(url)
        assert response.status_code == 400
        assert "location" not in response.headers
        assert "evil" not in response.text


@pytest.mark.parametrize("client_id", [None, "", "nobody", ["desk", "desk"], "https://gone.example.org/client.json"])
def test_nobody_is_sent_anywhere_for_a_client_that_is_not_known(shop: Site, client_id: str | None) -> None:
    response = shop.browser().get(authorize(client_id=client_id))
    assert response.status_code == 400
    assert "location" not in response.headers


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "about:blank",
        "http://192.0.2.1/cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "https://desk.example.com/cb?code=1",
        "https://desk.example.com/cb?x=1&iss=https://evil.example",
        "https://desk.example.com/cb?%73tate=1",
        "https:///cb",
        "https://desk.example.com:x/cb",
        "/cb",
        "",
    ],
)
def test_even_a_registered_address_has_to_be_one_to_send_a_code_to(shop: Site, uri: str) -> None:
    shop.directory.clients["desk"] = replace(DESK, redirect_uris=(uri,))
    response = shop.browser().get(authorize(redirect_uri=uri))
    assert response.status_code == 400
    assert "location" not in response.headers


def test_a_program_on_this_computer_may_choose_its_port(shop: Site) -> None:
    browser = shop.browser()
    uri = "http://127.0.0.1:51234/callback"
    page = browser.consent(authorize(SHELL, redirect_uri=uri))
    assert answer_of(browser.submit(page.form("/authorize"), answer="allow"), uri)["code"] == "code-1"


def test_an_app_is_called_by_its_own_scheme(shop: Site) -> None:
    browser = shop.browser()
    page = browser.consent(authorize(APP))
    assert answer_of(browser.submit(page.form("/authorize"), answer="allow"), "com.example.app:/callback?")["code"]


def test_an_address_keeps_the_query_it_has(shop: Site) -> None:
    uri = "https://desk.example.com/callback?tenant=7"
    shop.directory.clients["desk"] = replace(DESK, redirect_uris=(uri,))
    answer = answer_of(shop.browser().get(authorize(redirect_uri=uri, prompt="none")), uri)
    assert (answer["tenant"], answer["error"]) == ("7", "login_required")


def test_the_state_comes_back_as_it_was(shop: Site) -> None:
    state = "a&code=evil&iss=https://evil.example#<script>\"' %0d%0aSet-Cookie: x=y é"
    browser = shop.browser()
    page = browser.consent(authorize(state=state))
    response = browser.submit(page.form("/authorize"), answer="allow")
    assert answer_of(response) == {"code": "code-1", "state": state, "iss": ISSUER}
    assert response.headers["location"].isascii()
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("query", ["state=%00", "state=a%0d%0aX: y", "scope=%ff", "scope=%zz", "a=" + "x" * 8192])
def test_what_cannot_be_read_goes_nowhere(shop: Site, query: str) -> None:
    response = shop.browser().get(f"{authorize(state=None)}&{query}")
    assert response.status_code == 400
    assert "location" not in response.headers


def test_prompt_none_never_shows_a_page(shop: Site) -> None:
    browser = shop.browser()
    browser.consent(authorize())
    assert answer_of(browser.get(authorize(prompt="none")))["error"] == "consent_required"


@pytest.mark.parametrize("prompt", ["login", "select_account", "login consent"])
def test_prompt_login_has_people_sign_in_once_more_and_once_only(shop: Site, prompt: str) -> None:
    browser = shop.browser()
    browser.consent(authorize())
    shop.clock.advance(5)
    url = authorize(prompt=prompt)
    assert "Password" in browser.page(url).text
    page = browser.consent(url)
    assert "Allow “Order Desk”" in page.text
    assert answer_of(browser.submit(page.form("/authorize"), answer="allow"))["code"]
    assert shop.authorizations.granted[0][2].auth_time == int(shop.clock.now())
    assert "Password" in browser.page(url).text  # another request is another sign-in


def test_a_sign_in_for_one_request_is_none_for_another(shop: Site) -> None:
    browser = shop.browser()
    location = browser.sign_in(authorize(prompt="login")).headers["location"]
    note = location.rpartition("&remit_signed_in=")[2]
    for url in (
        f"{authorize(prompt='login', state='other')}&remit_signed_in={note}",
        f"{authorize(prompt='login')}&remit_signed_in={int(shop.clock.now()) - 1}.{note.partition('.')[2]}",
        f"{authorize(prompt='login')}&remit_signed_in=",
    ):
        assert "Password" in browser.page(url).text
    shop.clock.advance(601)
    assert "Password" in browser.page(location).text


def test_max_age_asks_for_another_sign_in_when_the_last_is_too_long_ago(shop: Site) -> None:
    browser = shop.browser()
    browser.consent(authorize())
    shop.clock.advance(61)
    assert "Allow" in browser.page(authorize(max_age="61")).text
    url = authorize(max_age="60")
    assert answer_of(browser.get(authorize(max_age="60", prompt="none")))["error"] == "login_required"
    assert "Allow" in browser.consent(url).text
    assert "Allow" in browser.consent(authorize(max_age="0")).text


def test_a_login_hint_fills_in_the_name(shop: Site) -> None:
    page = shop.browser().page(authorize(login_hint="alice"))
    assert page.form("/sign-in").fields["user"] == "alice"


def test_a_consent_is_for_the_request_it_was_shown_for(shop: Site) -> None:
    browser = shop.browser()
    form = browser.consent(authorize()).form("/authorize")
    for url in (authorize(state="s-2"), authorize(scope="orders.read"), authorize(DYNAMIC)):
        moved = browser.post(url, {**form.fields, "scope orders.read": "on", "answer": "allow"})
        assert moved.status_code == 403
        assert "location" not in moved.headers
    assert not shop.authorizations.granted


def test_a_consent_is_for_the_session_it_was_shown_to(shop: Site) -> None:
    attacker, victim = shop.browser(), shop.browser()
    form = attacker.consent(authorize(), "bob").form("/authorize")
    victim.consent(authorize())
    url = urlsplit(form.action)
    for action in (form.action, authorize(), f"{url.path}?{url.query.partition('&remit')[0]}"):
        forged = victim.post(action, {**form.fields, "scope orders.read": "on", "answer": "allow"})
        assert forged.status_code == 403
    assert not shop.authorizations.granted


@pytest.mark.parametrize("csrf", ["", "0" * 64, "é"])
def test_a_consent_without_its_mark_is_none(shop: Site, csrf: str) -> None:
    browser = shop.browser()
    form = browser.consent(authorize()).form("/authorize")
    assert browser.submit(form, csrf=csrf, answer="allow").status_code == 403
    del form.fields["csrf"]
    assert browser.submit(form, answer="allow").status_code == 403
    assert not shop.authorizations.granted


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://remit.example.com"},
        {"Origin": "https://remit.example.com:8443"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_a_consent_from_another_site_is_none(shop: Site, headers: dict[str, str]) -> None:
    browser = shop.browser()
    form = browser.consent(authorize()).form("/authorize")
    sent = {**form.fields, "scope orders.read": "on", "answer": "allow"}
    assert browser.post(form.action, sent, **headers).status_code == 403
    assert not shop.authorizations.granted


def test_a_consent_of_somebody_who_has_signed_out_leads_to_the_sign_in(shop: Site) -> None:
    browser = shop.browser()
    page = browser.consent(authorize())
    assert browser.submit(page.form("/sign-out/authorize")).status_code == 200
    again = browser.submit(page.form("/authorize"), answer="allow")
    assert again.status_code == 303
    assert urlsplit(again.headers["location"]).path == "/oauth2/authorize"
    assert not shop.authorizations.granted


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}",
        "Bank\u202egnp.exe",
        "A\u200bB\ufeffC\x00D\nE",
        "x" * 5000,
    ],
)
def test_what_a_client_says_of_itself_is_only_ever_text(shop: Site, name: str) -> None:
    shop.directory.clients["desk"] = replace(DESK, name=name)
    page = shop.browser().consent(authorize(state=name.replace("\x00", "").replace("\n", ""), login_hint="<b>"))
    assert not [tag for tag, _ in page.tags if tag in {"script", "img", "b", "iframe"}]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]
    assert "49" not in page.text
    assert not set("\u202e\u200b\ufeff\x00") & set(page.response.text)
    assert "x" * 81 not in page.text
    if "<script>" in name:
        assert html.escape(name, quote=False) in page.response.text


def test_a_yes_that_cannot_be_recorded_is_none(shop: Site) -> None:
    browser = shop.browser()
    form = browser.consent(authorize()).form("/authorize")
    shop.trail.broken = True
    assert browser.submit(form, answer="allow").status_code == 503
    assert not shop.authorizations.granted


def test_other_methods_and_other_bodies_are_refused(shop: Site) -> None:
    browser = shop.browser()
    form = browser.consent(authorize()).form("/authorize")
    refused = browser.http.put(authorize())
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
    assert browser.post(form.action, {**form.fields, "x": "y" * 20_000}).status_code == 400
    assert browser.post(form.action, form.fields, Content_Type="text/plain").status_code in {400, 415, 303, 403}
    assert browser.http.head(authorize()).text == ""


@given(
    uri=st.text(max_size=60) | st.builds("{}:{}".format, st.sampled_from(["http", "https", "x"]), st.text(max_size=60))
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_a_safe_address_can_stand_in_a_header_and_has_no_fragment(uri: str) -> None:
    if is_safe_redirect(uri):
        assert uri.isascii()
        assert uri.isprintable()
        assert not set(uri) & set(' "<>\\#')
        assert urlsplit(uri).scheme not in {"javascript", "data"}
        assert quote(uri, safe=":/?[]@!$&'()*+,;=%-._~") == uri
