from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from remit import oauth
from remit.authorization.client import SignInClient, Source
from remit.credential import Credential
from support.authorization import (
    APP,
    DOCUMENT,
    ISSUER,
    MCP,
    SECRET,
    SERVER,
    SIGNER,
    TOKEN_URL,
    World,
    basic,
    claims,
    code_form,
    error_of,
    refresh_form,
)
from support.dpop import KeyHolder
from support.issuer import FakeIssuer, es256_key
from support.sts_http import BASIC as STS_BASIC
from support.sts_http import ask, check_refusal


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def redeem_as(world: World, client: SignInClient, headers: dict[str, str] | None = None, **changes: Any) -> Any:
    return world.redeem(world.code(client), headers, **{"client_id": client.client_id, **changes})


def assertion(world: World, **changes: Any) -> dict[str, Any]:
    """How SIGNER proves itself."""
    said = {"iss": "signer", "sub": "signer", "aud": ISSUER, "exp": int(world.clock.now()) + 60, **changes}
    idp = FakeIssuer("signer", now=world.clock.now())
    return {
        "client_assertion_type": oauth.CLIENT_ASSERTION_TYPE_JWT_BEARER,
        "client_assertion": idp.mint(key=es256_key("signer"), header={"typ": "JWT"}, **said),
    }


# ── who asks ──


def test_a_public_client_says_who_it_is(world: World) -> None:
    assert redeem_as(world, DOCUMENT).status_code == 200


@pytest.mark.parametrize(
    ("client", "headers", "changes"),
    [
        (APP, None, {"client_id": None}),
        (APP, None, {"client_id": "nobody"}),
        (APP, None, {"client_secret": "guess"}),
        (APP, basic(APP), {}),
        (APP, basic(APP, ""), {}),
        (SERVER, None, {}),
        (SERVER, basic(SERVER, "guess"), {}),
        (SERVER, None, {"client_secret": "guess"}),
        (SERVER, {"Authorization": "Bearer x"}, {}),
        (SIGNER, None, {}),
        (SIGNER, basic(SIGNER), {}),
    ],
    ids=lambda value: value.client_id if isinstance(value, SignInClient) else str(value),
)
def test_who_does_not_prove_what_it_has_to_is_refused_and_uses_nothing_up(
    world: World, client: SignInClient, headers: dict[str, str] | None, changes: dict[str, Any]
) -> None:
    code = world.code()
    response = world.redeem(code, headers, **{"client_id": client.client_id, **changes})
    check_refusal(response, "invalid_client", 401)
    assert response.headers["www-authenticate"].startswith("Basic ")
    assert world.redeem(code).status_code == 200


def test_a_secret_may_stand_in_the_header_or_in_the_form(world: World) -> None:
    assert redeem_as(world, SERVER, basic(SERVER)).status_code == 200
    assert redeem_as(world, SERVER, basic(SERVER), client_id=None).status_code == 200
    assert redeem_as(world, SERVER, client_secret=SECRET.reveal()).status_code == 200
    methods = [record["client"]["auth_method"] for record in world.store.records]
    assert methods == ["client_secret_basic", "client_secret_basic", "client_secret_post"]


def test_an_id_with_colons_can_stand_in_the_header(world: World) -> None:
    url = replace(SERVER, client_id="https://tool.example.org:8443/a?b=c")
    world.clients.clients[url.client_id] = url
    assert redeem_as(world, url, basic(url)).status_code == 200


def test_a_client_proves_itself_by_its_key_once_in_all_processes(world: World) -> None:
    other, sent = world.another_process(), assertion(world)
    assert claims(redeem_as(world, SIGNER, **sent))["client_assurance"] == "authenticated"
    for each in (world, other):
        assert error_of(redeem_as(each, SIGNER, **sent)) == "invalid_client"
    other.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.example"},
        {"aud": [ISSUER, "https://elsewhere.example"]},
        {"sub": "app"},
        {"iss": "app"},
        {"exp": 1},
        {"exp": 1_800_000_000 + 3600},
    ],
    ids=str,
)
def test_an_assertion_that_is_not_sound_proves_nothing(world: World, changes: dict[str, Any]) -> None:
    assert error_of(redeem_as(world, SIGNER, **assertion(world, **changes))) == "invalid_client"


