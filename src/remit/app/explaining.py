"""Path: would this call be permitted, by which rule, and what would have to be otherwise. Nothing is called."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from remit.app import registry
from remit.app.judging import Course, Judge
from remit.app.trying import Tried, trying
from remit.app.wiring import load_tools
from remit.approvals.pairs import Pairs
from remit.authorization.client import LOGIN_CLIENT
from remit.catalog.tool import Tool
from remit.clock import Clock
from remit.errors import ArgumentsInvalid, SettingsInvalid, ToolUnknown
from remit.permission.fitness import wanted_by
from remit.policy.counterfactual.changes import evidence_of
from remit.policy.counterfactual.search import Found, search
from remit.policy.counterfactual.trial import Case, Verdict
from remit.policy.decision import Decision, Deny
from remit.policy.input import Phase, Question, ResultFacts
from remit.principal import ActingParty, Actor, Assurance, DelegationChain, Principal
from remit.settings import Settings

_LIFETIME: Final = 3600
#: So long ways are looked for.
_SECONDS: Final = 5.0
#: A call comes the way that agents come.
_DOOR: Final = "mcp-http"
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Supposed:
    """Who is supposed to call what: a development user, or anybody with these roles, groups and scopes.

    ``through``: the agents and services that handed the request on to ``agent``, the first one first. ``at``: when,
    in seconds since the epoch; 0: now.
    """

    user: str
    agent: str
    tool: str
    arguments: Mapping[str, Any]
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    assurance: Assurance = Assurance.AUTHENTICATED
    at: float = 0


@dataclass(frozen=True, slots=True)
class Explained:
    """What policy says in each phase, whether the call would be made, and what would have to be otherwise.

    ``again``: what it says of the call once its demands are met. ``problem``: why the call would be refused, where that
    is not policy's decision. ``is_complete``: there was time to try everything.
    """

    question: Question
    decisions: Mapping[Phase, Decision]
    verdict: Verdict
    found: Found
    again: Decision | None = None
    problem: str = ""
    is_complete: bool = True


async def explain(settings: Settings, supposed: Supposed, clock: Clock) -> Explained:
    """Ask the policy of ``settings``. Raises ``SetupError`` leaves, ``ToolUnknown``, ``ArgumentsInvalid``, and
    ``PolicyFailed`` for arguments that policy cannot be asked about.
    """
    tool = load_tools(settings).catalog.get(supposed.tool)
    if tool is None:
        raise ToolUnknown(f"there is no tool {supposed.tool}", hint="`remit check` reads the tool files")
    tool.validate(supposed.arguments)
    question = await question_of(settings, supposed, tool, clock)
    question.document()
    async with trying(settings, clock) as tried:
        judge = Judge(tried, settings, clock, _SECONDS)
        course = await judge.course(question)
        decisions = await _decisions(tried, judge, course)
        found = Found()
        if not (course.verdict.is_free or _has_failed(course)):
            vocabulary = await asyncio.to_thread(tried.vocabulary, settings, tool)
            case = Case(question, course.verdict, vocabulary, tool.input_schema, partial(_fits, tool))
            found = await _found(case, judge)
    again = course.decisions[1] if course.conditions and len(course.decisions) > 1 else None
    return Explained(question, decisions, course.verdict, found, again, course.problem, is_complete=not judge.is_late)


async def _found(case: Case, judge: Judge) -> Found:
    searching = search(case)
    try:
        questions = next(searching)
        while True:
            questions = searching.send(await judge.verdicts(questions))
    except StopIteration as done:
        found: Found = done.value
        return found


async def _decisions(tried: Tried, judge: Judge, course: Course) -> dict[Phase, Decision]:
    """What policy says in each phase, the call's own decision among them; of an answer only where there would be one."""
    question = course.question
    asked = {Phase.TOOL_LIST: replace(question, phase=Phase.TOOL_LIST, arguments={})}
    if question.tool.auth.type != "none":
        asked[Phase.TOKEN_EXCHANGE] = judge.exchange(question, wanted_by(question.tool))
    if course.verdict.allowed:
        asked[Phase.RESULT] = replace(question, phase=Phase.RESULT, result=ResultFacts(status=_OK))
    decided = await tried.decide([each.document() for each in asked.values()])
    decisions = {**dict(zip(asked, decided, strict=True)), Phase.TOOL_CALL: course.decisions[0]}
    if course.step == 3:  # the one that counted
        decisions[Phase.TOKEN_EXCHANGE] = course.decisions[-1]
    return {phase: decisions[phase] for phase in Phase if phase in decisions}


def _has_failed(course: Course) -> bool:
    last = course.decisions[-1]
    return isinstance(last, Deny) and last.failed


def _fits(tool: Tool, arguments: Mapping[str, Any]) -> bool:
    try:
        tool.validate(arguments)
    except ArgumentsInvalid:
        return False
    return True


# ── who is supposed to call ──────────────────────────────────────────────────────────────


async def question_of(settings: Settings, supposed: Supposed, tool: Tool, clock: Clock) -> Question:
    """What policy is asked about that call. Raises ``SettingsInvalid`` where nothing is known of the user."""
    now = supposed.at or clock.now()
    principal = _principal(settings, supposed, now)
    issuer = settings.issuer if settings.exchange.service == "embedded" else settings.exchange.issuer or ""
    acting = ActingParty(Actor(supposed.agent, issuer), supposed.assurance, evidence_of(supposed.assurance))
    return Question(
        Phase.TOOL_CALL,
        principal,
        acting,
        tool,
        now,
        arguments=supposed.arguments,
        door=_DOOR,
        first_time=await _is_first(settings, principal, acting, clock),
    )


def _principal(settings: Settings, supposed: Supposed, now: float) -> Principal:
    known = registry.users(settings).get(supposed.user)
    if known is None and not (supposed.roles or supposed.groups or supposed.scopes):
        raise SettingsInvalid(
            f'nothing is known of "{supposed.user}"',
            where="sts.users",
            hint="name a development user, or say what they have with --role, --group and --scope",
        )
    others = settings.identity.issuers
    issuer = settings.issuer if settings.sts.enabled or not others else others[0].issuer
    return Principal(
        subject=supposed.user,
        issuer=issuer,
        client_id=supposed.agent if supposed.assurance is Assurance.REGISTERED else LOGIN_CLIENT,
        audience=settings.mcp_audiences,
        scopes=(*(known.scopes if known else ()), *supposed.scopes),
        chain=DelegationChain(tuple(Actor(name, issuer) for name in reversed(supposed.through))),
        groups=(*(known.groups if known else ()), *supposed.groups),
        roles=(*(known.roles if known else ()), *supposed.roles),
        name=known.name if known else "",
        auth_time=int(now),
        expires_at=int(now) + _LIFETIME,
    )


async def _is_first(settings: Settings, principal: Principal, acting: ActingParty, clock: Clock) -> bool:
    """Whether this agent has never acted for this user, as far as this installation remembers."""
    if not settings.approvals_file.exists():
        return True
    pairs = Pairs(settings.approvals_file, clock)
    try:
        return await pairs.is_first(principal, acting)
    finally:
        pairs.close()
