"""One browser and one served company for all tests here; each person has a profile of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.browser import Person, Tools, person
from support.client_documents import DocumentHost, certificate
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
    document["sign_in"]["client_documents"] = {"allow_private": True}
    document["sign_in"]["clients"] = {"desk": {"name": "Desk", "redirect_uris": ["http://127.0.0.1/callback", APP]}}


@pytest.fixture(scope="session")
async def shop(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SignInShop]:
    trust = trusting(tmp_path_factory.mktemp("trust"))
    async with sign_in_shop(Path(tmp_path_factory.mktemp("shop")), begins_narrow, **trust) as running:
        yield running


def trusting(folder: Path) -> dict[str, str]:
    """An environment whose processes trust the tests' own certificate, and nobody else's."""
    authorities = folder / "authorities.pem"
    authorities.write_bytes(certificate()[1])
    # In place of the package that tells HTTP clients whom to trust.
    (folder / "certifi.py").write_text(f"def where(): return {str(authorities)!r}\n", encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


@pytest.fixture
async def alice(chromium: Any) -> AsyncIterator[Person]:
    async with person(chromium, PASSWORD) as someone:
        yield someone


@pytest.fixture
async def client_address() -> AsyncIterator[Callback]:
    async with callback() as waiting:
        yield waiting


@pytest.fixture
async def documents() -> AsyncIterator[DocumentHost]:
    async with DocumentHost() as host:
        yield host
