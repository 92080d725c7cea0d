"""Tools for tests, from a tool file with some parts changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from remit.catalog.compile import CompiledFile, compile_text
from remit.catalog.tool import Tool
from remit.downstream.request import CallContext

CONTEXT = CallContext(
    user={"sub": "alice", "iss": "https://idp.example", "name": "Alice"},
    actor={"sub": "agent-runner"},
    call={"id": "01J0000000000000000000CALL"},
)

_FILE: dict[str, Any] = {
    "version": 1,
    "name": "shop",
    "upstream": {"baseUrl": "https://shop.example/api", "auth": {"audience": "shop-api", "scopes": ["shop:read"]}},
}
_TOOL: dict[str, Any] = {
    "name": "look_up",
    "description": "Looks something up for a test, no more.",
    "request": {"method": "GET", "path": "/things"},
}


def compiled(tool: Mapping[str, Any] | None = None, upstream: Mapping[str, Any] | None = None) -> CompiledFile:
    """A file with one tool; ``tool`` and ``upstream`` replace or add keys."""
    document = copy.deepcopy(_FILE)
    document["upstream"] |= upstream or {}
    document["tools"] = [{**copy.deepcopy(_TOOL), **(tool or {})}]
    return compile_text(yaml.safe_dump(document, sort_keys=False), "shop.yaml", {})


def tool_of(tool: Mapping[str, Any] | None = None, upstream: Mapping[str, Any] | None = None) -> Tool:
    """The tool of such a file, which must have no problem."""
    result = compiled(tool, upstream)
    assert not result.problems, "\n".join(map(str, result.problems))
    return result.tools[0]


def calling(request: Mapping[str, Any], properties: Mapping[str, Any], *required: str, **more: Any) -> Tool:
    """A tool with this request and these arguments."""
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties), "required": list(required)}
    return tool_of({"input": schema, "request": {"method": "GET", "path": "/things", **request}, **more})


def problems_of(tool: Mapping[str, Any] | None = None, upstream: Mapping[str, Any] | None = None) -> str:
    """What is wrong with such a file, as the operator reads it."""
    return "\n".join(map(str, compiled(tool, upstream).problems))
