"""The token endpoint to the letter: one test or more for each sentence of ``support.requirements``."""

from __future__ import annotations

import ast
import asyncio
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from remit import oauth
from remit.audit.issuance import Issuance
from remit.credential import Credential
from remit.sts.clients import Client
from remit.sts.endpoints import routes
from support.issuer import ABSENT, FakeIssuer, claims_of, header_of
from support.requirements import REQUIREMENTS, requirement
from support.sts import AGENT, ISSUER, ORDERS, SECRET, World, exchange_form
from support.sts_http import BASIC, FORM, ask, basic, check_refusal, post
from support.trail import MemoryStore
from support.workload import company

AT = oauth.TOKEN_TYPE_ACCESS_TOKEN
OWN = {"grant_type": oauth.GRANT_CLIENT_CREDENTIALS}
KEYED = FakeIssuer("keyed", ISSUER, "keyed-client")


def named() -> Iterator[str]:
    """The requirements that tests of this folder name."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "requirement":
                (argument,) = node.args
                assert isinstance(argument, ast.Constant)
                yield str(argument.value)


def test_every_requirement_has_a_test_and_every_test_a_requirement() -> None:
    assert set(named()) == set(REQUIREMENTS)


def exchange(world: World, **changes: Any) -> httpx.Response:
    """A sound exchange of ``subject`` or a user's token; parameters changed, added, or (``None``) left out."""
    form = {**exchange_form(changes.pop("subject", "") or world.user_token()), **changes}
    return post(world, {name: value for name, value in form.items() if value is not None})


def issued(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return claims_of(response.json()["access_token"])


# ── the client ───────────────────────────────────────────────────────────────────────────


@requirement("one-client-authentication")
@pytest.mark.parametrize(
    "more", [{"client_secret": SECRET.reveal()}, {"client_assertion": "x"}, {"client_secret": "wrong"}], ids=str
)
def test_two_client_authentications_are_refused_even_if_both_are_right(more: dict[str, str]) -> None:
    check_refusal(exchange(World(), client_id="agent-runner", **more), "invalid_request")


@requirement("secrets-in-the-body-alone")
@pytest.mark.parametrize("query", ["client_id=agent-runner", "scope=orders:read", "x"])
def test_parameters_in_the_url_are_refused(query: str) -> None:
    check_refusal(post(World(), OWN, path=f"/oauth2/token?{query}"), "invalid_request")


@requirement("basic-is-supported")
def test_a_client_proves_itself_with_basic() -> None:
    assert post(World(), OWN, basic("orders-api")).status_code == 200


@requirement("clients-authenticate")
@pytest.mark.parametrize(
    "proof", [{}, {"client_id": "agent-runner"}, {"client_id": "agent-runner", "client_secret": ""}], ids=str
)
@pytest.mark.parametrize("bare", [False, True], ids=["with a secret", "registered without"])
def test_nobody_passes_without_a_proof(proof: dict[str, str], bare: bool) -> None:
    world = World()
    if bare:
        world.clients["agent-runner"] = Client("agent-runner", targets=AGENT.targets)
    check_refusal(post(world, {**OWN, **proof}, {}), "invalid_client", 401)


@requirement("invalid-client-is-challenged")
def test_a_wrong_secret_is_challenged_with_the_scheme_that_was_used() -> None:
    response = post(World(), OWN, basic("agent-runner", Credential("wrong")))
    check_refusal(response, "invalid_client", 401)
    assert response.headers["www-authenticate"].startswith("Basic realm=")


@requirement("unauthorized-client")
def test_a_grant_the_client_was_not_given_is_refused() -> None:
    world = World()
    world.change(AGENT, grants=frozenset({oauth.GRANT_TOKEN_EXCHANGE}))
    check_refusal(post(world, OWN), "unauthorized_client")
    assert exchange(world).status_code == 200


def by_assertion(world: World, **claims: Any) -> httpx.Response:
    world.clients["keyed"] = Client("keyed", jwks=KEYED.jwks())
    assertion = KEYED.mint(header={"typ": "JWT"}, **{"sub": "keyed", **claims})
    kind = oauth.CLIENT_ASSERTION_TYPE_JWT_BEARER
    return post(world, {**OWN, "client_assertion_type": kind, "client_assertion": assertion}, {})


@requirement("assertion-names-its-client")
def test_an_assertion_about_another_client_is_refused() -> None:
    assert by_assertion(World()).status_code == 200
    check_refusal(by_assertion(World(), sub="agent-runner"), "invalid_client", 401)


@requirement("assertion-is-for-us")
@pytest.mark.parametrize("aud", ["https://other.example", [ISSUER, "https://other.example"], ABSENT], ids=repr)
def test_an_assertion_for_somebody_else_is_refused(aud: Any) -> None:
    check_refusal(by_assertion(World(), aud=aud), "invalid_client", 401)


@requirement("assertion-expires")
@pytest.mark.parametrize("exp", [ABSENT, 1_799_999_000, 1_800_090_000], ids=["none", "past", "far off"])
def test_an_assertion_expires_soon(exp: Any) -> None:
    check_refusal(by_assertion(World(), exp=exp), "invalid_client", 401)


@requirement("assertion-is-used-once")
def test_ten_uses_of_one_assertion_at_once_give_one_token() -> None:
    world = World()
    world.clients["keyed"] = Client("keyed", jwks=KEYED.jwks())
    assertion = KEYED.mint(header={"typ": "JWT"}, sub="keyed")
    form = {
        **OWN,
        "client_assertion_type": oauth.CLIENT_ASSERTION_TYPE_JWT_BEARER,
        "client_assertion": assertion,
    }

    async def main() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app()), base_url=ISSUER) as http:
            answers = await asyncio.gather(*(http.post("/oauth2/token", data=form) for _ in range(10)))
        return sorted(answer.status_code for answer in answers)

    assert asyncio.run(main()) == [200, *[401] * 9]


