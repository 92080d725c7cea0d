"""Door: the state of a call that waits for an answer goes to the client sealed, and comes back as it went or not at all.

The SDK seals it (AES-256-GCM) together with the tool, the arguments, a time and who called; a state that was tampered
with, has expired, or comes with another call or from somebody else is refused by it. What this adds is who calls: the
SDK would look at a context variable that this product does not set.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.request_state import AESGCMRequestStateCodec, RequestStateBoundary, RequestStateSecurity
from mcp_types.methods import is_input_required

from remit.principal import Principal

_AUDIENCE: Final = "remit"
#: No approval waits longer. When its own time is over is checked where it is kept.
_TTL_SECONDS: Final = 86_400.0

_Context = ServerRequestContext[Any, Any]


class SealedState:
    """Middleware of the SDK's server.

    ``keys``: 32 bytes or more each; the first seals, all unseal. None: one that only this process knows.
    ``principal_of`` says who makes a request, or raises.
    """

    def __init__(self, keys: tuple[bytes, ...], principal_of: Callable[[_Context], Awaitable[Principal]]) -> None:
        self._codec = AESGCMRequestStateCodec(keys or (secrets.token_bytes(32),))
        self._principal_of = principal_of

    async def __call__(self, ctx: _Context, call_next: CallNext) -> HandlerResult:
        """Serve the request. Who calls is asked for only where there is a state to open or to seal."""
        caller: str | None = None
        if ctx.params is not None and ctx.params.get("requestState") is not None:
            caller = await self._caller(ctx)

        async def served(ctx: _Context) -> HandlerResult:
            nonlocal caller
            result = await call_next(ctx)
            if caller is None and _has_state(result):
                caller = await self._caller(ctx)
            return result

        security = RequestStateSecurity(codec=self._codec, ttl=_TTL_SECONDS, bind_principal=lambda _ctx: caller)
        return await RequestStateBoundary(security, default_audience=_AUDIENCE)(ctx, served)

    async def _caller(self, ctx: _Context) -> str:
        principal = await self._principal_of(ctx)
        return json.dumps([principal.issuer, principal.subject, principal.client_id])


def _has_state(result: HandlerResult) -> bool:
    """Whether something is to be sealed: an offer to sign in has no state, and nobody it could be bound to."""
    if not is_input_required(result):
        return False
    state = result.get("requestState") if isinstance(result, Mapping) else result.request_state
    return state is not None
