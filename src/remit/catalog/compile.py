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
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol

from remit.catalog.approval import compile_approval
from remit.catalog.binding import Arguments
from remit.catalog.code import Written
from remit.catalog.definition import AnnotationsBlock, RequestBlock, ToolBlock, ToolFile, amount
from remit.catalog.document import DocumentInvalid, Position, read_document
from remit.catalog.environment import expand
from remit.catalog.examples import compile_examples, shown_arguments
from remit.catalog.grammar import read_tool_file
from remit.catalog.limits import compile_limits
from remit.catalog.paging import compile_paging, with_paging
from remit.catalog.plan import RequestPlan, ResponsePlan, RetryPlan
from remit.catalog.problem import Flaw, Flaws, Path, Problem
from remit.catalog.python_code import Surroundings, compile_code, split_limits
from remit.catalog.request_plan import RequestCompiler, plan_retry
from remit.catalog.response_plan import compile_object_schema, compile_response, with_marks
from remit.catalog.schema import Schema
from remit.catalog.tool import Tool, ToolAnnotations
from remit.catalog.upload import with_uploads
from remit.catalog.upstream import (
    Upstream,
    check_auth,
    compile_auth,
    compile_max_request,
    compile_timeout,
    compile_upstream,
)

_PROPERTY_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_UNREADABLE_ROOTS: Final = ("$ref", "allOf", "anyOf", "oneOf", "not", "patternProperties", "unevaluatedProperties")


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
    """What became of one file: tools, or problems."""

    tools: tuple[Tool, ...] = ()
    problems: tuple[Problem, ...] = ()


def compile_text(text: str, file: str, environment: Mapping[str, str]) -> CompiledFile:
    """Compile a tool file. ``file`` is what problems and tools call it. Raises nothing, whatever the text."""
    try:
        document = read_document(text)  # 1
    except DocumentInvalid as error:
        faults = (Problem(file, *fault.position, fault.message, fault.hint) for fault in error.faults)
        return CompiledFile(problems=tuple(faults))
    return compile_document(document, file, environment)


def compile_document(
    document: Positioned, file: str, environment: Mapping[str, str], codes: Codes = MappingProxyType({})
) -> CompiledFile:
    """2 to 5, for whatever gives the same data and knows where it stands. ``codes``: of the tools that are code."""
    flaws = Flaws()
    data = expand(document.data, environment, flaws)  # 2
    definition = read_tool_file(data, flaws)  # 3
    tools = _tools(definition, document, file, flaws, codes) if definition else []  # 4, 5
    if flaws:
        return CompiledFile(problems=tuple(_problem(flaw, document, file) for flaw in dict.fromkeys(flaws)))
    return CompiledFile(tools=tuple(tools))


def _problem(flaw: Flaw, document: Positioned, file: str) -> Problem:
    return Problem(file, *document.locate(flaw.path, key=flaw.at_key), flaw.message, flaw.hint)


