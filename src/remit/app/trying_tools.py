"""Path: the examples of tool files as tests. Offline, nothing is called and nobody is asked but the policy.

1. the **arguments** are checked, and the **request** is made and compared with the one that is expected;
2. the answers of the example take the place of the API's, and what they become is compared with **result** or **error**;
3. **scopes** are compared with those that the tool asks for;
4. policy is asked for its **decision**, where the example says who calls.

What of it cannot be decided here is left out, and the reason is told. Live, the whole call is made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from remit import errors
from remit.app.comparing import request_failures, result_failures, scope_failures
from remit.app.development import mint_for
from remit.app.explaining import Supposed, question_of
from remit.app.judging import Judge
from remit.app.trying import trying
from remit.app.trying_code import run_with
from remit.app.wiring import App, running
from remit.bridge import ToolCall
from remit.catalog.examples import Example
from remit.catalog.tool import Tool
from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.downstream.mocked import MockAnswer, answer_of
from remit.downstream.request import CallContext, build_request
from remit.downstream.result import ToolResult, shape
from remit.errors import RemitError, SettingsInvalid, SetupError
from remit.settings import Settings

_SECONDS: Final = 60.0
_NO_ANSWER: Final = "the example has no `upstream` answer to make it of"


@dataclass(slots=True)
class Tested:
    """What came of one example. ``skipped`` are the parts that could not be decided, and why."""

    tool: str
    example: str
    where: str
    failures: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    checked: int = 0
    seconds: float = 0.0

    @property
    def outcome(self) -> Literal["passed", "failed", "skipped"]:
        """Skipped is what had nothing that could be checked."""
        if self.failures:
            return "failed"
        return "passed" if self.checked else "skipped"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "tool": self.tool,
            "example": self.example,
            "where": self.where,
            "outcome": self.outcome,
            "failures": self.failures,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 6),
        }

    def check(self, failures: Iterable[str]) -> None:
        """One more thing was compared."""
        self.checked += 1
        self.failures += failures


Case = tuple[Tool, Example]


def cases(tools: Iterable[Tool]) -> list[Case]:
    """Every example, in the order of tools and lines."""
    return [(tool, example) for tool in tools for example in tool.examples]


# ── offline ──────────────────────────────────────────────────────────────────────────────


async def try_offline(settings: Settings, chosen: Sequence[Case], clock: Clock) -> AsyncIterator[Tested]:
    """Each example as it is done."""
    async with AsyncExitStack() as stack:
        judge: Judge | str = ""
        if any(example.expect.decision for _, example in chosen):
            judge = await _judge(settings, clock, stack)
        for tool, example in chosen:
            started = clock.monotonic()
            tested = Tested(tool.name, example.name, example.where)
            await _try(tool, example, settings, tested)
            if example.expect.decision is not None:
                await _try_decision(judge, settings, (tool, example), tested, clock)
            tested.seconds = clock.monotonic() - started
            yield tested


async def _judge(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Judge | str:
    """Whoever decides by the policy, or why nobody can."""
    try:
        tried = await stack.enter_async_context(trying(settings, clock))
    except SetupError as error:
        return error.message
    return Judge(tried, settings, clock, _SECONDS)


async def _try(tool: Tool, example: Example, settings: Settings, tested: Tested) -> None:
    """1 to 3"""
    expect = example.expect
    tested.check(scope_failures(expect, tool))
    if expect.error is not None and (why := _unseen_offline(expect.error)):
        (tested.skipped if why.startswith("expect.error") else tested.failures).append(why)
        return
    try:
        tool.validate(example.arguments)
        made = await _made(tool, example, settings, tested)
    except RemitError as error:
        tested.check(_error_failures(expect.error, error))
        return
    if made is None:
        tested.check(_without_answer(example))
        return
    result, used = made
    if used < len(example.answers):
        tested.check([f"only {used} of {len(example.answers)} answers were asked for"])
    tested.check(_succeeded(example, result.data))


async def _made(tool: Tool, example: Example, settings: Settings, tested: Tested) -> tuple[ToolResult, int] | None:
    """The result, and how many of the answers it took; ``None`` where there is nothing to make one of."""
    answers = [MockAnswer(mock.status, mock.headers, mock.body) for mock in example.answers]
    context = _context(example, settings)
    if tool.code is not None:
        if example.expect.request is not None:
            tested.skipped.append("expect.request: code makes requests of its own")
        return await run_with(tool, tool.code, example.arguments, context, answers)
    request = build_request(tool, example.arguments, context)
    if example.expect.request is not None:
        tested.check(request_failures(example.expect.request, tool, request))
    if not answers:
        return None
    response, used = await answer_of(request, tool, answers)
    return shape(tool, response), used


def _succeeded(example: Example, result: Any) -> Iterator[str]:
    if example.expect.error is not None:
        yield f"error: {example.expect.error} was expected, and there was none"
    else:
        yield from result_failures(example.expect, result)


def _without_answer(example: Example) -> Iterator[str]:
    if example.expect.error is not None:
        yield f"error: {example.expect.error} was expected; {_NO_ANSWER}"
    elif "result" in example.expect.model_fields_set:
        yield f"result: {_NO_ANSWER}"


def _error_failures(expected: str | None, error: RemitError) -> Iterator[str]:
    if expected != error.code:
        wanted = f"error {expected}" if expected else "a result"
        yield f"{wanted} was expected, and it ended with {error.code}: {error.message}"


def _context(example: Example, settings: Settings) -> CallContext:
    """Who calls, as far as the example says it. Without that, a request that needs to know is refused."""
    actor = example.agent or (settings.agent.client_id if example.user else "")
    known = settings.sts.users.get(example.user)
    user = {"sub": example.user, "iss": settings.issuer if example.user else "", "name": known.name if known else ""}
    return CallContext(user=user, actor={"sub": actor}, call={"id": "example"})


def _codes(root: type[RemitError]) -> Iterator[str]:
    yield root.code
    for leaf in root.__subclasses__():
        yield from _codes(leaf)


_SEEN_OFFLINE: Final = frozenset(
    {
        *_codes(errors.DownstreamError),
        *_codes(errors.CodeError),
        errors.ArgumentsInvalid.code,
        errors.RequestUnusable.code,
    }
)


def _unseen_offline(code: str) -> str:
    """Why no example can end with that error here; empty where it can."""
    if code in _SEEN_OFFLINE:
        return ""
    if code in set(_codes(RemitError)):
        return f"expect.error {code} comes of policy or the token service: `--live` shows it"
    return f"there is no error code {code}"


async def _try_decision(judge: Judge | str, settings: Settings, case: Case, tested: Tested, clock: Clock) -> None:
    """4"""
    tool, example = case
    if isinstance(judge, str):
        tested.skipped.append(f"expect.decision: {judge}")
        return
    try:
        question = await question_of(settings, _supposed(settings, tool, example), tool, clock)
        question.document()
    except (SettingsInvalid, errors.PolicyFailed) as error:
        tested.skipped.append(f"expect.decision: {error.message}")
        return
    course = await judge.course(question)
    decided = "permit" if course.verdict.allowed else "deny"
    if decided == example.expect.decision:
        tested.check(())
        return
    why = course.problem or "; ".join(reason.message for reason in course.decisions[-1].reasons)
    rule = course.decisions[-1].rule
    tested.check([f"decision: {example.expect.decision} → {decided}  (expected → found), by {rule}: {why}"])


def _supposed(settings: Settings, tool: Tool, example: Example) -> Supposed:
    if not example.user:
        raise SettingsInvalid("the example does not say who calls", hint="add `as: alice via agent-runner`")
    return Supposed(
        user=example.user,
        agent=example.agent or settings.agent.client_id,
        tool=tool.name,
        arguments=example.arguments,
        through=example.through,
    )


# ── live ─────────────────────────────────────────────────────────────────────────────────


async def try_live(
    settings: Settings, chosen: Sequence[Case], clock: Clock, *, writes: bool = False
) -> AsyncIterator[Tested]:
    """Each example as the call it is, through the agent it names. Tools that change something only with ``writes``."""
    agents = list(dict.fromkeys(example.agent for _, example in chosen))
    for agent in agents:
        async with running(settings, agent=agent, clock=clock) as app:
            for tool, example in chosen:
                if example.agent == agent:
                    started = clock.monotonic()
                    tested = Tested(tool.name, example.name, example.where)
                    await _try_call(app, tool, example, tested, why_not=_why_not(tool, example, writes=writes))
                    tested.seconds = clock.monotonic() - started
                    yield tested


def _why_not(tool: Tool, example: Example, *, writes: bool) -> str:
    if not example.user:
        return "the example does not say who calls: add `as`, with a user of sts.users"
    if example.through:
        return "nobody hands a live call on"
    if not tool.annotations.read_only and not writes:
        return f"{tool.name} changes something, and --writes was not given"
    return ""


async def _try_call(app: App, tool: Tool, example: Example, tested: Tested, *, why_not: str) -> None:
    if why_not:
        tested.skipped.append(why_not)
        return
    try:
        token = UnverifiedToken(mint_for(app, example.user).reveal())  # shown to our own door
    except SettingsInvalid as error:
        tested.skipped.append(error.message)
        return
    expect = example.expect
    try:
        called = await app.bridge.call(ToolCall("cli", token, tool.name, example.arguments))
    except RemitError as error:
        is_denial = isinstance(error, errors.AuthorizationError | errors.ToolHidden)
        if not (is_denial and expect.decision == "deny" and expect.error is None):
            tested.check(_error_failures(expect.error, error))
        tested.checked += 1
        return
    if expect.decision == "deny":
        tested.failures.append("decision: deny → permit  (expected → found)")
    # With an answer of its own, the example says what becomes of that one; the API's may be another.
    tested.check(_succeeded(example, called.result.data) if not example.answers else ())
