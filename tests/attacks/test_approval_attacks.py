"""What somebody would try to have a call made that nobody approved, and how it ends."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.approvals.approval import ApprovalAnswer, Approver, State, canonical
from remit.call import ToolCall
from remit.catalog.tool import Catalog
from remit.credential import UnverifiedToken
from remit.errors import ApprovalDenied, ApprovalRequired, ApprovalUnusable
from remit.permission.approving import question_of
from remit.permission.panel import Asked
from remit.policy.decision import Decision
from remit.policy.rego import RegoEngine
from remit.principal import Caller
from remit.sts.users import DevelopmentUser
from support.approvals import AGENT
from support.approvals import ALICE as PRINCIPAL
from support.mcp_door import ERAS, FakeBridge, a_tool, call_message, served
from support.path import Path, permit_with
from support.policy import answering, engine, tool
from support.sts import ALICE, ISSUER

pytestmark = pytest.mark.anyio

BY_USER = permit_with("require_approval", '{"approvers": ["user"]}')
BY_LEAD = permit_with("require_approval", '{"approvers": ["role:lead"]}')
LEAD = Approver(ISSUER, "carol", ("lead",))
NOTE = "for_people_with_much_to_say"


async def pending(path: Path, name: str, arguments: Mapping[str, Any]) -> ApprovalRequired:
    with pytest.raises(ApprovalRequired) as caught:
        await path.call(name, arguments)
    return caught.value


def yes(to: ApprovalRequired) -> ApprovalAnswer:
    return ApprovalAnswer(to.approval_id, accepted=True)


# ── arguments that look alike ────────────────────────────────────────────────────────────

ALIKE: list[tuple[Any, Any]] = [
    (1, 1.0),
    (1, True),
    (0, False),
    (0, -0.0),
    (0.0, -0.0),
    (1, "1"),
    (None, "null"),
    (None, []),
    ([], {}),
    ([1, 2], [2, 1]),
    ([[1], 2], [1, [2]]),
    ({"a": 1}, {"a": 1.0}),
    ({"a": {"b": 1}}, {"a": {"c": 1}}),
    ("\u00e9", "e\u0301"),
    ("\u212a", "K"),
    ("a", "\u0430"),
    ("a", "a "),
    ("a", "a\u200b"),
    ("\\n", "\n"),
    ("\\u202e", "\u202e"),
    (2**53 - 1, 2.0**53),
    (1e300, "1e300"),
]


@pytest.mark.parametrize(("approved", "sent"), ALIKE, ids=range(len(ALIKE)))
async def test_arguments_that_look_like_those_approved_are_not_approved(approved: Any, sent: Any) -> None:
    for first, second in ((approved, sent), (sent, approved)):
        path = Path(answering(BY_USER))
        asked = await pending(path, "takes_anything", {"value": first})
        with pytest.raises(ApprovalUnusable):
            await path.call("takes_anything", {"value": second}, answer=yes(asked))
        await path.call("takes_anything", {"value": first}, answer=yes(asked))
        assert (await pending(path, "takes_anything", {"value": second})).approval_id != asked.approval_id
        assert len(path.sent) == 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    # what a text could be mistaken for
    | st.text(max_size=6)
    | st.sampled_from(["true", "1", "null", "[]", '"', '"a"', "\\n", "\\u202e", "\u202e", " "]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(st.text(max_size=4) | st.sampled_from(["a", "b", "a: 1"]), JSON, max_size=3)


@given(ARGUMENTS, ARGUMENTS)
def test_no_two_calls_are_asked_about_in_the_same_words(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = canonical(one) == canonical(other)
    assert (question(one) == question(other)) is same


@given(ARGUMENTS)
def test_no_argument_makes_up_a_line_of_the_question(arguments: dict[str, Any]) -> None:
    lines = question(arguments).splitlines()
    assert len(lines) == len(arguments) + 2
    assert all(line.isprintable() for line in lines)
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in "".join(lines))


def question(arguments: Mapping[str, Any]) -> str:
    call = ToolCall("test", None, "refund_orders", arguments)
    caller = Caller(PRINCIPAL, UnverifiedToken("x"))
    return question_of(Asked(call, caller, AGENT, tool("refund_orders")))


# ── somebody else's approval ─────────────────────────────────────────────────────────────


async def test_an_approval_of_one_call_does_not_do_for_another_that_waits() -> None:
    """Both are alice's, both wait, and the answer names the cheaper one."""
    path = Path(answering(BY_USER))
    cheap, dear = await pending(path, NOTE, {"text": "1"}), await pending(path, NOTE, {"text": "1000"})
    with pytest.raises(ApprovalUnusable):
        await path.call(NOTE, {"text": "1000"}, answer=yes(cheap))
    assert {(await path.approvals.find(each.approval_id)).state for each in (cheap, dear)} == {State.PENDING}
    assert path.sent == []


