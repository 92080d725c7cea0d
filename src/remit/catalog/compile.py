"""One tool file's text → tools, or every problem in it with its place (path).

1. read the text: YAML to plain data with positions
2. fill in the environment where it may be
3. check the shape against the models
4. compile the upstream, then each tool: arguments, request, response, token, annotations
5. give each tool the digest of all that decides what it does

A file is used as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, Protocol

from remit.catalog.approval import compile_approval
from remit.catalog.asked import Asked, Calling
from remit.catalog.code import Written
from remit.catalog.definition import AnnotationsBlock, ExampleBlock, ResponseBlock, ToolBlock, ToolFile, amount
from remit.catalog.described import Described
from remit.catalog.descriptions import Descriptions, Opened, Source
from remit.catalog.discovering import Discovering
from remit.catalog.document import DocumentInvalid, Position, read_document
from remit.catalog.environment import expand
from remit.catalog.examples import compile_examples, shown_arguments
from remit.catalog.grammar import read_tool_file
from remit.catalog.limits import compile_limits
from remit.catalog.operation import OperationToolCompiler
from remit.catalog.paging import compile_paging
from remit.catalog.plan import RequestPlan, ResponsePlan
from remit.catalog.problem import Flaw, Flaws, Path, Problem
from remit.catalog.python_code import Surroundings, compile_code, split_limits
from remit.catalog.request import RequestToolCompiler
from remit.catalog.response_plan import compile_object_schema, compile_response, with_marks
from remit.catalog.schema import Schema
from remit.catalog.tool import Tool, ToolAnnotations
from remit.catalog.upstream import (
    Upstream,
    check_auth,
    compile_auth,
    compile_max_request,
    compile_timeout,
    compile_upstream,
)


class Positioned(Protocol):
    """A tool file's plain data, and where in the file each value stands."""

    @property
    def data(self) -> Any:
        """As YAML has it."""
        ...

    def locate(self, path: Path, *, key: bool = False) -> Position:
        """Line and column, as near as the path can be followed."""
        ...


#: Index of a tool that is code → that code.
Codes = Mapping[int, Written]


@dataclass(frozen=True, slots=True)
class CompiledFile:
    """What became of one file: tools, or problems. ``source``: of the API description that it depends on, if any."""

    tools: tuple[Tool, ...] = ()
    problems: tuple[Problem, ...] = ()
    source: Source | None = None


def compile_text(
    text: str, file: str, environment: Mapping[str, str], descriptions: Descriptions | None = None
) -> CompiledFile:
    """Compile a tool file. ``file`` is where it is, and what problems and tools call it. Raises nothing, whatever the text.

    ``descriptions``: reads the API descriptions that files refer to.
    """
    try:
        document = read_document(text)  # 1
    except DocumentInvalid as error:
        faults = (Problem(file, *fault.position, fault.message, fault.hint) for fault in error.faults)
        return CompiledFile(problems=tuple(faults))
    return compile_document(document, file, environment, descriptions=descriptions)


def compile_document(
    document: Positioned,
    file: str,
    environment: Mapping[str, str],
    codes: Codes = MappingProxyType({}),
    descriptions: Descriptions | None = None,
) -> CompiledFile:
    """2 to 5, for whatever gives the same data and knows where it stands. ``codes``: of the tools that are code."""
    flaws = Flaws()
    data = expand(document.data, environment, flaws)  # 2
    definition = read_tool_file(data, flaws)  # 3
    opened, tools = None, list[Tool]()
    if definition is not None:
        opened = (descriptions or Descriptions()).open(definition, FilePath(file), flaws)
        tools = _tools(definition, document, _Around(file, flaws, codes, opened))  # 4, 5
    source = opened.source if opened else None
    if flaws:
        return CompiledFile((), tuple(_problem(flaw, document, file) for flaw in dict.fromkeys(flaws)), source)
    return CompiledFile(tuple(tools), (), source)


def _problem(flaw: Flaw, document: Positioned, file: str) -> Problem:
    return Problem(file, *document.locate(flaw.path, key=flaw.at_key), flaw.message, flaw.hint)


@dataclass(frozen=True, slots=True)
class _Around:
    """What the tools of one file have in common beside what it says."""

    file: str
    flaws: Flaws
    codes: Codes
    opened: Opened | None


