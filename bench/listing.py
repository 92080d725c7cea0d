"""What it takes to list a thousand tools over Streamable HTTP, page by page, filtered by policy for one caller."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import aiohttp

from bench.figures import Listed
from bench.load import MODERN, WrongAnswer, session
from bench.server import USER
from bench.startup import Ready, ready

_MIB = 1 << 20


async def measure_lists(folder: Path, times: int) -> Listed:
    """The first list of a caller, and the median of so many more, by the `remit serve` of the workspace ``folder``."""
    with ready(folder) as server:
        before = server.process.memory_info().rss / _MIB
        token = _token(folder)
        async with session() as http:
            tools, first = await _listed(http, server, token)
            again = [(await _listed(http, server, token))[1] for _ in range(times)]
        after = server.process.memory_info().rss / _MIB
    return Listed(tools, first * 1e3, median(again) * 1e3, before, after)


def _token(folder: Path) -> str:
    command = [sys.executable, "-m", "remit", "--quiet", "--config", str(folder / "remit.yaml"), "token", "mint", USER]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


async def _listed(http: aiohttp.ClientSession, server: Ready, token: str) -> tuple[int, float]:
    """How many tools, and for how many seconds somebody waited for them; to read the JSON is not counted."""
    tools, seconds, cursor = 0, 0.0, ""
    while True:
        started = time.perf_counter()
        async with http.post(f"{server.base}/mcp", data=_request(cursor), headers=_headers(token)) as answer:
            body = await answer.read()
        seconds += time.perf_counter() - started
        if answer.status != 200:
            raise WrongAnswer(f"tools/list answered {answer.status}")
        result = json.loads(body)["result"]
        tools += len(result["tools"])
        cursor = result.get("nextCursor", "")
        if not cursor:
            return tools, seconds


def _request(cursor: str) -> bytes:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"_meta": meta, "cursor": cursor} if cursor else {"_meta": meta}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params}).encode()


def _headers(token: str) -> dict[str, str]:
    return {
        "Accept": "application/json, text/event-stream",
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "tools/list",
    }
