"""The user is asked by their client to approve a call, over HTTP and in both eras; and what nobody can talk a door into."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp_types import ElicitRequestFormParams, ElicitResult, ErrorData

from remit.approvals.approval import ApprovalAnswer
from remit.bridge import ToolCall
from remit.errors import TokenExpired
from support.clock import FakeClock
from support.mcp_door import ERAS, FakeBridge, Served, a_tool, call_message, served, text_of

pytestmark = pytest.mark.anyio
eras = pytest.mark.parametrize("era", ERAS)
MODERN = ERAS[0]
KEYS = (b"k" * 32,)
REFUND = {"order_id": 7, "amount": 3}


async def refunded(_call: ToolCall) -> Any:
    return {"refunded": True}


def a_bridge(approver: str = "user") -> FakeBridge:
    bridge = FakeBridge(approvers={"refund": approver, "cancel": approver})
    for name in ("refund", "cancel"):
        bridge.add(a_tool(name), refunded)
    return bridge


class User:
    """Whom the client asks."""

    def __init__(self, *answers: str | ErrorData) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    async def __call__(self, _context: Any, params: Any) -> ElicitResult | ErrorData:
        assert isinstance(params, ElicitRequestFormParams)
        assert params.requested_schema == {"type": "object", "properties": {}}
        self.questions.append(params.message)
        answer = self.answers.pop(0)
        return answer if isinstance(answer, ErrorData) else ElicitResult(action=answer)  # type: ignore[arg-type]


# ── with the official client ─────────────────────────────────────────────────────────────


@eras
async def test_a_call_that_its_user_approves_is_made(era: str) -> None:
    bridge, user = a_bridge(), User("accept")
    async with served(bridge) as at, at.client("token-alice", era, elicitation_callback=user) as client:
        result = await client.call_tool("refund", REFUND)
    assert result.structured_content == {"refunded": True}
    assert user.questions == [f"Allow refund with {REFUND}?"]
    assert [call.answer for call in bridge.calls] == [None, ApprovalAnswer("approval-0", accepted=True)]
    assert [call.arguments for call in bridge.calls] == [REFUND, REFUND]


@eras
async def test_a_call_that_its_user_declines_is_refused(era: str) -> None:
    bridge, user = a_bridge(), User("decline")
    async with served(bridge) as at, at.client("token-alice", era, elicitation_callback=user) as client:
        result = await client.call_tool("refund", REFUND)
        again = await client.call_tool("refund", REFUND)  # without being asked again
    assert result.structured_content["error"]["code"] == "approval_denied"
    assert again.structured_content["error"]["code"] == "approval_denied"


@eras
async def test_a_question_that_is_closed_leaves_the_approval_waiting(era: str) -> None:
    bridge, user = a_bridge(), User("cancel")
    async with served(bridge) as at, at.client("token-alice", era, elicitation_callback=user) as client:
        result = await client.call_tool("refund", REFUND)
        told = result.structured_content["error"]
        assert told == {
            "code": "approval_required",
            "message": "this call needs the approval of user",
            "help": told["help"],
            "approval_id": "approval-0",
            "expires_at": 1_800_000_600,
            "audit_id": "call-0",
        }
        assert [call.answer for call in bridge.calls] == [None]
        bridge.approvals["approval-0"].state = "approved"  # elsewhere
        assert not (await client.call_tool("refund", REFUND)).is_error
    assert len(user.questions) == 1


@eras
async def test_a_client_that_cannot_ask_is_told_how_else_it_is_approved(era: str) -> None:
    bridge = a_bridge()
    async with served(bridge) as at, at.client("token-alice", era) as client:
        result = await client.call_tool("refund", REFUND)
        assert result.is_error
        assert "`remit approvals grant approval-0`" in text_of(result)
        assert "Call it again, unchanged" in text_of(result)
        bridge.approvals["approval-0"].state = "approved"
        assert not (await client.call_tool("refund", REFUND)).is_error


@eras
async def test_what_somebody_else_has_to_approve_is_not_asked_of_the_user(era: str) -> None:
    bridge, user = a_bridge("role:lead"), User()
    async with served(bridge) as at, at.client("token-alice", era, elicitation_callback=user) as client:
        result = await client.call_tool("refund", REFUND)
    assert text_of(result).startswith("This call needs the approval of role:lead. Nothing was called.")
    assert user.questions == []


async def test_a_slow_user_does_not_silence_the_call() -> None:
    told = asyncio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.set()

    async def user(_context: Any, _params: Any) -> ElicitResult:
        await told.wait()
        return ElicitResult(action="accept")

    async with served(a_bridge()) as at, at.client("token-alice", "legacy", elicitation_callback=user) as client:
        result = await client.call_tool("refund", REFUND, progress_callback=hear)
    assert not result.is_error


@eras
async def test_many_users_are_asked_at_once_and_each_answers_for_their_own_call(era: str) -> None:
    bridge = a_bridge()

    async def call_of(number: int) -> None:
        accepts = number % 2 == 0
        user = User("accept" if accepts else "decline")
        async with at.client(f"token-user{number}", era, elicitation_callback=user) as client:
            result = await client.call_tool("refund", REFUND)
        assert bool(result.is_error) is not accepts

    async with served(bridge) as at:
        await asyncio.gather(*(call_of(number) for number in range(12)))
    assert len(bridge.calls) == 24


# ── 2026-07-28: the question is a result, the answer comes with the call made again ──────

FORMS: dict[str, Any] = {"elicitation": {"form": {}}}


class Wire:
    """A client that writes what it likes."""

    def __init__(self, http: Any) -> None:
        self.http = http

    async def call(
        self,
        name: str = "refund",
        arguments: Any = None,
        *,
        caller: str = "alice",
        capabilities: Any = None,
        **params: Any,
    ) -> dict[str, Any]:
        """What came back: a result, or an error."""
        headers, body = call_message(name, MODERN, REFUND if arguments is None else arguments)
        headers["Authorization"] = f"Bearer token-{caller}"
        declared = FORMS if capabilities is None else capabilities
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = declared
        body["params"] |= params
        answer: dict[str, Any] = (await self.http.post("/mcp", headers=headers, json=body)).json()
        told: dict[str, Any] = answer.get("result") or answer["error"]
        return told

    async def asked(self) -> str:
        """Have the user asked; the state that has to come back."""
        result = await self.call()
        assert result["resultType"] == "input_required"
        return str(result["requestState"])


def answered(action: str) -> dict[str, Any]:
    return {"approval": {"action": action}}


@asynccontextmanager
async def wire(bridge: FakeBridge, **door: Any) -> AsyncIterator[Wire]:
    async with served(bridge, **door) as at, at.http() as http:
        yield Wire(http)


async def test_the_state_tells_the_client_nothing() -> None:
    async with wire(a_bridge()) as client:
        state = await client.asked()
    assert "approval" not in state


async def test_an_answer_counts_once() -> None:
    bridge = a_bridge()
    async with wire(bridge) as client:
        state = await client.asked()
        first = await client.call(requestState=state, inputResponses=answered("accept"))
        second = await client.call(requestState=state, inputResponses=answered("accept"))
    assert first["structuredContent"] == {"refunded": True}
    assert second["structuredContent"]["error"]["code"] == "approval_unusable"


@pytest.mark.parametrize(
    "changed",
    [
        {"caller": "bob"},
        {"name": "cancel"},
        {"arguments": {"order_id": 7, "amount": 300}},
        {"arguments": {}},
        {"requestState": "v1.tampered"},
        {"requestState": ""},
        {"requestState": '{"approval_id": "approval-0"}'},
    ],
    ids=["another user", "another tool", "other arguments", "no arguments", "made up", "empty", "in the clear"],
)
async def test_a_state_is_good_for_nothing_but_its_own_call(changed: dict[str, Any]) -> None:
    bridge = a_bridge()
    async with wire(bridge) as client:
        state = await client.asked()
        error = await client.call(**{"requestState": state, "inputResponses": answered("accept"), **changed})
    assert (error["code"], error["message"]) == (-32602, "Invalid or expired requestState")
    assert len(bridge.calls) == 1


async def test_any_change_to_a_state_spoils_it() -> None:
    bridge = a_bridge()
    async with wire(bridge) as client:
        state = await client.asked()
        for at in range(3, len(state), 17):
            spoilt = state[:at] + ("A" if state[at] != "A" else "B") + state[at + 1 :]
            error = await client.call(requestState=spoilt, inputResponses=answered("accept"))
            assert error["code"] == -32602
    assert len(bridge.calls) == 1


async def test_another_process_takes_the_answer_if_it_has_the_keys() -> None:
    bridge = a_bridge()
    async with wire(bridge, state_keys=KEYS) as client:
        state = await client.asked()
    async with wire(bridge, state_keys=(b"n" * 32,)) as client:
        assert (await client.call(requestState=state, inputResponses=answered("accept")))["code"] == -32602
    async with wire(bridge, state_keys=(b"n" * 32, *KEYS)) as client:
        result = await client.call(requestState=state, inputResponses=answered("accept"))
    assert result["structuredContent"] == {"refunded": True}


@pytest.mark.parametrize("what", ["no state", "no answer", "no answer to this", "another kind of answer"])
async def test_half_of_an_answer_is_none_and_has_the_user_asked(what: str) -> None:
    bridge = a_bridge()
    async with wire(bridge) as client:
        state = await client.asked()
        params: dict[str, Any] = {"requestState": state, "inputResponses": answered("accept")}
        match what:
            case "no state":
                del params["requestState"]
            case "no answer":
                del params["inputResponses"]
            case "no answer to this":
                params["inputResponses"] = {"other": {"action": "accept"}}
            case _:
                params["inputResponses"] = {"approval": {"roots": []}}
        result = await client.call(**params)
    assert result["resultType"] == "input_required"
    assert [call.answer for call in bridge.calls] == [None, None]


@pytest.mark.parametrize("reply", [{"action": "yes"}, {"action": True}, {}, "accept", None, {"action": ["accept"]}])
async def test_an_answer_of_another_shape_makes_no_call(reply: Any) -> None:
    bridge = a_bridge()
    async with wire(bridge) as client:
        state = await client.asked()
        await client.call(requestState=state, inputResponses={"approval": reply})
    assert all(call.answer is None for call in bridge.calls)
    assert bridge.approvals["approval-0"].state == "pending"


@pytest.mark.parametrize("capabilities", [{}, {"elicitation": {"url": {}}}], ids=["none", "URLs alone"])
async def test_a_client_that_shows_no_forms_cannot_have_asked(capabilities: Any) -> None:
    bridge = a_bridge()
    async with wire(bridge) as client:
        state = await client.asked()
        result = await client.call(requestState=state, inputResponses=answered("accept"), capabilities=capabilities)
    assert result["structuredContent"]["error"]["code"] == "approval_required"
    assert [call.answer for call in bridge.calls] == [None, None]


async def test_a_client_that_names_no_mode_shows_forms() -> None:
    async with wire(a_bridge()) as client:
        assert (await client.call(capabilities={"elicitation": {}}))["resultType"] == "input_required"


async def test_a_state_of_nobody_who_is_known_is_refused() -> None:
    """The token is good at the guard and no more when its state is opened."""

    class Late(FakeBridge):
        times = 0

        async def identify(self, token: Any) -> Any:
            self.times += 1
            if self.times == 2:
                raise TokenExpired("the token has expired")
            return await super().identify(token)

    bridge = Late()
    bridge.add(a_tool("refund"), refunded)
    async with wire(bridge) as client:
        error = await client.call(requestState="v1.x", inputResponses=answered("accept"))
    assert error["data"]["error"]["code"] == "token_expired"
    assert bridge.calls == []


# ── the handshake era: asked on the call's own response, answered by another POST ────────

LABEL = "0123-asks"


class Asking:
    """A call of that era under way, whose client sees the raw events of its response."""

    def __init__(self, at: Served, http: Any) -> None:
        self.at = at
        self.http = http
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def call(self, label: str = LABEL) -> int:
        headers, body = call_message("refund", "legacy", REFUND)
        headers["Mcp-Session-Id"] = label
        async with self.http.stream("POST", "/mcp", headers=headers, json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    self.events.put_nowait(json.loads(line.removeprefix("data: ")))
        return int(response.status_code)

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            return await self.events.get()

    async def say(self, message: Any, *, label: str = LABEL, caller: str = "alice") -> None:
        headers, _ = call_message("refund", "legacy")
        told = {**headers, "Authorization": f"Bearer token-{caller}", "Mcp-Session-Id": label}
        response = await self.http.post("/mcp", headers=told, json={"jsonrpc": "2.0", **message})
        assert response.status_code == 202


@asynccontextmanager
async def asking(bridge: FakeBridge, clock: FakeClock | None = None) -> AsyncIterator[Asking]:
    async with served(bridge, clock) as at, at.http() as http:
        yield Asking(at, http)


async def test_only_the_caller_can_answer_on_the_same_label() -> None:
    bridge = a_bridge()
    async with asking(bridge) as wire:
        calling = asyncio.create_task(wire.call())
        question = await wire.next()
        assert question["method"] == "elicitation/create"
        accept = {"id": question["id"], "result": {"action": "accept"}}
        await wire.say(accept, caller="bob")
        await wire.say(accept, label="another-asks")
        await wire.say({**accept, "id": 1})
        assert len(bridge.calls) == 1
        await wire.say(accept)
        assert (await wire.next())["result"]["structuredContent"] == {"refunded": True}
        await calling
    assert len(bridge.calls) == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"result": {"action": "cancel"}},
        {"result": {"action": ["accept"]}},
        {"result": {}},
        {"error": {"code": -32600, "message": "no"}},
    ],
)
async def test_what_is_no_answer_leaves_the_approval_waiting(answer: dict[str, Any]) -> None:
    bridge = a_bridge()
    async with asking(bridge) as wire:
        calling = asyncio.create_task(wire.call())
        await wire.say({"id": (await wire.next())["id"], **answer})
        result = (await wire.next())["result"]
        await calling
    assert result["structuredContent"]["error"]["code"] == "approval_required"
    assert bridge.approvals["approval-0"].state == "pending"


async def test_nobody_is_waited_for_longer_than_the_approval_lasts() -> None:
    bridge = a_bridge()
    async with asking(bridge, FakeClock(bridge.now + bridge.approval_seconds - 0.05)) as wire:
        calling = asyncio.create_task(wire.call())
        question = await wire.next()
        assert (await wire.next())["result"]["structuredContent"]["error"]["code"] == "approval_required"
        await calling
        await wire.say({"id": question["id"], "result": {"action": "accept"}})  # too late
    assert len(bridge.calls) == 1


async def test_a_client_whose_label_says_no_forms_is_not_asked() -> None:
    async with asking(a_bridge()) as wire:
        assert await wire.call("0123") == 200
        assert (await wire.next())["result"]["isError"]


async def test_a_call_that_is_cancelled_while_its_user_is_asked_is_not_made() -> None:
    bridge = a_bridge()
    async with asking(bridge) as wire:
        calling = asyncio.create_task(wire.call())
        question = await wire.next()
        await wire.say({"method": "notifications/cancelled", "params": {"requestId": 1}})
        await calling
        await wire.say({"id": question["id"], "result": {"action": "accept"}})
    assert len(bridge.calls) == 1


async def test_a_client_that_goes_away_while_its_user_is_asked_makes_no_call() -> None:
    bridge = a_bridge()
    async with asking(bridge) as wire:
        calling = asyncio.create_task(wire.call())
        question = await wire.next()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        conversations = wire.at.door._guard._app
        async with asyncio.timeout(5):
            while conversations._questions or conversations._calls:  # type: ignore[attr-defined]
                await asyncio.sleep(0.005)
        await wire.say({"id": question["id"], "result": {"action": "accept"}})
    assert len(bridge.calls) == 1
