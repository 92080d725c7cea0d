from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from remit.errors import ClaimInvalid, PolicyDenied, ScopeInsufficient, SettingsInvalid, TokenMissing
from remit.resource import BearerMiddleware, Delegation, ResourceServer, delegation_of, require
from remit.tokens.jwks import JwksClient, KeySource, LiveKeys, StaticKeys
from remit.tokens.verifier import TrustedIssuer
from remit.web import http_client
from support.clock import FakeClock
from support.issuer import ABSENT, NOW, FakeIssuer, es256_key
from support.servers import serving

API = "https://orders.example"
IDP = FakeIssuer(audience=API)
RUNNER = {"sub": "agent-runner"}
CHAIN = {"sub": "orders", "act": {"sub": "agent-runner"}}


def minted(**changes: Any) -> str:
    return IDP.mint(**{"act": RUNNER, **changes})


def bearer(**changes: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {minted(**changes)}"}


async def show(request: Request) -> Response:
    delegation = delegation_of(request)
    return JSONResponse(
        {"subject": delegation.principal, "actor": delegation.current_actor, "scopes": delegation.scopes}
    )


async def refund(request: Request) -> Response:
    require(request, scopes="orders:read orders:refund")
    return JSONResponse({})


async def runner_only(request: Request) -> Response:
    require(request, actor="agent-runner", max_depth=1)
    return JSONResponse({})


async def half_said(_: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        raise PolicyDenied("too late")

    return StreamingResponse(body())


async def health(_: Request) -> Response:
    return JSONResponse({"ok": True})


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(delegation_of(websocket).principal)
    await websocket.close()


def resource_server(keys: KeySource | None = None, **switches: Any) -> ResourceServer:
    issuer = TrustedIssuer(IDP.issuer, frozenset({"ES256"}), keys or StaticKeys(IDP.jwks()))
    return ResourceServer(API, [issuer], FakeClock(NOW), **switches)


def app(server: ResourceServer | None = None) -> Starlette:
    return Starlette(
        routes=[
            Route("/", show),
            Route("/refund", refund, methods=["POST"]),
            Route("/runner", runner_only),
            Route("/half", half_said),
            Route("/health", health),
            WebSocketRoute("/echo", echo),
        ],
        middleware=[
            Middleware(
                BearerMiddleware, server=server or resource_server(), realm="orders", public=frozenset({"/health"})
            )
        ],
    )


@asynccontextmanager
async def client(server: ResourceServer | None = None) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app(server))
    async with httpx.AsyncClient(transport=transport, base_url=API) as api:
        yield api


@pytest.mark.anyio
async def test_a_delegated_token_is_served_over_a_real_socket() -> None:
    async with serving(app()) as url, http_client() as api:
        answer = await api.get(url, headers=bearer())
        assert answer.json() == {
            "subject": "alice",
            "actor": "agent-runner",
            "scopes": ["orders:read", "orders:write"],
        }
        refused = await api.post(f"{url}/refund", headers=bearer(), content=b"x" * 100_000)
        assert refused.status_code == 403
        assert refused.headers["www-authenticate"] == (
            'Bearer realm="orders", error="insufficient_scope", '
            'error_description="scope orders:read orders:refund is needed", scope="orders:read orders:refund"'
        )


@pytest.mark.anyio
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    async with client() as api:
        answer = await api.get("/", headers={"Authorization": f"{scheme} {minted()}"})
        assert answer.status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": ""}, {"X-Token": "x"}])
async def test_without_a_token_the_challenge_carries_no_error_code(headers: dict[str, str]) -> None:
    async with client() as api:
        answer = await api.get("/", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="orders"'
        assert answer.headers["cache-control"] == "no-store"
        assert "error" not in answer.json()


INVALID: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "garbage": lambda: "not-a-token",
    "two tokens": lambda: f"{minted()} {minted()}",
    "a comma list": lambda: f"{minted()},{minted()}",
    "expired": lambda: minted(exp=NOW - 100),
    "for another API": lambda: minted(aud="https://payments.example"),
    "of another issuer": lambda: minted(iss='https://rogue.example/"\\é\n' + "x" * 300),
    "signed by a stranger": lambda: minted(key=es256_key("rogue")),
    "an id token": lambda: minted(header={"typ": "JWT"}),
    "no actor": lambda: minted(act=ABSENT),
    "an actor that is not the client": lambda: minted(act={"sub": "somebody-else"}),
    "a former actor is the client": lambda: minted(act={"sub": "somebody-else", "act": RUNNER}),
    "the workload profile": lambda: minted(dlg="workload"),
    "a profile that is no name": lambda: minted(dlg=None),
    "a chain too deep": lambda: minted(act={"sub": "agent-runner", "act": {"sub": "x", "act": {"sub": 1}}}),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", INVALID)
async def test_an_unacceptable_token_is_invalid_token(name: str) -> None:
    async with client() as api:
        answer = await api.get("/", headers={"Authorization": f"Bearer {INVALID[name]()}"})
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_token"
    assert answer.headers["cache-control"] == "no-store"
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="orders", error="invalid_token", error_description="')
    description = challenge.removesuffix('"').rsplit('="', 1)[1]
    assert 0 < len(description) <= 200
    assert description.isascii()
    assert description.isprintable()
    assert '"' not in description
    assert "\\" not in description


@pytest.mark.anyio
async def test_a_token_that_is_bound_to_a_key_is_no_bearer_token() -> None:
    async with client() as http:
        for cnf in ({"jkt": "thumbprint"}, {"x5t#S256": "AA"}, None):
            response = await http.get("/", headers=bearer(cnf=cnf))
            assert response.status_code == 401
            assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


@pytest.mark.anyio
async def test_two_authorization_headers_are_refused_even_if_both_are_good() -> None:
    header = ("Authorization", f"Bearer {minted()}")
    async with client() as api:
        answer = await api.get("/", headers=[header, header])
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["access_token", "access%5Ftoken"])
async def test_a_token_in_the_query_is_refused_with_or_without_the_header(name: str) -> None:
    async with client() as api:
        for headers in ({}, bearer()):
            answer = await api.get(f"/?a=b&{name}={minted()}", headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert (await api.get("/?token_access=1", headers=bearer())).status_code == 200


@pytest.mark.anyio
async def test_a_missing_scope_is_said_with_all_that_is_needed() -> None:
    async with client() as api:
        refused = await api.post("/refund", headers=bearer(scope="orders:read"))
        assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
        assert 'scope="orders:read orders:refund"' in refused.headers["www-authenticate"]
        assert (await api.post("/refund", headers=bearer(scope="orders:refund orders:read"))).status_code == 200


@pytest.mark.anyio
async def test_only_the_current_actor_counts_for_access() -> None:
    async with client() as api:
        assert (await api.get("/runner", headers=bearer())).status_code == 200
        further = await api.get("/runner", headers=bearer(act=CHAIN, client_id="orders"))
        assert (further.status_code, further.json()["error"]) == (403, "access_denied")
        assert "orders" not in further.json()["error_description"]


@pytest.mark.anyio
async def test_a_chain_longer_than_permitted_is_refused() -> None:
    async with client() as api:
        again = {"sub": "agent-runner", "act": {"sub": "orders"}}
        assert (await api.get("/runner", headers=bearer(act=again))).status_code == 403


@pytest.mark.anyio
async def test_keys_that_cannot_be_had_are_no_verdict_on_the_token() -> None:
    async with client(resource_server(LiveKeys(lambda: {"keys": []}))) as api:
        answer = await api.get("/", headers=bearer())
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "30"
        assert "www-authenticate" not in answer.headers
        assert answer.json()["error"] == "temporarily_unavailable"


@pytest.mark.anyio
async def test_the_keys_may_be_fetched_from_the_issuer() -> None:
    async def jwks(_: Request) -> Response:
        return JSONResponse(IDP.jwks())

    issuer = Starlette(routes=[Route("/jwks", jwks)])
    async with serving(issuer) as url, http_client() as fetcher:
        keys = JwksClient(f"{url}/jwks", client=fetcher)
        async with client(resource_server(keys)) as api:
            assert (await api.get("/", headers=bearer())).status_code == 200


@pytest.mark.anyio
async def test_a_public_path_needs_no_token_and_its_neighbours_do() -> None:
    async with client() as api:
        assert (await api.get("/health")).status_code == 200
        for path in ("/health/", "/healthz", "/Health", "//health", "/"):
            assert (await api.get(path)).status_code == 401


@pytest.mark.anyio
async def test_a_direct_token_is_served_where_that_is_allowed() -> None:
    async with client(resource_server(allow_direct=True)) as api:
        assert (await api.get("/", headers=bearer(act=ABSENT))).json()["actor"] == ""
        assert (await api.get("/", headers=bearer(act={"sub": "somebody-else"}))).status_code == 401
        assert (await api.get("/runner", headers=bearer(act=ABSENT))).status_code == 403


@pytest.mark.anyio
async def test_an_actor_of_another_name_than_the_client_is_served_where_that_is_allowed() -> None:
    async with client(resource_server(allow_foreign_actor=True)) as api:
        assert (await api.get("/", headers=bearer(act={"sub": "bot-7"}))).json()["actor"] == "bot-7"
        assert (await api.get("/", headers=bearer(act=ABSENT))).status_code == 401


@pytest.mark.anyio
async def test_an_error_after_the_answer_began_is_not_papered_over() -> None:
    async with client() as api:
        with pytest.raises(PolicyDenied):
            await api.get("/half", headers=bearer())


@pytest.mark.anyio
async def test_each_request_has_its_own_delegation() -> None:
    shared: dict[str, Any] = {"pool": "shared"}
    seen: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing(*_: object) -> Message:
        return {"type": "http.disconnect"}

    guarded = BearerMiddleware(inner, server=resource_server())
    for subject in ("alice", "bob"):
        headers = [(b"authorization", f"Bearer {minted(sub=subject)}".encode())]
        scope = {"type": "http", "path": "/", "headers": headers, "query_string": b"", "state": shared}
        await guarded(scope, nothing, nothing)  # type: ignore[arg-type]
    assert [delegation_of(Request(scope)).principal for scope in seen] == ["alice", "bob"]
    assert shared == {"pool": "shared"}
    assert all(scope["state"]["pool"] == "shared" for scope in seen)


def test_a_websocket_needs_a_token_as_well() -> None:
    with TestClient(app()) as api:
        with pytest.raises(WebSocketDisconnect), api.websocket_connect("/echo"):
            pass
        with api.websocket_connect("/echo", headers=bearer()) as websocket:
            assert websocket.receive_text() == "alice"


def test_without_the_middleware_there_is_no_delegation() -> None:
    with pytest.raises(TokenMissing):
        delegation_of(Request({"type": "http"}))
    with pytest.raises(TokenMissing):
        delegation_of(Request({"type": "http", "state": {"remit_delegation": {"subject": "alice"}}}))


@pytest.mark.parametrize("realm", ['a"b', "a\\b", "a\nb", "é"])
def test_a_realm_that_would_break_the_header_is_refused(realm: str) -> None:
    with pytest.raises(SettingsInvalid):
        BearerMiddleware(app(), server=resource_server(), realm=realm)


# ── the delegation itself ────────────────────────────────────────────────────────────────


async def delegation(**changes: Any) -> Delegation:
    headers = [(b"authorization", f"Bearer {minted(**changes)}".encode())]
    return await resource_server(allow_direct=True).authenticate(headers)


@pytest.mark.anyio
async def test_a_service_in_the_middle_sees_the_chain_and_keeps_the_token_for_its_exchange() -> None:
    text = minted(act=CHAIN, client_id="orders", txn="t1", jti="j1")
    by = await resource_server().authenticate([(b"authorization", f"Bearer {text}".encode())])
    assert (by.principal, by.current_actor, by.client_id, by.issuer) == ("alice", "orders", "orders", IDP.issuer)
    assert [actor.sub for actor in by.chain.actors] == ["orders", "agent-runner"]
    assert (by.expires_at, by.txn, by.jti) == (NOW + 300, "t1", "j1")
    assert by.claims["aud"] == API
    assert by.subject_token.reveal() == text
    assert not any(part in repr(by) for part in text.split("."))


@pytest.mark.anyio
async def test_scopes_are_required_as_text_or_as_a_list() -> None:
    by = await delegation(scope="a b")
    by.require(scopes="a b")
    by.require(scopes=["b"])
    by.require()
    for wanted in ("a c", ["c"], {"a", "b", "c"}):
        with pytest.raises(ScopeInsufficient):
            by.require(scopes=wanted)


@pytest.mark.anyio
@pytest.mark.parametrize("actor", ["agent-runner", ["agent-runner"], {"x", "agent-runner"}])
async def test_the_actor_is_one_of_those_named(actor: Any) -> None:
    (await delegation()).require(actor=actor)


@pytest.mark.anyio
@pytest.mark.parametrize("actor", ["agent-runner-2", "agent", "", [], ["agent"], ["a", "g"], [""]])
async def test_another_actor_is_refused_and_part_of_a_name_is_another(actor: Any) -> None:
    for changes in ({}, {"act": {"sub": "agent-runne"}, "client_id": "agent-runne"}, {"act": ABSENT}):
        with pytest.raises(PolicyDenied):
            (await delegation(**changes)).require(actor=actor)


@pytest.mark.anyio
async def test_a_token_of_the_other_profile_is_not_read_as_if_it_were_of_this_one() -> None:
    with pytest.raises(ClaimInvalid):
        await delegation(dlg="workload")
    assert (await delegation(dlg="rfc8693")).current_actor == "agent-runner"
