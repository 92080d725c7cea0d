"""Rule: the document policy decides about, ``remit.authz.input/v1``.

It is *total*: every member is there, whatever is not known is ``""``, ``[]``, ``0`` or ``{}``, so that no rule is
passed over because something was missing. It holds no token. Subject, actor, chain and token come from verified
tokens alone; the effect and the facts of a tool come from its definition; ``arguments`` and ``context.client`` are
whatever the agent sent and prove nothing.

The top members are those of an AuthZEN 1.0 request (subject, action, resource, context), plus what delegation needs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol

import orjson

from remit.catalog.tool import ToolAnnotations, ToolAuth
from remit.errors import PolicyFailed
from remit.policy.obligations import SUPPORTED
from remit.principal import ActingParty, Actor, Principal

SCHEMA: Final = "remit.authz.input/v1"

_MAX_INTEGER: Final = 2**53 - 1
_MAX_DEPTH: Final = 60  # of the arguments; 64 for the document
_MAX_BYTES: Final = 256 * 1024
_UNREADABLE: Final = re.compile("[\0\ud800-\udfff]")
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Phase(StrEnum):
    """When policy is asked."""

    TOOL_LIST = "tool_list"  # may this caller see the tool at all
    TOOL_CALL = "tool_call"  # may this call be made
    TOKEN_EXCHANGE = "token_exchange"  # may this token be issued
    RESULT = "result"  # may this answer be given


_ACTIONS: Final = {
    Phase.TOOL_LIST: "tools/list",
    Phase.TOOL_CALL: "tools/call",
    Phase.TOKEN_EXCHANGE: "token_exchange",
    Phase.RESULT: "tools/result",
}


class Operation(Protocol):
    """What policy is asked about: a tool, a request to a route of the gateway, or the target of an exchange."""

    @property
    def kind(self) -> str:
        """``tool``, ``route`` or ``target``."""
        ...

    @property
    def name(self) -> str:
        """The tool's or route's name."""
        ...

    @property
    def method(self) -> str:
        """The HTTP method."""
        ...

    @property
    def path(self) -> str:
        """The path: a tool's with ``{name}`` for arguments, a route's as requested."""
        ...

    @property
    def upstream(self) -> str:
        """The name of the API."""
        ...

    @property
    def annotations(self) -> ToolAnnotations:
        """What it may change."""
        ...

    @property
    def auth(self) -> ToolAuth:
        """The token it needs."""
        ...

    @property
    def tags(self) -> tuple[str, ...]:
        """Its author's labels."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """Its author's facts for policy."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of its definition."""
        ...

    @property
    def description_digest(self) -> str:
        """SHA-256 of the operation of an API description that it stands on, empty where there is none."""
        ...


_NO_EFFECT: Final = ToolAnnotations(read_only=False, destructive=False, idempotent=False, open_world=False)


@dataclass(frozen=True, slots=True)
class ExchangeTarget:
    """What policy is asked about before a token is issued: whom it will be for, and what is asked for it."""

    auth: ToolAuth
    kind: str = "target"
    method: str = ""
    path: str = ""
    upstream: str = ""
    annotations: ToolAnnotations = _NO_EFFECT
    tags: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    description_digest: str = ""

    @property
    def name(self) -> str:
        """The audience, else the resource."""
        return self.auth.audience or self.auth.resource


@dataclass(frozen=True, slots=True)
class ApprovalState:
    """Whether somebody approved this very call. ``state``: ``none``, ``pending``, ``approved`` or ``denied``.

    ``approver`` is the approver's ``sub``; ``method`` how they were asked: ``elicitation`` or ``operator``.
    """

    state: str = "none"
    id: str = ""
    approver: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class ResultFacts:
    """What an API answered, shaped by its tool. ``size`` in bytes."""

    status: int = 0
    size: int = 0
    truncated: bool = False
    data: Any = None


