"""A tool, ready to be called, and the catalog of them (noun)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from remit.catalog.approval import ToolApproval
from remit.catalog.code import Code
from remit.catalog.discovery import Discovery, name_of
from remit.catalog.examples import Example
from remit.catalog.limits import NO_LIMITS, CallLimits
from remit.catalog.plan import RequestPlan, ResponsePlan
from remit.catalog.schema import Schema
from remit.errors import ArgumentsInvalid

_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class ToolAuth:
    """The token a call carries. ``max_lifetime`` in seconds; ``actor``: whether an agent runner must take part;
    ``step_up``: the ``acr`` that the user's token must have, empty where any will do.

    ``client-credentials``: a token of this installation's own, in which there is no user.
    """

    type: Literal["token-exchange", "client-credentials", "none"]
    audience: str
    resource: str
    scopes: tuple[str, ...]
    actor: Literal["required", "optional", "forbidden"]
    max_lifetime: int
    step_up: str = ""

    @property
    def user_scopes(self) -> tuple[str, ...]:
        """Those that the user's own token has to hold."""
        return self.scopes if self.type == "token-exchange" else ()


@dataclass(frozen=True, slots=True)
class ToolAnnotations:
    """What a call may change (MCP tool annotations)."""

    read_only: bool
    destructive: bool
    idempotent: bool
    open_world: bool


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """One tool. Nothing in it is to be changed; ``timeout`` is seconds for the whole API call, retries included.

    ``where`` is ``file:line`` of its definition, ``upstream`` the name of the file, ``digest`` the SHA-256 of the
    definition with everything resolved: what the model sees, what is sent, where to, and with which token.
    ``written`` is that of the definition as it stands in the file, and ``description_digest`` that of the API
    description behind it, empty where there is none: what a lock pins. Where there is ``code``, that is what a call runs;
    ``plan`` then says only where its requests go.
    """

    name: str
    title: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None
    annotations: ToolAnnotations
    upstream: str
    tags: tuple[str, ...]
    facts: Mapping[str, Any]
    digest: str
    where: str
    auth: ToolAuth
    timeout: float
    plan: RequestPlan
    response: ResponsePlan
    arguments: Schema = field(repr=False)
    limits: CallLimits = NO_LIMITS
    approval: ToolApproval | None = None
    examples: tuple[Example, ...] = field(default=(), repr=False)
    written: str = ""
    description_digest: str = ""
    code: Code | None = field(default=None, repr=False)
    discovery: Discovery | None = field(default=None, repr=False)

    @property
    def kind(self) -> str:
        """What policy knows it as."""
        return "tool"

    @property
    def is_request(self) -> bool:
        """Whether a call is one request as ``plan`` has it."""
        return self.code is None and (self.discovery is None or self.is_found)

    @property
    def is_found(self) -> bool:
        """Whether it stands in no list, and agents have to find it."""
        return self.discovery is not None and self.discovery.role == "operation"

    def is_operation_of(self, api: str) -> bool:
        """Whether it is an operation that is found in that API."""
        return self.discovery is not None and self.is_found and self.discovery.api == api

    def is_listed(self, shown: AbstractSet[str]) -> bool:
        """Whether a list has it where policy shows tools of these names. What calls is listed with what finds."""
        if self.discovery is None or self.discovery.looks_up:
            return self.name in shown
        return self.discovery.role == "call" and name_of(self.discovery.api, "find") in shown

    @property
    def method(self) -> str:
        """The HTTP method; what is no request has none."""
        return self.plan.method if self.is_request else ""

    @property
    def path(self) -> str:
        """The path as written, below the upstream's base URL: ``/orders/{order_id}``; what is no request has none."""
        return self.plan.path if self.is_request else ""

    def problems(self, arguments: Mapping[str, Any]) -> list[str]:
        """What is wrong with the arguments by the input schema: at most 5 problems, no values."""
        return self.arguments.problems(dict(arguments)) if _is_json(arguments) else ["they are not plain JSON"]

    def validate(self, arguments: Mapping[str, Any]) -> None:
        """Check the arguments against the input schema. Raises ``ArgumentsInvalid``: at most 5 problems, no values."""
        if problems := self.problems(arguments):
            raise ArgumentsInvalid(
                f"the arguments do not fit the input schema of {self.name}: {'; '.join(problems)}",
                hint=f"compare the call with the input schema in {self.where}",
            )


def _is_json(arguments: Mapping[str, Any]) -> bool:
    """Whether this can be written down at all: no NaN, no half characters, no nesting without end."""
    try:
        _encode(dict(arguments)).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """A snapshot of all tools, by name in order. ``revision`` changes when any definition does."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    revision: str = ""

    @classmethod
    def of(cls, tools: Iterable[Tool]) -> Catalog:
        """The catalog of these tools; names are expected to differ."""
        ordered = {tool.name: tool for tool in sorted(tools, key=lambda tool: tool.name)}
        lines = "".join(f"{tool.name} {tool.digest}\n" for tool in ordered.values())
        return cls(MappingProxyType(ordered), hashlib.sha256(lines.encode()).hexdigest())

    def get(self, name: str) -> Tool | None:
        """The tool of that name, if there is one."""
        return self.tools.get(name)

    def listed(self, shown: Iterable[Tool]) -> tuple[Tool, ...]:
        """What a list has where policy shows these: all but the operations of large APIs, which are found."""
        names = {tool.name for tool in shown}
        return tuple(tool for tool in self.tools.values() if tool.is_listed(names))

    def meant(self, name: str, arguments: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """The tool that a call is about, and its arguments: those it has, or those of the operation it names.

        What is named and is no operation of that API gets a name that no tool has. Arguments that do not fit stay as
        they are, for the tool that was called to say so.
        """
        tool = self.tools.get(name)
        if tool is None or tool.discovery is None or tool.discovery.role != "call" or tool.problems(arguments):
            return name, arguments
        operation = arguments["operation"]
        named = self.tools.get(operation)
        is_there = named is not None and named.is_operation_of(tool.discovery.api)
        return operation if is_there else f"{tool.discovery.api}/{operation}", arguments.get("arguments", {})
