"""Rule: tools as the protocol lists them."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_types import ListToolsResult, ToolAnnotations
from mcp_types import Tool as ListedTool
from mcp_types.methods import serialize_server_result
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from remit.catalog.tool import Tool

#: One page up to here: neither every client nor the conformance suite follows ``nextCursor``.
PAGE_SIZE: Final = 500
#: How long a client may keep a list, in milliseconds; permissions change without telling it.
LIST_TTL_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and the cursor of the next."""

    tools: Sequence[Tool]
    next_cursor: str | None


def page_of(tools: Sequence[Tool], cursor: str | None) -> Page:
    """One page of ``tools``, which are sorted by name and already filtered for the caller.

    The cursor is the last name of the page before, so a list that changes between two pages loses nothing.
    """
    start = bisect_right(tools, cursor, key=lambda tool: tool.name) if cursor else 0
    page = tools[start : start + PAGE_SIZE]
    return Page(page, page[-1].name if start + PAGE_SIZE < len(tools) else None)


def without_tools() -> ListToolsResult:
    """A list but for its tools."""
    return ListToolsResult(tools=[], ttl_ms=LIST_TTL_MS, cache_scope="private")


def written(tools: Sequence[Tool], version: str) -> list[bytes]:
    """Each tool as JSON without line breaks, as a list has it in this revision of the protocol.

    Raises ``ValidationError`` (pydantic's) for one that the revision does not allow.
    """
    result = without_tools()
    result.tools = [_listed_tool(tool, any_json=version in MODERN_PROTOCOL_VERSIONS) for tool in tools]
    document = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    listed: list[dict[str, Any]] = serialize_server_result("tools/list", version, document)["tools"]
    return [json.dumps(tool, separators=(",", ":")).encode() for tool in listed]


def _listed_tool(tool: Tool, *, any_json: bool) -> ListedTool:
    """Schemas as they stand. Before 2026-07-28 an output schema had to describe an object: others are left out."""
    output = tool.output_schema
    if output is not None and not any_json and output.get("type") != "object":
        output = None
    return ListedTool(
        name=tool.name,
        title=tool.title or None,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=output,
        annotations=ToolAnnotations(
            read_only_hint=tool.annotations.read_only,
            destructive_hint=tool.annotations.destructive,
            idempotent_hint=tool.annotations.idempotent,
            open_world_hint=tool.annotations.open_world,
        ),
    )
