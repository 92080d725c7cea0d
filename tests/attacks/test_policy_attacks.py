"""What somebody would try to get round policy, and how it ends."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

import httpx
import pytest

from remit.approvals.approval import ApprovalAnswer
from remit.clock import SystemClock
from remit.errors import (
    ApprovalRequired,
    DownstreamRefused,
    PolicyFailed,
    PolicyInvalid,
    RemitError,
    ResultWithheld,
    SettingsInvalid,
    SetupError,
    ToolUnknown,
)
from remit.policy.bundle import Bundle, load_policy
from remit.policy.decision import Basis, Decision, failed
from remit.policy.engine import PolicyEngine
from remit.policy.live import LivePolicy
from remit.policy.obligations import Redaction, StepUp
from remit.policy.process import ProcessEngine
from remit.policy.redaction import redacted
from remit.policy.rego import RegoEngine
from support.clock import FakeClock
from support.path import DENY_SILENTLY, PERMIT, Path, permit_with
from support.policy import NOW, answering, engine, person

pytestmark = pytest.mark.anyio

KEY = b"k" * 32


def policy_of(body: str) -> RegoEngine:
    return engine(f"package remit.authz\nimport rego.v1\n{body}\n")


def redacting(*pointers: str, mode: str = "remove") -> str:
    listed = ", ".join(f'"{pointer}"' for pointer in pointers)
    return permit_with("redact_result", f'{{"pointers": [{listed}], "mode": "{mode}"}}')


def phased(**answers: str) -> RegoEngine:
    """A policy with one answer for each phase that is named, and a plain permit for the others."""
    rules = "\n".join(f'decision := {answer} if input.phase == "{phase}"' for phase, answer in answers.items())
    named = ", ".join(f'"{phase}"' for phase in answers)
    return policy_of(f'{rules}\ndecision := {{"allow": true}} if not input.phase in {{{named}}}')


# ── obligations ──────────────────────────────────────────────────────────────────────────

TOO_LATE = [
    ("require_approval", '{"approvers": ["user"]}'),
    ("step_up", '{"acr_values": ["mfa"]}'),
    ("limit_lifetime", '{"seconds": 5}'),
    ("narrow_scopes", '{"scopes": ["orders:less"]}'),
]


@pytest.mark.parametrize(("kind", "properties"), TOO_LATE)
async def test_a_demand_that_comes_with_the_answer_alone_is_not_passed_over(kind: str, properties: str) -> None:
    path = Path(phased(result=permit_with(kind, properties)))
    with pytest.raises(ResultWithheld, match="the API acted"):
        await path.call()
    assert path.outcome["error"] == {"code": "result_withheld", "detail": kind}


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("step_up", '{"scopes": ["orders:read"]}'),
        ("limit_lifetime", '{"seconds": 5}'),
        ("narrow_scopes", '{"scopes": ["orders:read", "orders:write"]}'),
    ],
)
async def test_a_demand_that_was_met_before_the_call_holds_up_no_answer(kind: str, properties: str) -> None:
    await Path(answering(permit_with(kind, properties))).call()


async def test_an_approval_that_another_person_gave_does_not_do_for_the_answer() -> None:
    path = Path(
        phased(
            tool_call=permit_with("require_approval", '{"approvers": ["user"]}'),
            result=permit_with("require_approval", '{"approvers": ["role:lead"]}'),
        )
    )
    with pytest.raises(ApprovalRequired) as caught:
        await path.call()
    with pytest.raises(ResultWithheld):
        await path.call(answer=ApprovalAnswer(caught.value.approval_id, accepted=True))


async def test_an_answer_too_deep_for_policy_is_withheld_and_nobody_is_told_that_nothing_happened() -> None:
    deep: Any = 1
    for _ in range(62):
        deep = [deep]
    with pytest.raises(ResultWithheld, match="the API acted"):
        await Path(answering(PERMIT), httpx.Response(200, json=deep)).call()


async def test_a_tool_that_names_no_scope_does_not_get_all_of_them_past_a_narrowing() -> None:
    """The token service gives whatever it may where nothing is asked for."""
    path = Path(answering(permit_with("narrow_scopes", '{"scopes": ["orders:read"]}')))
    await path.call("get_order")
    with pytest.raises(PolicyFailed):
        await path.call("without_scopes", {})
    assert [request.scopes for request in path.service.asked] == [("orders:read",)]


@pytest.mark.parametrize(
    ("auth_time", "met"),
    [(NOW, True), (NOW - 300, True), (NOW + 30, True), (NOW - 301, False), (NOW + 3600, False), (NOW * 1000, False)],
)
def test_a_sign_in_that_is_yet_to_be_is_not_a_recent_one(auth_time: int, met: bool) -> None:
    assert StepUp(max_age=300).is_met(person(auth_time=auth_time), NOW) is met


def test_without_a_time_nobody_signed_in_recently() -> None:
    assert not StepUp(max_age=86_400).is_met(person(auth_time=0), 100)


# ── what is hidden ───────────────────────────────────────────────────────────────────────


@dataclass(eq=False)
class Overloaded:
    """An engine that can be brought to where it decides nothing any more."""

    inner: RegoEngine
    is_down: bool = False
    revision: str = "1"

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        return failed(Basis("d", "1"), "1000 wait") if self.is_down else await self.inner.decide(document)

    async def decide_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        return [await self.decide(document) for document in documents]

    async def aclose(self) -> None:
        """Nothing runs."""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("get_order", {"id": "O1"}), ("get_order", {"id": 7}), ("get_order", {}), ("no_such_tool", {"id": "O1"})],
    ids=["hidden", "hidden, wrong arguments", "hidden, no arguments", "unknown"],
)
async def test_overloading_policy_does_not_tell_hidden_tools_from_unknown_ones(
    name: str, arguments: dict[str, Any]
) -> None:
    policy = Overloaded(answering(DENY_SILENTLY))
    path = Path(policy)
    with pytest.raises(ToolUnknown):
        await path.call(name, arguments)
    policy.is_down = True
    with pytest.raises(PolicyFailed):
        await path.call(name, arguments)
    assert path.sent == []


# ── redaction ────────────────────────────────────────────────────────────────────────────

#: More than the 64 KiB that a tool gives back.
LONG = [{"id": number, "tax": f"zq-tax-{number}", "pad": "x" * 200} for number in range(500)]


@pytest.mark.parametrize("mode", ["remove", "mask", "hash"])
async def test_asking_for_so_much_that_the_list_is_cut_hides_no_less(mode: str) -> None:
    result = (await Path(answering(redacting("/*/tax", mode=mode)), httpx.Response(200, json=LONG)).call()).result
    assert result.truncated
    assert result.data["truncated"] is True
    assert len(result.data["items"]) > 100
    assert "zq-tax" not in result.text + str(result.data)


async def test_asking_for_so_much_that_the_list_is_cut_is_denied_all_the_same() -> None:
    policy = policy_of("""
