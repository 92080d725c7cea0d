"""ASGI: no request reaches the application without a verified token (door)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit.errors import AuthenticationError, AuthorizationError, SettingsInvalid, TokenMissing
from remit.resource.challenge import Refusal, describe, refusal
from remit.resource.delegation import Delegation
from remit.resource.server import ResourceServer

_STATE: Final = "remit_delegation"
_POLICY_VIOLATION: Final = 1008  # RFC 6455 §7.4.1


class BearerMiddleware:
    """Verifies ``Authorization: Bearer`` on every request and WebSocket; refuses with the challenge of RFC 6750.

    An ``AuthorizationError`` raised by the application (by ``require``, say) becomes the 403 it stands for; add
    this with ``Starlette(middleware=[...])`` or ``add_middleware``, inside the framework's own handling of errors.
    ``public``: exact paths served without a token. ``realm``: shown to clients.
    """

    def __init__(
        self, app: ASGIApp, *, server: ResourceServer, realm: str = "api", public: frozenset[str] = frozenset()
    ) -> None:
        if describe(realm) != realm:
            raise SettingsInvalid("the realm is not printable ASCII without quotes", hint="choose a plainer realm")
        self._app = app
        self._server = server
        self._realm = realm
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3)."""
        if scope["type"] == "lifespan" or scope["path"] in self._public:
            await self._app(scope, receive, send)
            return
        try:
            delegation = await self._server.authenticate(scope["headers"], scope["query_string"])
        except AuthenticationError as error:
            await _refuse(refusal(error, self._realm), scope, send)
            return
        # A state of its own: the server's is shared by all requests.
        own = {**scope, "state": {**scope.get("state", {}), _STATE: delegation}}
        answer = _Answer(send)
        try:
            await self._app(own, receive, answer.send)
        except AuthorizationError as error:
            if answer.started:
                raise
            await _refuse(refusal(error, self._realm), scope, send)


class _Answer:
    """Notices whether the application has begun to answer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def send(self, message: Message) -> None:
        """Pass the message on."""
        self.started = True
        await self._send(message)


async def _refuse(answer: Refusal, scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        # Before it is accepted, a server turns this into a plain 403.
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})
        return
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def delegation_of(connection: HTTPConnection) -> Delegation:
    """The verified delegation of a request; a FastAPI dependency as it is: ``Depends(delegation_of)``.

    Raises ``TokenMissing`` where the request did not come through ``BearerMiddleware``.
    """
    delegation = connection.scope.get("state", {}).get(_STATE)
    if not isinstance(delegation, Delegation):
        raise TokenMissing("no bearer token was verified")
    return delegation


def require(
    connection: HTTPConnection,
    *,
    scopes: str | Collection[str] = (),
    actor: str | Collection[str] | None = None,
    max_depth: int | None = None,
) -> Delegation:
    """The delegation of a request that has all of ``scopes`` and whose current actor is (one of) ``actor``.

    As ``Delegation.require``; the middleware answers 403 for what it raises.
    """
    delegation = delegation_of(connection)
    delegation.require(scopes=scopes, actor=actor, max_depth=max_depth)
    return delegation


def delegated(
    *,
    scopes: str | Collection[str] = (),
    actor: str | Collection[str] | None = None,
    max_depth: int | None = None,
) -> Callable[[HTTPConnection], Delegation]:
    """``require`` as a FastAPI dependency: ``Annotated[Delegation, Depends(delegated(scopes="orders:refund"))]``."""

    def dependency(connection: HTTPConnection) -> Delegation:
        return require(connection, scopes=scopes, actor=actor, max_depth=max_depth)

    return dependency
