from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response

from remit.authorization.authorization import AuthorizationRequest
from remit.authorization.claims import PersonClaims
from remit.authorization.departure import Departure, read_state, secrets_of, write_state
from remit.authorization.file import AuthorizationsFile
from remit.authorization.person import Person, SignIn
from remit.authorization.provider import Provider, ProviderClient
from remit.authorization.upstream import Upstream, UpstreamTerms
from remit.credential import Credential
from remit.errors import AccessDenied, GrantUnavailable, InvalidRequest, UnmetAuthentication
from remit.web import http_client
from support.clock import FakeClock
from support.issuer import ABSENT, NOW, RS256, b64url, es256_key, to_json
from support.openid import CLIENT, SECRET, OpenId
from support.servers import Listener, serving

CALLBACK = "https://remit.example.com/oauth2/callback"
KEY = b"k" * 32
BROWSER, OTHER_BROWSER = "b" * 43, "o" * 43
GOING_TO = "authorize?client_id=desk&state=a%26b"
REQUEST = AuthorizationRequest("desk", "https://desk.example.com/back", "https://remit.example.com/mcp", (), "c" * 43)


@dataclass
class Journey:
    """This service and its provider, and the way there and back."""

    openid: OpenId
    upstream: Upstream
    clock: FakeClock

    async def there(self, request: AuthorizationRequest | None = REQUEST, browser: str = BROWSER) -> str:
        """The query that a browser is sent back with."""
        return await self.openid.visit(await self.upstream.begin(GOING_TO, browser, request))

    async def there_and_back(self, request: AuthorizationRequest | None = REQUEST) -> SignIn:
        sign_in, going_to = await self.upstream.finish(await self.there(request), BROWSER)
        assert going_to == GOING_TO
        return sign_in


def play(
    directory: Path,
    act: Callable[[Journey], Awaitable[None]],
    *,
    people: PersonClaims | None = None,
    secret: str | None = SECRET,
    algorithms: frozenset[str] = frozenset({"ES256"}),
) -> None:
    async def main() -> None:
        listener, clock = Listener(), FakeClock()
        openid = OpenId(listener.url, clock, secret)
        file = AuthorizationsFile(directory / "authorizations.db", clock)
        client = ProviderClient(CLIENT, Credential(secret) if secret else None)
        claims = people or PersonClaims(scopes=("orders.read",))
        terms = UpstreamTerms(client, CALLBACK, claims, algorithms)
        async with serving(openid.app, listener), http_client() as http:
            upstream = Upstream(Provider(listener.url, http, clock), terms, file, clock, KEY)
            await act(Journey(openid, upstream, clock))
        file.close()

    asyncio.run(main())


def changed(query: str, **changes: Any) -> str:
    """``query`` with parameters changed, or left out."""
    pairs = {**dict(parse_qsl(query)), **changes}
    return urlencode({name: value for name, value in pairs.items() if value is not ABSENT}, doseq=True)


# ── who signs in ──


