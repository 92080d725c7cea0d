"""Targets: what policy sees is what the API gets, whatever the bytes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.audit.trail import Record, Trail
from remit.bridge import ToolCall
from remit.credential import Credential
from remit.doors.gateway.door import GatewayDoor, GatewayPlace
from remit.doors.gateway.route import Route, Routes
from remit.doors.gateway.target import TargetRefused, read_target, without_origin
from remit.doors.possession import TokenReader
from remit.errors import ToolUnknown
from remit.exchange.exchanger import DelegatedToken
from remit.exchange.messages import Target as TokenTarget
from remit.policy.input import Operation
from remit.principal import DelegationChain
from remit.web import http_client
from support.clock import FakeClock
from support.gateway import Scripted
from support.servers import serving
from support.trail import MemoryStore

REFUSED = [
    "",
    "orders",
    "*",
    "//orders",
    "/orders//1",
    "/orders/./1",
    "/orders/../admin",
    "/orders/..",
    "/..",
    "/orders/%2e%2e/admin",
    "/orders/%2E./admin",
    "/orders/.%2e/admin",
    "/orders%2f1",
    "/orders/%2Fadmin",
    "/orders/%5c..%5cadmin",
    "/orders/\\admin",
    "/orders/..;/admin",
    "/orders;a=b/1",
    "/orders/%3b",
    "/orders/%252e%252e/admin",
    "/orders/%252fadmin",
    "/%6frders/1",  # "o" needs no encoding: another spelling of the same path
    "/orders/%7Eme",
    "/orders/%00",
    "/orders/%0d%0aX:1",
    "/orders/%7f",
    "/orders/%ff",
    "/orders/%c0%af",  # "/" in two bytes, which is not UTF-8
    "/orders/%c0%ae%c0%ae",
    "/orders/%ef%bc%8f",  # a full-width "/"
    "/orders/%e2%80%a6",  # an ellipsis, three dots to some
    "/orders/%e2%80%ae",  # turns the writing direction
    "/orders/%zz",
    "/orders/%4",
    "/orders/a b",
    "/orders/<x>",
    "/orders/é",
    "/orders/" + "a" * 9000,
]
ACCEPTED = {
    "/": "/",
    "/orders": "/orders",
    "/orders/": "/orders/",
    "/orders/O-1_2.3~4": "/orders/O-1_2.3~4",
    "/orders/...": "/orders/...",
    "/orders/.hidden": "/orders/.hidden",
    "/orders/a%20b": "/orders/a b",
    "/orders/100%25": "/orders/100%",
    "/orders/%C3%A9": "/orders/é",
    "/orders/a:b@c,d=e&f+g!h$i'(j)*": "/orders/a:b@c,d=e&f+g!h$i'(j)*",
    "/orders/%3F%23": "/orders/?#",
}


@pytest.mark.parametrize("path", REFUSED)
def test_a_path_that_can_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(TargetRefused):
        read_target(path.encode(), b"")


@pytest.mark.parametrize(("path", "decoded"), ACCEPTED.items())
def test_any_other_path_is_taken_as_it_is(path: str, decoded: str) -> None:
    target = read_target(path.encode(), b"a=%2F&b=[1]")
    assert (target.raw, target.path) == (f"{path}?a=%2F&b=[1]", decoded)


@pytest.mark.parametrize("query", [b"a#b", b"a=%", b"a=%zz", b"a=\xc3\xa9", b'a="', b"a b", b"a=\x00"])
def test_a_query_that_is_none_is_refused(query: bytes) -> None:
    with pytest.raises(TargetRefused):
        read_target(b"/orders", query)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"http://gate.example/orders/1", b"/orders/1"),
        (b"HTTPS://gate.example", b"/"),
        (b"/orders", b"/orders"),
        (b"*", b"*"),
    ],
)
def test_an_absolute_target_is_its_path(target: bytes, path: bytes) -> None:
    assert without_origin(target, ["gate.example"]) == path


@pytest.mark.parametrize("target", [b"http://evil.example/orders", b"ftp://gate.example/", b"http://gate.example@x/"])
def test_an_absolute_target_of_another_host_is_refused(target: bytes) -> None:
    with pytest.raises(TargetRefused):
        without_origin(target, ["gate.example"])


# ── from the socket to the API ───────────────────────────────────────────────────────────

TOKEN = DelegatedToken(
    credential=Credential("eyJ-delegated"),
    claims={"sub": "alice"},
    target=TokenTarget(audience="orders-api"),
    scopes=(),
    chain=DelegationChain(),
    jti="",
    expires_at=0,
)


class Seeing:
    """A path of calls that permits all, and remembers which paths policy would have been asked about."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._trail = Trail(MemoryStore(), FakeClock())

    @asynccontextmanager
    async def delegated(
        self, call: ToolCall, operation: Operation | None
    ) -> AsyncIterator[tuple[DelegatedToken | None, Record]]:
        if operation is None:
            raise ToolUnknown("none")
        self.paths.append(operation.path)
        async with self._trail.record(door=call.door, tool=call.name) as record:
            yield TOKEN, record


SEGMENTS = st.text(st.sampled_from("ab.%2eEfF5cC/\\;:~0+é \x00?#\t"), max_size=12)
MEAN = st.sampled_from(["..", ".", "", "%2e%2e", "%2f", "..;", "%5c", "%252e", "a", "%C3%A9", "%20"])
PATHS = st.one_of(
    st.lists(MEAN, max_size=6).map(lambda parts: "/orders/" + "/".join(parts)),
    SEGMENTS.map(lambda rest: "/orders/" + rest),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map(lambda rest: "/" + rest),
)


def test_the_path_policy_saw_is_the_path_the_api_got() -> None:
    seeing, api = Seeing(), Scripted()

    async def ask(port: int, path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer a\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("utf-8"))
        answer = await reader.read()
        writer.close()
        return answer

    with asyncio.Runner() as runner:

        async def start() -> tuple[Any, int]:
            stack = AsyncExitStack()
            url = await stack.enter_async_context(serving(api))
            client = http_client()
            stack.push_async_callback(client.aclose)
            routes = Routes.of([Route("all", "/", url, "digest", audience="orders-api", scopes=("a",))])
            place = GatewayPlace("http://127.0.0.1/gateway", "http://127.0.0.1", ())
            gate = await stack.enter_async_context(
                serving(GatewayDoor(seeing, routes, TokenReader(FakeClock()), place, client))
            )
            return stack, int(gate.rpartition(":")[2])

        stack, port = runner.run(start())

        @settings(max_examples=300, deadline=None)
        @given(PATHS)
        def check(path: str) -> None:
            before = len(api.seen)
            seeing.paths.clear()
            answer = runner.run(ask(port, path))
            status = int(answer.split(b" ", 2)[1])
            got = [scope["raw_path"].decode() for scope in api.seen[before:]]
            assert status in (200, 400, 404)
            assert (status == 200) == bool(got)
            if got:
                assert [unquote(raw) for raw in got] == seeing.paths
                assert got == [path.partition("?")[0]]
                assert not re.search(r"//|/\.{1,2}(/|$)|[\\;]", unquote(got[0]))

        check()
        runner.run(stack.aclose())
