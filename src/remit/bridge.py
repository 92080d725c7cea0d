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

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from remit.audit.trail import Record, Trail
from remit.catalog.tool import Catalog, Tool
from remit.clock import Clock
from remit.credential import Credential, UnverifiedToken
from remit.downstream.client import ApiClient
from remit.downstream.request import ApiRequest, CallContext, build_request
from remit.downstream.result import ToolResult, shape
from remit.errors import AuthorizationError, InternalError, RemitError, ToolHidden, ToolUnknown
from remit.exchange.exchanger import DelegatedToken, Exchanger
from remit.exchange.messages import Target, Wanted
from remit.identity.actor import ActorResolver
from remit.identity.subject import SubjectIdentifier
from remit.policy.decision import Decision, Deny, Permit
from remit.policy.engine import PolicyEngine
from remit.policy.input import document
from remit.policy.obligations import narrowed
from remit.principal import ActingParty, Caller, Principal


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


class Watch(Protocol):
    """Somebody who may see each step while it happens (`remit call --explain`). No token is shown to them."""

    def identified(self, principal: Principal, acting: ActingParty) -> None: ...
    def decided(self, decision: Decision, wanted: Wanted) -> None: ...
    def exchanged(self, token: DelegatedToken) -> None: ...
    def calling(self, request: ApiRequest) -> None: ...


class Bridge:
    """Everything a door needs: list the tools a caller may see, call one of them, identify a caller."""

    def __init__(
        self,
        *,
        subjects: SubjectIdentifier,
        actors: ActorResolver,
        catalog: CatalogView,
        policy: PolicyEngine,
        exchange: Exchanger,
        apis: ApiClient,
        trail: Trail,
        clock: Clock,
    ) -> None:
        self._subjects = subjects
        self._actors = actors
        self._catalog = catalog
        self._policy = policy
        self._exchange = exchange
        self._apis = apis
        self._trail = trail
        self._clock = clock

    async def call(self, call: ToolCall, watch: Watch | None = None) -> CallResult:
        """Make one call. Raises leaves of ``RemitError``, each with ``call_id`` set, and nothing else."""
        record = self._trail.record(
            door=call.door, tool=call.name, arguments=call.arguments, request_id=call.request_id
        )
        try:
            async with record:
                return await self._steps(call, record, watch or _NOBODY)
        except RemitError as error:
            error.call_id = record.id
            raise
        except Exception as error:  # the top of every call: what nobody foresaw becomes one known error
            unforeseen = InternalError("something went wrong on this side", detail=repr(error))
            unforeseen.call_id = record.id
            raise unforeseen from error

    async def _steps(self, call: ToolCall, record: Record, watch: Watch) -> CallResult:
        caller, acting = await self._identify(call.token)  # 1
        record.identified(caller.principal, acting)
        watch.identified(caller.principal, acting)

        tool = await self._find(call, caller, acting)  # 2
        record.found(tool)

        permit, wanted = await self._decide(call, caller, acting, tool, record, watch)  # 3

        await record.intend(wanted)  # 4

        token = await self._exchange.delegated_token(caller, acting, wanted)  # 5
        record.exchanged(token)
        watch.exchanged(token)

        request = build_request(tool, call.arguments, _context(caller, acting, record.id))  # 6
        watch.calling(request)
        response = await self._apis.send(request, token.credential, tool, call_id=record.id)
        record.called(request, response)
        result = shape(tool, response)
        record.answered(result)
        return CallResult(record.id, result)  # 7 is the record's own end
