"""Path: tool files → everything that is wrong with them or should be better.

1. compile each file: what stops it from being used is an error, and all that can be said of it
2. look at what is written (secrets, the address) and at each tool
3. look at all tools together: names that clash, and what the list costs
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remit.catalog.compile import Positioned, compile_document, compile_text
from remit.catalog.definition import ToolFile
from remit.catalog.descriptions import Descriptions
from remit.catalog.document import read_document
from remit.catalog.environment import expand
from remit.catalog.grammar import read_tool_file
from remit.catalog.lint_finding import Finding, Note
from remit.catalog.lint_rules import MAX_NAME, Seen, tool_notes
from remit.catalog.lint_secrets import secret_notes, source_secrets
from remit.catalog.problem import Flaws, Path, Problem
from remit.catalog.python import Read
from remit.catalog.shown import MAX_LIST_BYTES, MAX_LISTED, estimated_tokens, shown_bytes
from remit.catalog.tool import Tool


@dataclass(frozen=True, slots=True)
class Linted:
    """One file: what was found, and its tools, each with the place it is in."""

    findings: tuple[Finding, ...]
    tools: tuple[Tool, ...] = ()


def lint_text(text: str, file: str, environment: Mapping[str, str], descriptions: Descriptions | None = None) -> Linted:
    """Look at one tool file. Raises nothing, whatever the text. ``descriptions``: reads those it refers to."""
    compiled = compile_text(text, file, environment, descriptions)
    if compiled.problems:
        return Linted(tuple(map(finding_of, compiled.problems)))
    return _linted(read_document(text), compiled.tools, file, environment)


def lint_python(read: Read, text: str, file: str, environment: Mapping[str, str]) -> Linted:
    """Look at one Python file that was ``read``."""
    parts = [(document, compile_document(document, file, environment, document.codes)) for document in read.documents]
    problems = [*read.problems, *(problem for _, compiled in parts for problem in compiled.problems)]
    if problems:
        return Linted(tuple(map(finding_of, problems)))
    linted = [_linted(document, compiled.tools, file, environment) for document, compiled in parts]
    found = [finding for each in linted for finding in each.findings]
    found += (Finding(file, line, 1, note.code, note.message, note.fix) for line, note in source_secrets(text))
    return Linted(tuple(sorted(found)), tuple(tool for each in linted for tool in each.tools))


def _linted(document: Positioned, tools: Sequence[Tool], file: str, environment: Mapping[str, str]) -> Linted:
    """What is to be said of a file that can be used."""
    definition = read_tool_file(expand(document.data, environment, Flaws()), Flaws())
    if definition is None:
        return Linted(())
    found = [
        _finding(note, file, document, "") for note in (*_address_notes(document.data), *secret_notes(document.data))
    ]
    for seen in _seen(definition, tools):
        found += (_finding(note, file, document, seen.tool.name) for note in tool_notes(seen))
    return Linted(tuple(sorted(found)), tuple(tools))


def finding_of(problem: Problem) -> Finding:
    """What stops a file from being used."""
    return Finding(problem.file, problem.line, problem.column, "T100", problem.message, problem.hint)


def tool_finding(code: str, tool: Tool, message: str, fix: str) -> Finding:
    """A finding at the line where a tool begins."""
    file, _, line = tool.where.rpartition(":")
    return Finding(file, int(line), 1, code, message, fix, tool.name)


def lint_list(tools: Sequence[Tool]) -> Iterator[Finding]:
    """3: what can only be said of all tools together."""
    yield from _clashes(tools)
    tools = [tool for tool in tools if not tool.is_found]
    if not tools:
        return
    size = sum(map(shown_bytes, tools))
    largest = max(tools, key=shown_bytes)
    if size > MAX_LIST_BYTES:
        message = f"the list of {len(tools)} tools has {size} bytes, about {estimated_tokens(size)} tokens"
        fix = f"keep to {MAX_LIST_BYTES // 1024} KB: shorten descriptions and schemas, or serve fewer tools"
        yield tool_finding("T401", largest, message, f"{fix}; this is the largest")
    if len(tools) > MAX_LISTED:
        fix = f"keep to {MAX_LISTED}, or let policy show each user those they need"
        yield tool_finding("T402", tools[MAX_LISTED], f"{len(tools)} tools are more than models choose well among", fix)


def _clashes(tools: Iterable[Tool]) -> Iterator[Finding]:
    """Names that are the same in small letters once they are cut off."""
    first: dict[str, Tool] = {}
    for tool in tools:
        other = first.setdefault(tool.name[:MAX_NAME].lower(), tool)
        if other is not tool:
            message = f"{tool.name} and {other.name} ({other.where}) are one name to clients that cut or fold names"
            yield tool_finding("T404", tool, message, f"let them differ in the first {MAX_NAME} characters")


def _seen(definition: ToolFile, tools: Sequence[Tool]) -> Iterator[Seen]:
    by_name = {tool.name: tool for tool in tools}
    for index, block in enumerate(definition.tools):
        if block.name in by_name:
            yield Seen(block, by_name[block.name], ("tools", index))


def _address_notes(data: Any) -> Iterator[Note]:
    """The address as it is written. A default for this machine behind a variable is what development needs."""
    path: Path = ("upstream", "baseUrl")
    if str(data["upstream"]["baseUrl"]).startswith("http://"):
        fix = "write https, or ${NAME:-http://…} with another address where it is served"
        yield Note("T202", path, "the API is called without TLS", fix)


def _finding(note: Note, file: str, document: Positioned, tool: str) -> Finding:
    return Finding(file, *document.locate(note.path), note.code, note.message, note.fix, tool)