@dataclass(frozen=True, slots=True)
class Question:
    """May ``principal``, through ``acting``, see, call or have ``tool``? ``now`` in seconds since the epoch.

    ``client`` is what the client says of itself. ``first_time``: this agent has not acted for this user before.
    ``supported``: the obligations that can be enforced. ``parent``: the tool whose code makes the call, if one does.
    """

    phase: Phase
    principal: Principal
    acting: ActingParty
    tool: Operation
    now: float
    arguments: Mapping[str, Any] = field(default_factory=dict)
    door: str = ""
    request_id: str = ""
    client: str = ""
    approval: ApprovalState = ApprovalState()
    first_time: bool = False
    result: ResultFacts = ResultFacts()
    supported: tuple[str, ...] = SUPPORTED
    parent: str = ""

    def document(self) -> dict[str, Any]:
        """The input document. Raises ``PolicyFailed`` where engines would read it differently.

        That is: arguments beyond 256 KB or 60 levels, whole numbers beyond ±(2^53-1), numbers that are not finite,
        NUL, and lone surrogates. In a result such numbers are given as text and such characters replaced.
        """
        _check(self.arguments)
        return {
            "schema": SCHEMA,
            "phase": self.phase.value,
            "subject": _subject(self.principal),
            "actor": _actor(self.acting, self.principal),
            "chain": _chain(self.acting, self.principal),
            "action": _action(self.phase, self.tool),
            "resource": _resource(self.tool),
            "arguments": dict(self.arguments),
            "token": _token(self.principal, self.tool, self.now),
            "result": _result(self.result),
            "context": _context(self),
            "time": _time(self.now),
        }


def about_each(question: Question, tools: Sequence[Operation]) -> list[dict[str, Any]]:
    """The documents of the same question about each of ``tools``, which share what is not about a tool."""
    shared = question.document()
    token = shared["token"]
    return [
        {
            **shared,
            "action": _action(question.phase, tool),
            "resource": _resource(tool),
            "token": {**token, "requested": _requested(tool)},
        }
        for tool in tools
    ]


def _subject(principal: Principal) -> dict[str, Any]:
    properties = {
        "name": principal.name,
        "groups": list(principal.groups),
        "roles": list(principal.roles),
        "acr": principal.acr,
        "amr": list(principal.amr),
        "auth_time": principal.auth_time,
    }
    return {"type": "user", "id": principal.subject, "issuer": principal.issuer, "properties": properties}


def _actor(acting: ActingParty, principal: Principal) -> dict[str, Any]:
    properties = {
        "client_id": principal.client_id,
        "assurance": acting.assurance.value,
        "evidence": acting.evidence,
        "attested": acting.assurance.value in ("authenticated", "attested"),
    }
    return {"type": "agent", "id": acting.actor.sub, "issuer": acting.actor.iss, "properties": properties}


def _chain(acting: ActingParty, principal: Principal) -> list[dict[str, Any]]:
    """Who acts, newest first: the chain of the token that is about to be asked for."""
    inbound = principal.chain
    chain = inbound if inbound.current == acting.actor else inbound.then(acting.actor)
    if acting.via is not None:
        chain = chain.then(acting.via)
    return [_hop(actor, depth) for depth, actor in enumerate(chain.actors)]


def _hop(actor: Actor, depth: int) -> dict[str, Any]:
    return {"type": "agent", "id": actor.sub, "issuer": actor.iss, "depth": depth}


def _action(phase: Phase, tool: Operation) -> dict[str, Any]:
    annotations = tool.annotations
    properties = {
        "http_method": tool.method,
        "effect": "read" if annotations.read_only else "write",
        "read_only": annotations.read_only,
        "destructive": annotations.destructive,
        "idempotent": annotations.idempotent,
        "open_world": annotations.open_world,
    }
    return {"name": _ACTIONS[phase], "properties": properties}


def _resource(tool: Operation) -> dict[str, Any]:
    properties = {
        "server": tool.upstream,
        "path": tool.path,
        "target": tool.auth.audience or tool.auth.resource,
        "tags": list(tool.tags),
        "data_class": data_class(tool.facts),
        "facts": dict(tool.facts),
        "digest": tool.digest,
        "description_digest": tool.description_digest,
    }
    return {"type": tool.kind, "id": tool.name, "properties": properties}


def _token(principal: Principal, tool: Operation, now: float) -> dict[str, Any]:
    """What the caller's token says, and what will be asked for with it. Times in seconds."""
    return {
        "scopes": list(principal.scopes),
        "audience": list(principal.audience),
        "issuer": principal.issuer,
        "expires_in": max(0, principal.expires_at - int(now)),
        "requested": _requested(tool),
    }


def _requested(tool: Operation) -> dict[str, Any]:
    return {
        "scopes": list(tool.auth.scopes),
        "audience": tool.auth.audience,
        "resource": tool.auth.resource,
        "lifetime": tool.auth.max_lifetime,
        "grant": tool.auth.type,
    }


def _context(question: Question) -> dict[str, Any]:
    return {
        "door": question.door,
        "request_id": question.request_id,
        "client": question.client,
        "approval": _approval(question.approval),
        "first_time": question.first_time,
        "supported_obligations": list(question.supported),
        "parent": question.parent,
    }


def _approval(approval: ApprovalState) -> dict[str, Any]:
    return {"state": approval.state, "id": approval.id, "approver": approval.approver, "method": approval.method}


