"""An authorization server in this process: people, clients, what time it is, and its endpoints over HTTP.

::

    world = World(tmp_path)
    tokens = world.signed_in().json()                   # a code granted to APP by ALICE, and redeemed
    world.refresh(tokens["refresh_token"])              # an httpx.Response, as from every request
    world.clock.advance(60)
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote_plus, urlencode

import httpx
from starlette.applications import Starlette

from remit import oauth
from remit.audit.issuance import Issuance
from remit.authorization.authorization import AuthorizationRequest
from remit.authorization.authorizations import Authorizations, Lifetimes
from remit.authorization.client import SignInClient, Source
from remit.authorization.client_authentication import SignInClients
from remit.authorization.devices import Devices
from remit.authorization.endpoints import Offered, SignInEndpoints
from remit.authorization.file import AuthorizationsFile
from remit.authorization.person import Person, SignIn
from remit.authorization.revoking import Ending
from remit.authorization.token_endpoint import SignInGrants
from remit.credential import Credential
from remit.errors import InvalidClient
from remit.sts.endpoints import routes
from remit.sts.issued import IssuedTokens
from remit.sts.returning import Returning
from remit.sts.revocation import RevocationFile, RevocationList
from remit.tokens.dpop import DpopProofs
from remit.tokens.jwks import KeySource, StaticKeys
from support.clock import FakeClock
from support.issuer import claims_of, es256_key
from support.sts import World as TokenServiceWorld
from support.trail import MemoryStore

ISSUER: Final = "https://remit.example.com"
MCP: Final = "https://remit.example.com/mcp"
TOKEN_URL: Final = f"{ISSUER}/oauth2/token"
REDIRECT: Final = "https://app.example.com/callback"
VERIFIER: Final = "v" * 43
CHALLENGE: Final = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SECRET: Final = Credential("correct horse battery staple")
SCOPES: Final = ("orders:read", "orders:write")

ALICE: Final = Person("alice", name="Alice", groups=("sales",), roles=("lead",), scopes=(*SCOPES, "pay"))
BOB: Final = Person("bob", name="Bob", scopes=("orders:read",))
#: Known by another provider.
CAROL: Final = Person("carol", "https://idp.example", "Carol", scopes=SCOPES)

_GRANTS: Final = frozenset({oauth.GRANT_AUTHORIZATION_CODE, oauth.GRANT_REFRESH_TOKEN, oauth.GRANT_DEVICE_CODE})
APP: Final = SignInClient("app", "App", Source.SETTINGS, (REDIRECT,), grants=_GRANTS)
OTHER: Final = replace(APP, client_id="other", name="Other")
#: One that proves itself by a secret, and one that does by its key.
SERVER: Final = replace(APP, client_id="server", auth_method=oauth.CLIENT_SECRET_BASIC, secret_digest=SECRET.digest)
SIGNER: Final = replace(
    APP, client_id="signer", auth_method=oauth.PRIVATE_KEY_JWT, jwks={"keys": [es256_key("signer").jwk()]}
)
DOCUMENT: Final = replace(APP, client_id="https://tool.example.org/client.json", source=Source.METADATA_DOCUMENT)
DYNAMIC: Final = replace(APP, client_id="dynamic.helper.x1", source=Source.DYNAMIC)
T = TypeVar("T")


@dataclass
class People:
    """Who there is now."""

    people: dict[str, Person] = field(default_factory=lambda: {"alice": ALICE, "bob": BOB})

    def find(self, sub: str) -> Person | None:
        return self.people.get(sub)


@dataclass
class Clients:
    """A directory of the clients in ``clients``, by id."""

    clients: dict[str, SignInClient] = field(
        default_factory=lambda: {client.client_id: client for client in (APP, OTHER, SERVER, SIGNER, DOCUMENT, DYNAMIC)}
    )

    async def find(self, client_id: str) -> SignInClient | None:
        return self.clients.get(client_id)

    async def keys_of(self, client: SignInClient) -> KeySource:
        if client.jwks is None:
            raise InvalidClient("the client has no keys")
        return StaticKeys(client.jwks)


@dataclass
class World:
    """One process of an authorization server whose files are in ``directory``. ``told``: what the trail was told."""

    directory: Path
    clock: FakeClock = field(default_factory=FakeClock)
    people: People = field(default_factory=People)
    clients: Clients = field(default_factory=Clients)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    audiences: tuple[str, ...] = (MCP, "https://remit.example.com/other")
    told: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.token_service = TokenServiceWorld(self.clock, issuer=ISSUER)
        self.sts = self.token_service.sts
        self.revocations = RevocationList(RevocationFile(self.directory / "revocations.db"), self.clock)
        self.sts.revocations = self.revocations
        self.file = AuthorizationsFile(self.directory / "authorizations.db", self.clock)
        ending = Ending(self.revocations, self._record, self.clock, self.lifetimes.access)
        self.authorizations = Authorizations(self.sts, self.file, self.people, self.clock, self.lifetimes, ending)
        self.devices = Devices(self.authorizations)
        audiences = frozenset({ISSUER, TOKEN_URL})
        self.sign_in_clients = SignInClients(self.clients, audiences, self.file, self.clock)
        self.endpoints = self._endpoints()

    def _endpoints(self) -> SignInEndpoints:
        def open_record(client_id: str, auth_method: str) -> Issuance:
            return Issuance(self.store, self.clock, client_id, auth_method)

        grants = SignInGrants(self.sign_in_clients, self.authorizations, DpopProofs(), open_record=open_record)
        issued = IssuedTokens(ISSUER, self.sts.keys, self.clock)
        returning = Returning(issued, self.revocations, self._record)
        offered = Offered(self.audiences, SCOPES)
        return SignInEndpoints(self.sign_in_clients, self.authorizations, grants, returning, offered)

    async def _record(self, action: str, what: Mapping[str, str]) -> str:
        self.told.append((action, dict(what)))
        return "id"

    def another_process(self) -> World:
        """Another one with the same files, clock, people and clients."""
        return World(self.directory, self.clock, self.people, self.clients, self.lifetimes)

    def close(self) -> None:
        self.file.close()
        self.revocations.close()

    def app(self) -> Starlette:
        shared = routes(self.sts, self.clock, self.revocations, self._record, sign_in=self.endpoints)
        return Starlette(routes=[*shared, *self.endpoints.routes()])

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(doing)

    # ── requests ──

    async def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
            return await http.request(method, path, **request)

    async def send(
        self, form: Mapping[str, Any], headers: Mapping[str, str] | None = None, path: str = "/oauth2/token"
    ) -> httpx.Response:
        """A form; parameters that are ``None`` are left out."""
        body = urlencode({name: value for name, value in form.items() if value is not None}, doseq=True)
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return await self.ask("POST", path, content=body, headers=sent)

    def post(
        self, form: Mapping[str, Any], headers: Mapping[str, str] | None = None, path: str = "/oauth2/token"
    ) -> httpx.Response:
        return self.run(self.send(form, headers, path))

    # ── grants ──

    def sign_in(self, person: Person = ALICE) -> SignIn:
        return SignIn(person, int(self.clock.now()), ("pwd",))

    async def grant_code(
        self,
        client: SignInClient = APP,
        person: Person = ALICE,
        scopes: tuple[str, ...] = SCOPES,
        sign_in: SignIn | None = None,
        **changes: Any,
    ) -> str:
        """A code; ``changes`` to the authorization request. ``sign_in``: not one of this moment."""
        request = AuthorizationRequest(client.client_id, REDIRECT, MCP, scopes, CHALLENGE)
        signed_in = sign_in or self.sign_in(person)
        return await self.authorizations.grant_code(replace(request, **changes), client, signed_in, scopes)

    def code(self, *args: Any, **changes: Any) -> str:
        return self.run(self.grant_code(*args, **changes))

    def redeem(self, code: str, headers: Mapping[str, str] | None = None, **changes: Any) -> httpx.Response:
        return self.post(code_form(code, **changes), headers)

    def signed_in(self, client: SignInClient = APP, person: Person = ALICE, **changes: Any) -> httpx.Response:
        """The answer with the first tokens. ``changes`` to the code's request."""
        return self.redeem(self.code(client, person, **changes), client_id=client.client_id)

    def refresh(self, token: str, headers: Mapping[str, str] | None = None, **changes: Any) -> httpx.Response:
        return self.post(refresh_form(token, **changes), headers)

    def is_good(self, access_token: str) -> bool:
        """Whether the token has neither expired nor been revoked."""
        token = self.run(IssuedTokens(ISSUER, self.sts.keys, self.clock).read({"token": [access_token]}))
        return token is not None and not self.another_list().is_revoked(token)

    def another_list(self) -> RevocationList:
        """The deny-list as another process has it."""
        return RevocationList(RevocationFile(self.directory / "revocations.db"), self.clock)


def code_form(code: str, **changes: Any) -> dict[str, Any]:
    """A sound request of APP for the tokens of a code."""
    sound = {
        "grant_type": oauth.GRANT_AUTHORIZATION_CODE,
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        "client_id": "app",
    }
    return {**sound, **changes}


def refresh_form(token: str, **changes: Any) -> dict[str, Any]:
    """A sound request of APP to refresh."""
    return {"grant_type": oauth.GRANT_REFRESH_TOKEN, "refresh_token": token, "client_id": "app", **changes}


def claims(response: httpx.Response) -> dict[str, Any]:
    """The claims of the access token in an answer."""
    assert response.status_code == 200, response.text
    return claims_of(response.json()["access_token"])


def basic(client: SignInClient, secret: str = SECRET.reveal()) -> dict[str, str]:
    """The header of a client that proves itself by its secret."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def error_of(response: httpx.Response) -> str:
    """The error code of a refusal."""
    assert response.status_code >= 400, response.text
    code: str = response.json()["error"]
    return code
