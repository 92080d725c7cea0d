"""200 calls of 20 users at once: nothing of one reaches another."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from remit.clock import SystemClock
from remit.demo.api import trusted_issuer
from remit.resource import BearerMiddleware, ResourceServer, delegation_of
from remit.web import http_client
from support.company import Api, Company, Document, audit_id_of, company
from support.mcp_door import ERAS
from support.policy import allow_api

pytestmark = pytest.mark.anyio

USERS = tuple(f"user-{number:02}" for number in range(20))
CALLS_EACH = 10
#: So many requests are under way at the API before any is answered.
AT_ONCE = 50

TOOLS = """
version: 1
name: echo
upstream:
  baseUrl: ${ECHO_URL}
  auth: {audience: echo-api, scopes: ["echo:use"], maxTtl: 60s}
  timeout: 30s
tools:
  - name: echo_back
    description: Says who asked for what, as the API understood it.
    input:
      type: object
      required: [word]
      properties: {word: {type: string}}
    request:
      method: POST
      path: /echo/{word}
      body: {word: $word, asked_by: {from: user.sub}}
"""


@dataclass
class Echo:
    """Answers with what it got, in the opposite order of arrival, as soon as many wait."""

    seen: list[dict[str, Any]] = field(default_factory=list)
    _waiting: list[asyncio.Event] = field(default_factory=list)

    def app(self, issuer: str) -> Starlette:
        http = http_client()
        server = ResourceServer("echo-api", [trusted_issuer(issuer, http)], SystemClock())

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with http:
                yield

        return Starlette(
            routes=[Route("/echo/{word}", self.echo, methods=["POST"])],
            middleware=[Middleware(BearerMiddleware, server=server)],
            lifespan=lifespan,
        )

    async def echo(self, request: Request) -> JSONResponse:
        claims, body = delegation_of(request).claims, await request.json()
        said = {
            "sub": claims["sub"],
            "jti": claims["jti"],
            "actor": claims["act"]["sub"],
            "word": body["word"],
            "path": request.path_params["word"],
            "asked_by": body["asked_by"],
            "call": request.headers["x-request-id"],
        }
        self.seen.append(said)
        await self._turn()
        return JSONResponse(said)

    async def _turn(self) -> None:
        self._waiting.append(mine := asyncio.Event())
        if len(self._waiting) >= AT_ONCE:
            waiting, self._waiting = self._waiting, []
            for event in reversed(waiting):
                event.set()
                await asyncio.sleep(0)
        await mine.wait()


def with_users(document: Document) -> None:
    document["sts"]["users"] = {user: {"roles": ["support-lead"], "scopes": ["echo:use"]} for user in USERS}


def permit_echo(folder: Path) -> None:
    allow_api(folder, "echo")


def word_of(user: str, number: int) -> str:
    return f"word-{number}-of-{user}"


async def test_200_calls_of_20_users_at_once_stay_apart(tmp_path: Path) -> None:
    echo = Echo()

    def change(document: Document) -> None:
        with_users(document)
        permit_echo(tmp_path)

    async with company(tmp_path, change, {"echo": Api(echo.app, TOOLS)}) as running:
        answers = await asyncio.gather(*(calls_of(running, user, ERAS[n % 2]) for n, user in enumerate(USERS)))
    results = {user: dict(enumerate(each)) for user, each in zip(USERS, answers, strict=True)}

    for user, of_user in results.items():
        for number, result in of_user.items():
            said = result.structured_content
            assert not result.is_error, said
            assert (said["sub"], said["asked_by"]) == (user, user)
            assert said["word"] == said["path"] == word_of(user, number)
            assert said["call"] == audit_id_of(result)
            assert said["actor"] == "agent-runner"
            others = set(USERS) - {user}
            assert not any(other in result.model_dump_json() for other in others)

    assert len(echo.seen) == len(USERS) * CALLS_EACH
    assert len({each["jti"] for each in echo.seen}) == len(echo.seen)  # a token each
    assert len({each["call"] for each in echo.seen}) == len(echo.seen)
    trail_keeps_them_apart(running, echo)


async def calls_of(running: Company, user: str, era: str) -> list[Any]:
    async with running.client(user, era=era) as client:
        return await asyncio.gather(*(call(client, user, number) for number in range(CALLS_EACH)))


async def call(client: Client, user: str, number: int) -> Any:
    return await client.call_tool("echo_back", {"word": word_of(user, number)})


def trail_keeps_them_apart(running: Company, echo: Echo) -> None:
    recorded = {each["call_id"]: each for each in running.facts()}
    assert len(recorded) == len(echo.seen)
    for said in echo.seen:
        facts = recorded[said["call"]]
        assert facts["outcome"] == "success"
        assert facts["principal"]["subject"] == said["sub"]
        assert facts["exchange"]["jti"] == said["jti"]
        canonical = json.dumps({"word": said["word"]}, separators=(",", ":")).encode()
        assert facts["arguments"]["sha256"] == hashlib.sha256(canonical).hexdigest()
