"""Path: the whole product. A call comes in at any door and goes the same way.

1. **identify** the caller by their token, and the agent runner that acts for them;
2. **find** the tool and check the arguments against its schema;
3. **decide** by policy: this subject, this actor, this tool, these arguments, this target; and ask whoever has to
   approve (``remit.permission``); then be within the tool's limits;
4. **record** the intent: durable before anything leaves, or nothing does;
5. **exchange** the caller's token for one that is good for this API, these scopes, a short while, names both
   the user and the agent runner, and is checked against what was asked;
6. **call** the API with it, shape the answer, and let policy decide what of it may leave;
7. **record** the outcome, whatever happened.

The caller's token never reaches the API. The API's token never reaches the agent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

from remit.audit.trail import Record, Trail
from remit.call import NOBODY, CallResult, ToolCall, Watch
from remit.catalog.code import Code
from remit.catalog.discovery import Discovery
from remit.catalog.lookup import looked_up
from remit.catalog.tool import Catalog, Tool
from remit.credential import UnverifiedToken
from remit.downstream.client import ApiClient
from remit.downstream.limits import CallGate
from remit.downstream.paging import fetch
from remit.downstream.request import ApiRequest, CallContext, build_request
from remit.downstream.response import ApiResponse
from remit.downstream.result import ToolResult, shape
from remit.downstream.wire.text import encode_json
from remit.errors import (
    ArgumentsInvalid,
    InternalError,
    RemitError,
    RequestUnusable,
    ToolUnknown,
)
from remit.exchange.exchanger import DelegatedToken, Exchanger
from remit.exchange.messages import Wanted
from remit.identity.actor import ActorResolver
from remit.identity.subject import SubjectIdentifier
from remit.inner import Running, run_code
from remit.logs import kind_and_place
from remit.permission.panel import Asked, Permission
from remit.permission.permissions import Permissions
from remit.policy.input import Operation
from remit.principal import ActingParty, Caller, Principal

#: What a call that is not made has in the place of its audit id.
REHEARSED: Final = "dry-run"

__all__ = ["Bridge", "CallResult", "Parts", "Rehearsal", "ToolCall", "Tools", "Watch"]


class Tools(Protocol):
    """Where the tools are now; a reload replaces the whole catalog at once."""

    @property
    def catalog(self) -> Catalog:
        """The catalog in force."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the bridge is made of.

    ``asks_policy_itself``: the token service does, before it issues a token, so nobody else has to.
    """

    subjects: SubjectIdentifier
    actors: ActorResolver
    tools: Tools
    permissions: Permissions
    gate: CallGate
    exchange: Exchanger
    apis: ApiClient
    trail: Trail
    asks_policy_itself: bool = True


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a call would send, and the token it would ask for; ``None`` where the API takes none."""

    request: ApiRequest
    wanted: Wanted | None


@dataclass(frozen=True, slots=True)
class _Ready:
    """A call that can be decided about: whose, of which tool, and the work: its one request, its code, or a look-up."""

    asked: Asked
    tool: Tool
    work: ApiRequest | Code | Discovery


