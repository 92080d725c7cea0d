"""A bridge that a test tells what to do, and the MCP doors in front of it on real sockets."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent
from starlette.applications import Starlette

from remit.approvals.approval import ApprovalAnswer
from remit.bridge import CallResult, ToolCall
from remit.catalog.plan import RequestPlan, ResponsePlan
from remit.catalog.schema import Schema
from remit.catalog.tool import Tool, ToolAnnotations, ToolAuth
from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.doors.mcp.contract import CallPath
from remit.doors.mcp.http import HttpDoor, McpHttpSettings
from remit.downstream.result import ToolResult
from remit.errors import (
    ApprovalDenied,
    ApprovalRequired,
    ApprovalUnusable,
    RemitError,
    ScopeInsufficient,
    StepUpRequired,
    TokenInvalid,
    TokenMissing,
    ToolUnknown,
)
from remit.principal import Caller, Principal
from support.clock import FakeClock

#: Both eras of the protocol, as the official client is told to speak them.
ERAS = ("2026-07-28", "legacy")
TLS = ssl.create_default_context()  # made once: it is what costs most of a client
ISSUER = "https://idp.example.com"


READ_ONLY = ToolAnnotations(read_only=True, destructive=False, idempotent=True, open_world=False)


def a_tool(
    name: str,
    *,
    title: str = "A tool",
    description: str = "Does what the test says.",
    input_schema: dict[str, Any] | None = None,
    output_schema: dict[str, Any] | None = None,
    annotations: ToolAnnotations = READ_ONLY,
) -> Tool:
    """A tool as the list shows it; it cannot be called, which a fake bridge does not do."""
    return Tool(
        name=name,
        title=title,
        description=description,
        input_schema=input_schema or {"type": "object"},
        output_schema=output_schema,
        annotations=annotations,
        upstream="orders",
        tags=(),
        facts={},
        digest="",
        where="tools/orders.yaml:1",
        auth=ToolAuth("token-exchange", "orders", "", (), "required", 300),
        timeout=10,
        plan=cast("RequestPlan", None),
        response=cast("ResponsePlan", None),
        arguments=cast("Schema", None),
    )


Answer = Callable[[ToolCall], Awaitable[Any]]


@dataclass
class FakeApproval:
    """An approval of one caller's call of one tool with these arguments."""

    id: str
    binding: tuple[str, ...]
    state: str = "pending"


@dataclass
class FakeBridge:
    """Callers are who their token says (``token-alice``); each tool answers by its function.

    ``hidden`` maps a subject to names that are not for them; ``scopes`` what a token holds; ``needed`` what a
    tool needs; ``sign_in`` how the user must have signed in for it, which those ``signed_in_well`` have; ``approvers``
    who has to approve it.
    """

    tools: dict[str, Tool] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    hidden: dict[str, set[str]] = field(default_factory=dict)
    scopes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    needed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sign_in: dict[str, dict[str, Any]] = field(default_factory=dict)
    signed_in_well: set[str] = field(default_factory=set)
    approvers: dict[str, str] = field(default_factory=dict)
    approvals: dict[str, FakeApproval] = field(default_factory=dict)
    approval_seconds: float = 600
    now: float = field(default_factory=FakeClock().now)
    distrusts: RemitError | None = None
    expires_at: int = 1_900_000_000
    calls: list[ToolCall] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    _ids: itertools.count[int] = field(default_factory=itertools.count)

    def add(self, tool: Tool, answer: Answer) -> None:
        self.tools[tool.name] = tool
        self.answers[tool.name] = answer

    async def identify(self, token: UnverifiedToken | None) -> Caller:
        if token is None:
            raise TokenMissing("nobody is signed in")
        if self.distrusts is not None:
            raise self.distrusts
        kind, _, subject = token.reveal().partition("-")
        if kind != "token":
            raise TokenInvalid("the token is not accepted", detail="secret detail", hint="secret hint")
        scopes = self.scopes.get(subject, ())
        return Caller(Principal(subject, ISSUER, scopes=scopes, expires_at=self.expires_at), token)

    async def visible_tools(self, door: str, token: UnverifiedToken | None) -> tuple[Tool, ...]:
        caller = await self.identify(token)
        hidden = self.hidden.get(caller.principal.subject, set())
        return tuple(self.tools[name] for name in sorted(self.tools) if name not in hidden)

    async def call(self, call: ToolCall) -> CallResult:
        self.calls.append(call)
        self.started.set()
        call_id = f"call-{next(self._ids)}"
        try:
            if call.name not in {tool.name for tool in await self.visible_tools(call.door, call.token)}:
                raise ToolUnknown("no such tool")
            principal = (await self.identify(call.token)).principal
            self._check_approval(call, principal)
            self._check_sign_in(call, principal)
            data = await self.answers[call.name](call)
        except RemitError as error:
            error.call_id = call_id
            raise
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return CallResult(call_id, ToolResult(data=data, text=f"text of {data!r}", truncated=False, size=0))

    def _check_sign_in(self, call: ToolCall, principal: Principal) -> None:
        needed = self.needed.get(call.name, ())
        if not set(needed) <= set(principal.scopes):
            raise ScopeInsufficient("the user's token lacks scopes", scope=" ".join(needed), hint="sign in again")
        if (demanded := self.sign_in.get(call.name)) and principal.subject not in self.signed_in_well:
            raise StepUpRequired("policy wants the user to sign in again", **demanded)

    def _check_approval(self, call: ToolCall, principal: Principal) -> None:
        if call.name not in self.approvers:
            return
        binding = (principal.issuer, principal.subject, call.name, json.dumps(call.arguments, sort_keys=True))
        if call.answer is not None:
            self._decide(call.answer, binding)
        live = [each for each in self.approvals.values() if each.binding == binding and each.state != "used"]
        approval = live[0] if live else FakeApproval(f"approval-{len(self.approvals)}", binding)
        self.approvals[approval.id] = approval
        if approval.state == "denied":
            raise ApprovalDenied("whoever was asked to approve this call said no")
        if approval.state == "pending":
            raise ApprovalRequired(
                f"this call needs the approval of {self.approvers[call.name]}",
                approval_id=approval.id,
                by_user=self.approvers[call.name] == "user",
                expires_at=int(self.now + self.approval_seconds),
                question=f"Allow {call.name} with {dict(call.arguments)}?",
            )
        approval.state = "used"

    def _decide(self, answer: ApprovalAnswer, binding: tuple[str, ...]) -> None:
        approval = self.approvals.get(answer.approval_id)
        if approval is None or approval.binding != binding or approval.state != "pending":
            raise ApprovalUnusable("there is no such approval")
        approval.state = "approved" if answer.accepted else "denied"


