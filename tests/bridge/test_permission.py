"""What policy demands beside yes and no: approvals, step-up, redaction; and its other decision points."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from remit.approvals.approval import ApprovalAnswer, Approver
from remit.downstream.result import ToolResult, with_data
from remit.errors import (
    ActorUnfit,
    ApprovalDenied,
    ApprovalRequired,
    ApprovalUnusable,
    PolicyDenied,
    PolicyFailed,
    ResponseUnusable,
    ResultWithheld,
    ScopeInsufficient,
    StepUpRequired,
    ToolHidden,
)
from remit.policy.decision import Decision
from remit.policy.rego import RegoEngine
from remit.sts.users import DevelopmentUser
from support.path import ORDER, Path, permit_with
from support.policy import answering, engine
from support.sts import ALICE, ISSUER
from support.tools import tool_of

pytestmark = pytest.mark.anyio

BY_USER = permit_with("require_approval", '{"approvers": ["user"]}')
BY_LEAD = permit_with("require_approval", '{"approvers": ["role:lead"], "expires_in": 60}')
LEAD = Approver(ISSUER, "carol", ("lead",))


def policy_of(body: str) -> RegoEngine:
    return engine(f"package remit.authz\nimport rego.v1\n{body}\n")


def phased(**answers: str) -> RegoEngine:
    """A policy with one answer for each phase that is named, and a plain permit for the others."""
    rules = "\n".join(f'decision := {answer} if input.phase == "{phase}"' for phase, answer in answers.items())
    named = ", ".join(f'"{phase}"' for phase in answers)
    return policy_of(f'{rules}\ndecision := {{"allow": true}} if not input.phase in {{{named}}}')


async def asked(path: Path, name: str = "get_order", arguments: Mapping[str, Any] = ORDER) -> ApprovalRequired:
    with pytest.raises(ApprovalRequired) as caught:
        await path.call(name, arguments)
    return caught.value


# ── approval ─────────────────────────────────────────────────────────────────────────────


async def test_a_call_that_needs_approval_goes_nowhere_and_says_whom_to_ask() -> None:
    path = Path(answering(BY_USER))
    pending = await asked(path)
    assert pending.by_user
    assert "user" in pending.message
    assert path.order == ["outcome"]
    assert path.outcome["outcome"] == "pending"
    assert path.outcome["approval"]["id"] == pending.approval_id
    assert path.outcome["approval"]["state"] == "pending"


async def test_the_user_is_asked_with_every_argument_which_no_record_holds() -> None:
    path = Path(answering(BY_USER))
    pending = await asked(path, arguments={"id": "O77\x1b[2J"})
    assert "agent-runner wants to call get_order as alice" in pending.question
    assert 'id: "O77\\u001b[2J"' in pending.question
    assert "O77" not in str(path.store.records) + pending.message


async def test_what_is_too_long_to_be_shown_whole_is_not_asked_in_a_dialogue() -> None:
    path = Path(answering(BY_USER))
    assert (await asked(path, "for_people_with_much_to_say", {"text": "x" * 1800})).by_user
    assert not (await asked(path, "for_people_with_much_to_say", {"text": "x" * 2100})).by_user


async def test_the_users_yes_lets_the_call_through_once_and_the_trail_names_them() -> None:
    path = Path(answering(BY_USER))
    pending = await asked(path)
    yes = ApprovalAnswer(pending.approval_id, accepted=True)
    result = await path.call(answer=yes)
    assert result.result.data == {"id": "O1"}
    intent = next(record for record in path.store.records if record["kind"] == "intent")
    assert intent["approval"]["approver"] == {"sub": "alice", "iss": ISSUER}
    assert intent["approval"]["method"] == "elicitation"
    assert intent["approval"]["id"] == pending.approval_id
    with pytest.raises(ApprovalUnusable):
        await path.call(answer=yes)
    assert (await asked(path)).approval_id != pending.approval_id
    assert len(path.sent) == 1


async def test_ten_answers_at_once_make_one_call() -> None:
    path = Path(answering(BY_USER))
    yes = ApprovalAnswer((await asked(path)).approval_id, accepted=True)
    ended = await asyncio.gather(*(path.call(answer=yes) for _ in range(10)), return_exceptions=True)
    assert sum(not isinstance(each, BaseException) for each in ended) == 1
    assert len(path.sent) == 1


async def test_the_users_no_ends_it_until_the_question_expires() -> None:
    path = Path(answering(BY_USER))
    pending = await asked(path)
    with pytest.raises(ApprovalDenied):
        await path.call(answer=ApprovalAnswer(pending.approval_id, accepted=False))
    with pytest.raises(ApprovalDenied):
        await path.call()
    assert path.sent == []
    path.world.clock.advance(601)
    assert (await asked(path)).approval_id != pending.approval_id


@pytest.mark.parametrize(
    ("name", "arguments"), [("get_order", {"id": "O2"}), ("refund_order", {"id": "O1"})], ids=["arguments", "tool"]
)
async def test_an_approval_is_good_for_nothing_but_the_call_it_was_asked_for(
    name: str, arguments: dict[str, str]
) -> None:
    path = Path(answering(BY_USER))
    pending = await asked(path)
    with pytest.raises(ApprovalUnusable):
        await path.call(name, arguments, answer=ApprovalAnswer(pending.approval_id, accepted=True))
    assert path.sent == []


async def test_another_user_cannot_answer_for_the_one_who_was_asked() -> None:
    path = Path(answering(BY_USER))
    pending = await asked(path)
    mallory = DevelopmentUser("mallory", name="Mallory", scopes=ALICE.scopes)
    with pytest.raises(ApprovalUnusable):
        await path.call(token=path.token(mallory), answer=ApprovalAnswer(pending.approval_id, accepted=True))


async def test_who_must_not_approve_their_own_call_cannot() -> None:
    path = Path(answering(BY_LEAD))
    pending = await asked(path)
    assert not pending.by_user
    with pytest.raises(ApprovalUnusable):
        await path.call(answer=ApprovalAnswer(pending.approval_id, accepted=True))
    assert path.sent == []


async def test_somebody_elses_approval_lets_the_same_call_through() -> None:
    path = Path(answering(BY_LEAD))
    pending = await asked(path)
    assert (await asked(path)).approval_id == pending.approval_id
    await path.approvals.decide(pending.approval_id, LEAD, grant=True, method="operator")
    await path.call()
    intent = next(record for record in path.store.records if record["kind"] == "intent")
    assert intent["approval"]["approver"]["sub"] == "carol"


async def test_an_approval_that_came_too_late_counts_no_more() -> None:
    path = Path(answering(BY_LEAD))
    pending = await asked(path)
    await path.approvals.decide(pending.approval_id, LEAD, grant=True, method="operator")
    path.world.clock.advance(61)
    assert (await asked(path)).approval_id != pending.approval_id


async def test_policy_is_asked_again_and_knows_who_approved() -> None:
    policy = policy_of("""
