"""How the command line looks: errors, chains, the story of a call, an inspected token."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from remit.cli.inspect_token import WARNING, inspect, print_inspection
from remit.cli.render import (
    chain_line,
    console,
    duration,
    error_document,
    parties,
    plain,
    relative_time,
    render_error,
)
from remit.cli.story import masked_headers, print_story
from remit.errors import DefinitionInvalid, PolicyDenied
from support.issuer import ABSENT, NOW, FakeIssuer, to_json

ACT = {"sub": "orders-api", "act": {"sub": "agent-runner"}}


def paper(encoding: str = "utf-8") -> Console:
    """A console that writes to memory, 80 columns wide."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    return Console(file=file, width=80, markup=False, emoji=False, highlight=False)


def printed(target: Console) -> str:
    target.file.flush()
    assert isinstance(target.file, io.TextIOWrapper)
    buffer = target.file.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(target.file.encoding)


# ── texts ──────────────────────────────────────────────────────────────────────────────


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    assert plain("\x1b[2J\u202egnp.exe\r") == r"\x1b[2J\u202egnp.exe\r"
    assert plain("Zoë 李\n[bold]") == "Zoë 李\n[bold]"


@given(st.text())
def test_what_is_printed_as_plain_is_printable(text: str) -> None:
    assert all(char.isprintable() or char == "\n" for char in plain(text))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "1 h"), (86400 * 3, "3 d")]
)
def test_a_duration_has_one_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_are_told_as_seen_from_now() -> None:
    assert relative_time(NOW + 240, NOW) == "in 4 min"
    assert relative_time(NOW - 7200, NOW) == "2 h ago"
    assert relative_time(NOW, NOW) == "now"


def test_a_chain_is_drawn_from_the_subject_to_the_current_actor() -> None:
    names = parties({"sub": "alice", "act": ACT})
    assert names == ("alice", "agent-runner", "orders-api")
    assert chain_line(names) == "alice ← agent-runner ← orders-api"
    assert chain_line(names, ascii_only=True) == "alice <- agent-runner <- orders-api"


def test_data_goes_to_stdout_and_talk_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console("data").print("data")
    console("talk").print("talk")
    assert capsys.readouterr() == ("data\n", "talk\n")


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert console().no_color


# ── errors ─────────────────────────────────────────────────────────────────────────────


def test_an_error_says_what_where_why_and_how_to_mend_it() -> None:
    error = DefinitionInvalid(
        "port is too large", where="remit.yaml:3:5", detail="70000", hint="choose one below 65536"
    )
    out = paper()
    render_error(error, out)
    assert printed(out).splitlines() == [
        "error port is too large (definition_invalid)",
        "     where  remit.yaml:3:5",
        "    detail  70000",
        "      hint  choose one below 65536",
    ]


def test_an_error_is_talk(capsys: pytest.CaptureFixture[str]) -> None:
    render_error(PolicyDenied("interns may not refund"))
    assert capsys.readouterr() == ("", "error interns may not refund (access_denied)\n")


def test_an_error_document_names_the_audit_record() -> None:
    error = PolicyDenied("interns may not refund")
    error.call_id = "01JABC"
    assert error_document(error) == {
        "code": "access_denied",
        "message": "interns may not refund",
        "audit_id": "01JABC",
    }


# ── the story ──────────────────────────────────────────────────────────────────────────

STORY: list[dict[str, Any]] = [
    {
        "step": "identify",
        "subject": "alice",
        "name": "Alice Adams",
        "issuer": "http://127.0.0.1:8700",
        "scopes": ["orders:read", "refunds:write"],
        "actor": {"sub": "agent-runner"},
        "assurance": "authenticated",
        "evidence": "actor_token",
    },
    {
        "step": "decide",
        "allow": True,
        "rule": "orders_read",
        "reasons": [{"code": "role", "message": "support may read orders", "audience": "user"}],
        "revision": "7c1ef00d",
        "duration_us": 412,
    },
    {
        "step": "exchange",
        "request": {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": "sha256:0011",
            "audience": "orders-api",
            "scope": "orders:read",
            "requested_expires_in": "120",
        },
        "answer": {
            "sub": "alice",
            "aud": "orders-api",
            "scope": "orders:read",
            "act": {"sub": "agent-runner"},
            "iat": NOW,
            "exp": NOW + 120,
            "jti": "8f2b",
        },
    },
    {
        "step": "call",
        "method": "GET",
        "url": "http://127.0.0.1:8701/orders/O1001",
        "headers": [("Authorization", "Bearer eyJhbGciOi.J9.x"), ("X-Request-ID", "01JABC")],
    },
    {"step": "result", "status": 200, "data": {"id": "O1001"}, "audit_id": "01JABC"},
]


