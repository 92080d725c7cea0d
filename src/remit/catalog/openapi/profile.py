"""Schemas of a description → schemas that models take (rule): references written out, bounded in size.

A profile is a list of levels, each with less in it than the one before; a tool gets the first that is small enough.
What a level leaves out only ever makes a schema wider: whatever the API takes still fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from remit.catalog.openapi.description import DEFINITIONS, JsonSchema
from remit.catalog.openapi.graph import SchemaGraph
from remit.catalog.openapi.joining import flattened
from remit.catalog.openapi.naming import Keys
from remit.catalog.openapi.prose import plain

ProfileName = Literal["strict", "portable", "compact"]

_ALL: Final = 1_000_000


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

#: Keywords whose schemas are about the same value.
_CHOICES: Final = frozenset({"allOf", "anyOf", "oneOf"})
_OF_SAME: Final = frozenset({"not", "if", "then", "else"})
#: Keywords that make a schema narrower when a schema in them gets wider.
_OPPOSED: Final = _OF_SAME | {
    *("contains", "minContains", "maxContains", "unevaluatedProperties", "unevaluatedItems"),
}
_MEMBERS: Final = frozenset({"properties", "dependentSchemas"})
_BELOW: Final = frozenset({"items", "contains", "propertyNames", "additionalProperties", *_OPPOSED - _OF_SAME})
#: Keywords that say nothing without the level below.
_DEEP: Final = _MEMBERS | _BELOW | {"required", "dependentRequired", "patternProperties", "prefixItems"}
_MAX_DEFAULT: Final = 200
_EACH_VALUE: Final = 24


class Renderer:
    """Writes schemas out at one level. What it gives is shared between schemas and not to be changed."""

    def __init__(self, schemas: Mapping[str, JsonSchema], graph: SchemaGraph, keys: Keys, level: Level) -> None:
        self._schemas = schemas
        self._graph = graph
        self._keys = keys
        self._level = level
        self._is_cut = level.depth is not None or level.values < _ALL
        self._gone = (_OPPOSED if self._is_cut else frozenset()) | ({"propertyNames"} if keys.wire else frozenset())
        self._kept = frozenset(schemas) if level.is_whole else graph.recursive if level.depth is None else frozenset()
        self._known: dict[tuple[str, int], JsonSchema] = {}
        self._sizes: dict[int, int] = {}

    def written_out(self, schema: JsonSchema) -> JsonSchema:
        """The schema without references, but for those to ``definitions_of`` it."""
        return self._schema(schema, self._level.depth if self._level.depth is not None else _ALL)

    def definitions_of(self, *schemas: JsonSchema) -> dict[str, JsonSchema]:
        """The schemas that stand under ``$defs`` for these, which are not written out yet."""
        names = {name for schema in schemas for name in self._graph.reached_from(schema)} & self._kept
        return {name: self._target(name, _ALL) for name in sorted(names)}

    def size(self, value: Any) -> int:
        """The bytes of the value as compact JSON; without writing out what is shared."""
        known = self._sizes.get(id(value))
        if known is not None:
            return known
        if isinstance(value, dict):
            return 1 + sum(len(orjson.dumps(key)) + 2 + self.size(item) for key, item in value.items()) + (not value)
        if isinstance(value, list):
            return 1 + sum(1 + self.size(item) for item in value) + (not value)
        return len(orjson.dumps(value))

    def _target(self, name: str, depth: int) -> JsonSchema:
        key = (name, depth)
        if key not in self._known:
            schema = self._schema(self._schemas.get(name, {}), depth)
            self._known[key] = schema
            self._sizes[id(schema)] = self.size(schema)
        return self._known[key]

    # ── one schema ──

    def _schema(self, schema: JsonSchema, depth: int) -> JsonSchema:
        if "$ref" in schema:
            return self._referring(schema, depth)
        gone = self._gone if depth > 0 else self._gone | _DEEP
        new = {key: self._value(key, value, depth) for key, value in schema.items() if key not in gone}
        if "oneOf" in new and self._is_cut:  # what is cut from two choices may have told them apart
            new["allOf"] = [*new.get("allOf", ()), {"anyOf": new.pop("oneOf")}]
        new = self._shortened(new)
        return flattened(new) if "allOf" in new else new

    def _referring(self, schema: JsonSchema, depth: int) -> JsonSchema:
        name = schema["$ref"].removeprefix(DEFINITIONS)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if name in self._kept:
            return {"$ref": schema["$ref"], **self._schema(beside, depth)}
        depth -= name in self._graph.recursive
        target = self._target(name, depth) if depth >= 0 else {}
        return flattened({**self._schema(beside, depth), "allOf": [target]}) if beside else target

    def _value(self, key: str, value: Any, depth: int) -> Any:
        if key in _MEMBERS:
            return {self._keys[name]: self._schema(child, depth - 1) for name, child in value.items()}
        if key in _CHOICES:
            branches = [self._schema(branch, depth) for branch in value]
            return branches if depth > 0 else _different(branches)
        if isinstance(value, dict) and (key in _OF_SAME or key in _BELOW):
            return self._schema(value, depth if key in _OF_SAME else depth - 1)
        match key:
            case "patternProperties":
                return {pattern: self._schema(child, depth - 1) for pattern, child in value.items()}
            case "prefixItems":
                return [self._schema(child, depth - 1) for child in value]
            case "required":
                return [self._keys[name] for name in value]
            case "dependentRequired":
                return {self._keys[name]: [self._keys[other] for other in others] for name, others in value.items()}
        return value

    def _shortened(self, schema: JsonSchema) -> JsonSchema:
        """Texts and values, to what the level keeps of them."""
        level, new = self._level, dict(schema)
        text = plain(new.pop("description", ""), level.text)
        if len(new.get("enum", ())) > level.values:
            values = new.pop("enum")
            shown = plain(", ".join(map(str, values[: level.values])), _EACH_VALUE * level.values)
            text = f"{text} One of {len(values)} values: {shown}, …".strip()
        if text or not level.text:
            new.pop("title", None)
        if self._is_cut and self.size(new.get("default")) > _MAX_DEFAULT:
            del new["default"]
        return {"description": text, **new} if text else new


def _different(branches: list[JsonSchema]) -> list[JsonSchema]:
    """Each of them once: little is left of them at the lowest level."""
    return [branch for index, branch in enumerate(branches) if branch not in branches[:index]]