decision := {"allow": true, "obligations": demanded, "reasons": []}
demanded := [{"id": "a", "type": "require_approval", "properties": {"approvers": ["user"]}}] if {
    input.context.approval.state != "approved"
} else := [{"id": "t", "type": "limit_lifetime", "properties": {"seconds": 20}}] if {
    input.context.approval == {
        "state": "approved", "id": input.context.approval.id, "approver": "alice", "method": "elicitation",
    }
}
""")
    path = Path(policy)
    await path.call(answer=ApprovalAnswer((await asked(path)).approval_id, accepted=True))
    assert path.service.asked[0].requested_expires_in == 20


async def test_a_policy_that_denies_after_the_approval_is_obeyed() -> None:
    policy = policy_of("""
decision := {"allow": false, "reasons": [{"code": "late", "message": "too late", "audience": "user"}]} if {
    input.context.approval.state == "approved"
} else := {"allow": true, "obligations": [{"id": "a", "type": "require_approval", "properties": {"approvers": ["user"]}}]}
""")
    path = Path(policy)
    pending = await asked(path)
    with pytest.raises(PolicyDenied, match="too late"):
        await path.call(answer=ApprovalAnswer(pending.approval_id, accepted=True))
    assert path.sent == []


async def test_an_approval_that_does_not_fit_a_stricter_demand_is_not_enough() -> None:
    policy = policy_of("""
