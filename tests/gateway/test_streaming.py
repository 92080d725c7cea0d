"""Bodies flow in both directions as they come, are bounded, and end when either side leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.company import Document
from support.gateway import Scripted, gateway

pytestmark = pytest.mark.anyio

START = {"type": "http.response.start", "status": 200, "headers": []}
PART = 64 * 1024
SHORT = {"timeout": "300ms", "idle_timeout": "300ms"}


def on_first_route(**values: Any) -> Any:
    def change(document: Document) -> None:
        document["gateway"]["routes"][0].update(values)

    return change


async def test_the_answers_first_part_comes_before_its_last_is_made(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"data: 2\n\n"})

    async with (
        gateway(tmp_path, api=Scripted(handle=slow)) as gate,
        gate.stream("GET", "/orders/events", headers={"Accept": "text/event-stream"}) as answer,
    ):
        parts = answer.aiter_bytes()
        assert answer.headers["content-type"] == "text/event-stream"
        assert await anext(parts) == b"data: 1\n\n"
        assert not go_on.is_set()
        go_on.set()
        assert await anext(parts) == b"data: 2\n\n"


async def test_the_api_gets_the_first_part_before_the_last_is_sent(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def reading(scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
            if size:
                arrived.set()
        await send(START)
        await send({"type": "http.response.body", "body": str(size).encode()})

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.wait_for(arrived.wait(), 5)
        yield b"last"

    async with gateway(tmp_path, api=Scripted(handle=reading)) as gate:
        answer = await gate.request("POST", "/orders/1", content=body())
    assert answer.text == "9"


async def test_both_directions_flow_at_once(tmp_path: Path) -> None:
    async def echoing(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    async with gateway(tmp_path, api=Scripted(handle=echoing)) as gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        head = f"POST /orders/1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {gate.token()}\r\n"
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n4\r\nping\r\n".encode())
        async with asyncio.timeout(5):
            assert b"ping" in await reader.readuntil(b"ping")
            writer.write(b"4\r\npong\r\n0\r\n\r\n")
            assert b"pong" in await reader.readuntil(b"pong")
            await reader.readuntil(b"0\r\n\r\n")
        writer.close()


async def test_fifty_megabytes_flow_without_being_gathered(tmp_path: Path) -> None:
    total, ahead, made, taken = 50 * 1024 * 1024, 0, 0, 0

    async def large(scope: Any, receive: Any, send: Any) -> None:
        nonlocal made
        await send(START)
        while made < total:
            made += PART
            await send({"type": "http.response.body", "body": b"x" * PART, "more_body": True})
        await send({"type": "http.response.body"})

    async with (
        gateway(tmp_path, api=Scripted(handle=large)) as gate,
        gate.stream("GET", "/orders/1") as answer,
    ):
        async for part in answer.aiter_bytes():
            taken += len(part)
            ahead = max(ahead, made - taken)
    assert taken == total
    # Socket buffers and uvicorn's, on both connections: far from the whole.
    assert ahead < 16 * 1024 * 1024


async def test_fifty_megabytes_go_up_only_as_fast_as_the_api_takes_them(tmp_path: Path) -> None:
    total, ahead, given, taken = 50 * 1024 * 1024, 0, 0, 0

    async def taking(scope: Any, receive: Any, send: Any) -> None:
        nonlocal taken, ahead
        more = True
        while more:
            message = await receive()
            taken, more = taken + len(message["body"]), message["more_body"]
            ahead = max(ahead, given - taken)
        await send(START)
        await send({"type": "http.response.body", "body": b"done"})

    async def body() -> AsyncIterator[bytes]:
        nonlocal given
        while given < total:
            given += PART
            yield b"x" * PART

    change = on_first_route(max_request_bytes=total)
    async with gateway(tmp_path, api=Scripted(handle=taking), change=change) as gate:
        answer = await gate.request("POST", "/orders/1", content=body())
        recorded = await gate.last()
    assert (answer.text, taken, recorded["downstream"]["request_bytes"]) == ("done", total, total)
    assert ahead < 16 * 1024 * 1024


async def test_when_the_caller_leaves_the_api_is_told_and_the_trail_too(tmp_path: Path) -> None:
    started, left = asyncio.Event(), asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        started.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    async with gateway(tmp_path, api=Scripted(handle=endless)) as gate:
        async with gate.stream("GET", "/orders/1") as answer:
            await anext(answer.aiter_bytes())
        await asyncio.wait_for(left.wait(), 5)
        recorded = await gate.last()
    assert recorded["outcome"] == "cancelled"
    assert (recorded["downstream"]["status"], recorded["downstream"]["bytes"]) == (200, 1)


async def test_when_the_caller_leaves_in_the_middle_of_the_body_the_api_is_told(tmp_path: Path) -> None:
    began, left = asyncio.Event(), asyncio.Event()

    async def reading(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            if message["body"]:
                began.set()
        left.set()

    async with gateway(tmp_path, api=Scripted(handle=reading)) as gate:
        _, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        head = f"POST /orders/1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {gate.token()}\r\n"
        writer.write(f"{head}Content-Length: 100\r\n\r\nhello".encode())
        await asyncio.wait_for(began.wait(), 5)
        writer.close()
        await asyncio.wait_for(left.wait(), 5)
        recorded = await gate.last()
    assert (recorded["outcome"], recorded["downstream"]["request_bytes"]) == ("cancelled", 5)


async def test_when_the_api_breaks_off_the_answer_is_cut_and_not_ended(tmp_path: Path) -> None:
    async def breaking(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"part", "more_body": True})

    async with gateway(tmp_path, api=Scripted(handle=breaking)) as gate:
        raw = await gate.raw("GET /orders/1 HTTP/1.1", "Host: 127.0.0.1")
        recorded = await gate.last()
    assert b"part" in raw
    assert not raw.endswith(b"0\r\n\r\n")
    assert (recorded["outcome"], recorded["error"]["code"]) == ("failure", "downstream_unavailable")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_long_is_refused(tmp_path: Path, chunked: bool) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    async def reading(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] != "http.disconnect" and message["more_body"]:
            pass
        await send(START)
        await send({"type": "http.response.body"})

    change = on_first_route(max_request_bytes=50_000)
    async with gateway(tmp_path, api=Scripted(handle=reading), change=change) as gate:
        answer = await gate.request("POST", "/orders/1", content=body() if chunked else b"x" * 100_000)
        recorded = await gate.facts(answer.json()["audit_id"])
    assert (answer.status_code, answer.json()["error"]) == (413, "request_too_large")
    assert (recorded["outcome"], recorded["error"]["code"]) == ("failure", "request_too_large")


@pytest.mark.parametrize("declared", [False, True])
async def test_an_answer_that_is_too_long_is_refused_or_cut(tmp_path: Path, declared: bool) -> None:
    headers = [(b"content-length", b"5000")] if declared else []
    api = Scripted(headers=headers, body=b"x" * 5000)
    async with gateway(tmp_path, api=api, change=on_first_route(max_response_bytes=1000)) as gate:
        raw = await gate.raw("GET /orders/1 HTTP/1.1", "Host: 127.0.0.1")
        recorded = await gate.last()
    assert raw.startswith(b"HTTP/1.1 502" if declared else b"HTTP/1.1 200")
    assert raw.count(b"x" * 100) <= 10
    assert recorded["error"]["code"] == "response_unusable"


async def test_an_api_that_does_not_answer_in_time_is_a_504(tmp_path: Path) -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"

    async with gateway(tmp_path, api=Scripted(handle=silent), change=on_first_route(**SHORT)) as gate:
        answer = await gate.request("GET", "/orders/1")
        recorded = await gate.facts(answer.json()["audit_id"])
    assert (answer.status_code, answer.json()["error"]) == (504, "downstream_timeout")
    assert recorded["outcome"] == "failure"


async def test_an_api_that_falls_silent_is_cut(tmp_path: Path) -> None:
    async def stalling(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"

    async with gateway(tmp_path, api=Scripted(handle=stalling), change=on_first_route(**SHORT)) as gate:
        with pytest.raises(httpx.RemoteProtocolError):
            await gate.request("GET", "/orders/1")
        recorded = await gate.last()
    assert recorded["error"]["code"] == "downstream_timeout"


async def test_a_caller_who_stops_sending_is_a_408(tmp_path: Path) -> None:
    async with gateway(tmp_path, change=on_first_route(**SHORT)) as gate:
        raw = await gate.raw("POST /orders/1 HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 10", body=b"half")
        recorded = await gate.last()
    assert raw.startswith(b"HTTP/1.1 408")
    assert recorded["error"]["code"] == "request_timeout"


async def test_a_stream_that_goes_on_is_not_cut_by_the_timeouts(tmp_path: Path) -> None:
    async def ticking(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for _ in range(8):
            await asyncio.sleep(0.1)  # longer than either timeout together, shorter than it at a time
            await send({"type": "http.response.body", "body": b".", "more_body": True})
        await send({"type": "http.response.body"})

    async with gateway(tmp_path, api=Scripted(handle=ticking), change=on_first_route(**SHORT)) as gate:
        answer = await gate.request("GET", "/orders/1")
    assert answer.text == "." * 8


async def test_connections_to_the_api_are_used_again(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        for _ in range(5):
            await gate.request("GET", "/orders/1")
            await gate.last()
    assert len({scope["client"] for scope in api.seen}) == 1


async def test_an_api_that_answers_before_it_has_read_all_is_heard(tmp_path: Path) -> None:
    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "status": 409})
        await send({"type": "http.response.body", "body": b"no need to go on"})

    async with gateway(tmp_path, api=Scripted(handle=hasty)) as gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        head = f"POST /orders/1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {gate.token()}\r\n"
        writer.write(f"{head}Content-Length: 1000000\r\n\r\nfirst".encode())
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 409")
            await reader.readuntil(b"no need to go on")
        writer.close()
        recorded = await gate.last()
    assert (recorded["outcome"], recorded["downstream"]["status"]) == ("failure", 409)
