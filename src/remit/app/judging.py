"""Path: would this call be made? All that is asked on the way of a call, as far as that depends on policy.

1. policy decides about the **call**;
2. what it demands of people is supposed to be done, and policy decides **again**;
3. user and agent have to be **fit** for the call (``remit.permission.fitness``);
4. policy decides about the **token**.

Nothing is called, asked of anybody or recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from remit.app.conditions import met
from remit.app.exchange_policy import DOOR
from remit.app.trying import Tried
from remit.clock import Clock
from remit.errors import AuthorizationError, PolicyDenied
from remit.exchange.messages import Wanted
from remit.permission.fitness import check_actor, check_held, check_sign_in, wanted_by, with_floor
from remit.policy.counterfactual.trial import Verdict
from remit.policy.decision import Decision
from remit.policy.input import ExchangeTarget, Phase, Question
from remit.policy.obligations import OF_AN_EXCHANGE, Demands
from remit.principal import ActingParty, Assurance, Principal
from remit.settings import Settings

_AT_ONCE: Final = 128
_UNTRIED: Final = Verdict(allowed=False)


@dataclass
class Course:
    """How far a call comes. ``decisions`` are those about the call and its token, in order.

    ``problem``: why it comes no further, where that is not what policy decided.
    """

    question: Question
    step: int = 0
    conditions: tuple[str, ...] = ()
    decisions: list[Decision] = field(default_factory=list)
    verdict: Verdict = _UNTRIED
    problem: str = ""


class Judge:
    """Judges calls by a policy that is tried. After ``seconds`` nothing more is tried: ``is_late`` then."""

    def __init__(self, tried: Tried, settings: Settings, clock: Clock, seconds: float) -> None:
        self._tried = tried
        self._is_embedded = settings.exchange.service == "embedded"
        self._scopes_within_subject = settings.exchange.scopes_within_subject
        self._clock = clock
        self._until = clock.monotonic() + seconds
        self.is_late = False

    async def verdicts(self, questions: Sequence[Question]) -> list[Verdict]:
        """A verdict on each; those that are not tried any more are denied."""
        verdicts: list[Verdict] = []
        for start in range(0, len(questions), _AT_ONCE):
            lot = questions[start : start + _AT_ONCE]
            self.is_late = self.is_late or self._clock.monotonic() > self._until
            if self.is_late:
                verdicts += [_UNTRIED] * len(lot)
            else:
                verdicts += [course.verdict for course in await asyncio.gather(*map(self.course, lot))]
        return verdicts

    async def course(self, question: Question) -> Course:
        """How far the call would come."""
        course = Course(question)
        try:
            await self._take(course)
        except PolicyDenied:
            codes = frozenset(reason.code for reason in course.decisions[-1].reasons)
            course.verdict = Verdict(allowed=False, step=course.step, codes=codes)
        except AuthorizationError as error:
            course.verdict = Verdict(allowed=False, step=course.step, codes=frozenset({error.code}))
            course.problem = ": ".join(filter(None, (error.message, error.detail)))
        else:
            course.verdict = Verdict(allowed=True, conditions=course.conditions)
        return course

    async def _take(self, course: Course) -> None:
        tool = course.question.tool
        demands = with_floor(await self._permitted(course, course.question), tool)  # 1
        course.step, done = 1, met(course.question, demands)
        course.conditions = done.conditions
        if done.conditions:  # 2
            demands = await self._permitted(course, done.question)
            done.check(demands)
        course.step = 2  # 3
        wanted = self._fit(done.question, with_floor(demands, tool))
        course.step = 3  # 4
        if tool.auth.type != "none":
            demands = await self._permitted(course, self.exchange(done.question, wanted))
            demands.narrowed(wanted)

    def _fit(self, question: Question, demands: Demands) -> Wanted:
        check_sign_in(question.principal, demands.step_ups, question.now)
        check_actor(question.acting, question.tool)
        wanted = demands.narrowed(wanted_by(question.tool))
        if self._scopes_within_subject and question.tool.auth.type == "token-exchange":
            check_held(question.principal, wanted)
        return wanted

    def exchange(self, question: Question, wanted: Wanted) -> Question:
        """What policy is asked before the token is issued; at the embedded service the agent has proved itself."""
        auth = replace(question.tool.auth, scopes=wanted.scopes, max_lifetime=wanted.max_lifetime)
        principal, acting, door = question.principal, question.acting, question.door
        if self._is_embedded:
            acting, door = ActingParty(acting.actor, Assurance.AUTHENTICATED, acting.evidence), DOOR
        if self._is_embedded and auth.type == "client-credentials":  # there is no user in such a token
            principal = Principal(acting.actor.sub, acting.actor.iss, acting.actor.sub)
        return Question(
            Phase.TOKEN_EXCHANGE,
            principal,
            acting,
            ExchangeTarget(auth),
            question.now,
            door=door,
            supported=OF_AN_EXCHANGE,
        )

    async def _permitted(self, course: Course, question: Question) -> Demands:
        (decision,) = await self._tried.decide([question.document()])
        course.decisions.append(decision)
        return Demands.of(decision.require_permit().obligations)
