"""What every page is like, and what signing in asks of a form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remit.authorization.authorization import AuthorizationRequest
from remit.authorization.person import Person, SignIn
from remit.errors import InvalidRequest
from support.pages import ALICE, BOB, DESK, DYNAMIC, ISSUER, PASSWORD, Browser, Page, Site, answer_of, authorize, site

REMOTE = Person("0815", "https://idp.example.net", "A. Adams", scopes=("orders.read",))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def all_pages(shop: Site) -> list[Page]:
    browser = shop.browser()
    signing_in = browser.page(authorize())
    consent = browser.consent(authorize())
    return [
        signing_in,
        Page(browser.submit(signing_in.form("/sign-in"), user="alice", password="wrong")),
        consent,
        Page(browser.submit(consent.form("/authorize"), csrf="")),
        browser.page("/oauth2/authorizations"),
        browser.page("/oauth2/device"),
        browser.page("/oauth2/authorize"),
        Page(browser.submit(consent.form("/sign-out/authorize"))),
    ]


def test_no_page_can_be_framed_stored_or_run_anything(shop: Site) -> None:
    for page in all_pages(shop):
        headers = page.response.headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        is_consent = "Allow “" in page.text
        assert policy.pop("form-action", "left out") == ("left out" if is_consent else "'self'")
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert "access-control-allow-origin" not in headers
        assert "permissions-policy" in headers


def test_every_page_is_one_that_everybody_can_use(shop: Site) -> None:
    for page in all_pages(shop):
        tags = [tag for tag, _ in page.tags]
        assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
        assert ("html", {"lang": "en"}) in page.tags
        assert not {"script", "style", "img", "iframe"} & set(tags)
        assert [attributes["href"] for tag, attributes in page.tags if tag == "link"] == ["/oauth2/style.css"]
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        labelled = {attributes["for"] for tag, attributes in page.tags if tag == "label"}
        shown = [attributes for tag, attributes in page.tags if tag == "input" and attributes.get("type") != "hidden"]
        assert {attributes["id"] for attributes in shown} == labelled
        for _, attributes in page.tags:
            assert set(attributes.get("aria-describedby", "").split()) <= set(ids)
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert all(attributes.get("method") == "post" for tag, attributes in page.tags if tag == "form")
        assert sum("autofocus" in attributes for _, attributes in page.tags) <= 1


def test_an_error_is_said_first_and_takes_the_focus(shop: Site) -> None:
    page = all_pages(shop)[1]
    assert page.status == 403
    [alert] = [attributes for _, attributes in page.tags if attributes.get("role") == "alert"]
    assert "autofocus" in alert
    assert page.response.text.index('role="alert"') < page.response.text.index("<form")
    assert "<title>Error: Sign in" in page.response.text
    assert page.form("/sign-in").fields["user"] == "alice"
    assert "wrong" not in page.response.text


def test_a_password_manager_finds_its_fields(shop: Site) -> None:
    fields = {attributes.get("name"): attributes for tag, attributes in all_pages(shop)[0].tags if tag == "input"}
    assert fields["user"]["autocomplete"] == "username"
    assert (fields["password"]["type"], fields["password"]["autocomplete"]) == ("password", "current-password")


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_colours_can_be_read_in_light_and_in_dark(shop: Site) -> None:
    response = shop.browser().get("/oauth2/style.css")
    assert response.headers["content-type"].startswith("text/css")
    assert not re.search(r"url\(|@import|https?:", response.text)
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", response.text, re.DOTALL)
    )
    assert light.keys() == dark.keys()
    for colours in (light, dark):
        for back in ("card", "warn", "bad", "good"):
            assert contrast(colours["text"], colours[back]) >= 7
        for text, back in (("quiet", "card"), ("quiet", "page"), ("accent", "card"), ("accent-over", "card")):
            assert contrast(colours[text], colours[back]) >= 4.5
        for back in ("accent", "accent-over"):
            assert contrast(colours["on-accent"], colours[back]) >= 4.5
        assert contrast(colours["edge"], colours["card"]) >= 3
        assert contrast(colours["accent"], colours["card"]) >= 3


def try_sign_in(browser: Browser, action: str, **fields: str) -> int:
    return browser.post(action, {"user": "alice", "password": PASSWORD, **fields}).status_code


def test_a_sign_in_needs_the_form_that_this_browser_was_shown_for_this(shop: Site) -> None:
    browser, other = shop.browser(), shop.browser()
    form = browser.page(authorize()).form("/sign-in")
    others = other.page(authorize()).form("/sign-in").fields["csrf"]
    another = browser.page(authorize(state="s-2")).form("/sign-in").fields["csrf"]
    for csrf in ("", "0" * 64, others, another):
        assert try_sign_in(browser, form.action, csrf=csrf) == 403
    assert try_sign_in(browser, form.action) == 403
    assert try_sign_in(shop.browser(), form.action, csrf=form.fields["csrf"]) == 403  # without the cookie
    assert shop.actions == []
    assert try_sign_in(browser, form.action, csrf=form.fields["csrf"]) == 303


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}])
def test_a_sign_in_from_another_site_is_none(shop: Site, headers: dict[str, str]) -> None:
    browser = shop.browser()
    form = browser.page(authorize()).form("/sign-in")
    sent = {**form.fields, "user": "alice", "password": PASSWORD}
    assert browser.post(form.action, sent, **headers).status_code == 403


def test_a_sign_in_leads_to_the_places_there_are_and_nowhere_else(shop: Site) -> None:
    browser = shop.browser()
    assert browser.sign_in("/oauth2/authorizations").headers["location"] == "/oauth2/authorizations"
    assert browser.post("/oauth2/sign-in/evil", {}).status_code == 400
    assert browser.post("/oauth2/sign-in/%2F%2Fevil.example", {}).status_code in {400, 404}
    assert browser.post("/oauth2/sign-out/evil", {}).status_code == 400


def test_a_password_is_taken_from_a_body_and_from_nowhere_else(shop: Site) -> None:
    browser = shop.browser()
    form = browser.page(authorize()).form("/sign-in")
    assert browser.get(f"{form.action}&user=alice&password={PASSWORD}").status_code == 405
    query = browser.post(f"{form.action}&user=alice&password=x", form.fields)
    assert query.status_code == 403


def test_people_see_what_they_have_allowed_and_take_it_back(shop: Site) -> None:
    mine = shop.authorizations.give(ALICE, DYNAMIC, "<b>Helper</b>\u202e")
    other = shop.authorizations.give(ALICE, DESK)
    bobs = shop.authorizations.give(BOB, DESK)
    browser = shop.browser()
    page = browser.page(browser.sign_in("/oauth2/authorizations").headers["location"])
    assert "<b>Helper</b>" in page.text
    assert "Nobody has checked that" in page.text
    forms = {form.fields["authorization"]: form for form in page.forms if "authorization" in form.fields}
    assert forms.keys() == {mine, other}
    done = Page(browser.submit(forms[mine]))
    assert "<b>Helper</b> can do nothing for you any more" in done.text
    assert shop.authorizations.given.keys() == {other, bobs}
    assert shop.actions == ["sign_in", "authorization_revoked"]
    assert browser.submit(forms[mine]).status_code == 400  # again
    assert browser.submit(forms[other], authorization=bobs).status_code == 400
    assert browser.submit(forms[other], csrf="").status_code == 403
    assert shop.browser().submit(forms[other]).headers["location"] == "/oauth2/authorizations"
    assert shop.authorizations.given.keys() == {other, bobs}


def test_who_has_allowed_nothing_sees_that(shop: Site) -> None:
    browser = shop.browser()
    browser.sign_in("/oauth2/authorizations")
    assert "no client may act for you" in browser.page("/oauth2/authorizations").text


def test_an_issuer_may_lie_below_a_path(tmp_path: Path) -> None:
    with site(tmp_path, issuer="https://example.com/auth") as shop:
        browser = shop.browser()
        browser.http.base_url = browser.http.base_url.copy_with(path="/")
        browser.issuer = "https://example.com"
        page = browser.consent(f"/auth{authorize()}")
        assert ("link", {"rel": "stylesheet", "href": "/auth/oauth2/style.css"}) in page.tags
        answer = answer_of(browser.submit(page.form("/authorize"), answer="allow"))
        assert answer["iss"] == "https://example.com/auth"


@dataclass
class Provider:
    """Another provider, where everybody is who they say."""

    begun: list[tuple[str, str, AuthorizationRequest | None]] = field(default_factory=list)
    acr: str = "phr"
    going_to: str = ""
    now: int = 1_800_000_000

    async def begin(self, going_to: str, browser: str, request: AuthorizationRequest | None) -> str:
        self.begun.append((going_to, browser, request))
        return "https://idp.example.net/authorize?state=x"

    async def finish(self, query: str, browser: str) -> tuple[SignIn, str]:
        going_to, left, _ = self.begun[-1]
        if browser != left:
            raise InvalidRequest("another browser has begun this")
        return SignIn(REMOTE, self.now, ("mfa",), self.acr), self.going_to or going_to


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def joined(tmp_path: Path, provider: Provider) -> Iterator[Site]:
    with site(tmp_path, upstream=provider) as made:
        yield made


def test_people_of_another_provider_sign_in_there_and_come_back(joined: Site, provider: Provider) -> None:
    browser = joined.browser()
    left = browser.get(authorize(acr_values="phr other", prompt="login"))
    assert left.headers["location"] == "https://idp.example.net/authorize?state=x"
    request = provider.begun[0][2]
    assert request is not None
    assert (request.acr_values, request.prompt) == (("phr", "other"), frozenset({"login"}))
    back = browser.get("/oauth2/callback?code=c&state=x")
    page = browser.page(back.headers["location"])
    assert "A. Adams" in page.text
    assert answer_of(browser.submit(page.form("/authorize"), answer="allow"))["code"]
    [(_, _, sign_in, _)] = joined.authorizations.granted
    assert (sign_in.person, sign_in.acr, sign_in.amr) == (REMOTE, "phr", ("mfa",))


def test_only_the_browser_that_left_comes_back(joined: Site) -> None:
    joined.browser().get(authorize())
    assert joined.browser().get("/oauth2/callback?code=c&state=x").status_code == 400


def test_who_did_not_sign_in_as_asked_is_not_asked_for_ever(joined: Site, provider: Provider) -> None:
    provider.acr = "low"
    browser = joined.browser()
    browser.get(authorize(acr_values="phr"))
    back = browser.get("/oauth2/callback?code=c&state=x")
    answer = answer_of(browser.get(back.headers["location"]))
    assert (answer["error"], answer["iss"]) == ("unmet_authentication_requirements", ISSUER)


@pytest.mark.parametrize("auth_time", [0, 1_800_000_000 - 7 * 3600])
def test_who_was_signed_in_over_there_for_long_comes_to_an_end(
    auth_time: int, joined: Site, provider: Provider
) -> None:
    """Who chooses among their accounts over there need not sign in once more, and not every provider tells when."""
    provider.now = auth_time
    browser = joined.browser()
    browser.get(authorize(prompt="select_account"))
    back = browser.get("/oauth2/callback?code=c&state=x")
    page = browser.page(back.headers["location"])
    assert answer_of(browser.submit(page.form("/authorize"), answer="allow"))["code"]
    provider.acr = "low"
    browser.get(authorize(acr_values="other"))
    back = browser.get("/oauth2/callback?code=c&state=x")
    answer = answer_of(browser.get(back.headers["location"]))
    assert answer["error"] == "unmet_authentication_requirements"


def test_coming_back_leads_nowhere_else(joined: Site, provider: Provider) -> None:
    provider.going_to = "//evil.example?x"
    browser = joined.browser()
    browser.get(authorize())
    refused = browser.get("/oauth2/callback?code=c&state=x")
    assert (refused.status_code, "location" in refused.headers) == (400, False)


def test_where_people_sign_in_elsewhere_no_password_is_taken(joined: Site) -> None:
    browser = joined.browser()
    assert browser.post("/oauth2/sign-in", {"user": "alice", "password": PASSWORD}).status_code == 400
