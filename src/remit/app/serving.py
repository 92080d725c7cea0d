"""Door: serves the wired parts: everything on one HTTP port, or one client on standard input and output."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from remit.app.development import subject_token_source
from remit.app.gateway import Gateway
from remit.app.login import OfferedSignIn, is_answered, login_client, login_store
from remit.app.sign_in import SignInDoor
from remit.app.wiring import App, running
from remit.audit.issuance import Issuance
from remit.clock import SystemClock
from remit.doors.mcp.http import HttpDoor, McpHttpSettings
from remit.doors.mcp.stdio import StdioDoor
from remit.errors import SettingsInvalid
from remit.identity.sources import SubjectTokenSource
from remit.login.tokens import LoginTokens
from remit.settings import Settings
from remit.sts.endpoints import routes as sts_routes

log = structlog.get_logger("remit")

_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")
#: How long requests under way may take to end once the server is asked to stop.
GRACE_SECONDS: Final = 10


async def http(settings: Settings) -> None:
    """Serve until interrupted. Logs one line once requests are answered."""
    with listening(settings.listen) as listener:
        async with running(settings, serving=True) as app, served(http_app(app), listener), app.watching():
            _settle()
            host, port = listener.getsockname()[:2]
            log.info(
                "serving",
                listen=f"{host}:{port}",
                mcp=settings.mcp_resource,
                issuer=settings.issuer if app.sts else settings.exchange.issuer,
                tools=len(app.tools.catalog.tools),
                policy=app.policies.live.revision,
            )
            await interrupted()
            app.end_streams()


async def stdio(settings: Settings, as_user: str | None = None, *, launched_by: str = "") -> None:
    """Serve one MCP client until it closes its end. ``as_user`` is a development user to speak for.

    ``launched_by``: what that client is called.
    """
    async with running(settings, launched_by=launched_by) as app, AsyncExitStack() as stack:
        source = subject_token_source(app, as_user, issuer_served=partial(issuer_served, settings))
        offer = _offered_sign_in(app, source, stack)
        door = StdioDoor(app.bridge, source, SystemClock(), state_keys=state_keys(app), sign_in=offer)
        if offer is not None:
            offer.tell = door.notify_tools_changed
        async with app.watching(door.notify_tools_changed):
            _settle()
            await door.serve()


def _settle() -> None:
    """What was loaded to serve stays: garbage is looked for only in what comes from here on.

    Looking through a thousand tools holds everybody up for a tenth of a second.
    """
    gc.freeze()
    gc.enable()


def _offered_sign_in(app: App, source: SubjectTokenSource, stack: AsyncExitStack) -> OfferedSignIn | None:
    """What a stdio session can offer whose token is that of a login."""
    if not isinstance(source, LoginTokens):
        return None
    stack.push_async_callback(source.aclose)
    served_here = partial(issuer_served, app.settings)
    offer = OfferedSignIn(login_client(app.settings), login_store(app.settings), app.clock, served=served_here)
    stack.push_async_callback(offer.aclose)
    return offer


@asynccontextmanager
async def issuer_served(settings: Settings, issuer: str = "") -> AsyncIterator[None]:
    """Open while somebody signs in at ``issuer``: an embedded one that nobody serves is served here, at ``listen``."""
    if await is_answered(settings, issuer or login_client(settings).target.issuer):
        yield
        return
    with listening(settings.listen) as listener:
        async with running(settings) as app, served(http_app(app), listener):
            yield


def http_app(app: App) -> Starlette:
    """Every HTTP door in one application: ``/mcp``, ``/oauth2/*``, ``/.well-known/*``, ``/healthz``, ``/readyz``.

    What none of them serves is the gateway's, where there is one.
    """
    settings = app.settings
    door = HttpDoor(
        app.bridge,
        McpHttpSettings(
            resource=settings.mcp_resource,
            issuers=app.subject_issuers,
            baseline_scopes=settings.mcp.baseline_scopes,
            allowed_hosts=settings.mcp.allowed_hosts,
            allowed_origins=settings.mcp.allowed_origins,
            max_body_bytes=settings.mcp.max_body_bytes,
        ),
        SystemClock(),
        state_keys=state_keys(app),
    )

    gateway, sign_in = Gateway(app), SignInDoor(app)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with door.running(), gateway, sign_in:
            yield

    app.on_tools_changed(door.notify_tools_changed)
    app.on_stopping(door.end_streams)
    issuance = partial(Issuance, app.store, app.clock)
    told = (app.revocations, app.trail.control, issuance)
    token_service = sts_routes(app.sts, app.clock, *told, sign_in=sign_in.service) if app.sts else []
    routes = [*door.routes, *token_service, *sign_in.routes, *_health(app), *gateway.routes]
    served = Starlette(routes=routes, lifespan=lifespan)
    # A redirect would lead to whatever Host says, and without TLS where a proxy ends it: with the token or secret.
    served.router.redirect_slashes = False
    if gateway.door is not None:
        served.router.default = gateway.door
    return served


def state_keys(app: App) -> tuple[bytes, ...]:
    """What seals the state of a call that waits for an answer: any process of the installation can open it."""
    return (app.secret.key("request state"),)


def _health(app: App) -> list[Route]:
    async def alive(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> JSONResponse:
        """Ready to make calls: the trail can be written. Says nothing of APIs, which come and go."""
        failing = [] if await app.trail_is_writable() else ["audit"]
        return JSONResponse({"status": "failing" if failing else "ok", "failing": failing}, 503 if failing else 200)

    return [Route("/healthz", alive), Route("/readyz", ready)]


# ── uvicorn ──────────────────────────────────────────────────────────────────────────────


class _Server(uvicorn.Server):
    """Leaves signals alone: several servers may share a process, and none of them owns it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """A listening socket for ``HOST:PORT``. Raises ``SettingsInvalid`` where the address cannot be had."""
    if not (match := _ADDRESS.fullmatch(address)):  # an option has not passed the settings' own check
        raise SettingsInvalid(
            f'"{address}" is not HOST:PORT', where="listen", hint="for example 127.0.0.1:8700 or [::1]:8700"
        )
    try:
        listener = _listener(match[1].strip("[]"), int(match[2]))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsInvalid(
            f"cannot listen on {address}: {reason}",
            where="listen",
            hint="stop what listens there, or name another address: `listen` in the settings, or serve --http",
        ) from error
    with listener:
        yield listener


def _listener(host: str, port: int) -> socket.socket:
    """Made with its protocol spelled out: asyncio sets TCP_NODELAY only on a socket that says it is TCP, and
    without it every second answer on a connection waits 40 ms for an acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let another process take the port over
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return listener


@asynccontextmanager
async def served(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Answers requests on ``listener`` while the block runs; ends those under way when it is left."""
    options: dict[str, Any] = {
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "lifespan": "on",
        "timeout_graceful_shutdown": GRACE_SECONDS,
        # The SDK streams answers; a browser page is nobody's client here.
        "ws": "none",
        # Whoever connects is the peer, whatever X-Forwarded-For says; the gateway's doors rely on it.
        "proxy_headers": False,
    }
    server = _Server(uvicorn.Config(app, **options))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                await task
                raise SettingsInvalid("the server did not start", where="listen")
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task


async def interrupted() -> None:
    """Returns on SIGINT or SIGTERM; on Windows, where a loop takes no signal handlers, Ctrl-C cancels instead."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(name, stop.set)
        except NotImplementedError:
            signal.signal(name, lambda *_: loop.call_soon_threadsafe(stop.set))
    await stop.wait()
