"""Requests on a real socket: what goes over the wire, where to, how often, and for how long."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from remit.catalog.tool import Tool
from remit.credential import Credential
from remit.downstream.client import ApiClient
from remit.downstream.request import ApiRequest, build_request
from remit.errors import DownstreamUnavailable, RequestUnusable, ResponseUnusable
from support.recording_api import Answer, Recorded, RecordingApi, http, recording_api
from support.tools import CONTEXT, tool_of

pytestmark = pytest.mark.anyio

TOKEN = Credential("delegated.token")
RETRY = {"attempts": 3, "backoff": "1ms"}


def tool_at(
    url: str, request: dict[str, Any] | None = None, properties: dict[str, Any] | None = None, **tool: Any
) -> Tool:
    schema = {"type": "object", "properties": properties or {}, "required": list(properties or {})}
    block = {"method": "GET", "path": "/things", **(request or {})}
    return tool_of({"input": schema, "request": block, **tool}, {"baseUrl": url})


@asynccontextmanager
async def both(answer: Answer | None = None) -> AsyncIterator[tuple[RecordingApi, ApiClient]]:
    client = ApiClient(jitter=lambda: 0.0)
    async with recording_api(answer) as api:
        try:
            yield api, client
        finally:
            await client.aclose()


async def send(client: ApiClient, tool: Tool, token: Credential | None = TOKEN, **arguments: Any) -> Any:
    return await client.send(build_request(tool, arguments, CONTEXT), token, tool, call_id="01J0CALL")


# ── the wire ──


async def test_every_byte_of_the_request_is_as_it_was_built() -> None:
    request = {
        "method": "POST",
        "path": "/orders/{id}/refunds",
        "query": {"include": "$include", "q": "$q"},
        "style": {"include": "comma"},
        "headers": {"X-Requested-By": {"from": "actor.sub"}},
        "body": {"q": "$q", "by": {"from": "user.sub"}},
        "idempotencyKey": "auto",
    }
    async with both() as (api, client):
        tool = tool_at(f"{api.url}/v2", request, {"id": {}, "include": {}, "q": {}})
        response = await send(client, tool, id="a/b;c,d'é", include=["x;y", "z"], q="1+1=2 & more")
    assert (response.status, response.body) == (200, b"{}")
    [seen] = api.seen
    assert seen.line == (
        "POST /v2/orders/a%2Fb%3Bc%2Cd%27%C3%A9/refunds?include=x%3By,z&q=1%2B1%3D2%20%26%20more HTTP/1.1"
    )
    assert seen.body == b'{"q":"1+1=2 & more","by":"alice"}'
    key = dict(build_request(tool, {"id": "1"}, CONTEXT).headers)["Idempotency-Key"]
    assert sorted(seen.headers) == [
        ("accept", "application/json"),
        ("accept-encoding", "gzip"),
        ("authorization", "Bearer delegated.token"),
        ("content-length", "33"),
        ("content-type", "application/json"),
        ("host", api.url.removeprefix("http://")),
        ("idempotency-key", key),
        ("user-agent", "remit"),
        ("x-request-id", "01J0CALL"),
        ("x-requested-by", "agent-runner"),
    ]


async def test_a_read_sends_no_body_and_no_content_type() -> None:
    async with both() as (api, client):
        await send(client, tool_at(api.url))
    [seen] = api.seen
    assert seen.line == "GET /things HTTP/1.1"
    assert {name for name, _ in seen.headers} == {
        "accept", "accept-encoding", "authorization", "host", "user-agent", "x-request-id",
    }  # fmt: skip


async def test_a_tool_that_takes_files_asks_for_them() -> None:
    async with both() as (api, client):
        await send(client, tool_at(api.url, response={"files": ["image/png", "audio/wav"]}))
    [seen] = api.seen
    assert seen.values("accept") == ["audio/wav, image/png, application/json"]


async def test_an_api_without_token_gets_none() -> None:
    async with both() as (api, client):
        tool = tool_of(None, {"baseUrl": api.url, "auth": {"type": "none"}})
        await send(client, tool, token=None)
        with pytest.raises(RequestUnusable):
            await send(client, tool, token=TOKEN)
    [seen] = api.seen
    assert seen.values("authorization") == []


async def test_a_token_goes_only_to_its_tools_own_origin() -> None:
    async with both() as (api, client), recording_api() as other:
        tool = tool_at(api.url)
        for url in (
            f"{other.url}/things",
            f"{api.url}.evil.example/things",
            api.url.replace("http", "https") + "/things",
        ):
            with pytest.raises(RequestUnusable):
                await client.send(ApiRequest("GET", url, (), None, idempotent=True), TOKEN, tool, call_id="1")
        with pytest.raises(RequestUnusable):
            await send(client, tool, token=None)
        assert api.seen == other.seen == []


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with both() as (api, client), recording_api() as other:
        api.answers = [http(307, b"", "", f"Location: {other.url}/things")]
        assert (await send(client, tool_at(api.url))).status == 307
        assert other.seen == []


async def test_a_cookie_of_one_call_is_not_sent_with_the_next() -> None:
    async with both() as (api, client):
        url = api.url.replace("127.0.0.1", "localhost")
        api.answers = [http(200, b"{}", "application/json", "Set-Cookie: session=alice; Path=/")]
        await send(client, tool_at(url))
        await send(client, tool_at(url))
    assert [seen.values("cookie") for seen in api.seen] == [[], []]


async def test_fifty_calls_at_once_keep_their_tokens_and_answers_apart() -> None:
    async def echo(seen: Recorded) -> bytes:
        await asyncio.sleep(0)
        backwards = seen.values("authorization")[0][::-1]  # an answer that repeats a token is withheld
        return http(200, f'{{"token":"{backwards}","path":"{seen.target}"}}'.encode())

    async with both(echo) as (api, client):
        tool = tool_at(api.url, {"path": "/of/{user}"}, {"user": {}})
        answers = await asyncio.gather(
            *(send(client, tool, Credential(f"token-{user}"), user=str(user)) for user in range(50))
        )
    assert [answer.body.decode() for answer in answers] == [
        f'{{"token":"{f"Bearer token-{user}"[::-1]}","path":"/of/{user}"}}' for user in range(50)
    ]


# ── bounds ──


async def test_an_answer_longer_than_allowed_is_unusable() -> None:
    async with both() as (api, client):
        api.answers = [http(200, b"x" * 2049), http(200, b"x" * 2048)]
        tool = tool_at(api.url, limits={"maxResponseBytes": "2KiB"})
        with pytest.raises(ResponseUnusable):
            await send(client, tool)
        assert len((await send(client, tool)).body) == 2048


async def test_an_answer_that_repeats_the_token_is_withheld_whatever_its_status() -> None:
    async with both() as (api, client):
        for status in (200, 400, 500):
            api.answers = [http(status, f'{{"seen": "Bearer {TOKEN.reveal()}"}}'.encode())]
            with pytest.raises(ResponseUnusable) as caught:
                await send(client, tool_at(api.url))
            assert TOKEN.reveal() not in f"{caught.value.message} {caught.value.detail} {caught.value.hint}"


async def test_the_bound_is_on_the_decoded_bytes() -> None:
    async with both() as (api, client):
        bomb = gzip.compress(b"x" * 100_000)
        assert len(bomb) < 2048
        api.answers = [http(200, bomb, "application/json", "Content-Encoding: gzip")]
        with pytest.raises(ResponseUnusable):
            await send(client, tool_at(api.url, limits={"maxResponseBytes": "2KiB"}))


async def test_a_body_that_is_encoded_more_than_once_is_not_unpacked() -> None:
    once = gzip.compress(b"x")
    for field in ("gzip, gzip", "gzip\r\nContent-Encoding: gzip"):
        async with both() as (api, client):
            api.answers = [http(200, gzip.compress(once), "application/json", f"Content-Encoding: {field}")]
            with pytest.raises(ResponseUnusable):
                await send(client, tool_at(api.url))


async def test_a_slow_api_is_given_up_after_the_tools_timeout() -> None:
    async def never(_: Recorded) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async with both(never) as (api, client):
        with pytest.raises(DownstreamUnavailable, match=r"did not answer within 0\.05 s"):
            await send(client, tool_at(api.url, timeout="50ms"))


async def test_cancelling_a_call_closes_its_connection() -> None:
    arrived = asyncio.Event()
    gone = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        assert await reader.read() == b""
        gone.set()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    client = ApiClient()
    port = server.sockets[0].getsockname()[1]
    task = asyncio.create_task(send(client, tool_at(f"http://127.0.0.1:{port}")))
    async with asyncio.timeout(5):
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()
    await client.aclose()
    server.close()


async def test_nobody_listening_is_unavailable_and_names_no_address_to_the_agent() -> None:
    async with recording_api() as api:
        url = api.url
    client = ApiClient()
    with pytest.raises(DownstreamUnavailable) as caught:
        await send(client, tool_at(url))
    await client.aclose()
    assert caught.value.message == "shop cannot be reached"
    assert "delegated.token" not in f"{caught.value!r}{caught.value.detail}{caught.value.__cause__!r}"


# ── retries ──


async def test_an_idempotent_request_is_repeated_until_it_succeeds() -> None:
    async with both() as (api, client):
        api.answers = [http(503), None, http(200, b"[1]")]
        assert (await send(client, tool_at(api.url, retry=RETRY))).body == b"[1]"
    assert len(api.seen) == 3


async def test_the_last_answer_is_given_when_attempts_are_spent() -> None:
    async with both() as (api, client):
        api.answers = [http(503), http(502), http(504)]
        assert (await send(client, tool_at(api.url, retry=RETRY))).status == 504


async def test_an_api_that_only_breaks_connections_is_unavailable() -> None:
    async def hang_up(_: Recorded) -> None:
        return None

    async with both(hang_up) as (api, client):
        with pytest.raises(DownstreamUnavailable, match="may have acted"):
            await send(client, tool_at(api.url, retry=RETRY))
    # The transport itself repeats a safe request once when its connection is lost.
    assert len(api.seen) in range(3, 7)


async def test_what_is_not_in_when_is_not_repeated() -> None:
    async with both() as (api, client):
        api.answers = [http(503)]
        tool = tool_at(api.url, retry={**RETRY, "when": [502]})
        assert (await send(client, tool)).status == 503
    assert len(api.seen) == 1


@pytest.mark.parametrize("first", [http(503), None])
async def test_what_acts_only_once_is_sent_only_once(first: bytes | None) -> None:
    async with both() as (api, client):
        api.answers = [first]
        tool = tool_at(api.url, {"method": "POST"}, retry=RETRY)
        try:
            assert (await send(client, tool)).status == 503
        except DownstreamUnavailable:
            assert first is None
    assert len(api.seen) == 1


async def test_a_post_with_an_idempotency_key_is_repeated_with_the_same_key() -> None:
    async with both() as (api, client):
        api.answers = [http(503), None, http(201)]
        tool = tool_at(api.url, {"method": "POST", "idempotencyKey": "auto"}, retry=RETRY)
        assert (await send(client, tool)).status == 201
    keys = [seen.values("idempotency-key") for seen in api.seen]
    assert keys[0] == keys[1] == keys[2] != []


async def test_a_slow_attempt_leaves_time_for_the_next() -> None:
    answers = iter([None, http(200, b"[2]")])

    async def slow_first(_: Recorded) -> bytes:
        answer = next(answers)
        if answer is None:
            await asyncio.Event().wait()
        assert answer is not None
        return answer

    async with both(slow_first) as (api, client):
        tool = tool_at(api.url, timeout="400ms", retry={"attempts": 2, "when": ["timeout"], "backoff": "1ms"})
        assert (await send(client, tool)).body == b"[2]"
