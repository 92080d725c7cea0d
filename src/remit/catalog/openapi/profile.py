"""Schemas of a description → schemas that models take (rule): references written out, bounded in size.

A profile is a list of levels, each with less in it than the one before; a tool gets the first that is small enough.
What a level leaves out only ever makes a schema wider: whatever the API takes still fits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from remit.catalog.openapi.contents import resolved
from remit.catalog.openapi.description import DEFINITIONS, JsonSchema
from remit.catalog.openapi.graph import SchemaGraph
from remit.catalog.openapi.joining import flattened
from remit.catalog.openapi.naming import Keys
from remit.catalog.openapi.prose import plain

ProfileName = Literal["strict", "portable", "compact"]

_ALL: Final = 1_000_000
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Level:
    """What is kept: ``depth`` levels of objects and lists, ``text`` characters of a description below an argument,
    ``own_text`` of the argument's own, ``values`` of an enumeration.

    Without a depth everything is, recursive schemas under ``$defs``; ``is_whole``: all others too.
    """

    depth: int | None = None
    text: int = 1024
    own_text: int = 1024
    values: int = _ALL
    is_whole: bool = False

    @property
    def cuts(self) -> str:
        """What is left out, in words; empty for nothing."""
        said = [f"depth {self.depth}"] if self.depth is not None else []
        said += [f"descriptions of {self.text} characters"] if self.text < 1024 else []
        said += [f"{self.values} values of an enumeration"] if self.values < _ALL else []
        return f"cut to {', '.join(said)}" if said else ""


@dataclass(frozen=True, slots=True)
class Profile:
    """How large a tool may be (bytes of what the model sees), how long its description, and the levels to try."""

    max_bytes: int
    description: int
    levels: tuple[Level, ...]


PROFILES: Final[Mapping[ProfileName, Profile]] = {
    "strict": Profile(256 * 1024, 1024, (Level(), Level(is_whole=True))),
    "portable": Profile(
        16_000,
        1024,
        (
            Level(),
            Level(None, 160, 400, 60),
            Level(8, 100, 300, 40),
            Level(6, 80, 240, 30),
            Level(5, 60, 200, 30),
            Level(4, 40, 200, 20),
            Level(3, 40, 160, 20),
            Level(3, 0, 120, 12),
            Level(2, 0, 120, 12),
            Level(1, 0, 60, 12),
            Level(0, 0, 0, 12),
        ),
    ),
    "compact": Profile(
        4_000,
        400,
        (
            Level(4, 80, 160, 30),
            Level(3, 60, 120, 20),
            Level(3, 0, 120, 12),
            Level(2, 0, 80, 12),
            Level(1, 0, 40, 8),
            Level(0, 0, 0, 8),
        ),
    ),
}

#: Keywords that make a schema narrower when a schema in them gets wider. They are left out: much of what is done here
#: widens schemas, and hardly any model API takes them.
_OPPOSED: Final = frozenset(
    {
        *("not", "if", "then", "else", "contains", "minContains", "maxContains"),
        *("unevaluatedProperties", "unevaluatedItems"),
    }
)
#: Keywords that speak about members by what they are called.
_BY_NAME: Final = frozenset({"patternProperties", "propertyNames"})
#: Keywords that say nothing without the level below.
_DEEP: Final = _BY_NAME | {
    *(
        "properties",
        "required",
        "dependentRequired",
        "dependentSchemas",
        "additionalProperties",
        "items",
        "prefixItems",
    ),
}
#: No schema is nested deeper than this, references counted; each takes up to two levels of JSON, and parsers stop at
#: 128 or 256 of them.
_MAX_NESTED: Final = 56
_MAX_DEFAULT: Final = 200
_MAX_SCHEMA_TITLE: Final = 100
_EACH_VALUE: Final = 24


class _Left(NamedTuple):
    """How far down it may still go: levels of objects and lists, and schemas inside each other of whatever kind."""

    depth: float
    room: int = _MAX_NESTED

    def below(self) -> _Left:
        return _Left(self.depth - 1, self.room - 1)

    def beside(self) -> _Left:
        return _Left(self.depth, self.room - 1)


class TooLarge(Exception):
    """A schema that takes more bytes than a tool may have."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A schema that was written out, and the room that took; without a schema it was too large for that room."""

    schema: JsonSchema | None
    room: int = 0


