"""A token of this installation's own, without a user: only for APIs that the settings name, and checked like any."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from remit.credential import Credential
from remit.errors import DelegationMismatch, ExchangeError, ExchangeInvalid, ExchangeRefused
from remit.exchange.exchanger import DelegatedToken, Exchanger
from remit.exchange.messages import ClientCredentialsRequest, IssuedToken, Target, TokenRequest, Wanted
from remit.exchange.service import TokenService
from remit.sts.minting import sign
from remit.tokens.jwks import LiveKeys
from remit.tokens.verifier import TokenVerifier, TrustedIssuer
from support.sts import ISSUER, World

REPORTS = Wanted(Target("reports"), ("reports:read",), 60)


@dataclass
class Issuing:
    """A token service that answers with a token of these claims."""

    world: World
    claims: dict[str, Any]
    asked: list[TokenRequest] = field(default_factory=list)
    client_id: str = "agent-runner"

    async def issue(self, request: TokenRequest) -> IssuedToken:
        self.asked.append(request)
        now = self.world.now
        sound = {
            "iss": ISSUER,
            "sub": "service-account-7",
            "aud": "reports",
            "client_id": "agent-runner",
            "scope": "reports:read",
            "iat": now,
            "exp": now + 60,
            "jti": "j1",
        }
        token = sign({**sound, **self.claims}, self.world.keys.signing_key)
        return IssuedToken(Credential(token.reveal()), "", "Bearer", None, None)


def own_token(
    world: World, service: TokenService, wanted: Wanted = REPORTS, targets: frozenset[str] = frozenset({"reports"})
) -> DelegatedToken:
    verifier = TokenVerifier([TrustedIssuer(ISSUER, frozenset({"ES256"}), LiveKeys(world.keys.jwks))])
    exchanger = Exchanger(service, verifier, world.clock, own_targets=targets)
    return asyncio.run(exchanger.own_token(wanted))


def test_it_names_this_installation_and_no_user_and_is_as_short_as_was_asked() -> None:
    world = World()
    token = own_token(world, world.embedded())
    assert token.claims["sub"] == token.claims["client_id"] == "agent-runner"
    assert "act" not in token.claims
    assert (token.claims["aud"], token.scopes, token.kind) == ("reports", ("reports:read",), "direct")
    assert token.expires_at == world.now + 60
    assert not token.chain
    assert token.credential.reveal() not in repr(token)


def test_every_call_has_one_of_its_own() -> None:
    world = World()
    service = world.embedded()
    assert own_token(world, service).jti != own_token(world, service).jti


@pytest.mark.parametrize("targets", [frozenset[str](), frozenset({"orders"})], ids=["none", "another"])
def test_without_the_settings_leave_nothing_is_asked_for(targets: frozenset[str]) -> None:
    world = World()
    service = Issuing(world, {})
    with pytest.raises(ExchangeRefused, match="does not name the user") as caught:
        own_token(world, service, targets=targets)
    assert service.asked == []
    assert "exchange.own_token_targets" in caught.value.hint


def test_both_names_of_an_api_have_to_be_named() -> None:
    world = World()
    wanted = Wanted(Target("reports", "https://reports.example"), ("reports:read",), 60)
    with pytest.raises(ExchangeRefused):
        own_token(world, Issuing(world, {}), wanted)


def test_the_token_service_has_to_allow_it_too() -> None:
    world = World()
    with pytest.raises(ExchangeError):
        own_token(world, world.embedded(), Wanted(Target("orders"), ("orders:read",), 60), frozenset({"orders"}))


def test_it_may_be_called_what_the_service_calls_the_client() -> None:
    world = World()
    service = Issuing(world, {})
    assert own_token(world, service).claims["sub"] == "service-account-7"
    assert service.asked == [ClientCredentialsRequest(Target("reports"), ("reports:read",), 60)]


@pytest.mark.parametrize(
    ("claims", "claim"),
    [
        ({"aud": "payments"}, "aud"),
        ({"aud": ["reports", "payments"]}, "aud"),
        ({"scope": "reports:read reports:write"}, "scope"),
        ({"client_id": "somebody-else"}, "client_id"),
        ({"act": {"sub": "agent-runner"}}, "act"),
        ({"exp": 1_800_003_600}, "exp"),
    ],
)
def test_one_that_is_not_what_was_asked_for_is_refused(claims: dict[str, Any], claim: str) -> None:
    world = World()
    if claim == "exp":
        claims = {"exp": world.now + 3600}
    with pytest.raises(DelegationMismatch) as caught:
        own_token(world, Issuing(world, claims))
    assert caught.value.claim == claim


def test_one_of_another_issuer_is_refused() -> None:
    world = World()
    with pytest.raises(ExchangeInvalid):
        own_token(world, Issuing(world, {"iss": "https://elsewhere.example"}))
