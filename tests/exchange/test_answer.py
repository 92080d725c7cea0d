from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from remit import oauth
from remit.credential import Credential
from remit.errors import DelegationMismatch
from remit.exchange.answer import Asked, check_answer
from remit.exchange.messages import IssuedToken, Target, Wanted
from remit.principal import Actor, DelegationChain, Principal
from remit.tokens.verifier import VerifiedToken
from support.issuer import NOW

STS = "https://sts.example"
AT = oauth.TOKEN_TYPE_ACCESS_TOKEN
SUBJECT_TOKEN = Credential("subject")
AGENT = Actor("agent-runner", STS)
DESK = Actor("desk", STS)


def asked(
    *, chain: tuple[Actor, ...] = (), scopes: tuple[str, ...] = ("orders:read", "pay"), target: Target | None = None
) -> Asked:
    principal = Principal(
        "alice", STS, scopes=("orders:read", "pay", "log"), chain=DelegationChain(chain), expires_at=NOW + 3600
    )
    wanted = Wanted(target or Target("orders", "https://orders.example"), scopes, 300)
    return Asked(principal, SUBJECT_TOKEN, AGENT, "agent-runner", wanted, principal.chain.within(STS))


def truthful(request: Asked) -> dict[str, Any]:
    """The claims of the token that was asked for."""
    chain = request.before.then(request.actor)
    return {
        "iss": STS,
        "sub": request.principal.subject,
        "aud": min(request.wanted.target.names, key=len),
        "client_id": request.client_id,
        "scope": " ".join(request.wanted.scopes or request.principal.scopes),
        "iat": NOW,
        "exp": NOW + request.wanted.max_lifetime,
        "jti": "j",
        "act": chain.to_act(),
    }


def check(request: Asked, claims: Mapping[str, Any], **issued: Any) -> None:
    answer = IssuedToken(
        **{
            "access_token": Credential("issued"),
            "issued_token_type": AT,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": None,
            **issued,
        }
    )
    present = {name: value for name, value in claims.items() if value is not None}
    check_answer(request, answer, VerifiedToken(Credential("issued"), {}, present), now=NOW)


def mismatch(request: Asked, claims: Mapping[str, Any], **issued: Any) -> DelegationMismatch:
    with pytest.raises(DelegationMismatch) as caught:
        check(request, claims, **issued)
    return caught.value


@pytest.mark.parametrize("chain", [(), (DESK,), (DESK, Actor("x", STS))])
def test_the_token_that_was_asked_for_is_accepted(chain: tuple[Actor, ...]) -> None:
    request = asked(chain=chain)
    check(request, truthful(request), scope="orders:read")
    check(request, truthful(request), issued_token_type="")