class Renderer:
    """Writes schemas out at one level. What it gives is shared between schemas and not to be changed.

    Where references lead to more than ``max_bytes``, it raises ``TooLarge`` as soon as that is known: what is written
    out can double with each reference.
    """

    def __init__(
        self, schemas: Mapping[str, JsonSchema], graph: SchemaGraph, keys: Keys, level: Level, max_bytes: int
    ) -> None:
        self.schemas = schemas
        self._max_bytes = max_bytes
        self._graph = graph
        self._keys = keys
        self._level = level
        self._top = _Left(math.inf if level.depth is None else level.depth)
        self._gone = _OPPOSED | _BY_NAME if keys.wire else _OPPOSED
        self._kept = frozenset(schemas) if level.is_whole else graph.recursive if level.depth is None else frozenset()
        self._known: dict[tuple[str, float], _Written] = {}
        self._known_cut: dict[tuple[str, _Left], _Written] = {}
        self._sizes: dict[int, int] = {}
        self._lowest = _MAX_NESTED

    def written_out(self, schema: JsonSchema) -> JsonSchema:
        """The schema without references, but for those to ``definitions_of`` it."""
        return self._schema(schema, self._top)

    def argument(self, schema: JsonSchema, description: str = "") -> JsonSchema:
        """The schema of an argument, written out. ``description``: rather than the schema's own."""
        return self.labelled(self.written_out(schema), schema, description)

    def labelled(self, written: JsonSchema, schema: JsonSchema, description: str = "") -> JsonSchema:
        """The ``schema`` that was written out, with as much text as an argument may have of its own."""
        whole = resolved(schema, self.schemas)
        text = description or schema.get("description", "") or whole.get("description", "")
        said = self._said(text, whole.get("enum", ()), self._level.own_text)
        if not text or said == written.get("description", ""):
            return written
        rest = {key: value for key, value in written.items() if key not in {"description", "title"}}
        return {"description": said, **rest} if said else rest

    def wire_name(self, key: str) -> str:
        """What a member is called on the wire."""
        return self._keys.wire.get(key, key)

    def definitions_of(self, schemas: Iterable[JsonSchema], room: int) -> dict[str, JsonSchema]:
        """The schemas under ``$defs`` for these, which are not written out yet. ``TooLarge``: over ``room`` bytes."""
        found: dict[str, JsonSchema] = {}
        for name in self._graph.reached_from(schemas) if self._kept else ():
            if name in self._kept:
                found[name] = self._target(name, self._top)
                room -= len(name) + 4 + self.size(found[name])
            if room < 0:
                raise TooLarge
        return dict(sorted(found.items()))

    def size(self, value: Any) -> int:
        """The bytes of the value as compact JSON; without writing out what is shared."""
        known = self._sizes.get(id(value))
        if known is not None:
            return known
        if isinstance(value, dict):
            return 1 + sum(size_of(key) + 2 + self.size(item) for key, item in value.items()) + (not value)
        if isinstance(value, list):
            return 1 + sum(1 + self.size(item) for item in value) + (not value)
        return size_of(value)

    def _target(self, name: str, left: _Left) -> JsonSchema:
        """The schema of that name, written out once for all places that leave it enough room."""
        written = self._known.get((name, left.depth))
        if written is None or written.room > left.room:
            written = self._known_cut.get((name, left)) or self._write(name, left)
        self._lowest = min(self._lowest, left.room - written.room)
        if written.schema is None:
            raise TooLarge
        return written.schema

    def _write(self, name: str, left: _Left) -> _Written:
        outer, self._lowest = self._lowest, left.room
        written = _Written(None, left.room)
        try:
            schema = self._schema(self.schemas.get(name, {}), left)
            size = self.size(schema)
            if size <= self._max_bytes:
                written = _Written(schema, left.room - self._lowest)
                self._sizes[id(schema)] = size
        except TooLarge:
            pass
        if self._lowest > 0 or written.schema is None:
            self._known[name, left.depth] = written
        else:
            self._known_cut[name, left] = written
        self._lowest = outer
        return written

    # ── one schema ──

    def _schema(self, schema: JsonSchema, left: _Left) -> JsonSchema:
        self._lowest = min(self._lowest, left.room)
        if left.room <= 0:
            return {}
        if "$ref" in schema:
            return self._referring(schema, left)
        gone = self._gone if left.depth > 0 else self._gone | _DEEP
        new = {key: self._value(key, value, left) for key, value in schema.items() if key not in gone}
        if not _BY_NAME.isdisjoint(gone) and "patternProperties" in schema:
            new.pop("additionalProperties", None)  # it is about what no pattern fits
        if "oneOf" in new:  # what is left of two choices need not tell them apart
            new["allOf"] = [*new.get("allOf", ()), {"anyOf": new.pop("oneOf")}]
        new = self._shortened(new)
        if "allOf" in new:
            new = flattened({**new, "allOf": [_unopened(branch) for branch in new["allOf"]]})
        if "array" in new.get("type", ()) and "items" not in new and "prefixItems" not in new:
            new["items"] = {}  # model APIs refuse a list that does not say what is in it
        return new

    def _referring(self, schema: JsonSchema, left: _Left) -> JsonSchema:
        name = schema["$ref"].removeprefix(DEFINITIONS)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if name in self._kept:
            return {"$ref": schema["$ref"], **self._schema(beside, left)}
        if name in self._graph.recursive:
            left = left.below()
        target = self._target(name, left.beside()) if left.depth >= 0 else {}
        return flattened({**self._schema(beside, left), "allOf": [target]}) if beside else target

    def _value(self, key: str, value: Any, left: _Left) -> Any:
        match key:
            case "properties" | "dependentSchemas":
                new: Any = {self._keys[name]: self._schema(child, left.below()) for name, child in value.items()}
            case "patternProperties":
                new = {pattern: self._schema(child, left.below()) for pattern, child in value.items()}
            case "allOf" | "anyOf" | "oneOf":
                branches = [self._schema(branch, left.beside()) for branch in value]
                new = branches if left.depth > 0 else _different(branches)
            case "prefixItems":
                new = [self._schema(child, left.below()) for child in value]
            case "items" | "additionalProperties" | "propertyNames" if isinstance(value, dict):
                new = self._schema(value, left.below())
            case "required":
                new = [self._keys[name] for name in value]
            case "dependentRequired":
                new = {self._keys[name]: [self._keys[other] for other in others] for name, others in value.items()}
            case _:
                new = value
        return new

    def _shortened(self, schema: JsonSchema) -> JsonSchema:
        """Texts and values, to what the level keeps of them."""
        level, new = self._level, dict(schema)
        text = self._said(new.pop("description", ""), new.get("enum", ()), level.text)
        title = plain(new.pop("title", ""), min(_MAX_SCHEMA_TITLE, level.text))
        said = {"description": text} if text else {"title": title} if title else {}
        if len(new.get("enum", ())) > level.values:
            del new["enum"]
        if self.size(new.get("default")) > _MAX_DEFAULT:
            del new["default"]
        if self._keys.wire:  # objects in values are not renamed
            for key in ("enum", "const", "default"):
                if _holds_objects(new.get(key)):
                    del new[key]
        return {**said, **new}

    def _said(self, text: str, values: Sequence[Any], limit: int) -> str:
        """A description, with the first of the values where they are too many for ``enum``."""
        said, most = plain(text, limit), self._level.values
        if len(values) > most:
            words = [value if isinstance(value, str) else json.dumps(value) for value in values[:most]]
            said = f"{said} One of {len(values)} values: {plain(', '.join(words), _EACH_VALUE * most)}, …".strip()
        return said


def size_of(value: Any) -> int:
    """The bytes of a value as compact JSON in ASCII: no less than it takes in a list of tools."""
    return len(_encode(value))


def _different(branches: list[JsonSchema]) -> list[JsonSchema]:
    """Each of them once: little is left of them at the lowest level."""
    return [branch for index, branch in enumerate(branches) if branch not in branches[:index]]


def _unopened(branch: JsonSchema) -> JsonSchema:
    """A part without the word that it has other members, which the whole says for itself."""
    if branch.get("additionalProperties") is not True:
        return branch
    return {key: value for key, value in branch.items() if key != "additionalProperties"}


def _holds_objects(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_objects, value)))
