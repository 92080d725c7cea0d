"""What the trail says of requests at the token endpoint, and that nothing leaves which it does not hold."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette

from remit import oauth
from remit.audit.issuance import Issuance
from remit.audit.store.reader import open_reader
from remit.audit.store.sqlite import SqliteStore
from remit.sts.endpoints import routes
from support.issuer import claims_of
from support.sts import ISSUER, SECRET, World, exchange_form
from support.trail import MemoryStore
from support.workload import company

Form = Mapping[str, str | list[str]]


def post(world: World, store: Any, form: Form, client: str = "agent-runner", secret: str = "") -> httpx.Response:
    basic = base64.b64encode(f"{client}:{(secret or SECRET.reveal()).replace(' ', '+')}".encode()).decode()

    async def main() -> httpx.Response:
        app = Starlette(routes=routes(world.sts, world.clock, issuance=partial(Issuance, store, world.clock)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as http:
            return await http.post(
                "/oauth2/token",
                content=urlencode(form, doseq=True),
                headers={"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"},
            )

    return asyncio.run(main())


def test_an_issued_token_is_recorded_with_everything_that_ties_it_to_its_parent() -> None:
    world, store = World(), MemoryStore()
    user = world.forge(txn="t-1", jti="parent", act={"sub": "desk", "iss": ISSUER})
    token = claims_of(post(world, store, exchange_form(user, scope="orders:read")).json()["access_token"])
    (record,) = store.records
    assert len(record.pop("call_id")) == 26
    assert record == {
        "kind": "issued",
        "time_ms": world.now * 1000,
        "door": "token_endpoint",
        "outcome": "success",
        "client": {"client_id": "agent-runner", "auth_method": "client_secret_basic"},
        "grant": {"type": "token-exchange", "rule": "agent-runner/orders", "profile": "rfc8693"},
        "requested": {"targets": ["orders"], "scopes": ["orders:read"]},
        "principal": {
            "subject": "alice",
            "issuer": ISSUER,
            "client_id": "agent-runner",
            "scopes": ["orders:read", "refunds:write", "pay", "log"],
            "chain": [{"sub": "desk", "iss": ISSUER}],
            "jti": "parent",
            "txn": "t-1",
        },
        "exchange": {
            "jti": token["jti"],
            "parent_jti": "parent",
            "txn": "t-1",
            "subject": "alice",
            "audience": "orders",
            "scopes": ["orders:read"],
            "exp": token["exp"],
            "chain": [{"sub": "agent-runner", "iss": ISSUER}, {"sub": "desk", "iss": ISSUER}],
            "kind": "delegated",
        },
    }


def test_a_workload_exchange_is_recorded_by_who_acts_for_whom() -> None:
    world, store = company(), MemoryStore()
    hop_1 = world.forge(sub="client-frontend", aud="orchestrator-api", scope="orders:read")
    post(world, store, exchange_form(hop_1, audience="orders-service"), "api-gateway")
    (record,) = store.records
    assert record["grant"]["profile"] == "workload"
    assert (record["exchange"]["subject"], record["exchange"]["chain"]) == (
        "client-frontend",
        [{"sub": "api-gateway", "iss": ISSUER}],
    )


def test_a_refused_exchange_is_recorded_with_what_was_known_by_then() -> None:
    world, store = World(), MemoryStore()
    response = post(world, store, exchange_form(world.forge(jti="parent"), scope="orders:admin"))
    assert response.json()["error"] == "invalid_scope"
    (record,) = store.records
    assert (record["kind"], record["outcome"], record["error"]["code"]) == ("refused", "denied", "invalid_scope")
    assert record["requested"] == {"targets": ["orders"], "scopes": ["orders:admin"]}
    assert record["principal"]["jti"] == "parent"
    assert "exchange" not in record


def test_a_refusal_before_any_token_was_read_is_recorded_too() -> None:
    world, store = World(), MemoryStore()
    post(world, store, exchange_form("nonsense", audience="unknown"))
    (record,) = store.records
    assert (record["error"]["code"], record["grant"]) == ("invalid_target", {"type": "token-exchange"})
    assert "principal" not in record


def test_a_clients_own_token_is_recorded_as_direct() -> None:
    world, store = World(), MemoryStore()
    post(world, store, {"grant_type": oauth.GRANT_CLIENT_CREDENTIALS, "audience": "reports"})
    (record,) = store.records
    assert (record["grant"]["type"], record["exchange"]["kind"]) == ("client_credentials", "direct")
    assert record["principal"] == {"subject": "agent-runner", "issuer": ISSUER}


def test_who_is_not_authenticated_leaves_no_record() -> None:
    world, store = World(), MemoryStore()
    assert post(world, store, exchange_form(world.user_token()), secret="wrong").status_code == 401
    assert not store.records


@pytest.mark.parametrize("refused", ["issued", "refused"])
def test_what_cannot_be_recorded_is_not_answered(refused: str) -> None:
    world, store = World(), MemoryStore(refuse=frozenset({refused}))
    scope = "orders:read" if refused == "issued" else "orders:admin"
    response = post(world, store, exchange_form(world.user_token(), scope=scope))
    assert (response.status_code, response.json()["error"]) == (503, "server_error")
    assert response.headers["cache-control"] == "no-store"
    assert "access_token" not in response.text


def test_no_token_and_no_secret_is_written(tmp_path: Path) -> None:
    world, store = World(), SqliteStore(tmp_path / "audit.db")
    user = world.user_token()
    issued = post(world, store, exchange_form(user)).json()["access_token"]
    post(world, store, exchange_form(user, scope=user))
    post(world, store, exchange_form(user, audience=[user]))
    post(world, store, exchange_form(user[:-4] + "AAAA"))
    store.close()
    with open_reader(tmp_path / "audit.db") as trail:
        records, report = trail.last(10), trail.verify()
    assert (report.sound, report.records, report.issuances, report.unfinished) == (True, 4, 4, ())
    written = json.dumps([record.facts for record in records])
    for text in (user, issued, SECRET.reveal()):
        for part in text.split("."):
            assert part not in written
