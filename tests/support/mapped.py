"""Operations as they are mapped: what a model sees of them, and what they send."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from remit.catalog.openapi.description import Description, JsonSchema
from remit.catalog.openapi.mapping import Mapped, Mapper, Unmappable
from remit.catalog.openapi.naming import tool_names
from remit.catalog.openapi.profile import ProfileName
from remit.catalog.openapi.reader import describe
from remit.catalog.openapi.wire import plan_of
from remit.catalog.plan import RequestPlan
from remit.catalog.schema import Schema
from remit.downstream.request import ApiRequest, build_request
from support.tools import CONTEXT, tool_of
from support.wire import SENDING

_TOOL = tool_of()


@dataclass(frozen=True)
class MappedTool:
    """An operation with the name of its tool and the plan of its requests."""

    name: str
    mapped: Mapped
    plan: RequestPlan

    @property
    def input(self) -> JsonSchema:
        return self.mapped.input

    @property
    def shown(self) -> dict[str, Any]:
        """The tool in a list of tools."""
        method = self.mapped.operation.method
        return {
            "name": self.name,
            "title": self.mapped.title,
            "description": self.mapped.description,
            "inputSchema": self.mapped.input,
            "annotations": {
                "readOnlyHint": method == "GET",
                "destructiveHint": method == "DELETE",
                "idempotentHint": method in {"GET", "PUT", "DELETE"},
                "openWorldHint": False,
            },
        }

    @property
    def size(self) -> int:
        """The bytes of it in a list of tools."""
        return len(json.dumps(self.shown, separators=(",", ":")))

    def problems(self, arguments: dict[str, Any]) -> list[str]:
        return Schema(self.input).problems(arguments)

    def send(self, **arguments: Any) -> ApiRequest:
        """The request with these arguments, which have to fit the input schema."""
        assert self.problems(arguments) == []
        return build_request(replace(_TOOL, plan=self.plan), arguments, CONTEXT)

    def sent(self, **arguments: Any) -> Any:
        """What the body of the request says, which is JSON."""
        body = self.send(**arguments).body
        return None if body is None else json.loads(body)


def tools_of(description: Description, profile: ProfileName = "portable") -> Iterator[MappedTool | tuple[str, str]]:
    """The tools of all operations, or the operation and why there is none."""
    mapper = Mapper(description, profile)
    names = tool_names(description.operations)
    for name, operation in zip(names, description.operations, strict=True):
        try:
            mapped = mapper.map(operation)
            plan = plan_of(operation, mapped.bindings, mapped.content, mapper.schemas, SENDING)
        except (Unmappable, ValueError) as error:
            yield f"{operation.method} {operation.path}", str(error)
        else:
            yield MappedTool(name, mapped, plan)


def described_by(operations: dict[str, Any], schemas: dict[str, Any] | None = None, **more: Any) -> Description:
    """The description of OpenAPI 3.1 in which these operations stand: ``POST /things`` → operation."""
    paths: dict[str, Any] = {}
    for request, operation in operations.items():
        method, _, path = request.partition(" ")
        paths.setdefault(path, {})[method.lower()] = operation
    document = {"openapi": "3.1.0", "info": {"title": "Things", "version": "1"}, "paths": paths}
    return describe({"api.yaml": {**document, "components": {"schemas": schemas or {}}, **more}})


def only_tool(description: Description, profile: ProfileName = "portable") -> MappedTool:
    """The tool of the one operation of a description."""
    (tool,) = tools_of(description, profile)
    assert isinstance(tool, MappedTool), tool
    return tool


def schemas_in(schema: JsonSchema) -> Iterator[JsonSchema]:
    """A schema and all schemas in it, by position."""
    waiting: list[Any] = [schema]
    while waiting:
        here = waiting.pop()
        if not isinstance(here, dict):
            continue
        yield here
        for key in ("properties", "patternProperties", "dependentSchemas", "$defs"):
            waiting += here.get(key, {}).values()
        for key in ("allOf", "anyOf", "oneOf", "prefixItems"):
            waiting += here.get(key, ())
        waiting += [here.get(key) for key in ("items", "additionalProperties", "propertyNames", "not", "contains")]


def keys_in(schema: JsonSchema) -> Iterable[str]:
    """What the members of all objects of a schema are called."""
    return {key for each in schemas_in(schema) for key in each.get("properties", {})}
