"""Door: lists of tools, of which each tool is written once and kept.

The SDK would make models of all tools of a page, check them and write them out, three times over, for every list: a
twentieth of a second for a page. So it is left to check the request and to make an answer without tools; they are put in
here, as text where the door can do that. What the text says was checked by the SDK when it was written.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from mcp.server.context import CallNext, HandlerResult
from pydantic import ValidationError

from remit.catalog.tool import Tool
from remit.doors.mcp.line import Line, RequestContext
from remit.doors.mcp.listing import page_of, written
from remit.doors.mcp.rendering import protocol_fault
from remit.errors import InternalError

_LOG = structlog.get_logger(__name__)

#: So many are written together: models of all would be in memory at once.
_LOT: Final = 50


class Lists:
    """Middleware of the SDK's server. ``visible``: the tools that the maker of a request sees, by name; or raises."""

    def __init__(self, line: Line, visible: Callable[[RequestContext], Awaitable[Sequence[Tool]]]) -> None:
        self._line = line
        self._visible = visible
        self._texts: dict[tuple[str, str], tuple[Tool, bytes]] = {}

    async def __call__(self, ctx: RequestContext, call_next: CallNext) -> HandlerResult:
        """Serve the request; where it asks for a list, put the tools in."""
        result = await call_next(ctx)
        if ctx.method != "tools/list" or not isinstance(result, dict):
            return result
        page = page_of(await self._visible(ctx), (ctx.params or {}).get("cursor"))
        text = b",".join(self._text(page.tools, ctx.protocol_version))
        if not self._line.put_tools(ctx, text):
            result["tools"] = json.loads(b"[%b]" % text)
        return result if page.next_cursor is None else {**result, "nextCursor": page.next_cursor}

    def forget(self) -> None:
        """Let go of tools that are perhaps there no more."""
        self._texts.clear()

    def _text(self, tools: Sequence[Tool], version: str) -> list[bytes]:
        """A tool is the same only as long as it is the same object: a reload makes others of those that changed."""
        new = [tool for tool in tools if self._texts.get((version, tool.name), (None,))[0] is not tool]
        try:
            for start in range(0, len(new), _LOT):
                lot = new[start : start + _LOT]
                for tool, text in zip(lot, written(lot, version), strict=True):
                    self._texts[version, tool.name] = tool, text
        except ValidationError as error:  # which the SDK would tell the client of, as its own mistake
            _LOG.exception("tools cannot be listed")
            raise protocol_fault(InternalError("the tools cannot be listed")) from error
        return [self._texts[version, tool.name][1] for tool in tools]