@dataclass
class Served:
    """A door on a real port."""

    base: str
    door: HttpDoor

    @property
    def url(self) -> str:
        return f"{self.base}/mcp"

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    @asynccontextmanager
    async def client(self, token: str, mode: str = "2026-07-28", **options: Any) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, verify=TLS) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=mode, **options) as client,
        ):
            yield client

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx2.AsyncClient]:
        async with httpx2.AsyncClient(base_url=self.base, verify=TLS) as http:
            yield http


@asynccontextmanager
async def served(
    bridge: CallPath, clock: Clock | None = None, state_keys: tuple[bytes, ...] = (), **settings: Any
) -> AsyncIterator[Served]:
    """The HTTP door in front of ``bridge``, on a free loopback port."""
    # With its protocol named: asyncio turns Nagle's delay off only then, and a request took 40 ms without.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        door = HttpDoor(
            bridge,
            McpHttpSettings(**{"resource": f"{base}/mcp", "issuers": (ISSUER,), **settings}),
            clock or FakeClock(),
            state_keys=state_keys,
            progress_interval=0.02,
        )
        app = Starlette(routes=door.routes, lifespan=lambda _app: door.running())
        config = uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])  # what serve() does, without its wait for a tick
        try:
            yield Served(base, door)
        finally:
            await stop(server)


async def stop(server: uvicorn.Server) -> None:
    """What ``shutdown()`` does, without its tenth of a second."""
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    for _ in range(100):
        if not server.server_state.connections:
            break
        await asyncio.sleep(0.001)
    await server.lifespan.shutdown()


def call_message(
    name: str, era: str, arguments: Mapping[str, Any] | None = None
) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of one `tools/call`, as a client of that era sends them."""
    headers = {
        "Authorization": "Bearer token-alice",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
    }
    params: dict[str, Any] = {"name": name, "arguments": dict(arguments or {})}
    if era == "legacy":
        headers["MCP-Protocol-Version"] = "2025-11-25"
    else:
        headers |= {"MCP-Protocol-Version": era, "Mcp-Method": "tools/call", "Mcp-Name": name}
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": era,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    return headers, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def challenge_of(response: Any) -> dict[str, str]:
    """The parameters of a response's one challenge."""
    scheme, _, rest = response.headers["WWW-Authenticate"].partition(" ")
    assert scheme == "Bearer"
    return dict(re.findall(r'(\w+)="([^"]*)"', rest))


def text_of(result: Any) -> str:
    """What the model reads of a result."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def raw_request(at: Served, headers: Mapping[str, str], body: Mapping[str, Any]) -> bytes:
    """The same on the wire."""
    payload = json.dumps(body).encode()
    lines = [
        "POST /mcp HTTP/1.1",
        f"Host: 127.0.0.1:{at.port}",
        f"Content-Length: {len(payload)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload
