from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from remit.clock import SystemClock
from remit.credential import UnverifiedToken
from remit.errors import InvalidGrant, InvalidScope, InvalidTarget, SettingsInvalid
from remit.identity.subject import SubjectIdentifier
from remit.sts.revocation import Kind, Order
from remit.tokens.jwks import LiveKeys
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer
from support.assertions import AGENT, ISSUER, OTHER, PUBLIC, UNGRANTED, AssertionWorld
from support.authorization import SECRET, claims, error_of
from support.dpop import KeyHolder
from support.issuer import ABSENT, NOW, RS256, b64url, claims_of, rs256_key, to_json
from support.servers import Listener, serving

TOKEN_URL = f"{ISSUER}/oauth2/token"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AssertionWorld]:
    world = AssertionWorld(tmp_path)
    yield world
    world.close()


# ── what comes of an assertion ──


def test_an_assertion_becomes_an_access_token_for_its_person_through_its_client(world: AssertionWorld) -> None:
    told = {"auth_time": NOW - 60, "acr": "phr", "amr": ["mfa", "hwk"], "name": "Carol C", "groups": ["sales"]}
    response = world.bring(world.okta.assertion(world, **told))
    assert {"token_type": "Bearer", "scope": "orders:read orders:write"}.items() <= response.json().items()
    assert "refresh_token" not in response.json()
    token = claims(response)
    assert token.pop("jti") and token.pop("txn")  # noqa: PT018
    assert token == {
        "iss": ISSUER,
        "sub": "carol",
        "sub_iss": "https://okta.example",
        "aud": f"{ISSUER}/mcp",
        "client_id": "agent",
        "client_assurance": "authenticated",
        "scope": "orders:read orders:write",
        "iat": NOW,
        "exp": NOW + 600,
        "auth_time": NOW - 60,
        "acr": "phr",
        "amr": ["mfa", "hwk"],
        "name": "Carol C",
        "groups": ["sales"],
    }


def test_the_resource_server_takes_the_token_for_the_providers_person(world: AssertionWorld) -> None:
    token = world.bring(world.okta.assertion(world)).json()["access_token"]
    trusted = TrustedIssuer(ISSUER, frozenset({"ES256"}), LiveKeys(world.sts.keys.jwks))
    expect = Expectation(frozenset({f"{ISSUER}/mcp"}))
    identifier = SubjectIdentifier(TokenVerifier([trusted]), expect, world.clock, token_service=ISSUER)
    principal = asyncio.run(identifier.identify(UnverifiedToken(token))).principal
    assert (principal.subject, principal.issuer) == ("carol", "https://okta.example")
    assert (principal.client_id, principal.token_issuer) == ("agent", ISSUER)


def test_who_has_no_name_is_called_by_their_address(world: AssertionWorld) -> None:
    assert claims(world.bring(world.okta.assertion(world, email="carol@example.com")))["name"] == "carol@example.com"


def test_one_provider_says_who_a_person_is_in_another_claim(world: AssertionWorld) -> None:
    sound: dict[str, Any] = {"scope": "orders:read", "email": "carol@example.com"}
    assert claims(world.bring(world.ping.assertion(world, **sound)))["sub"] == "carol@example.com"
    for changes in ({"email": ABSENT}, {"email": ""}, {"email": 7}, {"email_verified": False}):
        response = world.bring(world.ping.assertion(world, **{**sound, **changes}))
        assert error_of(response) == "invalid_grant"


def test_a_client_may_have_another_name_at_the_provider(world: AssertionWorld) -> None:
    assert claims(world.bring(world.okta.assertion(world, client_id="0oa-agent")))["client_id"] == "agent"
    response = world.bring(world.ping.assertion(world, client_id="0oa-agent", email="carol@example.com"))
    assert error_of(response) == "invalid_grant"


@pytest.mark.parametrize(
    ("held", "asked", "given_scopes"),
    [
        ("orders:read orders:write", ABSENT, "orders:read orders:write"),
        ("orders:read orders:write", "orders:write", "orders:write"),
        ("orders:read", "orders:read orders:write", "orders:read"),
        ("orders:read fly", ABSENT, "orders:read"),
        (ABSENT, "pay", "pay"),
        (ABSENT, ABSENT, "orders:read orders:write pay"),
    ],
)
def test_scopes_are_what_request_assertion_and_settings_all_allow(
    held: Any, asked: Any, given_scopes: str, world: AssertionWorld
) -> None:
    response = world.bring(world.okta.assertion(world, scope=held), scope=asked)
    assert (response.json()["scope"], claims(response)["scope"]) == (given_scopes, given_scopes)


