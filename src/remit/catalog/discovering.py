"""An API description → the tools that find, describe and call its operations, and those operations (rule).

An operation asks for the scopes that its description says, within those of the tool file; one that needs others, or of
which no tool can be made, is left out. So is one without scopes where others have some, unless the file says which: it is
not to have all of them. And so is a deprecated one, unless the file asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from remit.catalog.definition import DiscoverBlock, RequestBlock, ToolAuthBlock, ToolBlock, ToolFile
from remit.catalog.discovery import INPUTS, Discovery, Role, name_of
from remit.catalog.openapi.description import Description
from remit.catalog.openapi.importing import idempotency_of, scopes_of
from remit.catalog.openapi.selection import Candidate, Selection, candidates, select
from remit.catalog.search import Entry, Search
from remit.catalog.tool import Tool, ToolAnnotations

#: Compiles one tool of the file; ``None`` where there is something wrong with it.
CompileBlock = Callable[[ToolBlock], Tool | None]

_SAID: Final[dict[Role, str]] = {
    "find": "Find operations of the {api} API by what they do. Only operations that the user may use are found. "
    "{describe} says what one takes, {call} calls it.",
    "describe": "Get what an operation of the {api} API does, and the schema of the arguments it takes. Use it before "
    "{call}, for an operation that {find} has found.",
    "call": "Call an operation of the {api} API that {find} has found, with the arguments that {describe} asks for. "
    "Whether the user may is decided for each call.",
}
_TITLES: Final[dict[Role, str]] = {
    "find": "Find operations of {api}",
    "describe": "Describe an operation of {api}",
    "call": "Call an operation of {api}",
}


@dataclass(frozen=True, slots=True)
class Discovering:
    """One tool file with a ``discover`` block."""

    definition: ToolFile
    compile_block: CompileBlock

    def tools(self, wanted: DiscoverBlock, description: Description) -> list[Tool]:
        """The three tools, and after them the operations; nothing where there is no operation."""
        operations = list(self._operations(wanted, description))
        api = self.definition.name
        search = Search(Entry(tool.name, tool.title, _text_of(tool)) for tool in operations)
        hidden = Discovery(api, "operation", search)
        lookups = [self._entry(role, Discovery(api, role, search), operations) for role in _SAID] if operations else []
        return [tool for tool in lookups if tool] + [replace(tool, discovery=hidden) for tool in operations]

    def _operations(self, wanted: DiscoverBlock, description: Description) -> Iterator[Tool]:
        selection = Selection(
            include=tuple(wanted.include), exclude=tuple(wanted.exclude), deprecated=wanted.deprecated
        )
        known, _ = candidates(description, self.definition.name)
        usual = tuple(wanted.scopes)
        if not usual and not any(scopes_of(candidate.operation) for candidate in known):
            usual = tuple(self.definition.upstream.auth.scopes)
        for candidate in select(known, selection).taken:
            block = self._block(candidate, usual)
            tool = self.compile_block(block) if block else None
            if tool is not None:
                yield tool

    def _block(self, candidate: Candidate, usual: tuple[str, ...]) -> ToolBlock | None:
        """``usual``: the scopes of an operation that has none of its own."""
        auth, needed = self.definition.upstream.auth, scopes_of(candidate.operation) or usual
        if not set(needed) <= set(auth.scopes) or (auth.scopes and not needed):
            return None
        own = ToolAuthBlock(scopes=list(needed)) if needed else ToolAuthBlock()
        block = {"name": candidate.name, "operation": candidate.reference, **idempotency_of(candidate.operation)}
        return ToolBlock.model_validate({**block, "auth": own})

    def _entry(self, role: Role, discovery: Discovery, operations: Sequence[Tool]) -> Tool | None:
        """One of the three. They ask no token of anybody: only the operations are called."""
        api = self.definition.name
        names = {each: name_of(api, each) for each in _SAID}
        block = ToolBlock(
            name=names[role],
            title=_TITLES[role].format(api=api),
            description=_SAID[role].format(api=api, **names),
            input=INPUTS[role],
            request=RequestBlock(method="GET", path="/"),
        )
        tool = self.compile_block(block)
        if tool is None:
            return None
        auth = replace(tool.auth, type="none", audience="", resource="", scopes=(), step_up="")
        annotations = tool.annotations if discovery.looks_up else _worst(operations)
        return replace(tool, auth=auth, annotations=annotations, discovery=discovery)


def _worst(operations: Sequence[Tool]) -> ToolAnnotations:
    """What a call may do, whichever operation it is of."""
    return ToolAnnotations(
        read_only=all(tool.annotations.read_only for tool in operations),
        destructive=any(tool.annotations.destructive for tool in operations),
        idempotent=all(tool.annotations.idempotent for tool in operations),
        open_world=any(tool.annotations.open_world for tool in operations),
    )


def _text_of(tool: Tool) -> str:
    return " ".join([tool.description, tool.method, tool.path, *tool.input_schema.get("properties", {})])
