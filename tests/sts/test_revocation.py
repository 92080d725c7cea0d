"""What was revoked counts everywhere: at exchange, in other processes, for the right tokens and no others."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import timeit
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from remit import oauth
from remit.clock import SystemClock
from remit.credential import Credential
from remit.errors import (
    GrantError,
    GrantUnavailable,
    InvalidRequest,
    RevocationUnknown,
    SettingsInvalid,
    StateInvalid,
    TokenRevoked,
    UnauthorizedClient,
)
from remit.sts.endpoints import metadata_document
from remit.sts.returning import MAX_PER_CLIENT
from remit.sts.revocation import Kind, Order, RevocationFile, RevocationList
from remit.tokens.verifier import VerifiedToken
from support.issuer import FakeIssuer, claims_of
from support.revocation import Guarded, basic
from support.sts import AGENT, BRIDGE, ISSUER, ORDERS, ROGUE, exchange_form

PATH = "/oauth2/revoke"
AT = oauth.TOKEN_TYPE_ACCESS_TOKEN


@pytest.fixture
def sts(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path)


def token(sts: Guarded, **changes: Any) -> VerifiedToken:
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": "orders",
        "client_id": "agent-runner",
        "iat": sts.world.now,
        "exp": sts.world.now + 300,
        "jti": "j1",
        "txn": "t1",
        "act": {"sub": "orders-api", "act": {"sub": "agent-runner"}},
        **changes,
    }
    return VerifiedToken(Credential("x"), {}, claims)


def exchange(sts: Guarded, subject_token: str, **changes: Any) -> dict[str, Any]:
    return asyncio.run(sts.world.grant(AGENT, exchange_form(subject_token, **changes)))


# ── which tokens ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("order", "hit"),
    [
        (Order(Kind.JTI, "j1"), True),
        (Order(Kind.JTI, "j2"), False),
        (Order(Kind.JTI, "t1"), False),
        (Order(Kind.TXN, "t1"), True),
        (Order(Kind.TXN, "j1"), False),
        (Order(Kind.SUBJECT, "alice"), True),
        (Order(Kind.SUBJECT, "Alice"), False),
        (Order(Kind.SUBJECT, "orders-api"), False),
        (Order(Kind.ACTOR, "orders-api"), True),  # acts now
        (Order(Kind.ACTOR, "agent-runner"), True),  # its client_id
        (Order(Kind.ACTOR, "alice"), False),
    ],
    ids=lambda value: f"{value.kind.value} {value.value}" if isinstance(value, Order) else str(value),
)
def test_a_revocation_is_about_the_tokens_it_names(sts: Guarded, order: Order, hit: bool) -> None:
    sts.revocations.add(order)
    assert sts.revocations.is_revoked(token(sts)) is hit
    if hit:
        with pytest.raises(TokenRevoked):
            sts.revocations.check(token(sts))


def test_an_actor_that_acted_before_is_history(sts: Guarded) -> None:
    sts.revocations.add(Order(Kind.ACTOR, "agent-runner"))
    assert not sts.revocations.is_revoked(token(sts, client_id="orders-api"))


def test_a_workload_token_has_its_principal_innermost_and_its_actor_in_sub(sts: Guarded) -> None:
    hop = token(sts, sub="api-gateway", client_id="api-gateway", act={"sub": "client-frontend"}, dlg="workload")
    sts.revocations.add(Order(Kind.SUBJECT, "api-gateway"))
    assert not sts.revocations.is_revoked(hop)
    sts.revocations.add(Order(Kind.SUBJECT, "client-frontend"))
    assert sts.revocations.is_revoked(hop)


def test_a_subject_is_logged_out_of_what_was_issued_until_then_and_may_sign_in_again(sts: Guarded) -> None:
    before = token(sts)
    sts.revocations.add(Order(Kind.SUBJECT, "alice"))
    sts.world.clock.advance(1)
    assert sts.revocations.is_revoked(before)
    assert not sts.revocations.is_revoked(token(sts))


def test_a_principal_is_found_by_the_name_of_another_issuer_too(sts: Guarded) -> None:
    sts.revocations.add(Order(Kind.SUBJECT, "00u1"))
    assert sts.revocations.is_revoked(token(sts), "00u1")
    assert sts.revocations.is_revoked(token(sts, sub_id="00u1"))
    assert not sts.revocations.is_revoked(token(sts, sub_id={"format": "opaque", "id": "00u1"}))


def test_a_revocation_ends_with_its_time_and_when_it_is_lifted(sts: Guarded) -> None:
    sts.revocations.add(Order(Kind.TXN, "t1", until=sts.world.now + 60))
    lasting = sts.revocations.add(Order(Kind.SUBJECT, "alice"))
    assert [each.order.kind for each in sts.revocations.entries()] == [Kind.TXN, Kind.SUBJECT]
    sts.revocations.lift(lasting.id)
    assert sts.revocations.is_revoked(token(sts))
    sts.world.clock.advance(60)
    assert not sts.revocations.is_revoked(token(sts))
    assert sts.revocations.entries() == ()
    with pytest.raises(StateInvalid, match="no revocation 2"):
        sts.revocations.lift(lasting.id)


@pytest.mark.parametrize("value", ["", "a\nb", "x" * 257])
def test_a_name_that_no_token_can_have_is_refused(value: str) -> None:
    with pytest.raises(SettingsInvalid):
        Order(Kind.SUBJECT, value)


# ── at exchange ──────────────────────────────────────────────────────────────────────────


def test_a_revoked_subject_token_is_not_exchanged(sts: Guarded) -> None:
    text = sts.world.user_token()
    assert exchange(sts, text)["access_token"]
    sts.revocations.add(Order(Kind.JTI, claims_of(text)["jti"]))
    with pytest.raises(InvalidRequest, match="subject_token is not acceptable: revoked"):
        exchange(sts, text)


def test_the_children_of_a_revoked_transaction_go_with_it(sts: Guarded) -> None:
    text = sts.world.user_token()
    child = exchange(sts, text, scope="orders:read pay")["access_token"]
    sts.revocations.add(Order(Kind.TXN, claims_of(text)["txn"]))
    with pytest.raises(InvalidRequest, match="revoked"):
        asyncio.run(sts.world.grant(ORDERS, exchange_form(child, audience="payments", scope="pay")))
    assert sts.post("/oauth2/introspect", {"token": child}, basic(ORDERS)).json() == {"active": False}


def test_a_revoked_actor_token_is_not_accepted(sts: Guarded) -> None:
    actor = asyncio.run(sts.world.actor_token())
    sts.revocations.add(Order(Kind.JTI, claims_of(actor)["jti"]))
    with pytest.raises(InvalidRequest, match="actor_token is not acceptable: revoked"):
        exchange(sts, sts.world.user_token(), actor_token=actor, actor_token_type=AT)


def test_a_client_that_is_switched_off_gets_no_token_of_any_kind(sts: Guarded) -> None:
    revocation = sts.revocations.add(Order(Kind.ACTOR, "agent-runner"))
    with pytest.raises(UnauthorizedClient):
        exchange(sts, sts.world.user_token())
    with pytest.raises(UnauthorizedClient):
        asyncio.run(sts.world.actor_token())
    response = sts.post("/oauth2/token", exchange_form(sts.world.user_token()))
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")
    sts.revocations.lift(revocation.id)
    assert exchange(sts, sts.world.user_token())["access_token"]


def test_nothing_is_issued_while_it_is_not_known_what_was_revoked(tmp_path: Path) -> None:
    sts = Guarded(tmp_path)
    text = sts.world.user_token()
    for file in tmp_path.iterdir():
        file.unlink()
    sts.world.clock.advance(9)
    assert exchange(sts, text)["access_token"]
    sts.world.clock.advance(1)
    for _ in range(2):
        with pytest.raises(GrantUnavailable):
            exchange(sts, text)
    with pytest.raises(RevocationUnknown):
        sts.revocations.check(token(sts))
    sts.another_process()  # makes the file anew
    assert exchange(sts, text)["access_token"]


# ── RFC 7009 ─────────────────────────────────────────────────────────────────────────────


def test_a_client_gives_its_token_back(sts: Guarded) -> None:
    text = sts.world.user_token()
    for _ in range(2):
        response = sts.post(PATH, {"token": text, "token_type_hint": "access_token"})
        assert (response.status_code, response.json()) == (200, {})
        assert response.headers["cache-control"] == "no-store"
    with pytest.raises(InvalidRequest, match="revoked"):
        exchange(sts, text)
    jti = claims_of(text)["jti"]
    assert sts.recorded == [("revoke", {"kind": "jti", "value": jti, "by": "client:agent-runner"})]
    [entry] = sts.revocations.entries()
    assert entry.order.until == claims_of(text)["exp"] + 60


def test_a_token_of_another_client_is_not_given_back(sts: Guarded) -> None:
    text = sts.world.user_token()
    for client in (ORDERS, ROGUE):
        response = sts.post(PATH, {"token": text}, basic(client))
        assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")
    assert exchange(sts, text)["access_token"]


@pytest.mark.parametrize("text", ["x", "a.b.c", FakeIssuer().mint(), FakeIssuer(issuer=ISSUER, audience=BRIDGE).mint()])
def test_what_is_no_token_of_this_service_is_gone_already(sts: Guarded, text: str) -> None:
    assert sts.post(PATH, {"token": text}).status_code == 200
    assert sts.revocations.entries() == ()


def test_nobody_revokes_without_proof_of_who_they_are(sts: Guarded) -> None:
    text = sts.world.user_token()
    for headers in ({}, {"Authorization": "Basic eDp5"}):
        assert sts.post(PATH, {"token": text, "client_id": "agent-runner"}, headers).status_code == 401
    assert sts.post(PATH, {}).json()["error"] == "invalid_request"
    assert exchange(sts, text)["access_token"]


def test_a_client_that_revokes_without_end_is_stopped_and_stops_nobody_else(
    sts: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit.sts.returning.MAX_PER_CLIENT", 3)
    assert MAX_PER_CLIENT > 3
    texts = [sts.world.user_token() for _ in range(4)]
    assert [sts.post(PATH, {"token": text}).status_code for text in texts] == [200, 200, 200, 503]
    other = sts.world.forge(client_id="orders-api", jti="other")
    assert sts.post(PATH, {"token": other}, basic(ORDERS)).status_code == 200
    sts.revocations.add(Order(Kind.ACTOR, "agent-runner"))
    with pytest.raises(GrantError):
        exchange(sts, texts[3])


def test_the_metadata_name_both_endpoints_and_how_clients_prove_themselves(sts: Guarded) -> None:
    document = metadata_document(ISSUER, sts.world.clients, revocation=True)
    assert document["introspection_endpoint"] == f"{ISSUER}/oauth2/introspect"
    assert document["revocation_endpoint"] == f"{ISSUER}/oauth2/revoke"
    for name in ("token", "introspection", "revocation"):
        assert document[f"{name}_endpoint_auth_methods_supported"] == [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ]
        assert document[f"{name}_endpoint_auth_signing_alg_values_supported"] == ["ES256", "RS256"]
    assert "revocation_endpoint" not in metadata_document(ISSUER, sts.world.clients)


# ── several processes ────────────────────────────────────────────────────────────────────


def test_another_process_learns_of_it_within_a_second(sts: Guarded) -> None:
    other = sts.another_process()
    assert not other.is_revoked(token(sts))
    revocation = sts.revocations.add(Order(Kind.JTI, "j1"))
    assert sts.revocations.is_revoked(token(sts))  # here at once
    sts.world.clock.advance(0.5)
    assert other.is_revoked(token(sts))
    sts.revocations.lift(revocation.id)
    sts.world.clock.advance(0.5)
    assert not other.is_revoked(token(sts))
    assert sts.another_process().entries() == ()


def add_many(directory: str, first: int) -> None:
    revocations = RevocationList(RevocationFile(Path(directory) / "revocations.db"), SystemClock())
    for number in range(first, first + 25):
        revocations.add(Order(Kind.JTI, f"j{number}"))
    revocations.close()


def test_processes_that_start_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(add_many, [str(tmp_path)] * 4, range(0, 100, 25)))
    found = RevocationList(RevocationFile(tmp_path / "revocations.db"), SystemClock()).entries()
    assert {each.order.value for each in found} == {f"j{number}" for number in range(100)}
    assert len({each.id for each in found}) == 100


CHILD = """
import sys
from pathlib import Path
from remit.clock import SystemClock
from remit.sts.revocation import Kind, Order, RevocationFile, RevocationList
revocations = RevocationList(RevocationFile(Path(sys.argv[1])), SystemClock())
number = 0
while True:
    revocations.add(Order(Kind.JTI, f"j{number}"))
    print(number, flush=True)
    number += 1
