"""Path: the calls that the code of a tool makes while it runs.

The call of the tool itself was decided and recorded before. Each call that its code makes is then one of its own:
decided, with the tool named as its parent; exchanged for a token of its own, with no scope and no second more than the
call of the tool was permitted; recorded, with that call as its parent. ``make`` is who does all that, the bridge; here
is what a call is made of, how many there may be, and what the code learns of one that was refused.

No credential is handed to the code, and no error that it gets to see leads to one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

import structlog
from pydantic_core import PydanticSerializationError, to_jsonable_python

from remit.call import Parent, ToolCall
from remit.catalog.code import Code
from remit.catalog.plan import Body, Bound, Encoding, Field, Fixed, RequestPlan, ResponsePlan
from remit.catalog.schema import Schema
from remit.catalog.tool import Catalog, Tool, ToolAnnotations
from remit.downstream.response import ApiResponse
from remit.downstream.result import ToolResult
from remit.errors import (
    ArgumentsInvalid,
    CallRefused,
    CodeFailed,
    CodeTimeout,
    DownstreamError,
    InternalError,
    PolicyDenied,
    RemitError,
    RequestUnusable,
    ResponseUnusable,
    ToolHidden,
    ToolUnknown,
)
from remit.logs import kind_and_place
from remit.permission.panel import Asked, Permission
from remit.tools.context import ApiCall, Ctx

#: Makes one call of the tool given, under the permission of the call it belongs to.
Make = Callable[[ToolCall, Tool, Permission], Awaitable[ToolResult]]

#: Code that was told to stop has so many seconds to do so, then nobody waits for it.
_GRACE: Final = 1.0
_QUERY: Final = Encoding("form", explode=True)
_ANYTHING: Final = Schema({})
#: The fact that names the argument of a tool in which an amount stands. Its code's requests have no such argument.
_MONEY: Final = "moneyField"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """One call of a code tool that was permitted and recorded as ``call_id``."""

    asked: Asked
    tool: Tool
    code: Code
    permission: Permission
    call_id: str
    catalog: Catalog


async def run_code(running: Running, make: Make, count: Callable[[int], None]) -> ApiResponse:
    """Run it, and give what it returns as an API would answer it. ``count`` is told how many calls it made.

    Raises ``CallRefused`` and ``ArgumentsInvalid`` as the code does, ``CodeFailed`` for anything else that it raises, and
    ``CodeTimeout``. From then on it makes no more calls, even if it goes on.
    """
    calls = _Calls(running, make)
    principal, actor = running.asked.principal, running.asked.acting.actor
    ctx = Ctx(calls, user=principal.subject, agent=actor.sub, call_id=running.call_id)
    task = asyncio.ensure_future(_guarded(running, ctx))
    try:
        done, _ = await asyncio.wait({task}, timeout=running.tool.timeout)
    finally:
        calls.close()
        count(calls.made)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_GRACE)
    if not done:
        raise CodeTimeout(
            f"{running.tool.name} was not done within {running.tool.timeout:g} s; what it had called before stands",
            hint=f"raise timeout in {running.tool.where}, or have it do less",
        )
    return _answer(running.tool, task)


async def _guarded(running: Running, ctx: Ctx) -> bytes:
    """What the code returns, as JSON."""
    try:
        return json.dumps(await running.code.run(ctx, running.asked.call.arguments), allow_nan=False).encode()
    except SystemExit:  # which would end the server
        raise CodeFailed(_failed(running.tool), detail="SystemExit") from None


def _answer(tool: Tool, task: asyncio.Future[bytes]) -> ApiResponse:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is None:
        return ApiResponse.made_here(task.result())
    if isinstance(error, CallRefused | ArgumentsInvalid | CodeFailed):
        raise error
    log.error("tool_code_failed", tool=tool.name, where=tool.where, exc_info=error)
    raise CodeFailed(_failed(tool), detail=kind_and_place(error), hint="the log has the place")


def _failed(tool: Tool) -> str:
    return f"the code of {tool.name} failed; what it had called before stands"


class _Calls:
    """What the code is given to make calls with, in one run."""

    def __init__(self, running: Running, make: Make) -> None:
        self.made = 0
        self._running = running
        self._make = make
        self._is_open = True

    def close(self) -> None:
        """No call is made any more."""
        self._is_open = False

    async def request(self, call: ApiCall) -> Any:
        """A request to the API of the tool's own tool set."""
        return await self._answered(f"{call.method} {call.path}", lambda: self._operation(call), _arguments(call))

    async def tool(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Another tool."""
        return await self._answered(name, lambda: self._other(name), arguments)

    async def _answered(self, what: str, find: Callable[[], Tool], arguments: Mapping[str, Any]) -> Any:
        try:
            self._count()
            tool = find()
            result = await self._make(self._call(tool, arguments), tool, self._running.permission)
            return _whole(result)
        except RemitError as error:
            refused = _refused(what, error)
        # Outside of the block above: an error that led to its cause would lead to the frames that hold the token.
        raise refused

    def _count(self) -> None:
        if not self._is_open:
            _refuse("its tool has ended")
        if self.made >= self._running.code.max_calls:
            _refuse(f"the code may make {self._running.code.max_calls} calls", "raise max_calls, if so many are meant")
        self.made += 1

    def _call(self, tool: Tool, arguments: Mapping[str, Any]) -> ToolCall:
        try:
            plain = to_jsonable_python(dict(arguments))
        except (PydanticSerializationError, ValueError):
            _refuse("a value is none that JSON has")
        parent = Parent(self._running.call_id, self._running.tool.name)
        return replace(self._running.asked.call, name=tool.name, arguments=plain, answer=None, parent=parent)

    # ── what is called ──

    def _operation(self, call: ApiCall) -> Tool:
        """The request as a tool of its own, which policy can decide about."""
        tool, code, wanted = self._running.tool, self._running.code, self._running.permission.wanted
        plan = code.plan(call.method, call.path)
        reads = call.method == "GET"
        self._check_effect(reads=reads)
        scopes = wanted.scopes if call.scopes is None else call.scopes
        self._check_scopes(scopes)
        if call.values.keys() != _placeholders(plan):
            _refuse(
                "the values are not those that the path names", "give each {name} of the path its value, and no other"
            )
        again = reads or call.method in {"PUT", "DELETE"}
        return replace(
            tool,
            name=f"{tool.name}:{call.method}:{call.path}",
            plan=_with_values(plan, call),
            response=ResponsePlan(max_bytes=tool.limits.max_response_bytes),
            annotations=ToolAnnotations(
                read_only=reads,
                destructive=call.method == "DELETE",
                idempotent=again,
                open_world=tool.annotations.open_world,
            ),
            auth=replace(tool.auth, scopes=scopes, max_lifetime=wanted.max_lifetime),
            facts={name: value for name, value in tool.facts.items() if name != _MONEY},
            limits=code.limits,
            arguments=_ANYTHING,
            output_schema=None,
            code=None,
            digest=hashlib.sha256(f"{tool.digest} {call.method} {call.path}".encode()).hexdigest(),
        )

    def _other(self, name: str) -> Tool:
        other = self._running.catalog.get(name)
        if other is None:
            raise ToolUnknown("there is no such tool")
        if other.code is not None:
            _refuse("it is a code tool, and code calls no other code")
        self._check_effect(reads=other.annotations.read_only)
        if other.auth.type != "none":
            self._check_scopes(other.auth.scopes)
        return other

    def _check_effect(self, *, reads: bool) -> None:
        if self._running.tool.annotations.read_only and not reads:
            _refuse(
                f"{self._running.tool.name} says that it only reads", "leave read_only out where it changes something"
            )

    def _check_scopes(self, scopes: tuple[str, ...]) -> None:
        """Never more than the call of the tool was permitted, and never none: that could be any."""
        allowed = self._running.permission.wanted.scopes
        if self._running.tool.auth.type == "none" and not scopes:
            return
        if not scopes or not set(scopes) <= set(allowed):
            _refuse("it would need scopes that the tool does not have", "name them in scopes of the code tool")


def _arguments(call: ApiCall) -> dict[str, Any]:
    """What policy and trail are told of a request."""
    beside = {"query": call.query, "body": call.body}
    return {**call.values, **{name: value for name, value in beside.items() if value is not None}}


def _placeholders(plan: RequestPlan) -> set[str]:
    return {part.field.name for segment in plan.segments for part in segment if isinstance(part, Bound)}


def _with_values(plan: RequestPlan, call: ApiCall) -> RequestPlan:
    """With the query and the body, which stand as they are: nothing in them is a binding."""
    given = {name: value for name, value in (call.query or {}).items() if value is not None}
    query = tuple(Bound(Field(name, _QUERY), Fixed(to_jsonable_python(value))) for name, value in given.items())
    body = None if call.body is None else Body("json", "application/json", Fixed(to_jsonable_python(call.body)))
    return replace(plan, query=query, body=body)


def _whole(result: ToolResult) -> Any:
    """The answer's data. Code is not given a part that it would take for the whole."""
    if result.truncated:
        raise ResponseUnusable("the answer is too long for the tool's limits", hint="ask for less, or raise maxBytes")
    return result.unwrapped


def _refuse(why: str, hint: str = "") -> NoReturn:
    raise RequestUnusable(why, hint=hint)


def _refused(what: str, error: RemitError) -> CallRefused:
    """What the code learns, and the agent where the code lets it pass: as of any call, but of this one."""
    if isinstance(error, InternalError):
        log.error("inner_call_failed", call_id=error.call_id, exc_info=error)
    reason, message = error.code, error.message
    if isinstance(error, ToolHidden):
        reason, message = PolicyDenied.code, "policy does not permit it"
    status = error.status if isinstance(error, DownstreamError) else 0
    recorded = f" in call {error.call_id}" if error.call_id else ""
    return CallRefused(
        f"a call that this tool makes did not succeed, {what}: {message} ({reason})",
        reason=reason,
        status=status,
        detail=f"{reason}{recorded}",
        hint=error.hint,
    )