def _tools(definition: ToolFile, document: Positioned, around: _Around) -> list[Tool]:
    flaws, codes = around.flaws, around.codes
    upstream = compile_upstream(definition.upstream, flaws)
    check_auth(definition.upstream.auth, flaws)
    described = around.opened.described if around.opened else None
    tools: list[Tool] = []
    lines: dict[str, int] = {}
    for index, block in enumerate(definition.tools):
        path: Path = ("tools", index)
        line, _ = document.locate(path)
        if block.name in lines:
            flaws.add(
                (*path, "name"), f"{block.name} is there already, in line {lines[block.name]}", "give it its own name"
            )
        lines.setdefault(block.name, line)
        where = partial(_where, document, around.file)
        compiler = _ToolCompiler(definition, upstream, path, flaws, where, described, index in codes)
        tool = compiler.compile(block, f"{around.file}:{line}")
        if tool is None:
            continue
        tool = replace(tool, written=_written(document.data, index))
        tools.append(compiler.with_code(tool, codes[index]) if index in codes else tool)
    if definition.discover is not None:
        tools += _discovered(definition, upstream, document, around)
    elif not definition.tools:
        flaws.add((), "there are no tools", "add tools, or discover for what a description has")
    return tools


def _discovered(definition: ToolFile, upstream: Upstream, document: Positioned, around: _Around) -> list[Tool]:
    """The tools of ``discover``. An operation of which no tool can be made does not stand in the way of the others."""
    path: Path = ("discover",)
    if definition.discover is None or around.opened is None or around.opened.described is None:
        return []
    described, where = around.opened.described, _where(document, around.file, path)

    def compile_block(block: ToolBlock) -> Tool | None:
        flaws = Flaws()
        compiler = _ToolCompiler(definition, upstream, path, flaws, lambda _: where, described, is_code=True)
        tool = compiler.compile(block, where)
        written = [document.data["name"], document.data["upstream"], document.data["discover"], block.name]
        return None if flaws or tool is None else replace(tool, written=_digest(written))

    return Discovering(definition, compile_block).tools(definition.discover, described.description)


def _where(document: Positioned, file: str, path: Path) -> str:
    return f"{file}:{document.locate(path)[0]}"


