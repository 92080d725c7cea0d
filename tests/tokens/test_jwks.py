from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from remit import errors
from remit.credential import UnverifiedToken
from remit.tokens.jwks import JwksClient, LiveKeys, StaticKeys
from remit.tokens.keyset import KeySet
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer
from remit.web import http_client
from support.issuer import AUDIENCE, NOW, RS256, FakeIssuer, es256_key, rs256_key
from support.servers import serving

IDP = FakeIssuer()
KID = IDP.key().kid
JWKS = IDP.jwks("ES256", RS256)
NEW = es256_key("new")
WITH_NEW = {"keys": [*JWKS["keys"], NEW.jwk()]}


@dataclass
class JwksServer:
    """A JWKS endpoint that counts, and answers as it is told."""

    body: Any = field(default_factory=lambda: JWKS)
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    fetches: int = 0
    elsewhere: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def jwks(self, request: Request) -> Response:
        self.fetches += 1
        self.asked.set()
        await self.may_answer.wait()
        if self.status in {301, 302, 307}:
            return RedirectResponse(str(request.url_for("elsewhere")), self.status)
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return Response(body, self.status, headers=self.headers, media_type="application/json")

    async def moved(self, _: Request) -> Response:
        self.elsewhere += 1
        return Response(json.dumps(JWKS))

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/jwks", self.jwks), Route("/elsewhere", self.moved, name="elsewhere")])


@asynccontextmanager
async def served(**told: Any) -> AsyncIterator[tuple[JwksServer, JwksClient]]:
    server = JwksServer(**told)
    async with serving(server.app) as url, http_client() as client:
        yield server, JwksClient(f"{url}/jwks", client=client)


@asynccontextmanager
async def in_process(**told: Any) -> AsyncIterator[tuple[JwksServer, JwksClient]]:
    """The same without a socket, for what is decided after the answer was read."""
    server = JwksServer(**told)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server.app)) as client:
        yield server, JwksClient("https://idp.example/jwks", client=client)


@pytest.mark.anyio
async def test_a_key_set_is_fetched_once_while_it_is_fresh() -> None:
    async with served() as (server, keys):
        for second in range(0, 480, 40):
            assert (await keys.key(KID, "ES256", now=NOW + second)).key_id == KID
        assert server.fetches == 1
        await keys.key(KID, "ES256", now=NOW + 600)
        assert server.fetches == 2


@pytest.mark.anyio
async def test_keys_are_asked_for_anew_before_they_are_stale_and_nobody_waits() -> None:
    async with served() as (server, keys):
        await keys.key(KID, "ES256", now=NOW)
        server.asked.clear()
        server.may_answer.clear()
        server.body = WITH_NEW
        for second in range(480, 600, 10):
            assert (await keys.key(KID, "ES256", now=NOW + second)).key_id == KID
        await server.asked.wait()
        waiting = asyncio.create_task(keys.key("new", "ES256", now=NOW + 590))
        server.may_answer.set()
        assert (await waiting).key_id == "new"
        await keys.key(KID, "ES256", now=NOW + 590)
        assert server.fetches == 2


@pytest.mark.anyio
async def test_nobody_waits_for_an_issuer_that_is_down_while_its_last_keys_serve() -> None:
    async with served() as (server, keys):
        await keys.key(KID, "ES256", now=NOW)
        server.status = 503
        await keys.key(KID, "ES256", now=NOW + 600)  # the first to find out
        server.may_answer.clear()
        async with asyncio.timeout(1):
            for second in range(601, 900):
                assert (await keys.key(KID, "ES256", now=NOW + second)).key_id == KID
        server.may_answer.set()


@pytest.mark.anyio
async def test_other_keys_are_another_generation_and_the_same_ones_are_not() -> None:
    async with in_process() as (server, keys):
        await keys.key(KID, "ES256", now=NOW)
        first = keys.generation
        await keys.key(KID, "ES256", now=NOW + 600)
        assert keys.generation == first
        server.body = WITH_NEW
        await keys.key(KID, "ES256", now=NOW + 1200)
        assert keys.generation > first


