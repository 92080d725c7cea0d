"""After a run with every kind of ending, no token, secret or argument value lies where it must not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from support.command import remit, remit_process, wait_until_served
from support.company import Workspace, add_api, edit_settings, make_workspace
from support.mcp_door import ERAS, call_message
from support.policy import allow_api
from support.servers import Listener, serving

TOOLS = """
version: 1
name: vault
upstream:
  baseUrl: ${VAULT_URL}
  auth: {audience: vault-api, scopes: ["vault:use"], maxTtl: 60s}
tools:
  - name: look_up
    description: Looks one thing up, and ends as the test wants it to.
    input:
      type: object
      required: [name]
      properties: {name: {type: string, maxLength: 60}, in_header: {type: string}, in_query: {type: string}}
    request:
      method: GET
      path: /things/{name}
      query: {q: $in_query}
      headers: {X-Wanted: $in_header}
    response: {errors: {"409": "It is in use: {{message}}"}}
  - name: store
    description: Stores one thing, which the client may not ask a token for.
    input: {type: object, required: [note], properties: {note: {type: string}}}
    request: {method: POST, path: /things, body: {note: $note}}
    auth: {scopes: ["vault:use", "vault:write"]}
"""

#: Values that occur nowhere else. Each ends a call in its own way.
FOUND, MISSING, IN_USE, BROKEN, NOT_JSON, GARBLED = (
    f"zq{number}-value-{ending}"
    for number, ending in enumerate(("found", "missing", "in-use", "broken", "not-json", "garbled"))
)
HEADER, QUERY, NOTE, TOO_LONG = "zq-value-in-header", "zq-value-in-query", "zq-value-in-note", "zq-value-too-long" * 9
VALUES = (FOUND, MISSING, IN_USE, BROKEN, NOT_JSON, GARBLED, HEADER, QUERY, NOTE, TOO_LONG)
#: What the API says of itself when it fails.
INNER = "zq-inner-secret-of-the-api"


@dataclass
class Vault:
    """An API that keeps the tokens it was shown and repeats what it was asked, as careless APIs do."""

    tokens: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/things/{name}", self.thing), Route("/things", self.thing, methods=["POST"])])

    async def thing(self, request: Request) -> Response:
        self.tokens.append(request.headers["authorization"].removeprefix("Bearer "))
        name = request.path_params.get("name", "")
        said = {"message": f"{name} {INNER}"}
        if name == GARBLED:
            return Response(f"<p>{name}: {request.headers['authorization']}</p>", media_type="text/html")
        if name == NOT_JSON:
            return Response(f"{{{name} {INNER}", media_type="application/json")
        status = {MISSING: 404, IN_USE: 409, BROKEN: 500}.get(name, 200)
        return JSONResponse({"id": "1"} if status == 200 else said, status)


@dataclass
class Run:
    """What a whole run left behind."""

    workspace: Workspace
    answers: list[str]
    log: str
    secrets: dict[str, str]

    @property
    def trail(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.workspace.trail_file.parent.glob("audit.db*")))


def prepare(folder: Path, listener: Listener, vault_url: str) -> Workspace:
    nowhere = Listener()
    nowhere.socket.close()  # orders cannot be reached
    workspace = make_workspace(folder, (listener, nowhere, nowhere, nowhere))
    add_api(workspace, "vault", vault_url, TOOLS)

    def change(document: dict[str, Any]) -> None:
        document["sts"]["users"]["alice"]["scopes"] += ["vault:use", "vault:write"]

    edit_settings(workspace.config, change)
    allow_api(folder, "vault")
    return workspace


async def run(folder: Path) -> Run:
    vault, listener = Vault(), Listener()
    async with serving(vault.app()) as vault_url:
        workspace = prepare(folder, listener, vault_url)
        listener.socket.close()  # the process serves there
        tokens = {user: await minted(workspace, user) for user in ("alice", "bob")}
        log = folder / "stderr"
        with (
            log.open("wb") as stderr,
            remit_process("-v", "-c", workspace.config, "serve", cwd=folder, stderr=stderr) as process,
        ):
            await asyncio.to_thread(wait_until_served, workspace.base, process)
            async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
                answers = [await told(http, workspace, *call) for call in every_call(tokens)]
    secrets = {
        **{f"{user}'s token": token for user, token in tokens.items()},
        **{f"{name}'s secret": text for name, text in workspace.secrets.items()},
        **{f"delegated token {number}": token for number, token in enumerate(vault.tokens)},
    }
    return Run(workspace, answers, log.read_text(encoding="utf-8"), secrets)


async def minted(workspace: Workspace, user: str) -> str:
    done = await asyncio.to_thread(remit, "-c", workspace.config, "token", "mint", user, cwd=workspace.folder)
    return done.stdout.strip()


def every_call(tokens: dict[str, str]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Token, era, tool and arguments."""
    for era in ERAS:
        for user in ("alice", "bob"):  # bob is refused nearly all of it
            for name in (FOUND, MISSING, IN_USE, BROKEN, NOT_JSON, GARBLED, TOO_LONG):
                yield tokens[user], era, "look_up", {"name": name, "in_header": HEADER, "in_query": QUERY}
            yield tokens[user], era, "look_up", {"name": FOUND, "in_header": f"{HEADER}\r\nX: 1"}
            yield tokens[user], era, "store", {"note": NOTE}
            yield tokens[user], era, "get_order", {"order_id": "O987650123"}
            yield tokens[user], era, "no_such_tool", {"name": FOUND}
        yield tokens["bob"], era, "refund_order", {"order_id": "O1001", "amount": 1, "reason": "late"}
        yield tokens["alice"][:-2] + "AA", era, "look_up", {"name": FOUND}
        yield "eyJhbGciOiJub25lIn0.e30.", era, "look_up", {"name": FOUND}


