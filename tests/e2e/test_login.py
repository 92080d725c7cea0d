"""A stdio session has its user sign in with a browser, and every later process speaks for them without a word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import ElicitRequestURLParams, ElicitResult

from support.command import environment, remit_command
from support.company import Company, company
from support.login_server import CLIENT, LoginServer
from support.mcp_door import ERAS, text_of
from support.servers import Listener, serving

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def shop(folder: Path) -> AsyncIterator[tuple[Company, LoginServer]]:
    """The sample company, whose people sign in elsewhere and get tokens that it trusts."""
    listener, server = Listener(), LoginServer()
    server.issuer = listener.url
    login = {"issuer": server.issuer, "client_id": CLIENT, "store": "file", "folder": "logins"}
    async with serving(server.app, listener), company(folder, lambda document: document.update(login=login)) as running:
        server.answer = {"access_token": running.token("alice")}
        yield running, server


@asynccontextmanager
async def session(shop: Company, era: str, **options: Any) -> AsyncIterator[Client]:
    command, *arguments = remit_command("-c", shop.config, "serve", "--stdio")
    parameters = StdioServerParameters(command=command, args=arguments, env=environment())
    async with Client(parameters, mode=era, **options) as client:
        yield client


@pytest.mark.parametrize("era", ERAS)
async def test_whoever_signs_in_once_is_known_to_every_session(tmp_path: Path, era: str) -> None:
    pages: list[httpx.Response] = []

    async def user(_context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestURLParams)
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as browser:
            pages.append(await browser.get(params.url))
        return ElicitResult(action="accept")

    order = {"order_id": "O1001"}
    async with shop(tmp_path / "shop") as (running, server):
        server.lifetime = 20  # so that it is renewed before each use
        async with session(running, era, elicitation_callback=user) as client:
            made = await client.call_tool("get_order", order)
            assert not made.is_error, text_of(made)
        async with session(running, era) as client:
            assert not (await client.call_tool("get_order", order)).is_error
            server.ended.update(server.families.values())  # revoked
            refused = await client.call_tool("get_order", order)
        assert text_of(refused).startswith(f'Nobody is signed in: run `remit -c "{running.config}" login`.')
    assert [page.status_code for page in pages] == [200]
    assert server.refreshes > 1
