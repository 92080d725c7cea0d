"""Limits on the path of a call: what is over them goes nowhere, and what never left does not count."""

from __future__ import annotations

import asyncio

import pytest

from remit.errors import PolicyDenied, RateLimited
from support.path import DENY, PERMIT, Path
from support.policy import answering

pytestmark = pytest.mark.anyio

LIMITED = """
version: 1
name: limited
upstream:
  baseUrl: https://orders.example/v1
  auth: {audience: orders, scopes: ["orders:read"]}
  limits: {rate: 2/h per user, concurrency: 1}
tools:
  - name: get_limited
    description: Gets one order, but neither often nor twice at a time.
    input: {type: object, required: [id], properties: {id: {type: string}}}
    request: {method: GET, path: "/orders/{id}"}
"""


async def test_a_call_over_the_rate_is_neither_intended_nor_exchanged_nor_sent_and_is_recorded() -> None:
    path = Path(files=(LIMITED,))
    await path.call("get_limited")
    await path.call("get_limited")
    path.order.clear()
    with pytest.raises(RateLimited) as caught:
        await path.call("get_limited")
    assert path.order == ["outcome"]
    assert caught.value.retry_after > 3500
    assert path.outcome["outcome"] == "denied"
    assert path.outcome["error"]["code"] == "rate_limited"
    assert path.outcome["call_id"] == caught.value.call_id
    assert path.outcome["decision"]["allow"] is True


async def test_a_denied_call_does_not_count() -> None:
    path = Path(answering(DENY), files=(LIMITED,))
    for _ in range(5):
        with pytest.raises(PolicyDenied):
            await path.call("get_limited")


async def test_a_place_is_taken_until_the_api_has_answered() -> None:
    path = Path(answering(PERMIT), files=(LIMITED,), hold=asyncio.Event())
    first = asyncio.create_task(path.call("get_limited"))
    await path.arrived.wait()
    with pytest.raises(RateLimited, match="under way"):
        await path.call("get_limited")
    assert path.hold is not None
    path.hold.set()
    await first
    await path.call("get_limited")
