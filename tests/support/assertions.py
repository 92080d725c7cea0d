"""An authorization server that takes the identity assertions of two providers, over HTTP.

::

    world = AssertionWorld(tmp_path)
    world.bring(world.okta.assertion(world))         # an httpx.Response
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from starlette.applications import Starlette

from remit import oauth
from remit.audit.issuance import Issuance
from remit.authorization.assertion import AssertionIssuer, IdentityAssertions
from remit.authorization.authorizations import Authorizations, Lifetimes
from remit.authorization.claims import PersonClaims
from remit.authorization.client import SignInClient, Source
from remit.authorization.client_authentication import SignInClients
from remit.authorization.directory import Directory
from remit.authorization.endpoints import Offered, SignInEndpoints
from remit.authorization.file import AuthorizationsFile
from remit.authorization.revoking import Ending
from remit.authorization.token_endpoint import SignInGrants
from remit.sts.endpoints import routes
from remit.sts.issued import IssuedTokens
from remit.sts.returning import Returning
from remit.sts.revocation import RevocationFile, RevocationList
from remit.tokens.dpop import DpopProofs
from remit.tokens.jwks import LiveKeys
from remit.tokens.verifier import TrustedIssuer
from support.authorization import SECRET, People, basic
from support.clock import FakeClock
from support.issuer import ABSENT, FakeIssuer
from support.sts import World as TokenServiceWorld
from support.trail import MemoryStore

ISSUER: Final = "https://remit.example.com"
JWT_BEARER: Final = frozenset({oauth.GRANT_JWT_BEARER})

AGENT: Final = SignInClient(
    "agent",
    "Agent",
    Source.SETTINGS,
    auth_method=oauth.CLIENT_SECRET_POST,
    secret_digest=SECRET.digest,
    grants=JWT_BEARER,
)
OTHER: Final = replace(AGENT, client_id="other", scopes=("orders:read",))
PUBLIC: Final = replace(AGENT, client_id="public", auth_method=oauth.NO_CLIENT_AUTHENTICATION, secret_digest=b"")
UNGRANTED: Final = replace(AGENT, client_id="ungranted", grants=frozenset({oauth.GRANT_AUTHORIZATION_CODE}))


class Provider(FakeIssuer):
    """An identity provider that issues assertions about carol."""

    def assertion(self, world: AssertionWorld, **changes: Any) -> str:
        """A sound one for AGENT, with claims (and ``header``, ``key``) changed."""
        sound = {
            "sub": "carol",
            "aud": world.issuer,
            "client_id": "agent",
            "resource": world.mcp,
            "scope": "orders:read orders:write",
            "iat": int(world.clock.now()),
            "exp": int(world.clock.now()) + 300,
        }
        header = {"typ": "oauth-id-jag+jwt", **changes.pop("header", {})}
        return self.mint(header=header, **{**sound, **changes})


@dataclass
class AssertionWorld:
    """One process of it, whose issuer is ``issuer``."""

    directory: Path
    issuer: str = ISSUER
    clock: Any = field(default_factory=FakeClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    okta: Provider = field(default_factory=lambda: Provider("https://okta.example", name="okta"))
    ping: Provider = field(default_factory=lambda: Provider("https://ping.example", name="ping"))

    def __post_init__(self) -> None:
        self.mcp = f"{self.issuer}/mcp"
        self.sts = TokenServiceWorld(self.clock, issuer=self.issuer).sts
        self.revocations = RevocationList(RevocationFile(self.directory / "revocations.db"), self.clock)
        self.sts.revocations = self.revocations
        self.file = AuthorizationsFile(self.directory / "authorizations.db", self.clock)
        ending = Ending(self.revocations, None, self.clock)
        self.authorizations = Authorizations(self.sts, self.file, People(), self.clock, Lifetimes(), ending)
        clients = {each.client_id: each for each in (AGENT, OTHER, PUBLIC, UNGRANTED)}
        self.clients = SignInClients(Directory(clients, self.file), frozenset({self.issuer}), self.file, self.clock)

    def close(self) -> None:
        self.file.close()
        self.revocations.close()

    def assertions(self) -> IdentityAssertions:
        okta = AssertionIssuer(
            _trusted(self.okta),
            PersonClaims(scopes=("orders:read", "orders:write", "pay"), scopes_by_group={"admins": ("orders:admin",)}),
            {"0oa-agent": "agent"},
        )
        ping = AssertionIssuer(_trusted(self.ping), PersonClaims(subject="email", scopes=("orders:read",)))
        return IdentityAssertions(self.authorizations, [okta, ping], (self.mcp, f"{self.issuer}/orders"))

    def app(self) -> Starlette:
        def open_record(client_id: str, auth_method: str) -> Issuance:
            return Issuance(self.store, self.clock, client_id, auth_method)

        extra = {oauth.GRANT_JWT_BEARER: self.assertions().grant}
        grants = SignInGrants(self.clients, self.authorizations, DpopProofs(), open_record=open_record, extra=extra)
        returning = Returning(IssuedTokens(self.issuer, self.sts.keys, self.clock), self.revocations)
        endpoints = SignInEndpoints(self.clients, self.authorizations, grants, returning, Offered((self.mcp,)))
        shared = routes(self.sts, self.clock, self.revocations, sign_in=endpoints)
        return Starlette(routes=[*shared, *endpoints.routes()])

    def bring(
        self,
        assertion: str,
        *,
        client: SignInClient = AGENT,
        headers: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> httpx.Response:
        """An assertion as ``client``; ``changes`` to the form."""
        return asyncio.run(self.send(self.app(), assertion, client=client, headers=headers, **changes))

    async def send(
        self,
        app: Starlette,
        assertion: str,
        *,
        client: SignInClient = AGENT,
        headers: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> httpx.Response:
        """As ``bring``, to one of several processes."""
        form = {"grant_type": oauth.GRANT_JWT_BEARER, "assertion": assertion, **changes}
        proof = {} if client.is_public else basic(client)
        if client.is_public:
            form["client_id"] = client.client_id
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=self.issuer) as http:
            sent = {"Content-Type": "application/x-www-form-urlencoded", **proof, **(headers or {})}
            body = urlencode({name: value for name, value in form.items() if value is not ABSENT}, doseq=True)
            return await http.post("/oauth2/token", content=body, headers=sent)


def _trusted(provider: Provider) -> TrustedIssuer:
    return TrustedIssuer(provider.issuer, frozenset({"ES256"}), LiveKeys(provider.jwks))
