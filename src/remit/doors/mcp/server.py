"""Door: the MCP server behind both transports: list, call, progress, change notices.

A server belongs to exactly one door and knows one way to its caller's token (``Line.token_of``), so a call over HTTP
cannot fall back to the token of a stdio session. The token goes to the bridge unread; the bridge verifies it.

Where the user has to approve a call, they are asked through their client if that can be: by the result of the call in
2026-07-28, by a request on the way in the handshake era. Otherwise the refusal says how else it can be approved.
Somebody who has to sign in, and can do so through this process, is asked in the same two ways.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final, TypeVar

import anyio
import structlog
from mcp import MCPError
from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.server.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    InMemorySubscriptionBus,
    ListenHandler,
    ToolsListChanged,
)
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from remit import __version__
from remit.approvals.approval import ApprovalAnswer
from remit.bridge import CallResult, ToolCall
from remit.catalog.tool import Tool
from remit.clock import Clock
from remit.doors.mcp import sign_in
from remit.doors.mcp.approval import asked, reply_in, shows_forms
from remit.doors.mcp.arguments import check_bounds
from remit.doors.mcp.contract import CallPath, SignIn, SignInOffer
from remit.doors.mcp.line import Line, RequestContext
from remit.doors.mcp.listing import without_tools
from remit.doors.mcp.lists import Lists
from remit.doors.mcp.rendering import answered, protocol_fault, refusal, unknown_tool
from remit.doors.mcp.sealing import SealedState
from remit.errors import (
    ApprovalRequired,
    AuthenticationError,
    InternalError,
    RemitError,
    SignInFailed,
    SignInRequired,
    SignInUnavailable,
    TokenInvalid,
    ToolUnknown,
)
from remit.principal import Principal

_LOG = structlog.get_logger(__name__)

_T = TypeVar("_T")

INSTRUCTIONS: Final = (
    "These tools act on behalf of the signed-in user, with that user's rights. A refusal names a code, the reason, "
    "what would help and an audit id: tell the user, and do not repeat a denied call unchanged."
)
#: A tool name longer than this is no tool's; it is not even looked up.
MAX_NAME: Final = 128
_MAX_LABEL: Final = 128
_DISCOVER_TTL_MS: Final = 300_000


class ToolServer:
    """Serves the bridge's tools over whatever transport ``sdk`` is run on.

    ``progress_interval``: seconds between two progress notices of a slow call, where the client asked for any.
    """

    def __init__(
        self, bridge: CallPath, line: Line, clock: Clock, *, state_keys: tuple[bytes, ...], progress_interval: float
    ) -> None:
        self._bridge = bridge
        self._line = line
        self._clock = clock
        self._progress_interval = progress_interval
        #: What somebody can be offered who is not signed in; none where clients bring their own tokens.
        self.sign_in: SignIn | None = None
        self._changes = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._changes)
        self.sdk: Server[Any] = Server(
            "remit",
            version=__version__,
            title="remit",
            instructions=INSTRUCTIONS,
            cache_hints={"server/discover": CacheHint(ttl_ms=_DISCOVER_TTL_MS)},
            # Without this hook the SDK runs the whole list before each call, to look for `x-mcp-header`
            # (python-sdk #3565). No tool has that: it would show hidden tools and put arguments into proxy logs.
            get_tool_input_schema=lambda _name: None,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_subscriptions_listen=self._serve_changes,
        )
        self._lists = Lists(line, self._visible_tools)
        self.sdk.middleware += [SealedState(state_keys, self._principal_of), self._lists]

    async def notify_tools_changed(self) -> None:
        """Tell the clients that listen that the list of tools is another one."""
        self._lists.forget()
        await self._changes.publish(ToolsListChanged())

    def end_streams(self) -> None:
        """End the streams of change notices in good order, so that nobody waits for them when serving ends."""
        self._listen.close()

    async def _list_tools(self, _ctx: RequestContext, _params: PaginatedRequestParams | None) -> ListToolsResult:
        """All but the tools, which ``Lists`` puts in."""
        return without_tools()

    async def _visible_tools(self, ctx: RequestContext) -> Sequence[Tool]:
        try:
            with _only_known_errors():
                return await self._bridge.visible_tools(self._line.door, await self._line.token_of(ctx))
        except RemitError as error:
            raise protocol_fault(error) from error

    async def _call_tool(
        self, ctx: RequestContext, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        reply = reply_in(params) if _asks_by_result(ctx) else None
        if isinstance(reply, ApprovalRequired):  # asked, and not answered: it still waits
            return refusal(reply)
        try:
            with _only_known_errors():
                answer = await self._with_progress(ctx, params.name, self._signed_in(ctx, params, reply))
        except ToolUnknown as error:
            raise unknown_tool(params.name) from error
        except (SignInRequired, SignInFailed, SignInUnavailable) as error:
            return refusal(error)
        except AuthenticationError as error:
            raise protocol_fault(error) from error
        except RemitError as error:
            return self._refused(ctx, error)
        return answer if isinstance(answer, InputRequiredResult) else answered(answer, any_json=_is_modern(ctx))

    async def _signed_in(
        self, ctx: RequestContext, params: CallToolRequestParams, answer: ApprovalAnswer | None
    ) -> CallResult | InputRequiredResult:
        """Make the call; where nobody is signed in who may be asked to, once more when they have, or the offer."""
        went = sign_in.reply_in(params) if self.sign_in and _is_modern(ctx) else None
        if went and self.sign_in:
            await self.sign_in.finished(sign_in.PATIENCE)
        try:
            return await self._made(ctx, await self._tool_call(ctx, params, answer))
        except (SignInRequired, TokenInvalid):
            if self.sign_in is None or went is not None or not sign_in.shows_urls(ctx.session.client_capabilities):
                raise
            offer = await self.sign_in.begin()
            if _is_modern(ctx):
                return sign_in.offered(offer)
            if not await self._went_to_sign_in(ctx, offer) or not await self.sign_in.finished(sign_in.PATIENCE):
                raise
        return await self._made(ctx, await self._tool_call(ctx, params, answer))

    async def _went_to_sign_in(self, ctx: RequestContext, offer: SignInOffer) -> bool:
        """Ask a client of the handshake era to open the URL: whether it says that its user agreed."""
        if not ctx.session.can_send_request:
            return False
        with anyio.move_on_after(sign_in.PATIENCE), suppress(MCPError, ValidationError):
            label = secrets.token_hex(16)
            reply = await ctx.session.elicit_url(offer.message, offer.url, label, related_request_id=ctx.request_id)
            return reply.action == "accept"
        return False

    async def _tool_call(
        self, ctx: RequestContext, params: CallToolRequestParams, answer: ApprovalAnswer | None
    ) -> ToolCall:
        if len(params.name) > MAX_NAME:
            raise ToolUnknown("no tool has so long a name")
        arguments = params.arguments or {}
        check_bounds(arguments)
        return ToolCall(
            door=self._line.door,
            token=await self._line.token_of(ctx),
            name=params.name,
            arguments=arguments,
            request_id=str(ctx.request_id)[:_MAX_LABEL],
            client=_client_label(ctx),
            answer=answer,
        )

    async def _made(self, ctx: RequestContext, call: ToolCall) -> CallResult:
        """Make the call; where its user has to approve it and can be asked on the way, once more with the answer."""
        try:
            return await self._bridge.call(call)
        except ApprovalRequired as required:
            accepted = await self._asked(ctx, required)
            if accepted is None:
                raise
            answer = ApprovalAnswer(required.approval_id, accepted)
        token = await self._line.token_of(ctx)  # that of the call may be over by now
        return await self._bridge.call(replace(call, token=token, answer=answer))

    async def _asked(self, ctx: RequestContext, required: ApprovalRequired) -> bool | None:
        if _is_modern(ctx) or not required.by_user:
            return None
        with anyio.move_on_after(max(0.0, required.expires_at - self._clock.now())):
            return await self._line.ask(ctx, required.question)
        return None

    def _refused(self, ctx: RequestContext, error: RemitError) -> CallToolResult | InputRequiredResult:
        if isinstance(error, ApprovalRequired) and error.by_user and _asks_by_result(ctx):
            return asked(error)
        self._line.refused(ctx, error)
        return refusal(error)

    async def _principal_of(self, ctx: RequestContext) -> Principal:
        """Who makes this request."""
        try:
            with _only_known_errors():
                return (await self._bridge.identify(await self._line.token_of(ctx))).principal
        except RemitError as error:
            raise protocol_fault(error) from error

    async def _with_progress(self, ctx: RequestContext, name: str, call: Awaitable[_T]) -> _T:
        """Await ``call`` and meanwhile say that it is still running, if the client asked to be told."""
        if not ctx.meta or "progress_token" not in ctx.meta:
            return await call
        telling = asyncio.create_task(self._tell_progress(ctx, name))
        try:
            return await call
        finally:
            telling.cancel()

    async def _tell_progress(self, ctx: RequestContext, name: str) -> None:
        told = 0
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the client has left
            while True:
                await asyncio.sleep(self._progress_interval)
                told += 1
                await ctx.session.report_progress(told, None, f"waiting for {name}")

    async def _serve_changes(
        self, ctx: RequestContext, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Keep a stream of change notices open, no longer than the token it was opened with is good for."""
        principal = await self._principal_of(ctx)
        with anyio.move_on_after(max(0.0, principal.expires_at - self._clock.now())):
            return await self._listen(ctx, params)
        return SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: ctx.request_id})


@contextmanager
def _only_known_errors() -> Iterator[None]:
    """Let only leaves of ``RemitError`` out: the SDK would show the agent the text of any other exception."""
    try:
        yield
    except InternalError as error:
        _LOG.exception("internal error", call_id=error.call_id)
        raise
    except RemitError:
        raise
    except Exception as error:
        _LOG.exception("internal error at the door")
        raise InternalError("something went wrong on this side") from error


def _is_modern(ctx: RequestContext) -> bool:
    """Whether it is of 2026-07-28 or later."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def _asks_by_result(ctx: RequestContext) -> bool:
    """Whether its client shows questions that come as results. What it does not declare, it is not asked."""
    return _is_modern(ctx) and shows_forms(ctx.session.client_capabilities)


def _client_label(ctx: RequestContext) -> str:
    """What the client calls itself. Self-reported: for the trail, never for a decision."""
    client = ctx.session.client_params
    if client is None:
        return ""
    label = f"{client.client_info.name[:_MAX_LABEL]}/{client.client_info.version[:_MAX_LABEL]}"
    return "".join(character for character in label if character.isprintable())[:_MAX_LABEL]