async def told(
    http: httpx.AsyncClient, workspace: Workspace, token: str, era: str, tool: str, arguments: dict[str, Any]
) -> str:
    headers, body = call_message(tool, era, arguments)
    headers["Authorization"] = f"Bearer {token}"
    answer = await http.post(workspace.mcp_url, headers=headers, json=body)
    return f"{answer.status_code} {answer.headers} {answer.text}"


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return asyncio.run(run(tmp_path_factory.mktemp("run")))


def test_the_run_had_every_kind_of_ending(after: Run) -> None:
    codes = {each.get("error", {}).get("code", "") for each in after.workspace.facts()}
    assert codes >= {
        "",
        "access_denied",
        "downstream_failed",
        "downstream_refused",
        "downstream_unavailable",
        "exchange_refused",
        "invalid_arguments",
        "response_unusable",
        "tool_unknown",
    }
    assert sum("delegated" in name for name in after.secrets) >= 2 * 6
    assert after.log


def test_no_token_and_no_secret_is_in_the_trail_the_log_or_an_answer(after: Run) -> None:
    for what, secret in after.secrets.items():
        assert len(secret) > 20, what
        assert secret.encode() not in after.trail, what
        assert secret not in after.log, what
        assert not any(secret in answer for answer in after.answers), what
    assert b"eyJ" not in after.trail
    assert "eyJ" not in after.log
    assert not any("eyJ" in answer for answer in after.answers)


def test_an_answer_that_repeats_its_token_is_withheld(after: Run) -> None:
    withheld = [answer for answer in after.answers if "repeats the token" in answer]
    assert len(withheld) == len(ERAS)
    assert all("response_unusable" in answer for answer in withheld)


def test_no_argument_is_in_the_trail_or_the_log(after: Run) -> None:
    for value in (*VALUES, "O987650123"):
        assert value.encode() not in after.trail, value
        assert value not in after.log, value


def test_what_an_api_says_of_its_insides_reaches_nobody(after: Run) -> None:
    """Except where the tool file passes the API's message on: for 409, that is."""
    assert INNER.encode() not in after.trail
    assert INNER not in after.log
    passed_on = [answer for answer in after.answers if INNER in answer]
    assert all("It is in use" in answer for answer in passed_on)
    assert passed_on