decision := {"allow": count(taxed) == 0}
taxed := [item | item := input.result.data[_]; item.tax]
""")
    with pytest.raises(ResultWithheld):
        await Path(policy, httpx.Response(200, json=LONG)).call()


@pytest.mark.parametrize(
    ("pointers", "left"),
    [
        (["/0", "/1"], [3, 4]),
        (["/1", "/0", "/1"], [3, 4]),
        (["/*"], []),
        (["/0", "/0", "/3"], [2, 3]),
    ],
)
def test_removing_one_item_of_a_list_moves_no_other_out_of_a_pointers_way(pointers: list[str], left: Any) -> None:
    steps = tuple((pointer[1:],) for pointer in pointers)
    assert redacted([1, 2, 3, 4], [Redaction(steps, "remove")], KEY) == left
    assert redacted([1, 2, 3, 4], [Redaction((step,), "remove") for step in steps], KEY) == left


def test_what_was_removed_does_not_come_back_as_a_mask_or_hash() -> None:
    first = Redaction((("a", "0"),), "remove")
    for mode in ("mask", "hash"):
        again = redacted({"a": ["zq", 2]}, [first, Redaction((("a", "0"),), mode)], KEY)
        assert again == {"a": [2]}
    whole = redacted({"a": ["zq", 2]}, [first, Redaction((("a",),), "hash")], KEY)
    assert whole == redacted({"a": [2]}, [Redaction((("a",),), "hash")], KEY)


#: The tool ``quoting`` says of a 409: ``In use: {{message}}``.
IN_USE = httpx.Response(409, json={"message": "zq-held-by-carol"})
DENY_RESULT = '{"allow": false, "reasons": []}'


@pytest.mark.parametrize(
    "policy",
    [
        lambda: answering(redacting("/message")),
        lambda: phased(result=redacting("/message")),
        lambda: phased(result=redacting("/anything", mode="hash")),
        lambda: phased(result=DENY_RESULT),
        lambda: policy_of('decision := {"allow": true} if input.result.status in {0, 200}'),
        lambda: phased(result=permit_with("require_approval", '{"approvers": ["user"]}')),
    ],
    ids=["call", "result", "elsewhere", "denied", "undecided", "not approved"],
)
async def test_an_api_that_is_made_to_fail_does_not_tell_what_policy_hides(policy: Callable[[], RegoEngine]) -> None:
    path = Path(policy(), IN_USE)
    with pytest.raises(DownstreamRefused) as caught:
        await path.call("quoting", {})
    assert caught.value.status == 409
    assert "zq-" not in str(caught.value) + caught.value.detail + str(path.store.records)


async def test_where_nothing_is_hidden_the_apis_words_are_told() -> None:
    with pytest.raises(DownstreamRefused, match="In use: zq-held-by-carol"):
        await Path(answering(PERMIT), IN_USE).call("quoting", {})


# ── what a policy may call ───────────────────────────────────────────────────────────────

#: An engine may be let go in the thread that made it alone, and a traceback holds on to one.
KEPT: list[object] = []


@pytest.mark.parametrize(
    "name", ["http.send", "opa.runtime", "time.now_ns", "io.jwt.decode", "json.unmarshal", "lib.f"]
)
def test_a_forbidden_function_does_not_pass_for_an_own_one_of_its_name(name: str) -> None:
    """The embedded engine would call the policy's own, an OPA server the built-in one: it would send the input away."""
    package, _, function = name.rpartition(".")
    modules = {
        "authz.rego": f'package remit.authz\nimport rego.v1\ndecision := {{"allow": {name}(input) == 1}}\n',
        "own.rego": f"package remit.authz.{package}\nimport rego.v1\n{function}(_) := 1\n",
    }
    with pytest.raises(PolicyInvalid) as caught:
        RegoEngine(Bundle.of(modules), FakeClock())
    KEPT.append(caught.value)
    assert caught.value.where == "authz.rego:3:23"
    modules["authz.rego"] = modules["authz.rego"].replace(f"{name}(", f"data.remit.authz.{name}(")
    KEPT.append(RegoEngine(Bundle.of(modules), FakeClock()))