def test_two_proofs_are_one_too_many(world: World) -> None:
    assert error_of(redeem_as(world, SIGNER, basic(SIGNER), **assertion(world))) == "invalid_request"


# ── which service ──


def test_the_token_service_answers_its_own_clients_as_ever(world: World) -> None:
    response = world.post({"grant_type": "client_credentials"}, STS_BASIC)
    assert response.status_code == 200
    assert error_of(world.post({"grant_type": "client_credentials", "client_id": "app"})) == "invalid_client"
    assert error_of(world.post({"grant_type": "password"}, STS_BASIC)) == "unsupported_grant_type"


def test_a_client_of_the_token_service_is_none_that_people_sign_in_through(world: World) -> None:
    form = code_form(world.code(), client_id="agent-runner")
    assert error_of(world.post(form, STS_BASIC)) == "invalid_client"


def test_pages_of_any_origin_may_ask_without_credentials(world: World) -> None:
    response = world.redeem(world.code(), {"Origin": "https://inspector.example"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers
    asked = {"Origin": "https://inspector.example", "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "dpop, content-type"
    for path in ("/oauth2/token", "/oauth2/revoke", "/oauth2/device_authorization"):
        preflight = world.run(world.ask("OPTIONS", path, headers=asked))
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "*"


def test_several_proofs_of_a_key_are_refused(world: World) -> None:
    holder, code = KeyHolder(), world.code()

    async def main() -> Any:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        headers = [*form.items(), *(("DPoP", holder.proof("POST", TOKEN_URL)) for _ in range(2))]
        return await world.ask("POST", "/oauth2/token", content=urlencode(code_form(code)), headers=headers)

    assert error_of(asyncio.run(main())) == "invalid_dpop_proof"


# ── the trail ──


def test_each_token_is_recorded_with_who_for_whom_and_what(world: World) -> None:
    response = world.signed_in()
    [record] = world.store.records
    said = claims(response)
    assert record["kind"] == "issued"
    assert record["client"] == {"client_id": "app", "auth_method": "none"}
    assert record["grant"]["type"] == "authorization_code"
    assert record["principal"] == {"subject": "alice", "issuer": ISSUER}
    told = record["exchange"]
    assert {name: told[name] for name in ("jti", "txn", "subject", "audience", "scopes", "exp", "kind")} == {
        "jti": said["jti"],
        "txn": said["txn"],
        "subject": "alice",
        "audience": MCP,
        "scopes": ["orders:read", "orders:write"],
        "exp": said["exp"],
        "kind": "sign_in",
    }


def test_no_code_token_or_secret_is_recorded(world: World) -> None:
    code = world.code(SERVER)
    first = world.redeem(code, basic(SERVER), client_id="server").json()
    second = world.refresh(first["refresh_token"], basic(SERVER), client_id="server").json()
    world.refresh(first["refresh_token"], basic(SERVER), client_id="server")
    written = json.dumps([world.store.records, world.told])
    secrets = [
        code,
        SECRET.reveal(),
        *(each[name] for each in (first, second) for name in ("access_token", "refresh_token")),
    ]
    assert [secret for secret in secrets if secret in written] == []


def test_what_is_refused_is_recorded_unless_anybody_could_have_asked(world: World) -> None:
    world.redeem("made-up")
    world.refresh("x" * 65)
    world.redeem(world.code(), code_verifier=None)
    assert world.store.records == []
    world.redeem(world.code(), redirect_uri="https://elsewhere.example")
    [record] = world.store.records
    assert (record["kind"], record["error"]["code"]) == ("refused", "invalid_grant")


def test_a_secret_that_anybody_can_have_does_not_let_them_fill_the_trail(world: World) -> None:
    stranger = replace(SERVER, client_id="dynamic.server.x1", source=Source.DYNAMIC)
    world.clients.clients[stranger.client_id] = stranger
    for form in (code_form("made-up"), refresh_form("x" * 65), code_form(world.code(stranger), code_verifier=None)):
        assert world.post({**form, "client_id": stranger.client_id}, basic(stranger)).status_code == 400
    assert world.store.records == []
    world.redeem("made-up", basic(SERVER), client_id="server")
    assert len(world.store.records) == 1


def test_strangers_leave_room_for_the_assertions_of_the_operators_own_clients(world: World) -> None:
    stranger = replace(SIGNER, source=Source.METADATA_DOCUMENT)
    own, kinds = assertion(world), []
    for client, sent in ((stranger, assertion(world)), (SIGNER, own)):
        world.clients.clients["signer"] = client
        assert redeem_as(world, client, **sent).status_code == 200
        kinds.append(world.run(world.file.run(_kinds_of_used)))
    assert [len(each) for each in kinds] == [1, 2]


def _kinds_of_used(connection: sqlite3.Connection, _: int) -> set[str]:
    return {kind for (kind,) in connection.execute("SELECT kind FROM used")}


def test_what_cannot_be_recorded_is_not_issued(world: World) -> None:
    world.store.refuse = frozenset({"issued"})
    response = world.signed_in()
    check_refusal(response, "server_error", 503)


def test_a_refresh_token_whose_answer_could_not_leave_counts_still(world: World) -> None:
    token = world.signed_in().json()["refresh_token"]
    world.store.refuse = frozenset({"issued"})
    check_refusal(world.refresh(token), "server_error", 503)
    world.store.refuse = frozenset()
    assert world.refresh(token).status_code == 200
    assert error_of(world.refresh(token)) == "invalid_grant"


def test_a_proof_that_came_before_uses_no_refresh_token_up(world: World) -> None:
    proof = {"DPoP": KeyHolder().proof("POST", TOKEN_URL)}
    token = world.redeem(world.code(), proof).json()["refresh_token"]
    assert error_of(world.refresh(token, proof)) == "invalid_dpop_proof"
    assert world.refresh(token, {"DPoP": KeyHolder().proof("POST", TOKEN_URL)}).status_code == 200


def test_a_file_that_cannot_be_used_is_no_fault_of_the_client(world: World) -> None:
    code = world.code()
    world.file.close()
    check_refusal(world.redeem(code), "server_error", 503)


# ── metadata ──


def metadata(world: World, path: str = "/.well-known/oauth-authorization-server") -> dict[str, Any]:
    document: dict[str, Any] = world.run(world.ask("GET", path)).json()
    return document


def test_the_metadata_say_what_people_can_sign_in_with(world: World) -> None:
    document = metadata(world)
    assert document["issuer"] == ISSUER
    assert document["authorization_endpoint"] == f"{ISSUER}/oauth2/authorize"
    assert document["device_authorization_endpoint"] == f"{ISSUER}/oauth2/device_authorization"
    assert document["response_types_supported"] == ["code"]
    assert document["response_modes_supported"] == ["query"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True
    assert set(document["grant_types_supported"]) == {
        oauth.GRANT_CLIENT_CREDENTIALS,
        oauth.GRANT_TOKEN_EXCHANGE,
        oauth.GRANT_AUTHORIZATION_CODE,
        oauth.GRANT_REFRESH_TOKEN,
        oauth.GRANT_DEVICE_CODE,
    }
    for name in ("token", "revocation"):
        assert "none" in document[f"{name}_endpoint_auth_methods_supported"]
    assert "none" not in document["introspection_endpoint_auth_methods_supported"]
    assert "ES256" in document["dpop_signing_alg_values_supported"]
    assert {"orders:read", "orders:write"} <= set(document["scopes_supported"])
    assert document["prompt_values_supported"] == ["consent", "login", "none", "select_account"]
    assert "registration_endpoint" not in document
    assert "authorization_grant_profiles_supported" not in document
    assert metadata(world, "/.well-known/openid-configuration") == document


def test_the_metadata_without_sign_in_are_those_of_the_token_service(world: World) -> None:
    assert not {name for name in metadata_of_the_token_service(world) if "authorization_endpoint" in name}
    assert metadata_of_the_token_service(world)["response_types_supported"] == []


def metadata_of_the_token_service(world: World) -> dict[str, Any]:
    document: dict[str, Any] = ask(world.token_service, "GET", "/.well-known/oauth-authorization-server").json()
    return document


def test_a_secret_is_not_shown_by_a_client() -> None:
    client = replace(SERVER, secret_digest=Credential("hunter2hunter2hunter2").digest)
    assert client.secret_digest.hex() not in repr(client)