@pytest.mark.parametrize(
    ("claim", "changes", "expected", "got"),
    [
        ("sub", {"sub": "bob"}, "alice", "bob"),
        ("sub", {"sub": None}, "alice", ""),
        ("aud", {"aud": "payments"}, "https://orders.example or orders", "payments"),
        ("aud", {"aud": ["orders", "payments"]}, "https://orders.example or orders", "orders, payments"),
        ("aud", {"aud": None}, "https://orders.example or orders", "none"),
        ("scope", {"scope": "orders:read pay log"}, "at most orders:read pay", "orders:read pay log"),
        ("scope", {"scope": None, "scp": ["root"]}, "at most orders:read pay", "root"),
        ("client_id", {"client_id": "other"}, "agent-runner", "other"),
        ("client_id", {"client_id": None}, "agent-runner", ""),
        ("act", {"act": None}, "agent-runner (https://sts.example)", "none: the token service did not express"),
        ("act", {"act": {"sub": "other"}}, "agent-runner (https://sts.example)", "other (https://sts.example)"),
        ("act", {"act": {"sub": "agent-runner", "iss": "https://x"}}, "agent-runner (https://sts", "(https://x)"),
        ("exp", {"exp": NOW + 301}, "at most 300 seconds after iat", "301 seconds"),
        ("exp", {"iat": NOW + 31, "exp": NOW + 331}, "at most 300 seconds from now", "331 seconds"),
        ("exp", {"iat": None}, "at most 300 seconds after iat", ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_difference_is_refused_and_says_what_was_expected_and_what_came(
    claim: str, changes: dict[str, Any], expected: str, got: str
) -> None:
    request = asked()
    error = mismatch(request, {**truthful(request), **changes})
    assert error.claim == claim
    assert f'"{claim}"' in error.message
    shown_expected, _, shown_got = error.detail.removeprefix(f"{claim}: expected ").partition(", got ")
    assert expected in shown_expected
    assert got in shown_got


def test_a_token_that_outlives_the_subject_token_is_refused() -> None:
    request = asked()
    short = Asked(Principal("alice", STS, expires_at=NOW + 100), SUBJECT_TOKEN, AGENT, "agent-runner", request.wanted)
    claims = {**truthful(request), "exp": NOW + 101}
    assert mismatch(short, {**claims, "scope": None}).claim == "exp"
    check(short, {**claims, "scope": None, "exp": NOW + 100})


def test_a_scope_that_is_only_announced_counts_too() -> None:
    request = asked()
    assert mismatch(request, truthful(request), scope="orders:read admin").claim == "scope"


def test_without_a_named_scope_the_subjects_are_the_bound() -> None:
    request = asked(scopes=())
    check(request, truthful(request))
    assert mismatch(request, {**truthful(request), "scope": "orders:read admin"}).claim == "scope"


def test_fewer_scopes_than_asked_are_for_the_api_to_judge() -> None:
    request = asked()
    check(request, {**truthful(request), "scope": "pay"})


def test_another_kind_of_token_is_refused() -> None:
    request = asked()
    assert (
        mismatch(request, truthful(request), issued_token_type=oauth.TOKEN_TYPE_ID_TOKEN).claim == "issued_token_type"
    )


def test_the_subject_token_given_back_is_refused() -> None:
    request = asked()
    assert mismatch(request, truthful(request), access_token=SUBJECT_TOKEN).claim == "access_token"


def test_an_actor_without_iss_is_one_of_the_tokens_own_issuer() -> None:
    request = asked(chain=(Actor("desk"),))
    check(request, {**truthful(request), "act": {"sub": "agent-runner", "act": {"sub": "desk"}}})


def test_the_actor_that_was_current_already_may_leave_the_chain_as_it_was() -> None:
    request = asked(chain=(AGENT, DESK))
    check(request, {**truthful(request), "act": DelegationChain((AGENT, DESK)).to_act()})
    check(request, truthful(request))
    assert mismatch(request, {**truthful(request), "act": DelegationChain((AGENT,)).to_act()}).claim == "act"


# ── whatever is asked ────────────────────────────────────────────────────────────────────

names = st.sampled_from(["alice", "bob", "desk", "orders", "payments", "agent-runner", "x"])
actors = st.builds(Actor, names, st.sampled_from([STS, "https://idp.example"]))
scope_tuples = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, unique=True).map(tuple)


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    principal = Principal(
        draw(names),
        draw(st.sampled_from([STS, "https://idp.example"])),
        scopes=draw(scope_tuples),
        chain=DelegationChain(tuple(draw(st.lists(actors, max_size=5)))),
        expires_at=NOW + draw(st.integers(300, 5000)),
    )
    wanted = Wanted(Target(draw(names), draw(st.sampled_from(["", "https://r.example"]))), draw(scope_tuples), 300)
    return Asked(principal, SUBJECT_TOKEN, draw(actors), draw(names), wanted, principal.chain.within(STS))


@given(requests(), st.data())
def test_a_truthful_answer_is_accepted_whatever_was_asked(request: Asked, data: st.DataObject) -> None:
    claims = truthful(request)
    claims["exp"] = NOW + data.draw(st.integers(1, 300))
    claims["scope"] = " ".join(data.draw(st.lists(st.sampled_from(request.wanted.scopes), unique=True))) or None
    check(request, claims)


@given(requests(), scope_tuples)
def test_a_wider_scope_is_refused_whatever_was_asked(request: Asked, scopes: tuple[str, ...]) -> None:
    assume(not set(scopes) <= set(request.wanted.scopes))
    assert mismatch(request, {**truthful(request), "scope": " ".join(scopes)}).claim == "scope"


@given(requests(), st.integers(301, 10**6))
def test_a_longer_life_is_refused_whatever_was_asked(request: Asked, seconds: int) -> None:
    assert mismatch(request, {**truthful(request), "exp": NOW + seconds}).claim == "exp"


@given(requests(), names, st.sampled_from(["sub", "aud", "client_id"]))
def test_another_party_is_refused_whatever_was_asked(request: Asked, name: str, claim: str) -> None:
    claims = truthful(request)
    assume(name != claims[claim] and not (claim == "aud" and name in request.wanted.target.names))
    assert mismatch(request, {**claims, claim: name}).claim == claim


@given(requests(), st.lists(actors, max_size=7))
def test_any_other_chain_is_refused_whatever_was_asked(request: Asked, links: list[Actor]) -> None:
    before = request.before.actors
    assume(tuple(links) != (request.actor, *before))
    assume(tuple(links) != before or before[:1] != (request.actor,))
    act = DelegationChain(tuple(links)).to_act()
    assert mismatch(request, {**truthful(request), "act": act}).claim == "act"


@given(requests(), st.data())
def test_a_lost_or_reordered_link_is_refused(request: Asked, data: st.DataObject) -> None:
    links = list(request.before.then(request.actor).actors)
    if data.draw(st.booleans()):
        changed = links.copy()
        del changed[data.draw(st.integers(0, len(links) - 1))]
    else:
        changed = data.draw(st.permutations(links))
    before = list(request.before.actors)
    assume(changed != links and not (changed == before and before[:1] == [request.actor]))
    act = DelegationChain(tuple(changed)).to_act()
    assert mismatch(request, {**truthful(request), "act": act}).claim == "act"
