"""Rule: tools as the protocol lists them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from mcp_types import ListToolsResult, ToolAnnotations
from mcp_types import Tool as ListedTool

from remit.catalog.tool import Tool

#: One page up to here: neither every client nor the conformance suite follows ``nextCursor``.
PAGE_SIZE: Final = 500
#: How long a client may keep a list, in milliseconds; permissions change without telling it.
LIST_TTL_MS: Final = 60_000


def listed(tools: Sequence[Tool], cursor: str | None, *, any_json: bool) -> ListToolsResult:
    """One page of ``tools``, which are sorted by name and already filtered for the caller.

    The cursor is the last name of the page before, so a list that changes between two pages loses nothing.
    ``any_json``: whether this revision lets an output schema describe any JSON value (2026-07-28).
    """
    start = bisect_right(tools, cursor, key=lambda tool: tool.name) if cursor else 0
    page = tools[start : start + PAGE_SIZE]
    more = start + PAGE_SIZE < len(tools)
    return ListToolsResult(
        tools=[_listed_tool(tool, any_json=any_json) for tool in page],
        next_cursor=page[-1].name if more else None,
        ttl_ms=LIST_TTL_MS,
        cache_scope="private",
    )


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
