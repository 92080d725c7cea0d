"""Schemas as models are shown them: smaller from level to level, and never narrower than what the API takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from remit.catalog.openapi.description import Description, JsonSchema
from remit.catalog.openapi.graph import SchemaGraph
from remit.catalog.openapi.naming import Keys
from remit.catalog.openapi.profile import PROFILES, Level, Renderer, TooLarge
from remit.catalog.schema import Schema
from support.made_schemas import SCHEMAS, TABLES, values
from support.mapped import described_by, keys_in

#: More than any schema here takes.
ROOM = 1_000_000
LEVELS = list(dict.fromkeys(level for profile in PROFILES.values() for level in profile.levels))


def posting(schema: Any, schemas: dict[str, Any] | None = None) -> Description:
    content = {"application/json": {"schema": schema}}
    return described_by({"POST /things": {"requestBody": {"required": True, "content": content}}}, schemas)


def body_schema(description: Description) -> JsonSchema:
    body = description.operations[0].body
    assert body is not None
    return body.contents[0].schema


def keys_of(description: Description) -> tuple[SchemaGraph, Keys]:
    graph = SchemaGraph(description.schemas, description.operations)
    return graph, Keys(graph.members)


def rendered(description: Description, level: Level) -> JsonSchema:
    """The schema of the body at one level, with its definitions."""
    graph, keys = keys_of(description)
    renderer = Renderer(description.schemas, graph, keys, level, ROOM)
    schema = body_schema(description)
    definitions = renderer.definitions_of([schema], ROOM)
    written = renderer.written_out(schema)
    return {**written, "$defs": definitions} if definitions else written


def at(schema: Any, schemas: dict[str, Any] | None = None, **level: Any) -> JsonSchema:
    return rendered(posting(schema, schemas), Level(**level))


@given(SCHEMAS, TABLES, st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_what_fits_the_described_schema_fits_every_level(
    schema: Any, table: dict[str, Any], data: st.DataObject
) -> None:
    description = posting(schema, table)
    original, (_, keys) = body_schema(description), keys_of(description)
    wire, shown = data.draw(values(original, description.schemas, keys.__getitem__))
    assume(Schema({**original, "$defs": dict(description.schemas)}).problems(wire) == [])
    for level in LEVELS:
        written = rendered(description, level)
        assert Schema(written).problems(shown) == [], (level, json.dumps(written))


@given(SCHEMAS, TABLES)
@settings(max_examples=15)
def test_every_level_is_valid_and_has_only_keys_that_models_take(schema: Any, table: dict[str, Any]) -> None:
    description = posting(schema, table)
    for level in LEVELS:
        written = rendered(description, level)
        Draft202012Validator.check_schema(written)
        assert all(key.isascii() and key.replace("_", "").replace(".", "").isalnum() for key in keys_in(written))
        assert json.dumps(written) == json.dumps(rendered(description, level))


TREE = {"type": "object", "properties": {"left": {"$ref": "#/components/schemas/Tree"}, "value": {"type": "integer"}}}


def test_a_recursive_schema_stands_under_defs() -> None:
    written = at({"$ref": "#/components/schemas/Tree"}, {"Tree": TREE})
    assert written["$ref"] == "#/$defs/Tree"
    assert written["$defs"]["Tree"]["properties"]["left"] == {"$ref": "#/$defs/Tree"}


def test_below_its_depth_a_recursive_schema_ends_in_anything() -> None:
    written = at({"$ref": "#/components/schemas/Tree"}, {"Tree": TREE}, depth=2)
    assert "$defs" not in written
    assert "$ref" not in json.dumps(written)


def test_schemas_that_are_not_recursive_are_written_out() -> None:
    schemas = {
        "A": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/B"}}},
        "B": {"type": "string"},
    }
    written = at({"$ref": "#/components/schemas/A"}, schemas)
    assert written == {"type": "object", "properties": {"b": {"type": "string"}}}


def test_a_text_beside_a_reference_is_kept() -> None:
    member = {"$ref": "#/components/schemas/B", "description": "The second one."}
    written = at({"type": "object", "properties": {"b": member}}, {"B": {"type": "string", "description": "A text."}})
    assert written["properties"]["b"] == {"description": "The second one.", "type": "string"}


def test_a_chain_of_schemas_is_cut_before_it_is_deeper_than_parsers_go() -> None:
    chain = {
        f"S{index}": {"type": "object", "properties": {"next": {"$ref": f"#/components/schemas/S{index + 1}"}}}
        for index in range(500)
    }
    written = at({"$ref": "#/components/schemas/S0"}, chain)
    assert depth_of(written) <= 120


def test_a_chain_of_parts_is_cut_too() -> None:
    chain = {
        f"S{index}": {
            "allOf": [{"$ref": f"#/components/schemas/S{index + 1}"}],
            "type": "object",
            "minProperties": index,
        }
        for index in range(500)
    }
    assert depth_of(at({"$ref": "#/components/schemas/S0"}, chain)) <= 120


def depth_of(value: Any) -> int:
    below = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max(map(depth_of, below), default=0)


def test_schemas_that_double_at_each_step_are_found_too_large_without_being_written_out() -> None:
    doubling = {
        f"S{index}": {
            "type": "object",
            "properties": {side: {"$ref": f"#/components/schemas/S{index + 1}"} for side in ("left", "right")},
        }
        for index in range(26)
    }
    description = posting({"$ref": "#/components/schemas/S0"}, doubling)
    graph, keys = keys_of(description)
    renderer = Renderer(description.schemas, graph, keys, Level(), ROOM)
    with pytest.raises(TooLarge):
        renderer.written_out(body_schema(description))


def test_a_size_is_that_of_the_json() -> None:
    description = posting({"type": "object", "properties": {"ö": {"enum": ["é", 1, None]}, "list": {"type": "array"}}})
    graph, keys = keys_of(description)
    renderer = Renderer(description.schemas, graph, keys, Level(), ROOM)
    written = renderer.written_out(body_schema(description))
    assert renderer.size(written) == len(json.dumps(written, separators=(",", ":")))


def test_many_values_are_cut_to_the_first_of_them_in_words() -> None:
    values = [f"v{index}" for index in range(500)]
    written = at({"type": "string", "enum": values, "description": "Kind."}, values=3)
    assert written == {"description": "Kind. One of 500 values: v0, v1, v2, …", "type": "string"}


def test_of_two_choices_that_are_cut_a_value_may_fit_both() -> None:
    assert at({"oneOf": [{"const": 1}, {"const": 2}]}) == {"anyOf": [{"const": 1}, {"const": 2}]}


def test_parts_become_one_object_that_closes_none_of_them() -> None:
    closed = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    other = {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}
    assert at({"allOf": [closed, other]}) == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "additionalProperties": False,
        "required": ["b"],
    }


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([{"type": "number"}, {"type": "integer"}], {"type": "integer"}),
        ([{"type": ["number", "null"]}, {"type": ["integer", "null"]}], {"type": ["null", "integer"]}),
        ([{"type": "string"}, {"type": "integer"}], {"allOf": [{"type": "integer"}], "type": "string"}),
        ([{"items": {"type": "number"}}, {"items": {"minimum": 1}}], {"items": {"type": "number", "minimum": 1}}),
        ([{"maxLength": 3}, {"maxLength": 4}], {"allOf": [{"maxLength": 4}], "maxLength": 3}),
    ],
)
def test_parts_are_joined_where_one_schema_can_say_it(parts: list[Any], whole: Any) -> None:
    assert at({"allOf": parts}) == whole


def test_a_list_says_that_anything_may_be_in_it() -> None:
    assert at({"type": "array"}) == {"type": "array", "items": {}}


@pytest.mark.parametrize("profile", PROFILES)
def test_each_level_of_a_profile_is_smaller_than_the_one_before(profile: Any) -> None:
    nested: Any = {"enum": [f"country {index}" for index in range(200)], "description": "Where. " * 200}
    for _ in range(9):
        nested = {"type": "object", "properties": {"below": nested, "beside": {"description": "Text. " * 90}}}
    description = posting(nested)
    sizes = [len(json.dumps(rendered(description, level))) for level in PROFILES[profile].levels if not level.is_whole]
    assert sizes == sorted(sizes, reverse=True)
