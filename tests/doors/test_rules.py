"""The rules of the MCP doors, by themselves."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.bridge import CallResult
from remit.credential import UnverifiedToken
from remit.doors.challenge import Challenge, step_up_for
from remit.doors.hosts import AllowedHosts
from remit.doors.mcp.admitted import read_message
from remit.doors.mcp.arguments import MAX_DEPTH, MAX_WEIGHT, check_bounds
from remit.doors.mcp.listing import page_of
from remit.doors.mcp.rendering import answered, protocol_fault, refusal, unknown_tool
from remit.doors.possession import Shown, TokenReader
from remit.downstream.file import File
from remit.downstream.result import ToolResult
from remit.errors import ApprovalRequired, ArgumentsInvalid, PolicyDenied, RemitError, StepUpRequired, TokenExpired
from support.clock import FakeClock
from support.mcp_door import a_tool

HEADER_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def leaves(kind: type[RemitError] = RemitError) -> list[type[RemitError]]:
    below = [leaf for child in kind.__subclasses__() for leaf in leaves(child)]
    return below or [kind]


# ── tokens and challenges ────────────────────────────────────────────────────────────────


def shown(authorization: list[str], query: bytes) -> UnverifiedToken | Challenge:
    return TokenReader(FakeClock()).read(Shown("POST", "https://mcp.example.com/mcp", authorization, [], query))


@pytest.mark.parametrize("header", ["Bearer abc.def-_~+/==", "bearer abc", "BEARER  abc "])
def test_a_bearer_token_is_read(header: str) -> None:
    token = shown([header], b"")
    assert isinstance(token, UnverifiedToken)
    assert token.reveal().startswith("abc")


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a b", 'Bearer "x"', "Bearer é", "Bearer ==", "Bearer a,b"]
)
def test_a_bearer_header_without_a_token_in_it_is_invalid(header: str) -> None:
    challenge = shown([header], b"")
    assert isinstance(challenge, Challenge)
    assert (challenge.status, challenge.error) == (401, "invalid_token")


@given(HEADER_TEXT)
def test_whatever_the_header_the_answer_is_a_token_or_a_challenge_that_repeats_nothing(header: str) -> None:
    answer = shown([header], b"")
    if isinstance(answer, Challenge):
        line = answer.header("https://mcp.example.com/.well-known/oauth-protected-resource/mcp")
        assert re.fullmatch(r'Bearer (\w+="[^"\\]*"(, |$))+', line)
    else:
        assert re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", answer.reveal())


@given(st.binary(max_size=200))
def test_any_query_is_read_without_failing(query: bytes) -> None:
    shown(["Bearer abc"], query)


# ── hosts ────────────────────────────────────────────────────────────────────────────────


def test_the_public_url_is_allowed_by_itself() -> None:
    allowed = AllowedHosts.of("https://mcp.example.com:8443/mcp")
    assert allowed.admits_host(["mcp.example.com:8443"])
    assert allowed.admits_origin(["https://mcp.example.com:8443"])
    assert not allowed.admits_host(["mcp.example.com:9"])


@pytest.mark.parametrize("values", [[], ["localhost", "localhost"], ["localhost", "evil.example"]])
def test_there_is_exactly_one_host(values: list[str]) -> None:
    assert not AllowedHosts.of("https://mcp.example.com/mcp").admits_host(values)


@given(HEADER_TEXT)
def test_a_strange_host_is_never_admitted(host: str) -> None:
    name = re.sub(r":\d{1,5}\Z", "", host.lower())
    known = name in {"127.0.0.1", "localhost", "[::1]", "mcp.example.com"}
    assert AllowedHosts.of("https://mcp.example.com/mcp").admits_host([host]) == known


# ── arguments and messages ───────────────────────────────────────────────────────────────


def nested(depth: int) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for level in range(depth - 1):
        arguments = {"a": arguments if level % 2 else [arguments]}
    return arguments


def test_arguments_of_ordinary_size_pass() -> None:
    check_bounds({"order_id": 7, "lines": [{"sku": "x", "count": 2}] * 100, "note": None})
    check_bounds({"a": [[[[]]]]})


def test_arguments_nested_too_deep_are_refused() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    check_bounds({"a": deep})
    with pytest.raises(ArgumentsInvalid):
        check_bounds({"a": [deep]})


@pytest.mark.parametrize("arguments", [{"a": "x" * MAX_WEIGHT}, {"a": [0] * MAX_WEIGHT}, {"x" * MAX_WEIGHT: 1}])
def test_arguments_that_are_too_large_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsInvalid):
        check_bounds(arguments)


@given(JSON)
def test_any_json_is_read_as_a_message_without_failing(value: Any) -> None:
    message = read_message(json.dumps(value).encode())
    assert isinstance(message, dict)


@given(st.binary(max_size=200))
def test_any_body_is_read_as_a_message_without_failing(body: bytes) -> None:
    read_message(body)


# ── rendering ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("leaf", leaves(), ids=lambda leaf: leaf.__name__)
def test_every_error_is_rendered_without_its_detail_and_hint(leaf: type[RemitError]) -> None:
    error = leaf.__new__(leaf)  # whatever else its constructor wants
    RemitError.__init__(error, "it did not work", detail="DETAIL", hint="HINT")
    if isinstance(error, ApprovalRequired):
        error.approval_id, error.expires_at, error.question = "01K", 1_800_000_000, "QUESTION"
    error.status, error.retry_after = 0, 0  # type: ignore[attr-defined]
    error.call_id = "01J"
    for shown in (refusal(error).model_dump_json(), protocol_fault(error).error.model_dump_json()):
        assert "DETAIL" not in shown
        assert "HINT" not in shown
        assert "QUESTION" not in shown
        assert '"audit_id":"01J"' in shown
        assert f'"code":"{leaf.code}"' in shown


def test_a_call_that_waits_for_approval_is_told_what_waits_until_when_and_what_to_do() -> None:
    error = ApprovalRequired(
        "this call needs the approval of role:lead",
        approval_id="01K",
        by_user=False,
        expires_at=1_800_000_000,
        question="…",
    )
    text = refusal(error).content[0].text  # type: ignore[union-attr]
    assert text.startswith("This call needs the approval of role:lead. Nothing was called.")
    assert "as 01K until 2027-01-15 08:00:00 UTC" in text
    assert "`remit approvals grant 01K`" in text
    assert "Call it again, unchanged, once it is approved." in text
    told = refusal(error).structured_content["error"]
    assert (told["code"], told["approval_id"], told["expires_at"]) == ("approval_required", "01K", 1_800_000_000)


@given(st.text(max_size=20), st.text(max_size=20), st.integers(0, 86_400))
def test_nothing_that_policy_demands_breaks_out_of_a_challenge(scope: str, acr: str, age: int) -> None:
    error = StepUpRequired("again", acr_values=(acr, "mfa"), max_age=age, scope=scope)
    challenge = step_up_for(error, ("mcp",))
    assert challenge is not None
    header = challenge.header("https://mcp.example.com/meta")
    assert header.isascii()
    assert header.isprintable()
    assert re.fullmatch(r'Bearer (\w+="[^"\\]*"(, |$))+', header)
    assert "mfa" in header


def test_a_refusal_without_an_audit_id_shows_none() -> None:
    result = refusal(PolicyDenied("no"))
    assert result.meta is None
    assert "audit" not in json.dumps(result.structured_content)


@given(st.text(max_size=3000))
def test_no_text_brings_control_characters_or_length_to_the_agent(text: str) -> None:
    message = refusal(PolicyDenied(text)).structured_content["error"]["message"]
    assert message.isprintable()
    assert len(message) <= 2000
    assert len(unknown_tool(text).error.message) <= 80
    assert unknown_tool(text).error.message.isprintable()


@pytest.mark.parametrize(
    ("media", "content"),
    [
        ("image/png", {"type": "image", "data": "//4=", "mimeType": "image/png"}),
        ("audio/wav", {"type": "audio", "data": "//4=", "mimeType": "audio/wav"}),
        (
            "application/pdf",
            {
                "type": "resource",
                "resource": {"uri": "remit://calls/C1/file", "mimeType": "application/pdf", "blob": "//4="},
            },
        ),
    ],
)
def test_a_file_stands_beside_what_is_said_of_it(media: str, content: dict[str, Any]) -> None:
    file = File(media, b"\xff\xfe")
    result = answered(
        CallResult("C1", ToolResult(file.facts, "what it is", truncated=False, size=2, file=file)), any_json=True
    )
    said, shown = (block.model_dump(by_alias=True, mode="json", exclude_none=True) for block in result.content)
    assert said == {"type": "text", "text": "what it is"}
    assert shown == content
    assert result.structured_content == file.facts


def test_somebody_not_signed_in_is_told_to_sign_in() -> None:
    fault = protocol_fault(TokenExpired("the token has expired"))
    assert fault.error.data["error"]["help"] == "The person has to sign in again."


# ── lists ────────────────────────────────────────────────────────────────────────────────


@given(st.sets(st.text(max_size=3), max_size=12), st.text(max_size=3))
def test_any_cursor_starts_after_that_name(names: set[str], cursor: str) -> None:
    tools = [a_tool(name) for name in sorted(names)]
    page = page_of(tools, cursor)
    assert [tool.name for tool in page.tools] == [name for name in sorted(names) if name > cursor or not cursor]
