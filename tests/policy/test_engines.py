"""What holds for every policy engine: the embedded one, here and in its processes, and a real OPA server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from remit.errors import PolicyDenied, PolicyFailed
from remit.policy.bundle import Bundle, load_policy
from remit.policy.decision import Decision, Deny, Permit
from remit.policy.engine import PolicyEngine
from remit.policy.input import Phase
from support.engines import ENGINES, decisions, running
from support.policy import SAMPLE, person, question

SECRET = "s3cret-4rgument"
engines = pytest.mark.parametrize("name", ENGINES)

# ── one policy, which answers each case in its own way ───────────────────────────────────

NO_DECISION = {
    "true": "true",
    "null": "null",
    "text": '"allow"',
    "undefined in words": '"<undefined>"',
    "number": "1",
    "array": "[]",
    "set": "set()",
    "empty object": "{}",
    "allow as text": '{"allow": "true"}',
    "allow as number": '{"allow": 1}',
    "allow as null": '{"allow": null}',
    "misspelt reasons": '{"allow": true, "reason": []}',
    "misspelt obligations": '{"allow": true, "obligation": []}',
    "obligations as object": '{"allow": true, "obligations": {}}',
    "obligations as null": '{"allow": true, "obligations": null}',
    "obligation as text": '{"allow": true, "obligations": ["limit_lifetime"]}',
    "unknown obligation": '{"allow": true, "obligations": [{"id": "x", "type": "notify", "properties": {}}]}',
    "obligation without id": '{"allow": true, "obligations": [{"type": "limit_lifetime", "properties": {"seconds": 60}}]}',
    "obligation with another member": (
        '{"allow": true, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"seconds": 60}, "if": 1}]}'
    ),
    "no lifetime": '{"allow": true, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"seconds": 0}}]}',
    "half a second": (
        '{"allow": true, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"seconds": 1.5}}]}'
    ),
    "lifetime as text": (
        '{"allow": true, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"seconds": "60"}}]}'
    ),
    "reason as text": '{"allow": true, "reasons": ["x"]}',
    "reason without message": '{"allow": true, "reasons": [{"code": "x"}]}',
    "reason for everybody": '{"allow": true, "reasons": [{"code": "x", "message": "x", "audience": "all"}]}',
    "policy as number": '{"allow": true, "policy": 1}',
    "sixty reasons": '{"allow": true, "reasons": [{"code": "x", "message": n} | some n in split("' + "," * 60 + '", ",")]}',
    "missing fact": '{"allow": input.subject.missing == 1}',
    "fact of something missing": '{"allow": input.subject.missing.more == 1}',
    "count of something missing": '{"allow": count(input.arguments.missing) >= 0}',
    "not a number": '{"allow": to_number(input.arguments.text) > 1}',
    "division by zero": '{"allow": 1 / input.arguments.zero > 1}',
    "text plus number": '{"allow": input.arguments.text + 1 > 1}',
    "not a pattern": '{"allow": regex.match(input.arguments.pattern, "x")}',
    "not JSON": '{"allow": json.unmarshal(input.arguments.text) == 1}',
}  # fmt: skip

SOUND = {
    "permit": '{"allow": true}',
    "deny": '{"allow": false}',
    "sets": (
        '{"allow": true, "policy": "mine/1", "reasons": {{"code": "b", "message": "B"}, {"code": "a", "message": "A"}},'
        ' "obligations": {{"id": "l", "type": "limit_lifetime", "properties": {"seconds": 60}},'
        ' {"id": "s", "type": "narrow_scopes", "properties": {"scopes": {"z", "a", "m"}}},'
        ' {"id": "r", "type": "redact_result", "properties": {"pointers": ["/a/*/b"], "mode": "mask"}},'
        ' {"id": "a", "type": "require_approval", "properties": {"approvers": ["user", "role:lead"], "expires_in": 60}},'
        ' {"id": "u", "type": "step_up", "properties": {"acr_values": ["mfa"], "scopes": ["x"], "max_age": 300}}}}'
    ),
    "told": (
        '{"allow": false, "reasons": [{"code": "a", "message": "not today", "audience": "user"},'
        ' {"code": "b", "message": "inner matters"}]}'
    ),
    "unicode": '{"allow": input.arguments.umlaut == "Jürgen — 山 😀", "policy": "山"}',
    "negated missing fact": '{"allow": ok} if { ok := true; not startswith(input.subject.missing, "x") }',
    "negated argument": '{"allow": ok} if { ok := true; not input.arguments.missing > 1 }',
}  # fmt: skip

_HEAD = "package remit.authz\nimport rego.v1\nimport future.keywords.not\n"


def _rule(case: str, term: str) -> str:
    value, _, condition = term.partition("} if {")
    also = f"; {condition.strip().rstrip('}')}" if condition else ""
    value = value + "}" if condition else value
    return f'decision := {value} if {{ input.arguments.case == "{case}"{also} }}\n'


CASES = Bundle.of(
    {
        "authz.rego": _HEAD
        + 'decision := {"allow": false} if not input.arguments.case\n'
        + 'decision := {"allow": true} if input.arguments.case == "conflict"\n'
        + 'decision := {"allow": false} if { input.arguments.case == "conflict"; input.context.door != "" }\n'
        + "".join(_rule(case, term) for case, term in {**NO_DECISION, **SOUND}.items())
    },
    label="cases",
)
FAILING = [*NO_DECISION, "conflict", "never heard of"]


def asked(case: str) -> dict[str, Any]:
    facts = {"text": SECRET, "pattern": f"({SECRET}", "zero": 0, "umlaut": "Jürgen — 山 😀"}
    return question(arguments={"case": case, **facts}).document()


@cache
def outcomes(name: str) -> dict[str, Decision]:
    """Every case's decision, by one engine that was started once."""
    cases = [*FAILING, *SOUND]
    return dict(zip(cases, decisions(name, CASES, [asked(case) for case in cases]), strict=True))