# ── reload ───────────────────────────────────────────────────────────────────────────────

LENIENT = 'package remit.authz\ndecision := {"allow": true}\n'
STRICT = LENIENT.replace("true", "false")


class Watched:
    """A policy that is read from ``path`` and watched there; ``strict`` is set once the strict one is in force."""

    def __init__(self, path: File) -> None:
        self.path = path
        self.reads = asyncio.Condition()
        self.live = LivePolicy(Named("lenient"), self.load)

    async def load(self, revision: str) -> PolicyEngine | None:
        async with self.reads:
            self.reads.notify_all()
        found = "strict" if "false" in next(iter(load_policy(self.path).modules.values())) else "lenient"
        return None if found == revision else Named(found)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.live.watch(self.path, stop))
        async with asyncio.timeout(20):
            async with self.reads:
                await self.reads.wait()  # what there was when it began
            yield
            while self.live.revision != "strict":
                await asyncio.sleep(0.02)
            stop.set()
            await task


@dataclass(eq=False)
class Named:
    """An engine that nobody asks."""

    revision: str

    async def decide(self, document: Any) -> Any:
        raise AssertionError(document)

    decide_many = decide

    async def aclose(self) -> None:
        """Nothing runs."""


def written(folder: File, module: str) -> File:
    folder.mkdir()
    (folder / "authz.rego").write_text(module, "utf-8")
    return folder


@pytest.mark.parametrize("how", ["deleted and made anew", "swapped", "swapped, then changed", "behind a link"])
async def test_a_folder_that_another_takes_the_place_of_does_not_leave_the_old_policy_in_force(
    tmp_path: File, how: str
) -> None:
    path = tmp_path / "policy"
    if how == "behind a link":
        path.symlink_to(written(tmp_path / "v1", LENIENT))
    else:
        written(path, LENIENT)
    watched = Watched(path)
    async with watched.watching():
        match how:
            case "deleted and made anew":
                shutil.rmtree(path)
                async with watched.reads:
                    await watched.reads.wait()  # and it is seen that there is none
                written(path, STRICT)
            case "behind a link":
                (tmp_path / "next").symlink_to(written(tmp_path / "v2", STRICT))
                (tmp_path / "next").rename(path)
            case _:
                path.rename(tmp_path / "old")
                written(tmp_path / "new", LENIENT if "then" in how else STRICT).rename(path)
                if "then" in how:
                    async with watched.reads:
                        await watched.reads.wait()
                    (path / "authz.rego").write_text(STRICT, "utf-8")


@pytest.mark.parametrize(
    "trouble",
    [SettingsInvalid("the key is gone", where="policy.signatures.keys.a"), PolicyInvalid("broken")],
    ids=["key", "policy"],
)
async def test_trouble_at_one_reload_does_not_end_all_others(trouble: SetupError) -> None:
    """A strict policy that comes later would not be noticed any more."""
    troubles = [trouble]

    async def load(_revision: str) -> PolicyEngine | None:
        if troubles:
            raise troubles.pop()
        return Named("strict")

    live = LivePolicy(Named("lenient"), load)
    assert not await live.reload()
    assert await live.reload()
    assert live.revision == "strict"


def test_a_policy_that_is_taken_away_while_it_is_read_is_a_broken_one(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> Any:
        raise FileNotFoundError(tmp_path / "below")

    monkeypatch.setattr(File, "rglob", gone)
    with pytest.raises(PolicyInvalid, match="cannot be read"):
        load_policy(tmp_path)


# ── all at once ──────────────────────────────────────────────────────────────────────────

TURNCOAT = """
package remit.authz
import rego.v1
default decision := {"allow": false}
decision := {"allow": true} if input.phase in {"tool_list", "result"}
decision := {"allow": true} if { input.phase == "tool_call"; input.arguments.text == "SIDE" }
decision := {"allow": slow} if { input.phase == "tool_call"; input.arguments.text == "slow" }
default slow := true
slow := false if { some a in big; some b in big; some c in big; some d in big; (((a + b) + c) + d) < 0 }
big := data.remit_data.big
"""


TEXTS = ("A", "B", "C", "slow")


async def test_killing_workers_turning_policy_over_and_giving_up_lets_no_call_through_that_was_not_permitted() -> None:
    sides = {side: Bundle.of({"a.rego": TURNCOAT.replace("SIDE", side)}, {"big": [*range(60)]}) for side in "AB"}
    turns, clock = itertools.cycle("BA"), SystemClock()

    async def load(_: str) -> PolicyEngine:
        return await ProcessEngine.start(sides[next(turns)], clock)

    first = await ProcessEngine.start(sides["A"], clock)
    live = LivePolicy(first, load)
    path = Path(live)

    async def call(number: int) -> None:
        with suppress(RemitError, TimeoutError):
            async with asyncio.timeout(0.01 if number % 5 == 0 else 5):
                await path.call("for_people_with_much_to_say", {"text": TEXTS[number % 4]})

    os.kill(first.pids[0], signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    for _ in range(5):
        await asyncio.gather(live.reload(), *map(call, range(20)))
    await live.aclose()

    intents = [record for record in path.store.records if record["kind"] == "intent"]
    permitted = {
        bundle.revision: hashlib.sha256(f'{{"text":"{side}"}}'.encode()).hexdigest() for side, bundle in sides.items()
    }
    assert path.sent
    assert len(path.sent) <= len(intents)
    assert {json.loads(request.content)["text"] for request in path.sent} <= {"A", "B"}
    for intent in intents:
        assert intent["arguments"]["sha256"] == permitted[intent["decision"]["revision"]]
