"""Why a call is permitted or not, and what would have to be otherwise, at the sample company and elsewhere."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from remit.app.explaining import Explained, Supposed, explain
from remit.approvals.pairs import Pairs
from remit.clock import SystemClock
from remit.demo.workspace import write_workspace
from remit.errors import ArgumentsInvalid, PolicyFailed, SettingsInvalid, ToolUnknown
from remit.policy.input import Phase
from remit.principal import ActingParty, Actor, Assurance, Principal
from remit.settings import Settings, load_settings
from support.clock import FakeClock

#: A Monday at noon.
NOON = 1_800_273_600 - 1_800_273_600 % 86_400 + 43_200
REFUND = {"order_id": "O1001", "amount": 4000, "reason": "late"}
EVERYBODY = {"roles": {"support-lead": {"orders": ["read", "write"]}, "finance": {}}, "agents": {"agent-runner": {}}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a new workspace of the sample company."""
    write_workspace(tmp_path)
    return load_settings(tmp_path / "remit.yaml")


def asking(user: str = "alice", agent: str = "agent-runner", tool: str = "refund_order", **changes: Any) -> Supposed:
    arguments = REFUND if tool == "refund_order" else {"order_id": "O1001"}
    return Supposed(user, agent, tool, {**arguments, **changes.pop("arguments", {})}, **{"at": NOON, **changes})


def explained(settings: Settings, *asked: Supposed) -> list[Explained]:
    async def main() -> list[Explained]:
        return [await explain(settings, each, SystemClock()) for each in asked]

    return asyncio.run(main())


def ways(explained: Explained) -> list[tuple[str, ...]]:
    return [(way.says, *way.conditions) for way in explained.found.ways]


def with_tables(settings: Settings, tables: dict[str, Any]) -> Settings:
    (settings.policy.path / "sample_test.rego").unlink(missing_ok=True)
    (settings.policy.path / "data.yaml").write_text(json.dumps(tables), "utf-8")
    return settings


def with_policy(settings: Settings, text: str) -> Settings:
    for file in settings.policy.path.iterdir():
        file.unlink()
    (settings.policy.path / "authz.rego").write_text(f"package remit.authz\n\nimport rego.v1\n\n{text}", "utf-8")
    return settings


# ── the sample company ───────────────────────────────────────────────────────────────────


def test_the_wrong_role_and_too_much(settings: Settings) -> None:
    small, intern, large, both = explained(
        settings,
        asking(),
        asking("bob"),
        asking(arguments={"amount": 60_000}),
        asking("bob", arguments={"amount": 60_000}),
    )
    assert small.verdict.is_free
    assert list(small.decisions) == list(Phase)
    assert ways(small) == []

    assert not intern.verdict.allowed
    assert intern.decisions[Phase.TOOL_CALL].rule.startswith("standard/1 role_forbids (remit/standard.rego:")
    assert not intern.decisions[Phase.TOOL_LIST].allow
    assert ways(intern) == [("the user had the role support-lead",)]

    approved = "the user approves it"
    assert ways(large) == [
        ("amount were at most 50000", approved),
        ("amount were at most 10000",),
        ("the user's token held the scope refunds:large", approved),
    ]
    role = ", and the user had the role support-lead"
    assert ways(both) == [
        (f"amount were at most 50000{role}", approved),
        (f"amount were at most 10000{role}",),
        (f"the user's token held the scope refunds:large{role}", approved),
    ]


def test_a_permit_that_waits_for_somebody_is_none_without_them(settings: Settings) -> None:
    (waits,) = explained(settings, asking(arguments={"amount": 20_000}))
    assert waits.verdict.allowed
    assert waits.verdict.conditions == ("the user approves it",)
    assert waits.again is not None
    assert waits.again.allow
    assert ways(waits) == [("amount were at most 10000",)]


def test_an_agent_that_is_none_and_one_too_far_away(settings: Settings) -> None:
    stranger, handed_on = explained(
        settings,
        asking(agent="orders-service", tool="get_order"),
        asking(tool="get_order", through=("client-frontend", "api-gateway", "orders-service")),
    )
    assert not stranger.decisions[Phase.TOOL_CALL].allow
    assert ways(stranger) == [("some other agent acted",)]
    assert [actor.sub for actor in handed_on.question.principal.chain.actors] == [
        "orders-service",
        "api-gateway",
        "client-frontend",
    ]
    assert ways(handed_on) == [("nobody had handed the request on to the agent",)]


def test_what_is_refused_before_or_after_policy_is_told_as_such(settings: Settings) -> None:
    weak, poor, both = explained(
        settings,
        asking(tool="get_order", assurance=Assurance.SELF_ASSERTED),
        asking("carol", tool="get_order", roles=("intern",)),
        asking("carol", tool="get_order", roles=("nothing",)),
    )
    assert weak.decisions[Phase.TOOL_CALL].allow
    assert not weak.verdict.allowed
    assert weak.problem == "this call needs an agent runner that somebody vouches for: agent-runner is self_asserted"
    assert ("the agent were registered",) in ways(weak)
    assert poor.problem == "the user's token lacks the scope orders:read"
    assert ways(poor) == [("the user's token held the scope orders:read",)]
    assert ("the user had the role support-lead, and the user's token held the scope orders:read",) in ways(both)


