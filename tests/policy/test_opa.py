"""``OpaEngine`` against servers that misbehave, on real sockets. With OPA itself: test_engines.py."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from httpx import Headers
from hypothesis import given
from hypothesis import strategies as st

from remit.credential import Credential
from remit.errors import PolicyFailed, PolicyInvalid
from remit.policy.breaker import Breaker
from remit.policy.decision import Decision, Deny, Permit
from remit.policy.input import Phase, empty_document
from remit.policy.opa import OpaEngine, OpaPlace
from remit.policy.opa_answer import Said, Undecided, read_answer
from remit.web import Answer
from support.clock import FakeClock
from support.fake_opa import (
    PERMIT,
    PROVENANCE,
    Asked,
    Behaviour,
    FakeOpa,
    answers,
    drips,
    fake_opa,
    hangs,
    response,
    says,
    sends,
    unanswered,
)
from support.opa import needs_unix_sockets
from support.policy import engine as embedded
from support.policy import question

pytestmark = pytest.mark.anyio

SECRET = "s3cret-4rgument"
TOKEN = Credential("t0ken-for-opa")
DOCUMENT = question(arguments={"id": SECRET}).document()


@asynccontextmanager
async def asking(
    behave: Behaviour, *, clock: FakeClock | None = None, **place: Any
) -> AsyncIterator[tuple[OpaEngine, FakeOpa]]:
    """An engine, and the server it asks."""
    async with fake_opa(behave) as fake:
        engine = OpaEngine(fake.place(token=TOKEN, **place), clock or FakeClock())
        try:
            yield engine, fake
        finally:
            await engine.aclose()


def failure(decision: Decision) -> str:
    """Why there is no decision. It is a deny that tells the caller nothing, and nobody what was asked or sent."""
    assert isinstance(decision, Deny)
    assert decision.failed
    assert [reason.code for reason in decision.reasons] == ["policy_failed"]
    with pytest.raises(PolicyFailed):
        decision.require_permit()
    assert SECRET not in repr(decision)
    assert TOKEN.reveal() not in repr(decision)
    return decision.detail


# ── a server as it should be ─────────────────────────────────────────────────────────────


async def test_a_permit_says_by_which_revision_and_under_which_of_the_servers_ids() -> None:
    permit = {**PERMIT, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"seconds": 60}}]}
    async with asking(says(permit, decision_id="5f1c-11")) as (engine, _):
        assert engine.revision == ""
        decision = await engine.decide(DOCUMENT)
        assert isinstance(decision, Permit)
        assert [obligation.type for obligation in decision.obligations] == ["limit_lifetime"]
        assert (decision.revision, decision.decision_id, decision.rule) == ("r7", "5f1c-11", "p/1")
        assert engine.revision == "r7"


async def test_the_input_digest_is_the_embedded_engines() -> None:
    async with asking(says(PERMIT)) as (engine, _):
        decision = await engine.decide(DOCUMENT)
    other = await embedded('package remit.authz\nimport rego.v1\ndecision := {"allow": false}').decide(DOCUMENT)
    assert decision.input_digest == other.input_digest


async def test_it_asks_for_one_decision_with_strict_errors_and_shows_the_token() -> None:
    async with asking(says(PERMIT), decision="company/mcp/verdict") as (engine, fake):
        assert (await engine.decide(DOCUMENT)).allow
        (asked,) = fake.requests
    assert asked.method == "POST"
    assert asked.path == "/v1/data/company/mcp/verdict?strict-builtin-errors=true&provenance=true"
    assert asked.headers["authorization"] == f"Bearer {TOKEN.reveal()}"
    assert json.loads(asked.body) == {"input": DOCUMENT}


async def test_one_connection_serves_many_decisions() -> None:
    async with asking(says(PERMIT)) as (engine, fake):
        for _ in range(20):
            assert (await engine.decide(DOCUMENT)).allow
        assert (len(fake.requests), fake.connections) == (20, 1)


@needs_unix_sockets
async def test_over_a_unix_socket_it_is_the_same() -> None:
    # Not pytest's folder: the path of a socket may be about a hundred bytes long.
    with tempfile.TemporaryDirectory() as folder:
        async with fake_opa(says(PERMIT), Path(folder) / "s") as fake:
            engine = OpaEngine(fake.place(), FakeClock())
            await engine.check_ready()
            assert [(await engine.decide(DOCUMENT)).allow for _ in range(3)] == [True, True, True]
            assert fake.connections == 1
            assert "authorization" not in fake.requests[-1].headers
            await engine.aclose()


async def test_no_proxy_of_the_environment_sees_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setitem(os.environ, name, unanswered())
    async with asking(says(PERMIT)) as (engine, _):
        assert (await engine.decide(DOCUMENT)).allow


@pytest.mark.parametrize(
    ("provenance", "revision"),
    [
        ({"bundles": {"b": {"revision": "2"}, "a": {"revision": "1"}}}, "1,2"),
        ({"bundles": {"a": {"revision": ""}, "b": {}}}, "opa"),
        ({"version": "1.20.2"}, "opa"),
        ({"bundles": {"a": {"revision": 7}, "b": None}}, "opa"),
        ({"bundles": []}, "opa"),
        (None, "opa"),
        ({"bundles": {"a": {"revision": "x" * 999}}}, "x" * 200),
    ],
)
async def test_the_revision_is_that_of_the_servers_bundles(provenance: Any, revision: str) -> None:
    async with asking(answers(200, {"result": PERMIT, "provenance": provenance})) as (engine, _):
        decision = await engine.decide(DOCUMENT)
        assert (decision.allow, decision.revision) == (True, revision)


async def test_callers_at_once_get_each_their_own_answer() -> None:
    async def echo(asked: Asked) -> None:
        await says({"allow": asked.input["arguments"]["n"] % 2 == 0, "policy": str(asked.input["arguments"]["n"])})(
            asked
        )

    async with asking(echo) as (engine, fake):
        documents = [{**DOCUMENT, "arguments": {"n": n}} for n in range(200)]
        decisions = await engine.decide_many(documents)
        assert [(decision.allow, decision.rule) for decision in decisions] == [(n % 2 == 0, str(n)) for n in range(200)]
        assert fake.most <= 8, "a list leaves room for other callers"
        await asyncio.gather(*map(engine.decide, documents))
        assert fake.connections <= 32


# ── a server as it should not be ─────────────────────────────────────────────────────────

QUOTING = {
    "code": "internal_error",
    "message": f"cannot parse {SECRET}",
    "errors": [
        {
            "code": "eval_builtin_error",
            "message": f"to_number: {SECRET}",
            "location": {"file": "b/authz.rego", "row": 7, "col": 3},
        }
    ],
}
ODD_PLACES = {"errors": [{"code": SECRET, "location": {"file": SECRET, "row": 1, "col": 1}}]}
TWICE = b'{"result": {"allow": false}, "result": {"allow": true}}'
BOMB = b'{"result": "' + b"x" * (1024 * 1024) + b'"}'


@pytest.mark.parametrize(
    ("behave", "detail"),
    [
        (answers(500, QUOTING), "status 500: eval_builtin_error at b/authz.rego:7:3"),
        (answers(500, ODD_PLACES), "status 500"),
        (answers(500, [SECRET]), "status 500"),
        (sends(response(500, SECRET.encode())), "status 500"),
        (answers(400, {"code": "invalid_parameter", "message": SECRET}), "status 400"),
        (answers(401, {"result": PERMIT}), "status 401"),
        (answers(404, {"result": PERMIT}), "status 404"),
        (answers(201, {"result": PERMIT}), "status 201"),
        (answers(503, {"result": PERMIT}), "status 503"),
        (answers(200, {"provenance": PROVENANCE}), "data.remit.authz.decision is undefined"),
        (answers(200, {"Result": PERMIT}), "undefined"),
        (answers(200, [PERMIT]), "not a JSON object"),
        (answers(200, None), "not a JSON object"),
        (answers(200, "true"), "not a JSON object"),
        (sends(response(200, b"")), "malformed"),
        (sends(response(200, SECRET.encode())), "malformed"),
        (sends(response(200, TWICE)), "appears twice"),
        (sends(response(200, b'{"result": {"allow": tru')), "malformed"),
        (sends(response(200, b'{"result": {"allow": true, "policy": NaN}}')), "malformed"),
        (sends(response(200, b"[" * 5000)), "malformed"),
        (sends(response(200, b"\xff\xfe")), "malformed"),
        (says(None), "not an object"),
        (says(True), "not an object"),
        (says("true"), "not an object"),
        (says({}), "allow"),
        (says({"allow": "true"}), "allow"),
        (says({"allow": 1}), "allow"),
        (says({"allow": None}), "allow"),
        (says({**PERMIT, "extra": SECRET}), "extra"),
        (says({**PERMIT, "obligations": [{"id": "x", "type": "notify", "properties": {}}]}), "notify"),
        (sends(response(200, BOMB)), "larger than"),
        (sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"ffff0\r\n%b\r\n" % (b"x" * 0xFFFF0) * 2), "larger than"),
        (sends(response(200, b"x" * 100, "Content-Encoding: gzip, gzip\r\n")), "larger than"),
        (sends(response(200, b"no gzip", "Content-Encoding: gzip\r\n")), "broke off"),
        (sends(b"SSH-2.0-OpenSSH_9.9\r\n", then_closes=True), "broke off"),
        (sends(b"", then_closes=True), "broke off"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", then_closes=True), "broke off"),
        (sends(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"), "broke off"),
    ],
)  # fmt: skip
async def test_whatever_is_not_exactly_a_permit_denies(behave: Behaviour, detail: str) -> None:
    async with asking(behave) as (engine, fake):
        assert detail in failure(await engine.decide(DOCUMENT))
        assert len(fake.requests) == 1, "what may have been read is not sent again"
        fake.behave = says(PERMIT)
        assert (await engine.decide(DOCUMENT)).allow, "one bad answer spoils no other"


@pytest.mark.parametrize(
    "behave",
    [hangs, drips, sends(b"HTTP/1.1 200 OK\r\n", then_hangs=True), sends(response(200, b"{}")[:-1], then_hangs=True)],
    ids=["silent", "drip", "half-a-head", "half-a-body"],
)
async def test_a_slow_server_is_waited_for_no_longer_than_the_timeout(behave: Behaviour) -> None:
    async with asking(behave, timeout=0.2) as (engine, fake):
        async with asyncio.timeout(0.6):
            assert "within 0.2 s" in failure(await engine.decide(DOCUMENT))
        assert len(fake.requests) == 1


async def test_a_redirect_is_not_followed() -> None:
    async with fake_opa(says(PERMIT)) as elsewhere:
        place = f"Location: http://127.0.0.1:{elsewhere.port}/\r\n"
        for status in (301, 302, 307, 308):
            async with asking(answers(status, {"result": PERMIT}, place)) as (engine, _):
                assert f"status {status}" in failure(await engine.decide(DOCUMENT))
        assert not elsewhere.requests


async def test_an_obligation_that_cannot_be_enforced_here_denies() -> None:
    permit = {**PERMIT, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"seconds": 60}}]}
    document = {**DOCUMENT, "context": {**DOCUMENT["context"], "supported_obligations": ["narrow_scopes"]}}
    async with asking(says(permit)) as (engine, _):
        assert "limit_lifetime cannot be enforced here" in failure(await engine.decide(document))


async def test_nobody_listening_denies(tmp_path: Path) -> None:
    places = [OpaPlace(url=unanswered())]
    if sys.platform != "win32":
        places += [OpaPlace(socket=tmp_path / "missing.sock"), OpaPlace(socket=tmp_path / ("long" * 60))]
    for place in places:
        engine = OpaEngine(place, FakeClock())
        assert failure(await engine.decide(DOCUMENT)) == "the OPA server cannot be reached"
        await engine.aclose()


async def test_a_document_that_is_not_json_is_not_sent() -> None:
    async with asking(says(PERMIT)) as (engine, fake):
        good, bad = DOCUMENT, {**DOCUMENT, "arguments": {"x": object()}}
        decisions = await engine.decide_many([good, bad, good])
        assert [decision.allow for decision in decisions] == [True, False, True]
        assert failure(decisions[1]) == "the input is not JSON"
        assert len(fake.requests) == 2


async def test_a_cancelled_decision_is_given_up_and_the_next_one_is_made() -> None:
    arrived = asyncio.Event()

    async def hang(asked: Asked) -> None:
        arrived.set()
        await hangs(asked)

    async with asking(hang) as (engine, fake):
        task = asyncio.create_task(engine.decide(DOCUMENT))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        fake.behave = says(PERMIT)
        assert (await engine.decide(DOCUMENT)).allow


async def test_closing_denies_what_is_under_way_and_what_comes_later() -> None:
    arrived = asyncio.Event()

    async def hang(asked: Asked) -> None:
        arrived.set()
        await hangs(asked)

    async with asking(hang, timeout=20) as (engine, _):
        task = asyncio.create_task(engine.decide(DOCUMENT))
        await arrived.wait()
        await engine.aclose()
        async with asyncio.timeout(5):
            assert "broke off" in failure(await task)
        assert failure(await engine.decide(DOCUMENT)) == "the engine is closed"


async def test_no_more_than_32_questions_are_asked_at_once() -> None:
    full, release = asyncio.Event(), asyncio.Event()

    async def wait(asked: Asked) -> None:
        if len(fake.requests) == 32:
            full.set()
        await release.wait()
        await says(PERMIT)(asked)

    async with asking(wait, timeout=20) as (engine, fake):
        deciding = asyncio.gather(*[engine.decide(DOCUMENT) for _ in range(100)])
        await full.wait()
        release.set()
        assert all(decision.allow for decision in await deciding)
        assert (len(fake.requests), fake.most) == (100, 32)


async def test_waiting_for_a_turn_counts_towards_the_timeout() -> None:
    async with asking(hangs, timeout=0.3) as (engine, _):
        async with asyncio.timeout(0.9):
            decisions = await asyncio.gather(*[engine.decide(DOCUMENT) for _ in range(100)])
        assert all(failure(decision) for decision in decisions)


# ── the breaker ──────────────────────────────────────────────────────────────────────────

SHUT = "the OPA server failed several times in a row, so it is not asked for a moment"


async def test_a_server_that_keeps_failing_is_left_alone_and_tried_again_about_nobody() -> None:
    clock = FakeClock()
    async with asking(sends(b"", then_closes=True), clock=clock) as (engine, fake):
        for _ in range(5):
            assert "broke off" in failure(await engine.decide(DOCUMENT))
        for decision in await engine.decide_many([DOCUMENT] * 20):
            assert failure(decision) == SHUT
        assert len(fake.requests) == 5

        clock.advance(2)
        assert "broke off" in failure(await engine.decide(DOCUMENT))
        assert fake.requests[-1].input == empty_document(Phase.TOOL_LIST)
        assert failure(await engine.decide(DOCUMENT)) == SHUT
        assert len(fake.requests) == 6

        fake.behave = says(PERMIT)
        clock.advance(2)
        assert (await engine.decide(DOCUMENT)).allow
        assert [asked.input["subject"]["id"] for asked in fake.requests[6:]] == ["", "alice"]
        assert (await engine.decide(DOCUMENT)).allow
        assert len(fake.requests) == 9


async def test_one_probe_at_a_time_and_a_cancelled_one_makes_room() -> None:
    clock = FakeClock()
    arrived = asyncio.Event()

    async def hang(asked: Asked) -> None:
        arrived.set()
        await hangs(asked)

    async with asking(sends(b"", then_closes=True), clock=clock) as (engine, fake):
        for _ in range(5):
            await engine.decide(DOCUMENT)
        clock.advance(2)
        fake.behave = hang
        probe = asyncio.create_task(engine.decide(DOCUMENT))
        await arrived.wait()
        assert failure(await engine.decide(DOCUMENT)) == SHUT
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        fake.behave = says(PERMIT)
        assert (await engine.decide(DOCUMENT)).allow


async def test_a_question_that_fails_each_time_does_not_shut_others_off() -> None:
    async with asking(answers(500, QUOTING)) as (engine, fake):
        for _ in range(12):
            assert "status 500" in failure(await engine.decide(DOCUMENT))
        fake.behave = says(PERMIT)
        assert (await engine.decide(DOCUMENT)).allow


def test_a_breaker_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(limit=3, pause=2)
    for _ in range(10):
        breaker.failed(0)
        breaker.failed(0)
        breaker.succeeded()
    assert not breaker.is_open
    for _ in range(3):
        breaker.failed(10)
    assert breaker.is_open


def test_late_failures_do_not_lengthen_the_pause_and_a_failed_probe_begins_another() -> None:
    breaker = Breaker(limit=1, pause=2)
    breaker.failed(0)
    breaker.failed(1.9)
    assert not breaker.begin_probe(1.9)
    assert breaker.begin_probe(2)
    assert not breaker.begin_probe(2)
    breaker.failed(3)
    breaker.end_probe()
    assert not breaker.begin_probe(4.9)
    assert breaker.begin_probe(5)
    breaker.succeeded()
    breaker.end_probe()
    assert not breaker.is_open
    assert not breaker.begin_probe(99), "there is nothing to find out"


# ── before it is used ────────────────────────────────────────────────────────────────────


async def test_a_sound_server_is_tried_about_nobody_in_every_phase() -> None:
    async with asking(says({"allow": False})) as (engine, fake):
        await engine.check_ready()
        health, *questions = fake.requests
    assert (health.method, health.path) == ("GET", "/health?bundles=true&plugins=true")
    assert [asked.input for asked in questions] == [empty_document(phase) for phase in Phase]


def version(text: Any) -> Behaviour:
    return answers(200, {"result": {"allow": False}, "provenance": {"version": text}})


@pytest.mark.parametrize(
    ("behave", "message", "detail"),
    [
        (hangs, "cannot be asked", "within 0.2 s"),
        (sends(b"", then_closes=True), "cannot be asked", "broke off"),
        (answers(502, {}), "cannot be asked", "status 502"),
        (answers(500, {"error": "one or more bundles are not activated"}), "not ready", "/health"),
        (answers(401, {"code": "unauthorized"}), "no usable decision for tool_list", "status 401"),
        (answers(200, {"provenance": PROVENANCE}), "no usable decision", "data.remit.authz.decision is undefined"),
        (says(True), "no usable decision", "not an object"),
        (says({"allow": True, "obligations": [{}]}), "no usable decision", "obligation"),
        (version("1.16.2"), "too old", "1.16.2"),
        (version("0.70.0"), "too old", "0.70.0"),
        (version(None), "too old", ""),
        (version("newest"), "too old", ""),
        (answers(200, {"result": {"allow": False}}), "too old", ""),
    ],
)
async def test_a_server_that_cannot_be_used_is_refused_at_start(behave: Behaviour, message: str, detail: str) -> None:
    async with asking(behave, timeout=0.2) as (engine, fake):
        with pytest.raises(PolicyInvalid) as caught:
            await engine.check_ready()
        assert message in caught.value.message
        assert detail in caught.value.detail
        assert caught.value.where == f"http://127.0.0.1:{fake.port}"
        assert caught.value.hint


@pytest.mark.parametrize("text", ["1.17.0", "v1.17.1", "1.20.2", "2.0.0-dev"])
async def test_an_opa_that_knows_the_import_of_not_will_do(text: str) -> None:
    async with asking(version(text)) as (engine, _):
        await engine.check_ready()


async def test_one_phase_without_a_decision_is_enough_to_refuse_a_server() -> None:
    async def partial(asked: Asked) -> None:
        phase = asked.input["phase"] if asked.body else ""
        await (answers(200, {"provenance": PROVENANCE}) if phase == "result" else says({"allow": False}))(asked)

    async with asking(partial) as (engine, _):
        with pytest.raises(PolicyInvalid, match="for result"):
            await engine.check_ready()


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"url": "http://127.0.0.1:8181", "socket": Path("opa.sock")},
        {"url": "http://opa.example:8181"},
        {"url": "https://user:pass@opa.example"},
        {"url": "https://opa.example/?pretty"},
        {"url": "ftp://opa.example"},
        {"url": "https://opa.example", "decision": "remit/../config"},
        {"url": "https://opa.example", "decision": ""},
        {"url": "https://opa.example", "token": Credential("two\nlines")},
    ],
)
def test_a_place_where_no_question_may_be_sent_is_refused(place: dict[str, Any]) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        OpaPlace(**place)
    assert caught.value.where.startswith("policy.opa")
    assert "lines" not in repr(caught.value)


def test_a_url_may_have_a_path_before_the_api() -> None:
    place = OpaPlace(url="https://opa.example/sidecar/")
    assert str(place.endpoint("health")) == "https://opa.example/sidecar/health"


def test_on_windows_a_unix_socket_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(PolicyInvalid, match="on Windows"):
        OpaPlace(socket=Path("opa.sock"))


def test_a_place_does_not_show_its_token() -> None:
    assert TOKEN.reveal() not in repr(OpaPlace(url="https://opa.example", token=TOKEN))


# ── whatever comes ───────────────────────────────────────────────────────────────────────

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["result", "errors", "location"]), inner)
    ),
)


def read(status: int, body: bytes) -> Said | None:
    try:
        return read_answer(Answer(status, Headers(), body), "data.x")
    except Undecided:
        return None


@given(st.sampled_from([200, 500]), st.binary() | _json.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused(status: int, body: bytes) -> None:
    said = read(status, body)
    assert said is None or (status == 200 and json.loads(body)["result"] == said.result)


@given(_json, _json, _json)
def test_what_the_server_says_of_itself_is_never_in_the_way(result: Any, provenance: Any, decision_id: Any) -> None:
    document = {"result": {"allow": False}, "provenance": provenance, "decision_id": decision_id, "metrics": result}
    said = read(200, json.dumps(document).encode())
    if said is not None:
        assert said.result == {"allow": False}
        assert said.revision
        assert len(said.revision) <= 200
