from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import PolicyDenied, PolicyFailed, PolicyInvalid
from remit.policy.bundle import Bundle, load_policy
from remit.policy.decision import Decision, Deny, Permit
from remit.policy.input import Phase
from remit.policy.rego import RegoEngine
from support.clock import FakeClock
from support.policy import SAMPLE, answering, decide, engine, person, question

HEAD = "package remit.authz\nimport rego.v1\n"


def is_failure(decision: Decision) -> bool:
    """A deny for want of a decision, which tells the caller nothing but that."""
    with pytest.raises(PolicyFailed):
        decision.require_permit()
    return isinstance(decision, Deny) and [reason.code for reason in decision.reasons] == ["policy_failed"]


# ── deciding ─────────────────────────────────────────────────────────────────────────────


def test_a_permit_says_by_which_rule_of_which_revision() -> None:
    bundle = Bundle.of({"p/authz.rego": HEAD + 'decision := {"allow": true, "reasons": [], "policy": "mine/1"}'})
    decision = decide(RegoEngine(bundle, FakeClock()), question())
    assert isinstance(decision, Permit)
    assert decision.require_permit() is decision
    assert decision.rule == "mine/1 (p/authz.rego:3)"
    assert decision.revision == bundle.revision
    assert len(decision.decision_id) == 24
    assert len(decision.input_digest) == 64
    assert decision.obligations == ()


def test_a_deny_raises_what_the_user_may_read_and_keeps_the_rest() -> None:
    decision = decide(
        answering(
            '{"allow": false, "reasons": [{"code": "a", "message": "not today", "audience": "user"},'
            ' {"code": "b", "message": "inner matters"}]}'
        ),
        question(),
    )
    with pytest.raises(PolicyDenied) as caught:
        decision.require_permit()
    assert caught.value.message == "not today"
    assert [(reason.code, reason.audience) for reason in decision.reasons] == [("a", "user"), ("b", "admin")]
    assert decision.rule == "a (authz.rego:4) b (authz.rego:4)"


@pytest.mark.parametrize(
    "term",
    [
        "true",
        "null",
        '"allow"',
        "1",
        "[]",
        "{}",
        '{"allow": "true"}',
        '{"allow": 1}',
        '{"allow": null}',
        '{"allow": true, "reason": []}',
        '{"allow": true, "obligation": []}',
        '{"allow": true, "obligations": {}}',
        '{"allow": true, "obligations": null}',
        '{"allow": true, "obligations": [{"id": "x", "type": "redact_result", "properties": {}}]}',
        '{"allow": true, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"seconds": 0}}]}',
        '{"allow": true, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"seconds": "60"}}]}',
        '{"allow": true, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"seconds": 1.5}}]}',
        '{"allow": true, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"seconds": true}}]}',
        '{"allow": true, "obligations": [{"id": "x", "type": "limit_lifetime", "properties": {"second": 60}}]}',
        '{"allow": true, "obligations": [{"id": "x", "type": "narrow_scopes", "properties": {"scopes": "all"}}]}',
        '{"allow": true, "obligations": [{"id": "x", "type": "narrow_scopes", "properties": {"scopes": [1]}}]}',
        '{"allow": true, "obligations": [{"type": "limit_lifetime", "properties": {"seconds": 60}}]}',
        '{"allow": true, "obligations": ["limit_lifetime"]}',
        '{"allow": true, "reasons": ["x"]}',
        '{"allow": true, "reasons": [{"code": "x"}]}',
        '{"allow": true, "reasons": [{"code": "", "message": "x"}]}',
        '{"allow": true, "reasons": [{"code": "x", "message": "x", "audience": "all"}]}',
        '{"allow": true, "reasons": [{"code": "x", "message": "x", "extra": 1}]}',
        '{"allow": true, "policy": 1}',
        '{"allow": true, "reasons": [{"code": "x", "message": "x"} | some n in split("' + "," * 60 + '", ",")]}',
    ],
)
def test_whatever_is_not_exactly_a_permit_denies(term: str) -> None:
    assert is_failure(decide(answering(term), question()))


@pytest.mark.parametrize(
    "rules",
    [
        'decision := {"allow": true} if input.subject.missing == 1',
        'decision := {"allow": true} if count(input.arguments.id2) > 1',
        'decision := {"allow": true} if { input.subject.id != ""; to_number(input.arguments.id) > 1 }',
        'decision := {"allow": true} if input.subject.id != ""\ndecision := {"allow": false} if input.context.door != ""',
    ],
    ids=["undefined", "undefined-argument", "error", "conflict"],
)
def test_an_evaluation_without_an_answer_denies(rules: str) -> None:
    sound = engine(HEAD + 'decision := {"allow": false} if input.subject.id == ""\n' + rules)
    assert is_failure(decide(sound, question()))
    assert is_failure(decide(sound, question())), "and the engine denies again"


