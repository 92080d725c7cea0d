"""A small company around an embedded token service: one user's token, three clients, a clock that stands still.

``agent-runner`` may call orders for a user; ``orders-api`` may call payments with what it got; ``payments-api`` may
call ledger. Tests read tokens with ``support.issuer.claims_of`` and make unsound ones with ``World.forge``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.applications import Starlette

from remit import oauth
from remit.credential import Credential
from remit.exchange.service import EmbeddedTokenService
from remit.sts.clients import Client, TargetRule
from remit.sts.endpoints import routes
from remit.sts.grant import SecurityTokenService
from remit.sts.keys import KeyRing
from remit.sts.minting import sign
from remit.sts.users import DevelopmentUser, mint_subject_token
from support.clock import FakeClock
from support.keys import KeysInMemory

ISSUER: Final = "https://sts.example"
BRIDGE: Final = "https://bridge.example/mcp"
SECRET: Final = Credential("correct horse battery staple")
ALICE: Final = DevelopmentUser(
    "alice", "Alice", ("support",), ("lead",), ("orders:read", "refunds:write", "pay", "log")
)

_KEYS: Final = KeyRing(KeysInMemory(), FakeClock())

AGENT: Final = Client(
    "agent-runner",
    targets=(
        TargetRule(
            "orders", "https://orders.example/v1", ("orders:read", "refunds:write", "orders:admin", "pay", "log")
        ),
        TargetRule("reports", scopes=("reports:read",), direct=True),
    ),
    subject_audiences=frozenset({BRIDGE}),
).with_secret(SECRET)
ORDERS: Final = Client(
    "orders-api", targets=(TargetRule("payments", scopes=("pay", "log")),), subject_audiences=frozenset({"orders"})
).with_secret(SECRET)
PAYMENTS: Final = Client(
    "payments-api", targets=(TargetRule("ledger", scopes=("log",)),), subject_audiences=frozenset({"payments"})
).with_secret(SECRET)
ROGUE: Final = Client("rogue", targets=AGENT.targets).with_secret(SECRET)


@dataclass
class World:
    """The token service, its clients and what time it is."""

    clock: FakeClock = field(default_factory=FakeClock)
    clients: dict[str, Client] = field(
        default_factory=lambda: {client.client_id: client for client in (AGENT, ORDERS, PAYMENTS, ROGUE)}
    )
    issuer: str = ISSUER
    keys: KeyRing = _KEYS
    sts: SecurityTokenService = field(init=False)

    def __post_init__(self) -> None:
        self.sts = SecurityTokenService(self.issuer, self.keys, self.clock, self.clients)

    @property
    def now(self) -> int:
        return int(self.clock.now())

    def app(self) -> Starlette:
        return Starlette(routes=routes(self.sts, self.clock))

    def change(self, client: Client, **changes: Any) -> Client:
        """Register ``client`` with other settings."""
        changed = replace(client, **changes)
        self.clients[client.client_id] = changed
        return changed

    def user_token(self, user: DevelopmentUser = ALICE, *, audience: str = BRIDGE, lifetime: int = 3600) -> str:
        """A user's token for the bridge."""
        token = mint_subject_token(
            self.sts, user, audience=audience, client_id="agent-runner", lifetime=lifetime, now=self.clock.now()
        )
        return token.reveal()

    def forge(self, **changes: Any) -> str:
        """A user's token signed by the service, with claims changed, added, or (``None``) left out."""
        claims = {
            "iss": self.issuer,
            "sub": "alice",
            "aud": BRIDGE,
            "client_id": "agent-runner",
            "scope": "orders:read refunds:write pay log",
            "iat": self.now,
            "exp": self.now + 3600,
            "jti": "forged",
        }
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return sign(claims, self.keys.signing_key).reveal()

    async def grant(self, client: Client, form: Mapping[str, str | list[str]]) -> dict[str, Any]:
        """A grant in process, the form's single values as plain strings."""
        return await self.sts.grant(client, {n: [v] if isinstance(v, str) else v for n, v in form.items()})

    async def actor_token(self, client: Client = AGENT) -> str:
        """A client's own token, fit for ``actor_token``."""
        answer = await self.grant(client, {"grant_type": oauth.GRANT_CLIENT_CREDENTIALS})
        token: str = answer["access_token"]
        return token

    def embedded(self, client: Client = AGENT) -> EmbeddedTokenService:
        """The token service in process, as ``client`` sees it."""

        async def grant(form: Any) -> dict[str, Any]:
            return await self.sts.grant(self.clients[client.client_id], form)

        return EmbeddedTokenService(client.client_id, grant)


def exchange_form(subject_token: str, **changes: str | list[str] | None) -> dict[str, str | list[str]]:
    """A sound exchange for orders; parameters changed, added, or (``None``) left out."""
    form: dict[str, str | list[str] | None] = {
        "grant_type": oauth.GRANT_TOKEN_EXCHANGE,
        "subject_token": subject_token,
        "subject_token_type": oauth.TOKEN_TYPE_ACCESS_TOKEN,
        "audience": "orders",
        **changes,
    }
    return {name: value for name, value in form.items() if value is not None}
