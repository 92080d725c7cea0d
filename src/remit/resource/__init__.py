"""What an API's author adds to check delegated tokens.

::

    server = ResourceServer("https://orders.example", issuers, SystemClock())
    app = Starlette(routes=[...], middleware=[Middleware(BearerMiddleware, server=server)])

    async def refund(request: Request) -> Response:
        delegation = require(request, scopes="orders:refund", actor="agent-runner", max_depth=1)
        ...  # delegation.subject is the user, delegation.actor the agent that acts for them

With FastAPI: ``app.add_middleware(BearerMiddleware, server=server)`` and ``Depends(delegation_of)``.
"""

from __future__ import annotations

from remit.resource.delegation import Delegation
from remit.resource.middleware import BearerMiddleware, delegation_of, require
from remit.resource.server import ResourceServer

__all__ = ["BearerMiddleware", "Delegation", "ResourceServer", "delegation_of", "require"]
