"""Raw bytes at the socket: what is not one plain request is refused, and nothing of it reaches an API."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.gateway import Scripted, gateway

pytestmark = pytest.mark.anyio

HOST = "Host: 127.0.0.1"
SMUGGLED = b"0\r\n\r\nGET /payments/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

REFUSED = {
    "two ways to end the body": ((HOST, "Content-Length: 5", "Transfer-Encoding: chunked"), SMUGGLED, 400),
    "the other way round": ((HOST, "Transfer-Encoding: chunked", "Content-Length: 5"), SMUGGLED, 400),
    "two lengths": ((HOST, "Content-Length: 5", "Content-Length: 6"), b"hello!", 400),
    "two equal lengths in a list": ((HOST, "Content-Length: 5, 6"), b"hello", 400),
    "a length that is none": ((HOST, "Content-Length: +5"), b"hello", 400),
    "a transfer coding besides chunked": ((HOST, "Transfer-Encoding: gzip, chunked"), SMUGGLED, 400),
    "a transfer coding that looks like chunked": ((HOST, "Transfer-Encoding: xchunked"), SMUGGLED, 400),
    "a transfer coding behind a tab": ((HOST, "Transfer-Encoding:\x0bchunked"), SMUGGLED, 400),
    "a field with white space before its colon": ((HOST, "Content-Length : 5"), b"hello", 400),
    "no host": ((), b"", 400),
    "two hosts": ((HOST, "Host: evil.example"), b"", 400),
    "another host": (("Host: evil.example",), b"", 421),
    "a websocket": ((HOST, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"), b"", 501),
}


async def test_a_request_that_can_be_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        for what, (lines, body, status) in REFUSED.items():
            answer = await gate.raw("POST /orders/1 HTTP/1.1", *lines, body=body)
            assert (answer.count(b"HTTP/1.1 "), int(answer.split()[1])) == (1, status), what
    assert not api.seen


async def test_a_target_in_another_form_is_its_path_or_refused(tmp_path: Path) -> None:
    forms = {
        "http://evil.example/orders/1": 400,
        "//evil.example/orders/1": 400,
        "*": 400,
        "/orders/1#x": 400,
        "orders": 400,
        "http://127.0.0.1/orders/1": 200,
    }
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        answers = {form: await gate.raw(f"GET {form} HTTP/1.1", HOST) for form in forms}
    assert {form: int(answer.split()[1]) for form, answer in answers.items()} == forms
    assert [scope["raw_path"] for scope in api.seen] == [b"/orders/1"]


async def test_the_api_gets_one_framing_and_a_second_request_is_a_second_one(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        body = b"5\r\nhello\r\n0\r\n\r\n"
        await gate.raw("POST /orders/1 HTTP/1.1", HOST, "Transfer-Encoding: chunked", body=body)
        await gate.raw("POST /orders/2 HTTP/1.1", HOST, "Content-Length: 5", body=b"hello")
    framings = [
        [(name, value) for name, value in scope["headers"] if name in (b"content-length", b"transfer-encoding")]
        for scope in api.seen
    ]
    assert framings == [[(b"transfer-encoding", b"chunked")], [(b"content-length", b"5")]]


async def test_too_many_fields_are_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        answer = await gate.raw("GET /orders/1 HTTP/1.1", HOST, *(f"X-{number}: 1" for number in range(120)))
        huge = await gate.raw("GET /orders/1 HTTP/1.1", HOST, f"X-Huge: {'x' * 100_000}")
    assert int(answer.split()[1]) == int(huge.split()[1]) == 431
    assert not api.seen


async def test_an_expectation_is_answered_here_and_only_to_those_who_may_go_on(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        lines = ("POST /orders/1 HTTP/1.1", HOST, "Content-Length: 5", "Expect: 100-continue")
        refused = await gate.raw(*lines, token=None)
        passed = await gate.raw(*lines, body=b"hello")
    assert b"100" not in refused.split(b"\r\n")[0]
    assert refused.startswith(b"HTTP/1.1 401")
    assert b"HTTP/1.1 200" in passed
    assert [name for name, _ in api.seen[0]["headers"]].count(b"expect") == 0
