"""Door: what lies in the sample company's warehouses. Kept in memory, one room per running API."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from remit.demo.api import ApiProblem

WAREHOUSES: Final = ("berlin", "lyon", "porto")


@dataclass(slots=True)
class Level:
    """How many pieces of an article a warehouse has, and how many of them are set aside."""

    sku: str
    title: str
    warehouse: str
    on_hand: int
    reserved: int = 0

    @property
    def key(self) -> str:
        """What a page ends at."""
        return f"{self.sku}.{self.warehouse}"

    @property
    def available(self) -> int:
        """What may still be promised to somebody."""
        return self.on_hand - self.reserved

    def to_json(self) -> dict[str, Any]:
        """The level as the API shows it."""
        return {
            "sku": self.sku,
            "title": self.title,
            "warehouse": self.warehouse,
            "on_hand": self.on_hand,
            "reserved": self.reserved,
            "available": self.available,
        }


@dataclass(frozen=True, slots=True)
class Reservation:
    """Pieces set aside for an order. ``reserved_at`` is in RFC 3339, UTC."""

    id: str
    level: Level
    quantity: int
    order_id: str | None
    reserved_by: str
    reserved_at: str

    def to_json(self) -> dict[str, Any]:
        """The reservation as the API shows it."""
        return {
            "id": self.id,
            "sku": self.level.sku,
            "warehouse": self.level.warehouse,
            "quantity": self.quantity,
            "order_id": self.order_id,
            "reserved_by": self.reserved_by,
            "reserved_at": self.reserved_at,
        }


#: Article, and how many pieces of it are in each warehouse.
_ARTICLES: Final = (
    ("CBL-02", "USB-C cable, 2 m", (412, 260, 38)),
    ("CHR-09", "Office chair", (24, 6, 11)),
    ("DRW-03", "Drawer unit, white", (9, 0, 17)),
    ("DSK-160", "Standing desk, oak", (5, 3, 0)),
    ("LMP-21", "Desk lamp", (130, 84, 2)),
    ("MAT-40", "Desk mat, felt", (61, 58, 70)),
    ("PWR-65", "Power adapter, 65 W", (215, 0, 96)),
)


class StockRoom:
    """All levels, by article and warehouse, and what is reserved of them."""

    def __init__(self) -> None:
        levels = (
            Level(sku, title, warehouse, pieces)
            for sku, title, stocked in _ARTICLES
            for warehouse, pieces in zip(WAREHOUSES, stocked, strict=True)
        )
        self._levels = {level.key: level for level in levels}
        self._reservations: dict[str, Reservation] = {}
        self._numbers = count(5001)

    def levels(self, skus: Collection[str] = (), warehouses: Collection[str] = ()) -> Iterator[Level]:
        """The levels of these articles in these warehouses (none named: of all), always in the same order."""
        for level in self._levels.values():
            if (not skus or level.sku in skus) and (not warehouses or level.warehouse in warehouses):
                yield level

    def of(self, sku: str) -> list[Level]:
        """The article's level in each warehouse, or a 404 problem."""
        if not (levels := list(self.levels([sku]))):
            raise ApiProblem(404, "sku_unknown", "there is no such article")
        return levels

    def level(self, sku: str, warehouse: str) -> Level:
        """The article's level in that warehouse, or a 404 problem."""
        return next(level for level in self.of(sku) if level.warehouse == warehouse)

    def reserve(self, level: Level, quantity: int, order_id: str | None, by: str, at: str) -> Reservation:
        """Set pieces aside, or a 409 problem where so many are not there."""
        if quantity > level.available:
            raise ApiProblem(409, "stock_too_low", f"only {level.available} are available in {level.warehouse}")
        level.reserved += quantity
        reservation = Reservation(f"V{next(self._numbers)}", level, quantity, order_id, by, at)
        self._reservations[reservation.id] = reservation
        return reservation

    def reservation(self, reservation_id: str) -> Reservation:
        """The reservation, or a 404 problem."""
        if (reservation := self._reservations.get(reservation_id)) is None:
            raise ApiProblem(404, "reservation_unknown", "there is no such reservation")
        return reservation

    def release(self, reservation: Reservation) -> None:
        """Give what was set aside free again; it must be there."""
        del self._reservations[reservation.id]
        reservation.level.reserved -= reservation.quantity

    def count(self, warehouse: str, counted: Mapping[str, int]) -> list[dict[str, Any]]:
        """Put what was counted in place of what was thought to be there: all of it, or a 404 or 409 problem."""
        found = [(self.level(sku, warehouse), pieces) for sku, pieces in counted.items()]
        for level, pieces in found:
            if pieces < level.reserved:
                raise ApiProblem(409, "count_below_reserved", f"{level.reserved} of {level.sku} are reserved")
        changes = [{"sku": level.sku, "before": level.on_hand, "after": pieces} for level, pieces in found]
        for level, pieces in found:
            level.on_hand = pieces
        return changes
