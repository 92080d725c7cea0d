"""What an API says of an error, in words a model can use; and nothing else of it, whatever it answers."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.tool import Tool
from remit.credential import Credential
from remit.downstream.client import ApiClient
from remit.downstream.request import build_request
from remit.downstream.response import ApiResponse
from remit.downstream.result import shape
from remit.downstream.words import UNSAID, code_in, message_in, readable
from remit.errors import DownstreamError, DownstreamFailed, DownstreamRefused, DownstreamUnavailable, ResponseUnusable
from support.recording_api import http, recording_api
from support.tools import CONTEXT, problems_of, tool_of

TOLD = "The shop refused ({status}, {code}): {message}"
TOOL = tool_of({"response": {"errors": {"4xx": TOLD, "5xx": TOLD}}})
SECRET = "hunter2"


def refused(body: Any, status: int = 422, media: str = "application/json", tool: Tool = TOOL) -> DownstreamError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(DownstreamError) as caught:
        shape(tool, ApiResponse(status, {"content-type": media}, content))
    return caught.value


# ── the usual forms ──


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"type": "about:blank", "title": "Conflict", "status": 409}, UNSAID, "Conflict"),
        (
            {"type": "https://x.example/out-of-credit", "title": "No", "detail": "30 left"},
            "https://x.example/out-of-credit",
            "30 left",
        ),
        ({"type": "out-of-credit", "title": "You have no credit."}, "out-of-credit", "You have no credit."),
        ({"error": {"code": "amount_too_large", "message": "Too much."}}, "amount_too_large", "Too much."),
        ({"error": {"code": 400, "status": "INVALID", "message": "Bad name"}}, "400", "Bad name"),
        ({"error": "invalid_grant", "error_description": "It expired"}, "invalid_grant", "It expired"),
        ({"error": "Too many open orders"}, UNSAID, "Too many open orders"),
        ({"errors": [{"code": "E7", "detail": "Name is too long"}, {"detail": "b"}]}, "E7", "Name is too long"),
        ({"errors": ["Name is too long"]}, UNSAID, "Name is too long"),
        ({"message": "Not today", "code": 17}, "17", "Not today"),
        ({"error": {"code": "x", "message": {"lang": "en", "value": "OData says no"}}}, "x", "OData says no"),
        ({"fault": {"faultstring": "Rate limit"}}, UNSAID, "Rate limit"),
        ({"errorCode": "A1", "errorMessage": "No"}, "A1", "No"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_code_and_message_are_found_in_the_usual_forms(body: Any, code: str, message: str) -> None:
    assert (code_in(body), message_in(body)) == (code, message)
    assert refused(body).message == f"The shop refused (422, {code}): {message}"


@pytest.mark.parametrize(
    "body", [None, [], "text", 5, {}, {"error": []}, {"errors": []}, {"errors": {}}, {"message": {}}]
)
def test_where_nothing_is_said_it_says_so(body: Any) -> None:
    assert (code_in(body), message_in(body)) == (UNSAID, UNSAID)


def test_a_sentence_of_the_tool_goes_before_its_apis() -> None:
    upstream = {"errors": {"404": "Nothing there.", "4xx": "Refused: {message}"}}
    own = tool_of({"response": {"errors": {"404": "No order has that id."}}}, upstream)
    assert refused({}, 404, tool=own).message == "No order has that id."
    assert refused({"detail": "no"}, 409, tool=own).message == "Refused: no"
    assert refused({}, 404, tool=tool_of({}, upstream)).message == "Nothing there."
    assert tool_of({}, upstream).digest != tool_of().digest


def test_what_is_wrong_with_an_apis_sentences_is_said() -> None:
    assert "no error status" in problems_of(upstream={"errors": {"200": "x"}})
    assert "begins no placeholder" in problems_of(upstream={"errors": {"4xx": "{reason}"}})


# ── nasty answers ──


@pytest.mark.parametrize(
    "text",
    [
        "<html><body>hunter2</body></html>",
        "  <!DOCTYPE html><p>hunter2",
        "Error <pre>Traceback hunter2</pre>",
        "x" * 700 + "</div> hunter2",
    ],
)
def test_no_page_is_a_message(text: str) -> None:
    assert message_in({"message": text}) == UNSAID
    assert message_in({"error": {"message": text}, "title": "Bad gateway"}) == "Bad gateway"


@pytest.mark.parametrize(
    "text",
    [
        "token eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2ln is bad",
        "got Authorization: Bearer abcdef0123456789",
        "got authorization: basic dXNlcjpwYXNz=",
        "got DPoP abcdefghij0123456789",
        "x" * 170 + " Bearer abcdefghij01234567890123456789",
    ],
)
def test_what_looks_like_a_credential_is_not_repeated(text: str) -> None:
    told = message_in({"message": text})
    assert "[credential]"[:9] in told
    assert not any(secret in told for secret in ("eyJ", "abcdef", "dXNlcjpwYXNz"))


def test_ordinary_words_stay() -> None:
    for text in ("Basic authentication is off", "the bearer of it", "a < b", "expected <id>"):
        assert readable(text) == text


NASTY: list[tuple[str, bytes, str]] = [
    ("a page", b"<html>hunter2</html>", "text/html"),
    ("a page called json", b"<html>hunter2</html>", "application/json"),
    ("a trace", b"Traceback: hunter2", "text/plain"),
    ("a wrong charset", '{"message": "hunter2"}'.encode("utf-16"), "application/json; charset=utf-8"),
    ("an unknown charset", b'{"message": "hunter2"}', "application/json; charset=rot13"),
    ("nothing", b"", ""),
    ("bytes", b"\x00\xffhunter2", "application/octet-stream"),
    ("events", b"data: hunter2\n\n", "text/event-stream"),
    ("depth", b"[" * 100_000, "application/json"),
    ("an object", b'{"message": {"password": "hunter2"}, "stack": ["hunter2"]}', "application/json"),
]


@pytest.mark.parametrize("status", [400, 404, 500])
@pytest.mark.parametrize(("body", "media"), [case[1:] for case in NASTY], ids=[case[0] for case in NASTY])
def test_nothing_but_words_gets_out(body: bytes, media: str, status: int) -> None:
    error = refused(body, status, media)
    assert error.message == f"The shop refused ({status}, {UNSAID}): {UNSAID}"
    assert SECRET not in error.detail + error.hint


@given(
    st.recursive(
        st.none() | st.text(max_size=300) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["error", "message", "detail", "errors", "title", "code", "type"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_it_says_is_one_bounded_printable_line(body: Any) -> None:
    for said in (code_in(body), message_in(body)):
        assert 0 < len(said) <= 200
        assert said.isprintable()


# ── on the wire ──


async def call(api_url: str, tool: dict[str, Any] | None = None) -> ApiResponse:
    made = tool_of(tool or {"response": {"errors": {"4xx": TOLD, "5xx": TOLD}}}, {"baseUrl": api_url})
    client = ApiClient()
    try:
        token = Credential("the-delegated-token")
        response = await client.send(build_request(made, {}, CONTEXT), token, made, call_id="c")
        shape(made, response)
        return response
    finally:
        await client.aclose()


async def ended(answer: bytes, tool: dict[str, Any] | None = None) -> DownstreamError:
    async with recording_api() as api:
        api.answers = [answer]
        with pytest.raises(DownstreamError) as caught:
            await call(api.url, tool)
        return caught.value


@pytest.mark.parametrize(("status", "kind"), [(404, DownstreamRefused), (502, DownstreamFailed)])
def test_an_error_page_of_two_megabytes_is_its_status(status: int, kind: type[DownstreamError]) -> None:
    error = asyncio.run(ended(http(status, b"<html>" + b"hunter2 " * 250_000, "text/html")))
    assert type(error) is kind
    assert (error.status, error.message) == (status, f"The shop refused ({status}, {UNSAID}): {UNSAID}")


def test_a_success_of_two_megabytes_is_too_long() -> None:
    error = asyncio.run(ended(http(200, b'{"a":"' + b"x" * 2_000_000 + b'"}')))
    assert isinstance(error, ResponseUnusable)
    assert (error.status, error.message) == (200, "the answer of shop is too long; ask for less")
    assert "maxResponseBytes" in error.hint


@pytest.mark.parametrize("status", [200, 500])
def test_a_bomb_is_never_unpacked(status: int) -> None:
    bomb = gzip.compress(b"\x00" * 200_000_000)
    tracemalloc.start()
    try:
        error = asyncio.run(ended(http(status, bomb, "application/json", "Content-Encoding: gzip")))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.status == status
    assert peak < 20_000_000


def test_bombs_in_bombs_and_other_codings_are_not_unpacked() -> None:
    twice = gzip.compress(gzip.compress(b"{}"))
    assert isinstance(
        asyncio.run(ended(http(200, twice, "application/json", "Content-Encoding: gzip, gzip"))), ResponseUnusable
    )
    other = asyncio.run(ended(http(200, b"{}", "application/json", "Content-Encoding: br")))
    assert isinstance(other, DownstreamUnavailable)


def test_what_is_packed_once_is_read() -> None:
    async def main() -> ApiResponse:
        async with recording_api() as api:
            api.answers = [http(200, gzip.compress(b'{"a":1}'), "application/json", "Content-Encoding: gzip")]
            return await call(api.url)

    assert asyncio.run(main()).body == b'{"a":1}'


def test_events_without_end_end_with_the_time() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ndata: \r\n"
    error = asyncio.run(ended(head, {"timeout": "200ms"}))
    assert isinstance(error, DownstreamUnavailable)
    assert "did not answer within" in error.message
