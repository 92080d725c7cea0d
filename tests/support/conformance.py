"""What the MCP conformance suite tests: a whole remit with the tools it calls by name, and an API behind them.

The suite cannot send a token, so a shim adds one to what comes to the MCP door. It changes nothing else: Host and Origin
are the suite's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from remit.app.serving import http_app
from remit.clock import SystemClock
from remit.demo.api import ApiProblem, guarded, json_object, json_response, trusted_issuer
from remit.web import http_client
from support.company import Api, Document, company
from support.policy import edit_tables
from support.servers import serving

HERE: Final = Path(__file__).parent.parent / "conformance"
#: Longer than three intervals between progress notices.
SLOW_SECONDS: Final = 3.4

_FILES: Final = {
    "image": ("image/png", b"\x89PNG\r\n\x1a\n"),
    "audio": ("audio/wav", b"RIFF\x24\x00\x00\x00WAVE"),
    "document": ("application/pdf", b"%PDF-1.7\n%%EOF\n"),
}
_CHANGING: Final = """
version: 1
name: changing
upstream:
  baseUrl: ${{CONFORMANCE_URL}}
  auth: {{audience: conformance-api, scopes: ["conformance:use"]}}
tools:
  - name: changing
    description: Is written anew while the suite listens, for the {edition}th time.
    request: {{method: GET, path: /text}}
"""


@dataclass(frozen=True)
class Suite:
    """The suite as ``.ci/conformance`` installed it."""

    folder: Path

    @classmethod
    def installed(cls) -> Suite:
        """That suite, or a skipped test."""
        named = os.environ.get("REMIT_CONFORMANCE")
        if not named:
            pytest.skip("REMIT_CONFORMANCE names no folder with the MCP conformance suite: run .ci/conformance")
        return cls(Path(named).resolve())

    async def run(self, url: str, revision: str, expected_failures: Path, output: Path) -> tuple[int, str]:
        """Exit code and all it printed, of every scenario that the revision requires of a server."""
        process = await asyncio.create_subprocess_exec(
            "node",
            self.folder / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js",
            *("server", "--url", url, "--requirements", revision),
            *("--expected-failures", expected_failures, "--output-dir", output),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return process.returncode, printed.decode()


@asynccontextmanager
async def under_test(folder: Path) -> AsyncIterator[str]:
    """The URL of a door at which everybody is Alice, while it is served with all that is behind it."""
    tools = (HERE / "tools.yaml").read_text(encoding="utf-8")

    def change(settings: Document) -> None:
        settings["sts"]["users"]["alice"]["scopes"].append("conformance:use")
        edit_tables(folder, _add_tables)
        _write_changing(folder / "tools", 1)

    def make(issuer: str) -> Starlette:
        return _FixtureApi(folder / "tools").app(issuer)

    async with (
        company(folder, change, {"conformance": Api(make, tools)}) as running,
        running.app.watching(),
        serving(_WithToken(http_app(running.app), running.token())) as url,
    ):
        yield f"{url}/mcp"


def _add_tables(tables: Document) -> None:
    added = yaml.safe_load((HERE / "tables.yaml").read_text(encoding="utf-8"))
    for role, permitted in added["roles"].items():
        tables["roles"][role] |= permitted
    tables["needs"] |= added["needs"]


class _WithToken:
    """The shim: ASGI middleware that adds a bearer token, and nothing else, to what comes."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._header = (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


class _FixtureApi:
    """The API behind the tools; it takes delegated tokens alone. ``tools`` is the folder of the tool files."""

    def __init__(self, tools: Path) -> None:
        self._tools = tools
        self._editions = count(2)

    def app(self, issuer: str) -> Starlette:
        routes = [
            Route("/text", self.text),
            Route("/files/{name}", self.file),
            Route("/refused", self.refused),
            Route("/slow", self.slow),
            Route("/tool-changes", self.change_tools, methods=["POST"]),
            Route("/echo", self.echo, methods=["POST"]),
        ]
        http = http_client()
        return guarded("conformance-api", trusted_issuer(issuer, http), SystemClock(), routes, http)

    async def text(self, _: Request) -> Response:
        return PlainTextResponse("This is a simple text response for testing.")

    async def file(self, request: Request) -> Response:
        media_type, content = _FILES[request.path_params["name"]]
        return Response(content, media_type=media_type)

    async def refused(self, _: Request) -> Response:
        raise ApiProblem(409, "refused", "this operation always ends so")

    async def slow(self, _: Request) -> Response:
        await asyncio.sleep(SLOW_SECONDS)  # the suite has no other way to see progress
        return PlainTextResponse("Done at last.")

    async def change_tools(self, _: Request) -> Response:
        _write_changing(self._tools, next(self._editions))
        return json_response({"changed": True})

    async def echo(self, request: Request) -> Response:
        return json_response(await json_object(request))


def _write_changing(tools: Path, edition: int) -> None:
    """Whole at once, as an editor does."""
    draft = tools / ".changing.draft"
    draft.write_text(_CHANGING.format(edition=edition), encoding="utf-8")
    draft.replace(tools / "changing.yaml")