def _written(data: Any, index: int) -> str:
    """SHA-256 of all that the file says about one tool, before the environment is filled in; examples are tests."""
    tool = {key: value for key, value in data["tools"][index].items() if key != "examples"}
    return _digest([data["name"], data["upstream"], tool])


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(slots=True)
class _ToolCompiler:
    """One tool being compiled; ``path`` leads to it, flaws are added as they are found."""

    definition: ToolFile
    upstream: Upstream
    path: Path
    flaws: Flaws
    where: Callable[[Path], str]
    described: Described | None
    is_code: bool

    def compile(self, block: ToolBlock, where: str) -> Tool | None:
        """The tool, of use only when nothing was added to the flaws; ``None`` where nobody knows what it asks."""
        upstream, path, flaws = self.definition.upstream, self.path, self.flaws
        max_bytes = compile_max_request(upstream.limits, block.limits, path, flaws)
        limits = compile_limits(
            upstream.limits, block.limits, server=self.definition.name, name=block.name, path=path, flaws=flaws
        )
        asked = self._asked(block, max_bytes)
        if asked is None:
            return None
        if not (asked.title + asked.description.replace("\n", "")).isprintable():
            flaws.add(
                (*path, "description"), "title or description has characters that cannot be seen", "take them out"
            )
        schema, response = _with_examples(asked.input, block.examples), with_marks(asked.response)
        at_schema = (*path, "input" if block.operation is None else "operation")
        compiled_schema = compile_object_schema(schema, at_schema, flaws) or Schema({})
        self._check_examples(block, compiled_schema)
        auth = compile_auth(upstream.auth, block.auth, (*path, "auth"), flaws)
        timeout = amount(upstream.timeout)
        if block.timeout is not None:
            timeout = compile_timeout(block.timeout, (*path, "timeout"), flaws)
        return Tool(
            name=block.name,
            title=asked.title,
            description=asked.description,
            input_schema=schema,
            output_schema=response.output,
            annotations=self._annotations(block.annotations, asked.calling),
            upstream=self.definition.name,
            tags=tuple(block.tags),
            facts=block.policy,
            digest=self._digest(block, asked, input=schema, timeout=timeout, auth=asdict(auth), limits=asdict(limits)),
            where=where,
            auth=auth,
            timeout=timeout,
            plan=asked.plan,
            response=self._response(block, response, asked.plan, schema),
            arguments=compiled_schema,
            approval=compile_approval(block.approval, _properties(schema), (*path, "approval"), flaws),
            limits=limits,
            examples=compile_examples(block.examples, path, flaws, self.where),
            description_digest=asked.digest,
        )

    def _asked(self, block: ToolBlock, max_bytes: int) -> Asked | None:
        """What it asks of the API, by its operation or by its request."""
        upstream = self.definition.upstream
        if block.operation is None:
            requesting = RequestToolCompiler(block, self.path, self.flaws, self.is_code)
            return requesting.compile(self.upstream, upstream.retry, max_bytes)
        if self.described is None:
            return None  # the description cannot be had, which has been said
        calling = OperationToolCompiler(block, upstream, self.path, self.flaws)
        return calling.compile(self.described, self.upstream, max_bytes)

    def with_code(self, tool: Tool, written: Written) -> Tool:
        """The tool, as what runs that code. Its digests are of the whole file, since the code may use all of it."""
        if tool.auth.type == "token-exchange" and not tool.auth.scopes:
            hint = "name in scopes what its calls may do; without, their tokens could do anything"
            self.flaws.add((*self.path, "auth"), "a code tool has scopes", hint)
        limits, of_requests = split_limits(tool.limits, f"{self.definition.name}/{tool.name}")
        around = Surroundings(self.upstream, self.definition.upstream.retry, tool.plan.max_bytes)
        return replace(
            tool,
            limits=limits,
            code=compile_code(written, around, of_requests),
            digest=_digest([tool.digest, written.digest, written.max_calls]),
            written=_digest([tool.written, written.digest, written.max_calls]),
        )

    def _response(
        self, block: ToolBlock, written: ResponseBlock, plan: RequestPlan, schema: Mapping[str, Any]
    ) -> ResponsePlan:
        path: Path = (*self.path, "response")
        response, paging = compile_response(written, path, self.flaws), written.paging
        response = replace(response, errors={**self.upstream.errors, **response.errors})
        if paging is None:
            return response
        read_only = block.annotations.read_only is True
        path = (*path, "paging")
        return replace(
            response, paging=compile_paging(paging, plan, schema, read_only=read_only, path=path, flaws=self.flaws)
        )

    def _check_examples(self, block: ToolBlock, schema: Schema) -> None:
        for index, example in enumerate(block.examples):
            if example.expect.error == "invalid_arguments":
                continue
            for problem in schema.problems(example.args):
                self.flaws.add((*self.path, "examples", index, "args"), f"does not fit the input schema: {problem}")

    def _annotations(self, block: AnnotationsBlock, request: Calling) -> ToolAnnotations:
        """The method's defaults (RFC 9110 §9.2), overridden one by one."""
        reads = request.method in {"GET", "HEAD"}
        read_only = reads if block.read_only is None else block.read_only
        destructive = request.method == "DELETE" if block.destructive is None else block.destructive
        again = reads or request.method in {"PUT", "DELETE"} or request.idempotency_key == "auto"
        if read_only and destructive:
            self.flaws.add((*self.path, "annotations"), "a tool that only reads destroys nothing", "set one of the two")
        return ToolAnnotations(
            read_only=read_only,
            destructive=destructive,
            idempotent=again if block.idempotent is None else block.idempotent,
            open_world=block.open_world,
        )

    def _digest(self, block: ToolBlock, asked: Asked, **resolved: Any) -> str:
        """SHA-256 over canonical JSON of the definition as it takes effect, and of the operation behind it."""
        upstream, retry = self.definition.upstream, asked.plan.retry
        elsewhere = {"examples", "input", "auth", "retry", "timeout", "limits", "title", "description", "response"}
        definition = {
            "tool": block.model_dump(mode="json", exclude=elsewhere),
            "seen": [asked.title, asked.description],
            "response": asked.response.model_dump(mode="json"),
            "operation": [asked.digest, upstream.profile],
            "upstream": [self.definition.name, self.upstream.base_url, upstream.headers],
            "retry": [retry.attempts, sorted(map(str, retry.when)), retry.backoff],
            "max_bytes": asked.plan.max_bytes,
            "errors": upstream.errors,
            **resolved,
        }
        return _digest(definition)


def _with_examples(schema: dict[str, Any], blocks: Sequence[ExampleBlock]) -> dict[str, Any]:
    """The input schema with the examples that the model is shown."""
    examples = shown_arguments(blocks)
    return {**schema, "examples": examples} if examples and "examples" not in schema else schema


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the schema's own check finds wrong is no property."""
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}
