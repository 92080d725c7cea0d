"""What the model sees of a tool (rule): as it stands in an MCP list, and what it costs there."""

from __future__ import annotations

import json
from typing import Any, Final

from remit.catalog.tool import Tool

#: A list of tools should not be larger: 40 tools, 60 KB.
MAX_LISTED: Final = 40
MAX_LIST_BYTES: Final = 60 * 1024

_BYTES_A_TOKEN: Final = 4


def shown(tool: Tool) -> dict[str, Any]:
    """The tool as the MCP door lists it."""
    annotations = tool.annotations
    document: dict[str, Any] = {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
        "annotations": {
            "readOnlyHint": annotations.read_only,
            "destructiveHint": annotations.destructive,
            "idempotentHint": annotations.idempotent,
            "openWorldHint": annotations.open_world,
        },
    }
    return {key: value for key, value in document.items() if value not in ("", None)}


def shown_bytes(tool: Tool) -> int:
    """The size of it as compact JSON in UTF-8."""
    return len(json.dumps(shown(tool), ensure_ascii=False, separators=(",", ":")).encode())


def estimated_tokens(size: int) -> int:
    """About how many tokens ``size`` bytes of JSON are to a model; models differ by a third and more."""
    return -(-size // _BYTES_A_TOKEN)
