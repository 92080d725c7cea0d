"""One browser and one served company for all tests here; each person has a profile of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.browser import Person, Tools, person
from support.company import Document
from support.sign_in_shop import APP, PASSWORD, Callback, SignInShop, callback, sign_in_shop


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One event loop for the whole session: the browser and the company live in it."""
    return "asyncio"


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools.installed()


@pytest.fixture(scope="session")
async def chromium(tools: Tools) -> AsyncIterator[Any]:
    async with tools.chromium() as browser:
        yield browser


def begins_narrow(document: Document) -> None:
    """Clients are told to ask for reading first, so that writing is a step up. One is registered, by hand."""
    document["mcp"] = {"baseline_scopes": ["orders:read"]}
    document["sign_in"]["clients"] = {"desk": {"name": "Desk", "redirect_uris": ["http://127.0.0.1/callback", APP]}}


@pytest.fixture(scope="session")
async def shop(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SignInShop]:
    async with sign_in_shop(Path(tmp_path_factory.mktemp("shop")), begins_narrow) as running:
        yield running


@pytest.fixture
async def alice(chromium: Any) -> AsyncIterator[Person]:
    async with person(chromium, PASSWORD) as someone:
        yield someone


@pytest.fixture
async def client_address() -> AsyncIterator[Callback]:
    async with callback() as waiting:
        yield waiting
