"""Door: the sample company's orders API.

::

    GET  /orders?status=&limit=          orders:read
    GET  /orders/{order_id}              orders:read
    POST /orders/{order_id}/refunds      refunds:write    {amount, reason, requested_by}

Every request needs a delegated token for ``orders-api`` whose current actor is a known agent. A refund is paid by
the payments API, called with a token exchanged from the one that came: the second hop of the chain.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from remit.clock import Clock
from remit.credential import Credential
from remit.demo.api import (
    ApiProblem,
    Repeats,
    guarded,
    idempotency_key,
    json_object,
    json_response,
    limit_of,
    members,
    one_of,
    positive,
    request_id,
    trusted_issuer,
)
from remit.demo.order_book import REASONS, STATUSES, OrderBook
from remit.demo.payments_client import PaymentNotMade, PaymentRefund, PaymentsClient
from remit.exchange.client_auth import ClientSecretBasic
from remit.exchange.exchanger import Exchanger
from remit.exchange.service import RemoteTokenService, TokenEndpoint
from remit.principal import Caller, Principal
from remit.resource import Delegation, require
from remit.tokens.verifier import TokenVerifier
from remit.web import http_client

#: This API's name in ``aud``, and its client id at the token service.
AUDIENCE: Final = "orders-api"
READ: Final = "orders:read"
REFUND: Final = "refunds:write"


def orders_app(
    *,
    issuer: str,
    client_secret: Credential,
    payments_url: str,
    clock: Clock,
    agents: Collection[str] = frozenset({"agent-runner"}),
) -> Starlette:
    """A fresh orders API that trusts ``issuer`` and exchanges its tokens there as the client ``orders-api``.

    ``agents``: who may act here. ``app.state.journal`` tells which tokens came.
    """
    http = http_client()
    trusted = trusted_issuer(issuer, http)
    service = RemoteTokenService(TokenEndpoint(issuer), ClientSecretBasic(AUDIENCE, client_secret), http, clock)
    exchanger = Exchanger(service, TokenVerifier([trusted]), clock)
    api = _Orders(PaymentsClient(payments_url, exchanger, http), frozenset(agents))
    routes = [
        Route("/orders", api.list_orders),
        Route("/orders/{order_id}", api.get_order),
        Route("/orders/{order_id}/refunds", api.refund_order, methods=["POST"]),
    ]
    return guarded(AUDIENCE, trusted, clock, routes, http)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A refund as it was asked for; ``key`` stays the same over its repeats."""

    order_id: str
    amount: int
    reason: str
    caller: Caller
    request_id: str
    key: tuple[str, ...]


class _Orders:
    def __init__(self, payments: PaymentsClient, agents: frozenset[str]) -> None:
        self._payments = payments
        self._agents = agents
        self._book = OrderBook()
        self._repeats = Repeats()

    async def list_orders(self, request: Request) -> Response:
        """Orders, oldest first."""
        require(request, scopes=[READ], actor=self._agents)
        status = request.query_params.get("status")
        if status is not None:
            one_of("status", status, STATUSES)
        orders = islice(self._book.having(status), limit_of(request))
        return json_response({"orders": [self._book.shown(order) for order in orders]})

    async def get_order(self, request: Request) -> Response:
        """One order."""
        require(request, scopes=[READ], actor=self._agents)
        return json_response(self._book.shown(self._book.get(request.path_params["order_id"])))

    async def refund_order(self, request: Request) -> Response:
        """Give money back, in the name of the user the token is for; once per ``Idempotency-Key``."""
        delegation = require(request, scopes=[REFUND], actor=self._agents)
        order = self._book.get(request.path_params["order_id"])
        document = await json_object(request)
        amount, reason, requested_by = members(document, {"amount": int, "reason": str, "requested_by": str})
        if requested_by != delegation.principal:
            raise ApiProblem(403, "requester_mismatch", "requested_by must be the user the token is for")
        key = idempotency_key(request)
        attempt = _Attempt(
            order_id=order.id,
            amount=positive(amount),
            reason=one_of("reason", reason, REASONS),
            caller=_caller(delegation),
            request_id=request_id(request),
            key=(delegation.principal, order.id, key or uuid4().hex),
        )
        answer = await self._repeats.once(attempt.key, document, lambda: self._refund(attempt))
        return json_response(answer, 201)

    async def _refund(self, attempt: _Attempt) -> dict[str, Any]:
        """Set the money aside, have it paid, and note that it was.

        While it is uncertain whether it was paid, the money stays set aside.
        """
        order = self._book.get(attempt.order_id)
        refund = self._book.reserve(order, attempt.amount, attempt.key)
        wanted = PaymentRefund(order.payment_id, attempt.amount, attempt.reason, refund.key)
        try:
            paid = await self._payments.refund(wanted, attempt.caller, attempt.request_id)
        except PaymentNotMade:
            self._book.release(attempt.key)
            raise
        self._book.settle(attempt.key)
        return {
            "id": refund.id,
            "order_id": order.id,
            "amount": {"amount": attempt.amount, "currency": order.currency},
            "reason": attempt.reason,
            "requested_by": attempt.caller.principal.subject,
            "status": "paid",
            "payment_id": order.payment_id,
            "payment_refund_id": paid["id"],
        }


def _caller(delegation: Delegation) -> Caller:
    """Whoever calls here, as the subject of a further exchange."""
    principal = Principal(
        subject=delegation.principal,
        issuer=delegation.issuer,
        client_id=delegation.client_id,
        audience=(AUDIENCE,),
        scopes=delegation.scopes,
        chain=delegation.chain,
        expires_at=delegation.expires_at,
        jti=delegation.jti,
        txn=delegation.txn,
    )
    return Caller(principal, delegation.subject_token)