async def test_a_tool_that_changed_between_question_and_answer_is_asked_about_anew() -> None:
    path = Path(answering(BY_USER))
    asked = await pending(path, NOTE, {"text": "a"})
    reload(path, NOTE)
    with pytest.raises(ApprovalUnusable):
        await path.call(NOTE, {"text": "a"}, answer=yes(asked))
    assert (await pending(path, NOTE, {"text": "a"})).approval_id != asked.approval_id
    assert path.sent == []


async def test_a_tool_that_changed_after_it_was_approved_is_asked_about_anew() -> None:
    path = Path(answering(BY_LEAD))
    asked = await pending(path, NOTE, {"text": "a"})
    await path.approvals.decide(asked.approval_id, LEAD, grant=True, method="operator")
    reload(path, NOTE)
    assert (await pending(path, NOTE, {"text": "a"})).approval_id != asked.approval_id
    assert path.sent == []


def reload(path: Path, name: str) -> None:
    """The tool is another one of the same name."""
    tools = dict(path.catalog.tools)
    tools[name] = replace(tools[name], digest="of another definition")
    path.catalog = Catalog.of(tools.values())


class Changing:
    """A policy that is replaced."""

    revision = "1"

    def __init__(self, inner: RegoEngine) -> None:
        self.inner = inner

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        return await self.inner.decide(document)

    async def decide_many(self, documents: Any) -> list[Decision]:
        return await self.inner.decide_many(documents)

    async def aclose(self) -> None:
        """Nothing runs."""


async def test_a_policy_that_became_stricter_is_not_content_with_the_approval_from_before() -> None:
    policy = Changing(answering(BY_USER))
    path = Path(policy)
    asked = await pending(path, NOTE, {"text": "a"})
    policy.inner = answering(BY_LEAD)
    with pytest.raises((ApprovalRequired, ApprovalUnusable)):
        await path.call(NOTE, {"text": "a"}, answer=yes(asked))
    with pytest.raises(ApprovalRequired) as anew:
        await path.call(NOTE, {"text": "a"})
    assert not anew.value.by_user
    assert path.sent == []


async def test_who_must_ask_a_lead_cannot_answer_with_the_id_they_were_told() -> None:
    path = Path(answering(BY_LEAD))
    asked = await pending(path, NOTE, {"text": "a"})
    for _ in range(2):
        with pytest.raises(ApprovalUnusable):
            await path.call(NOTE, {"text": "a"}, answer=yes(asked))
    lead = DevelopmentUser("dave", name="Dave", scopes=ALICE.scopes, roles=("lead",))
    with pytest.raises(ApprovalUnusable):  # not even a lead, in a call of their own
        await path.call(NOTE, {"text": "a"}, token=path.token(lead), answer=yes(asked))
    assert path.sent == []


# ── asking until somebody gives in ───────────────────────────────────────────────────────


async def test_asking_again_and_again_asks_one_question() -> None:
    path = Path(answering(BY_USER))
    asked = {(await pending(path, NOTE, {"text": "a"})).approval_id for _ in range(20)}
    assert len(asked) == 1
    assert len(await path.approvals.listed()) == 1


async def test_asking_for_ever_other_things_comes_to_an_end_that_asks_nobody() -> None:
    path = Path(answering(BY_USER))
    for number in range(32):
        await pending(path, NOTE, {"text": str(number)})
    with pytest.raises(ApprovalUnusable, match="too many"):
        await path.call(NOTE, {"text": "one more"})
    assert len(await path.approvals.listed()) == 32


async def test_a_no_is_not_asked_away() -> None:
    path = Path(answering(BY_USER))
    asked = await pending(path, NOTE, {"text": "a"})
    for answer in (ApprovalAnswer(asked.approval_id, accepted=False), None):
        with pytest.raises(ApprovalDenied):
            await path.call(NOTE, {"text": "a"}, answer=answer)
    with pytest.raises(ApprovalUnusable):
        await path.call(NOTE, {"text": "a"}, answer=yes(asked))
    with pytest.raises(ApprovalUnusable):
        await path.approvals.decide(asked.approval_id, Approver(ISSUER, "alice"), grant=True, method="operator")
    assert path.sent == []


# ── policy that misreads ─────────────────────────────────────────────────────────────────


