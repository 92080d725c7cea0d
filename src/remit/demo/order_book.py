"""Door: the sample company's orders. Kept in memory, one book per running API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final
from uuid import uuid4

from remit.demo.api import ApiProblem

STATUSES: Final = ("pending", "shipped", "delivered", "cancelled")
#: Money is only given back for what has left the house.
REFUNDABLE: Final = frozenset({"shipped", "delivered"})
REASONS: Final = ("damaged", "late", "goodwill")


@dataclass(frozen=True, slots=True)
class Customer:
    """Who ordered. ``tax_id`` is what a tool should not show to an agent."""

    name: str
    email: str
    tax_id: str


@dataclass(frozen=True, slots=True)
class Item:
    """One line of an order; ``price`` in minor units, for one piece."""

    sku: str
    title: str
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order. Its total is the sum of its items, in minor units of ``currency``."""

    id: str
    customer: Customer
    status: str
    items: tuple[Item, ...]
    payment_id: str
    currency: str = "EUR"

    @property
    def total(self) -> int:
        """What the customer paid, in minor units."""
        return sum(item.quantity * item.price for item in self.items)

    def to_json(self, refunded: int) -> dict[str, Any]:
        """The order as the API shows it."""
        customer = self.customer
        return {
            "id": self.id,
            "customer": {"name": customer.name, "email": customer.email, "tax_id": customer.tax_id},
            "status": self.status,
            "total": {"amount": self.total, "currency": self.currency},
            "refunded": refunded,
            "items": [
                {"sku": item.sku, "title": item.title, "quantity": item.quantity, "price": item.price}
                for item in self.items
            ],
            "payment_id": self.payment_id,
        }


_ADA = Customer("Ada Brandt", "ada.brandt@example.com", "DE811907980")
_NOOR = Customer("Noor Haddad", "noor.haddad@example.com", "NL004495445B01")
_TOMAS = Customer("Tomás Rey", "tomas.rey@example.com", "ESB86561412")

_DESK = Item("DSK-160", "Standing desk, oak", 1, 74900)
_CHAIR = Item("CHR-09", "Office chair", 1, 32900)
_LAMP = Item("LMP-21", "Desk lamp", 1, 4990)
_CABLE = Item("CBL-02", "USB-C cable, 2 m", 2, 1450)

#: What every fresh book starts with.
ORDERS: Final = (
    Order("O1001", _ADA, "delivered", (_LAMP, _CABLE), "P2001"),
    Order("O1002", _ADA, "shipped", (_CHAIR,), "P2002"),
    Order("O1003", _NOOR, "delivered", (_DESK, _LAMP), "P2003"),
    Order("O1004", _NOOR, "pending", (_CABLE,), "P2004"),
    Order("O1005", _TOMAS, "cancelled", (_LAMP,), "P2005"),
    Order("O1006", _TOMAS, "delivered", (_CHAIR, _CABLE), "P2006"),
)


@dataclass(frozen=True, slots=True)
class Refund:
    """Money set aside to be given back. ``key`` names the attempt to the payments API, over every repeat of it."""

    id: str
    order: Order
    amount: int
    key: str


class OrderBook:
    """The orders and what has been given back of each."""

    def __init__(self, orders: tuple[Order, ...] = ORDERS) -> None:
        self._orders = {order.id: order for order in orders}
        self._refunded = dict.fromkeys(self._orders, 0)
        self._unsettled: dict[tuple[str, ...], Refund] = {}
        self._numbers = count(3001)
        self._run = uuid4().hex  # numbers begin anew with every book, what the payments API remembers does not

    def get(self, order_id: str) -> Order:
        """The order, or a 404 problem."""
        if (order := self._orders.get(order_id)) is None:
            raise ApiProblem(404, "order_unknown", "there is no such order")
        return order

    def shown(self, order: Order) -> dict[str, Any]:
        """The order as JSON, with what has been given back so far."""
        return order.to_json(self._refunded[order.id])

    def having(self, status: str | None) -> Iterator[Order]:
        """The orders in that status (``None``: in any), oldest first."""
        return (order for order in self._orders.values() if status in {None, order.status})

    def reserve(self, order: Order, amount: int, attempt: tuple[str, ...]) -> Refund:
        """Set ``amount`` aside before the money moves, so two refunds cannot give back the same money.

        The same ``attempt`` again, while it is unsettled, is the same refund. A 409 problem where the order's state
        forbids a refund, 422 where too little is left.
        """
        if (known := self._unsettled.get(attempt)) is not None:
            return known
        if order.status not in REFUNDABLE:
            raise ApiProblem(409, "order_not_refundable", f"a {order.status} order cannot be refunded")
        left = order.total - self._refunded[order.id]
        if left == 0:
            raise ApiProblem(409, "order_already_refunded", "nothing is left to refund of this order")
        if amount > left:
            raise ApiProblem(422, "amount_too_large", f"at most {left} {order.currency} minor units can be refunded")
        self._refunded[order.id] += amount
        number = f"R{next(self._numbers)}"
        refund = self._unsettled[attempt] = Refund(number, order, amount, f"{self._run}-{number}")
        return refund

    def settle(self, attempt: tuple[str, ...]) -> None:
        """The money has moved."""
        self._unsettled.pop(attempt)

    def release(self, attempt: tuple[str, ...]) -> None:
        """The money has certainly not moved: what was set aside is free again."""
        refund = self._unsettled.pop(attempt)
        self._refunded[refund.order.id] -= refund.amount