def _tools(definition: ToolFile, document: Positioned, file: str, flaws: Flaws, codes: Codes) -> list[Tool]:
    upstream = compile_upstream(definition.upstream, flaws)
    check_auth(definition.upstream.auth, flaws)
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
        compiler = _ToolCompiler(definition, upstream, path, flaws, partial(_where, document, file))
        tool = compiler.compile(block, f"{file}:{line}", is_code=index in codes)
        tool = replace(tool, written=_written(document.data, index))
        tools.append(compiler.with_code(tool, codes[index]) if index in codes else tool)
    return tools


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

    def compile(self, block: ToolBlock, where: str, *, is_code: bool = False) -> Tool:
        """The tool. It is of use only when nothing was added to the flaws."""
        upstream, path, flaws = self.definition.upstream, self.path, self.flaws
        block = with_paging(block)
        block = block.model_copy(update={"response": with_marks(block.response)})
        if not (block.title + block.description.replace("\n", "")).isprintable():
            flaws.add(
                (*path, "description"), "title or description has characters that cannot be seen", "take them out"
            )
        max_bytes = compile_max_request(upstream.limits, block.limits, path, flaws)
        limits = compile_limits(
            upstream.limits, block.limits, server=self.definition.name, name=block.name, path=path, flaws=flaws
        )
        schema = self._input(block, max_bytes)
        arguments = self._arguments(schema)
        retry = plan_retry(upstream.retry, block.retry, block.request, path, flaws)
        plan = RequestCompiler(block.request, arguments, (*path, "request"), flaws).compile(
            self.upstream, retry, max_bytes
        )
        if not is_code:
            self._check_unused(arguments)
        compiled_schema = compile_object_schema(schema, (*path, "input"), flaws) or Schema({})
        self._check_examples(block, compiled_schema)
        auth = compile_auth(upstream.auth, block.auth, (*path, "auth"), flaws)
        timeout = amount(upstream.timeout)
        if block.timeout is not None:
            timeout = compile_timeout(block.timeout, (*path, "timeout"), flaws)
        return Tool(
            name=block.name,
            title=block.title,
            description=block.description,
            input_schema=schema,
            output_schema=block.response.output,
            annotations=self._annotations(block.annotations, block.request),
            upstream=self.definition.name,
            tags=tuple(block.tags),
            facts=block.policy,
            digest=self._digest(
                block, schema, retry, timeout=timeout, auth=asdict(auth), max_bytes=max_bytes, limits=asdict(limits)
            ),
            where=where,
            auth=auth,
            timeout=timeout,
            plan=plan,
            response=self._response(block, plan, schema),
            arguments=compiled_schema,
            approval=compile_approval(block.approval, arguments.properties, (*path, "approval"), flaws),
            limits=limits,
            examples=compile_examples(block.examples, path, flaws, self.where),
        )

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

    def _response(self, block: ToolBlock, plan: RequestPlan, schema: Mapping[str, Any]) -> ResponsePlan:
        path: Path = (*self.path, "response")
        response, paging = compile_response(block.response, path, self.flaws), block.response.paging
        response = replace(response, errors={**self.upstream.errors, **response.errors})
        if paging is None:
            return response
        read_only = block.annotations.read_only is True
        path = (*path, "paging")
        return replace(
            response, paging=compile_paging(paging, plan, schema, read_only=read_only, path=path, flaws=self.flaws)
        )

    def _input(self, block: ToolBlock, max_bytes: int) -> dict[str, Any]:
        """The input schema, closed: an argument nobody declared would go nowhere. Uploads get the schema of a file."""
        path, schema = (*self.path, "input"), block.input
        for name in _UNREADABLE_ROOTS:
            if name in schema:
                message = f"{name} may not stand at the root, where models cannot read it"
                self.flaws.add((*path, name), message, "write the properties out under properties", at_key=True)
        if schema.get("additionalProperties", False) is not False:
            hint = "leave additionalProperties out"
            self.flaws.add((*path, "additionalProperties"), "arguments that are not declared would go nowhere", hint)
        schema = {**(schema or {"type": "object", "properties": {}}), "additionalProperties": False}
        examples = shown_arguments(block.examples)
        if examples and "examples" not in schema:
            schema["examples"] = examples
        return with_uploads(schema, block.request.uploads, max_bytes, path, self.flaws)

    def _arguments(self, schema: Mapping[str, Any]) -> Arguments:
        path = (*self.path, "input")
        properties, required = schema.get("properties"), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            return Arguments({}, frozenset())  # the schema's own check says what is wrong
        for name in properties:
            if not 1 <= len(name) <= 64 or not _PROPERTY_CHARACTERS.issuperset(name):
                message, hint = f'"{name[:60]}" is no name that models take', "use up to 64 letters, digits, _ . and -"
                self.flaws.add((*path, "properties", name), message, hint, at_key=True)
        names = [name for name in required if isinstance(name, str)]
        for name in names:
            if name not in properties:
                self.flaws.add((*path, "required", required.index(name)), f'"{name[:60]}" is required but no property')
        return Arguments(properties, frozenset(names))

    def _check_unused(self, arguments: Arguments) -> None:
        for name in arguments.properties:
            if name not in arguments.used and _PROPERTY_CHARACTERS.issuperset(name):
                path = (*self.path, "input", "properties", name)
                hint = f"use ${name} in the request, or take it out of the schema"
                self.flaws.add(path, f'the argument "{name}" goes nowhere', hint, at_key=True)

    def _check_examples(self, block: ToolBlock, schema: Schema) -> None:
        for index, example in enumerate(block.examples):
            if example.expect.error == "invalid_arguments":
                continue
            for problem in schema.problems(example.args):
                self.flaws.add((*self.path, "examples", index, "args"), f"does not fit the input schema: {problem}")

    def _annotations(self, block: AnnotationsBlock, request: RequestBlock) -> ToolAnnotations:
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

    def _digest(self, block: ToolBlock, schema: dict[str, Any], retry: RetryPlan, **resolved: Any) -> str:
        """SHA-256 over canonical JSON of the definition as it takes effect."""
        definition = {
            "tool": block.model_dump(mode="json", exclude={"examples", "input", "auth", "retry", "timeout", "limits"}),
            "input": schema,
            "upstream": [self.definition.name, self.upstream.base_url, self.definition.upstream.headers],
            "retry": [retry.attempts, sorted(map(str, retry.when)), retry.backoff],
            "errors": self.definition.upstream.errors,
            **resolved,
        }
        return _digest(definition)
