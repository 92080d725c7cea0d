"""No record, no call: what happens while the trail cannot be written, and afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from remit.audit.store.reader import open_reader
from support.company import Company, company, error_of

pytestmark = pytest.mark.anyio
#: How many seconds a record waits for the trail's lock.
GIVES_UP_AFTER = 5


@contextmanager
def locked(trail: Path) -> Iterator[None]:
    """Another process's lock, held for as long as the block runs."""
    with closing(sqlite3.connect(trail, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def status_of(running: Company, path: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"{running.base}{path}")).status_code


async def test_nothing_is_called_while_the_trail_cannot_be_written(tmp_path: Path) -> None:
    async with company(tmp_path) as running, running.client("alice") as client:
        assert not (await client.call_tool("get_order", {"order_id": "O1001"})).is_error
        reached = len(running.orders.entries)
        calls = [
            asyncio.create_task(client.call_tool("get_order", {"order_id": "O1001"})),
            asyncio.create_task(client.call_tool("refund_order", {"order_id": "O1001", "amount": 1, "reason": "late"})),
        ]
        with locked(running.trail_file):
            assert await status_of(running, "/healthz") == 200
            assert await status_of(running, "/readyz") == 503
            await asyncio.wait(calls, timeout=GIVES_UP_AFTER + 1)
        refused = [error_of(result) for result in await asyncio.gather(*calls)]
        assert len(running.orders.entries) == reached
        assert not running.payments.entries

        for error in refused:
            assert error["code"] == "audit_unavailable"
            assert str(tmp_path) not in str(error)
            call = running.recorded(error["audit_id"])  # written as soon as that was possible again
            assert call.facts["error"]["code"] == "audit_unavailable"

        assert await status_of(running, "/readyz") == 200
        result = await client.call_tool("get_order", {"order_id": "O1001"})
        assert not result.is_error
        assert len(running.orders.entries) == reached + 1
        with open_reader(running.trail_file) as trail:
            assert trail.verify().sound