def test_the_story_of_a_call_shows_every_step() -> None:
    out = paper()
    print_story(out, STORY)
    assert printed(out).splitlines() == [
        "alice ← agent-runner",
        "1 identify  alice",
        "      name  Alice Adams",
        "    issuer  http://127.0.0.1:8700",
        "    scopes  orders:read refunds:write",
        "     actor  agent-runner (authenticated, actor_token)",
        "2 decide    permit",
        "      rule  orders_read",
        "   because  support may read orders",
        "    policy  7c1ef00d",
        "      took  0.4 ms",
        "3 exchange  a token for orders-api",
        " asked for  orders:read, at most 120 s",
        "   subject  sha256:0011",
        "       sub  alice",
        '       act  {"sub": "agent-runner"}',
        "       aud  orders-api",
        "     scope  orders:read",
        "     lives  2 min",
        "       jti  8f2b",
        "4 call      GET http://127.0.0.1:8701/orders/O1001",
        "   headers  Authorization: Bearer ***",
        "            X-Request-ID: 01JABC",
        "5 result    200",
        "      data  {",
        '              "id": "O1001"',
        "            }",
        "  audit id  01JABC",
    ]


def test_the_story_of_a_refusal_ends_with_the_reason() -> None:
    out = paper()
    error = {"code": "access_denied", "message": "interns may not refund", "audit_id": "01JABC"}
    steps: list[dict[str, Any]] = [
        {"step": "identify", "subject": "bob", "actor": "agent-runner"},
        {"step": "decide", "allow": False, "rule": "refund", "reasons": ["interns may not refund"]},
        {"step": "result", "error": error},
    ]
    print_story(out, steps)
    lines = printed(out).splitlines()
    assert lines[0] == "bob ← agent-runner"
    assert "2 decide    deny" in lines
    assert lines[-2:] == ["3 result    access_denied: interns may not refund", "  audit id  01JABC"]


def test_a_story_fits_a_terminal_of_80_columns() -> None:
    out = paper()
    wide: dict[str, Any] = {"step": "result", "data": {"text": "long " * 100, "word": "x" * 300}}
    print_story(out, [*STORY, wide])
    assert max(len(line) for line in printed(out).splitlines()) <= 80


def test_a_story_can_be_told_in_ascii() -> None:
    out = paper("ascii")
    print_story(out, STORY)
    assert printed(out).startswith("alice <- agent-runner\n")


def test_a_long_answer_is_cut() -> None:
    out = paper()
    print_story(out, [{"step": "result", "data": list(range(100)), "truncated": True}])
    lines = printed(out).splitlines()
    assert lines[-2:] == ["            (62 more lines)", "      note  the answer was longer and has been cut"]


def test_an_unknown_step_is_told_as_it_is() -> None:
    out = paper()
    print_story(out, [{"step": "record", "id": "01JABC", "durable": True}])
    assert printed(out).splitlines() == ["1 record", "        id  01JABC", "   durable  true"]


def test_credentials_in_headers_are_masked_whatever_their_case() -> None:
    headers = {"AUTHORIZATION": "Bearer abc", "x-api-key": "s3cret", "Cookie": "a=b; c=d", "Accept": "text/plain"}
    assert masked_headers(headers) == {
        "AUTHORIZATION": "Bearer ***",
        "x-api-key": "***",
        "Cookie": "***",
        "Accept": "text/plain",
    }


# ── an inspected token ─────────────────────────────────────────────────────────────────


