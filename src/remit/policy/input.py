"""Rule: the document policy decides about, ``remit.authz.input/v1``.

It is *total*: every member is there, whatever is not known is ``""``, ``[]``, ``0`` or ``{}``, so that no rule is
passed over because something was missing. It holds no token. Subject, actor, chain and token come from verified
tokens alone; the effect and the facts of a tool come from its definition; ``arguments`` and ``context.client`` are
whatever the agent sent and prove nothing.

The top members are those of an AuthZEN 1.0 request (subject, action, resource, context), plus what delegation needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Phase(StrEnum):
    """When policy is asked."""

    TOOL_LIST = "tool_list"  # may this caller see the tool at all
    TOOL_CALL = "tool_call"  # may this call be made


_ACTIONS: Final = {Phase.TOOL_LIST: "tools/list", Phase.TOOL_CALL: "tools/call"}


class Operation(Protocol):
    """What policy is asked about: a tool, or a request to a route of the gateway."""

    @property
    def kind(self) -> str:
        """``tool`` or ``route``."""
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


@dataclass(frozen=True, slots=True)
class Question:
    """May ``principal``, through ``acting``, see or call ``tool``? ``now`` in seconds since the epoch.

    ``client`` is what the client says of itself.
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

    def document(self) -> dict[str, Any]:
        """The input document. Raises ``PolicyFailed`` where engines would read it differently.

        That is: arguments beyond 256 KB or 60 levels, whole numbers beyond ±(2^53-1), numbers that are not finite,
        NUL, and lone surrogates.
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
            "context": _context(self),
            "time": _time(self.now),
        }


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
    }
    return {"name": _ACTIONS[phase], "properties": properties}


def _resource(tool: Operation) -> dict[str, Any]:
    properties = {
        "server": tool.upstream,
        "path": tool.path,
        "target": tool.auth.audience or tool.auth.resource,
        "tags": list(tool.tags),
        "facts": dict(tool.facts),
        "digest": tool.digest,
    }
    return {"type": tool.kind, "id": tool.name, "properties": properties}


def _token(principal: Principal, tool: Operation, now: float) -> dict[str, Any]:
    """What the caller's token says, and what will be asked for with it. Times in seconds."""
    requested = {
        "scopes": list(tool.auth.scopes),
        "audience": tool.auth.audience,
        "resource": tool.auth.resource,
        "lifetime": tool.auth.max_lifetime,
        "grant": tool.auth.type,
    }
    return {
        "scopes": list(principal.scopes),
        "audience": list(principal.audience),
        "issuer": principal.issuer,
        "expires_in": max(0, principal.expires_at - int(now)),
        "requested": requested,
    }


def _context(question: Question) -> dict[str, Any]:
    return {
        "door": question.door,
        "request_id": question.request_id,
        "client": question.client,
        "approval": {"state": "none", "id": "", "approver": ""},
        "supported_obligations": list(SUPPORTED),
    }


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
    where = {"server": "", "path": "", "target": "", "tags": [], "facts": {}, "digest": ""}
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
        "context": {
            "door": "",
            "request_id": "",
            "client": "",
            "approval": {"state": "none", "id": "", "approver": ""},
            "supported_obligations": list(SUPPORTED),
        },
        "time": _time(0),
    }