class Bridge:
    """All a door needs: call a tool, list the tools a caller may see, identify a caller."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def identifying(self, subjects: SubjectIdentifier) -> Bridge:
        """The same path with another identifier: for a door that goes by names of its own."""
        return Bridge(replace(self._parts, subjects=subjects))

    async def call(self, call: ToolCall, watch: Watch = NOBODY) -> CallResult:
        """Make one call. Raises leaves of ``RemitError``, each with ``call_id`` set, and nothing else."""
        call = self._meant(call)
        async with self._recorded(call) as record:
            return CallResult(record.id, await self._steps(call, record, watch))

    async def rehearse(self, call: ToolCall, watch: Watch = NOBODY) -> Rehearsal:
        """Steps 1 to 3 of a call, and the request that it would send. Raises as ``call`` does.

        No token is exchanged, nothing is sent, nobody is asked for an approval, and the trail is left alone.
        """
        call = self._meant(call)
        caller, acting = await self._identify(call.token)
        watch.identified(caller.principal, acting)
        ready = await self._find(call, caller, acting, REHEARSED)
        wanted = await self._parts.permissions.foresee(ready.asked, watch)
        if not isinstance(ready.work, ApiRequest):
            raise RequestUnusable(f"{call.name} is no request of its own, so there is none to show")
        return Rehearsal(ready.work, None if ready.tool.auth.type == "none" else wanted)

    async def visible_tools(self, door: str, token: UnverifiedToken | None) -> tuple[Tool, ...]:
        """The tools that a list has for this caller, by name. Raises ``AuthenticationError`` leaves."""
        caller, acting = await self._identify(token)
        shown = await self._shown(door, caller.principal, acting)
        return self._parts.tools.catalog.listed(shown)

    async def tools_for(self, door: str, principal: Principal) -> tuple[Tool, ...]:
        """The tools that policy shows somebody who has no token yet: what they would give away. Raises ``ActorRevoked``."""
        return await self._shown(door, principal, await self._parts.actors.resolve(principal))

    async def _shown(self, door: str, principal: Principal, acting: ActingParty) -> tuple[Tool, ...]:
        return await self._parts.permissions.shown(door, principal, acting, self._parts.tools.catalog)

    async def identify(self, token: UnverifiedToken | None) -> Caller:
        """Who shows this token. Raises ``AuthenticationError`` leaves."""
        return await self._parts.subjects.identify(token)

    @asynccontextmanager
    async def delegated(
        self, call: ToolCall, operation: Operation | None
    ) -> AsyncIterator[tuple[DelegatedToken | None, Record]]:
        """Steps 1 to 5 for a door that carries the traffic itself, and 7 when the block ends.

        ``call.name`` and ``call.arguments`` say what is asked for, ``operation`` what policy is asked about; none:
        there is nothing of that name, which is recorded and refused like what is hidden. The door tells the record
        what came of it. Raises as ``call`` does.
        """
        async with self._recorded(call) as record:
            caller, acting = await self._identify(call.token)  # 1
            record.identified(caller.principal, acting)
            if operation is None:  # 2 was the door's
                await self._parts.permissions.check_unknown(call, caller, acting)
                raise ToolUnknown("there is nothing of that name")
            record.found(operation)
            asked = Asked(call, caller, acting, operation)
            permission = await self._parts.permissions.permit(asked, record, NOBODY)  # 3
            token = await self._delegate(asked, permission, record, NOBODY)  # 4 5
            yield token, record

    @asynccontextmanager
    async def _recorded(self, call: ToolCall) -> AsyncIterator[Record]:
        """7: whatever happens in the block is recorded when it ends, and leaves it as a known error."""
        record = self._parts.trail.record(
            door=call.door, tool=call.name, arguments=call.arguments, request_id=call.request_id, parent=call.parent
        )
        try:
            async with record:
                yield record
        except RemitError as error:
            error.call_id = record.id
            raise
        except Exception as error:  # the top of every call: what nobody foresaw becomes one known error
            # Its text may hold anything, a credential too: only its kind and its place are told.
            unforeseen = InternalError("something went wrong on this side", detail=kind_and_place(error))
            unforeseen.call_id = record.id
            raise unforeseen from error

    async def _steps(self, call: ToolCall, record: Record, watch: Watch) -> ToolResult:
        caller, acting = await self._identify(call.token)  # 1
        record.identified(caller.principal, acting)
        watch.identified(caller.principal, acting)

        ready = await self._find(call, caller, acting, record.id)  # 2
        record.found(ready.tool)
        permission = await self._parts.permissions.permit(ready.asked, record, watch)  # 3
        return await self._carry_out(ready, permission, record, watch)

    async def _carry_out(self, ready: _Ready, permission: Permission, record: Record, watch: Watch) -> ToolResult:
        """4 to 6, for a call that is permitted."""
        tool, asked = ready.tool, ready.asked
        with self._parts.gate.admitted(tool, asked.principal, asked.acting):
            response = await self._answer(ready, permission, record, watch)
        quote = await self._parts.permissions.may_quote(permission, tool, response.status, record)
        result = shape(tool, response, quote=quote)
        result = await self._parts.permissions.release(permission, tool, response.status, result, record)
        record.answered(result)
        return result

    async def _answer(self, ready: _Ready, permission: Permission, record: Record, watch: Watch) -> ApiResponse:
        """What the API answers, or in its place a tool's code, or what is known of an API's operations."""
        tool, work = ready.tool, ready.work
        if not isinstance(work, ApiRequest):
            await self._parts.permissions.settle(ready.asked, permission, record)
            await record.intend(permission.wanted)  # 4
        if isinstance(work, Discovery):
            found = looked_up(work, ready.asked.call.arguments, await self._shown_to(ready.asked))
            return ApiResponse.made_here(encode_json(found).encode())
        if isinstance(work, Code):
            running = Running(ready.asked, tool, work, permission, record.id, self._parts.tools.catalog)
            return await run_code(running, self._call_within, record.made_calls)
        token = await self._delegate(ready.asked, permission, record, watch)  # 4 5
        watch.calling(work)  # 6
        credential = token.credential if token else None
        response = await fetch(self._parts.apis, work, credential, tool, call_id=record.id, seen=record.called)
        if response.broken_off:
            record.broke_off(response.broken_off)
        return response

    async def _call_within(self, call: ToolCall, tool: Tool, outer: Permission) -> ToolResult:
        """A call that the code of a tool makes (``remit.inner``): the same steps, within what that tool's call may do."""
        async with self._recorded(call) as record:
            caller, acting = await self._identify(call.token)  # 1
            record.identified(caller.principal, acting)
            record.found(tool)
            ready = _ready(Asked(call, caller, acting, tool), tool, record.id)  # 2
            permission = await self._parts.permissions.permit_within(ready.asked, outer, record)  # 3
            return await self._carry_out(ready, permission, record, NOBODY)

    async def _delegate(
        self, asked: Asked, permission: Permission, record: Record, watch: Watch
    ) -> DelegatedToken | None:
        """Record the intent, exchange. No token only where the operation's upstream takes none."""
        permissions, operation = self._parts.permissions, asked.operation
        wanted = permission.wanted
        if operation.auth.type != "none" and not self._parts.asks_policy_itself:
            wanted = await permissions.narrow(asked, wanted, record)
        await permissions.settle(asked, permission, record)

        await record.intend(wanted)  # 4

        if operation.auth.type == "none":
            return None
        if operation.auth.type == "client-credentials":
            token = await self._parts.exchange.own_token(wanted)
        else:
            token = await self._parts.exchange.delegated_token(asked.caller, asked.acting, wanted)  # 5
        record.exchanged(token)
        watch.exchanged(wanted, token)
        return token

    async def _shown_to(self, asked: Asked) -> tuple[Tool, ...]:
        return await self._shown(asked.call.door, asked.principal, asked.acting)

    def _meant(self, call: ToolCall) -> ToolCall:
        """The call of an operation, where an agent asks a tool to make that call."""
        name, arguments = self._parts.tools.catalog.meant(call.name, call.arguments)
        return call if name == call.name else replace(call, name=name, arguments=arguments)

    async def _identify(self, token: UnverifiedToken | None) -> tuple[Caller, ActingParty]:
        caller = await self._parts.subjects.identify(token)
        return caller, await self._parts.actors.resolve(caller.principal)

    async def _find(self, call: ToolCall, caller: Caller, acting: ActingParty, call_id: str) -> _Ready:
        """The tool, and the request that the arguments make. What is wrong with them is told only to those who may
        see the tool.
        """
        tool = self._parts.tools.catalog.get(call.name)
        if tool is None:
            await self._parts.permissions.check_unknown(call, caller, acting)
            raise ToolUnknown("there is no such tool")
        asked = Asked(call, caller, acting, tool)
        try:
            return _ready(asked, tool, call_id)
        except (ArgumentsInvalid, RequestUnusable):
            await self._parts.permissions.check_shown(asked)
            raise


def _ready(asked: Asked, tool: Tool, call_id: str) -> _Ready:
    """The arguments checked, and made into a request. Raises ``ArgumentsInvalid`` and ``RequestUnusable``."""
    arguments = asked.call.arguments
    tool.validate(arguments)
    if tool.code is not None:
        return _Ready(asked, tool, tool.code)
    if tool.discovery is not None and tool.discovery.looks_up:
        return _Ready(asked, tool, tool.discovery)
    if not tool.is_request:
        raise RequestUnusable(f"{tool.name} calls operations for agents; call the operation itself")
    context = _context(asked.principal, asked.acting, call_id)
    return _Ready(asked, tool, build_request(tool, arguments, context))


def _context(principal: Principal, acting: ActingParty, call_id: str) -> CallContext:
    """What a tool file may put into a request with ``{from: …}``."""
    user = {"sub": principal.subject, "iss": principal.issuer, "name": principal.name}
    return CallContext(user=user, actor={"sub": acting.actor.sub}, call={"id": call_id})
