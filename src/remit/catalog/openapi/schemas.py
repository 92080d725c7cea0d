"""Schema Objects of any dialect → tables of JSON Schema 2020-12 (rule).

There is a table for requests and one for responses, as what is read-only is no part of a request and what is
write-only is no part of a response. A reference becomes ``{"$ref": "#/$defs/NAME"}`` and its target an entry of
the table; entries are read one after the other, so a cycle of references costs nothing. A reference that leads
nowhere becomes a schema that takes anything, with a note.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from remit.catalog.openapi.description import DEFINITIONS, JsonSchema, Note
from remit.catalog.openapi.keywords import is_pattern, modernised
from remit.catalog.openapi.references import MAX_HOPS, Dangling, Place, References

MAX_DEPTH: Final = 64
MAX_SCHEMAS: Final = 100_000
MAX_NOTES: Final = 1_000
_MAX_FAMILY: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")

_ONE: Final = ("not", "if", "then", "else", "contains", "propertyNames", "items")
_OR_FLAG: Final = ("additionalProperties", "unevaluatedProperties", "unevaluatedItems")
_MANY: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED: Final = ("properties", "patternProperties", "dependentSchemas")
_WITH_SCHEMAS: Final = frozenset((*_ONE, *_OR_FLAG, *_MANY, *_NAMED))
#: Keywords whose schemas are about the same value as the schema they stand in.
_IN_PLACE: Final = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
#: Keywords that say something about a value without narrowing it down.
_REMARKS: Final = frozenset({"title", "description", "default", "deprecated", "readOnly", "writeOnly"})

#: One order for all: the same schema in two dialects is written the same.
_ORDER: Final = {
    key: rank
    for rank, key in enumerate(
        (
            *("$ref", "title", "description", "deprecated", "type", "format", "contentEncoding", "contentMediaType"),
            *("const", "enum", "default", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"),
            *("minLength", "maxLength", "pattern", "properties", "required", "patternProperties"),
            *("additionalProperties", "unevaluatedProperties", "propertyNames", "minProperties", "maxProperties"),
            *("dependentRequired", "dependentSchemas", "prefixItems", "items", "unevaluatedItems", "contains"),
            *("minContains", "maxContains", "minItems", "maxItems", "uniqueItems"),
            *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
        )
    )
}


@dataclass(slots=True)
class Notebook:
    """Notes as they are made, each once, the first ``MAX_NOTES`` of them."""

    _notes: dict[Note, None] = field(default_factory=dict)

    def add(self, place: Place, message: str) -> None:
        """Note something about ``place``."""
        if len(self._notes) < MAX_NOTES:
            self._notes[Note(place.where, message)] = None

    @property
    def notes(self) -> tuple[Note, ...]:
        """All of them, in order."""
        return tuple(self._notes)


class Names:
    """The names of schemas that are referred to: letters, digits, ``.``, ``_`` and ``-``; one place, one name.

    A component of the main file keeps its name; another place is named by the end of its pointer or its file, with
    a hash where that name is somebody else's.
    """

    def __init__(self, root: Place) -> None:
        components = (*root.at("components", "schemas").members(), *root.at("definitions").members())
        self._names = {(place.file, place.pointer): key for key, place in components if _clean(key) == key}
        self._taken = set(self._names.values())

    def of(self, place: Place) -> str:
        """The name of the schema at ``place``."""
        key = (place.file, place.pointer)
        if key not in self._names:
            name = _clean(_last_word(place))
            if not name or name in self._taken:
                name = f"{name or 'schema'}_{hashlib.sha256(place.where.encode()).hexdigest()[:8]}"
            self._names[key] = name
            self._taken.add(name)
        return self._names[key]


def _clean(text: str) -> str:
    if _NAME.fullmatch(text):
        return text
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("_")[:128]


def _last_word(place: Place) -> str:
    words = [step for step in place.pointer.split("/")[1:] if not step.isdecimal()]
    return words[-1] if words else place.file.rpartition("/")[2].partition(".")[0]


class SchemaTable:
    """Reads schemas for one direction; ``table`` holds those referred to. What it returns is not to be changed.

    ``hidden``: the keyword that takes a property out of this direction.
    """

    def __init__(
        self, references: References, names: Names, notebook: Notebook, hidden: Literal["readOnly", "writeOnly"]
    ) -> None:
        self.table: dict[str, JsonSchema] = {}
        self._references = references
        self._names = names
        self._notebook = notebook
        self._hidden_by = hidden
        self._waiting: list[tuple[str, Place]] = []
        self._known: dict[tuple[str, str], tuple[Any, JsonSchema]] = {}

    def read(self, place: Place) -> JsonSchema:
        """The schema at ``place``. Whatever it refers to is in the table afterwards."""
        value, schema = self._known.get((place.file, place.pointer), (None, {}))
        if value is not place.value or value is None:
            schema = self._schema(place, 0)
            self._known[place.file, place.pointer] = (place.value, schema)
        while self._waiting:
            name, waiting = self._waiting.pop()
            self.table[name] = self._schema(waiting, 0)
        return schema

    def _schema(self, place: Place, depth: int, absent: frozenset[str] | None = None) -> JsonSchema:
        """One schema. ``absent``: properties that are hidden in the schema it is a branch of, ``None`` in no branch."""
        if isinstance(place.value, bool):
            return {} if place.value else {"not": {}}
        if not isinstance(place.value, dict) or depth > MAX_DEPTH:
            self._notebook.add(place, "taken for any value: " + ("nested too deep" if depth else "this is no schema"))
            return {}
        new = modernised(place.value, lambda message: self._notebook.add(place, message))
        if "discriminator" in place.value and "properties" in new:  # its other shapes have members of their own
            new.setdefault("additionalProperties", True)
        modern = Place(place.file, place.pointer, new)
        hidden = (absent or frozenset()) | self._hidden_in(modern)
        _require(new, hidden, is_branch=absent is not None)
        self._read_below(modern, depth + 1, hidden)
        reference = place.value.get("$ref", place.value.get("$dynamicRef"))
        if isinstance(reference, str) and (name := self._entry(place, reference)):
            new["$ref"] = f"{DEFINITIONS}{name}"
        return _ordered(_nullable(_single(new)))

    # ── references ──

    def _entry(self, place: Place, reference: str) -> str:
        """The name of the table's entry for what ``reference`` points at; empty where that is nothing."""
        try:
            target = self._target(place, reference)
        except Dangling as dangling:
            return self._nothing(place, dangling.reason)
        if not isinstance(target.value, dict | bool):
            return self._nothing(place, f"what stands at {target.where} is no schema")
        name = self._names.of(target)
        if name not in self.table:
            if len(self.table) >= MAX_SCHEMAS:
                return self._nothing(place, f"there are more than {MAX_SCHEMAS} schemas")
            self.table[name] = {}
            self._waiting.append((name, target))
        return name

    def _nothing(self, place: Place, reason: str) -> str:
        self._notebook.add(place, f"taken for any value: {reason}")
        return ""

    def _target(self, place: Place, reference: str) -> Place:
        """What ``reference`` points at, past schemas that are nothing but another reference."""
        for _ in range(MAX_HOPS):
            place = self._references.resolve(place.file, reference)
            further = place.mapping.get("$ref")
            if not isinstance(further, str) or len(place.mapping) > 1:
                return place
            reference = further
        raise Dangling("a reference that leads back to itself")

    # ── properties of the other direction ──

    def _hidden_in(self, place: Place) -> frozenset[str]:
        """The hidden properties of an object, those of its ``allOf`` included."""
        hidden: set[str] = set()
        waiting, seen = [place], {(place.file, place.pointer)}
        while waiting:
            here = waiting.pop()
            hidden.update(name for name, child in self._properties(here).members() if self._is_hidden(child))
            for branch in here.at("allOf").items():
                if len(seen) >= _MAX_FAMILY:
                    break
                there = self._followed(branch)
                if (there.file, there.pointer) not in seen:
                    seen.add((there.file, there.pointer))
                    waiting.append(there)
        return frozenset(hidden)

    def _properties(self, schema: Place) -> Place:
        """The properties; a text called ``$ref`` among them can only mean that they stand somewhere else."""
        place = schema.at("properties")
        return self._followed(place) if _is_elsewhere(place.value) else place

    def _is_hidden(self, place: Place) -> bool:
        return self._followed(place).flag(self._hidden_by)

    def _followed(self, place: Place) -> Place:
        try:
            return self._references.follow(place)
        except Dangling:
            return place

    # ── the schemas below ──

    def _read_below(self, place: Place, depth: int, hidden: frozenset[str]) -> None:
        """Replace the schemas in ``place.value`` by what they are read as."""
        new = place.value
        for key in [key for key in new if key in _WITH_SCHEMAS]:
            there = self._properties(place) if key == "properties" else place.at(key)
            below = self._below(key, there, depth, hidden if key in _IN_PLACE else None)
            if below is None:
                del new[key]
            else:
                new[key] = below

    def _below(self, key: str, place: Place, depth: int, absent: frozenset[str] | None) -> Any:
        """What the keyword's value is read as; ``None``: it says nothing."""
        if key in _MANY:
            return [self._schema(item, depth, absent) for item in place.items()] or None
        if key in _NAMED:
            members = ((name, child) for name, child in place.members() if self._is_kept(key, child, name))
            read = {name: self._schema(child, depth, absent) for name, child in members}
            return read or ({} if key == "properties" else None)
        if not isinstance(place.value, dict | bool):
            return None
        if key not in _OR_FLAG:
            return self._schema(place, depth, absent)
        return place.value if isinstance(place.value, bool) else self._schema(place, depth, absent) or True

    def _is_kept(self, key: str, place: Place, name: str) -> bool:
        if key == "properties":
            return not self._is_hidden(place)
        if key == "patternProperties" and not is_pattern(name):
            self._notebook.add(place, "left out: its name is no regular expression that can be used here")
            return False
        return True


