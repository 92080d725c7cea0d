"""Path: would this call be permitted, by which rule, and what would have to be otherwise. Nothing is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from remit.app import registry
from remit.app.policy import load_bundle, start_engine
from remit.app.wiring import load_tools
from remit.catalog.tool import Tool
from remit.clock import Clock
from remit.errors import SettingsInvalid, ToolUnknown
from remit.policy.bundle import Bundle
from remit.policy.counterfactual import Change, Constants, helpful, paired, single_changes
from remit.policy.decision import Decision
from remit.policy.engine import PolicyEngine
from remit.policy.input import ExchangeTarget, Phase, Question
from remit.policy.obligations import OF_AN_EXCHANGE
from remit.principal import ActingParty, Actor, Assurance, Principal
from remit.settings import Settings

_LIFETIME: Final = 3600
#: So many ways of one kind are told.
_OF_A_KIND: Final = 3
_WAYS: Final = 10


@dataclass(frozen=True, slots=True)
class Supposed:
    """Who is supposed to call what: a development user, or anybody with these roles, groups and scopes.

    ``at``: when, in seconds since the epoch; 0: now.
    """

    user: str
    agent: str
    tool: str
    arguments: Mapping[str, Any]
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    assurance: Assurance = Assurance.AUTHENTICATED
    at: float = 0


@dataclass(frozen=True, slots=True)
class Explained:
    """What policy says in each phase, and the ways in which a denied call would be permitted."""

    question: Question
    decisions: Mapping[Phase, Decision]
    ways: tuple[Change, ...] = field(default=())

    @property
    def allowed(self) -> bool:
        """Whether the call could be made and a token had for it."""
        return all(decision.allow for phase, decision in self.decisions.items() if phase is not Phase.TOOL_LIST)


async def explain(settings: Settings, supposed: Supposed, clock: Clock) -> Explained:
    """Ask the policy of ``settings``. Raises ``SetupError`` leaves, ``ToolUnknown``, ``ArgumentsInvalid``."""
    tool = load_tools(settings).catalog.get(supposed.tool)
    if tool is None:
        raise ToolUnknown(f"there is no tool {supposed.tool}", hint="`remit check` counts them")
    tool.validate(supposed.arguments)
    question = _question(settings, supposed, tool, supposed.at or clock.now())
    engine = await start_engine(settings, clock)
    try:
        questions = {phase: _of_phase(question, phase) for phase in (Phase.TOOL_LIST, Phase.TOOL_CALL)}
        questions[Phase.TOKEN_EXCHANGE] = _of_phase(question, Phase.TOKEN_EXCHANGE)
        decided = await engine.decide_many([each.document() for each in questions.values()])
        decisions = dict(zip(questions, decided, strict=True))
        denied = decisions[Phase.TOOL_CALL]
        ways = () if denied.allow else await _ways(engine, question, denied, _constants(settings, tool), tool)
        return Explained(question, decisions, ways)
    finally:
        await engine.aclose()


def _question(settings: Settings, supposed: Supposed, tool: Tool, now: float) -> Question:
    principal = Principal(
        subject=supposed.user,
        issuer=settings.issuer,
        client_id=registry.SIGN_IN_CLIENT,
        audience=settings.mcp_audiences,
        scopes=supposed.scopes,
        groups=supposed.groups,
        roles=supposed.roles,
        auth_time=int(now),
        expires_at=int(now) + _LIFETIME,
    )
    known = registry.users(settings).get(supposed.user)
    if known is not None:
        principal = replace(
            principal,
            name=known.name,
            roles=(*known.roles, *supposed.roles),
            groups=(*known.groups, *supposed.groups),
            scopes=(*known.scopes, *supposed.scopes),
        )
    elif not (supposed.roles or supposed.groups or supposed.scopes):
        raise SettingsInvalid(
            f'nothing is known of "{supposed.user}"',
            where="sts.users",
            hint="name a development user, or say what they have with --role, --group and --scope",
        )
    evidence = "actor_token" if supposed.assurance is Assurance.AUTHENTICATED else "supposed"
    acting = ActingParty(Actor(supposed.agent, settings.issuer), supposed.assurance, evidence)
    return Question(Phase.TOOL_CALL, principal, acting, tool, now, arguments=supposed.arguments, door="cli")


def _of_phase(question: Question, phase: Phase) -> Question:
    if phase is Phase.TOKEN_EXCHANGE:
        target = ExchangeTarget(question.tool.auth)
        return replace(question, phase=phase, tool=target, arguments={}, supported=OF_AN_EXCHANGE)
    return replace(question, phase=phase, arguments=question.arguments if phase is Phase.TOOL_CALL else {})


def _constants(settings: Settings, tool: Tool) -> Constants:
    """What the policy speaks of; of an OPA server's, which is not read here, what the settings speak of."""
    known = registry.users(settings).values()
    names = [*(role for user in known for role in (*user.roles, *user.groups, *user.scopes)), *tool.auth.scopes]
    embedded = settings.policy.engine == "embedded"
    bundle = load_bundle(settings, settings.policy.path) if embedded else Bundle.of({})
    return Constants.of(bundle, names)


async def _ways(
    engine: PolicyEngine, question: Question, denied: Decision, constants: Constants, tool: Tool
) -> tuple[Change, ...]:
    """The changes, one or two at once, after which the call would be permitted."""
    singles = single_changes(question, constants, tool.input_schema)
    decisions = await engine.decide_many([change.question.document() for change in singles])
    found = _few([change for change, decision in zip(singles, decisions, strict=True) if decision.allow])
    if found:
        return found
    pairs = paired(question, helpful(denied, singles, decisions))
    both = await engine.decide_many([change.question.document() for change in pairs])
    return _few([change for change, decision in zip(pairs, both, strict=True) if decision.allow])


def _few(changes: list[Change]) -> tuple[Change, ...]:
    """Not every hour of the week: some of each kind."""
    told: list[Change] = []
    for change in changes:
        if sum(each.kind == change.kind for each in told) < _OF_A_KIND:
            told.append(change)
    return tuple(told[:_WAYS])
