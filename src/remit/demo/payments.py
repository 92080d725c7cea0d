"""Door: the sample company's payments API.

::

    GET  /payments?order_id=&limit=        payments:read
    GET  /payments/{payment_id}            payments:read
    POST /payments/{payment_id}/refunds    payments:refund    {amount, reason}

Every request needs a delegated token for ``payments-api``. Agents may look; money is given back only where the
current actor is the orders API, which has checked the order: an agent's own token is not enough (RFC 8693 §4.1).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Final
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from remit.clock import Clock
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
    trusted_issuer,
)
from remit.demo.order_book import ORDERS, REASONS, Order
from remit.resource import require
from remit.web import http_client

#: This API's name in ``aud``.
AUDIENCE: Final = "payments-api"
READ: Final = "payments:read"
REFUND: Final = "payments:refund"
_ORDERS_API: Final = "orders-api"
_UNCAPTURED: Final = {"pending": "authorized", "cancelled": "voided"}


def payments_app(*, issuer: str, clock: Clock, agents: Collection[str] = frozenset({"agent-runner"})) -> Starlette:
    """A fresh payments API that trusts ``issuer``. ``agents`` may look besides the orders API.

    ``app.state.journal`` tells which tokens came.
    """
    http = http_client()
    api = _Payments(frozenset(agents) | {_ORDERS_API})
    routes = [
        Route("/payments", api.list_payments),
        Route("/payments/{payment_id}", api.get_payment),
        Route("/payments/{payment_id}/refunds", api.refund_payment, methods=["POST"]),
    ]
    return guarded(AUDIENCE, trusted_issuer(issuer, http), clock, routes, http)


@dataclass(slots=True)
class _Payment:
    """What was taken for an order, and how much of it has been given back; in minor units."""

    order: Order
    refunded: int = 0

    @property
    def status(self) -> str:
        """authorized, voided, captured, partially_refunded or refunded."""
        if self.order.status in _UNCAPTURED:
            return _UNCAPTURED[self.order.status]
        if self.refunded == 0:
            return "captured"
        return "refunded" if self.refunded == self.order.total else "partially_refunded"

    def to_json(self) -> dict[str, Any]:
        """The payment as the API shows it."""
        return {
            "id": self.order.payment_id,
            "order_id": self.order.id,
            "status": self.status,
            "amount": {"amount": self.order.total, "currency": self.order.currency},
            "refunded": self.refunded,
        }

    def give_back(self, amount: int) -> None:
        """At once and whole, or a 409 or 422 problem."""
        if self.order.status in _UNCAPTURED:
            raise ApiProblem(409, "payment_not_captured", f"the payment is {self.status}")
        if amount > self.order.total - self.refunded:
            raise ApiProblem(422, "amount_too_large", "more than is left of the payment")
        self.refunded += amount


class _Payments:
    def __init__(self, readers: frozenset[str]) -> None:
        self._readers = readers
        self._payments = {order.payment_id: _Payment(order) for order in ORDERS}
        self._numbers = count(4001)
        self._repeats = Repeats()

    async def list_payments(self, request: Request) -> Response:
        """Payments, of one order where it is named."""
        require(request, scopes=[READ], actor=self._readers)
        order_id = request.query_params.get("order_id")
        found = (payment for payment in self._payments.values() if order_id in {None, payment.order.id})
        return json_response({"payments": [payment.to_json() for payment in islice(found, limit_of(request))]})

    async def get_payment(self, request: Request) -> Response:
        """One payment."""
        require(request, scopes=[READ], actor=self._readers)
        return json_response(self._payment(request).to_json())

    async def refund_payment(self, request: Request) -> Response:
        """Give money back; once per ``Idempotency-Key``."""
        delegation = require(request, scopes=[REFUND], actor=_ORDERS_API)
        payment = self._payment(request)
        document = await json_object(request)
        amount, reason = members(document, {"amount": int, "reason": str})
        positive(amount)
        one_of("reason", reason, REASONS)

        async def pay() -> dict[str, Any]:
            payment.give_back(amount)
            return {
                "id": f"T{next(self._numbers)}",
                "payment_id": payment.order.payment_id,
                "amount": {"amount": amount, "currency": payment.order.currency},
                "reason": reason,
                "on_behalf_of": delegation.principal,
                "status": payment.status,
            }

        key = (delegation.principal, payment.order.payment_id, idempotency_key(request) or uuid4().hex)
        return json_response(await self._repeats.once(key, document, pay), 201)

    def _payment(self, request: Request) -> _Payment:
        if (payment := self._payments.get(request.path_params["payment_id"])) is None:
            raise ApiProblem(404, "payment_unknown", "there is no such payment")
        return payment