def is_failure(decision: Decision) -> bool:
    """A deny for want of a decision, which tells the caller nothing but that, and nobody what was asked."""
    with pytest.raises(PolicyFailed) as caught:
        decision.require_permit()
    assert SECRET not in repr(decision)
    assert SECRET not in caught.value.detail
    assert decision.rule == "policy_failed"
    return isinstance(decision, Deny) and [reason.code for reason in decision.reasons] == ["policy_failed"]


@engines
@pytest.mark.parametrize("case", FAILING)
def test_whatever_is_not_exactly_a_permit_denies(name: str, case: str) -> None:
    decision = outcomes(name)[case]
    assert is_failure(decision)
    assert isinstance(decision, Deny)
    assert decision.detail


@engines
def test_a_permit_says_by_which_revision_about_which_input(name: str) -> None:
    decision = outcomes(name)["sets"]
    assert isinstance(decision, Permit)
    assert decision.require_permit() is decision
    assert decision.revision == CASES.revision
    assert decision.revision.startswith("cases@")
    assert "mine/1" in decision.rule
    assert (len(decision.decision_id), len(decision.input_digest)) == (24, 64)
    assert decision.duration_us > 0
    assert [reason.code for reason in decision.reasons] == ["a", "b"]
    assert {obligation.type: dict(obligation.properties) for obligation in decision.obligations} == {
        "limit_lifetime": {"seconds": 60},
        "narrow_scopes": {"scopes": ["a", "m", "z"]},
        "redact_result": {"pointers": ["/a/*/b"], "mode": "mask"},
        "require_approval": {"approvers": ["user", "role:lead"], "expires_in": 60},
        "step_up": {"acr_values": ["mfa"], "scopes": ["x"], "max_age": 300},
    }


