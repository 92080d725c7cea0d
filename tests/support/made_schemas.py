"""Schemas of every shape, and values that may fit them: strategies for hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

NAMES = ("id", "filter", "$filter", "x[]", "größe", "$ref")
TABLE = ("Tree", "Leaf", "Part")
_VALUES: tuple[Any, ...] = ("a", "b", 1, 0, 1.5, True, None, [], {}, "long text")

Schema = dict[str, Any]
#: A value as it goes over the wire, and with the keys a model is shown.
Twins = tuple[Any, Any]


def _subset(names: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), unique=True, max_size=2) if names else st.just([])


@st.composite
def _objects(draw: st.DrawFn, below: st.SearchStrategy[Schema]) -> Schema:
    properties = draw(st.dictionaries(st.sampled_from(NAMES), below, max_size=3))
    schema: Schema = {"type": "object", "properties": properties}
    schema["required"] = draw(_subset([*properties, "id", "$filter"]))
    closing = draw(st.sampled_from(["absent", "absent", False, True]) | below)
    schema |= {} if closing == "absent" else {"additionalProperties": closing}
    if draw(st.integers(0, 5)) == 0:
        schema["patternProperties"] = {"^f": draw(below)}
    if len(properties) > 1 and draw(st.integers(0, 5)) == 0:
        schema["dependentRequired"] = {next(iter(properties)): list(properties)}
    return schema


def _choices(below: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    kinds = st.sampled_from(["allOf", "anyOf", "oneOf"])
    choices = st.builds(lambda kind, parts: {kind: parts}, kinds, st.lists(below, min_size=1, max_size=3))
    beside = st.builds(lambda one, other: {**one, **other}, choices, _objects(below))
    conditions = st.fixed_dictionaries({"if": below, "then": below}) | st.fixed_dictionaries({"not": below})
    return choices | beside | st.builds(lambda one, other: {**one, **other}, _objects(below), conditions)


_SCALARS: st.SearchStrategy[Schema] = st.sampled_from(
    [
        {"type": "string", "maxLength": 3, "description": "A short text. " * 20},
        {"type": "string", "pattern": "^[ab]"},
        {"type": "integer", "minimum": 1},
        {"type": "number"},
        {"type": ["integer", "null"]},
        {"type": ["number", "null"]},
        {"type": "boolean"},
        {"enum": ["a", "b", 1, None]},
        {"type": "string", "enum": [f"value {index}" for index in range(70)] + ["a"]},
        {"const": "a"},
        {"enum": [{"$filter": "a"}, "a"]},
        {},
        True,
    ]
)
SCHEMAS: st.SearchStrategy[Schema] = st.recursive(
    _SCALARS | st.sampled_from([{"$ref": f"#/components/schemas/{name}"} for name in TABLE]),
    lambda below: (
        _objects(below)
        | _objects(below)
        | _choices(below)
        | st.builds(lambda items: {"type": "array", "items": items, "maxItems": 2}, below)
        | st.builds(lambda first, items: {"prefixItems": [first], "items": items}, below, below)
    ),
    max_leaves=8,
)
TABLES: st.SearchStrategy[dict[str, Schema]] = st.fixed_dictionaries(dict.fromkeys(TABLE, SCHEMAS))


@st.composite
def values(draw: st.DrawFn, schema: Schema, table: Mapping[str, Schema], key_of: Callable[[str], str]) -> Twins:
    """A value that may fit the schema, which is one as the reader leaves it."""
    return _value(draw, schema, _Made(table, key_of), 4)


class _Made:
    def __init__(self, table: Mapping[str, Schema], key_of: Callable[[str], str]) -> None:
        self.table = table
        self.key_of = key_of


def _value(draw: st.DrawFn, schema: Schema, made: _Made, fuel: int) -> Twins:
    if fuel <= 0:
        return _same(draw(st.sampled_from(_VALUES)))
    twins: Twins | None = None
    if "$ref" in schema:
        twins = _value(draw, made.table[schema["$ref"].removeprefix("#/$defs/")], made, fuel - 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            twins = _merged(twins, _value(draw, draw(st.sampled_from(schema[key])), made, fuel - 1))
    for branch in schema.get("allOf", ()):
        twins = _merged(twins, _value(draw, branch, made, fuel - 1))
    if "properties" in schema or schema.get("type") == "object" or "required" in schema:
        twins = _merged(twins, _object(draw, schema, made, fuel))
    elif "items" in schema or "prefixItems" in schema:
        parts = [*schema.get("prefixItems", ()), *([schema["items"]] if "items" in schema else ())]
        items = [_value(draw, part, made, fuel - 1) for part in parts]
        twins = ([wire for wire, _ in items], [shown for _, shown in items])
    return twins or _same(draw(st.sampled_from(schema.get("enum", [schema.get("const", draw(_scalar()))]))))


def _scalar() -> st.SearchStrategy[Any]:
    return st.sampled_from(_VALUES)


def _same(value: Any) -> Twins:
    return value, value


def _merged(one: Twins | None, other: Twins) -> Twins:
    if one is not None and isinstance(one[0], dict) and isinstance(other[0], dict):
        return {**one[0], **other[0]}, {**one[1], **other[1]}
    return other


def _object(draw: st.DrawFn, schema: Schema, made: _Made, fuel: int) -> Twins:
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    wire: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    for name in dict.fromkeys([*properties, *required]):
        if name in required or draw(st.booleans()):
            wire[name], shown[made.key_of(name)] = _value(draw, properties.get(name, {}), made, fuel - 1)
    others = schema.get("additionalProperties", True)
    if others is not False and draw(st.booleans()):
        wire["extra"], shown["extra"] = _value(draw, others if isinstance(others, dict) else {}, made, fuel - 1)
    return wire, shown
