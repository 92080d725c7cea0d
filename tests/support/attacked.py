"""The sample company as it is attacked: people with passwords, several clients, a gateway, another trusted issuer.

Whoever attacks it looks at ``nothing_given`` and ``told``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from remit.audit.store.reader import open_reader
from remit.authorization.passwords import PasswordFile, hash_password
from remit.credential import Credential
from remit.sts.revocation import Kind, Order
from support.browsing import Client, browser_at
from support.company import Company, Document, company_in_thread
from support.issuer import FakeIssuer
from support.pages import PASSWORD, Browser
from support.servers import serving_in_thread

SECRET: Final = "one that the operator made up"
CORP: Final = FakeIssuer("https://corp.example", name="corp")
_CLIENTS: Final = {
    "desk": {"redirect_uris": ["https://desk.example/callback"]},
    "shell": {
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grants": ["authorization_code", "device_code"],
    },
    "server": {"redirect_uris": ["https://server.example/callback"], "secret": {"env": "SHOP_SERVER_SECRET"}},
}


@dataclass
class Shop:
    """What is attacked, and what its trail says of it."""

    company: Company

    @property
    def base(self) -> str:
        """The issuer."""
        return self.company.base

    def client(self, name: str, **changes: Any) -> Client:
        """One of the operator's clients."""
        secret = SECRET if name == "server" else ""
        uri = {"shell": "http://127.0.0.1:50123/callback"}.get(name, f"https://{name}.example/callback")
        return Client(self.base, name, uri, secret=secret, **changes)

    def browser(self) -> Browser:
        """One that nobody has used yet."""
        return browser_at(self.base)

    def log_out(self, user: str) -> None:
        """Everywhere, as an operator does."""
        self.company.app.revocations.add(Order(Kind.SUBJECT, user))

    def records(self, since: int = 0) -> list[tuple[str, dict[str, Any]]]:
        """Kind and facts of the trail's records from that one on."""
        with open_reader(self.company.trail_file) as trail:
            return [(record.kind, record.facts) for record in trail.after(since, limit=100_000)]

    @contextmanager
    def nothing_given(self) -> Iterator[None]:
        """Nothing is issued and no API is called while the block runs."""
        before, called = len(self.records()), len(self.company.orders.entries)
        yield
        assert [facts for kind, facts in self.records(before) if kind == "issued"] == []
        assert len(self.company.orders.entries) == called

    @contextmanager
    def told(self, *actions: str) -> Iterator[None]:
        """What the trail is told besides tokens and calls while the block runs."""
        before = len(self.records())
        yield
        assert self.actions(before) == list(actions)

    def actions(self, since: int = 0) -> list[str]:
        """What the trail has been told besides tokens and calls, from that record on."""
        return [facts["control"]["action"] for kind, facts in self.records(since) if kind == "control"]


async def keys(_: Request) -> JSONResponse:
    """Those of the other issuer."""
    return JSONResponse(CORP.jwks())


@contextmanager
def attacked(folder: Path) -> Iterator[Shop]:
    """It is served while the block runs."""

    def change(document: Document) -> None:
        document["sign_in"]["clients"] = _CLIENTS
        document["sts"]["users"] |= {name: {"scopes": ["orders:read"]} for name in ("carol", "dora")}
        document["identity"] = {"issuers": [{"issuer": CORP.issuer, "jwks_uri": f"{url}/keys"}]}
        document["sts"]["trust_identity_issuers"] = True
        orders = {"name": "orders", "prefix": "/orders", "upstream": document["variables"]["ORDERS_URL"]}
        document["gateway"] = {"routes": [{**orders, "audience": "orders-api", "scopes": ["orders:read"]}]}

    with (
        pytest.MonkeyPatch.context() as patch,
        serving_in_thread(Starlette(routes=[Route("/keys", keys)])) as url,
    ):
        patch.setenv("SHOP_SERVER_SECRET", SECRET)
        with company_in_thread(folder, change) as company:
            hashed = hash_password(Credential(PASSWORD))
            known = dict.fromkeys(("alice", "bob", "carol", "dora"), hashed)
            PasswordFile(company.app.settings.passwords_file).change(lambda hashes: hashes.update(known))
            yield Shop(company)
