"""Door: MCP over Streamable HTTP: the endpoint behind its guard, and the metadata that says who issues tokens.

No session is kept: any process that serves the same settings can answer any request.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from mcp.server.auth.routes import cors_middleware
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.doors.challenge import metadata_path
from remit.doors.hosts import AllowedHosts
from remit.doors.mcp.admitted import ADMITTED, Admitted
from remit.doors.mcp.contract import CallPath
from remit.doors.mcp.conversation import ASK, LABEL_HEADER, Ask, Conversations
from remit.doors.mcp.guard import DOOR, Guard, Terms
from remit.doors.mcp.held import HELD, HeldResponse
from remit.doors.mcp.line import RequestContext
from remit.doors.mcp.rendering import fault_message
from remit.doors.mcp.server import ToolServer
from remit.doors.possession import TokenReader
from remit.errors import RemitError, SettingsInvalid
from remit.oauth import WELL_KNOWN_PROTECTED_RESOURCE
from remit.tokens.dpop import PROOF_ALGORITHMS
from remit.web import is_secure

#: The SDK writes JSON without spaces. Within a text its quotation marks would stand behind backslashes.
_NO_TOOLS: Final = b'"tools":[]'
_TOOLS: Final = b'"tools":[%b]'
_METADATA_SECONDS: Final = 3600
_PREFLIGHT_SECONDS: Final = 600
#: What clients in a browser send besides what every page may.
_REQUEST_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    "DPoP",
    "Last-Event-ID",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    LABEL_HEADER,
)


@dataclass(frozen=True, slots=True)
class McpHttpSettings:
    """Where this server is and whom it listens to.

    ``resource`` is the URL clients connect to, and this server's identifier in tokens and metadata (RFC 9728 §1.2);
    ``issuers`` are who may issue tokens for it, spelled exactly as they spell themselves; ``baseline_scopes`` are
    those without which no request is served; hosts and origins are allowed besides this machine's and the
    resource's own. Raises ``SettingsInvalid``.
    """

    resource: str
    issuers: tuple[str, ...]
    baseline_scopes: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    max_body_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        if not is_secure(self.resource) or urlsplit(self.resource).query:
            raise SettingsInvalid(
                "the resource is not an https URL without query and fragment",
                where="resource",
                hint="set public_url to the address that clients connect to (http only for this machine)",
            )
        if not self.issuers:
            raise SettingsInvalid("no issuer is named, so nobody could get a token", where="issuers")

    def metadata(self) -> dict[str, Any]:
        """The protected resource metadata (RFC 9728 §2)."""
        document: dict[str, Any] = {
            "resource": self.resource,
            "authorization_servers": list(self.issuers),
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
            "resource_name": "remit",
        }
        return {**document, "scopes_supported": list(self.baseline_scopes)} if self.baseline_scopes else document


class HttpDoor:
    """The MCP endpoint as routes for a Starlette app, which must keep ``running()`` open while it serves.

    ``state_keys``: what seals the state of calls that wait for an answer; the same in every process of the
    installation, so that any can take the answer. None: a key of this process alone.
    """

    def __init__(
        self,
        bridge: CallPath,
        settings: McpHttpSettings,
        clock: Clock,
        *,
        state_keys: tuple[bytes, ...] = (),
        progress_interval: float = 1.0,
    ) -> None:
        self._server = ToolServer(bridge, self, clock, state_keys=state_keys, progress_interval=progress_interval)
        self._sessions = StreamableHTTPSessionManager(
            self._server.sdk, stateless=True, max_request_body_size=settings.max_body_bytes
        )
        hosts = AllowedHosts.of(settings.resource, settings.allowed_hosts, settings.allowed_origins)
        self._guard = Guard(
            Conversations(StreamableHTTPASGIApp(self._sessions)),
            bridge,
            TokenReader(clock),
            Terms(settings.resource, hosts, settings.baseline_scopes, settings.max_body_bytes),
        )
        self.routes: list[BaseRoute] = [
            Route(urlsplit(settings.resource).path or "/", endpoint=_for_pages(self._guard, hosts)),
            *_metadata_routes(settings),
        ]

    @property
    def door(self) -> str:
        """Its name in policy and trail."""
        return DOOR

    async def token_of(self, ctx: RequestContext) -> UnverifiedToken | None:
        """The token of this very request, as the guard left it; none if the guard did not run."""
        admitted = _left(ctx, ADMITTED)
        return admitted.token if isinstance(admitted, Admitted) else None

    async def ask(self, ctx: RequestContext, question: str) -> bool | None:
        """Ask on the call's own response; ``None`` where the client cannot be asked so."""
        ask: Ask | None = _left(ctx, ASK)
        return await ask(question) if ask else None

    def refused(self, ctx: RequestContext, error: RemitError) -> None:
        """Make a challenge of the response where the user's signing in again would help."""
        held, challenge = _left(ctx, HELD), self._guard.step_up(error, fault_message(error, ctx.request_id))
        if isinstance(held, HeldResponse) and challenge is not None:
            held.become(challenge)

    def put_tools(self, ctx: RequestContext, tools: bytes) -> bool:
        """Into the response that the guard holds."""
        held = _left(ctx, HELD)
        if not isinstance(held, HeldResponse):
            return False
        held.fill(_NO_TOOLS, _TOOLS % tools)
        return True

    def running(self) -> AbstractAsyncContextManager[None]:
        """What must be open while requests are served; for the app's lifespan. Can be entered once."""
        return self._sessions.run()

    async def notify_tools_changed(self) -> None:
        """Tell the clients that listen; those of the handshake era ask again when they like."""
        await self._server.notify_tools_changed()

    def end_streams(self) -> None:
        """End the streams of change notices; to be called before the HTTP server waits for its requests to end."""
        self._server.end_streams()


def _for_pages(guard: Guard, hosts: AllowedHosts) -> ASGIApp:
    """The same for pages of the origins that are admitted, whose browsers ask first. They bring tokens, no cookies."""
    return CORSMiddleware(
        guard,
        allow_origin_regex=hosts.origin_pattern,
        allow_methods=["POST"],
        allow_headers=_REQUEST_HEADERS,
        expose_headers=["WWW-Authenticate", LABEL_HEADER],
        max_age=_PREFLIGHT_SECONDS,
    )


def _metadata_routes(settings: McpHttpSettings) -> list[BaseRoute]:
    """At the path RFC 9728 §3.1 derives from the resource, and at the root, where some clients only look."""
    document = settings.metadata()
    headers = {"Cache-Control": f"public, max-age={_METADATA_SECONDS}"}

    async def metadata(_request: Request) -> Response:
        return JSONResponse(document, headers=headers)

    paths = dict.fromkeys((metadata_path(settings.resource), WELL_KNOWN_PROTECTED_RESOURCE))
    methods = ["GET", "OPTIONS"]
    return [Route(path, endpoint=cors_middleware(metadata, methods), methods=methods) for path in paths]


def _left(ctx: RequestContext, key: str) -> Any:
    """What the middleware in front of the SDK left in the ASGI scope of this request."""
    return ctx.request.scope.get(key) if isinstance(ctx.request, Request) else None
