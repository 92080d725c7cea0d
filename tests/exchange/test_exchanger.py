"""The whole exchange: against the embedded token service in process, and against the same one over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from remit.credential import Credential
from remit.errors import DelegationMismatch, ExchangeInvalid, ExchangeRefused, ExchangeUnavailable
from remit.exchange.actor_token import ActorTokens
from remit.exchange.client_auth import ClientSecretBasic
from remit.exchange.exchanger import DelegatedToken, Exchanger
from remit.exchange.messages import IssuedToken, Target, TokenRequest, Wanted
from remit.exchange.service import RemoteTokenService, TokenEndpoint, TokenService
from remit.principal import ActingParty, Actor, Assurance, Caller, DelegationChain, Principal
from remit.sts.clients import Client
from remit.tokens.jwks import JwksClient, StaticKeys
from remit.tokens.verifier import TokenVerifier, TrustedIssuer
from remit.web import http_client
from support.issuer import claims_of
from support.servers import Listener, serving
from support.sts import AGENT, ISSUER, ORDERS, PAYMENTS, SECRET, World

ORDERS_READ = Wanted(Target("orders"), ("orders:read",), 120)
SELF_ASSERTED = ActingParty(Actor("whoever"), Assurance.SELF_ASSERTED, "workload")

Services = Callable[[World], AbstractAsyncContextManager[Callable[[Client], TokenService]]]


@asynccontextmanager
async def embedded(world: World) -> AsyncIterator[Callable[[Client], TokenService]]:
    yield world.embedded


@asynccontextmanager
async def remote(world: World) -> AsyncIterator[Callable[[Client], TokenService]]:
    """Real HTTP over a real socket, the endpoint found in the metadata."""
    listener = Listener()
    world.issuer = listener.url
    world.__post_init__()

    def service(client: Client) -> TokenService:
        proof = ClientSecretBasic(client.client_id, SECRET)
        return RemoteTokenService(TokenEndpoint(world.issuer), proof, http, world.clock)

    async with serving(world.app(), listener), http_client() as http:
        yield service


both = pytest.mark.parametrize("services", [embedded, remote], ids=["embedded", "remote"])


def caller_of(world: World, token: str) -> Caller:
    claims = claims_of(token)
    principal = Principal(
        subject=claims["sub"],
        issuer=world.issuer,
        scopes=tuple(claims["scope"].split()),
        chain=DelegationChain.from_claims(claims),
        expires_at=claims["exp"],
    )
    return Caller(principal, Credential(token))


def exchanger(world: World, service: TokenService) -> Exchanger:
    keys = StaticKeys(world.keys.jwks())
    verifier = TokenVerifier([TrustedIssuer(world.issuer, frozenset({"ES256"}), keys)])
    return Exchanger(service, verifier, world.clock)


@both
def test_a_delegated_token_names_the_user_and_the_runner(services: Services) -> None:
    world = World()

    async def main() -> DelegatedToken:
        async with services(world) as service:
            runner = service(AGENT)
            actor_token = await ActorTokens(runner, Target(), world.clock)()
            actor = Actor("agent-runner", world.issuer)
            acting = ActingParty(actor, Assurance.AUTHENTICATED, "actor_token", actor_token)
            caller = caller_of(world, world.user_token())
            return await exchanger(world, runner).delegated_token(caller, acting, ORDERS_READ)

    token = asyncio.run(main())
    assert (token.claims["sub"], token.claims["aud"], token.scopes) == ("alice", "orders", ("orders:read",))
    assert token.chain == DelegationChain((Actor("agent-runner", world.issuer),))
    assert (token.expires_at, token.kind) == (world.now + 120, "delegated")
    assert token.jti == token.claims["jti"]
    assert token.credential.reveal() not in repr(token)
    assert "alice" not in repr(token)


@both
def test_three_hops_keep_every_link(services: Services) -> None:
    world = World()

    async def main() -> DelegatedToken:
        async with services(world) as service:
            text = world.user_token()
            for client, target, scope in (
                (AGENT, "orders", "log"),
                (ORDERS, "payments", "log"),
                (PAYMENTS, "ledger", "log"),
            ):
                wanted = Wanted(Target(target), (scope,), 60)
                caller = caller_of(world, text)
                token = await exchanger(world, service(client)).delegated_token(caller, SELF_ASSERTED, wanted)
                text = token.credential.reveal()
            return token

    token = asyncio.run(main())
    assert [actor.sub for actor in token.chain.actors] == ["payments-api", "orders-api", "agent-runner"]
    assert token.claims["sub"] == "alice"


@both
@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (Wanted(Target("unknown"), ("orders:read",), 60), "invalid_target"),
        (Wanted(Target("orders"), ("orders:admin",), 60), "invalid_scope"),
    ],
    ids=["target", "scope"],
)
def test_a_refusal_carries_the_services_code(services: Services, wanted: Wanted, error: str) -> None:
    world = World()

    async def main() -> None:
        async with services(world) as service:
            caller = caller_of(world, world.user_token())
            await exchanger(world, service(AGENT)).delegated_token(caller, SELF_ASSERTED, wanted)

    with pytest.raises(ExchangeRefused) as caught:
        asyncio.run(main())
    assert caught.value.error == error


@both
def test_somebody_elses_token_is_refused_as_an_invalid_request(services: Services) -> None:
    world = World()

    async def main() -> None:
        async with services(world) as service:
            caller = caller_of(world, world.user_token(audience="https://somebody.example"))
            await exchanger(world, service(AGENT)).delegated_token(caller, SELF_ASSERTED, ORDERS_READ)

    with pytest.raises(ExchangeRefused) as caught:
        asyncio.run(main())
    assert caught.value.error == "invalid_request"
    assert "audience_mismatch" in caught.value.detail


class Lying:
    """A token service that changes the claims of what it issues."""

    client_id = "agent-runner"

    def __init__(self, world: World, **changes: Any) -> None:
        self._world = world
        self._changes = changes

    async def issue(self, request: TokenRequest) -> IssuedToken:
        del request
        sound = {
            "aud": "orders",
            "scope": "orders:read",
            "exp": self._world.now + 120,
            "act": {"sub": "agent-runner", "iss": ISSUER},
        }
        token = self._world.forge(**{**sound, **self._changes})
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return IssuedToken(Credential(token), kind, "Bearer", 120, None)


def exchange_with(world: World, service: TokenService) -> DelegatedToken:
    caller = caller_of(world, world.user_token())
    return asyncio.run(exchanger(world, service).delegated_token(caller, SELF_ASSERTED, ORDERS_READ))


def test_a_service_that_tells_the_truth_is_believed() -> None:
    world = World()
    assert exchange_with(world, Lying(world)).scopes == ("orders:read",)


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"act": None}, "act"),
        ({"act": {"sub": "somebody"}}, "act"),
        ({"sub": "bob"}, "sub"),
        ({"aud": "payments"}, "aud"),
        ({"aud": ["orders", "payments"]}, "aud"),
        ({"scope": "orders:read orders:admin"}, "scope"),
        ({"exp": 1_800_000_121}, "exp"),
        ({"client_id": "other"}, "client_id"),
    ],
    ids=str,
)
def test_a_service_that_issues_another_token_than_was_asked_for_is_not_used(
    changes: dict[str, Any], claim: str
) -> None:
    world = World()
    with pytest.raises(DelegationMismatch) as caught:
        exchange_with(world, Lying(world, **changes))
    assert caught.value.claim == claim


@pytest.mark.parametrize(
    "changes", [{"iss": "https://other.example"}, {"exp": 1_700_000_000}, {"jti": None}, {"act": "desk"}], ids=str
)
def test_a_token_that_cannot_be_verified_is_the_services_fault(changes: dict[str, Any]) -> None:
    world = World()
    with pytest.raises(ExchangeInvalid):
        exchange_with(world, Lying(world, **changes))


def test_an_opaque_token_is_not_passed_on() -> None:
    world = World()

    class Opaque(Lying):
        async def issue(self, request: TokenRequest) -> IssuedToken:
            return IssuedToken(Credential("opaque"), "", "Bearer", 60, None)

    with pytest.raises(ExchangeInvalid):
        exchange_with(world, Opaque(world))


def test_keys_that_cannot_be_had_are_a_passing_trouble_of_the_service() -> None:
    world = World()

    async def main() -> None:
        async with http_client() as http:
            keys = JwksClient("http://127.0.0.1:1/jwks", client=http)
            verifier = TokenVerifier([TrustedIssuer(ISSUER, frozenset({"ES256"}), keys)])
            caller = caller_of(world, world.user_token())
            await Exchanger(Lying(world), verifier, world.clock).delegated_token(caller, SELF_ASSERTED, ORDERS_READ)

    with pytest.raises(ExchangeUnavailable):
        asyncio.run(main())


def test_the_request_can_be_shown_before_it_is_made() -> None:
    world = World()
    caller = caller_of(world, world.user_token())
    request = exchanger(world, world.embedded()).request(caller, SELF_ASSERTED, ORDERS_READ)
    shown = request.describe()
    assert (shown["audience"], shown["scope"], shown["requested_expires_in"]) == ("orders", "orders:read", "120")
    assert caller.subject_token.reveal() not in str(shown)
