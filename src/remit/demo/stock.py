"""Door: the sample company's warehouse API. Its description is ``apis/stock.yaml``; it comes without tools.

::

    GET    /stock?sku=&warehouse=&below=&cursor=&limit=    stock:read     lists with commas between their words
    GET    /stock/{sku}                                    stock:read
    GET    /stock/{sku}/label?scale=                       stock:read     image/png
    POST   /stock/{sku}/reservations                       stock:write    {warehouse, quantity, order_id?}
    GET    /reservations/{reservation_id}                  stock:read
    DELETE /reservations/{reservation_id}                  stock:write
    GET    /warehouses/{warehouse}/count-sheet             stock:read     text/csv
    POST   /counts                                         stock:write    multipart: warehouse, counted_on, counts

Every request needs a delegated token for ``stock-api`` whose current actor is a known agent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from itertools import islice
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
    number_of,
    one_of,
    trusted_issuer,
    words_of,
)
from remit.demo.form import counted, form_of
from remit.demo.label import label
from remit.demo.stock_room import WAREHOUSES, Level, StockRoom
from remit.resource import Delegation, require
from remit.web import http_client

#: This API's name in ``aud``.
AUDIENCE: Final = "stock-api"
READ: Final = "stock:read"
WRITE: Final = "stock:write"
_SKU: Final = re.compile(r"[A-Z]{3}-[0-9]{2,4}", re.ASCII)
_WAREHOUSE: Final = re.compile("|".join(WAREHOUSES))
_ORDER_ID: Final = re.compile(r"O[0-9]{1,12}", re.ASCII)
_MOST_PIECES: Final = 100_000
_LARGEST_SCALE: Final = 8


def stock_app(*, issuer: str, clock: Clock, agents: Collection[str] = frozenset({"agent-runner"})) -> Starlette:
    """A fresh warehouse API that trusts ``issuer``. ``agents``: who may act here.

    ``app.state.journal`` tells which tokens came.
    """
    http = http_client()
    api = _Stock(frozenset(agents), clock)
    routes = [
        Route("/stock", api.list_stock),
        Route("/counts", api.record_counts, methods=["POST"]),
        Route("/stock/{sku}", api.get_stock),
        Route("/stock/{sku}/label", api.get_label),
        Route("/stock/{sku}/reservations", api.reserve, methods=["POST"]),
        Route("/reservations/{reservation_id}", api.reservation, methods=["GET", "DELETE"]),
        Route("/warehouses/{warehouse}/count-sheet", api.count_sheet),
    ]
    return guarded(AUDIENCE, trusted_issuer(issuer, http), clock, routes, http)


class _Stock:
    def __init__(self, agents: frozenset[str], clock: Clock) -> None:
        self._agents = agents
        self._clock = clock
        self._room = StockRoom()
        self._repeats = Repeats()

    def _require(self, request: Request, scope: str) -> Delegation:
        return require(request, scopes=[scope], actor=self._agents)

    # ── reading ──────────────────────────────────────────────────────────────────────────

    async def list_stock(self, request: Request) -> Response:
        """A page of levels."""
        self._require(request, READ)
        levels = self._room.levels(words_of(request, "sku", _SKU), words_of(request, "warehouse", _WAREHOUSE))
        below = number_of(request, "below", largest=_MOST_PIECES)
        few = (level for level in levels if below is None or level.available < below)
        limit = limit_of(request)
        page = list(islice(self._after(request.query_params.get("cursor"), few), limit + 1))
        shown = page[:limit]
        cursor = shown[-1].key if len(page) > limit else None
        return json_response({"levels": [level.to_json() for level in shown], "next_cursor": cursor})

    def _after(self, cursor: str | None, levels: Iterator[Level]) -> Iterator[Level]:
        """What comes after the last level of the page before."""
        if cursor is None:
            return levels
        keys = [level.key for level in self._room.levels()]
        if cursor not in keys:
            raise ApiProblem(422, "value_invalid", "cursor must be the next_cursor of a page before")
        past = frozenset(keys[: keys.index(cursor) + 1])
        return (level for level in levels if level.key not in past)

    async def get_stock(self, request: Request) -> Response:
        """One article in all warehouses."""
        self._require(request, READ)
        levels = self._room.of(request.path_params["sku"])
        return json_response(
            {
                "sku": levels[0].sku,
                "title": levels[0].title,
                "available": sum(level.available for level in levels),
                "levels": [level.to_json() for level in levels],
            }
        )

    async def get_label(self, request: Request) -> Response:
        """The picture to print and stick onto an article."""
        self._require(request, READ)
        sku = self._room.of(request.path_params["sku"])[0].sku
        scale = number_of(request, "scale", largest=_LARGEST_SCALE) or 2
        return Response(label(sku, scale), headers={"Cache-Control": "no-store"}, media_type="image/png")

    async def count_sheet(self, request: Request) -> Response:
        """What is thought to be in a warehouse, as a file that a count is made of."""
        self._require(request, READ)
        warehouse = request.path_params["warehouse"]
        if warehouse not in WAREHOUSES:
            raise ApiProblem(404, "warehouse_unknown", "there is no such warehouse")
        lines = [f"{level.sku},{level.on_hand}" for level in self._room.levels(warehouses=[warehouse])]
        text = "\r\n".join(["sku,quantity", *lines, ""])
        return Response(text, headers={"Cache-Control": "no-store"}, media_type="text/csv")

    # ── writing ──────────────────────────────────────────────────────────────────────────

    async def reserve(self, request: Request) -> Response:
        """Set pieces aside in the name of the user the token is for; once per ``Idempotency-Key``."""
        delegation = self._require(request, WRITE)
        sku = self._room.of(request.path_params["sku"])[0].sku
        document = await json_object(request)
        expected = {"warehouse": str, "quantity": int, "order_id": str}
        warehouse, quantity, order_id = members(document, expected, optional=["order_id"])
        level = self._room.level(sku, one_of("warehouse", warehouse, WAREHOUSES))
        if not 1 <= quantity <= _MOST_PIECES:
            raise ApiProblem(422, "value_invalid", f"quantity must be 1 to {_MOST_PIECES}")
        if order_id is not None and not _ORDER_ID.fullmatch(order_id):
            raise ApiProblem(422, "value_invalid", "order_id must be O and digits")

        async def set_aside() -> dict[str, Any]:
            by, at = delegation.principal, self._now()
            return self._room.reserve(level, quantity, order_id, by, at).to_json()

        key = (delegation.principal, sku, idempotency_key(request) or uuid4().hex)
        return json_response(await self._repeats.once(key, document, set_aside), 201)

    async def reservation(self, request: Request) -> Response:
        """Show a reservation, or give free again what it set aside."""
        self._require(request, WRITE if request.method == "DELETE" else READ)
        reservation = self._room.reservation(request.path_params["reservation_id"])
        if request.method != "DELETE":
            return json_response(reservation.to_json())
        self._room.release(reservation)
        return Response(status_code=204)

    async def record_counts(self, request: Request) -> Response:
        """Put what was counted in place of what was thought to be there."""
        delegation = self._require(request, WRITE)
        form = await form_of(request, ["warehouse", "counted_on"], "counts")
        warehouse = one_of("warehouse", form.fields["warehouse"], WAREHOUSES)
        counted_on = _day("counted_on", form.fields["counted_on"])
        changes = self._room.count(warehouse, counted(form.file))
        answer = {"warehouse": warehouse, "counted_on": counted_on, "recorded_by": delegation.principal}
        return json_response({**answer, "changes": changes})

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _day(name: str, text: str) -> str:
    """A day as ``YYYY-MM-DD``, or a 422 problem."""
    try:
        day = date.fromisoformat(text).isoformat()
    except ValueError:
        day = ""
    if day != text:  # Python reads other ways of writing a day too
        raise ApiProblem(422, "value_invalid", f"{name} must be a day as YYYY-MM-DD")
    return day