"""


def test_what_was_revoked_before_a_process_was_killed_stays_revoked(tmp_path: Path) -> None:
    file = tmp_path / "revocations.db"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(file)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    said = [int(child.stdout.readline()) for _ in range(20)]
    child.kill()
    said += [int(line) for line in child.stdout.read().split(b"\n") if line.strip()]
    child.wait()
    child.stdout.close()
    found = {each.order.value for each in RevocationList(RevocationFile(file), SystemClock()).entries()}
    assert {f"j{number}" for number in said} <= found


def test_a_file_that_was_replaced_is_read_anew(sts: Guarded, tmp_path: Path) -> None:
    sts.revocations.add(Order(Kind.JTI, "j1"))
    assert sts.revocations.is_revoked(token(sts))
    sts.revocations.close()
    elsewhere = RevocationFile(tmp_path / "backup" / "revocations.db")
    elsewhere.add(Order(Kind.JTI, "j2"), now=sts.world.now)
    for name in ("revocations.db-wal", "revocations.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "backup" / "revocations.db").replace(tmp_path / "revocations.db")
    sts.world.clock.advance(1)
    assert not sts.revocations.is_revoked(token(sts))
    assert sts.revocations.is_revoked(token(sts, jti="j2"))


# ── the file ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(os.name != "posix", reason="the file modes of POSIX")
def test_the_file_is_for_its_owner_alone(sts: Guarded) -> None:
    sts.revocations.add(Order(Kind.JTI, "j1"))
    assert {path.stat().st_mode & 0o777 for path in sts.directory.iterdir()} == {0o600}


@pytest.mark.parametrize("content", [b"hello " * 100, b"SQLite format 3\x00" + b"x" * 4096])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "revocations.db").write_bytes(content)
    with pytest.raises(StateInvalid):
        RevocationFile(tmp_path / "revocations.db")


def test_a_file_of_another_release_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "revocations.db")) as connection:
        connection.execute("PRAGMA user_version = 7")
        connection.commit()
    with pytest.raises(StateInvalid):
        RevocationFile(tmp_path / "revocations.db")


def test_a_row_that_cannot_be_read_is_trouble_and_not_passed_over(sts: Guarded) -> None:
    with closing(sqlite3.connect(sts.directory / "revocations.db")) as connection:
        connection.execute("INSERT INTO revocations (at, kind, value, reason, by) VALUES (1, 'tenant', 'x', '', '')")
        connection.commit()
    with pytest.raises(StateInvalid):
        sts.revocations.entries()
    sts.world.clock.advance(10)
    with pytest.raises(RevocationUnknown):
        sts.revocations.check(token(sts))


def test_what_has_passed_is_dropped_from_the_file_and_from_memory(sts: Guarded) -> None:
    for number in range(100):
        sts.revocations.add(Order(Kind.JTI, f"j{number}", until=sts.world.now + 30))
    assert sts.revocations.is_revoked(token(sts))
    sts.world.clock.advance(61)
    assert not sts.revocations.is_revoked(token(sts))
    assert not sts.revocations._by_id
    assert not sts.revocations._by_name
    sts.revocations.add(Order(Kind.JTI, "last"))
    with closing(sqlite3.connect(sts.directory / "revocations.db")) as connection:
        assert connection.execute("SELECT count(*), max(id) FROM revocations").fetchone() == (1, 101)


def test_asking_costs_next_to_nothing_while_nothing_is_revoked(tmp_path: Path) -> None:
    revocations = RevocationList(RevocationFile(tmp_path / "revocations.db"), SystemClock())
    known = VerifiedToken(Credential("x"), {}, {"exp": 4_000_000_000, "iss": ISSUER, "sub": "alice"})
    seconds = min(timeit.repeat(lambda: revocations.check(known), number=10_000, repeat=5)) / 10_000
    assert seconds < 4e-6  # about 0.3 µs; with room for a busy machine


def test_a_clock_that_is_set_back_ends_no_revocation(sts: Guarded) -> None:
    sts.revocations.add(Order(Kind.JTI, "j1", until=sts.world.now + 60))
    sts.revocations.add(Order(Kind.SUBJECT, "bob"))
    sts.world.clock.advance(-3600)
    assert sts.revocations.is_revoked(token(sts))
    assert sts.revocations.is_revoked(token(sts, sub="bob"))