# ── the request ──────────────────────────────────────────────────────────────────────────


@requirement("post-only")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_no_other_method_gives_a_token(method: str) -> None:
    response = ask(World(), method, "/oauth2/token", headers=BASIC)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@requirement("empty-is-omitted")
@pytest.mark.parametrize(
    "name", ["scope", "resource", "actor_token", "actor_token_type", "requested_token_type", "client_id", "foo"]
)
def test_an_empty_parameter_is_as_if_it_were_not_there(name: str) -> None:
    assert exchange(World(), **{name: ""}).status_code == 200
    check_refusal(exchange(World(), audience=""), "invalid_target")


@requirement("unknown-is-ignored")
def test_an_unknown_parameter_changes_nothing() -> None:
    assert issued(exchange(World(), scope="pay", act='{"sub":"x"}', sub="bob", lifetime="9"))["sub"] == "alice"


@requirement("no-parameter-twice")
@pytest.mark.parametrize("name", ["grant_type", "subject_token", "scope", "client_id", "unknown"])
def test_a_parameter_that_repeats_is_refused_even_with_the_same_value(name: str) -> None:
    world = World()
    form: dict[str, Any] = {**exchange_form(world.user_token(), scope="pay"), "client_id": "agent-runner"}
    form.setdefault(name, "x")
    check_refusal(post(world, {**form, name: [form[name], form[name]]}), "invalid_request")


@requirement("subject-token-required")
@requirement("subject-token-type-required")
@requirement("invalid-request-says-malformed")
@pytest.mark.parametrize("name", ["grant_type", "subject_token", "subject_token_type"])
def test_a_required_parameter_that_is_missing_is_an_invalid_request(name: str) -> None:
    check_refusal(exchange(World(), **{name: None}), "invalid_request")


@requirement("actor-token-type-with-actor-token")
def test_an_actor_token_and_its_type_come_together_or_not_at_all() -> None:
    world = World()
    actor = asyncio.run(world.actor_token())
    assert exchange(world, actor_token=actor, actor_token_type=AT).status_code == 200
    check_refusal(exchange(world, actor_token=actor), "invalid_request")
    check_refusal(exchange(world, actor_token_type=AT), "invalid_request")


@requirement("requested-token-type")
@pytest.mark.parametrize("kind", ["refresh_token", "id_token", "saml2", "jwt"])
def test_a_token_type_that_is_not_issued_is_refused_and_not_replaced(kind: str) -> None:
    wanted = f"urn:ietf:params:oauth:token-type:{kind}"
    check_refusal(exchange(World(), requested_token_type=wanted), "invalid_request")
    assert exchange(World(), requested_token_type=AT).json()["issued_token_type"] == AT


@requirement("unsupported-grant-type")
@pytest.mark.parametrize(
    "grant", ["password", "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer", "x"]
)
def test_a_grant_that_is_not_served_is_refused(grant: str) -> None:
    check_refusal(post(World(), {"grant_type": grant}), "unsupported_grant_type")


# ── target ───────────────────────────────────────────────────────────────────────────────


@requirement("resource-is-an-absolute-uri")
@pytest.mark.parametrize("resource", ["orders", "/v1", "//orders.example/v1", "https://orders.example/v1#x", "https:"])
def test_a_resource_that_is_no_absolute_uri_is_refused(resource: str) -> None:
    check_refusal(exchange(World(), audience=None, resource=resource), "invalid_target")


