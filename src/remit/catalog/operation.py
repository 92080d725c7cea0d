"""A tool that refers to an operation of an API description → what it asks of the API (rule).

The tool file is the operator's, the description is somebody else's: what the file fills in, hides or sends with every
request goes before what the description says, and is nothing that a model can set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from remit.catalog.asked import Asked
from remit.catalog.binding import Arguments, bind_leaf, names_context
from remit.catalog.definition import ResponseBlock, ToolBlock, UpstreamBlock
from remit.catalog.described import Described, OperationUnusable
from remit.catalog.grammar import did_you_mean
from remit.catalog.media import essence, is_json, is_media_type, is_text
from remit.catalog.openapi.description import JsonSchema, Operation, Parameter
from remit.catalog.openapi.graph import SchemaGraph
from remit.catalog.openapi.mapping import Mapped, Mapper
from remit.catalog.openapi.wire import Bindings, Sending, plan_of
from remit.catalog.paging import fit_for_paging, parameter_of
from remit.catalog.plan import Argument, Binding, Bound, Encoding, Field, Fixed, RequestPlan
from remit.catalog.problem import Flaws, Path
from remit.catalog.request_plan import plan_retry
from remit.catalog.schema import Schema, SchemaInvalid
from remit.catalog.upstream import Upstream, check_header_names, is_header_text

_ANY: Final = frozenset({"*/*", "application/*", "application/json"})
_FILE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
_MAX_ACCEPTED: Final = 10
#: Errors are written in other media types than what was asked for.
_ELSE: Final = "*/*;q=0.1"
#: With any of these a tool file says that it reads the answer as data.
_READ: Final = frozenset({"files", "select", "output", "redact", "classes", "paging"})


@dataclass(frozen=True, slots=True)
class _Operation:
    """What says how often it may be sent."""

    method: str
    idempotency_key: str


@dataclass(slots=True)
class OperationToolCompiler:
    """One tool with ``operation`` being compiled: ``path`` leads to it, flaws are added as they are found."""

    block: ToolBlock
    api: UpstreamBlock
    path: Path
    flaws: Flaws

    def compile(self, described: Described, upstream: Upstream, max_bytes: int) -> Asked | None:
        """What it asks, or ``None`` where the operation cannot be had; of use only when nothing was added to the flaws."""
        block, found = self.block, len(self.flaws)
        self._check_keys()
        try:
            operation = described.find(block.operation or "")
            mapped = self._mapped(operation, described.mapper(self.api.profile), max_bytes)
            instead = self._instead(mapped, upstream)
            if len(self.flaws) > found:
                return None
            calling = _Operation(operation.method, block.idempotency_key)
            retry = plan_retry(self.api.retry, block.retry, calling, self.path, self.flaws)
            sending = Sending(upstream, retry, max_bytes, self._idempotency_header())
            plan = _plan(mapped, _replaced(mapped.bindings, instead), described, sending)
        except OperationUnusable as error:
            self._add("operation", str(error), error.hint)
            return None
        except ValueError as error:
            hint = "leave it out, or change the description with an overlay"
            self._add("operation", f"no tool can be made of {(block.operation or '')[:200]}: {error}", hint)
            return None
        schema = _without(mapped.input, instead.keys())
        if block.response.paging is not None:
            schema = fit_for_paging(schema, plan, block.response.paging)
        return Asked(
            title=block.title or mapped.title,
            description=block.description or mapped.description,
            input=schema,
            calling=calling,
            plan=plan,
            response=_with_files(block.response, operation),
            digest=described.digest_of(operation),
        )

    def _mapped(self, operation: Operation, mapper: Mapper, max_bytes: int) -> Mapped:
        """The operation as a tool, with the parameters that its paging needs, described or not. Raises ``Unmappable``."""
        mapped, paging = mapper.map(operation, max_bytes=max_bytes), self.block.response.paging
        if paging is None:
            return mapped
        wanted = {parameter_of(paging): "string", **({paging.size.param: "integer"} if paging.size else {})}
        placed = {name for location, name in mapped.bindings.parameters if location == "query"}
        placed |= set(mapped.bindings.body) if isinstance(mapped.bindings.body, Mapping) else set()
        missing = tuple(
            Parameter(name, "query", required=False, schema={"type": kind})
            for name, kind in wanted.items()
            if name and name not in placed
        )
        if not missing:
            return mapped
        return mapper.map(replace(operation, parameters=operation.parameters + missing), max_bytes=max_bytes)

    # ── arguments that the model does not see ──

    def _instead(self, mapped: Mapped, upstream: Upstream) -> dict[str, Binding | None]:
        """What takes the place of arguments; ``None`` for nothing."""
        known = {binding.name: binding for binding in _arguments_of(mapped.bindings)}
        instead: dict[str, Binding | None] = dict.fromkeys(_sent_anyway(mapped.bindings, self._own_headers(upstream)))
        for name, value in self.block.set_.items():
            if not self._is_known("set", name, known, (name,)):
                continue
            if name in instead:
                self.flaws.add(
                    (*self.path, "set", name), f'"{name}" is a header that the file sends', "leave it out here"
                )
            instead[name] = self._filled(known[name], value, mapped.input)
        required = mapped.input.get("required", ())
        for index, name in enumerate(self.block.hide):
            if not self._is_known("hide", name, known, (index,)):
                continue
            if name in self.block.set_:
                self.flaws.add((*self.path, "hide", index), f'"{name}" is set, so nobody sees it', "leave it out here")
            elif name in required and name not in instead:
                hint = f"give it a value: set: {{{name}: …}}"
                self.flaws.add((*self.path, "hide", index), f'"{name}" is required and cannot be left out', hint)
            instead.setdefault(name)
        return instead

    def _is_known(self, key: str, name: str, known: Mapping[str, Argument], step: Path) -> bool:
        if name not in known:
            message = f'"{name[:60]}" is no argument of {(self.block.operation or "")[:200]}'
            self.flaws.add((*self.path, key, *step), message, did_you_mean(name, known), at_key=True)
        return name in known

    def _own_headers(self, upstream: Upstream) -> set[str]:
        """Those that the tool file sends: no argument stands beside them."""
        return {name.lower() for name, _ in upstream.headers} | ({self._idempotency_header().lower()} - {""})

    def _filled(self, argument: Argument, value: Any, schema: JsonSchema) -> Binding:
        """The value that the file gives to an argument: one that fits it, or one of the call's."""
        path, properties = (*self.path, "set", argument.name), schema["properties"]
        if isinstance(value, dict) and names_context(value):
            kinds = Arguments(properties, frozenset()).kinds(argument.name)
            if kinds and "string" not in kinds:
                self.flaws.add(path, f'"{argument.name}" takes no text', "write a literal")
            return bind_leaf(value, path, Arguments({}, frozenset()), self.flaws)
        literal = self._literal(value, path)
        try:
            checked = Schema({**properties[argument.name], "$defs": schema.get("$defs", {})})
        except SchemaInvalid:
            return Fixed(literal)  # the schema's own check says what is wrong
        for problem in checked.problems(literal):
            self.flaws.add(path, f'does not fit "{argument.name}": {problem}')
        return Fixed(literal if argument.renames is None else argument.renames.on_wire(literal))

    def _literal(self, value: Any, path: Path) -> Any:
        """Plain data; ``$$`` is a literal dollar, as in a request."""
        if isinstance(value, dict):
            if names_context(value):
                self.flaws.add(path, "only a whole argument can be filled from the call", "write a literal")
            return {key: self._literal(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._literal(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        if not value.startswith("$$"):
            self.flaws.add(path, "an argument cannot be filled from another", "write $$ for a literal dollar")
        return value[1:]

    # ── what the file says beside it ──

    def _idempotency_header(self) -> str:
        return self.block.idempotency_header if self.block.idempotency_key == "auto" else ""

    def _check_keys(self) -> None:
        """What else the file says of it goes together with an operation."""
        block = self.block
        for name in sorted({"input", "request"} & block.model_fields_set):
            message, hint = (
                f"{name} comes from the API description",
                "keep one of the two; set and hide change arguments",
            )
            self.flaws.add((*self.path, name), message, hint, at_key=True)
        header: Path = (*self.path, "idempotencyHeader")
        if block.idempotency_key == "auto":
            check_header_names([block.idempotency_header], header, self.flaws)
        elif "idempotency_header" in block.model_fields_set:
            self.flaws.add(header, "there is no key to send", "set idempotencyKey: auto", at_key=True)

    def _add(self, key: str, message: str, hint: str) -> None:
        self.flaws.add((*self.path, key), message, hint)


def _plan(mapped: Mapped, bindings: Bindings, described: Described, sending: Sending) -> RequestPlan:
    """Raises ``ValueError`` where no request can be made of it."""
    plan = plan_of(mapped.operation, bindings, mapped.content, described.description.schemas, sending)
    accepted = _accepted(mapped.operation)
    if not accepted or any(bound.field.name.lower() == "accept" for bound in plan.headers):
        return plan
    accept = Bound(Field("Accept", Encoding("simple")), Fixed(accepted))
    return replace(plan, headers=(*plan.headers, accept))


# ── bindings ─────────────────────────────────────────────────────────────────────────────


def _arguments_of(bindings: Bindings) -> Iterator[Argument]:
    body = bindings.body
    of_body = body.values() if isinstance(body, Mapping) else [body] if body else []
    yield from (binding for binding in (*bindings.parameters.values(), *of_body) if isinstance(binding, Argument))


def _sent_anyway(bindings: Bindings, headers: set[str]) -> Iterator[str]:
    """The arguments for headers that the tool file sends itself."""
    for (location, name), binding in bindings.parameters.items():
        if location == "header" and name.lower() in headers and isinstance(binding, Argument):
            yield binding.name


def _replaced(bindings: Bindings, instead: Mapping[str, Binding | None]) -> Bindings:
    """The bindings with others in the place of arguments."""

    def put(binding: Binding) -> Binding | None:
        return instead.get(binding.name, binding) if isinstance(binding, Argument) else binding

    parameters = {place: new for place, binding in bindings.parameters.items() if (new := put(binding)) is not None}
    body = bindings.body
    if isinstance(body, Mapping):
        return Bindings(parameters, {name: new for name, member in body.items() if (new := put(member)) is not None})
    return Bindings(parameters, None if body is None else put(body))


def _without(schema: JsonSchema, names: Iterable[str]) -> JsonSchema:
    """The input schema without those arguments, and without definitions that nothing leads to any more."""
    gone = set(names)
    if not gone:
        return schema
    properties = {name: inner for name, inner in schema["properties"].items() if name not in gone}
    required = [name for name in schema.get("required", ()) if name not in gone]
    definitions = schema.get("$defs", {})
    reached = set(SchemaGraph(definitions, ()).reached_from(properties.values()))
    kept = {name: inner for name, inner in definitions.items() if name in reached}
    rest = {key: value for key, value in schema.items() if key not in {"required", "$defs"}}
    changed = {**rest, "properties": properties, **({"required": required} if required else {})}
    return {**changed, "$defs": kept} if kept else changed


# ── answers ──────────────────────────────────────────────────────────────────────────────


def _media_types(operation: Operation) -> list[str]:
    """What the API answers with when it did what was asked."""
    fine = [each for each in operation.responses if each.status.startswith("2")]
    answers = fine or [each for each in operation.responses if each.status == "default"]
    return list(dict.fromkeys(content.media_type.strip() for each in answers for content in each.contents))


def _accepted(operation: Operation) -> str:
    """What to accept, where that is not plain JSON: other JSON before anything else."""
    types = _media_types(operation)
    if _ANY.intersection(map(essence, types)):
        return ""
    usable = [each for each in types if is_media_type(each) and is_header_text(each)]
    preferred = [each for each in usable if is_json(each)] or usable
    return ", ".join([*preferred[:_MAX_ACCEPTED], _ELSE]) if preferred else ""


def _with_files(block: ResponseBlock, operation: Operation) -> ResponseBlock:
    """The block with the media types that are files, where the file says nothing and the API answers with nothing else."""
    types = [essence(each) for each in _media_types(operation)]
    is_file = all(_FILE.fullmatch(each) and not (is_json(each) or is_text(each)) for each in types)
    if not types or not is_file or _READ & block.model_fields_set:
        return block
    return block.model_copy(update={"files": types[:_MAX_ACCEPTED]})
