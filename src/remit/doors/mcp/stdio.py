"""Door: MCP over standard input and output, for a client that starts this process itself.

The subject token is asked for anew for every request, so it may be renewed while the process runs. Who calls is
verified and decided exactly as over HTTP. Nothing but the protocol goes to standard output: the SDK keeps that
descriptor to itself while serving.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from mcp import MCPError
from mcp.server import NotificationOptions
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server
from mcp_types import NotificationParams
from pydantic import ValidationError

from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.doors.mcp.approval import FORM, meaning_of, shows_forms
from remit.doors.mcp.contract import CallPath, SignIn
from remit.doors.mcp.line import RequestContext
from remit.doors.mcp.server import ToolServer
from remit.errors import RemitError

DOOR: Final = "mcp-stdio"


class StdioDoor:
    """One client on this process's standard input and output.

    ``subject_token`` gives the signed-in user's token, or ``None`` when nobody is signed in; ``sign_in`` is what it can
    offer then. ``state_keys``: as for ``HttpDoor``.
    """

    def __init__(
        self,
        bridge: CallPath,
        subject_token: Callable[[], Awaitable[UnverifiedToken | None]],
        clock: Clock,
        *,
        state_keys: tuple[bytes, ...] = (),
        progress_interval: float = 1.0,
        sign_in: SignIn | None = None,
    ) -> None:
        self._subject_token = subject_token
        self._server = ToolServer(bridge, self, clock, state_keys=state_keys, progress_interval=progress_interval)
        self._server.sign_in = sign_in
        self._session: ServerSession | None = None
        self._server.sdk.add_notification_handler(
            "notifications/initialized", NotificationParams, self._remember_session
        )

    async def serve(self) -> None:
        """Serve until the client closes its end. Calls under way are then cancelled."""
        sdk = self._server.sdk
        options = sdk.create_initialization_options(NotificationOptions(tools_changed=True))
        async with stdio_server() as (read, write):
            await sdk.run(read, write, options)

    async def notify_tools_changed(self) -> None:
        """Tell the client that the list of tools is another one, in the way of its era."""
        await self._server.notify_tools_changed()
        if self._session is not None:
            await self._session.send_tool_list_changed()

    @property
    def door(self) -> str:
        """Its name in policy and trail."""
        return DOOR

    async def token_of(self, _ctx: RequestContext) -> UnverifiedToken | None:
        """The token of whoever is signed in now."""
        return await self._subject_token()

    async def ask(self, ctx: RequestContext, question: str) -> bool | None:
        """Ask the client; ``None`` where it cannot be asked, or answers with something else than an answer."""
        if not ctx.session.can_send_request or not shows_forms(ctx.session.client_capabilities):
            return None
        try:
            result = await ctx.session.elicit_form(question, FORM, related_request_id=ctx.request_id)
        except (MCPError, ValidationError):
            return None
        return meaning_of(result.model_dump())

    def refused(self, ctx: RequestContext, error: RemitError) -> None:
        """There is nothing here but the result."""

    def put_tools(self, ctx: RequestContext, tools: bytes) -> bool:  # noqa: ARG002  as the protocol has it
        """The SDK writes the answer."""
        return False

    async def _remember_session(self, ctx: RequestContext, _params: NotificationParams) -> None:
        """Only clients of the handshake era say this; they are told of changes without asking."""
        self._session = ctx.session
