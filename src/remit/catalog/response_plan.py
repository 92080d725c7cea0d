"""The response block → a plan in which nothing is left to parse (rule)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from remit.catalog.definition import ResponseBlock, amount
from remit.catalog.expression import Expression, ExpressionInvalid, RedactPath
from remit.catalog.plan import Placeholder, ResponsePlan, Sentence
from remit.catalog.problem import Flaws, Path
from remit.catalog.schema import Schema, SchemaInvalid

#: No shaped result is longer, whatever a file says: agents pay for each byte.
MAX_RESULT_BYTES: Final = 1024 * 1024
#: What a result is told of itself.
NEXT_CURSOR: Final = "next_cursor"
TRUNCATED: Final = "truncated"
_NEXT_SCHEMA: Final = {"type": ["string", "integer", "null"], "description": "Where to go on; none at the end"}
_TRUNCATED_SCHEMA: Final = {"type": "boolean", "description": "Whether something was cut off"}
_STATUS: Final = re.compile(r"[345]([0-9]{2}|xx)")
_PLACEHOLDER: Final = re.compile(r"\{\{(.*?)\}\}|\{(status|message|code)\}")
_PLACEHOLDERS: Final = {name: Placeholder(name) for name in ("status", "message", "code")}


def compile_response(block: ResponseBlock, path: Path, flaws: Flaws) -> ResponsePlan:
    """The plan. It is of use only when nothing was added to ``flaws``."""
    size = int(amount(block.max_bytes))
    if not 256 <= size <= MAX_RESULT_BYTES:
        flaws.add((*path, "maxBytes"), f"maxBytes {block.max_bytes} is not between 256B and 1MiB")
    select = None
    if block.select is not None:
        select = _expression(block.select, (*path, "select"), flaws)
    _check_files(block, (*path, "files"), flaws)
    return ResponsePlan(
        select=select,
        output=None if block.output is None else compile_object_schema(block.output, (*path, "schema"), flaws),
        redact=_redact_paths(block.redact, (*path, "redact"), flaws),
        max_bytes=size,
        max_items=block.max_items or 0,
        files=frozenset(block.files),
        errors=compile_errors(block.errors, path, flaws),
        classes={name: _redact_paths(texts, (*path, "classes", name), flaws) for name, texts in block.classes.items()},
    )


def with_marks(block: ResponseBlock) -> ResponseBlock:
    """The block with a schema in which a result may say that it was cut, and of paging where it goes on."""
    output = block.output
    closed = output is not None and output.get("additionalProperties") is False
    if output is None or not (closed or block.paging):
        return block
    declared = output.get("properties", {})
    if not isinstance(declared, dict):  # the schema's own check says what is wrong
        return block
    marks = {TRUNCATED: _TRUNCATED_SCHEMA, **({NEXT_CURSOR: _NEXT_SCHEMA} if block.paging else {})}
    missing = {name: schema for name, schema in marks.items() if name not in declared}
    return block.model_copy(update={"output": {**output, "properties": {**declared, **missing}}})


def compile_errors(errors: Mapping[str, str], path: Path, flaws: Flaws) -> dict[str, Sentence]:
    """The sentences by status or class; ``path`` leads to the block that has them."""
    return {status: _sentence(status, text, path, flaws) for status, text in errors.items()}


def compile_object_schema(document: dict[str, Any], path: Path, flaws: Flaws) -> Schema | None:
    """A schema whose root is an object, which is what MCP takes (input and output)."""
    if document.get("type") != "object":
        flaws.add(path, "the schema's root is no object", "write type: object")
        return None
    try:
        return Schema(document)
    except SchemaInvalid as error:
        place = f' of "{error.path[-1]}"' if error.path else ""
        flaws.add((*path, *error.path), f"not JSON Schema 2020-12: the value{place} {error}")
        return None


def _check_files(block: ResponseBlock, path: Path, flaws: Flaws) -> None:
    for index, media in enumerate(block.files):
        if media.startswith("text/") or media == "application/json" or media.endswith("+json"):
            flaws.add((*path, index), f"{media} is read as data, it is no file", "take it out: it needs no mention")
    if block.files and (block.select is not None or block.output is not None or block.redact or block.classes):
        hint = "leave select, schema, redact and classes out, or make another tool of it"
        flaws.add(path, "of a file nothing can be selected, checked or redacted", hint, at_key=True)
    if block.files and block.paging is not None:
        flaws.add(path, "a file has no pages", "leave paging out, or make another tool of it", at_key=True)


def _expression(text: str, path: Path, flaws: Flaws) -> Expression | None:
    try:
        return Expression(text)
    except ExpressionInvalid as error:
        flaws.add(path, f"not JMESPath: {error}", "see jmespath.org")
        return None


def _redact_paths(texts: list[str], path: Path, flaws: Flaws) -> tuple[RedactPath, ...]:
    found = (_redact_path(text, (*path, index), flaws) for index, text in enumerate(texts))
    return tuple(each for each in found if each is not None)


def _redact_path(text: str, path: Path, flaws: Flaws) -> RedactPath | None:
    try:
        return RedactPath(text)
    except ExpressionInvalid as error:
        flaws.add(path, f'"{text[:60]}" cannot be redacted along: {error}', "write a path like customer.tax_id")
        return None


def _sentence(status: str, text: str, path: Path, flaws: Flaws) -> Sentence:
    path = (*path, "errors", status)
    if not _STATUS.fullmatch(status):
        flaws.add(path, f'"{status[:60]}" is no error status', 'write "404" or "4xx"', at_key=True)
    if not text.strip() or len(text) > 500:
        flaws.add(path, "a sentence has 1 to 500 characters")
    parts: list[str | Placeholder | Expression] = []
    position = 0
    for match in _PLACEHOLDER.finditer(text):
        parts.append(_literal(text[position : match.start()], path, flaws))
        found = _PLACEHOLDERS[match[2]] if match[2] else _expression(match[1].strip(), path, flaws)
        parts += [found] if found else []
        position = match.end()
    parts.append(_literal(text[position:], path, flaws))
    return Sentence(tuple(part for part in parts if part))


def _literal(text: str, path: Path, flaws: Flaws) -> str:
    if "{" in text or "}" in text:
        flaws.add(path, "a brace that begins no placeholder", "write {status}, {message}, {code} or {{jmespath}}")
    return text
