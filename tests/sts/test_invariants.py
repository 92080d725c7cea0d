"""What holds of every exchange, whatever the graph of clients and the order of hops."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import GrantError
from remit.sts.clients import Client, TargetRule
from support.issuer import claims_of
from support.sts import ISSUER, World, exchange_form

NAMES = ("a", "b", "c", "d", "e")
SCOPES = ("read", "write", "pay", "log")
scope_sets = st.lists(st.sampled_from(SCOPES), min_size=1, unique=True).map(tuple)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Clients that may each call every other one, with scopes, lifetimes and depths of their own."""
    clients = {}
    for name in NAMES:
        targets = tuple(
            TargetRule(other, scopes=draw(scope_sets), max_lifetime=draw(st.integers(1, 600))) for other in NAMES
        )
        clients[name] = Client(name, targets=targets, max_depth=draw(st.integers(1, 5)))
    return World(clients=clients)


hops = st.lists(
    st.tuples(st.sampled_from(NAMES), st.none() | scope_sets, st.integers(0, 700), st.integers(0, 60)), max_size=8
)


def chain_of(claims: dict[str, object]) -> list[str]:
    chain, act = [], claims.get("act")
    while isinstance(act, dict):
        assert act["iss"] == ISSUER
        chain.append(str(act["sub"]))
        act = act.get("act")
    return chain


@settings(max_examples=150, deadline=None)
@given(worlds(), scope_sets, st.integers(6, 4000), hops)
def test_no_hop_widens_scope_prolongs_life_or_loses_a_link(
    world: World, scopes: tuple[str, ...], lifetime: int, path: list[tuple[str, tuple[str, ...] | None, int, int]]
) -> None:
    token = world.forge(aud="a", scope=" ".join(scopes), exp=world.now + lifetime)
    for target, asked, expires_in, pause in path:
        before = claims_of(token)
        client = world.clients[before["aud"]]
        form = exchange_form(
            token,
            audience=target,
            scope=" ".join(asked) if asked else None,
            requested_expires_in=str(expires_in) if expires_in else None,
        )
        try:
            token = asyncio.run(world.grant(client, form))["access_token"]
        except GrantError:
            return
        after = claims_of(token)
        rule = client.rule_for(target)
        assert rule
        granted = set(after["scope"].split())
        assert granted
        assert granted <= set(before["scope"].split()) & set(rule.scopes)
        assert not asked or granted == set(asked)
        assert after["exp"] <= before["exp"]
        assert after["exp"] - world.now <= min(rule.max_lifetime, client.max_lifetime, expires_in or 300)
        assert (after["sub"], after["aud"], after["client_id"]) == ("alice", target, client.client_id)
        links = chain_of(before)
        assert chain_of(after) == (links if links[:1] == [client.client_id] else [client.client_id, *links])
        assert len(chain_of(after)) <= client.max_depth
        assert after["txn"] == before.get("txn", after["txn"])
        assert after["jti"] != before["jti"]
        world.clock.advance(pause)
