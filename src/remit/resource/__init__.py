"""What an API's author adds to check delegated tokens.

::

    server = ResourceServer("https://orders.example", issuers, SystemClock())
    app = Starlette(routes=[...], middleware=[Middleware(BearerMiddleware, server=server)])

    async def refund(request: Request) -> Response:
        delegation = require(request, scopes="orders:refund", actor="agent-runner", max_depth=1)
        ...  # delegation.principal is the user, delegation.current_actor the agent that acts for them

With FastAPI::

    app = FastAPI()
    app.add_middleware(BearerMiddleware, server=server)

    @app.post("/orders/{order_id}/refunds")
    async def refund(order_id: str, delegation: Annotated[Delegation, Depends(delegated(scopes="orders:refund"))]):
        ...

or ``Depends(delegation_of)`` where the token alone is enough.
"""

from __future__ import annotations

from remit.resource.delegation import Delegation
from remit.resource.middleware import BearerMiddleware, delegated, delegation_of, require
from remit.resource.server import ResourceServer

__all__ = ["BearerMiddleware", "Delegation", "ResourceServer", "delegated", "delegation_of", "require"]
