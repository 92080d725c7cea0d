"""The API's answer → what the agent gets: read, select, redact, cap; or a file, whole (rule).

Nothing of an error's body reaches the agent but the values that the tool file names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from remit.catalog.plan import ResponsePlan
from remit.catalog.tool import Tool
from remit.downstream.file import File
from remit.downstream.pages import merged
from remit.downstream.refusal import refusal
from remit.downstream.response import ApiResponse, read_content
from remit.downstream.shaping import UNSHAPABLE, TooLong, capped, selected
from remit.downstream.wire.text import encode_json
from remit.errors import ResponseUnusable

_MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A shaped result. ``text`` is what the agent reads: compact JSON, or a text as it is; ``size`` its bytes.

    Where something was cut off, ``truncated`` is set and the data says so too: an object has the member
    ``truncated``, a list has become ``{"items": […], "truncated": true}`` (``wrapped``), a text ends in ``[truncated]``.
    Of a tool with paging a list is always wrapped, and the object has ``next_cursor`` where there is more.
    Where it is a ``file``, data and text say which, and ``size`` is the file's.
    """

    data: Any = field(repr=False)
    text: str = field(repr=False)
    truncated: bool
    size: int
    wrapped: bool = False
    file: File | None = None

    @property
    def unwrapped(self) -> Any:
        """The data in the shape that the tool gives it, however much was cut off: a list is a list."""
        return self.data["items"] if self.wrapped else self.data


def with_data(tool: Tool, result: ToolResult, unwrapped: Any) -> ToolResult:
    """The same result with other data, as after a redaction. Raises ``ResponseUnusable``.

    What the tool promises of its output still has to hold: clients check it.
    """
    if result.file is not None:
        raise ResponseUnusable("policy hides a part of the answer, and of a file no part can be hidden")
    data = {**result.data, "items": unwrapped} if result.wrapped else unwrapped
    if tool.response.output is not None and (problems := tool.response.output.problems(data)):
        raise ResponseUnusable(
            "the result does not fit the tool's output schema once policy has hidden a part of it",
            detail="; ".join(problems),
            hint=f"let response.schema in {tool.where} do without what policy hides",
        )
    text = data if isinstance(data, str) else encode_json(data)
    return replace(result, data=data, text=text, size=len(text.encode()))


def shape(tool: Tool, response: ApiResponse, *, quote: bool = True) -> ToolResult:
    """Shape an answer. Raises ``DownstreamRefused`` (3xx, 4xx), ``DownstreamFailed`` (5xx) or ``ResponseUnusable``.

    ``quote``: whether such a refusal may hold values of the answer.
    """
    if not response.ok:
        raise refusal(tool, response, quote=quote)
    plan = tool.response
    if response.body and response.media_type in plan.files:
        return _file_result(tool, File(response.media_type, response.body), response.status)
    try:
        result = _shaped(plan, response)
        _check_depth(result.data, result.text)
    except TooLong as error:
        raise ResponseUnusable(
            f"the answer is longer than {plan.max_bytes} bytes and cannot be cut; ask for less",
            status=response.status,
            detail=str(error),
            hint=f"let select in {tool.where} take less of it, or raise response.maxBytes",
        ) from None
    except UNSHAPABLE as error:
        raise ResponseUnusable(
            "the API's answer does not have the shape this tool expects",
            status=response.status,
            detail=f"{type(error).__name__}: {error}"[:200],
            hint=f"compare select in {tool.where} with what the API answers",
        ) from None
    if plan.output is not None and (problems := plan.output.problems(result.data)):
        raise ResponseUnusable(
            "the result does not fit the tool's output schema",
            status=response.status,
            detail="; ".join(problems),
            hint=f"mend response.select or response.schema in {tool.where}",
        )
    return result


def _shaped(plan: ResponsePlan, response: ApiResponse) -> ToolResult:
    """The whole result, or what of it is within the bounds. Raises ``UNSHAPABLE``."""
    if plan.paging is not None:
        shaped = merged(plan, plan.paging, response)
    else:
        shaped = capped(plan, selected(plan, read_content(response)))
    data, text, truncated, wrapped = shaped
    return ToolResult(data, text, truncated, len(text.encode()), wrapped=wrapped)


def _file_result(tool: Tool, file: File, status: int) -> ToolResult:
    """The file, or nothing: one that was cut is no file."""
    if len(file.content) > tool.response.max_bytes:
        raise ResponseUnusable(
            f"the file ({file.media_type}, {len(file.content)} bytes) is larger than {tool.response.max_bytes} bytes",
            status=status,
            hint=f"raise response.maxBytes in {tool.where}, or have the API answer with less",
        )
    facts = file.facts
    return ToolResult(facts, encode_json(facts), truncated=False, size=len(file.content), file=file)


def _check_depth(data: Any, text: str) -> None:
    """Refuse what others could not read back; the text's brackets bound the depth, so most need no walk."""
    level = [data] if text.count("[") + text.count("{") > _MAX_DEPTH else []
    for _ in range(_MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
    if level:
        raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")


def _children(parent: Any) -> Iterator[Any]:
    if isinstance(parent, dict):
        yield from parent.values()
    elif isinstance(parent, list):
        yield from parent
