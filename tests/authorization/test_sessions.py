"""Who is signed in, in which browser, until when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from remit.authorization.cookies import Cookies
from remit.authorization.person import Person, SignIn
from remit.authorization.sessions import Session, Sessions
from remit.errors import GrantUnavailable
from remit.sts.revocation import Kind, Order, RevocationFile, RevocationList
from support.pages import ALICE, BOB, HASHER, Browser, Site, authorize, site

COOKIE = "__Host-remit-session"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def sessions(shop: Site) -> Sessions:
    return Sessions(shop.file, shop.people, shop.passwords, lifetime=3600)


def opened(shop: Site, person: Person = ALICE) -> Session:
    return asyncio.run(sessions(shop).open(SignIn(person, 1_800_000_000, ("pwd",), "urn:acr")))


def found(shop: Site, session_id: str) -> Session | None:
    return asyncio.run(sessions(shop).find(session_id))


def is_signed_in(browser: Browser) -> bool:
    return "Allow" in browser.page(authorize()).text


def test_a_session_says_who_signed_in_when_and_how(shop: Site) -> None:
    session = opened(shop)
    assert found(shop, session.id) == session
    assert session.id not in repr(session)
    for other in ("", "x", session.id[:-1], session.id.swapcase()):
        assert found(shop, other) is None


def test_the_file_does_not_have_the_ids(shop: Site) -> None:
    session = opened(shop)
    assert session.id.encode() not in b"".join(path.read_bytes() for path in shop.folder.iterdir())


def test_a_session_ends_with_its_time(shop: Site) -> None:
    session = opened(shop)
    shop.clock.advance(3599)
    assert found(shop, session.id)
    shop.clock.advance(1)
    assert found(shop, session.id) is None


def test_a_session_ends_with_its_person_and_with_their_password(shop: Site) -> None:
    first, second = opened(shop), opened(shop)
    shop.people.people["alice"] = replace(ALICE, scopes=("orders.read",))
    narrowed = found(shop, first.id)
    assert narrowed is not None
    assert narrowed.sign_in.person.scopes == ("orders.read",)
    shop.password_file.change(lambda hashes: hashes.update(alice=HASHER.hash("eight green horses")))
    assert found(shop, first.id) is None
    third = opened(shop)
    del shop.people.people["alice"]
    assert found(shop, second.id) is found(shop, third.id) is None


def test_who_another_provider_knows_stays_as_it_said(shop: Site) -> None:
    person = Person("alice", "https://idp.example.net", "A. Adams", ("x",), ("y",), ("orders.read",))
    session = opened(shop, person)
    assert found(shop, session.id) == session


def test_one_person_has_so_many_sessions_and_no_more(shop: Site) -> None:
    bob = opened(shop, shop.people.people["bob"])
    first = opened(shop)
    rest = [opened(shop) for _ in range(20)]
    assert found(shop, first.id) is None
    assert all(found(shop, each.id) for each in rest)
    assert found(shop, bob.id)


def test_a_sign_in_makes_a_new_session_whatever_the_browser_had(shop: Site) -> None:
    browser = shop.browser()
    planted = "A" * 43
    browser.http.cookies.set(COOKIE, planted, domain="remit.example.com")
    response = browser.sign_in(authorize())
    [cookie] = [each for each in response.headers.get_list("set-cookie") if each.startswith(f"{COOKIE}=")]
    assert planted not in cookie
    assert found(shop, planted) is None
    first = cookie.partition("=")[2].partition(";")[0]
    again = browser.sign_in(authorize(prompt="login"))
    assert first not in str(again.headers.get_list("set-cookie"))
    assert found(shop, first) is None  # and the one before is over


def test_the_cookie_is_for_this_host_and_no_script(shop: Site) -> None:
    response = shop.browser().sign_in(authorize())
    [cookie] = [each for each in response.headers.get_list("set-cookie") if each.startswith(f"{COOKIE}=")]
    parts = {part.strip() for part in cookie.split(";")[1:]}
    assert parts == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=3600"}


def test_signing_out_ends_the_session_for_whoever_has_its_id(shop: Site) -> None:
    browser = shop.browser()
    page = browser.consent(authorize())
    stolen = browser.http.cookies[COOKIE]
    done = browser.submit(page.form("/sign-out/authorize"))
    assert "You are signed out" in done.text
    assert not is_signed_in(browser)
    assert found(shop, stolen) is None


def test_nobody_else_signs_anybody_out(shop: Site) -> None:
    browser, other = shop.browser(), shop.browser()
    browser.consent(authorize())
    page = other.consent(authorize(), "bob")
    for fields in ({}, {"csrf": page.form("/sign-out/authorize").fields["csrf"]}):
        assert browser.post("/oauth2/sign-out/authorize", fields).status_code == 403
    assert browser.post("/oauth2/sign-out/authorize", {}, Origin="https://evil.example").status_code == 403
    assert is_signed_in(browser)


@pytest.mark.parametrize(
    "cookie",
    ["{name}={id}; {name}={other}", "{name}={id}x", "x{name}={id}", '{name}="{id}"', "{name}={id}\x01", "{name}"],
)
def test_a_cookie_that_has_two_readings_is_none(shop: Site, cookie: str) -> None:
    session = opened(shop)
    header = cookie.format(name=COOKIE, id=session.id, other="B" * 43)
    browser = shop.browser()
    assert "Password" in browser.http.get(authorize(), headers={"Cookie": header}).text
    assert "Allow" in browser.http.get(authorize(), headers={"Cookie": f"a=b; {COOKIE}={session.id}"}).text


def test_on_plain_loopback_each_port_has_cookies_of_its_own() -> None:
    local, other = Cookies.of("http://127.0.0.1:8700"), Cookies.of("http://127.0.0.1:8701")
    assert local.session.name != other.session.name
    assert "Secure" not in local.session.set("x" * 43, 60)
    assert not local.session.name.startswith("__")


def test_whoever_is_logged_out_everywhere_has_to_sign_in_again(shop: Site) -> None:
    revoked = RevocationList(RevocationFile(shop.folder / "revocations.db"), shop.clock)
    sessions = Sessions(shop.file, shop.people, shop.passwords, lifetime=3600, logged_out=revoked)
    elsewhere = Person("carol", "https://idp.example.net")
    opened = {person.sub: asyncio.run(sessions.open(SignIn(person, 1, ("pwd",)))) for person in (ALICE, BOB, elsewhere)}
    for sub in ("alice", "carol"):
        revoked.add(Order(Kind.SUBJECT, sub))
    signed_in = [sub for sub, session in opened.items() if asyncio.run(sessions.find(session.id))]
    assert signed_in == ["bob"]
    shop.clock.advance(1)
    again = asyncio.run(sessions.open(SignIn(elsewhere, 1)))
    assert asyncio.run(sessions.find(again.id)) == again
    revoked.close()


def test_where_it_cannot_be_said_who_is_logged_out_nobody_is_signed_in(shop: Site) -> None:
    revoked = RevocationList(RevocationFile(shop.folder / "revocations.db"), shop.clock)
    sessions = Sessions(shop.file, shop.people, shop.passwords, lifetime=3600, logged_out=revoked)
    session = asyncio.run(sessions.open(SignIn(ALICE, 1)))
    for file in shop.folder.glob("revocations.db*"):
        file.unlink()
    shop.clock.advance(11)
    with pytest.raises(GrantUnavailable):
        asyncio.run(sessions.find(session.id))
    revoked.close()