def test_the_first_time_of_an_agent_is_over_once_it_has_acted(settings: Settings) -> None:
    tables = EVERYBODY | {"needs": {"first": {"first_time": True, "require_approval": {"approvers": ["user"]}}}}
    with_tables(settings, tables)
    (before,) = explained(settings, asking())
    assert ways(before) == [("the agent had acted for the user before",)]

    async def meet() -> None:
        settings.state_dir.mkdir(exist_ok=True)
        pairs = Pairs(settings.approvals_file, FakeClock())
        acting = ActingParty(Actor("agent-runner", settings.issuer), Assurance.AUTHENTICATED, "actor_token")
        await pairs.met(Principal("alice", settings.issuer), acting)
        pairs.close()

    asyncio.run(meet())
    (after,) = explained(settings, asking())
    assert after.verdict.is_free


# ── other policies ───────────────────────────────────────────────────────────────────────


def test_approvers_sign_ins_and_hours_are_said_in_words(settings: Settings) -> None:
    needs: dict[str, Any] = {
        "four-eyes": {"over": 10_000, "require_approval": {"approvers": ["role:finance", "user:zoe"]}},
        "fresh": {"match": {"tool": "get_order"}, "step_up": {"acr_values": ["phr"], "max_age": 300}},
        "daytime": {"match": {"tool": "refund_order"}, "hours": {"days": ["Monday"], "from": "09:30", "to": "17:00"}},
    }
    with_tables(settings, EVERYBODY | {"needs": needs})
    eyes, fresh, late = explained(
        settings, asking(arguments={"amount": 20_000}), asking(tool="get_order"), asking(at=NOON + 6 * 3600)
    )
    assert eyes.verdict.conditions == ("somebody else with the role finance or zoe approves it",)
    assert ways(eyes) == [("amount were at most 10000",)]
    assert fresh.verdict.conditions == ("the user signs in again with acr phr, no more than 300 s before",)
    ((says,),) = ways(late)
    assert says.startswith("it were Monday ")
    assert says.endswith(" 09:30 to 17:00 UTC")


def test_a_policy_that_denies_what_it_had_approved_is_not_said_to_permit(settings: Settings) -> None:
    with_policy(
        settings,
        """default decision := {"allow": true}
decision := {"allow": true, "obligations": [{"id": "a", "type": "require_approval", "properties": {"approvers": ["user"]}}]} if {
	input.phase == "tool_call"
	input.context.approval.state == "none"
}
decision := {"allow": false, "reasons": [{"code": "late", "message": "too late"}]} if {
	input.phase == "tool_call"
	input.context.approval.state == "approved"
}
""",
    )
    (torn,) = explained(settings, asking())
    assert torn.decisions[Phase.TOOL_CALL].allow
    assert torn.again is not None
    assert not torn.again.allow
    assert not torn.verdict.allowed


def test_a_policy_in_words_of_its_own(settings: Settings) -> None:
    with_policy(
        settings,
        """default decision := {"allow": false}
decision := {"allow": true} if input.phase == "token_exchange"
decision := {"allow": true} if {
	"cashier" in input.subject.properties.roles
	input.arguments.amount * 2 <= 9000
}
""",
    )
    role, amount, both = explained(
        settings, asking(), asking(roles=("cashier",), arguments={"amount": 5000}), asking(arguments={"amount": 5000})
    )
    assert ways(role) == [("the user had the role cashier",)]
    assert ways(amount) == [("amount were at most 4500",)]
    assert ways(both) == [("amount were at most 4500, and the user had the role cashier",)]


def test_where_policy_fails_nothing_else_is_to_be_changed(settings: Settings) -> None:
    with_policy(
        settings,
        """decision := {"allow": false} if input.subject.id == ""
decision := {"allow": 1 / (count(input.subject.properties.roles) - 1) > 0} if input.subject.id != ""
""",
    )
    (failing,) = explained(settings, asking())
    assert not failing.verdict.allowed
    assert "evaluation failed at authz.rego" in failing.problem
    assert not failing.found.ways


# ── what cannot be asked ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (asking("nobody"), SettingsInvalid),
        (asking(tool="unknown"), ToolUnknown),
        (asking(arguments={"amount": "much"}), ArgumentsInvalid),
    ],
)
def test_what_is_no_question_is_an_error(settings: Settings, asked: Supposed, error: type[Exception]) -> None:
    with pytest.raises(error):
        explained(settings, asked)


def test_arguments_that_policy_cannot_be_asked_about_are_said_to_be_so(settings: Settings) -> None:
    tools = settings.tools[0] / "orders.yaml"
    tools.write_text(tools.read_text("utf-8").replace(", maximum: 100000000", ""), "utf-8")
    with pytest.raises(PolicyFailed):
        explained(settings, asking(arguments={"amount": 2**60}))