@pytest.mark.parametrize(
    ("methods", "secret"),
    [
        (ABSENT, SECRET),
        (["client_secret_basic", "client_secret_post"], SECRET),
        (["client_secret_post"], SECRET),
        (["none"], None),
    ],
)
def test_somebody_signs_in_elsewhere_and_comes_back(methods: Any, secret: str | None, tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.metadata["token_endpoint_auth_methods_supported"] = methods
        sign_in = await journey.there_and_back()
        person = Person("carol", journey.openid.issuer, "Carol C", scopes=("orders.read",))
        assert sign_in == SignIn(person, 0)
        [asked] = journey.openid.seen
        assert asked["scope"] == "openid profile"
        assert asked["code_challenge_method"] == "S256"
        assert "max_age" not in asked
        assert "prompt" not in asked

    play(tmp_path, act, secret=secret)


def test_what_the_provider_says_of_a_person_is_what_is_known(tmp_path: Path) -> None:
    people = PersonClaims(
        subject="oid",
        name="displayName",
        groups="grp",
        roles="app_roles",
        scopes=("orders.read",),
        scopes_by_group={"admins": ("orders.write", "orders.read"), "others": ("fly",)},
    )

    async def act(journey: Journey) -> None:
        journey.openid.claims = {
            "oid": "c-1",
            "displayName": "Carol",
            "grp": ["admins", "sales"],
            "app_roles": "lead",
            "auth_time": NOW - 9,
            "amr": ["pwd", "otp"],
            "acr": "2",
        }
        issuer = journey.openid.issuer
        person = Person("c-1", issuer, "Carol", ("admins", "sales"), ("lead",), ("orders.read", "orders.write"))
        assert await journey.there_and_back() == SignIn(person, NOW - 9, ("pwd", "otp"), "2")

    play(tmp_path, act, people=people)


def test_too_many_groups_count_as_none(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.claims = {"groups": ["admins", *(f"g{number}" for number in range(256))]}
        person = (await journey.there_and_back()).person
        assert (person.groups, person.scopes) == ((), ())

    play(tmp_path, act, people=PersonClaims(scopes_by_group={"admins": ("all",)}))


def test_the_provider_is_asked_for_the_sign_in_that_the_client_wants(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.claims = {"auth_time": NOW, "acr": "phr"}
        request = AuthorizationRequest(
            **{
                **_members(REQUEST),
                "max_age": 60,
                "acr_values": ("phr", "phrh"),
                "login_hint": "carol",
                "prompt": _SELECT,
            }
        )
        sign_in = await journey.there_and_back(request)
        wanted = {"max_age": "60", "acr_values": "phr phrh", "login_hint": "carol", "prompt": "select_account"}
        assert wanted.items() <= journey.openid.seen[0].items()
        assert sign_in.acr == "phr"

    play(tmp_path, act)


_SELECT = frozenset({"select_account", "consent"})


def _members(request: AuthorizationRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in AuthorizationRequest.__slots__}


@pytest.mark.parametrize(
    ("wanted", "auth_time", "good"),
    [
        ({"max_age": 60}, NOW - 60, True),
        ({"max_age": 60}, NOW - 91, False),
        ({"max_age": 60}, ABSENT, False),
        ({"max_age": 0}, NOW, True),
        ({"max_age": 0}, NOW - 31, False),
        ({"prompt": frozenset({"login"})}, NOW + 5, True),
        ({"prompt": frozenset({"login"})}, NOW - 31, False),
        ({"prompt": frozenset({"login"})}, ABSENT, False),
        ({"prompt": frozenset({"login"}), "max_age": 3600}, NOW - 31, False),
        ({}, NOW - 9999, True),
    ],
)
def test_a_sign_in_has_to_be_as_fresh_as_was_asked_for(
    wanted: dict[str, Any], auth_time: Any, good: bool, tmp_path: Path
) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.claims = {"auth_time": auth_time}
        request = AuthorizationRequest(**{**_members(REQUEST), **wanted})
        if good:
            await journey.there_and_back(request)
        else:
            with pytest.raises(UnmetAuthentication):
                await journey.there_and_back(request)

    play(tmp_path, act)


def test_the_way_there_needs_no_authorization_request(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        assert (await journey.there_and_back(None)).person.sub == "carol"

    play(tmp_path, act)


# ── attacks ──


def test_nobody_comes_back_in_another_browser(tmp_path: Path) -> None:
    """Login CSRF: who is lured to an attacker's answer would be signed in as the attacker."""

    async def act(journey: Journey) -> None:
        query = await journey.there(browser=OTHER_BROWSER)
        for browser in (BROWSER, ""):
            with pytest.raises(InvalidRequest, match="this browser"):
                await journey.upstream.finish(query, browser)
        assert journey.openid.redeemed == 0

    play(tmp_path, act)


def test_a_code_of_somebody_else_is_no_use_in_ones_own_browser(tmp_path: Path) -> None:
    """Code injection: the code was asked for with the secrets of another departure."""

    async def act(journey: Journey) -> None:
        stolen = dict(parse_qsl(await journey.there(browser=OTHER_BROWSER)))["code"]
        own = await journey.there()
        with pytest.raises(AccessDenied, match="did not confirm"):
            await journey.upstream.finish(changed(own, code=stolen), BROWSER)

    play(tmp_path, act)


def test_an_id_token_of_another_sign_in_is_no_use_even_where_pkce_is_not_checked(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        other = await journey.upstream.begin(GOING_TO, OTHER_BROWSER, REQUEST)
        journey.openid.claims = {"nonce": dict(parse_qsl(urlsplit(other).query))["nonce"]}
        with pytest.raises(AccessDenied):
            await journey.there_and_back()

    play(tmp_path, act)


def test_a_way_back_can_be_gone_once(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        url = await journey.upstream.begin(GOING_TO, BROWSER, REQUEST)
        first, second = await journey.openid.visit(url), await journey.openid.visit(url)
        await journey.upstream.finish(first, BROWSER)
        with pytest.raises(AccessDenied):  # the provider sees that too
            await journey.upstream.finish(first, BROWSER)
        with pytest.raises(InvalidRequest, match="completed before"):
            await journey.upstream.finish(second, BROWSER)

    play(tmp_path, act)


def test_of_several_that_come_back_at_once_one_gets_in(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        url = await journey.upstream.begin(GOING_TO, BROWSER, REQUEST)
        queries = [await journey.openid.visit(url) for _ in range(5)]
        ends = await asyncio.gather(
            *(journey.upstream.finish(query, BROWSER) for query in queries), return_exceptions=True
        )
        assert sorted(type(end).__name__ for end in ends) == ["InvalidRequest"] * 4 + ["tuple"]

    play(tmp_path, act)


def test_nobody_comes_back_after_ten_minutes(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        query = await journey.there()
        journey.clock.advance(600)
        with pytest.raises(InvalidRequest, match="too long"):
            await journey.upstream.finish(query, BROWSER)

    play(tmp_path, act)


@pytest.mark.parametrize("iss", [ABSENT, "https://evil.example", ""])
def test_an_answer_of_another_provider_is_not_taken(iss: Any, tmp_path: Path) -> None:
    """Mix-up: RFC 9207."""

    async def act(journey: Journey) -> None:
        query = await journey.there()
        with pytest.raises(InvalidRequest, match="another provider"):
            await journey.upstream.finish(changed(query, iss=iss), BROWSER)
        assert journey.openid.redeemed == 0

    play(tmp_path, act)


def test_a_provider_that_never_names_itself_need_not_but_must_not_lie(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.metadata["authorization_response_iss_parameter_supported"] = ABSENT
        query = await journey.there()
        with pytest.raises(InvalidRequest):
            await journey.upstream.finish(changed(query, iss="https://evil.example"), BROWSER)
        await journey.upstream.finish(changed(query, iss=ABSENT), BROWSER)

    play(tmp_path, act)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "somebody-else"},
        {"aud": [CLIENT, "somebody-else"]},
        {"aud": ABSENT},
        {"azp": "somebody-else"},
        {"nonce": "n"},
        {"nonce": ABSENT},
        {"nonce": 7},
        {"exp": NOW - 31},
        {"exp": ABSENT},
        {"iat": NOW + 60},
        {"iat": ABSENT},
        {"nbf": NOW + 60},
        {"sub": ABSENT},
        {"sub": ""},
        {"at_hash": b64url(b"x" * 16)},
        {"auth_time": "now"},
    ],
)
def test_an_id_token_that_does_not_fit_says_nothing(changes: dict[str, Any], tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.claims = changes
        with pytest.raises(AccessDenied):
            await journey.there_and_back()

    play(tmp_path, act)


@pytest.mark.parametrize(
    "header", [{"typ": "at+jwt"}, {"typ": "oauth-id-jag+jwt"}, {"typ": "logout+jwt"}, {"kid": "x"}, {"crit": ["x"]}]
)
def test_another_kind_of_token_is_no_id_token(header: dict[str, Any], tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.header = header
        with pytest.raises(AccessDenied):
            await journey.there_and_back()

    play(tmp_path, act)


def test_an_id_token_may_have_no_type_and_several_ways_to_name_its_client(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.header = {"typ": ABSENT}
        journey.openid.claims = {"aud": [CLIENT], "azp": CLIENT, "at_hash": ABSENT}
        assert (await journey.there_and_back()).person.sub == "carol"

    play(tmp_path, act)


def test_an_id_token_is_signed_by_the_provider_as_the_settings_have_it(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        for key in (RS256, es256_key("stranger")):
            journey.openid.key = key
            with pytest.raises(AccessDenied):
                await journey.there_and_back()
        journey.openid.tokens = _unsigned
        with pytest.raises(AccessDenied):
            await journey.there_and_back()

    play(tmp_path, act)


def _unsigned(document: dict[str, Any]) -> Response:
    payload = document["id_token"].split(".")[1]
    return JSONResponse({**document, "id_token": f"{b64url(to_json({'alg': 'none', 'typ': 'JWT'}))}.{payload}."})


def test_the_hash_of_the_access_token_fits_the_algorithm(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.key = RS256
        await journey.there_and_back()
        journey.openid.tokens = lambda document: JSONResponse({**document, "access_token": "another"})
        with pytest.raises(AccessDenied):
            await journey.there_and_back()

    play(tmp_path, act, algorithms=frozenset({"RS256"}))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response("x", 200), GrantUnavailable),
        (JSONResponse([], 200), GrantUnavailable),
        (Response(b'{"id_token": "x", "id_token": "y"}', 200), GrantUnavailable),
        (Response(b" " * 300_000, 200), GrantUnavailable),
        (JSONResponse({}, 503), GrantUnavailable),
        (JSONResponse({}, 200), AccessDenied),
        (JSONResponse({"id_token": 7}, 200), AccessDenied),
        (JSONResponse({"id_token": "x"}, 200), AccessDenied),
        (JSONResponse({"error": "invalid_grant"}, 400), AccessDenied),
        (JSONResponse({"id_token": "x"}, 302, {"Location": "/keys"}), AccessDenied),
    ],
)
def test_an_answer_without_a_sound_id_token_signs_nobody_in(answer: Response, error: Any, tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.tokens = lambda _: answer
        with pytest.raises(error):
            await journey.there_and_back()

    play(tmp_path, act)


@pytest.mark.parametrize(
    ("said", "error"),
    [("access_denied", AccessDenied), ("temporarily_unavailable", GrantUnavailable), ("<script>", AccessDenied)],
)
def test_a_refusal_of_the_provider_is_told_without_its_words(said: str, error: Any, tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.error = said
        with pytest.raises(error) as refused:
            await journey.there_and_back()
        assert said not in refused.value.message

    play(tmp_path, act)


def test_parameters_that_stand_twice_have_no_meaning(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        query = await journey.there()
        for name in ("code", "state", "iss"):
            with pytest.raises(InvalidRequest):
                await journey.upstream.finish(f"{query}&{name}=x", BROWSER)
        with pytest.raises(InvalidRequest, match="no code"):
            await journey.upstream.finish(changed(query, code=ABSENT), BROWSER)

    play(tmp_path, act)


def test_a_request_that_is_too_long_goes_nowhere(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        with pytest.raises(InvalidRequest, match="too long"):
            await journey.upstream.begin("authorize?" + "x" * 4500, BROWSER, None)

    play(tmp_path, act)


# ── the provider's metadata ──


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": ABSENT},
        {"authorization_endpoint": ABSENT},
        {"token_endpoint": "http://idp.example/token"},
        {"token_endpoint": ["https://idp.example/token"]},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user@idp.example/authorize"},
    ],
)
def test_metadata_that_cannot_be_believed_lead_nowhere(changes: dict[str, Any], tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        journey.openid.metadata = changes
        with pytest.raises(GrantUnavailable):
            await journey.upstream.begin(GOING_TO, BROWSER, None)

    play(tmp_path, act)


def test_metadata_are_kept_and_asked_for_once_at_a_time(tmp_path: Path) -> None:
    async def act(journey: Journey) -> None:
        await asyncio.gather(*(journey.upstream.begin(GOING_TO, BROWSER, None) for _ in range(10)))
        assert journey.openid.discovered == 1
        journey.clock.advance(3599)
        await journey.upstream.begin(GOING_TO, BROWSER, None)
        assert journey.openid.discovered == 1
        journey.openid.metadata = {"issuer": ABSENT}  # and while they are no good, the last ones do
        journey.clock.advance(1)
        await asyncio.gather(*(journey.upstream.begin(GOING_TO, BROWSER, None) for _ in range(10)))
        assert journey.openid.discovered == 2
        journey.clock.advance(86_400)
        with pytest.raises(GrantUnavailable):
            await journey.upstream.begin(GOING_TO, BROWSER, None)

    play(tmp_path, act)


# ── the state ──


@given(st.text(), st.text(max_size=50), st.integers(-1, 10**9))
def test_a_state_brings_back_what_it_was_given_to_its_own_browser_alone(
    going_to: str, browser: str, max_age: int
) -> None:
    departure = Departure("id", NOW, going_to, max_age)
    state = write_state(departure, browser or BROWSER, KEY)
    assert read_state(state, browser or BROWSER, KEY, now=NOW) == departure
    for other, key in ((f"{browser}x", KEY), ("", KEY), (browser or BROWSER, b"x" * 32)):
        with pytest.raises(InvalidRequest):
            read_state(state, other, key, now=NOW)


def test_a_browser_that_nothing_tells_from_others_brings_nothing_back() -> None:
    with pytest.raises(InvalidRequest):
        read_state(write_state(Departure("id", NOW, ""), "", KEY), "", KEY, now=NOW)


@given(st.text())
def test_no_other_text_is_a_state(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_state(text, BROWSER, KEY, now=NOW)


def test_each_departure_and_browser_has_secrets_of_its_own() -> None:
    made = [
        secrets_of(Departure(name, NOW, ""), browser, key)
        for name in ("a", "b")
        for browser in (BROWSER, OTHER_BROWSER)
        for key in (KEY, b"x" * 32)
    ]
    values = [value for each in made for value in (each.nonce, each.code_verifier)]
    assert len(set(values)) == len(values) == 16
    assert all(43 <= len(value) <= 128 for value in values)