# ── after the schemas below are read, or before ──────────────────────────────────────────


def _is_elsewhere(properties: Any) -> bool:
    """Whether this is a reference to properties, and not properties one of which is called ``$ref``."""
    return isinstance(properties, dict) and isinstance(properties.get("$ref"), str)


def _require(new: dict[str, Any], hidden: frozenset[str], *, is_branch: bool) -> None:
    """``required``: what properties say of themselves (draft 3) included; neither hidden nor unknown ones.

    A name that is no property counts as known where another schema about the same object may describe it.
    """
    properties = new.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    own = [name for name, child in properties.items() if isinstance(child, dict) and child.get("required") is True]
    closed = properties and not is_branch and not _IN_PLACE.intersection(new) and "patternProperties" not in new
    closed = closed and not _is_elsewhere(properties) and not isinstance(new.get("additionalProperties"), dict)
    names = [name for name in dict.fromkeys([*new.pop("required", []), *own]) if name not in hidden]
    names = [name for name in names if name in properties or not closed]
    if names:
        new["required"] = names


def _single(new: dict[str, Any]) -> dict[str, Any]:
    """An ``allOf`` of one is that one where only remarks are around it: 3.0 has to write them beside a reference so."""
    branches = new.get("allOf", ())
    around = {key: value for key, value in new.items() if key not in _REMARKS and key not in {"allOf", "nullable"}}
    if len(branches) == 1 and all(branches[0].get(key) == value for key, value in around.items()):
        return {**branches[0], **{key: value for key, value in new.items() if key != "allOf"}}
    return new