by := "role:lead" if input.context.approval.state == "approved" else := "user"
decision := {"allow": true, "obligations": [{"id": "a", "type": "require_approval", "properties": {"approvers": [by]}}]}
""")
    path = Path(policy)
    pending = await asked(path)
    with pytest.raises(PolicyFailed):
        await path.call(answer=ApprovalAnswer(pending.approval_id, accepted=True))
    assert path.sent == []


# ── step-up ──────────────────────────────────────────────────────────────────────────────


async def test_a_scope_that_policy_wants_and_the_user_lacks_is_named() -> None:
    path = Path(answering(permit_with("step_up", '{"scopes": ["refunds:large"]}')))
    with pytest.raises(ScopeInsufficient) as caught:
        await path.call()
    assert caught.value.scope == "refunds:large"
    assert path.sent == []


async def test_another_sign_in_is_asked_for_by_acr_and_age() -> None:
    path = Path(answering(permit_with("step_up", '{"acr_values": ["mfa"], "max_age": 300}')))
    with pytest.raises(StepUpRequired) as caught:
        await path.call()
    assert (caught.value.acr_values, caught.value.max_age) == (("mfa",), 300)
    assert path.outcome["outcome"] == "denied"


@pytest.mark.parametrize(("name", "arguments"), [("admin_orders", {}), ("for_people", {})])
async def test_nobody_is_asked_to_approve_what_cannot_be_done_anyway(name: str, arguments: dict[str, str]) -> None:
    path = Path(answering(BY_USER))
    with pytest.raises((ScopeInsufficient, ActorUnfit)):
        await path.call(name, arguments)
    assert await path.approvals.listed() == []


async def test_a_step_up_that_is_met_asks_nothing() -> None:
    path = Path(answering(permit_with("step_up", '{"scopes": ["orders:read"]}')))
    await path.call()
    assert len(path.sent) == 1


# ── first time ───────────────────────────────────────────────────────────────────────────


async def test_policy_knows_whether_an_agent_acts_for_a_user_for_the_first_time() -> None:
    policy = policy_of("""
reasons := [{"code": "first", "message": "never met", "audience": "user"}] if input.context.first_time else := []
decision := {"allow": true, "reasons": reasons}
""")
    path = Path(policy)
    for _ in range(2):
        await path.call()
    intents = [record for record in path.store.records if record["kind"] == "intent"]
    assert [len(intent["decision"]["reasons"]) for intent in intents] == [1, 0]


# ── result ───────────────────────────────────────────────────────────────────────────────


def redacting(mode: str, *pointers: str) -> str:
    listed = ", ".join(f'"{pointer}"' for pointer in pointers)
    return permit_with("redact_result", f'{{"pointers": [{listed}], "mode": "{mode}"}}')


@pytest.mark.parametrize("phase", ["tool_call", "result"])
async def test_a_part_of_the_answer_is_hidden_from_text_and_data(phase: str) -> None:
    answer = httpx.Response(200, json={"id": "O1", "lines": [{"tax": "DE1", "n": 1}, {"tax": "DE2", "n": 2}]})
    path = Path(phased(**{phase: redacting("mask", "/lines/*/tax")}), answer)
    result = (await path.call()).result
    assert result.data == {"id": "O1", "lines": [{"tax": "[redacted]", "n": 1}, {"tax": "[redacted]", "n": 2}]}
    assert "DE1" not in result.text
    assert result.size == len(result.text.encode())


async def test_an_answer_that_policy_denies_is_withheld_and_recorded() -> None:
    deny = '{"allow": false, "reasons": [{"code": "pii", "message": "not for you", "audience": "user"}]}'
    path = Path(phased(result=deny))
    with pytest.raises(ResultWithheld, match="not for you"):
        await path.call()
    assert path.order == ["intent", "exchange", "call", "outcome"]
    assert path.outcome["outcome"] == "denied"
    assert path.outcome["error"]["code"] == "result_withheld"
    assert path.outcome["result_decision"]["allow"] is False


async def test_policy_sees_what_the_api_answered() -> None:
    policy = policy_of("""
