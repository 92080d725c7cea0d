"""A tool set → the data of the tool file that says the same, and where in the Python file each part stands (rule)."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from remit.catalog.code import Run, Written
from remit.catalog.document import Position
from remit.catalog.grammar import did_you_mean
from remit.catalog.problem import Path
from remit.catalog.python_signature import Signature, output_schema, read_hints, read_signature
from remit.catalog.request_plan import PLACEHOLDER
from remit.errors import ArgumentsInvalid, DefinitionInvalid
from remit.tools import Arg, From, ToolSet
from remit.tools.context import Ctx
from remit.tools.toolset import MAX_CALLS, CodeOptions, Declared, RequestOptions, UpstreamOptions

_MOST_CALLS: Final = 1000
#: Options that are keys of the tool, or of one of its blocks.
_OF_TOOL: Final = ("title", "timeout", "retry", "limits", "approval", "tags")
_OF_AUTH: Final = ("scopes", "max_ttl", "step_up")
_OF_RESPONSE: Final = ("select", "redact", "paging", "max_bytes", "max_items", "files")
_OF_ANNOTATIONS: Final = ("read_only", "destructive", "idempotent", "open_world")
#: What stands in the place of a code tool's request: where its own requests go, and no more.
_STAND_IN: Final = {"method": "POST", "path": "/"}


@dataclass(frozen=True, slots=True)
class PythonDocument:
    """One tool set as data. ``codes``: by the index of the tool. ``lines``: where each part stands."""

    data: dict[str, Any]
    lines: Mapping[Path, int]
    codes: Mapping[int, Written] = field(default_factory=dict)

    def locate(self, path: Path, *, key: bool = False) -> Position:
        """The line of the nearest part that has one."""
        del key
        ends = range(len(path), -1, -1)
        return next((self.lines[path[:end]] for end in ends if path[:end] in self.lines), 1), 1


@dataclass(frozen=True, slots=True)
class Misplaced:
    """What is wrong with one function, and the line it stands in."""

    line: int
    error: DefinitionInvalid


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file: its name, the SHA-256 of its text, and the text as a tree."""

    file: str
    digest: str
    tree: ast.Module

    def functions(self) -> dict[int, ast.AsyncFunctionDef | ast.FunctionDef]:
        """Its functions by the line their definition begins in, decorators included."""
        found = (node for node in ast.walk(self.tree) if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef))
        return {min([node.lineno, *(each.lineno for each in node.decorator_list)]): node for node in found}

    def paths(self) -> frozenset[str]:
        """Every text in it that begins with a slash, as a path below an API does."""
        values = (node.value for node in ast.walk(self.tree) if isinstance(node, ast.Constant))
        return frozenset(value for value in values if isinstance(value, str) and value.startswith("/"))


def document_of(tool_set: ToolSet, source: Source) -> tuple[PythonDocument, list[Misplaced]]:
    """The tools of one set, and what is wrong with those that could not be read."""
    wrong: list[Misplaced] = []
    tools: list[dict[str, Any]] = []
    codes: dict[int, Written] = {}
    lines: dict[Path, int] = {(): tool_set.line, ("tools",): tool_set.line}
    functions, paths = source.functions(), source.paths()
    for declared in tool_set.declared:
        line = declared.function.__code__.co_firstlineno
        try:
            tool, run = _tool(declared)
            most = _max_calls(declared.options)
        except DefinitionInvalid as error:
            wrong.append(Misplaced(line, error))
            continue
        here: Path = ("tools", len(tools))
        lines |= _lines(here, functions.get(line), line)
        if run is not None:
            codes[len(tools)] = Written(run, source.digest, most, paths)
        tools.append(tool)
    try:
        data = _upstream(tool_set) | {"tools": tools}
    except DefinitionInvalid as error:
        wrong.append(Misplaced(tool_set.line, error))
        data = {}
    return PythonDocument(data, lines, codes), wrong


def _lines(here: Path, node: ast.AsyncFunctionDef | ast.FunctionDef | None, line: int) -> dict[Path, int]:
    if node is None:
        return {here: line}
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return {here: line, **{(*here, "input", "properties", each.arg): each.lineno for each in arguments}}


def _max_calls(options: Mapping[str, Any]) -> int:
    most = options.get("max_calls", MAX_CALLS)
    if not isinstance(most, int) or not 1 <= most <= _MOST_CALLS:
        raise DefinitionInvalid(f"max_calls is not between 1 and {_MOST_CALLS}")
    return most


# ── the file ─────────────────────────────────────────────────────────────────────────────


def _upstream(tool_set: ToolSet) -> dict[str, Any]:
    options = dict(tool_set.options)
    _check_options(options, UpstreamOptions)
    head = {"version": 1, "name": tool_set.name}
    if "owner" in options:
        head["owner"] = options.pop("owner")
    auth = {"type": "none"} if tool_set.auth is None else _block(tool_set.auth)
    return {**head, "upstream": _plain({"baseUrl": tool_set.base_url, "auth": auth, **_blocks(options)})}


def _check_options(options: Mapping[str, Any], known: Any) -> None:
    names = sorted(known.__required_keys__ | known.__optional_keys__)
    for name in options:
        if name not in names:
            raise DefinitionInvalid(f'unknown option "{name[:60]}"', hint=did_you_mean(name, names))