def data_class(facts: Mapping[str, Any]) -> str:
    """The fact ``dataClass`` of a tool: what kind of data it is about, by its author's own words."""
    value = facts.get("dataClass", "")
    return value if isinstance(value, str) else ""


def _result(result: ResultFacts) -> dict[str, Any]:
    return {
        "status": result.status,
        "bytes": result.size,
        "truncated": result.truncated,
        "data": _readable(result.data, 0),
    }


def _readable(value: Any, depth: int) -> Any:
    """An API's answer as all engines read it alike; what they would not, as text. Raises ``PolicyFailed``."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if math.isfinite(value) and -_MAX_INTEGER <= value <= _MAX_INTEGER else str(value)
    if isinstance(value, str):
        return value if value.isascii() and "\0" not in value else _UNREADABLE.sub("\ufffd", value)
    if depth == _MAX_DEPTH:
        raise PolicyFailed(
            "policy cannot be asked about this answer, so it is withheld",
            detail=f"it is nested deeper than {_MAX_DEPTH} levels",
            hint="take less of it with response.select",
        )
    if isinstance(value, list):
        return [_readable(item, depth + 1) for item in value]
    return {_readable(key, depth + 1): _readable(item, depth + 1) for key, item in value.items()}


def _time(now: float) -> dict[str, Any]:
    at = datetime.fromtimestamp(int(now), UTC)
    return {
        "ns": int(now) * 1_000_000_000,
        "rfc3339": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "weekday": _WEEKDAYS[at.weekday()],
        "hour": at.hour,
    }


def _check(arguments: Mapping[str, Any]) -> None:
    try:
        _check_value(arguments, 0)
        size = len(orjson.dumps(arguments))
    except (ValueError, TypeError) as error:
        raise _refused(str(error)) from error
    if size > _MAX_BYTES:
        raise _refused(f"the arguments are larger than {_MAX_BYTES} bytes")


def _check_value(value: Any, depth: int) -> None:
    """Raise ``ValueError``, without the value in it, for what engines read differently."""
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int):  # a boolean too
        if not -_MAX_INTEGER <= value <= _MAX_INTEGER:
            raise ValueError("a whole number lies beyond ±(2^53-1)")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number is not finite")
    elif isinstance(value, Mapping | list | tuple):
        if depth == _MAX_DEPTH:
            raise ValueError(f"the arguments are nested deeper than {_MAX_DEPTH} levels")
        _check_items(value, depth + 1)
    elif value is not None:
        raise ValueError("a value is not JSON")


def _check_items(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> None:
    for item in value:
        _check_value(item, depth)
    if isinstance(value, Mapping):
        for item in value.values():
            _check_value(item, depth)


def _check_text(value: str) -> None:
    if "\0" in value:
        raise ValueError("a text holds NUL")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("a text holds a lone surrogate")


def _refused(detail: str) -> PolicyFailed:
    return PolicyFailed(
        "policy cannot be asked about these arguments, so the call is refused",
        detail=detail,
        hint="narrow the tool's input schema, so that such arguments are refused by name",
    )


def empty_document(phase: Phase) -> dict[str, Any]:
    """The total document about nobody and nothing: what a policy is tried with before it is used."""
    none = {"type": "", "id": "", "issuer": ""}
    requested = {"scopes": [], "audience": "", "resource": "", "lifetime": 0, "grant": ""}
    effects = {"http_method": "", "effect": "", "read_only": False, "destructive": False, "idempotent": False}
    effects["open_world"] = False
    where = {"server": "", "path": "", "target": "", "tags": [], "data_class": "", "facts": {}}
    where |= {"digest": "", "description_digest": ""}
    identity = {"name": "", "groups": [], "roles": [], "acr": "", "amr": [], "auth_time": 0}
    runner = {"client_id": "", "assurance": "", "evidence": "", "attested": False}
    return {
        "schema": SCHEMA,
        "phase": phase.value,
        "subject": {**none, "properties": identity},
        "actor": {**none, "properties": runner},
        "chain": [],
        "action": {"name": _ACTIONS[phase], "properties": effects},
        "resource": {"type": "", "id": "", "properties": where},
        "arguments": {},
        "token": {"scopes": [], "audience": [], "issuer": "", "expires_in": 0, "requested": requested},
        "result": _result(ResultFacts()),
        "context": {
            "door": "",
            "request_id": "",
            "client": "",
            "approval": _approval(ApprovalState()),
            "first_time": False,
            "supported_obligations": list(SUPPORTED),
            "parent": "",
        },
        "time": _time(0),
    }