@pytest.mark.parametrize(("held", "asked"), [("orders:read", "orders:write"), ("fly", ABSENT), (ABSENT, "fly")])
def test_where_no_scope_is_left_there_is_no_token(held: Any, asked: Any, world: AssertionWorld) -> None:
    assert error_of(world.bring(world.okta.assertion(world, scope=held), scope=asked)) == "invalid_scope"


def test_an_assertion_without_any_scope_gives_none(world: AssertionWorld) -> None:
    token = claims(world.bring(world.okta.assertion(world, scope="")))
    assert token.get("scope", "") == ""
    assert error_of(world.bring(world.okta.assertion(world, scope=""), scope="orders:read")) == "invalid_scope"


def test_members_of_a_group_may_give_more(world: AssertionWorld) -> None:
    response = world.bring(world.okta.assertion(world, scope="orders:admin", groups=["admins"]))
    assert claims(response)["scope"] == "orders:admin"


def test_a_client_gets_no_scope_that_it_may_not_have(world: AssertionWorld) -> None:
    response = world.bring(world.okta.assertion(world, client_id="other"), client=OTHER)
    assert claims(response)["scope"] == "orders:read"


@pytest.mark.parametrize(
    ("held", "asked", "audience"),
    [
        ("/mcp", "/mcp", "/mcp"),
        ("/orders", ABSENT, "/orders"),
        (["/orders", "/mcp"], ABSENT, "/mcp"),
        (["/orders", "/mcp"], "/orders", "/orders"),
        (["/elsewhere", "/orders"], ABSENT, "/orders"),
        (ABSENT, "/orders", "/orders"),
        (ABSENT, ABSENT, "/mcp"),
    ],
)
def test_the_token_is_for_a_resource_that_both_name(
    held: Any, asked: Any, audience: str, world: AssertionWorld
) -> None:
    response = world.bring(world.okta.assertion(world, resource=_at(held)), resource=_at(asked))
    assert claims(response)["aud"] == ISSUER + audience


@pytest.mark.parametrize(
    ("held", "asked"),
    [("/orders", "/mcp"), ("/elsewhere", ABSENT), (ABSENT, "/elsewhere"), ("/mcp", ["/mcp", "/orders"])],
)
def test_there_is_no_token_for_another_resource(held: Any, asked: Any, world: AssertionWorld) -> None:
    response = world.bring(world.okta.assertion(world, resource=_at(held)), resource=_at(asked))
    assert error_of(response) == "invalid_target"


def _at(path: Any) -> Any:
    if path is ABSENT:
        return ABSENT
    return ISSUER + path if isinstance(path, str) else [ISSUER + each for each in path]


def test_the_token_is_bound_to_the_key_that_came_with_the_assertion(world: AssertionWorld) -> None:
    holder = KeyHolder()
    bound = world.okta.assertion(world, cnf={"jkt": holder.thumbprint})
    for assertion in (bound, world.okta.assertion(world)):
        response = world.bring(assertion, headers={"DPoP": holder.proof("POST", TOKEN_URL)})
        assert response.json()["token_type"] == "DPoP"
        assert claims(response)["cnf"] == {"jkt": holder.thumbprint}


def test_issuing_stands_in_the_trail_and_so_does_refusing(world: AssertionWorld) -> None:
    world.bring(world.okta.assertion(world))
    world.bring(world.okta.assertion(world, aud="https://elsewhere.example"))
    assert len(world.store.records) == 2