@requirement("targets-may-repeat")
def test_audience_and_resource_may_repeat_and_be_used_together() -> None:
    uri = "https://orders.example/v1"
    claims = issued(exchange(World(), audience=["orders", "orders"], resource=[uri, uri]))
    assert claims["aud"] == "orders"


@requirement("one-target-per-token")
@requirement("unwilling-targets-are-invalid-target")
@pytest.mark.parametrize("audience", [None, "unknown", "Orders", ["orders", "reports"], ["orders", "unknown"]], ids=str)
def test_a_target_the_client_has_no_rule_for_or_several_are_refused(audience: Any) -> None:
    check_refusal(exchange(World(), audience=audience), "invalid_target")


@requirement("target-before-cryptography")
def test_a_target_is_refused_without_looking_at_the_tokens() -> None:
    check_refusal(exchange(World(), subject="nonsense", audience="unknown"), "invalid_target")


# ── tokens ───────────────────────────────────────────────────────────────────────────────


@requirement("tokens-are-validated")
@requirement("bad-tokens-are-invalid-request")
@pytest.mark.parametrize("parameter", ["subject_token", "actor_token"])
@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_799_999_000},
        {"nbf": 1_800_009_000},
        {"iss": "https://other.example"},
        {"aud": "nobody"},
        {"jti": None},
        {"cnf": {"jkt": "x"}},
        {"may_act": {"sub": "somebody"}, "sub": "alice"},
        {"dlg": "workload"},
        {"act": {"sub": "desk", "exp": 1}},
    ],
    ids=str,
)
def test_whatever_is_wrong_with_a_token_is_an_invalid_request(parameter: str, changes: dict[str, Any]) -> None:
    world = World()
    own = {"sub": "agent-runner", "client_id": "agent-runner", "aud": ISSUER, "jti": "actor", "scope": None}
    sound = {"subject_token": {}, "actor_token": own}

    def exchanged(wrong: dict[str, Any]) -> httpx.Response:
        forged = {name: world.forge(**{**sound[name], **(wrong if name == parameter else {})}) for name in sound}
        return exchange(world, **forged, actor_token_type=AT)

    assert exchanged({}).status_code == 200
    check_refusal(exchanged(changes), "invalid_request")


@requirement("subject-token-for-the-client")
def test_a_token_that_was_issued_for_another_client_cannot_be_exchanged() -> None:
    world = World()
    response = post(world, exchange_form(world.user_token()), basic("rogue"))
    check_refusal(response, "invalid_request")


@requirement("actor-token-is-the-clients-own")
def test_an_actor_token_of_another_client_is_refused() -> None:
    world = World()
    actor = asyncio.run(world.actor_token(ORDERS))
    check_refusal(exchange(world, actor_token=actor, actor_token_type=AT), "invalid_request")


@requirement("may-act-names-the-actor")
@pytest.mark.parametrize("with_actor_token", [True, False])
def test_may_act_counts_with_and_without_an_actor_token_and_is_not_passed_on(with_actor_token: bool) -> None:
    world = World()
    more = {"actor_token": asyncio.run(world.actor_token()), "actor_token_type": AT} if with_actor_token else {}
    allowed = world.forge(may_act={"sub": "agent-runner"})
    assert "may_act" not in issued(exchange(world, subject=allowed, **more))
    check_refusal(exchange(world, subject=world.forge(may_act={"sub": "x"}), **more), "invalid_request")


@requirement("act-holds-identity-alone")
@pytest.mark.parametrize("member", ["exp", "nbf", "aud", "scope"])
def test_an_actor_with_anything_but_identity_is_refused(member: str) -> None:
    world = World()
    subject = world.forge(act={"sub": "desk", "iss": ISSUER, member: 1})
    check_refusal(exchange(world, subject=subject), "invalid_request")


@requirement("chain-is-never-cut")
def test_a_chain_that_is_too_long_or_loops_is_refused() -> None:
    world = World()
    act: dict[str, Any] = {"sub": "a"}
    for name in ("b", "c", "d"):
        act = {"sub": name, "act": act}
    check_refusal(exchange(world, subject=world.forge(act=act)), "invalid_request")
    loop = {"sub": "desk", "act": {"sub": "agent-runner"}}
    check_refusal(exchange(world, subject=world.forge(act=loop)), "invalid_request")


