"""Path: the whole product. A call comes in at any door and goes the same way.

1. **identify** the caller by their token, and the agent runner that acts for them;
2. **find** the tool and check the arguments against its schema;
3. **decide** by policy: this subject, this actor, this tool, these arguments, this target;
4. **record** the intent: durable before anything leaves, or nothing does;
5. **exchange** the caller's token for one that is good for this API, these scopes, a short while, names both
   the user and the agent runner, and is checked against what was asked;
6. **call** the API with it and shape the answer;
7. **record** the outcome, whatever happened.

The caller's token never reaches the API. The API's token never reaches the agent.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from remit.audit.trail import Record, Trail
from remit.catalog.tool import Catalog, Tool
from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.downstream.client import ApiClient
from remit.downstream.request import ApiRequest, CallContext, build_request
from remit.downstream.result import ToolResult, shape
from remit.errors import (
    ActorUnfit,
    ArgumentsInvalid,
    InternalError,
    PolicyFailed,
    RemitError,
    RequestUnusable,
    ScopeInsufficient,
    ToolHidden,
    ToolUnknown,
)
from remit.exchange.exchanger import DelegatedToken, Exchanger
from remit.exchange.messages import Target, Wanted
from remit.identity.actor import ActorResolver
from remit.identity.subject import SubjectIdentifier
from remit.policy.decision import Decision, Deny, Permit
from remit.policy.engine import PolicyEngine
from remit.policy.input import Operation, Phase, Question
from remit.policy.obligations import Demands
from remit.principal import ActingParty, Assurance, Caller, Principal


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call as it arrived. ``client`` is what the client says of itself, never believed."""

    door: str
    token: UnverifiedToken | None
    name: str
    arguments: Mapping[str, Any]
    request_id: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class CallResult:
    """What goes back through the door. ``call_id`` names the call in the audit trail."""

    call_id: str
    result: ToolResult


class Tools(Protocol):
    """Where the tools are now; a reload replaces the whole catalog at once."""

    @property
    def catalog(self) -> Catalog:
        """The catalog in force."""
        ...


class Watch:
    """Sees each step as it happens (`remit call --explain`). No token is shown to it. This one looks away."""

    def identified(self, principal: Principal, acting: ActingParty) -> None:
        """Step 1."""

    def decided(self, decision: Decision) -> None:
        """Step 3."""

    def exchanged(self, wanted: Wanted, token: DelegatedToken) -> None:
        """Step 5."""

    def calling(self, request: ApiRequest) -> None:
        """Step 6, before it is sent."""


_NOBODY: Final = Watch()


@dataclass(frozen=True, slots=True)
class Parts:
    """What the bridge is made of. ``scopes_within_subject``: the token service gives only scopes that the
    caller's token holds, so a missing one can be told at once.
    """

    subjects: SubjectIdentifier
    actors: ActorResolver
    tools: Tools
    policy: PolicyEngine
    exchange: Exchanger
    apis: ApiClient
    trail: Trail
    clock: Clock
    scopes_within_subject: bool = True