def test_a_failed_evaluation_says_where_but_quotes_no_argument() -> None:
    decision = decide(answering('{"allow": to_number(input.arguments.id) > 1}'), question(arguments={"id": "s3cret"}))
    assert isinstance(decision, Deny)
    assert "authz.rego:4" in decision.detail
    assert "s3cret" not in repr(decision)


def test_after_a_failed_evaluation_the_next_caller_is_judged_on_their_own() -> None:
    sound = answering('{"allow": to_number(input.arguments.id) > 1}')
    decisions = [decide(sound, question(arguments={"id": text})) for text in ("2", "x", "0", "2")]
    assert [(decision.allow, isinstance(decision, Deny) and decision.failed) for decision in decisions] == [
        (True, False),
        (False, True),
        (False, False),
        (True, False),
    ]


def test_a_document_that_is_not_json_denies() -> None:
    sound = answering('{"allow": true}')
    document = {**question().document(), "arguments": {"x": object()}}
    assert is_failure(asyncio.run(sound.decide(document)))


def test_in_a_batch_a_failure_denies_one_and_leaves_the_others() -> None:
    sound = answering('{"allow": input.arguments.id == "yes"}')
    good, bad = question(arguments={"id": "yes"}).document(), question(arguments={"id": "no"}).document()
    broken = {**good, "arguments": {"x": object()}}
    decisions = asyncio.run(sound.decide_many([good, broken, bad, good]))
    assert [decision.allow for decision in decisions] == [True, False, False, True]
    assert is_failure(decisions[1])


def test_input_the_engine_refuses_does_not_leave_the_one_before() -> None:
    sound = answering('{"allow": input.arguments.id == "yes"}')
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    good = question(arguments={"id": "yes"}).document()
    decisions = asyncio.run(sound.decide_many([good, {**good, "arguments": {"id": deep}}, good]))
    assert [decision.allow for decision in decisions] == [True, False, True]
    assert is_failure(decisions[1])


def test_a_large_batch_lets_other_work_go_on() -> None:
    sound = answering('{"allow": true}')
    documents = [question().document()] * 100

    async def main() -> int:
        batch = asyncio.create_task(sound.decide_many(documents))
        turns = 0
        while not batch.done():
            await asyncio.sleep(0)
            turns += 1
        assert all(decision.allow for decision in batch.result())
        return turns

    assert asyncio.run(main()) > 3


def test_callers_that_alternate_are_never_mixed_up() -> None:
    sample = RegoEngine(load_policy(SAMPLE), FakeClock())
    small = {"id": "O77", "amount": 1}

    async def main() -> None:
        async def ask(role: str) -> None:
            for _ in range(50):
                decision = await sample.decide(
                    question("refund_orders", principal=person(role), arguments=small).document()
                )
                assert decision.allow is (role == "support-lead")
                await asyncio.sleep(0)

        await asyncio.gather(*(ask(role) for role in ("support-lead", "intern", "stranger") * 3))

    asyncio.run(main())


#: What policy can be asked about: neither NUL nor half a character.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)


@settings(max_examples=100)
@given(
    st.sampled_from(["support-lead", "intern", "x"]),
    st.sampled_from(["get_orders", "refund_orders", "get_payments", "refund_hr"]),
    st.sampled_from(list(Phase)),
    st.dictionaries(st.sampled_from(["id", "amount"]), st.integers(-10, 100_000) | TEXT | st.none()),
)
def test_an_engine_that_has_answered_before_answers_like_a_new_one(
    role: str, name: str, phase: Phase, arguments: dict[str, Any]
) -> None:
    asked = question(name, principal=person(role), phase=phase, arguments=arguments)
    used, new = decide(USED, asked), decide(RegoEngine(load_policy(SAMPLE), FakeClock()), asked)
    assert (used.allow, used.reasons, used.obligations) == (new.allow, new.reasons, new.obligations)


USED = RegoEngine(load_policy(SAMPLE), FakeClock())


def test_another_thread_gets_a_deny() -> None:
    sound = answering('{"allow": true}')
    decisions: list[Decision] = []
    thread = threading.Thread(target=lambda: decisions.append(decide(sound, question())))
    thread.start()
    thread.join()
    assert is_failure(decisions[0])
    assert decide(sound, question()).allow