# ── attacks ──


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.example"},
        {"aud": f"{ISSUER}/"},
        {"aud": TOKEN_URL},
        {"aud": [ISSUER, "https://elsewhere.example"]},
        {"aud": []},
        {"aud": ABSENT},
        {"iss": "https://nobody.example"},
        {"iss": ABSENT},
        {"iss": ISSUER},
        {"client_id": "other"},
        {"client_id": ABSENT, "azp": "agent"},
        {"client_id": ["agent"]},
        {"sub": ABSENT},
        {"sub": ""},
        {"sub": None},
        {"jti": ABSENT},
        {"jti": 7},
        {"exp": ABSENT},
        {"exp": NOW - 31},
        {"exp": NOW + 601},
        {"exp": str(NOW + 60)},
        {"iat": ABSENT},
        {"iat": NOW + 31},
        {"iat": NOW - 600},
        {"nbf": NOW + 60},
        {"scope": ["orders:read"]},
        {"resource": 7},
        {"resource": []},
        {"resource": [7]},
        {"resource": ""},
        {"act": {"sub": "robot"}},
        {"act": "robot"},
        {"may_act": {"sub": "robot"}},
        {"tenant": "t1"},
        {"aud_tenant": "t1"},
        {"authorization_details": [{"type": "orders"}]},
        {"cnf": {"jkt": "x"}},
        {"cnf": {"x5t#S256": "x"}},
        {"cnf": {"jkt": 7}},
        {"cnf": "x"},
        {"auth_time": "now"},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": ABSENT}},
        {"header": {"typ": "at+jwt"}},
        {"header": {"typ": "dpop+jwt"}},
        {"header": {"kid": "ping-es256"}},
        {"header": {"crit": ["x"]}},
        {"key": RS256},
    ],
)
def test_an_assertion_that_is_not_sound_is_worth_nothing(changes: dict[str, Any], world: AssertionWorld) -> None:
    world.okta.key(RS256)
    assert error_of(world.bring(world.okta.assertion(world, **changes))) == "invalid_grant"


@pytest.mark.parametrize("typ", ["oauth-id-jag+jwt", "OAuth-ID-JAG+JWT", "application/oauth-id-jag+jwt"])
def test_the_type_may_be_written_as_media_types_are(typ: str, world: AssertionWorld) -> None:
    assert world.bring(world.okta.assertion(world, header={"typ": typ})).status_code == 200


def test_no_assertion_is_unsigned_or_signed_with_a_public_key_as_secret(world: AssertionWorld) -> None:
    _, payload, signature = world.okta.assertion(world).split(".")
    for alg in ("none", "None", "HS256", "hs256"):
        header = b64url(to_json({"typ": "oauth-id-jag+jwt", "alg": alg, "kid": "okta-es256"}))
        for end in ("", signature):
            assert error_of(world.bring(f"{header}.{payload}.{end}")) == "invalid_grant"


def test_a_provider_cannot_speak_for_another(world: AssertionWorld) -> None:
    ping = world.ping.key()
    for kid in (ping.kid, world.okta.key().kid, ABSENT):
        forged = world.okta.assertion(world, key=ping, header={"kid": kid})
        assert error_of(world.bring(forged)) == "invalid_grant"
    stranger = world.okta.assertion(world, key=rs256_key("stranger"), header={"alg": "ES256"})
    assert error_of(world.bring(stranger)) == "invalid_grant"


def test_people_of_two_providers_are_not_the_same(world: AssertionWorld) -> None:
    about = {"email": "carol", "scope": "orders:read"}
    okta = claims(world.bring(world.okta.assertion(world, **about)))
    ping = claims(world.bring(world.ping.assertion(world, **about)))
    assert okta["sub"] == ping["sub"] == "carol"
    assert (okta["sub_iss"], ping["sub_iss"]) == ("https://okta.example", "https://ping.example")


def test_an_assertion_counts_once(world: AssertionWorld) -> None:
    assertion = world.okta.assertion(world)
    assert world.bring(assertion).status_code == 200
    assert error_of(world.bring(assertion)) == "invalid_grant"
    world.clock.advance(329)
    assert error_of(world.bring(assertion)) == "invalid_grant"


def test_an_id_of_one_provider_uses_up_none_of_another(world: AssertionWorld) -> None:
    same = {"jti": "same", "email": "carol@example.com", "scope": "orders:read"}
    assert world.bring(world.okta.assertion(world, **same)).status_code == 200
    assert world.bring(world.ping.assertion(world, **same)).status_code == 200


def test_of_many_that_bring_one_assertion_at_once_one_gets_a_token(tmp_path: Path) -> None:
    async def main() -> list[int]:
        processes = [AssertionWorld(tmp_path) for _ in range(3)]
        assertion = processes[0].okta.assertion(processes[0])
        apps = [(process, process.app()) for process in processes] * 4
        answers = await asyncio.gather(*(process.send(app, assertion) for process, app in apps))
        for process in processes:
            process.close()
        return sorted(answer.status_code for answer in answers)

    assert asyncio.run(main()) == [200] + [400] * 11


def test_what_was_refused_for_the_request_may_be_tried_again(world: AssertionWorld) -> None:
    assertion = world.okta.assertion(world)
    assert error_of(world.bring(assertion, scope="fly")) == "invalid_scope"
    assert world.bring(assertion).status_code == 200