class Bridge:
    """All a door needs: call a tool, list the tools a caller may see, identify a caller."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def identifying(self, subjects: SubjectIdentifier) -> Bridge:
        """The same path with another identifier: for a door that goes by names of its own."""
        return Bridge(replace(self._parts, subjects=subjects))

    async def call(self, call: ToolCall, watch: Watch = _NOBODY) -> CallResult:
        """Make one call. Raises leaves of ``RemitError``, each with ``call_id`` set, and nothing else."""
        async with self._recorded(call) as record:
            return CallResult(record.id, await self._steps(call, record, watch))

    async def visible_tools(self, door: str, token: UnverifiedToken | None) -> tuple[Tool, ...]:
        """The tools that policy shows to this caller, by name. Raises ``AuthenticationError`` leaves."""
        caller, acting = await self._identify(token)
        tools = tuple(self._parts.tools.catalog.tools.values())
        questions = [self._question(Phase.TOOL_LIST, caller, acting, tool, door=door) for tool in tools]
        decisions = await self._parts.policy.decide_many([question.document() for question in questions])
        return tuple(tool for tool, decision in zip(tools, decisions, strict=True) if decision.allow)

    async def identify(self, token: UnverifiedToken | None) -> Caller:
        """Who shows this token. Raises ``AuthenticationError`` leaves."""
        return await self._parts.subjects.identify(token)

    async def refuse(self, call: ToolCall, error: RemitError) -> None:
        """Raise ``error``, recorded: for a call that its door answers itself, before it came this far."""
        async with self._recorded(call) as record:
            caller, acting = await self._identify(call.token)
            record.identified(caller.principal, acting)
            raise error

    def scopes_for(self, name: str) -> tuple[str, ...]:
        """The scopes the caller's own token must hold for a tool; none where the token service does not tie them."""
        tool = self._parts.tools.catalog.get(name)
        return tool.auth.scopes if tool and self._parts.scopes_within_subject else ()

    @asynccontextmanager
    async def delegated(
        self, call: ToolCall, operation: Operation | None
    ) -> AsyncIterator[tuple[DelegatedToken | None, Record]]:
        """Steps 1 to 5 for a door that carries the traffic itself, and 7 when the block ends.

        ``call.name`` and ``call.arguments`` say what is asked for, ``operation`` what policy is asked about; none:
        there is nothing of that name, which is recorded and refused like what is hidden. The door tells the record
        what came of it. Raises as ``call`` does.
        """
        async with self._recorded(call) as record:
            caller, acting = await self._identify(call.token)  # 1
            record.identified(caller.principal, acting)
            if operation is None:  # 2 was the door's
                raise ToolUnknown("there is nothing of that name")
            record.found(operation)
            token = await self._delegate(call, caller, acting, operation, record, _NOBODY)  # 3 4 5
            yield token, record

    @asynccontextmanager
    async def _recorded(self, call: ToolCall) -> AsyncIterator[Record]:
        """7: whatever happens in the block is recorded when it ends, and leaves it as a known error."""
        record = self._parts.trail.record(
            door=call.door, tool=call.name, arguments=call.arguments, request_id=call.request_id
        )
        try:
            async with record:
                yield record
        except RemitError as error:
            error.call_id = record.id
            raise
        except Exception as error:  # the top of every call: what nobody foresaw becomes one known error
            # Its text may hold anything, a credential too: only its kind and its place are told.
            unforeseen = InternalError("something went wrong on this side", detail=_kind_and_place(error))
            unforeseen.call_id = record.id
            raise unforeseen from error

    async def _steps(self, call: ToolCall, record: Record, watch: Watch) -> ToolResult:
        caller, acting = await self._identify(call.token)  # 1
        record.identified(caller.principal, acting)
        watch.identified(caller.principal, acting)

        tool, request = await self._find(call, caller, acting, record.id)  # 2
        record.found(tool)

        token = await self._delegate(call, caller, acting, tool, record, watch)  # 3 4 5

        watch.calling(request)  # 6
        credential = token.credential if token else None
        response = await self._parts.apis.send(request, credential, tool, call_id=record.id)
        record.called(request, response)
        result = shape(tool, response)
        record.answered(result)
        return result

    async def _delegate(
        self, call: ToolCall, caller: Caller, acting: ActingParty, operation: Operation, record: Record, watch: Watch
    ) -> DelegatedToken | None:
        """Decide, record the intent, exchange. No token only where the operation's upstream takes none."""
        question = self._question(Phase.TOOL_CALL, caller, acting, operation, call)  # 3
        try:
            document = question.document()
        except PolicyFailed:  # arguments that policy cannot be asked about
            await self._check_visible(caller, acting, operation, call.door)
            raise
        decision = await self._parts.policy.decide(document)
        record.decided(decision)
        watch.decided(decision)
        if isinstance(decision, Deny) and decision.failed:
            await self._check_not_hidden(caller, acting, operation, call.door)
        wanted = Demands.of(_permitted(decision).obligations).narrowed(_wanted(operation))
        _check_actor(acting, operation)
        self._check_held(caller.principal, wanted)

        await record.intend(wanted)  # 4

        if operation.auth.type == "none":
            return None
        token = await self._parts.exchange.delegated_token(caller, acting, wanted)  # 5
        record.exchanged(token)
        watch.exchanged(wanted, token)
        return token

    async def _identify(self, token: UnverifiedToken | None) -> tuple[Caller, ActingParty]:
        caller = await self._parts.subjects.identify(token)
        return caller, await self._parts.actors.resolve(caller.principal)

    async def _find(self, call: ToolCall, caller: Caller, acting: ActingParty, call_id: str) -> tuple[Tool, ApiRequest]:
        """The tool, and the request that the arguments make. What is wrong with them is told only to those who may
        see the tool.
        """
        tool = self._parts.tools.catalog.get(call.name)
        if tool is None:
            raise ToolUnknown("there is no such tool")
        try:
            tool.validate(call.arguments)
            return tool, build_request(tool, call.arguments, _context(caller.principal, acting, call_id))
        except (ArgumentsInvalid, RequestUnusable):
            await self._check_visible(caller, acting, tool, call.door)
            raise

    async def _check_visible(self, caller: Caller, acting: ActingParty, operation: Operation, door: str) -> None:
        """What is wrong with a call's arguments would tell a hidden tool from an unknown one. Raises ``ToolHidden``."""
        question = self._question(Phase.TOOL_LIST, caller, acting, operation, door=door)
        if not (await self._parts.policy.decide(question.document())).allow:
            raise ToolHidden("there is no such tool") from None

    async def _check_not_hidden(self, caller: Caller, acting: ActingParty, operation: Operation, door: str) -> None:
        """A policy that fails on some arguments would tell a hidden tool from an unknown one too.

        Where it cannot say whether the tool is hidden either, everybody is told that it fails.
        """
        question = self._question(Phase.TOOL_LIST, caller, acting, operation, door=door)
        listed = await self._parts.policy.decide(question.document())
        if isinstance(listed, Deny) and not listed.failed:
            raise ToolHidden("there is no such tool")

    def _question(
        self,
        phase: Phase,
        caller: Caller,
        acting: ActingParty,
        operation: Operation,
        call: ToolCall | None = None,
        door: str = "",
    ) -> Question:
        return Question(
            phase=phase,
            principal=caller.principal,
            acting=acting,
            tool=operation,
            now=self._parts.clock.now(),
            arguments=call.arguments if call else {},
            door=call.door if call else door,
            request_id=call.request_id if call else "",
            client=call.client if call else "",
        )

    def _check_held(self, principal: Principal, wanted: Wanted) -> None:
        """A scope that the caller's token lacks would be refused by the token service: said here, with its name."""
        missing = [scope for scope in wanted.scopes if scope not in principal.scopes]
        if missing and self._parts.scopes_within_subject:
            raise ScopeInsufficient(
                f"the user's token lacks the scope {' '.join(missing)}",
                scope=" ".join(wanted.scopes),
                hint="have the user sign in again with this scope",
            )


