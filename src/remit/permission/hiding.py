"""Rule: what policy hides of one tool's results. Policy says which data, and the tool's file may say where it is."""

from __future__ import annotations

from collections.abc import Sequence

from remit.catalog.tool import Tool
from remit.downstream.result import ToolResult, with_data
from remit.errors import ResultWithheld
from remit.policy.input import data_class
from remit.policy.obligations import Redaction
from remit.policy.redaction import Unredactable, redacted


def concerning(tool: Tool, redactions: Sequence[Redaction]) -> tuple[Redaction, ...]:
    """Those that may find something in the tool's results: of classes, those that its file says it has."""
    return tuple(each for each in redactions if each.paths or _known(tool).intersection(each.classes))


def hidden(tool: Tool, result: ToolResult, redactions: Sequence[Redaction], key: bytes) -> ToolResult:
    """The result without what they find. Raises ``ResultWithheld`` and ``ResponseUnusable``.

    A tool that is all about a class of data, and does not say where it is, has nothing left.
    """
    redactions = concerning(tool, redactions)
    if not redactions or result.data is None:
        return result
    own = data_class(tool.facts)
    if own not in tool.response.classes and any(own in each.classes for each in redactions):
        raise ResultWithheld(
            f"the API acted, but its answer is withheld: policy hides what is {own}, and all of it may be",
            detail=f"{tool.name} has the fact dataClass {own}, and response.classes does not say where it is",
            hint=f"say in {tool.where} where it is, with response.classes",
        )
    try:
        return with_data(tool, result, redacted(result.unwrapped, redactions, key, tool.response.classes))
    except Unredactable as error:
        raise ResultWithheld(
            "the API acted, but its answer is a text of which policy wants to hide a part; it is withheld",
            detail=str(error),
        ) from error


def _known(tool: Tool) -> set[str]:
    return {*tool.response.classes, data_class(tool.facts)} - {""}
