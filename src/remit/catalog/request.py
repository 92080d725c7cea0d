"""A tool that has a request block → what it asks of its API (rule)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.catalog.asked import Asked
from remit.catalog.binding import Arguments
from remit.catalog.definition import RequestBlock, RetryBlock, ToolBlock
from remit.catalog.paging import with_paging
from remit.catalog.problem import Flaws, Path
from remit.catalog.request_plan import RequestCompiler, plan_retry
from remit.catalog.upload import with_uploads
from remit.catalog.upstream import Upstream

_PROPERTY_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_UNREADABLE_ROOTS: Final = ("$ref", "allOf", "anyOf", "oneOf", "not", "patternProperties", "unevaluatedProperties")
#: Keys that mean nothing beside a request.
_OF_OPERATIONS: Final = frozenset({"set_", "hide", "idempotency_key", "idempotency_header"})


@dataclass(slots=True)
class RequestToolCompiler:
    """One tool with a request block being compiled: ``path`` leads to it, flaws are added as they are found.

    ``is_code``: its arguments are used by code.
    """

    block: ToolBlock
    path: Path
    flaws: Flaws
    is_code: bool = False

    def compile(self, upstream: Upstream, retrying: RetryBlock | None, max_bytes: int) -> Asked | None:
        """What it asks; of use only when nothing was added to the flaws. ``retrying``: the upstream's block."""
        block = with_paging(self.block)
        request = block.request
        if block.description is None:
            self.flaws.add(self.path, "description is missing", "add description")
        if request is None:
            hint = "add request, or operation where upstream.openapi names a description of the API"
            self.flaws.add(self.path, "request is missing", hint)
            return None
        for name in sorted(_OF_OPERATIONS & block.model_fields_set):
            key = type(block).model_fields[name].alias or name
            self.flaws.add(
                (*self.path, key), f"{key} is for tools with operation", "write it into request", at_key=True
            )
        schema = self._input(block, request, max_bytes)
        arguments = self._arguments(schema)
        retry = plan_retry(retrying, block.retry, request, self.path, self.flaws)
        compiler = RequestCompiler(request, arguments, (*self.path, "request"), self.flaws)
        plan = compiler.compile(upstream, retry, max_bytes)
        if not self.is_code:
            self._check_unused(arguments)
        return Asked(block.title, block.description or "", schema, request, plan, block.response)

    def _input(self, block: ToolBlock, request: RequestBlock, max_bytes: int) -> dict[str, Any]:
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
        return with_uploads(schema, request.uploads, max_bytes, path, self.flaws)

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
