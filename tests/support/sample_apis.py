"""The sample company's APIs on real sockets, with a real token service, and no remit in front of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from remit import oauth
from remit.credential import Credential
from remit.demo.api import Journal
from remit.demo.orders import orders_app
from remit.demo.payments import payments_app
from remit.demo.stock import stock_app
from remit.sts.clients import Client, TargetRule
from remit.sts.endpoints import routes
from remit.sts.grant import SecurityTokenService
from remit.sts.keys import KeyRing
from remit.sts.users import DevelopmentUser, mint_subject_token
from support.clock import FakeClock
from support.servers import Listener, serving

SCOPES = ("orders:read", "refunds:write", "payments:read", "payments:refund", "stock:read", "stock:write")
REFUND_SCOPES = "refunds:write payments:refund"
SECRETS = {name: Credential(f"{name}-secret-of-the-test") for name in ("agent-runner", "stranger", "orders-api")}
REFUND = {"amount": 1000, "reason": "damaged", "requested_by": "alice"}


def clients() -> dict[str, Client]:
    orders = TargetRule(audience="orders-api", scopes=SCOPES)
    payments = TargetRule(audience="payments-api", scopes=SCOPES)
    stock = TargetRule(audience="stock-api", scopes=SCOPES)
    registered = [
        Client("agent-runner", targets=(orders, payments, stock), subject_audiences=frozenset({"mcp"})),
        Client("stranger", targets=(orders,), subject_audiences=frozenset({"mcp"})),
        Client("orders-api", targets=(payments,)),
    ]
    return {client.client_id: client.with_secret(SECRETS[client.client_id]) for client in registered}


@dataclass
class Company:
    """Everything runs; ``http`` talks to it."""

    sts: SecurityTokenService
    clock: FakeClock
    http: httpx.AsyncClient
    orders: str
    payments: str
    stock: str
    orders_journal: Journal
    payments_journal: Journal
    stock_journal: Journal

    async def token(self, audience: str, scope: str, *, client: str = "agent-runner", user: str = "alice") -> str:
        """A delegated token, exchanged over the wire as the agent runner does."""
        subject = mint_subject_token(
            self.sts,
            DevelopmentUser(user, scopes=SCOPES),
            audience="mcp",
            client_id="mcp-client",
            lifetime=600,
            now=self.clock.now(),
        )
        return await self.exchanged(subject.reveal(), audience, scope, client=client)

    async def exchanged(self, subject: str, audience: str, scope: str, *, client: str) -> str:
        """A token for ``audience``, for that of the subject, as ``client`` gets it."""
        form = {
            "grant_type": oauth.GRANT_TOKEN_EXCHANGE,
            "subject_token": subject,
            "subject_token_type": oauth.TOKEN_TYPE_ACCESS_TOKEN,
            "audience": audience,
            "scope": scope,
        }
        answer = await self.http.post(
            f"{self.sts.issuer}/oauth2/token", data=form, auth=(client, SECRETS[client].reveal())
        )
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        assert isinstance(token, str)
        return token

    async def get(self, url: str, token: str) -> httpx.Response:
        return await self.http.get(url, headers={"Authorization": f"Bearer {token}"})

    async def refund(
        self, order: str = "O1001", *, token: str = "", key: str = "", body: Any = REFUND, request_id: str = ""
    ) -> httpx.Response:
        token = token or await self.token("orders-api", REFUND_SCOPES)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "X-Request-ID": request_id}
        sent = {name: value for name, value in headers.items() if value}
        return await self.http.post(f"{self.orders}/orders/{order}/refunds", json=body, headers=sent)

    async def order(self, order: str = "O1001") -> Any:
        token = await self.token("orders-api", "orders:read")
        return (await self.get(f"{self.orders}/orders/{order}", token)).json()


@asynccontextmanager
async def running(state: Path, payments_api: Starlette | None = None) -> AsyncIterator[Company]:
    clock, at = FakeClock(), Listener()
    sts = SecurityTokenService(at.url, KeyRing.open(state), clock, clients())
    payments = payments_app(issuer=at.url, clock=clock)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(Starlette(routes=routes(sts, clock)), at))
        payments_url = await stack.enter_async_context(serving(payments_api or payments))
        orders = orders_app(issuer=at.url, client_secret=SECRETS["orders-api"], payments_url=payments_url, clock=clock)
        orders_url = await stack.enter_async_context(serving(orders))
        stock = stock_app(issuer=at.url, clock=clock)
        stock_url = await stack.enter_async_context(serving(stock))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        journals = (api.state.journal for api in (orders, payments, stock))
        yield Company(sts, clock, http, orders_url, payments_url, stock_url, *journals)


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["error"]
