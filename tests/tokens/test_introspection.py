"""Tokens about which their issuer is asked (RFC 7662): what it may say, and for how long that counts."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from remit.credential import UnverifiedToken
from remit.errors import (
    AudienceMismatch,
    ClaimInvalid,
    IntrospectionUnavailable,
    IssuerUntrusted,
    SettingsInvalid,
    SignatureInvalid,
    TokenExpired,
    TokenInactive,
    TokenInvalid,
    TokenMalformed,
    TokenNotYetValid,
)
from remit.principal import Actor
from remit.tokens.introspection import IntrospectedTokens, IntrospectionEndpoint
from remit.tokens.issuers import AnyIssuer
from remit.tokens.jwks import StaticKeys
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken
from remit.web import http_client
from support.introspection import ASKED_ISSUER, AskedIssuer
from support.issuer import ABSENT, AUDIENCE, NOW, FakeIssuer
from support.servers import serving

pytestmark = pytest.mark.anyio

EXPECT = Expectation(frozenset({AUDIENCE}))
IDP = FakeIssuer()


@dataclass
class World:
    """An issuer and who asks it."""

    issuer: AskedIssuer
    tokens: IntrospectedTokens

    async def verify(self, text: str = "opaque", *, now: float = NOW, expect: Expectation = EXPECT) -> VerifiedToken:
        return await self.tokens.verify(UnverifiedToken(text), expect, now=now)

    async def told(self, document: Any) -> VerifiedToken:
        """Verify a token of which the issuer says this."""
        text = f"opaque-{len(self.issuer.tokens)}"
        self.issuer.tokens[text] = document
        return await self.verify(text)


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    issuer = AskedIssuer()
    issuer.tokens["opaque"] = issuer.described()
    async with serving(issuer.app) as url, http_client() as client:
        endpoint = IntrospectionEndpoint(
            ASKED_ISSUER, f"{url}/introspect", (("Authorization", "Basic cmVtaXQ6c2VjcmV0"),), (("extra", "field"),)
        )
        yield World(issuer, IntrospectedTokens(endpoint, client=client, **options))


# ── what is believed ─────────────────────────────────────────────────────────────────────


async def test_a_token_is_what_its_issuer_says() -> None:
    async with world() as at:
        at.issuer.tokens["opaque"] = at.issuer.described(act={"sub": "agent"}, name="Alice", token_type="Bearer")
        token = await at.verify()
    assert (token.subject, token.issuer, token.client_id) == ("alice", ASKED_ISSUER, "agent-runner")
    assert token.scopes == ("orders:read", "orders:write")
    assert token.parties.chain.current == Actor("agent", ASKED_ISSUER)
    assert token.claims["name"] == "Alice"
    assert "active" not in token.claims
    assert token.credential.reveal() == "opaque"


async def test_the_issuer_is_asked_by_post_with_this_sides_proof() -> None:
    async with world() as at:
        await at.told(at.issuer.described())
    assert at.issuer.asked == [
        {
            "token": "opaque-1",
            "token_type_hint": "access_token",
            "extra": "field",
            "authorization": "Basic " + base64.b64encode(b"remit:secret").decode(),
        }
    ]


async def test_an_answer_need_not_repeat_who_gives_it() -> None:
    async with world() as at:
        assert (await at.told(at.issuer.described(iss=ABSENT))).issuer == ASKED_ISSUER


async def test_a_jwt_of_that_issuer_is_asked_about_too() -> None:
    token = FakeIssuer(ASKED_ISSUER).mint()
    async with world() as at:
        at.issuer.tokens[token] = at.issuer.described(sub="bob")
        assert (await at.verify(token)).subject == "bob"


# ── what is not ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"exp": ABSENT}, ClaimInvalid),
        ({"exp": str(NOW + 300)}, ClaimInvalid),
        ({"exp": True}, ClaimInvalid),
        ({"exp": NOW - 100}, TokenExpired),
        ({"nbf": NOW + 100}, TokenNotYetValid),
        ({"aud": ABSENT}, ClaimInvalid),
        ({"aud": "https://other.example"}, AudienceMismatch),
        ({"aud": []}, ClaimInvalid),
        ({"aud": 5}, ClaimInvalid),
        ({"iss": "https://other.example"}, IssuerUntrusted),
        ({"iss": None}, IssuerUntrusted),
        ({"iss": [ASKED_ISSUER]}, IssuerUntrusted),
        ({"sub": ABSENT}, ClaimInvalid),
        ({"sub": 5}, ClaimInvalid),
        ({"sub": "x" * 300}, ClaimInvalid),
        ({"client_id": ABSENT}, ClaimInvalid),
        ({"client_id": {}}, ClaimInvalid),
        ({"scope": ["orders:read"]}, ClaimInvalid),
        ({"scope": 'a"b'}, ClaimInvalid),
        ({"act": "agent"}, ClaimInvalid),
        ({"act": {}}, ClaimInvalid),
        ({"token_type": "refresh_token"}, ClaimInvalid),
        ({"token_type": None}, ClaimInvalid),
        ({"token_use": "refresh_token"}, ClaimInvalid),
        ({"typ": "Refresh"}, ClaimInvalid),
    ],
)
async def test_a_description_that_is_not_of_a_good_token_is_refused(
    changes: dict[str, Any], error: type[TokenInvalid]
) -> None:
    async with world() as at:
        with pytest.raises(error):
            await at.told(at.issuer.described(**changes))


@pytest.mark.parametrize(
    "document",
    [
        {"active": "true"},
        {"active": 1},
        {"active": None},
        {},
        [],
        [{"active": True}],
        "active",
        b"",
        b"active",
        b"<html></html>",
        b'{"active": false, "active": true}',
        b'{"active": true, "exp": NaN}',
        b'{"active": true, "x": ' + b"[" * 50 + b"]" * 50 + b"}",
        b'{"active": true, "x": "' + b"x" * 70_000 + b'"}',
        b"\xff",
    ],
    ids=lambda document: str(document)[:30],
)
async def test_an_answer_that_cannot_be_used_says_nothing_of_the_token(document: Any) -> None:
    async with world() as at:
        at.issuer.tokens["odd"] = (
            {**at.issuer.described(), **document} if isinstance(document, dict) and document else document
        )
        with pytest.raises(IntrospectionUnavailable) as caught:
            await at.verify("odd")
    assert "odd" not in f"{caught.value.message} {caught.value.detail} {caught.value.hint}".split()


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 403, 404, 500, 503])
async def test_only_status_200_is_an_answer(status: int) -> None:
    async with world() as at:
        at.issuer.status, at.issuer.headers = status, {"Location": "/elsewhere"}
        with pytest.raises(IntrospectionUnavailable) as caught:
            await at.verify()
    assert f"status {status}" in caught.value.detail


async def test_where_nobody_answers_the_token_is_not_taken() -> None:
    async with http_client() as client:
        tokens = IntrospectedTokens(IntrospectionEndpoint(ASKED_ISSUER, "http://127.0.0.1:1/introspect"), client=client)
        with pytest.raises(IntrospectionUnavailable):
            await tokens.verify(UnverifiedToken("opaque"), EXPECT, now=NOW)


async def test_an_unknown_token_is_inactive() -> None:
    async with world() as at:
        with pytest.raises(TokenInactive):
            await at.verify("unknown")


@pytest.mark.parametrize("text", ["", "x" * 8193, "a b\n", "é", "a\x00b"])
async def test_what_can_be_no_token_is_shown_to_nobody(text: str) -> None:
    async with world() as at:
        with pytest.raises(TokenMalformed):
            await at.verify(text)
    assert not at.issuer.asked


async def test_an_endpoint_without_tls_is_refused_at_start() -> None:
    with pytest.raises(SettingsInvalid):
        IntrospectionEndpoint(ASKED_ISSUER, "http://opaque.example/introspect")


# ── how long an answer counts ────────────────────────────────────────────────────────────


async def test_a_revoked_token_is_good_for_half_a_minute_at_most() -> None:
    async with world() as at:
        await at.verify()
        at.issuer.tokens["opaque"] = {"active": False}
        await at.verify(now=NOW + 29.9)
        assert len(at.issuer.asked) == 1
        with pytest.raises(TokenInactive):
            await at.verify(now=NOW + 30)


async def test_an_answer_counts_no_longer_than_the_token() -> None:
    async with world() as at:
        at.issuer.tokens["opaque"] = at.issuer.described(exp=NOW + 10)
        await at.verify()
        await at.verify(now=NOW + 10)  # within the leeway, but asked again
    assert len(at.issuer.asked) == 2


async def test_a_token_that_was_no_good_is_asked_about_again_after_five_seconds() -> None:
    async with world() as at:
        for seconds in (0, 4.9):
            with pytest.raises(TokenInactive):
                await at.verify("new", now=NOW + seconds)
        assert len(at.issuer.asked) == 1
        at.issuer.tokens["new"] = at.issuer.described()
        await at.verify("new", now=NOW + 5)


async def test_what_is_remembered_is_checked_for_each_place() -> None:
    async with world() as at:
        await at.verify()
        with pytest.raises(AudienceMismatch):
            await at.verify(expect=Expectation(frozenset({"https://other.example"})))
    assert len(at.issuer.asked) == 1


async def test_a_clock_that_is_set_back_has_the_issuer_asked_again() -> None:
    async with world() as at:
        await at.verify(now=NOW + 20)
        await at.verify(now=NOW)
    assert len(at.issuer.asked) == 2


async def test_trouble_is_not_remembered() -> None:
    async with world() as at:
        at.issuer.status = 500
        with pytest.raises(IntrospectionUnavailable):
            await at.verify()
        at.issuer.status = 200
        await at.verify()


async def test_what_is_remembered_is_bounded() -> None:
    async with world(cache_size=2) as at:
        for text in ("a", "b", "c", "a"):
            at.issuer.tokens[text] = at.issuer.described()
            await at.verify(text)
    assert [form["token"] for form in at.issuer.asked] == ["a", "b", "c", "a"]


async def test_those_who_ask_at_once_share_one_question() -> None:
    async with world() as at:
        at.issuer.hold = asyncio.Event()
        first = asyncio.create_task(at.verify())
        others = [asyncio.create_task(at.verify()) for _ in range(5)]
        await at.issuer.began.wait()
        first.cancel()  # and whoever gives up does not take the answer from the others
        at.issuer.hold.set()
        tokens = await asyncio.gather(*others)
    assert {token.subject for token in tokens} == {"alice"}
    assert len(at.issuer.asked) == 1


async def test_a_flood_of_made_up_tokens_does_not_have_the_issuer_asked_so_often() -> None:
    async with world() as at:
        at.issuer.hold = asyncio.Event()
        flood = [asyncio.create_task(at.verify(f"made-up-{n}")) for n in range(100)]
        done, waiting = await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 36:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert len(waiting) == 64
        assert all(isinstance(task.exception(), IntrospectionUnavailable) for task in done)
        at.issuer.hold.set()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert len(at.issuer.asked) == 64


# ── among other issuers ──────────────────────────────────────────────────────────────────


@asynccontextmanager
async def mixed() -> AsyncIterator[tuple[World, AnyIssuer]]:
    async with world() as at:
        signed = TokenVerifier([TrustedIssuer(IDP.issuer, frozenset({"ES256"}), StaticKeys(IDP.jwks("ES256")))])
        yield at, AnyIssuer(signed, at.tokens)


async def test_each_token_is_verified_in_its_issuers_way() -> None:
    async with mixed() as (at, every):
        assert (await every.verify(UnverifiedToken("opaque"), EXPECT, now=NOW)).issuer == ASKED_ISSUER
        assert (await every.verify(IDP.token(), EXPECT, now=NOW)).issuer == IDP.issuer
    assert [form["token"] for form in at.issuer.asked] == ["opaque"]


async def test_no_token_of_another_issuer_is_shown_to_the_one_that_is_asked() -> None:
    stranger = FakeIssuer("https://stranger.example", name="stranger")
    async with mixed() as (at, every):
        with pytest.raises(IssuerUntrusted):
            await every.verify(stranger.token(), EXPECT, now=NOW)
        with pytest.raises(SignatureInvalid):
            await every.verify(stranger.token(iss=IDP.issuer, header={"kid": "idp-es256"}), EXPECT, now=NOW)
        with pytest.raises(TokenMalformed):
            await every.verify(UnverifiedToken("a.b.c"), EXPECT, now=NOW)
    assert not at.issuer.asked