def test_a_token_is_told_as_a_tree_and_never_as_verified() -> None:
    out = paper()
    print_inspection(out, inspect(FakeIssuer().mint(aud="payments-api", act=ACT), NOW + 30))
    lines = printed(out).splitlines()
    assert lines[:8] == [
        WARNING,
        "alice  on whose behalf",
        "└── agent-runner  acted on behalf of alice",
        "    └── orders-api  acts on behalf of agent-runner",
        "        ├── audience payments-api",
        "        ├── scope orders:read orders:write",
        "        ├── client agent-runner",
        "        └── until 2027-01-15 08:05:00Z, in 4 min",
    ]
    assert "       exp  1800000300  (2027-01-15 08:05:00Z, in 4 min)" in lines
    assert "problems" not in lines


def test_the_problems_of_a_token_are_listed_by_code() -> None:
    token = FakeIssuer().mint(act="agent-runner", jti=3, aud=ABSENT, header={"typ": "JWT"})
    problems = inspect(token, NOW + 10_000).problems
    assert [problem.code for problem in problems] == [
        "token_type_mismatch",
        "claim_invalid",
        "claim_invalid",
        "claim_invalid",
        "token_expired",
    ]
    assert [problem.message.split()[1] for problem in problems[1:4]] == ["aud", "act", "jti"]


def test_an_expired_token_says_since_when() -> None:
    times = inspect(FakeIssuer().mint(), NOW + 300 + 7200).times
    assert times["exp"] == ("2027-01-15 08:05:00Z", "expired 2 h ago")


def test_a_token_that_strict_reading_refuses_can_still_be_looked_at() -> None:
    issuer = FakeIssuer()
    found = inspect("Bearer " + issuer.sign(b'{"alg":"none"}', b'{"sub":"alice","sub":"admin","n":1e999}'), NOW)
    assert found.claims is not None
    assert found.claims["sub"] == "admin"
    assert [problem.code for problem in found.problems] == ["token_malformed"]


def test_the_json_of_an_inspection_says_it_is_not_verified() -> None:
    document = inspect(FakeIssuer().mint(act=ACT), NOW).to_json()
    assert document["verified"] is False
    assert document["chain"] == ["alice", "agent-runner", "orders-api"]
    assert document["times"]["exp"] == {"utc": "2027-01-15 08:05:00Z", "relative": "in 5 min"}
    assert document["problems"] == []
    assert json.loads(orjson.dumps(document)) == document


def test_an_inspection_shows_no_signature() -> None:
    token = FakeIssuer().mint()
    found = inspect(token, NOW)
    out = paper()
    print_inspection(out, found)
    for shown in (printed(out), json.dumps(found.to_json()), repr(found)):
        assert token.rsplit(".", maxsplit=1)[-1] not in shown


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
claim_sets = st.dictionaries(
    st.sampled_from(["sub", "act", "aud", "exp", "iat", "nbf", "scope", "jti", "x"]), json_values
)


@given(
    st.text()
    | st.binary().map(lambda data: f"{b64(data)}.{b64(data)}.x")
    | claim_sets.map(lambda claims: f"{b64(to_json({'alg': 'ES256'}))}.{b64(to_json(claims))}.{b64(b'signature')}")
)
def test_no_garbage_breaks_the_inspection(text: str) -> None:
    found = inspect(text, NOW)
    orjson.dumps(found.to_json())
    out = paper("ascii")
    print_inspection(out, found)
    assert printed(out).startswith(WARNING)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"act":' + b'{"sub":"a","act":' * 900 + b"1" + b"}" * 900 + b"}",
        b"[" * 100_000,
        b'{"exp":' + b"9" * 5000 + b"}",
        b'{"sub":"\\ud800"}',
        b'{"exp":1e308,"iat":-1e308}',
    ],
)
def test_hostile_json_does_not_break_the_inspection(payload: bytes) -> None:
    found = inspect(FakeIssuer().sign(b'{"alg":"ES256"}', payload), NOW)
    orjson.dumps(found.to_json())
    print_inspection(paper(), found)
    assert found.problems