def _permitted(decision: Decision) -> Permit:
    """The permit, or the refusal: with its reasons, or as an unknown tool where the caller is to be told none."""
    if isinstance(decision, Deny) and not decision.failed and not decision.user_reasons:
        raise ToolHidden("there is no such tool", detail=decision.rule)
    return decision.require_permit()


def _kind_and_place(error: Exception) -> str:
    """``KeyError in request.py:57``, from the innermost frame."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].filename.replace(os.sep, '/').rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__qualname__}{place}"


def _check_actor(acting: ActingParty, operation: Operation) -> None:
    """Whether an agent runner must, or must not, take part: a name that nobody vouches for counts as none."""
    vouched = acting.assurance is not Assurance.SELF_ASSERTED
    if operation.auth.actor == "required" and not vouched:
        raise ActorUnfit(
            "this call needs an agent runner that somebody vouches for",
            detail=f"{acting.actor.sub} is {acting.assurance.value}",
            hint="give the agent its own credentials, or have the issuer put `act` or `client_id` into the token",
        )
    if operation.auth.actor == "forbidden" and vouched:
        raise ActorUnfit("this call is not for agents", detail=f"{acting.actor.sub} acts ({acting.evidence})")


def _wanted(operation: Operation) -> Wanted:
    auth = operation.auth
    return Wanted(Target(audience=auth.audience, resource=auth.resource), auth.scopes, auth.max_lifetime)


def _context(principal: Principal, acting: ActingParty, call_id: str) -> CallContext:
    """What a tool file may put into a request with ``{from: …}``."""
    user = {"sub": principal.subject, "iss": principal.issuer, "name": principal.name}
    return CallContext(user=user, actor={"sub": acting.actor.sub}, call={"id": call_id})
