"""The official Python SDK signs alice in by a real browser, and goes on from there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from support.browser import Person
from support.client_documents import DocumentHost
from support.mcp_door import ERAS, text_of
from support.sign_in_shop import Callback, SignInShop, told

pytestmark = pytest.mark.anyio

ORDER = {"order_id": "O1001"}
REFUND = {"order_id": "O1001", "amount": 100, "reason": "late"}


@dataclass
class Memory:
    """What the SDK keeps of its sign-in, and every set of tokens there was."""

    client: OAuthClientInformationFull | None = None
    tokens: list[OAuthToken] = field(default_factory=list)

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens[-1] if self.tokens else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens.append(tokens)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@dataclass
class Application:
    """A program on alice's computer. ``given``: the scopes she was asked for, each time."""

    address: Callback
    user: Person
    memory: Memory = field(default_factory=Memory)
    given: list[list[str]] = field(default_factory=list)
    document: str | None = None

    def provider(self, server: str) -> OAuthClientProvider:
        """The SDK's own sign-in, with alice's browser."""
        return OAuthClientProvider(
            server,
            OAuthClientMetadata.model_validate({"client_name": "Python SDK", "redirect_uris": [self.address.url]}),
            self.memory,
            redirect_handler=self._open,
            callback_handler=self._answer,
            client_metadata_url=self.document,
        )

    async def _open(self, url: str) -> None:
        self.given.append(await self.user.give(url))

    async def _answer(self) -> AuthorizationCodeResult:
        query = {name: values[0] for name, values in parse_qs(await self.address.answer()).items()}
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))


@asynccontextmanager
async def connected(shop: SignInShop, provider: OAuthClientProvider, era: str) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(auth=provider, timeout=30, trust_env=False) as http,
        Client(streamable_http_client(shop.mcp_url, http_client=http), mode=era) as client,
    ):
        yield client


async def called(client: Client, tool: str, arguments: dict[str, Any]) -> None:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)


@pytest.mark.parametrize("era", ERAS)
async def test_it_registers_signs_in_steps_up_and_refreshes(
    shop: SignInShop, alice: Person, client_address: Callback, era: str
) -> None:
    application = Application(client_address, alice)
    await plays(application, shop, era)
    assert application.memory.client is not None
    told(shop, application.memory.client.client_id, "self_asserted")


async def test_it_is_known_by_its_metadata_document(
    shop: SignInShop, alice: Person, client_address: Callback, documents: DocumentHost
) -> None:
    url = documents.publish(client_name="Python SDK", redirect_uris=[client_address.url])
    await plays(Application(client_address, alice, document=url), shop, ERAS[0])
    assert documents.asked == ["/client.json"]
    told(shop, url, "registered")


async def plays(application: Application, shop: SignInShop, era: str) -> None:
    """Sign in, call, step up, call, renew, call."""
    provider, memory = application.provider(shop.mcp_url), application.memory
    async with connected(shop, provider, era) as client:
        await called(client, "get_order", ORDER)
        assert application.given == [["orders:read"]]
        await called(client, "refund_order", REFUND)
        first, wider = memory.tokens
        assert application.given[1] == (wider.scope or "").split()
        assert {"orders:read", "refunds:write"} < set(application.given[1])
        provider.context.token_expiry_time = 1  # the client takes its token for expired
        await called(client, "get_order", ORDER)
    renewed = memory.tokens[-1]
    assert len({tokens.refresh_token for tokens in (first, wider, renewed)}) == 3
    assert len({tokens.access_token for tokens in (first, wider, renewed)}) == 3
    assert len(application.given) == 2  # nobody was asked for the renewal