def _nullable(new: dict[str, Any]) -> dict[str, Any]:
    """``nullable: true`` in the words of JSON Schema, in which all values of ``enum`` are to be named."""
    is_nullable = new.pop("nullable", False)
    if is_nullable and ("$ref" in new or _IN_PLACE.intersection(new)):
        return _or_null(new)
    kinds = new["type"] if isinstance(new.get("type"), list) else [new["type"]] if "type" in new else []
    if is_nullable and kinds and "null" not in kinds:
        new["type"] = kinds = [*kinds, "null"]
    if is_nullable and "const" in new:
        new["enum"] = [new.pop("const")]
    if (is_nullable or "null" in kinds) and None not in new.get("enum", [None]):
        new["enum"] = [*new["enum"], None]
    if new.get("enum") == [None]:
        del new["enum"]
        new["type"] = "null"
    return new


def _or_null(new: dict[str, Any]) -> dict[str, Any]:
    """A choice between the schema and null, with the remarks left around it."""
    remarks = {key: value for key, value in new.items() if key in _REMARKS}
    core = {key: value for key, value in new.items() if key not in _REMARKS}
    choices = core["anyOf"] if core.keys() == {"anyOf"} else [core]
    return {**remarks, "anyOf": choices if {"type": "null"} in choices else [*choices, {"type": "null"}]}


def _ordered(new: dict[str, Any]) -> JsonSchema:
    return {key: new[key] for key in sorted(new.keys() & _ORDER.keys(), key=_ORDER.__getitem__)}
