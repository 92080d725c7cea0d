"""Who acts for whom, read and written in both profiles."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import ClaimInvalid
from remit.principal import Actor, DelegationChain, Parties, Profile, read_profile
from remit.tokens.jwks import StaticKeys
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken
from support.issuer import AUDIENCE, ISSUER, NOW, FakeIssuer

IDP = FakeIssuer()
BOTH = frozenset(Profile)
#: Hops 2 and 3 of the release note on token delegation.
HOP_2: dict[str, Any] = {"sub": "api-gateway", "act": {"sub": "client-frontend"}, "dlg": "workload"}
HOP_3: dict[str, Any] = {
    "sub": "orders-service",
    "act": {"sub": "api-gateway", "act": {"sub": "client-frontend"}},
    "dlg": "workload",
}


def verified(profiles: frozenset[Profile] = BOTH, **claims: Any) -> VerifiedToken:
    verifier = TokenVerifier([TrustedIssuer(ISSUER, frozenset({"ES256"}), StaticKeys(IDP.jwks()))])
    expect = Expectation(frozenset({AUDIENCE}), profiles=profiles)
    return asyncio.run(verifier.verify(IDP.token(**claims), expect, now=NOW))


def actor(name: str, issuer: str = ISSUER) -> Actor:
    return Actor(name, issuer)


def test_in_rfc8693_the_subject_is_the_principal_and_the_outermost_act_the_current_actor() -> None:
    token = verified(sub="alice", act={"sub": "orders", "act": {"sub": "agent", "iss": "https://other.example"}})
    assert token.profile is Profile.RFC8693
    assert token.parties == Parties(
        actor("alice"), DelegationChain((actor("orders"), actor("agent", "https://other.example")))
    )


def test_in_workload_the_subject_is_the_current_actor_and_the_innermost_act_the_principal() -> None:
    token = verified(**HOP_3)
    assert token.profile is Profile.WORKLOAD
    assert token.parties == Parties(
        actor("client-frontend"), DelegationChain((actor("orders-service"), actor("api-gateway")))
    )
    assert token.parties.chain.current == actor("orders-service")
    assert token.parties.chain.origin == actor("api-gateway")


def test_a_token_in_which_nobody_acts_is_of_no_profile() -> None:
    token = verified(frozenset(), sub="client-frontend")
    assert token.profile is None
    assert token.parties == Parties(actor("client-frontend"))


def test_a_principal_of_another_issuer_is_told_apart_by_sub_iss() -> None:
    assert verified(sub="alice", sub_iss="https://corp.example").parties.principal == actor(
        "alice", "https://corp.example"
    )


@pytest.mark.parametrize("claims", [HOP_2, HOP_3], ids=["hop 2", "hop 3"])
def test_a_workload_token_is_refused_where_only_rfc8693_is_read(claims: dict[str, Any]) -> None:
    with pytest.raises(ClaimInvalid, match="workload"):
        verified(frozenset({Profile.RFC8693}), **claims)


def test_an_rfc8693_token_is_refused_where_only_workload_is_read() -> None:
    with pytest.raises(ClaimInvalid, match="rfc8693"):
        verified(frozenset({Profile.WORKLOAD}), act={"sub": "agent"})


def test_a_token_verified_before_is_still_refused_to_a_reader_of_the_other_profile() -> None:
    verifier = TokenVerifier([TrustedIssuer(ISSUER, frozenset({"ES256"}), StaticKeys(IDP.jwks()))])
    token = IDP.token(**HOP_2)
    asyncio.run(verifier.verify(token, Expectation(frozenset({AUDIENCE}), profiles=BOTH), now=NOW))
    with pytest.raises(ClaimInvalid):
        asyncio.run(verifier.verify(token, Expectation(frozenset({AUDIENCE})), now=NOW))


@pytest.mark.parametrize("dlg", ["other", "", None, True, 1, ["workload"], {}, "WORKLOAD"], ids=repr)
@pytest.mark.parametrize("act", [{}, {"act": {"sub": "agent"}}], ids=["direct", "delegated"])
def test_a_profile_that_is_not_known_is_refused_by_every_reader(dlg: Any, act: dict[str, Any]) -> None:
    with pytest.raises(ClaimInvalid):
        verified(dlg=dlg, **act)


def test_a_workload_token_that_names_nobody_it_acts_for_is_refused() -> None:
    with pytest.raises(ClaimInvalid):
        verified(dlg="workload")


def test_the_release_notes_hops_are_written_as_they_stand_there() -> None:
    two = Parties(actor("client-frontend"), DelegationChain((actor("api-gateway"),)))
    three = Parties(two.principal, two.chain.then(actor("orders-service")))
    assert two.to_claims(Profile.WORKLOAD, ISSUER) == HOP_2
    assert three.to_claims(Profile.WORKLOAD, ISSUER) == HOP_3
    assert three.to_claims(Profile.RFC8693, ISSUER) == {
        "sub": "client-frontend",
        "act": {"sub": "orders-service", "iss": ISSUER, "act": {"sub": "api-gateway", "iss": ISSUER}},
    }


names = st.builds(Actor, st.sampled_from("abcdefgh"), st.sampled_from([ISSUER, "https://other.example"]))
chains = st.lists(names, max_size=8).map(lambda actors: DelegationChain(tuple(actors)))


@given(names, chains, st.sampled_from(Profile))
def test_what_is_written_in_a_profile_is_read_back_as_it_was(
    principal: Actor, chain: DelegationChain, profile: Profile
) -> None:
    if chain.actors and profile is Profile.WORKLOAD:  # the current actor is the issuer's own client
        chain = DelegationChain((actor(chain.actors[0].sub), *chain.actors[1:]))
    claims = {"iss": ISSUER, **Parties(principal, chain).to_claims(profile, ISSUER)}
    read = read_profile(claims)
    assert read is (profile if chain else None)
    subject = Actor(claims["sub"], claims.get("sub_iss", ISSUER))
    act = DelegationChain.from_claims(claims).within(ISSUER)
    assert Parties.read(subject, act, read) == Parties(principal, chain)
