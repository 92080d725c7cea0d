"""The client that the user signed in through is the agent; this installation is the next link."""

from __future__ import annotations

import asyncio

import pytest

from remit.identity.actor import ActorResolver, CallerActs
from remit.principal import ActingParty, Actor, Assurance, DelegationChain, Principal, chain_with_client

STS = "https://sts.example"
OWN = frozenset({"agent-runner", "remit-login"})


def resolved(principal: Principal, *, launched_by: str = "") -> ActingParty:
    resolver = ActorResolver("agent-runner", caller_acts=CallerActs(OWN, launched_by))
    return asyncio.run(resolver.resolve(principal))


def test_the_client_acts_and_this_installation_is_the_next_link() -> None:
    acting = resolved(Principal("alice", STS, client_id="https://ide.example/client", token_issuer=STS))
    assert acting.actor == Actor("https://ide.example/client", STS)
    assert (acting.assurance, acting.evidence) == (Assurance.REGISTERED, "client_id")
    assert acting.via == Actor("agent-runner")


@pytest.mark.parametrize("assurance", list(Assurance))
def test_how_sure_the_issuer_is_of_the_client_is_how_sure_the_actor_is(assurance: Assurance) -> None:
    principal = Principal("alice", STS, client_id="ide", token_issuer=STS, client_assurance=assurance)
    assert resolved(principal).assurance is assurance


def test_an_attested_actor_goes_before_the_client_and_before_what_was_declared() -> None:
    principal = Principal("alice", STS, client_id="ide", chain=DelegationChain((Actor("planner", STS),)))
    acting = resolved(principal, launched_by="claude-desktop")
    assert (acting.actor, acting.evidence) == (Actor("planner", STS), "act")


@pytest.mark.parametrize("client_id", ["", "agent-runner", "remit-login"])
def test_who_signed_in_through_this_installation_itself_has_whoever_started_it_as_agent(client_id: str) -> None:
    acting = resolved(Principal("alice", STS, client_id=client_id), launched_by="claude-desktop")
    assert acting.actor == Actor("claude-desktop")
    assert (acting.assurance, acting.evidence) == (Assurance.SELF_ASSERTED, "declared")
    assert acting.via == Actor("agent-runner")


@pytest.mark.parametrize("client_id", ["", "agent-runner", "remit-login"])
def test_nobody_else_acts_where_no_other_client_is_known(client_id: str) -> None:
    acting = resolved(Principal("alice", STS, client_id=client_id))
    assert (acting.actor.sub, acting.via) == ("agent-runner", None)


def test_a_client_of_a_strange_name_cannot_pass_for_this_installations_own() -> None:
    assert resolved(Principal("alice", STS, client_id="Agent-Runner")).actor.sub == "Agent-Runner"


def test_the_client_becomes_the_first_link_only_where_nobody_acts_yet() -> None:
    desk = DelegationChain((Actor("desk", STS),))
    assert chain_with_client(DelegationChain(), "ide", STS, OWN).actors == (Actor("ide", STS),)
    assert chain_with_client(desk, "ide", STS, OWN) is desk
    assert not chain_with_client(DelegationChain(), "remit-login", STS, OWN)
    assert not chain_with_client(DelegationChain(), "ide", STS, None)
