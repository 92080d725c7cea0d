"""Which tools a caller is shown is remembered: for that caller, by that policy, about that catalog, and not for long."""

from __future__ import annotations

import asyncio
import time
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.policy.input import Phase, Question, about_each
from remit.principal import ActingParty, Actor, Assurance, DelegationChain, Principal
from support.listing import Lists, Met, Picky, catalog_of
from support.policy import NOW, RUNNER, person, standard

pytestmark = pytest.mark.anyio

TOOLS = catalog_of(24)


async def test_a_list_is_decided_about_once_and_then_remembered() -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    first = await lists.shown()
    assert first == lists.due(policy)
    assert 0 < len(first) < 24
    lists.clock.advance(59)
    assert await lists.shown() == first
    assert policy.asked == 24


# ── for whom ─────────────────────────────────────────────────────────────────────────────

FEW = st.sampled_from(["", "a", "b"])
SEVERAL = st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True).map(tuple)
ACTORS = st.builds(Actor, st.sampled_from(["runner", "other"]), FEW)
PEOPLE: st.SearchStrategy[Principal] = st.builds(
    Principal,
    subject=st.sampled_from(["alice", "bob"]),
    issuer=st.sampled_from(["https://one.example", "https://two.example"]),
    client_id=FEW,
    token_issuer=FEW,
    audience=SEVERAL,
    scopes=SEVERAL,
    chain=st.lists(ACTORS, max_size=2).map(lambda actors: DelegationChain(tuple(actors))),
    groups=SEVERAL,
    roles=SEVERAL,
    name=FEW,
    acr=FEW,
    amr=SEVERAL,
    auth_time=st.sampled_from([0, NOW - 60]),
    expires_at=st.sampled_from([NOW + 300, NOW + 600]),
    jti=FEW,
    txn=FEW,
)
PARTIES = st.builds(ActingParty, ACTORS, st.sampled_from(Assurance), FEW, token=st.none(), via=st.none() | ACTORS)
DOORS = st.sampled_from(["mcp-http", "mcp-stdio"])
CALLERS = st.tuples(PEOPLE, PARTIES, DOORS, st.booleans())


@st.composite
def look_alikes(draw: st.DrawFn) -> list[Any]:
    """Two callers who differ in one thing at most, and one who is somebody else."""
    (person_, party, door, first), other = draw(CALLERS), draw(CALLERS)
    name = draw(st.sampled_from([each.name for each in fields(Principal)]))
    like = [
        (replace(person_, **{name: getattr(other[0], name)}), party, door, first),
        (person_, other[1], door, first),
        (person_, party, other[2], first),
        (person_, party, door, other[3]),
    ]
    return [(person_, party, door, first), draw(st.sampled_from(like)), other]


@settings(max_examples=100, deadline=None)
@given(look_alikes())
def test_no_caller_is_shown_what_was_decided_about_another(callers: list[Any]) -> None:
    """The policy decides by everything it is told, so lists that were mixed up would show."""

    async def main() -> None:
        policy = Picky()
        lists = Lists(policy, TOOLS)
        for principal, acting, door, first in [*callers, *callers]:
            lists.pairs.first = first
            assert await lists.shown(principal, acting, door) == lists.due(policy, principal, acting, door)
        assert policy.asked <= 3 * len(TOOLS.tools)

    asyncio.run(main())


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "bob"},
        {"issuer": "https://other.example"},
        {"roles": ()},
        {"groups": ("admins",)},
        {"scopes": ("orders:read",)},
        {"client_id": "another-agent"},
        {"acr": "mfa"},
        {"expires_at": NOW + 901},
        {"chain": DelegationChain((Actor("agent-before"),))},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_one_difference_of_the_caller_is_enough_to_ask_again(change: dict[str, Any]) -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    await lists.shown()
    other = person(**change)
    assert await lists.shown(other) == lists.due(policy, other)
    assert policy.asked == 48


async def test_the_agent_its_assurance_and_the_door_count_too() -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    weaker = replace(RUNNER, assurance=Assurance.SELF_ASSERTED)
    for acting, door in ((RUNNER, "mcp"), (weaker, "mcp"), (RUNNER, "mcp-stdio")):
        assert await lists.shown(None, acting, door) == lists.due(policy, None, acting, door)
    assert policy.asked == 3 * 24


async def test_a_first_meeting_is_over_at_once() -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS, pairs=Met(first=True))
    await lists.shown()
    await lists.pairs.met(person(), RUNNER)
    assert await lists.shown() == lists.due(policy)
    assert policy.asked == 48


