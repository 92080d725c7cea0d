"""Who calls and who acts for them: tokens in, ``Caller`` and ``ActingParty`` out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.credential import Credential
from remit.errors import ActorRevoked, AudienceMismatch, IssuerUntrusted, SignatureInvalid, TokenInvalid, TokenMissing
from remit.identity.actor import ActorResolver, OwnToken
from remit.identity.subject import ClaimNames, SubjectIdentifier
from remit.principal import Actor, Assurance, DelegationChain, Principal
from remit.tokens.jwks import StaticKeys
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer
from support.clock import FakeClock
from support.issuer import ABSENT, AUDIENCE, ISSUER, FakeIssuer

pytestmark = pytest.mark.anyio

IDP = FakeIssuer()
OTHER = FakeIssuer("https://other.example", name="other")
STS = FakeIssuer("https://sts.example", audience="https://sts.example", name="sts")


def trusting(*issuers: FakeIssuer) -> TokenVerifier:
    return TokenVerifier(
        [TrustedIssuer(each.issuer, frozenset({"ES256"}), StaticKeys(each.jwks("ES256"))) for each in issuers]
    )


def identifier(names: Mapping[str, ClaimNames] | None = None, **options: Any) -> SubjectIdentifier:
    expect = Expectation(frozenset({AUDIENCE}))
    return SubjectIdentifier(trusting(IDP, OTHER), expect, FakeClock(), names, **options)


async def principal(
    issuer: FakeIssuer = IDP, names: Mapping[str, ClaimNames] | None = None, **claims: Any
) -> Principal:
    return (await identifier(names).identify(issuer.token(**claims))).principal


# ── the subject ──────────────────────────────────────────────────────────────────────────


async def test_a_user_of_another_issuer_is_not_taken_for_the_token_services_own() -> None:
    exchanged = IDP.token(sub_iss="https://corp.example", act={"sub": "agent-runner", "iss": ISSUER})
    who = (await identifier(token_service=ISSUER).identify(exchanged)).principal
    assert (who.subject, who.issuer) == ("alice", "https://corp.example")
    own = (await identifier(token_service=ISSUER).identify(IDP.token())).principal
    assert own.issuer == ISSUER


async def test_nobody_else_is_believed_about_other_issuers_users() -> None:
    claimed = OTHER.token(sub_iss=ISSUER, act={"sub": "agent-runner", "iss": OTHER.issuer})
    assert (await identifier(token_service=ISSUER).identify(claimed)).principal.issuer == OTHER.issuer


async def test_a_caller_is_who_the_token_proves() -> None:
    token = IDP.token(
        name="Alice", groups=["support"], roles=["lead"], acr="mfa", amr=["pwd", "otp"], auth_time=1, txn="t", jti="j"
    )
    caller = await identifier().identify(token)
    assert caller.subject_token == token
    who = caller.principal
    assert (who.subject, who.issuer, who.client_id) == ("alice", ISSUER, "agent-runner")
    assert (who.name, who.groups, who.roles) == ("Alice", ("support",), ("lead",))
    assert (who.acr, who.amr, who.auth_time, who.txn, who.jti) == ("mfa", ("pwd", "otp"), 1, "t", "j")
    assert who.scopes == ("orders:read", "orders:write")
    assert who.chain == DelegationChain()
    assert token.reveal() not in repr(caller) + repr(who)


async def test_nobody_is_nobody() -> None:
    with pytest.raises(TokenMissing):
        await identifier().identify(None)


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (FakeIssuer("https://evil.example", name="evil").token(), IssuerUntrusted),
        (FakeIssuer(ISSUER, name="evil").token(), SignatureInvalid),
        (OTHER.token(iss=ISSUER), SignatureInvalid),
        (IDP.token(aud="https://orders.example"), AudienceMismatch),
    ],
)
async def test_only_a_trusted_issuers_token_for_here_proves_anything(token: Any, error: type[TokenInvalid]) -> None:
    with pytest.raises(error):
        await identifier().identify(token)


async def test_each_issuer_has_its_own_names_for_what_policy_wants_to_know() -> None:
    names = {
        OTHER.issuer: ClaimNames(name="preferred_username", groups="memberOf", roles="https://other.example/roles")
    }
    claims = {
        "preferred_username": "Al",
        "memberOf": ["ops"],
        "https://other.example/roles": "lead",
        "name": "Alice",
        "groups": ["support"],
        "roles": ["boss"],
    }
    mapped = await principal(OTHER, names, **claims)
    assert (mapped.name, mapped.groups, mapped.roles) == ("Al", ("ops",), ("lead",))
    usual = await principal(IDP, names, **claims)
    assert (usual.name, usual.groups, usual.roles) == ("Alice", ("support",), ("boss",))


@pytest.mark.parametrize("groups", [["a", 1], [["a"]], {"a": True}, 7, ["a"] * 257, ["x" * 257], ["a", ""], [None]])
async def test_groups_that_are_not_short_texts_count_as_none(groups: Any) -> None:
    """A part of the list could hide the group that a rule denies."""
    assert (await principal(groups=groups)).groups == ()


@pytest.mark.parametrize("name", [7, ["a"], "x" * 257, "a\x1b[31mb", "a\u202eb"])
async def test_a_name_that_is_not_short_and_printable_counts_as_none(name: Any) -> None:
    assert (await principal(name=name)).name == ""


@pytest.mark.parametrize("time", ["1", -1, 1.5, True])
async def test_a_time_that_is_none_counts_as_not_said(time: Any) -> None:
    assert (await principal(auth_time=time)).auth_time == 0


async def test_a_token_that_counts_no_more_is_refused_after_it_was_verified() -> None:
    def refuse(_token: object) -> None:
        raise TokenInvalid("the token was revoked")

    with pytest.raises(TokenInvalid, match="revoked"):
        await identifier(check_revoked=refuse).identify(IDP.token())
    with pytest.raises(SignatureInvalid):
        await identifier(check_revoked=refuse).identify(FakeIssuer(ISSUER, name="evil").token())


TEXT = st.text("ab é\x00\x1b\u202e", max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "groups", "roles", "acr", "amr", "auth_time"), JSON)))
def test_whatever_an_issuer_says_of_a_user_is_text_or_nothing(claims: dict[str, Any]) -> None:
    who = asyncio.run(principal(**claims))
    texts = [who.name, who.acr, *who.groups, *who.roles, *who.amr]
    assert all(text.isprintable() for text in texts)
    assert isinstance(who.auth_time, int)


# ── the actor ────────────────────────────────────────────────────────────────────────────


def own_token(token: str, verifier: TokenVerifier | None = None, renewed: str = "") -> OwnToken:
    async def source() -> Credential:
        return Credential(token)

    async def renew() -> Credential:
        return Credential(renewed)

    expect = Expectation(frozenset({STS.issuer}))
    return OwnToken(source, verifier or trusting(STS), expect, FakeClock(), renew if renewed else None)


ATTESTED = Principal(
    "alice", ISSUER, client_id="portal", chain=DelegationChain((Actor("runner-2", ISSUER), Actor("runner-1", ISSUER)))
)
REGISTERED = Principal("alice", ISSUER, client_id="portal")
BARE = Principal("alice", ISSUER)


async def test_the_runners_own_token_comes_before_all_other_evidence() -> None:
    token = STS.mint(sub="agent-runner")
    acting = await ActorResolver("workload", own_token(token)).resolve(ATTESTED)
    assert acting.actor == Actor("agent-runner", STS.issuer)
    assert (acting.assurance, acting.evidence) == (Assurance.AUTHENTICATED, "actor_token")
    assert acting.token == Credential(token)


@pytest.mark.parametrize(
    ("who", "actor", "assurance", "evidence"),
    [
        (ATTESTED, Actor("runner-2", ISSUER), Assurance.ATTESTED, "act"),
        (REGISTERED, Actor("portal", ISSUER), Assurance.REGISTERED, "client_id"),
        (BARE, Actor("workload"), Assurance.SELF_ASSERTED, "workload"),
    ],
)
async def test_without_it_the_strongest_evidence_there_is_counts(
    who: Principal, actor: Actor, assurance: Assurance, evidence: str
) -> None:
    acting = await ActorResolver("workload").resolve(who)
    assert (acting.actor, acting.assurance, acting.evidence) == (actor, assurance, evidence)
    assert acting.token is None


@pytest.mark.parametrize(
    "token",
    [
        STS.mint(aud="https://orders.example"),
        STS.mint(exp=1),
        FakeIssuer(STS.issuer, STS.issuer, name="evil").mint(),
        STS.mint(sub=ABSENT),
        IDP.mint(aud=STS.issuer),
    ],
)
async def test_the_runners_own_token_is_verified_like_any_other(token: str) -> None:
    """And weaker evidence does not take its place."""
    with pytest.raises(TokenInvalid):
        await ActorResolver("workload", own_token(token)).resolve(ATTESTED)


async def test_a_remembered_token_that_is_no_longer_good_is_renewed_once() -> None:
    fresh = STS.mint(sub="agent-runner")
    acting = await ActorResolver("workload", own_token(STS.mint(exp=1), renewed=fresh)).resolve(BARE)
    assert acting.token == Credential(fresh)
    with pytest.raises(TokenInvalid):
        await ActorResolver("workload", own_token(STS.mint(exp=1), renewed=STS.mint(exp=2))).resolve(BARE)


@pytest.mark.parametrize("name", ["workload", "runner-2"])
async def test_an_actor_that_was_switched_off_acts_for_nobody(name: str) -> None:
    with pytest.raises(ActorRevoked):
        await ActorResolver("workload", is_revoked=name.__eq__).resolve(ATTESTED)
    acting = await ActorResolver("workload", is_revoked="somebody".__eq__).resolve(ATTESTED)
    assert acting.actor.sub == "runner-2"
