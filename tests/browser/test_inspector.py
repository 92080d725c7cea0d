"""The MCP Inspector's web page as a newcomer uses it: connect, sign in, call a tool, and look into the trail."""

from __future__ import annotations

import asyncio
import os
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.browser import Person, Tools
from support.command import remit
from support.company import free_port
from support.sign_in_shop import SignInShop

pytestmark = pytest.mark.anyio

REVISIONS = {"modern": "2026-07-28", "legacy": "2025-11-25"}


@asynccontextmanager
async def inspector(tools: Tools, server: str, era: str, folder: Path) -> AsyncIterator[str]:
    """The address of its page, made for one server. Nothing of it is kept but in ``folder``."""
    environment = {
        **os.environ,
        "HOME": str(folder),
        "PATH": f"{tools.node.parent}{os.pathsep}{os.environ['PATH']}",
        "CLIENT_PORT": str(free_port()),
        "MCP_SANDBOX_PORT": "0",
        "MCP_AUTO_OPEN_ENABLED": "false",
        "MCP_STORAGE_DIR": str(folder),
        "MCP_INSPECTOR_SECRET_STORE": "memory",
    }
    process = await asyncio.create_subprocess_exec(
        tools.node,
        tools.packages / ".bin" / "mcp-inspector",
        *("--web", "--transport", "http", "--server-url", server, "--protocol-era", era),
        env=environment,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            lines = [line.decode() async for line in until(process.stdout, "MCP_INSPECTOR_API_TOKEN")]
        yield re.findall(r"http://\S+", lines[-1])[0].replace("?", "/?")
    finally:
        process.kill()
        await process.communicate()


async def until(stream: asyncio.StreamReader, word: str) -> AsyncIterator[bytes]:
    """Lines, up to the one that has ``word``."""
    async for line in stream:
        yield line
        if word.encode() in line:
            return


@pytest.mark.parametrize("era", REVISIONS)
async def test_alice_signs_in_calls_a_tool_and_is_in_the_trail(
    tools: Tools, shop: SignInShop, alice: Person, tmp_path: Path, era: str
) -> None:
    page = alice.page
    async with inspector(tools, shop.mcp_url, era, tmp_path) as url:
        await alice.open(url)
        # The switch itself is painted over by what slides.
        await page.get_by_role("switch", name=re.compile("^Connect or disconnect")).click(force=True)
        await alice.shows("Sign in")
        await alice.sign_in()
        await alice.shows(re.compile("^Allow “MCP Inspector” to act for you"))
        await alice.press("Allow")
        await page.get_by_text(f"MCP {REVISIONS[era]}").wait_for()
        await page.locator("label", has_text=re.compile("^Tools$")).click()
        await page.get_by_role("button", name="Get an order get_order").click()
        await page.get_by_role("textbox", name="order_id").fill("O1001")
        await alice.press("Execute Tool")
        await page.get_by_text('"O1001"').first.wait_for()

    done = await asyncio.to_thread(remit, "-c", shop.config, "audit", "tail", cwd=shop.folder)
    call = [line for line in done.stdout.splitlines() if " get_order " in line][-1]
    assert re.search(r"alice ← dynamic\.mcp-inspector\.\S+ ← agent-runner", call), call
    assert shop.chain()[-1] == "alice"
    assert shop.chain()[1].startswith("dynamic.mcp-inspector.")