decision := {"allow": ok}
default ok := false
ok if input.phase != "result"
ok if { input.result.status == 200; input.result.data.id == "O1"; input.result.bytes > 5; not input.result.truncated }
""")
    await Path(policy).call()
    with pytest.raises(ResultWithheld):
        await Path(policy, httpx.Response(200, json={"id": "O2"})).call()


async def test_a_text_of_which_a_part_is_to_be_hidden_is_withheld_whole() -> None:
    path = Path(answering(redacting("remove", "/ssn")), httpx.Response(200, text="ssn 123"))
    with pytest.raises(ResultWithheld, match="text"):
        await path.call()


async def test_a_result_policy_that_fails_withholds_the_answer() -> None:
    path = Path(answering_badly_at_result())
    with pytest.raises(ResultWithheld):
        await path.call()


def answering_badly_at_result() -> RegoEngine:
    """Undefined for a real answer only, which it cannot be tried with beforehand."""
    return policy_of('decision := {"allow": true} if input.result.status == 0')


# ── exchange ─────────────────────────────────────────────────────────────────────────────


async def test_where_the_token_service_asks_no_policy_it_is_asked_here() -> None:
    narrower = permit_with("limit_lifetime", '{"seconds": 15}')
    path = Path(phased(token_exchange=narrower), asks_policy_itself=False)
    await path.call()
    assert path.service.asked[0].requested_expires_in == 15
    assert path.store.records[0]["requested"]["max_lifetime"] == 15


async def test_an_exchange_that_policy_denies_is_not_asked_for() -> None:
    deny = '{"allow": false, "reasons": [{"code": "x", "message": "not there", "audience": "user"}]}'
    path = Path(phased(token_exchange=deny), asks_policy_itself=False)
    with pytest.raises(PolicyDenied, match="not there"):
        await path.call()
    assert path.order == ["outcome"]


async def test_what_cannot_be_enforced_at_an_exchange_denies_it() -> None:
    path = Path(phased(token_exchange=BY_USER), asks_policy_itself=False)
    with pytest.raises(PolicyFailed):
        await path.call()


# ── beside ───────────────────────────────────────────────────────────────────────────────


async def test_a_second_opinion_hears_what_was_decided_and_changes_nothing() -> None:
    heard: list[tuple[str, str, bool]] = []

    class Listening:
        def compare(self, call_id: str, document: Mapping[str, Any], decision: Decision) -> None:
            heard.append((call_id, document["phase"], decision.allow))

    path = Path(shadow=Listening())
    result = await path.call()
    assert heard == [(result.call_id, "tool_call", True), (result.call_id, "result", True)]


async def test_a_hidden_tool_asks_nobody_to_approve_it() -> None:
    policy = policy_of("""
decision := {"allow": false} if input.phase == "tool_list"
else := {"allow": false}
""")
    path = Path(policy)
    with pytest.raises(ToolHidden):
        await path.call()
    assert await path.approvals.listed() == []


async def test_a_redaction_that_breaks_the_promised_output_withholds_it() -> None:
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    typed = tool_of({"response": {"schema": schema}})
    with pytest.raises(ResponseUnusable):
        with_data(typed, ToolResult({"id": 1}, "", truncated=False, size=0), {"id": "[redacted]"})
