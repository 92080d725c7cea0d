"""What an operator declares is forgiven, and nothing besides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from remit.credential import Credential
from remit.errors import DelegationMismatch, ExchangeInvalid
from remit.exchange.declared import Declared
from remit.exchange.exchanger import DelegatedToken, Exchanger
from remit.exchange.messages import IssuedToken, Target, TokenRequest, Wanted
from remit.oauth import TOKEN_TYPE_ACCESS_TOKEN
from remit.principal import ActingParty, Actor, Assurance, Caller, DelegationChain, Principal
from remit.tokens.jwks import StaticKeys
from remit.tokens.verifier import TokenVerifier, TrustedIssuer
from support.clock import FakeClock
from support.issuer import ABSENT, ISSUER, NOW, FakeIssuer

RUNNER = {"sub": "agent-runner", "iss": ISSUER}
NO_ACT = Declared(act_required=False)
NO_AUD = Declared(aud_required=False)
CID = Declared(client_claim="cid")
OUTLIVES = Declared(within_subject=False)


class Issuing:
    """A token service that answers with this token."""

    client_id = "agent-runner"

    def __init__(self, token: str) -> None:
        self._token = token

    async def issue(self, request: TokenRequest) -> IssuedToken:
        return IssuedToken(Credential(self._token), TOKEN_TYPE_ACCESS_TOKEN, "Bearer", 60, None)


def exchanged(declared: Declared, *, chain: tuple[Actor, ...] = (), **changes: Any) -> DelegatedToken:
    """What comes of an exchange at a service that changes the sound token like that."""
    idp = FakeIssuer()
    sound = {"aud": "orders", "scope": "orders:read", "exp": NOW + 60, "act": RUNNER}
    token = idp.mint(**{**sound, **changes})
    verifier = TokenVerifier([TrustedIssuer(ISSUER, frozenset({"ES256"}), StaticKeys(idp.jwks()))])
    principal = Principal("alice", ISSUER, scopes=("orders:read",), chain=DelegationChain(chain), expires_at=NOW + 100)
    return asyncio.run(
        Exchanger(Issuing(token), verifier, FakeClock(NOW), declared=declared).delegated_token(
            Caller(principal, Credential("subject")),
            ActingParty(Actor("agent-runner"), Assurance.REGISTERED, "client_id"),
            Wanted(Target("orders"), ("orders:read",), 300),
        )
    )


@pytest.mark.parametrize(
    ("changes", "declared"),
    [
        ({"act": ABSENT}, NO_ACT),
        ({"aud": ABSENT}, NO_AUD),
        ({"client_id": ABSENT, "cid": "agent-runner"}, CID),
        ({"exp": NOW + 200}, OUTLIVES),
    ],
)
def test_a_difference_is_accepted_only_where_it_is_declared(changes: dict[str, Any], declared: Declared) -> None:
    assert exchanged(declared, **changes).claims["sub"] == "alice"
    for other in {NO_ACT, NO_AUD, CID, OUTLIVES, Declared()} - {declared}:
        with pytest.raises((DelegationMismatch, ExchangeInvalid)):
            exchanged(other, **changes)


def test_a_token_that_names_no_actor_is_impersonation() -> None:
    assert exchanged(NO_ACT, act=ABSENT).kind == "impersonated"
    assert exchanged(NO_ACT).kind == "delegated"


@pytest.mark.parametrize("act", [{"sub": "somebody"}, {"sub": "agent-runner", "act": {"sub": "somebody"}}])
def test_an_actor_that_is_named_must_be_the_right_one_all_the_same(act: dict[str, Any]) -> None:
    with pytest.raises(DelegationMismatch) as caught:
        exchanged(NO_ACT, act=act)
    assert caught.value.claim == "act"


def test_the_chain_that_came_in_copied_out_does_not_pass_for_no_actor() -> None:
    earlier = Actor("desk", ISSUER)
    with pytest.raises(DelegationMismatch):
        exchanged(NO_ACT, chain=(earlier,), act={"sub": "desk", "iss": ISSUER})


@pytest.mark.parametrize("aud", ["payments", ["orders", "payments"]])
def test_an_audience_that_is_named_must_be_the_target_all_the_same(aud: Any) -> None:
    with pytest.raises(DelegationMismatch) as caught:
        exchanged(NO_AUD, aud=aud)
    assert caught.value.claim == "aud"


@pytest.mark.parametrize("aud", ["", [], [""], None])
def test_an_empty_audience_is_not_an_absent_one(aud: Any) -> None:
    with pytest.raises((DelegationMismatch, ExchangeInvalid)):
        exchanged(NO_AUD, aud=aud)


@pytest.mark.parametrize("cid", ["somebody", "", 1, None, ["agent-runner"]])
def test_the_declared_claim_must_name_this_client(cid: Any) -> None:
    with pytest.raises((DelegationMismatch, ExchangeInvalid)):
        exchanged(CID, cid=cid)


def test_a_token_that_may_outlive_the_users_is_still_as_short_as_was_asked() -> None:
    with pytest.raises(DelegationMismatch) as caught:
        exchanged(OUTLIVES, exp=NOW + 301)
    assert caught.value.claim == "exp"
