"""What models and clients make of an input schema (rule): types, descriptions, keys, unions, nesting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from remit.catalog.lint_finding import Note
from remit.catalog.problem import Path

MAX_NESTING: Final = 5
_KEY: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_UNIONS: Final = ("anyOf", "oneOf", "allOf", "not")
_SAYS_ITS_TYPE: Final = frozenset({"type", "enum", "const", "$ref", *_UNIONS})
#: Nothing nests deeper than a tool file may.
_MAX_DEPTH: Final = 48


def schema_notes(schema: Mapping[str, Any], path: Path) -> Iterator[Note]:
    """``path`` leads to the input schema. Each thing is told once for each argument."""
    for union in (*_UNIONS, "enum"):
        if union in schema:
            yield Note(
                "T115", (*path, union), f"{union} at the root: models cannot read it", "write the properties out"
            )
    if any("$ref" in part for part, _, _ in _parts(dict(schema), path, 0)):
        yield Note("T119", path, "the schema holds $ref", "write the part out where it is used")
    properties = schema.get("properties", {})
    for name, argument in properties.items() if isinstance(properties, Mapping) else ():
        yield from _argument_notes(name, argument, (*path, "properties", name))


def _argument_notes(name: str, argument: Any, path: Path) -> Iterator[Note]:
    if not isinstance(argument, dict):
        yield Note("T112", path, f'the argument "{name}" may be anything', "say its type")
        return
    if not str(argument.get("description", "")).strip():
        yield Note("T111", path, f'the argument "{name}" has no description', "say what it is and how it looks")
    if not _SAYS_ITS_TYPE & argument.keys():
        yield Note("T112", path, f'the argument "{name}" has no type', "say its type")
    told: set[str] = set()
    for part, place, depth in _parts(argument, path, 1):
        for note in _part_notes(name, part, place, depth):
            if note.code not in told:
                told.add(note.code)
                yield note


def _part_notes(name: str, part: Mapping[str, Any], place: Path, depth: int) -> Iterator[Note]:
    if depth == MAX_NESTING + 1:
        message = f'the argument "{name}" is nested deeper than {MAX_NESTING} levels'
        yield Note("T116", place, message, "flatten it, or make arguments of its parts")
    for union in _UNIONS[:3]:
        if union in part:
            yield Note("T118", (*place, union), f'"{name}" has {union}', "take the one form that the tool needs")
    properties = part.get("properties")
    is_object = part.get("type") == "object"
    if is_object and not properties and not isinstance(part.get("additionalProperties"), dict):
        message = f'of the object in "{name}" nobody knows what goes in'
        yield Note("T117", place, message, "name its properties, or give additionalProperties a schema")
    elif is_object and part.get("additionalProperties") is True:
        message = f'the object in "{name}" takes any property'
        yield Note("T117", (*place, "additionalProperties"), message, "write additionalProperties: false")
    for key in properties if isinstance(properties, dict) else ():
        if not _KEY.fullmatch(key):
            message = f'"{key[:60]}" in "{name}" is no key that models take'
            yield Note("T114", (*place, "properties", key), message, "use up to 64 letters, digits, _ . and -")


def _parts(schema: dict[str, Any], path: Path, depth: int) -> Iterator[tuple[dict[str, Any], Path, int]]:
    """A schema and those inside it, with their places and how deep they are nested."""
    yield schema, path, depth
    if depth > _MAX_DEPTH:
        return
    for key, inner in _inner(schema):
        deeper = 0 if key[0] in _UNIONS else 1
        yield from _parts(inner, (*path, *key), depth + deeper)


def _inner(schema: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for name in ("properties", "$defs", "patternProperties"):
        members = schema.get(name)
        for key, inner in members.items() if isinstance(members, dict) else ():
            if isinstance(inner, dict):
                yield (name, key), inner
    for name in ("items", "additionalProperties"):
        inner = schema.get(name)
        if isinstance(inner, dict):
            yield (name,), inner
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        items = schema.get(name)
        for index, inner in enumerate(items if isinstance(items, list) else ()):
            if isinstance(inner, dict):
                yield (name, index), inner