def test_a_question_about_many_tools_is_the_question_about_each() -> None:
    tools = tuple(TOOLS.tools.values())
    asked = Question(Phase.TOOL_LIST, person(), RUNNER, tools[0], NOW, door="mcp", first_time=True)
    assert about_each(asked, tools) == [replace(asked, tool=tool).document() for tool in tools]


# ── by what ──────────────────────────────────────────────────────────────────────────────


async def test_another_policy_shows_at_once() -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    before = await lists.shown()
    policy.revision = "2"
    assert await lists.shown() == lists.due(policy) != before
    policy.revision = "1"
    await lists.shown()
    assert policy.asked == 3 * 24  # what was forgotten is not taken up again


async def test_what_a_policy_decided_that_was_replaced_meanwhile_is_not_remembered() -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    policy.may.clear()
    asking = asyncio.create_task(lists.shown())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    policy.revision = "2"  # it decides as the new one, asked by the old one's name
    policy.may.set()
    await asking
    policy.revision = "1"
    assert await lists.shown() == lists.due(policy)
    assert policy.asked == 48


async def test_other_tools_show_at_once() -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    await lists.shown()
    lists.catalog = catalog_of(30)
    assert await lists.shown() == lists.due(policy)
    lists.catalog = TOOLS
    assert await lists.shown() == lists.due(policy)
    assert policy.asked == 24 + 30 + 24


async def test_what_could_not_be_decided_is_not_remembered() -> None:
    policy = Picky(fails=True)
    lists = Lists(policy, TOOLS)
    assert await lists.shown() == []
    policy.fails = False
    assert await lists.shown() == lists.due(policy) != []


# ── how long ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("now", "lasts", "seconds"),
    [
        (NOW + 1, 900, 60),  # a minute
        (NOW + 1, 40, 39),  # the token's own end
        (NOW + 870, 1800, 30),  # the full quarter of an hour
    ],
    ids=["minute", "token", "quarter"],
)
async def test_a_list_lasts_no_longer_than_it_may(now: int, lasts: int, seconds: int) -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    lists.clock.seconds = now
    caller = person(expires_at=NOW + lasts)
    await lists.shown(caller)
    lists.clock.advance(seconds - 0.5)
    await lists.shown(caller)
    assert policy.asked == 24
    lists.clock.advance(0.5)
    assert await lists.shown(caller) == lists.due(policy, caller)
    assert policy.asked == 48


async def test_a_clock_that_is_put_back_ends_a_list() -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    await lists.shown()
    lists.clock.advance(-1)
    await lists.shown()
    assert policy.asked == 48


async def test_of_more_callers_than_a_thousand_the_last_are_remembered() -> None:
    policy = Picky()
    lists = Lists(policy, catalog_of(1))
    callers = [person(subject=f"user-{number}") for number in range(1001)]
    for caller in callers:
        await lists.shown(caller)
    assert policy.asked == 1001
    await lists.shown(callers[1])
    await lists.shown(callers[-1])
    assert policy.asked == 1001
    await lists.shown(callers[0])
    assert policy.asked == 1002


# ── at once ──────────────────────────────────────────────────────────────────────────────


async def test_fifty_who_ask_for_the_same_list_share_one_decision() -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    found = await asyncio.gather(*(lists.shown() for _ in range(50)))
    assert all(each == lists.due(policy) for each in found)
    assert policy.asked == 24


async def test_whoever_goes_away_leaves_the_decision_to_the_others() -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    policy.may.clear()
    gone, stays = asyncio.create_task(lists.shown()), asyncio.create_task(lists.shown())
    await asyncio.sleep(0)
    gone.cancel()
    policy.may.set()
    assert await stays == lists.due(policy)
    assert policy.asked == 24


async def test_lists_of_many_callers_take_turns() -> None:
    policy = Picky()
    lists = Lists(policy, TOOLS)
    policy.may.clear()
    asking = [asyncio.create_task(lists.shown(person(subject=f"user-{number}"))) for number in range(20)]
    async with asyncio.timeout(5):
        while policy.at_once < 4:
            await asyncio.sleep(0)
    policy.may.set()
    await asyncio.gather(*asking)
    assert policy.most_at_once == 4


async def test_a_thousand_tools_are_listed_without_policy_and_far_faster_the_second_time() -> None:
    """A ratio within one run: how long anything takes is the machine's affair."""
    tables = {"roles": {"support-lead": {"things": ["read"]}}, "agents": {"agent-runner": {}}}
    lists = Lists(standard(tables), catalog_of(1000))
    started = time.perf_counter()
    first = await lists.shown()
    cold = time.perf_counter() - started
    warm = []
    for _ in range(5):
        started = time.perf_counter()
        assert await lists.shown() == first
        warm.append(time.perf_counter() - started)
    assert len(first) == 1000
    assert min(warm) * 4 < cold