# ── loading ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "where", "says"),
    [
        ("package remit.authz\nallow { true }\n", "authz.rego:2:7", "`if` keyword"),
        (HEAD + "decision := x if { y == 1 }\n", "authz.rego:3:20", "unsafe"),
        (HEAD + 'decision := {"allow": http.send({}).ok}\n', "authz.rego:3:23", "http.send"),
        (HEAD + 'decision := {"allow": false}\nx if {\n\tnot nosuch(1)\n}\n', "authz.rego:5:6", "nosuch"),
        (HEAD + 'decision := {"allow": http["send"]({}).ok}\n', "authz.rego:3:23", "computed"),
        (HEAD + 'decision := {"allow": time.now_ns() > 1}\n', "authz.rego:3:23", "time.now_ns"),
        (HEAD + 'decision := {"allow": opa.runtime().env.X == "1"}\n', "authz.rego:3:23", "opa.runtime"),
        (HEAD + 'decision := {"allow": rand.intn("a", 2) == 1}\n', "authz.rego:3:23", "rand.intn"),
        (HEAD + 'decision := {"allow": io.jwt.decode("a")[0]}\n', "authz.rego:3:23", "io.jwt.decode"),
        (HEAD + 'decision := {"allow": print("x")}\n', "authz.rego:3:23", "print"),
        (HEAD + 'import rego.v2\ndecision := {"allow": false}\n', "authz.rego:3:1", "rego.v2"),
        (HEAD + 'import future.keywords.maybe\ndecision := {"allow": false}\n', "authz.rego:3:1", "maybe"),
        (
            HEAD + 'decision := {"allow": false}\nx if count([1]) == 1 with count as http.send\n',
            "authz.rego:4:22",
            "with may replace",
        ),
        (
            HEAD + 'decision := {"allow": false}\nf(x) := x\ny if f(1) == 1 with data.remit.authz.f as 3\n',
            "authz.rego:5:16",
            "with may replace",
        ),
        ("package remit.other\nimport rego.v1\nx := 1\n", "", "no file defines data.remit.authz.decision"),
        (HEAD + "decision := true\n", "authz.rego", "no usable decision for tool_list"),
        (HEAD + 'decision := {"allow": true} if input.phase == "tool_list"\n', "authz.rego", "for tool_call"),
        (HEAD + 'decision := {"allow": false}\ndecision := {"allow": true}\n', "authz.rego:4:1", "rule conflicts"),
        ("package remit.authz\nimport rego.v1\n" + "#" * 1_000_001, "authz.rego", "cannot be used"),
    ],
)
def test_a_policy_that_must_not_be_used_is_refused_with_its_place(source: str, where: str, says: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        engine(source)
    assert caught.value.where.startswith(where)
    assert says in caught.value.message
    assert "Stack backtrace" not in caught.value.detail


@pytest.mark.parametrize("package", ["remit_data.roles", 'remit_data["roles"]'])
def test_rules_may_not_lie_where_the_data_is(package: str) -> None:
    modules = {
        "a.rego": HEAD + 'decision := {"allow": false}',
        "b.rego": f"package {package}\nimport rego.v1\nx := 1",
    }
    with pytest.raises(PolicyInvalid) as caught:
        RegoEngine(Bundle.of(modules, {"roles": {}}), FakeClock())
    assert caught.value.where == "b.rego:1:1"


def test_own_functions_may_be_called_however_they_are_named() -> None:
    modules = {
        "authz.rego": HEAD
        + "import data.remit.lib\nimport data.remit.lib.tall as high\nimport data.remit.lib.tall\n"
        + 'decision := {"allow": ok}\ndefault ok := false\n'
        + "ok if { own(1); lib.tall(2); high(3); tall(4); data.remit.lib.tall(5); data.remit.authz.own(1) }\n"
        + "own(x) if x == 1\ndefault own(_) := false\n",
        "lib.rego": "package remit.lib\nimport rego.v1\ntall(x) if x > 1\n",
    }
    assert decide(RegoEngine(Bundle.of(modules), FakeClock()), question()).allow


def test_with_may_replace_input_and_data() -> None:
    sound = engine(
        HEAD
        + 'decision := {"allow": x}\ndefault x := false\nx if ok with input.phase as "none"\nok if input.phase == "none"'
    )
    assert decide(sound, question()).allow


def test_every_objection_is_in_the_detail() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        engine(HEAD + 'decision := {"allow": f(1)}\nx := http.send({})\n')
    assert "authz.rego:3:23" in caught.value.detail
    assert "authz.rego:4:6" in caught.value.detail


def test_a_long_line_is_no_trouble() -> None:
    names = ", ".join(f'"name-{number}"' for number in range(1000))
    sound = engine(HEAD + f'names := [{names}]\ndecision := {{"allow": "name-7" in names}}')
    assert decide(sound, question()).allow
