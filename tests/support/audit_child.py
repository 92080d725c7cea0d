"""A process that makes calls for ever, to be killed: ``python -m support.audit_child TRAIL CALLS [COUNT]``.

Each call writes its intent to the trail, then its id to CALLS (that is the API being called), then its outcome.
Prints one line once the first call is made. With COUNT it makes so many calls and ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from remit.audit.store.sqlite import SqliteStore
from remit.audit.trail import Trail
from remit.clock import SystemClock
from support.trail import ALICE, RUNNER, Decision, Tool, Wanted

CALLERS = 4


async def call(trail: Trail, calls: int) -> None:
    async with trail.record(door="mcp", tool="orders_refund", arguments={"order_id": "O77"}) as record:
        record.identified(ALICE, RUNNER)
        record.found(Tool())
        record.decided(Decision())
        await record.intend(Wanted())
        os.write(calls, f"{record.id}\n".encode())


async def main(trail_path: Path, calls_path: Path, count: int) -> None:
    store = SqliteStore(trail_path)
    trail = Trail(store, SystemClock())
    calls = os.open(calls_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    await call(trail, calls)
    print("calling", flush=True)

    async def caller() -> None:
        made = 0
        while not count or made < count:
            await call(trail, calls)
            made += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0))