def test_a_bound_assertion_needs_a_proof_of_its_key(world: AssertionWorld) -> None:
    holder, thief = KeyHolder(), KeyHolder(rs256_key("thief"))
    assertion = world.okta.assertion(world, cnf={"jkt": holder.thumbprint})
    for headers in ({}, {"DPoP": thief.proof("POST", TOKEN_URL)}):
        assert error_of(world.bring(assertion, headers=headers)) == "invalid_grant"


@pytest.mark.parametrize("client", [PUBLIC, UNGRANTED])
def test_only_a_client_that_proves_itself_and_has_the_grant_may_bring_one(client: Any, world: AssertionWorld) -> None:
    assertion = world.okta.assertion(world, client_id=client.client_id)
    assert error_of(world.bring(assertion, client=client)) == "unauthorized_client"


def test_an_assertion_for_another_client_is_of_no_use(world: AssertionWorld) -> None:
    assert error_of(world.bring(world.okta.assertion(world), client=OTHER)) == "invalid_grant"
    wrong = world.bring(world.okta.assertion(world), headers={"Authorization": "Basic YWdlbnQ6d3Jvbmc="})
    assert (wrong.status_code, error_of(wrong)) == (401, "invalid_client")


def test_an_assertion_is_needed(world: AssertionWorld) -> None:
    assert error_of(world.bring("")) == "invalid_request"


def test_whoever_was_revoked_gets_nothing(world: AssertionWorld) -> None:
    world.revocations.add(Order(Kind.SUBJECT, "carol", until=NOW + 3600, by="operator"))
    assert error_of(world.bring(world.okta.assertion(world))) == "invalid_grant"


def test_one_provider_is_not_trusted_twice(world: AssertionWorld) -> None:
    with pytest.raises(SettingsInvalid):
        AssertionWorld(world.directory, okta=world.ping).assertions()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AssertionWorld]:
    world = AssertionWorld(tmp_path_factory.mktemp("assertions"))
    yield world
    world.close()


_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=9), max_size=3)
_NAMES = ("aud", "resource", "cnf", "scope", "amr", "groups", "name", "email", "acr", "auth_time", "nbf", "exp", "iat")


@given(st.dictionaries(st.sampled_from(_NAMES), _VALUES))
def test_no_claim_does_anything_but_pass_or_be_refused(lasting: AssertionWorld, changes: dict[str, Any]) -> None:
    form = {"assertion": [lasting.okta.assertion(lasting, **changes)]}
    with suppress(InvalidGrant, InvalidTarget, InvalidScope):
        issued = asyncio.run(lasting.assertions().grant(AGENT, form, ""))
        assert issued.document["token_type"] == "Bearer"


# ── the client of the MCP SDK ──


class _Storage:
    tokens: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> None:
        return None

    async def set_client_info(self, client_info: Any) -> None:
        del client_info


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_the_client_of_the_mcp_sdk_signs_in_with_assertions(method: Any, tmp_path: Path) -> None:
    async def main() -> None:
        listener = Listener()
        world = AssertionWorld(tmp_path, listener.url, SystemClock())
        asked: list[tuple[str, str]] = []

        async def provide(audience: str, resource: str) -> str:
            asked.append((audience, resource))
            now = int(time.time())
            return world.okta.assertion(world, aud=audience, resource=resource, iat=now, exp=now + 60)

        async def mcp(request: Request) -> Response:
            given_token = request.headers.get("authorization", "")
            return JSONResponse({"token": given_token}, 200 if given_token else 401)

        app = Starlette(routes=[*world.app().routes, Route("/mcp", mcp, methods=["POST"])])
        auth = IdentityAssertionOAuthProvider(
            server_url=world.mcp,
            storage=_Storage(),
            client_id="agent",
            client_secret=SECRET.reveal(),
            issuer=world.issuer,
            assertion_provider=provide,
            scope="orders:read",
            token_endpoint_auth_method=method,
        )
        async with serving(app, listener), httpx2.AsyncClient(auth=auth) as http:
            response = await http.post(world.mcp, json={})
        assert response.status_code == 200, response.text
        token = claims_of(response.json()["token"].removeprefix("Bearer "))
        assert (token["sub"], token["aud"], token["scope"]) == ("carol", world.mcp, "orders:read")
        assert asked == [(world.issuer, world.mcp)]
        world.close()

    asyncio.run(main())
