"""A caller that goes away takes the API's request with it, at every door and in both eras."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from mcp import MCPError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from support.company import DOORS, Api, Company, Document, company_in_thread
from support.mcp_door import ERAS, call_message
from support.policy import allow_api

pytestmark = pytest.mark.anyio
eras = pytest.mark.parametrize("era", ERAS)

TOOLS = """
version: 1
name: slow
upstream:
  baseUrl: ${SLOW_URL}
  auth: {audience: slow-api, scopes: ["slow:use"], maxTtl: 60s}
  timeout: 60s
tools:
  - name: wait_long
    description: Takes for ever, until whoever asked goes away.
    input: {type: object, properties: {}}
    request: {method: POST, path: /wait}
"""


class Slow:
    """An API that answers nobody, and notes who asked and who went away."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gone: list[str] = []
        self._changed = threading.Condition()

    def app(self, _issuer: str) -> Starlette:
        return Starlette(routes=[Route("/wait", self.wait, methods=["POST"])])

    async def wait(self, request: Request) -> JSONResponse:
        call_id = request.headers["x-request-id"]
        self._note(self.asked, call_id)
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        self._note(self.gone, call_id)
        return JSONResponse({})

    def _note(self, where: list[str], call_id: str) -> None:
        with self._changed:
            where.append(call_id)
            self._changed.notify_all()

    async def next_of(self, where: list[str], known: int) -> str:
        """The id that comes next, after the first ``known``."""

        def wait() -> str:
            with self._changed:
                assert self._changed.wait_for(lambda: len(where) > known, 20), "nothing came within 20 s"
                return where[known]

        return await asyncio.to_thread(wait)


SLOW = Slow()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")

    def change(document: Document) -> None:
        document["sts"]["users"]["alice"]["scopes"].append("slow:use")
        allow_api(folder, "slow")

    with company_in_thread(folder, change, {"slow": Api(SLOW.app, TOOLS)}) as running:
        yield running


@eras
@pytest.mark.parametrize("door", DOORS)
async def test_a_cancelled_call_ends_the_request_to_the_api(company: Company, door: str, era: str) -> None:
    asked, gone = len(SLOW.asked), len(SLOW.gone)
    async with company.client("alice", door=door, era=era) as client:
        calling = asyncio.create_task(client.call_tool("wait_long"))
        call_id = await SLOW.next_of(SLOW.asked, asked)
        calling.cancel()
        assert await SLOW.next_of(SLOW.gone, gone) == call_id
        with pytest.raises(asyncio.CancelledError):
            await calling
        await recorded_as_cancelled(company, call_id)
        result = await client.call_tool("get_order", {"order_id": "O1001"})  # the session goes on
        assert not result.is_error


async def recorded_as_cancelled(company: Company, call_id: str) -> None:
    async with asyncio.timeout(10):
        while (facts := company.recorded(call_id).facts).get("outcome") is None:
            await asyncio.sleep(0.01)  # written by another thread or process
    assert facts["outcome"] == "cancelled"
    assert facts["exchange"]["audience"] == "slow-api"
    assert "downstream" not in facts


async def test_a_connection_that_breaks_cancels_its_call(company: Company) -> None:
    asked, gone = len(SLOW.asked), len(SLOW.gone)
    headers, body = call_message("wait_long", ERAS[0])
    headers["Authorization"] = f"Bearer {company.token()}"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(company.base.rpartition(":")[2]))
    writer.write(raw(company, headers, body))
    await writer.drain()
    call_id = await SLOW.next_of(SLOW.asked, asked)
    writer.transport.abort()
    assert await SLOW.next_of(SLOW.gone, gone) == call_id
    await recorded_as_cancelled(company, call_id)
    del reader


def raw(company: Company, headers: dict[str, str], body: dict[str, Any]) -> bytes:
    payload = json.dumps(body).encode()
    lines = [
        "POST /mcp HTTP/1.1",
        f"Host: {company.base.removeprefix('http://')}",
        f"Content-Length: {len(payload)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload


async def test_a_stdio_client_that_is_gone_cancels_its_calls(company: Company) -> None:
    asked, gone = len(SLOW.asked), len(SLOW.gone)
    async with company.client("alice", door="stdio", era="legacy") as client:
        calling = asyncio.create_task(client.call_tool("wait_long"))
        call_id = await SLOW.next_of(SLOW.asked, asked)
    assert await SLOW.next_of(SLOW.gone, gone) == call_id
    await recorded_as_cancelled(company, call_id)
    (ended,) = await asyncio.gather(calling, return_exceptions=True)
    assert isinstance(ended, MCPError)