@engines
def test_a_deny_raises_what_the_user_may_read_and_keeps_the_rest(name: str) -> None:
    decision = outcomes(name)["told"]
    with pytest.raises(PolicyDenied) as caught:
        decision.require_permit()
    assert caught.value.message == "not today"
    assert [(reason.code, reason.audience) for reason in decision.reasons] == [("a", "user"), ("b", "admin")]
    assert {"a", "b"} <= set(decision.rule.split())


@engines
@pytest.mark.parametrize("case", ["permit", "unicode", "negated missing fact", "negated argument"])
def test_these_are_permits_by_every_engine(name: str, case: str) -> None:
    assert outcomes(name)[case].allow


@engines
def test_no_two_decisions_have_one_id(name: str) -> None:
    found = list(outcomes(name).values())
    assert len({decision.decision_id for decision in found}) == len(found)


@engines
def test_an_obligation_that_cannot_be_enforced_here_denies(name: str) -> None:
    route = question(arguments={"case": "sets"}, supported=("limit_lifetime", "narrow_scopes")).document()
    unsaid = {key: value for key, value in asked("sets").items() if key != "context"}
    for decision in decisions(name, CASES, [route, unsaid]):
        assert is_failure(decision)


# ── one after the other, and many at once ────────────────────────────────────────────────


@engines
def test_in_a_batch_a_failure_denies_one_and_leaves_the_others(name: str) -> None:
    broken = {**asked("permit"), "arguments": {"x": object()}}
    batch = [asked("permit"), broken, asked("deny"), asked("not a number"), asked("permit")]
    decided = decisions(name, CASES, batch)
    assert [decision.allow for decision in decided] == [True, False, False, False, True]
    assert [isinstance(decision, Deny) and decision.failed for decision in decided] == [False, True, False, True, False]
    assert not decided[1].input_digest
    assert decisions(name, CASES, []) == []


@engines
def test_callers_at_once_get_each_their_own_answer(name: str) -> None:
    policy = _HEAD + (
        'decision := {"allow": even, "policy": sprintf("%d", [object.get(input.arguments, "n", 0)])}\n'
        'default even := false\neven if object.get(input.arguments, "n", 1) % 2 == 0'
    )
    documents = [question(arguments={"n": n}).document() for n in range(60)]

    async def main(engine: PolicyEngine) -> list[Decision]:
        return await asyncio.gather(*map(engine.decide, documents))

    decided = with_engine(name, Bundle.of({"authz.rego": policy}), main)
    assert [decision.allow for decision in decided] == [n % 2 == 0 for n in range(60)]
    assert all(str(n) in decision.rule.split() for n, decision in enumerate(decided))


@engines
def test_a_cancelled_decision_does_not_answer_the_next_one(name: str) -> None:
    async def main(engine: PolicyEngine) -> list[Decision]:
        decided = []
        for _ in range(5):
            task = asyncio.create_task(engine.decide(asked("permit")))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            decided.append(await engine.decide(asked("deny")))
        return decided

    decided = with_engine(name, CASES, main)
    assert [(decision.allow, isinstance(decision, Deny) and decision.failed) for decision in decided] == [
        (False, False)
    ] * 5


def with_engine(name: str, bundle: Bundle, use: Callable[[PolicyEngine], Any]) -> Any:
    async def main() -> Any:
        async with running(name, bundle) as engine:
            return await use(engine)

    return asyncio.run(main())


# ── the policies that come with the product ──────────────────────────────────────────────


@engines
def test_the_sample_company_decides_the_same(name: str) -> None:
    intern = person("intern")
    documents = [
        question().document(),
        question("refund_orders", principal=intern, arguments={"id": "O77", "amount": 1}).document(),
        question("refund_orders", phase=Phase.TOOL_LIST, principal=intern).document(),
        question(principal=person("nobody")).document(),
    ]
    codes = [
        (decision.allow, sorted({reason.code for reason in decision.reasons}))
        for decision in decisions(name, load_policy(SAMPLE), documents)
    ]
    assert codes == [
        (True, []),
        (False, ["role_forbids"]),
        (False, ["role_forbids"]),
        (False, ["role_forbids"]),
    ]
