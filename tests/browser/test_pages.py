"""The pages themselves, in a real browser: for everybody, by keyboard, on a small screen, and out of strangers' hands."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from support.browser import Person, Tools, person
from support.servers import serving
from support.sign_in_shop import APP, PASSWORD, Callback, SignInShop

pytestmark = pytest.mark.anyio

CONSENT = re.compile("^Allow .* to act for you")
#: A SHA-256 in base64url; its verifier is nobody's.
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def link(shop: SignInShop, address: str, **more: str) -> str:
    """What the sample client opens to have somebody sign in."""
    query = {
        "response_type": "code",
        "client_id": "desk",
        "redirect_uri": address,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "scope": "orders:read refunds:write",
        "state": "s",
        **more,
    }
    return f"{shop.base}/oauth2/authorize?{urlencode(query)}"


async def pages_of(someone: Person, shop: SignInShop, address: str) -> AsyncIterator[str]:
    """Each kind of page in turn, by name, as it is shown."""
    await someone.open(link(shop, address, client_id="nobody"))
    yield "error"
    await someone.open(link(shop, address))
    yield "sign-in"
    await someone.page.get_by_label("User name").fill("alice")
    await someone.page.get_by_label("Password").fill("wrong")
    await someone.press("Sign in")
    await someone.page.get_by_role("alert").wait_for()
    yield "sign-in, refused"
    await someone.sign_in()
    await someone.shows(CONSENT)
    yield "consent"
    for box in await someone.page.get_by_role("checkbox").all():
        await box.uncheck()
    await someone.press("Allow")
    await someone.page.get_by_role("alert").wait_for()
    yield "consent, nothing chosen"
    await someone.page.get_by_role("checkbox").first.check()
    await someone.press("Allow")
    await someone.page.wait_for_url(f"{address}?*")
    await someone.open(f"{shop.base}/oauth2/device")
    await someone.shows("Connect a device")
    yield "device"
    await someone.page.get_by_label("Code").fill("AAAA-AAAA")
    await someone.press("Continue")
    await someone.page.get_by_role("alert").wait_for()
    yield "device, unknown code"
    await someone.open(f"{shop.base}/oauth2/authorizations")
    await someone.shows("What you have allowed")
    yield "given"
    await someone.press("Not you?")
    await someone.shows("You are signed out")
    yield "signed out"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_stands_in_the_way_of_anybody(
    chromium: Any, tools: Tools, shop: SignInShop, client_address: Callback, scheme: str
) -> None:
    async with person(chromium, PASSWORD, bypass_csp=True, color_scheme=scheme) as alice:
        async for name in pages_of(alice, shop, client_address.url):
            await alice.page.evaluate(tools.axe)
            found = await alice.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            told = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
            assert told == [], f"{name}: {json.dumps(told, indent=2)}"


async def test_a_small_screen_shows_it_all(chromium: Any, shop: SignInShop, client_address: Callback) -> None:
    async with person(chromium, PASSWORD, viewport={"width": 320, "height": 640}) as alice:
        async for name in pages_of(alice, shop, client_address.url):
            assert await alice.page.evaluate("document.documentElement.scrollWidth") <= 320, name


async def test_no_page_asks_anybody_else_for_anything(
    alice: Person, shop: SignInShop, client_address: Callback
) -> None:
    seen = [name async for name in pages_of(alice, shop, client_address.url)]
    assert len(seen) == 9
    assert alice.hosts == {shop.base, client_address.url.removesuffix("/callback")}
    # Chromium notes each answer with a status of an error; nothing else may stand in its console.
    assert [each for each in alice.complaints if "the server responded with a status of" not in each] == []


async def test_a_script_that_got_into_a_page_does_not_run(
    alice: Person, shop: SignInShop, client_address: Callback
) -> None:
    await alice.open(link(shop, client_address.url))
    await alice.page.evaluate(
        "const script = document.createElement('script'); script.textContent = 'document.title = \"taken\"';"
        "document.body.append(script)"
    )
    assert "Sign in" in await alice.page.title()
    assert "Content Security Policy" in alice.complaints[0]


async def focused(someone: Person) -> str:
    """The element that keys go to, in a word; its outline must be seen."""
    found: dict[str, str] = await someone.page.evaluate(
        "(() => { const at = document.activeElement; return {"
        " name: at.labels?.[0]?.innerText ?? at.innerText, tag: at.tagName, outline: getComputedStyle(at).outlineStyle"
        "} })()"
    )
    assert found["tag"] == "BODY" or found["outline"] != "none", found
    return found["name"].strip()


async def test_a_keyboard_is_enough(alice: Person, shop: SignInShop, client_address: Callback) -> None:
    keys = alice.page.keyboard
    await alice.open(link(shop, client_address.url))
    # A page gives its `autofocus` away with the first frame it draws, which may come after its `load`.
    await alice.page.wait_for_function("document.activeElement !== document.body")
    assert await focused(alice) == "User name"
    await keys.type("alice")
    await keys.press("Tab")
    assert await focused(alice) == "Password"
    await keys.type(PASSWORD)
    await keys.press("Enter")
    await alice.shows(CONSENT)
    passed: list[str] = []
    while not passed or passed[-1] != "Allow":
        await keys.press("Tab")
        passed.append(await focused(alice))
        if passed[-1].startswith("Refund orders"):
            await keys.press("Space")
        assert len(passed) < 10, passed
    assert [each.splitlines()[0].split(" makes")[0] for each in passed] == [
        "Not you?",
        "See orders and their customers",
        "Refund orders",
        "take it back",
        "Allow",
    ]
    await keys.press("Enter")
    assert "code=" in await client_address.answer()


async def test_whoever_chose_nothing_is_not_asked_for_everything_again(
    alice: Person, shop: SignInShop, client_address: Callback
) -> None:
    async for name in pages_of(alice, shop, client_address.url):
        if name == "consent, nothing chosen":
            assert await alice.page.get_by_role("checkbox", checked=False).count() == 2
            return


async def test_another_site_cannot_put_the_page_in_a_frame(
    alice: Person, shop: SignInShop, client_address: Callback
) -> None:
    async def trap(_: Request) -> Response:
        return HTMLResponse(f'<!doctype html><link rel="icon" href="data:,"><iframe src="{framed}"></iframe>')

    framed = link(shop, client_address.url).replace("&", "&amp;")
    async with serving(Starlette(routes=[Route("/", trap)])) as url:
        await alice.page.goto(url.replace("127.0.0.1", "localhost"), wait_until="load")
        (inside,) = alice.page.main_frame.child_frames
        assert await inside.locator("input").count() == 0
        assert "Sign in" not in await inside.locator("body").inner_text()
    assert any("frame-ancestors" in each for each in alice.complaints), alice.complaints


async def test_whoever_comes_after_a_sign_out_cannot_go_back(
    alice: Person, shop: SignInShop, client_address: Callback
) -> None:
    await alice.open(link(shop, client_address.url))
    await alice.sign_in()
    await alice.shows(CONSENT)
    await alice.open(f"{shop.base}/oauth2/authorizations")
    await alice.press("Not you?")
    await alice.shows("You are signed out")
    for _ in range(2):  # first the list, then the consent page
        await alice.page.go_back(wait_until="domcontentloaded")
        await alice.shows("Sign in")
        assert "Alice" not in await alice.page.content()


async def test_the_answer_reaches_a_client_that_leads_on_elsewhere(alice: Person, shop: SignInShop) -> None:
    async def onward(_: Request) -> Response:
        return RedirectResponse(f"{further}/there", 302)

    async def there(_: Request) -> Response:
        return HTMLResponse('<!doctype html><link rel="icon" href="data:,"><h1>There</h1>')

    async with (
        serving(Starlette(routes=[Route("/there", there)])) as further,
        serving(Starlette(routes=[Route("/callback", onward)])) as url,
    ):
        await alice.give(link(shop, f"{url}/callback"))
        await alice.shows("There")


async def test_the_answer_reaches_an_app_by_its_own_scheme(alice: Person, shop: SignInShop) -> None:
    await alice.open(link(shop, APP))
    await alice.sign_in()
    await alice.shows(CONSENT)
    async with alice.page.expect_response(lambda response: response.request.method == "POST") as answered:
        await alice.press("Allow")
    response = await answered.value
    address = urlsplit(response.headers["location"])
    assert (response.status, address.scheme, address.path) == (303, "com.example.desk", "/callback")
    assert "code=" in address.query
    assert not [each for each in alice.complaints if "Content Security Policy" in each]