@requirement("profiles-do-not-cross")
def test_a_token_of_one_profile_is_not_exchanged_under_the_other() -> None:
    world = company()
    rfc8693 = world.forge(aud="orders-service", scope="orders:read", act={"sub": "desk", "iss": ISSUER})
    workload = world.forge(
        sub="api-gateway", aud="orders-service", scope="orders:read", act={"sub": "alice"}, dlg="workload"
    )
    for subject, audience in ((rfc8693, "payments-service"), (workload, "user-service")):
        form = exchange_form(subject, audience=audience)
        check_refusal(post(world, form, basic("orders-service")), "invalid_request")


@requirement("scope-narrows")
@requirement("invalid-scope")
@pytest.mark.parametrize("scope", ["orders:admin", "orders:read orders:admin", "unknown", "a  b", 'a"b', "é", " "])
def test_a_scope_that_cannot_be_given_is_refused_and_not_dropped(scope: str) -> None:
    check_refusal(exchange(World(), scope=scope), "invalid_scope")


# ── the answer ───────────────────────────────────────────────────────────────────────────


@requirement("issued-token")
@requirement("exchange-without-refresh")
@requirement("json")
@requirement("not-stored")
def test_an_exchange_is_answered_as_the_rfc_has_it() -> None:
    response = exchange(World(), scope="pay")
    assert response.headers["content-type"] == "application/json"
    assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
    answer = response.json()
    assert len(answer.pop("access_token").split(".")) == 3
    assert answer == {"issued_token_type": AT, "token_type": "Bearer", "expires_in": 300, "scope": "pay"}


@requirement("own-token-without-refresh")
def test_a_clients_own_token_comes_without_a_refresh_token() -> None:
    answer = post(World(), {**OWN, "audience": "reports"}).json()
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}


@requirement("scope-that-differs-is-told")
def test_the_scope_that_was_given_is_always_told() -> None:
    response = exchange(World())
    assert response.json()["scope"] == issued(response)["scope"] == "orders:read refunds:write pay log"


@requirement("at-jwt")
@requirement("at-jwt-claims")
@requirement("client-id-is-the-requester")
def test_what_is_issued_is_an_access_token_of_rfc_9068() -> None:
    response = exchange(World())
    assert header_of(response.json()["access_token"])["typ"] == "at+jwt"
    claims = issued(response)
    assert claims.keys() >= {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"}
    assert claims["client_id"] == "agent-runner"


@requirement("act-is-nested-newest-outermost")
@requirement("transaction-is-kept")
def test_the_newest_actor_is_outermost_and_the_transaction_stays() -> None:
    world = World()
    subject = world.forge(act={"sub": "desk", "iss": ISSUER}, txn="t-1")
    claims = issued(exchange(world, subject=subject))
    assert claims["act"] == {"sub": "agent-runner", "iss": ISSUER, "act": {"sub": "desk", "iss": ISSUER}}
    assert claims["txn"] == "t-1"


@requirement("lifetime-is-the-least")
@pytest.mark.parametrize(("left", "asked", "given"), [(3600, "", 300), (3600, "60", 60), (40, "", 40), (40, "60", 40)])
def test_a_token_lives_as_long_as_the_shortest_limit(left: int, asked: str, given: int) -> None:
    world = World()
    response = exchange(world, subject=world.user_token(lifetime=left), requested_expires_in=asked)
    assert (response.json()["expires_in"], issued(response)["exp"]) == (given, world.now + given)


@requirement("refusals-are-400")
@requirement("plain-error-text")
@requirement("nothing-sent-is-repeated")
@pytest.mark.parametrize(
    "name",
    [
        "grant_type", "subject_token", "subject_token_type", "actor_token", "audience", "resource", "scope",
        "requested_token_type", "requested_expires_in", "client_id",
    ],
)  # fmt: skip
def test_a_refusal_is_plain_and_repeats_nothing(name: str) -> None:
    marker = f'{secrets.token_hex(8)}"\\é<'
    response = exchange(World(), **{name: marker})
    check_refusal(response, response.json()["error"], 401 if name == "client_id" else 400)
    assert marker[:16] not in response.text


@requirement("recorded-first")
def test_nothing_is_answered_that_the_trail_does_not_hold() -> None:
    world = World()

    async def ask_with(store: MemoryStore) -> httpx.Response:
        app = Starlette(routes=routes(world.sts, world.clock, issuance=partial(Issuance, store, world.clock)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as http:
            return await http.post("/oauth2/token", data=exchange_form(world.user_token()), headers={**BASIC, **FORM})

    store = MemoryStore()
    jti = issued(asyncio.run(ask_with(store)))["jti"]
    assert [record["exchange"]["jti"] for record in store.records] == [jti]
    check_refusal(asyncio.run(ask_with(MemoryStore(refuse=frozenset({"issued"})))), "server_error", 503)
