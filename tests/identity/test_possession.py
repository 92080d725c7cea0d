"""Tokens bound to a key: good only with a proof of that key, whatever the way they came."""

from __future__ import annotations

from typing import Any

import pytest

from remit.credential import ConfirmedToken, UnverifiedToken
from remit.errors import ClaimInvalid, ProofInvalid, TokenRevoked, TokenUnbound
from remit.identity.subject import SubjectIdentifier
from remit.tokens.jwks import StaticKeys
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken
from support.clock import FakeClock
from support.dpop import KeyHolder
from support.issuer import AUDIENCE, FakeIssuer

pytestmark = pytest.mark.anyio

IDP = FakeIssuer()
THUMBPRINT = KeyHolder().thumbprint
BOUND: dict[str, Any] = {"cnf": {"jkt": THUMBPRINT}}


def identifier(**options: Any) -> SubjectIdentifier:
    keys = StaticKeys(IDP.jwks("ES256"))
    verifier = TokenVerifier([TrustedIssuer(IDP.issuer, frozenset({"ES256"}), keys)])
    return SubjectIdentifier(verifier, Expectation(frozenset({AUDIENCE})), FakeClock(), **options)


async def test_a_bound_token_and_a_proof_of_its_key_prove_the_caller() -> None:
    spent: list[str] = []
    token = ConfirmedToken(IDP.mint(**BOUND), THUMBPRINT, lambda: spent.append("once"))
    assert (await identifier().identify(token)).principal.subject == "alice"
    assert spent == ["once"]


async def test_where_no_proof_can_be_sent_a_bound_token_is_refused() -> None:
    """As on standard input and in `remit call`."""
    with pytest.raises(TokenUnbound):
        await identifier().identify(IDP.token(**BOUND))


async def test_a_token_that_was_taken_with_its_proof_is_refused_without() -> None:
    text, who = IDP.mint(**BOUND), identifier()
    await who.identify(ConfirmedToken(text, THUMBPRINT))
    with pytest.raises(TokenUnbound):
        await who.identify(UnverifiedToken(text))


@pytest.mark.parametrize(
    "thumbprint", ["", "other", THUMBPRINT[:-1], "é"], ids=["none", "other", "shorter", "not-ascii"]
)
async def test_a_proof_of_another_key_does_not_help(thumbprint: str) -> None:
    with pytest.raises(TokenUnbound):
        await identifier().identify(ConfirmedToken(IDP.mint(**BOUND), thumbprint))


async def test_a_token_that_is_not_bound_is_not_taken_with_a_proof() -> None:
    with pytest.raises(TokenUnbound):
        await identifier().identify(ConfirmedToken(IDP.mint(), THUMBPRINT))


@pytest.mark.parametrize(
    "cnf", [None, {}, [], "jkt", {"x5t#S256": "AA"}, {"jkt": None}, {"jkt": THUMBPRINT, "kid": "1"}, {"jwk": {}}]
)
async def test_a_binding_that_is_not_understood_is_refused(cnf: Any) -> None:
    for token in (IDP.token(cnf=cnf), ConfirmedToken(IDP.mint(cnf=cnf), THUMBPRINT)):
        with pytest.raises(ClaimInvalid):
            await identifier().identify(token)


async def test_a_proof_that_came_before_proves_nobody() -> None:
    def spend() -> None:
        raise ProofInvalid("the DPoP proof is not accepted")

    with pytest.raises(ProofInvalid):
        await identifier().identify(ConfirmedToken(IDP.mint(**BOUND), THUMBPRINT, spend))


async def test_a_proof_is_not_used_up_by_a_token_that_is_revoked() -> None:
    def check_revoked(_token: VerifiedToken) -> None:
        raise TokenRevoked("the token was revoked")

    spent: list[str] = []
    token = ConfirmedToken(IDP.mint(**BOUND), THUMBPRINT, lambda: spent.append("once"))
    with pytest.raises(TokenRevoked):
        await identifier(check_revoked=check_revoked).identify(token)
    assert not spent