@pytest.mark.anyio
async def test_a_remembered_signature_outlives_no_key_set_that_is_to_be_fetched_again() -> None:
    async with in_process(headers={"Cache-Control": "max-age=60"}) as (server, keys):
        verifier = TokenVerifier([TrustedIssuer(IDP.issuer, frozenset({"ES256"}), keys)])
        token, expect = UnverifiedToken(IDP.mint(exp=NOW + 3600)), Expectation(frozenset({AUDIENCE}))
        for second in (0, 1, 40):  # remembered from the second time on
            await verifier.verify(token, expect, now=NOW + second)
        server.body = {"keys": [NEW.jwk()]}
        with pytest.raises(errors.SignatureInvalid):
            await verifier.verify(token, expect, now=NOW + 60)
        assert server.fetches == 2


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("max-age=120", 120),
        ("public, MAX-AGE=120, must-revalidate", 120),
        ("max-age=86400", 600),
        ("max-age=999999999999999", 600),
        ("max-age=0", 30),
        ("no-store", 30),
        ("s-maxage=5", 600),
        ("nonsense", 600),
        ("", 600),
    ],
)
async def test_the_issuer_may_shorten_how_long_its_keys_are_fresh(cache_control: str, seconds: int) -> None:
    async with in_process(headers={"Cache-Control": cache_control}) as (server, keys):
        await keys.key(KID, "ES256", now=NOW)
        await keys.key(KID, "ES256", now=NOW + seconds * 0.79)
        assert server.fetches == 1
        await keys.key(KID, "ES256", now=NOW + seconds)
        assert server.fetches == 2


@pytest.mark.anyio
async def test_a_new_key_is_found_by_asking_again() -> None:
    async with served() as (server, keys):
        await keys.key(KID, "ES256", now=NOW)
        server.body = WITH_NEW
        assert (await keys.key("new", "ES256", now=NOW + 30)).key_id == "new"
        assert server.fetches == 2