def _blocks(options: Mapping[str, Any]) -> dict[str, Any]:
    return {to_camel(name): _block(value) for name, value in options.items()}


def _block(value: Any) -> Any:
    """A block's data, without what was not said; any other value as it is."""
    if not is_dataclass(value) or isinstance(value, type):
        return value
    members = ((each.name, getattr(value, each.name)) for each in fields(value))
    return {to_camel(name): _block(member) for name, member in members if member is not None}


def _plain(value: Any) -> Any:
    """As JSON has it: tuples are lists, enumerations their values."""
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError as error:
        raise DefinitionInvalid(f"a value is none that JSON has: {error}"[:200]) from None


# ── one tool ─────────────────────────────────────────────────────────────────────────────


def _tool(declared: Declared) -> tuple[dict[str, Any], Run | None]:
    """The tool's data, and what it runs if it is code."""
    function, options = declared.function, declared.options
    is_code = not declared.method
    _check_options(options, CodeOptions if is_code else RequestOptions)
    if is_code:
        _check_code(function)
    signature = read_signature(function, skip=1 if is_code else 0)
    tool: dict[str, Any] = {
        "name": options.get("name", function.__name__),
        "description": inspect.getdoc(function) or "",
        "input": signature.schema,
        "request": dict(_STAND_IN) if is_code else _request(declared, signature),
        **{name: _block(options[name]) for name in _OF_TOOL if name in options},
    }
    blocks = {
        "response": _response(options, signature),
        "auth": {to_camel(name): options[name] for name in _OF_AUTH if name in options},
        "annotations": {to_camel(name): options[name] for name in _OF_ANNOTATIONS if name in options},
        "policy": options.get("facts", {}),
        "examples": options.get("examples", []),
    }
    tool |= {key: value for key, value in blocks.items() if value}
    return _plain(tool), _runner(function, signature) if is_code else None


def _check_code(function: Callable[..., Any]) -> None:
    if not inspect.iscoroutinefunction(function):
        raise DefinitionInvalid("a code tool is an `async def`", hint="write async def, and await what it calls")
    first = next(iter(inspect.signature(function).parameters), "")
    if read_hints(function).get(first) is not Ctx:
        raise DefinitionInvalid("the first parameter of a code tool is its Ctx", hint="write ctx: Ctx first")


def _response(options: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    response = {to_camel(name): _block(options[name]) for name in _OF_RESPONSE if name in options}
    if options.get("errors"):
        response["errors"] = {str(status): said for status, said in options["errors"].items()}
    if options.get("output"):
        if signature.result is None:
            raise DefinitionInvalid("output says that there is a schema, and nothing is returned", hint="annotate it")
        response["schema"] = output_schema(signature.result)
    return response


def _request(declared: Declared, signature: Signature) -> dict[str, Any]:
    """What is written out stands; each other argument goes where its annotation says, or where the method puts it."""
    options, path = declared.options, declared.path
    written = {name: _bindings(options[name]) for name in ("query", "headers", "body") if name in options}
    used = {*PLACEHOLDER.findall(path), *_arguments_in([options.get(name) for name in ("query", "headers", "body")])}
    style: dict[str, str] = {}
    for name, place in signature.places.items():
        if place is not None and place.style:
            style[name] = place.style
        if name in used or (place is not None and place.where == "path"):
            continue
        where = place.where if place else "query" if declared.method in {"GET", "DELETE"} else "body"
        block = written.setdefault(where, {})
        if not isinstance(block, dict):
            raise DefinitionInvalid(f'"{name}" has no place: the body is written out', hint=f'put Arg("{name}") there')
        block[place.name if place and place.name else name] = f"${name}"
    keys = {"encoding": "encoding", "media_type": "mediaType", "idempotency": "idempotencyKey"}
    keys["idempotency_header"] = "idempotencyHeader"
    rest = {key: options[name] for name, key in keys.items() if name in options}
    return {"method": declared.method, "path": path, **written, **({"style": style} if style else {}), **rest}


def _bindings(value: Any) -> Any:
    """``Arg`` and ``From`` as a tool file writes them; a text is the text, whatever it begins with."""
    match value:
        case Arg(name):
            return f"${name}"
        case From(name):
            return {"from": name}
        case str() if value.startswith("$"):
            return f"${value}"
        case Mapping():
            return {key: _bindings(item) for key, item in value.items()}
        case list() | tuple():
            return [_bindings(item) for item in value]
    return value


def _arguments_in(value: Any) -> Iterator[str]:
    match value:
        case Arg(name):
            yield name
        case Mapping():
            for item in value.values():
                yield from _arguments_in(item)
        case list() | tuple():
            for item in value:
                yield from _arguments_in(item)


def _runner(function: Callable[..., Any], signature: Signature) -> Run:
    async def run(ctx: Ctx, arguments: Mapping[str, Any]) -> Any:
        try:
            values = signature.values.validate_python(dict(arguments))
        except ValidationError as error:
            said = "; ".join(
                f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in error.errors(include_input=False)[:5]
            )
            raise ArgumentsInvalid(f"the arguments are not what {function.__name__} takes: {said}") from None
        returned = await function(ctx, **values)
        if signature.result is None:
            return to_jsonable_python(returned)
        return signature.result.dump_python(signature.result.validate_python(returned), mode="json", by_alias=True)

    return run
