"""A serving process is killed at any moment: what an API was asked is in the trail, and the trail is whole."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from remit.audit.store.reader import open_reader
from remit.clock import SystemClock
from remit.credential import Credential
from remit.demo.api import Journal
from remit.demo.orders import orders_app
from support.command import remit, remit_process, wait_until_served
from support.company import Workspace, make_workspace
from support.mcp_door import ERAS, call_message
from support.servers import Listener, serving_in_thread

ROUNDS = 5
CLIENTS = 6
LONGEST_ROUND = 0.4


class Shop:
    """A workspace, and its orders API running in this process whatever becomes of the server."""

    def __init__(self, workspace: Workspace, journal: Journal) -> None:
        self.workspace = workspace
        self.journal = journal

    @property
    def asked(self) -> set[str]:
        """The ids of the calls that reached the API."""
        return {entry.request_id for entry in list(self.journal.entries)}

    @property
    def intended(self) -> set[str]:
        with open_reader(self.workspace.trail_file) as trail:
            return {record.call_id for record in trail.after(0, limit=1_000_000) if record.kind == "intent"}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    mcp, orders, payments, stock = Listener(), Listener(), Listener(), Listener()
    workspace = make_workspace(tmp_path, (mcp, orders, payments, stock))
    mcp.socket.close()  # the serving process listens there
    payments.socket.close()
    stock.socket.close()
    app = orders_app(
        issuer=workspace.base,
        clock=SystemClock(),
        client_secret=Credential(workspace.secrets["orders-api"]),
        payments_url=workspace.payments_url,
    )
    journal: Journal = app.state.journal
    journal.entries = deque()  # nothing is forgotten here
    with ExitStack() as stack:
        stack.enter_context(serving_in_thread(app, orders))
        yield Shop(workspace, journal)


async def load(shop: Shop, token: str, until: float) -> None:
    """Clients that call one after the other until the server is no more."""

    async def client(http: httpx.AsyncClient, number: int) -> None:
        headers, body = call_message("get_order", ERAS[number % 2], {"order_id": f"O100{number % 6 + 1}"})
        headers["Authorization"] = f"Bearer {token}"
        while time.monotonic() < until:
            try:
                await http.post(shop.workspace.mcp_url, headers=headers, json=body)
            except httpx.TransportError:
                return

    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        await asyncio.gather(*(client(http, number) for number in range(CLIENTS)))


async def round_of(shop: Shop, token: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    before = len(shop.journal.entries)
    loading = asyncio.create_task(load(shop, token, time.monotonic() + 20))
    async with asyncio.timeout(20):
        while len(shop.journal.entries) < before + CLIENTS:
            await asyncio.sleep(0.002)  # the API runs in another thread
    await asyncio.sleep(seconds)
    process.kill()
    await loading


def test_every_call_that_reached_an_api_has_its_intent_whenever_the_server_is_killed(shop: Shop) -> None:
    workspace = shop.workspace
    moments = random.Random(11)  # noqa: S311  no secret
    token = remit("-c", workspace.config, "token", "mint", "alice", cwd=workspace.folder).stdout.strip()
    for _ in range(ROUNDS):
        with remit_process("-c", workspace.config, "serve", cwd=workspace.folder) as process:
            wait_until_served(workspace.base, process)  # each time on the state the last one left behind
            asyncio.run(round_of(shop, token, process, moments.uniform(0, LONGEST_ROUND)))
        assert shop.asked <= shop.intended
        with open_reader(workspace.trail_file) as trail:
            assert trail.verify().sound

    done = remit("-c", workspace.config, "audit", "verify", "--json", cwd=workspace.folder)
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["verified"] is True
    assert len(shop.asked) >= ROUNDS * CLIENTS
    assert report["intents"] - report["outcomes"] == len(report["unfinished"])
    assert set(report["unfinished"]) <= shop.intended
    assert report["unfinished"], "no call was under way at any of the moments: the test shows nothing"
    words = remit("-c", workspace.config, "audit", "verify", cwd=workspace.folder).stdout
    assert all(call_id in words for call_id in report["unfinished"][:3])
