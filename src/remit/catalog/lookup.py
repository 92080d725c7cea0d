"""What an agent is told of the operations of a large API (rule): those that policy shows to the caller, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from remit.catalog.discovery import FOUND, Discovery, name_of
from remit.catalog.openapi.prose import shortened
from remit.catalog.tool import Tool
from remit.errors import ArgumentsInvalid

#: Characters of a description in a list.
_SHORT: Final = 200


def looked_up(discovery: Discovery, arguments: Mapping[str, Any], shown: Sequence[Tool]) -> dict[str, Any]:
    """What ``find`` or ``describe`` answers; ``shown`` are all tools that policy shows to the caller.

    Raises ``ArgumentsInvalid`` for an operation that is not among them, whether there is one of that name or not.
    """
    known = {tool.name: tool for tool in shown if tool.is_operation_of(discovery.api)}
    if discovery.role == "find":
        found = discovery.search.find(arguments.get("query", ""), known.keys())
        operations = [_in_short(known[name]) for name in found[: arguments.get("limit", FOUND)]]
        return {"operations": operations, "found": len(found)}
    tool = known.get(arguments["operation"])
    if tool is None:
        raise ArgumentsInvalid(f"there is no such operation; {name_of(discovery.api, 'find')} finds those there are")
    return {**_in_short(tool), "description": tool.description, "input_schema": tool.input_schema}


def _in_short(tool: Tool) -> dict[str, Any]:
    said = tool.annotations
    effect = "reads" if said.read_only else "destroys" if said.destructive else "writes"
    return {"operation": tool.name, "description": shortened(tool.description, _SHORT), "effect": effect}
