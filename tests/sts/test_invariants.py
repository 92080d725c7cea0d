"""What holds of every exchange, whatever the graph of clients, their profiles and the order of hops."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import GrantError
from remit.principal import Profile
from remit.sts.clients import Client, TargetRule
from support.issuer import claims_of
from support.sts import ISSUER, World, exchange_form

NAMES = ("a", "b", "c", "d", "e")
SCOPES = ("read", "write", "pay", "log")
scope_sets = st.lists(st.sampled_from(SCOPES), min_size=1, unique=True).map(tuple)
profiles = st.sampled_from(Profile)


@st.composite
def rules(draw: st.DrawFn, audience: str) -> TargetRule:
    scopes = draw(st.just(SCOPES) | scope_sets)
    return TargetRule(
        audience,
        scopes=scopes,
        max_lifetime=draw(st.just(600) | st.integers(1, 600)),
        profile=draw(profiles),
        bridge=draw(st.booleans()),
        translate=draw(st.dictionaries(st.sampled_from(scopes), st.sampled_from(SCOPES), max_size=2)),
        max_depth=draw(st.integers(3, 8)),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Clients that may each call every other one, with profiles, scopes, lifetimes and depths of their own."""
    clients = {}
    for name in NAMES:
        targets = tuple(draw(rules(other)) for other in NAMES)
        clients[name] = Client(name, targets=targets, max_depth=draw(st.integers(2, 6)), profile=draw(profiles))
    return World(clients=clients)


@dataclass(frozen=True)
class Hop:
    """Who is called next, what is asked for, and how many seconds later."""

    target: str
    scopes: tuple[str, ...] | None
    expires_in: int
    pause: int


hops = st.lists(
    st.builds(
        Hop, st.sampled_from(NAMES), st.none() | scope_sets, st.just(0) | st.integers(0, 700), st.integers(0, 30)
    ),
    min_size=3,
    max_size=12,
)


def profile_of(claims: dict[str, Any]) -> Profile | None:
    """As the reference has it: the mark decides, and where nobody acts there is no profile."""
    if "act" not in claims:
        assert "dlg" not in claims
        return None
    return Profile(claims.get("dlg", "rfc8693"))


def people(claims: dict[str, Any]) -> list[str]:
    """Everybody in a token in the order they came, the principal first; told by the claims alone."""
    nested, act = [], claims.get("act")
    while isinstance(act, dict):
        assert act.get("iss", ISSUER) == ISSUER
        nested.append(str(act["sub"]))
        act = act.get("act")
    if claims.get("dlg") == "workload":
        return [*reversed(nested), claims["sub"]]
    return [claims["sub"], *reversed(nested)]


@settings(max_examples=150, deadline=None)
@given(worlds(), st.just(SCOPES) | scope_sets, st.integers(6, 4000), hops)
def test_no_hop_widens_scope_prolongs_life_loses_a_link_or_changes_its_profile(
    world: World, scopes: tuple[str, ...], lifetime: int, path: list[Hop]
) -> None:
    token = world.forge(aud="a", scope=" ".join(scopes), exp=world.now + lifetime)
    for hop in path:
        before = claims_of(token)
        client = world.clients[before["aud"]]
        form = exchange_form(
            token,
            audience=hop.target,
            scope=" ".join(hop.scopes) if hop.scopes else None,
            requested_expires_in=str(hop.expires_in) if hop.expires_in else None,
        )
        try:
            token = asyncio.run(world.grant(client, form))["access_token"]
        except GrantError:
            continue  # and try elsewhere with what there is
        after = claims_of(token)
        rule = client.rule_for(hop.target)
        assert rule
        check_scope(before, after, rule, hop)
        check_life(before, after, world, min(rule.max_lifetime, client.max_lifetime, hop.expires_in or 300))
        check_chain(before, after, client, rule)
        check_profile(before, after, client, rule)
        assert (after["aud"], after["client_id"]) == (hop.target, client.client_id)
        assert after["txn"] == before.get("txn", after["txn"])
        assert after["jti"] != before["jti"]
        world.clock.advance(hop.pause)


def check_scope(before: dict[str, Any], after: dict[str, Any], rule: TargetRule, hop: Hop) -> None:
    held, given_ = set(before["scope"].split()), set(after["scope"].split())
    assert given_
    assert given_ <= set(rule.scopes)
    assert all(scope in held or rule.translate.get(scope) in held for scope in given_)
    assert hop.scopes is None or given_ == set(hop.scopes)


def check_life(before: dict[str, Any], after: dict[str, Any], world: World, longest: int) -> None:
    assert after["exp"] <= before["exp"]
    assert after["exp"] - world.now <= longest


def check_chain(before: dict[str, Any], after: dict[str, Any], client: Client, rule: TargetRule) -> None:
    were = people(before)
    again = were[1:] and were[-1] == client.client_id
    assert people(after) == (were if again else [*were, client.client_id])
    assert len(people(after)) - 1 <= min(client.max_depth, rule.max_depth)
    assert len(set(people(after))) == len(people(after))


def check_profile(before: dict[str, Any], after: dict[str, Any], client: Client, rule: TargetRule) -> None:
    assert profile_of(after) is rule.profile
    assert rule.profile is Profile.RFC8693 or client.profile is Profile.WORKLOAD
    assert rule.bridge or profile_of(before) in (None, profile_of(after))