async def test_nobody_is_believed_to_have_approved_because_policy_demands_it_only_once() -> None:
    policy = engine(
        "package remit.authz\nimport rego.v1\n"
        f'decision := {BY_USER} if input.context.approval.state == "none"\n'
        'else := {"allow": true}\n'
    )
    path = Path(policy)
    asked = await pending(path, NOTE, {"text": "a"})
    assert (await pending(path, NOTE, {"text": "a"})).approval_id == asked.approval_id
    assert path.sent == []
    await path.call(NOTE, {"text": "a"}, answer=yes(asked))
    assert len(path.sent) == 1


# ── at the door ──────────────────────────────────────────────────────────────────────────

REFUND = {"order_id": 7}


class Clients(FakeBridge):
    """Callers are ``token-USER~CLIENT``."""

    async def identify(self, token: UnverifiedToken | None) -> Caller:
        caller = await super().identify(token)
        user, _, client = caller.principal.subject.partition("~")
        return replace(caller, principal=replace(caller.principal, subject=user, client_id=client))


def clients() -> Clients:
    async def done(_call: ToolCall) -> Any:
        return {"refunded": True}

    bridge = Clients(approvers={"refund": "user"})
    bridge.add(a_tool("refund"), done)
    return bridge


async def post(http: Any, caller: str, **params: Any) -> dict[str, Any]:
    headers, body = call_message("refund", ERAS[0], REFUND)
    headers["Authorization"] = f"Bearer token-{caller}"
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {"form": {}}}
    body["params"] |= params
    answer: dict[str, Any] = (await http.post("/mcp", headers=headers, json=body)).json()
    told: dict[str, Any] = answer.get("result") or answer["error"]
    return told


@pytest.mark.parametrize("other", ["alice~agent-2", "alice~", "bob~agent-1"])
async def test_a_client_cannot_answer_with_the_state_of_another(other: str) -> None:
    bridge = clients()
    async with served(bridge) as at, at.http() as http:
        state = (await post(http, "alice~agent-1"))["requestState"]
        said = {"requestState": state, "inputResponses": {"approval": {"action": "accept"}}}
        assert (await post(http, other, **said))["code"] == -32602
        assert [each.answer for each in bridge.calls] == [None]
        assert (await post(http, "alice~agent-1", **said))["structuredContent"] == {"refunded": True}


CHANGES: list[Callable[[dict[str, Any]], Any]] = [
    lambda body: body["params"].update(arguments={"order_id": 7.0}),
    lambda body: body["params"].update(arguments={"order_id": "7"}),
    lambda body: body["params"].update(arguments={"order_id": 7, "amount": None}),
    lambda body: body["params"].update(arguments=None),
    lambda body: body["params"].pop("arguments"),
]


@pytest.mark.parametrize("change", CHANGES, ids=["float", "text", "one more", "null", "none"])
async def test_a_state_does_not_travel_to_arguments_that_look_alike(change: Callable[[dict[str, Any]], Any]) -> None:
    bridge = clients()
    async with served(bridge) as at, at.http() as http:
        state = (await post(http, "alice~agent-1"))["requestState"]
        said = {"requestState": state, "inputResponses": {"approval": {"action": "accept"}}}
        headers, body = call_message("refund", ERAS[0], REFUND)
        headers["Authorization"] = "Bearer token-alice~agent-1"
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {"form": {}}}
        body["params"] |= said
        change(body)
        answer = (await http.post("/mcp", headers=headers, json=body)).json()
    assert answer["error"]["code"] == -32602
    assert len(bridge.calls) == 1


async def test_a_member_that_stands_twice_is_the_same_to_the_state_and_to_the_call() -> None:
    """One reader that took the first and one that took the last would approve one and send the other."""
    bridge = clients()
    async with served(bridge) as at, at.http() as http:
        state = (await post(http, "alice~agent-1"))["requestState"]
        headers, body = call_message("refund", ERAS[0], REFUND)
        headers["Authorization"] = "Bearer token-alice~agent-1"
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {"form": {}}}
        body["params"] |= {"requestState": state, "inputResponses": {"approval": {"action": "accept"}}}
        text = json.dumps(body, separators=(",", ":"))
        for twice in ('"order_id":7,"order_id":9', '"order_id":9,"order_id":7'):
            content = text.replace('"order_id":7', twice)
            assert content != text
            answer = (
                await http.post("/mcp", headers={**headers, "Content-Type": "application/json"}, content=content)
            ).json()
            if "result" in answer:
                assert bridge.calls[-1].arguments == REFUND
            else:
                assert answer["error"]["code"] in (-32602, -32700, -32600)
    assert all(each.arguments == REFUND for each in bridge.calls)
