"""The official TypeScript SDK signs alice in by a real browser, and goes on from there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from support.browser import Person, Tools
from support.client_documents import DocumentHost
from support.sign_in_shop import SignInShop, told

pytestmark = pytest.mark.anyio

TIMEOUT = 40
REVISIONS = {"modern": "2026-07-28", "legacy": "2025-11-25"}


async def played(tools: Tools, alice: Person, **setup: Any) -> tuple[dict[str, Any], list[list[str]]]:
    """What the program says at its end, and the scopes that alice was asked for each time."""
    process = await asyncio.create_subprocess_exec(
        tools.node,
        tools.script("client.mjs"),
        json.dumps(setup),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    given = []
    said: dict[str, Any] = {}
    try:
        async with asyncio.timeout(TIMEOUT):
            async for line in process.stdout:
                said = json.loads(line)
                if "open" in said:
                    given.append(await alice.give(said["open"]))
            errors = (await process.stderr.read()).decode()
            assert await process.wait() == 0, errors
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said, given


@pytest.mark.parametrize("era", REVISIONS)
async def test_it_registers_signs_in_steps_up_and_refreshes(
    tools: Tools, shop: SignInShop, alice: Person, era: str
) -> None:
    said, given = await played(tools, alice, server=shop.mcp_url, era=era)
    assert said["era"] == REVISIONS[era]
    it_all_went_well(said, given)
    told(shop, said["client"]["client_id"], "self_asserted")


async def test_it_is_known_by_its_metadata_document(
    tools: Tools, shop: SignInShop, alice: Person, documents: DocumentHost
) -> None:
    url = documents.publish(client_name="TypeScript SDK")
    said, given = await played(tools, alice, server=shop.mcp_url, era="modern", document=url)
    it_all_went_well(said, given)
    told(shop, url, "registered")


def it_all_went_well(said: dict[str, Any], given: list[list[str]]) -> None:
    assert [(step["tool"], step["error"]) for step in said["steps"]] == [
        ("get_order", False),
        ("refund_order", False),
        ("get_order", False),
    ], said["steps"]
    first, wider, _spoilt, renewed = said["tokens"]
    assert given == [["orders:read"], wider["scope"].split()]
    assert {"orders:read", "refunds:write"} < set(given[1])
    assert len({tokens["refresh_token"] for tokens in (first, wider, renewed)}) == 3
