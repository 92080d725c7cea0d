"""Pages on the path of a call: one decision, one intent, one token, and a trail that says how many there were."""

from __future__ import annotations

import httpx
import pytest

from remit.errors import DownstreamFailed
from support.path import Path

pytestmark = pytest.mark.anyio

PAGED = """
version: 1
name: paged
upstream:
  baseUrl: https://orders.example/v1
  auth: {audience: orders, scopes: ["orders:read"]}
tools:
  - name: list_orders
    description: Lists orders, up to three pages of them at a time.
    request: {method: GET, path: /orders}
    response: {paging: {type: cursor, param: after, next: next, items: orders, maxPages: 3}}
"""


def page(*orders: str, following: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"orders": list(orders), "next": following})


async def test_all_pages_are_one_call_under_one_intent_with_one_token() -> None:
    path = Path(files=(PAGED,), answers=[page("A", following="b"), page("B", following="c"), page("C", following="d")])
    result = await path.call("list_orders", {})
    assert path.order == ["intent", "exchange", "call", "call", "call", "outcome"]
    assert result.result.data == {"orders": ["A", "B", "C"], "next": "d", "next_cursor": "d"}
    assert len({request.headers["authorization"] for request in path.sent}) == 1
    assert path.outcome["downstream"]["requests"] == 3
    assert "broke_off" not in path.outcome["downstream"]
    sizes = [len(page(name, following=after).content) for name, after in [("A", "b"), ("B", "c"), ("C", "d")]]
    assert path.outcome["downstream"]["bytes"] == sum(sizes)


async def test_a_later_page_that_fails_is_in_the_trail_and_leaves_those_before_it() -> None:
    path = Path(files=(PAGED,), answers=[page("A", following="b"), httpx.Response(503, text="secret")])
    result = await path.call("list_orders", {})
    assert result.result.data == {"orders": ["A"], "next": "b", "next_cursor": "b"}
    assert path.outcome["outcome"] == "success"
    assert (path.outcome["downstream"]["status"], path.outcome["downstream"]["requests"]) == (503, 2)
    assert path.outcome["downstream"]["broke_off"] == "downstream_failed"


async def test_a_first_page_that_fails_is_an_error_as_ever() -> None:
    path = Path(files=(PAGED,), answers=[httpx.Response(503)])
    with pytest.raises(DownstreamFailed):
        await path.call("list_orders", {})
    assert path.outcome["downstream"]["status"] == 503
    assert "requests" not in path.outcome["downstream"]