@pytest.mark.anyio
async def test_twenty_thousand_random_kids_cause_at_most_one_fetch_per_cool_down() -> None:
    async with served() as (server, keys):
        await keys.key(KID, "ES256", now=NOW)

        async def ask(number: int) -> None:
            with pytest.raises(errors.SignatureInvalid):
                await keys.key(f"random-{number}", "ES256", now=NOW + 30 * (1 + number // 10_000) + number % 100 / 10)

        for first in range(0, 20_000, 100):  # a hundred at once
            await asyncio.gather(*(ask(number) for number in range(first, first + 100)))
        assert server.fetches == 3


@pytest.mark.anyio
async def test_fifty_callers_at_once_share_one_fetch() -> None:
    async with served() as (server, keys):
        server.may_answer.clear()
        callers = [asyncio.create_task(keys.key(KID, "ES256", now=NOW)) for _ in range(50)]
        await server.asked.wait()
        server.may_answer.set()
        assert {key.key_id for key in await asyncio.gather(*callers)} == {KID}
        assert server.fetches == 1


@pytest.mark.anyio
async def test_a_caller_that_gives_up_does_not_take_the_fetch_from_the_others() -> None:
    async with served() as (server, keys):
        server.may_answer.clear()
        first, second = (asyncio.create_task(keys.key(KID, "ES256", now=NOW)) for _ in range(2))
        await server.asked.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        server.may_answer.set()
        assert (await second).key_id == KID
        assert server.fetches == 1


BROKEN: dict[str, Callable[[JwksServer], None]] = {
    "a server error": lambda server: setattr(server, "status", 500),
    "not found": lambda server: setattr(server, "status", 404),
    "a redirect": lambda server: setattr(server, "status", 302),
    "a permanent redirect": lambda server: setattr(server, "status", 301),
    "not JSON": lambda server: setattr(server, "body", b"<html>"),
    "a list": lambda server: setattr(server, "body", []),
    "no keys": lambda server: setattr(server, "body", {"keys": []}),
    "keys not a list": lambda server: setattr(server, "body", {"keys": {}}),
    "no usable key": lambda server: setattr(server, "body", {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": KID}]}),
    "one kid twice": lambda server: setattr(server, "body", {"keys": [*JWKS["keys"], {**NEW.jwk(), "kid": KID}]}),
    "a member twice": lambda server: setattr(server, "body", b'{"keys":[],"keys":' + json.dumps(JWKS).encode() + b"}"),
    "more than 100 keys": lambda server: setattr(server, "body", {"keys": JWKS["keys"] + [{"kty": "x"}] * 99}),
    "more than 256 KiB": lambda server: setattr(server, "body", json.dumps({**JWKS, "pad": "x" * 262144}).encode()),
    "nested without end": lambda server: setattr(server, "body", b'{"keys":' + b"[" * 100_000),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_key_set_serves_nobody(name: str) -> None:
    async with served() as (server, keys):
        BROKEN[name](server)
        with pytest.raises(errors.KeysUnavailable):
            await keys.key(KID, "ES256", now=NOW)
        assert server.elsewhere == 0


@pytest.mark.anyio
@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_key_set_does_not_replace_the_last_good_one_for_an_hour(name: str) -> None:
    async with in_process() as (server, keys):
        await keys.key(KID, "ES256", now=NOW)
        BROKEN[name](server)
        assert (await keys.key(KID, "ES256", now=NOW + 600)).key_id == KID
        assert (await keys.key(KID, "ES256", now=NOW + 4199)).key_id == KID
        with pytest.raises(errors.KeysUnavailable):
            await keys.key(KID, "ES256", now=NOW + 4200)
        server.__init__()  # type: ignore[misc]
        assert (await keys.key(KID, "ES256", now=NOW + 4230)).key_id == KID


@pytest.mark.anyio
async def test_an_unknown_kid_is_no_verdict_while_the_keys_cannot_be_fetched() -> None:
    async with served() as (server, keys):
        await keys.key(KID, "ES256", now=NOW)
        server.status = 503
        for second in (30, 31):
            with pytest.raises(errors.KeysUnavailable):
                await keys.key("new", "ES256", now=NOW + second)
        assert (await keys.key(KID, "ES256", now=NOW + 31)).key_id == KID
        assert server.fetches == 2


@pytest.mark.anyio
async def test_a_failing_endpoint_is_asked_every_five_seconds_while_there_are_no_keys() -> None:
    async with served(status=500) as (server, keys):
        for tenth in range(100):
            with pytest.raises(errors.KeysUnavailable):
                await keys.key(KID, "ES256", now=NOW + tenth / 10)
        assert server.fetches == 2
        server.status = 200
        assert (await keys.key(KID, "ES256", now=NOW + 10)).key_id == KID


@pytest.mark.anyio
async def test_a_server_that_is_not_there_makes_the_keys_unavailable() -> None:
    async with served() as (_, keys):
        pass
    async with http_client() as client:
        with pytest.raises(errors.KeysUnavailable) as refused:
            await JwksClient(keys._uri, client=client).key(KID, "ES256", now=NOW)
    assert "127.0.0.1" not in refused.value.message


@pytest.mark.anyio
async def test_a_clock_that_is_set_back_makes_the_keys_stale_not_eternal() -> None:
    async with served() as (server, keys):
        await keys.key(KID, "ES256", now=NOW)
        await keys.key(KID, "ES256", now=NOW - 86400)
        assert server.fetches == 2


@pytest.mark.parametrize(
    "uri",
    [
        "http://idp.example/jwks",
        "ftp://127.0.0.1/jwks",
        "https://user:word@idp.example/jwks",
        "file:///etc/jwks",
        "jwks",
        "",
    ],
)
def test_keys_are_fetched_over_https_or_from_this_machine(uri: str) -> None:
    with pytest.raises(errors.SettingsInvalid):
        JwksClient(uri, client=httpx.AsyncClient())


def test_keys_are_not_fetched_with_a_client_that_follows_redirects() -> None:
    with pytest.raises(errors.SettingsInvalid):
        JwksClient("https://idp.example/jwks", client=httpx.AsyncClient(follow_redirects=True))


# ── which key of a set ───────────────────────────────────────────────────────────────────

EC = IDP.key().jwk()
RSA = IDP.key(RS256).jwk()


def without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in names}


UNUSABLE = {
    "for encryption": {**EC, "use": "enc"},
    "for signing only": {**EC, "key_ops": ["sign"]},
    "key_ops not a list": {**EC, "key_ops": "verify"},
    "symmetric": {"kty": "oct", "k": "c2VjcmV0", "kid": "k"},
    "with its private half": {**EC, "d": "AAAA"},
    "with a private prime": {**RSA, "p": "AAAA"},
    "RSA of 1024 bits": rs256_key("weak", 1024).jwk(),
    "RSA of 16384 bits": {**RSA, "n": "_" * 2731},
    "of an unknown kind": {**EC, "kty": "AKP"},
    "of an unknown curve": {**EC, "crv": "secp256k1"},
    "with a curve of another": {**EC, "crv": "P-384"},
    "with an algorithm of another": {**EC, "alg": "RS256"},
    "with an HMAC as its algorithm": {**RSA, "alg": "HS256"},
    "without coordinates": without(EC, "x"),
    "with a point off the curve": {**EC, "y": EC["x"]},
    "with a number for a modulus": {**RSA, "n": 7},
    "with a list for a modulus": {**RSA, "n": ["AQAB"]},
    "with an even exponent": {**RSA, "e": "Ag"},
    "with a number as kid": {**EC, "kid": 7},
    "with a list as kind": {**EC, "kty": ["EC"]},
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_key_is_passed_over(name: str) -> None:
    with pytest.raises(ValueError):
        KeySet({"keys": [UNUSABLE[name]]})
    keys = KeySet({"keys": [UNUSABLE[name], NEW.jwk(), "not a key", None]})
    assert keys.find("new", "ES256") is not None
    assert keys.find(None, "ES256") is not None


def test_a_key_without_alg_fits_every_algorithm_of_its_kind() -> None:
    keys = KeySet({"keys": [without(RSA, "alg")]})
    for alg in ("RS256", "PS512"):
        key = keys.find(RSA["kid"], alg)
        assert key is not None
        assert key.algorithm_name == alg
    assert keys.find(RSA["kid"], "ES256") is None


def test_a_key_with_alg_fits_that_one_only() -> None:
    assert KeySet({"keys": [RSA]}).find(RSA["kid"], "PS256") is None


def test_without_kid_the_only_fitting_key_is_taken_and_never_one_of_two() -> None:
    assert KeySet({"keys": [EC, RSA]}).find(None, "ES256") is not None
    assert KeySet({"keys": [EC, NEW.jwk()]}).find(None, "ES256") is None


def test_a_kid_is_never_matched_by_a_key_without_one() -> None:
    keys = KeySet({"keys": [without(EC, "kid")]})
    assert keys.find("anything", "ES256") is None
    assert keys.find(None, "ES256") is not None


@given(
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops"]),
        st.sampled_from([*EC.values(), *RSA.values(), "OKP", "Ed25519", "P-521"])
        | st.text(max_size=5)
        | st.none()
        | st.integers()
        | st.lists(st.text(max_size=3), max_size=2),
    )
)
def test_any_key_is_read_or_passed_over(changes: dict[str, Any]) -> None:
    for jwk in (EC, RSA):
        assert KeySet({"keys": [NEW.jwk(), {**jwk, **changes, "kid": "changed"}]}).find("new", "ES256") is not None


# ── keys that are given ──────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_static_keys_are_found_by_kid() -> None:
    keys = StaticKeys(JWKS)
    assert (await keys.key(KID, "ES256", now=NOW)).key_id == KID
    with pytest.raises(errors.SignatureInvalid):
        await keys.key("nobody", "ES256", now=NOW)


def test_static_keys_without_a_usable_key_are_a_setup_error() -> None:
    with pytest.raises(errors.SettingsInvalid):
        StaticKeys({"keys": []})


@pytest.mark.anyio
async def test_live_keys_follow_their_issuer_at_once() -> None:
    published: dict[str, Any] = {"keys": [EC]}
    keys = LiveKeys(lambda: {"keys": list(published["keys"])})
    assert (await keys.key(KID, "ES256", now=NOW)).key_id == KID
    published["keys"] = [NEW.jwk()]
    assert (await keys.key("new", "ES256", now=NOW)).key_id == "new"
    with pytest.raises(errors.SignatureInvalid):
        await keys.key(KID, "ES256", now=NOW)
    published["keys"] = []
    with pytest.raises(errors.KeysUnavailable):
        await keys.key("new", "ES256", now=NOW)
