"""A fake token endpoint on a real loopback socket, with named ways to fail::

    async with token_endpoint(Mode.WAF_BLOCK) as fake:
        ...                       # fake.url, fake.issuer, fake.requests, fake.mode = Mode.ISSUES

It reads whole HTTP/1.1 requests and writes bytes, so it can also answer what no HTTP library would.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any
from urllib.parse import parse_qsl


class Mode(Enum):
    """What the endpoint does with a request."""

    ISSUES = auto()  # 200 with ``answer``
    REFUSES = auto()  # 400 with an OAuth error and a description longer than anybody wants
    REFUSES_WITHOUT_CODE = auto()  # 400, JSON, no ``error``
    WAF_BLOCK = auto()  # 403, a web page
    SERVER_ERROR = auto()  # 500 with a stack trace
    TOO_MANY_REQUESTS = auto()  # 429
    REDIRECTS = auto()  # 307, which would send the body on
    WEB_PAGE = auto()  # 200, a login page
    MALFORMED_JSON = auto()
    REPEATED_MEMBER = auto()  # two access_token members
    TOO_LARGE = auto()  # a megabyte
    NEVER_ANSWERS = auto()
    NEVER_ENDS = auto()  # headers, then nothing
    HANGS_UP = auto()  # reads the request, answers nothing
    BREAKS_OFF = auto()  # half of the body
    NOT_HTTP = auto()


@dataclass
class SeenRequest:
    method: str
    path: str
    headers: dict[str, str]
    form: list[tuple[str, str]]


@dataclass
class FakeTokenEndpoint:
    mode: Mode
    answer: dict[str, Any] = field(default_factory=dict)
    #: path → JSON document, for metadata
    documents: dict[str, Any] = field(default_factory=dict)
    requests: list[SeenRequest] = field(default_factory=list)
    issuer: str = ""

    @property
    def url(self) -> str:
        return f"{self.issuer}/token"

    def bytes_for(self, request: SeenRequest) -> bytes:
        if request.method == "GET":
            document = self.documents.get(request.path)
            return json_response(404, {}) if document is None else json_response(200, document)
        half = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"acc'
        refusal = {"error": "invalid_target", "error_description": "no\n" + "x" * 5000}
        return {
            Mode.ISSUES: json_response(200, self.answer),
            Mode.REFUSES: json_response(400, refusal),
            Mode.REFUSES_WITHOUT_CODE: json_response(400, {"message": "no"}),
            Mode.WAF_BLOCK: response(403, b"<h1>Request blocked</h1>", "text/html"),
            Mode.SERVER_ERROR: response(500, b"Traceback (most recent call last)", "text/plain"),
            Mode.TOO_MANY_REQUESTS: json_response(429, {"error": "slow_down"}),
            Mode.REDIRECTS: response(307, b"", "text/plain", f"Location: {self.issuer}/elsewhere\r\n"),
            Mode.WEB_PAGE: response(200, b"<form>Sign in</form>", "text/html"),
            Mode.MALFORMED_JSON: response(200, b'{"access_token": ', "application/json"),
            Mode.REPEATED_MEMBER: response(200, b'{"access_token":"a","access_token":"b"}', "application/json"),
            Mode.TOO_LARGE: json_response(200, {"access_token": "a" * (1 << 20)}),
            Mode.NEVER_ANSWERS: b"",
            Mode.NEVER_ENDS: half,
            Mode.HANGS_UP: b"",
            Mode.BREAKS_OFF: half,
            Mode.NOT_HTTP: b"SSH-2.0-OpenSSH_9.9\r\n",
        }[self.mode]

    @property
    def keeps_waiting(self) -> bool:
        return self.mode in {Mode.NEVER_ANSWERS, Mode.NEVER_ENDS}


def json_response(status: int, document: Any) -> bytes:
    return response(status, json.dumps(document).encode(), "application/json")


def response(status: int, body: bytes, content_type: str, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{headers}"
    return head.encode() + b"Connection: close\r\n\r\n" + body


@asynccontextmanager
async def token_endpoint(
    mode: Mode = Mode.ISSUES, answer: dict[str, Any] | None = None
) -> AsyncIterator[FakeTokenEndpoint]:
    """Serve one in this event loop."""
    fake = FakeTokenEndpoint(mode, dict(answer or {}))
    closing = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            fake.requests.append(request)
            writer.write(fake.bytes_for(request))
            await writer.drain()
            if fake.keeps_waiting:
                await closing.wait()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    fake.issuer = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        closing.set()
        server.close()
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader) -> SeenRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request_line, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return SeenRequest(method, path, headers, parse_qsl(body.decode("ascii"), keep_blank_values=True))
