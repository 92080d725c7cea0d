"""Where a person lets a device in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pages import DESK, DYNAMIC, Browser, FakeDeviceRequest, Form, Page, Site, site

CODE = "WDJB-MJHT"
OTHER = "BCDF-GHJK"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        for code, client in ((CODE, DYNAMIC), (OTHER, DESK)):
            made.devices.devices[code] = FakeDeviceRequest(code, client.client_id, ("orders.read", "admin"))
        yield made


def entry(browser: Browser, url: str = "/oauth2/device", user: str = "alice") -> Form:
    location = browser.sign_in(url, user).headers["location"]
    assert location == url
    return browser.page(location).form("/device")


def test_a_yes_lets_the_device_in(shop: Site) -> None:
    browser = shop.browser()
    page = Page(browser.submit(entry(browser), user_code=" wdjb-mjht "))
    assert "It runs on another device, which shows the code WDJB-MJHT" in page.text
    assert "It calls itself “Helper”. Nobody has checked that." in page.text
    assert "If somebody has sent you the code, deny" in page.text
    form = page.form("/device")
    assert form.checked == ["scope orders.read"]
    done = Page(browser.submit(form, answer="allow"))
    assert "Go on at the device" in done.text
    assert shop.devices.answers == [(CODE, "alice", ("orders.read",))]
    assert shop.actions == ["sign_in", "authorize"]


def test_a_no_is_told_to_the_device(shop: Site) -> None:
    browser = shop.browser()
    page = Page(browser.submit(entry(browser), user_code=CODE))
    assert "The device gets nothing" in Page(browser.submit(page.form("/device"), answer="deny")).text
    assert shop.devices.answers == [(CODE, "", ())]
    assert shop.actions == ["sign_in", "authorization_refused"]


def test_a_link_with_the_code_only_fills_it_in(shop: Site) -> None:
    browser = shop.browser()
    form = entry(browser, f"/oauth2/device?user_code={CODE}")
    assert form.fields["user_code"] == CODE
    assert not shop.devices.answers
    for bad in ("%3Cscript%3E", "x" * 99, "a&user_code=b"):
        assert browser.page(f"/oauth2/device?user_code={bad}").form("/device").fields["user_code"] in {"", "A"}


def test_nothing_happens_without_somebody_signed_in(shop: Site) -> None:
    response = shop.browser().post("/oauth2/device", {"user_code": CODE, "answer": "allow"})
    assert response.headers["location"] == "/oauth2/device"
    assert not shop.devices.answers


def test_an_answer_is_for_the_code_it_was_shown_for(shop: Site) -> None:
    browser, other = shop.browser(), shop.browser()
    first = entry(browser)
    answer = Page(browser.submit(first, user_code=CODE)).form("/device")
    others = Page(other.submit(entry(other, user="bob"), user_code=CODE)).form("/device").fields["csrf"]
    for changes in ({"user_code": OTHER}, {"csrf": first.fields["csrf"]}, {"csrf": others}, {"csrf": ""}):
        assert browser.submit(answer, answer="allow", **changes).status_code == 403
    assert browser.post(answer.action, {**answer.fields, "answer": "allow"}, Origin="null").status_code == 403
    assert not shop.devices.answers


def test_codes_cannot_be_tried_for_long(shop: Site) -> None:
    browser = shop.browser()
    form = entry(browser)
    tries = [Page(browser.submit(form, user_code=f"AAAA-AAA{number}")) for number in range(6)]
    assert [page.status for page in tries] == [422] * 5 + [429]
    assert "No device shows that code" in tries[0].text
    assert browser.submit(form, user_code=CODE).status_code == 429
    shop.clock.advance(1)
    assert browser.submit(form, user_code=CODE).status_code == 200


def test_a_device_that_asks_for_nothing_one_has_gets_nothing(shop: Site) -> None:
    shop.devices.devices[CODE] = FakeDeviceRequest(CODE, "desk", ("admin",))
    browser = shop.browser()
    page = Page(browser.submit(entry(browser), user_code=CODE))
    assert "do not have" in page.text
    assert browser.submit(page.form("/device"), answer="allow").status_code == 422
    assert not shop.devices.answers
