"""Schema Objects of every dialect become JSON Schema 2020-12 that compiles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.openapi.reading import Reading
from remit.catalog.openapi.references import Place
from remit.catalog.schema import Schema


def read(schema: Any, schemas: dict[str, Any] | None = None, *, response: bool = False) -> tuple[Any, Reading]:
    root = {"components": {"schemas": schemas or {}}, "here": schema}
    reading = Reading.of({"api.yaml": root}, "api.yaml")
    table = reading.responses if response else reading.requests
    return table.read(Place("api.yaml", "/here", schema)), reading


def normal(schema: Any) -> Any:
    return read(schema)[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["null", "string"]}, {"type": ["string", "null"]}),
        ({"type": "string", "x-nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": ["string", "null"], "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"enum": [None], "nullable": True, "type": "object"}, {"type": "null"}),
        ({"nullable": True}, {}),
        ({"nullable": True, "properties": {}}, {"properties": {}}),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 1}),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": False}, {"type": "integer", "minimum": 1}),
        ({"maximum": 9, "exclusiveMaximum": True}, {"exclusiveMaximum": 9}),
        ({"exclusiveMaximum": 9}, {"exclusiveMaximum": 9}),
        ({"type": "file"}, {"type": "string", "format": "binary"}),
        ({"type": "any"}, {}),
        ({"type": "String"}, {"type": "string"}),
        ({"type": "long"}, {"type": "integer", "format": "int64"}),
        ({"type": ["string", {"type": "integer"}]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": ["string", "string"]}, {"type": "string"}),
        ({"example": 1, "examples": [1], "xml": {}, "discriminator": "x", "x-y": 1, "odd": 1}, {}),
        ({"enum": ["a", "b", "a"]}, {"enum": ["a", "b"]}),
        ({"enum": [1, True, 1.5, "1", 1]}, {"enum": [1, True, 1.5, "1"]}),
        ({"type": "string", "enum": [1, True, "x"]}, {"type": "string", "enum": ["1", "true", "x"]}),
        ({"type": "integer", "enum": ["1", "2"], "default": "1"}, {"type": "integer", "enum": [1, 2], "default": 1}),
        ({"type": "string", "default": None}, {"type": "string"}),
        ({"default": None}, {"default": None}),
        (
            {"type": "array", "items": [{"type": "string"}, {}]},
            {"type": "array", "prefixItems": [{"type": "string"}, {}]},
        ),
        ({"contentMediaType": "application/octet-stream"}, {"type": "string", "format": "binary"}),
        (
            {"type": "string", "contentMediaType": "image/png"},
            {"type": "string", "format": "binary", "contentMediaType": "image/png"},
        ),
        (
            {"type": "string", "contentMediaType": "application/json"},
            {"type": "string", "contentMediaType": "application/json"},
        ),
        ({"dependencies": {"a": ["b"]}}, {"dependentRequired": {"a": ["b"]}}),
        ({"additionalProperties": {}}, {"additionalProperties": True}),
        ({"pattern": "/^a+$/"}, {"pattern": "^a+$"}),
        ({"maxLength": 10.0}, {"maxLength": 10}),
        ({"maximum": 2**64 - 1}, {"maximum": 2**64 - 1}),
        ({"maximum": 10**40}, {"maximum": 1e40}),
        (True, {}),
        (False, {"not": {}}),
    ],
)
def test_every_dialect_says_it_in_the_words_of_2020_12(old: Any, new: Any) -> None:
    found = normal(old)
    assert found == new
    Schema(found)


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "("},
        {"pattern": 1},
        {"minLength": -1},
        {"minLength": "x"},
        {"multipleOf": 0},
        {"maximum": "x"},
        {"maximum": 10**400},
        {"type": "nonsense"},
        {"type": 5},
        {"enum": []},
        {"enum": "a"},
        {"required": "a"},
        {"uniqueItems": "yes"},
        {"description": 5},
        {"patternProperties": {"(": {}}},
    ],
)
def test_a_keyword_with_an_impossible_value_is_left_out_with_a_note(schema: dict[str, Any]) -> None:
    found, reading = read(schema)
    assert found == {}
    assert reading.notebook.notes[0].pointer.startswith("api.yaml#/here")


def test_a_nullable_reference_is_a_choice() -> None:
    found, _ = read({"$ref": "#/components/schemas/A", "nullable": True, "description": "d"}, {"A": {"type": "object"}})
    assert found == {"description": "d", "anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}


def test_an_all_of_one_reference_is_that_reference() -> None:
    schemas = {"A": {"type": "object"}}
    wrapped = {"allOf": [{"$ref": "#/components/schemas/A"}], "description": "d"}
    assert read(wrapped, schemas)[0] == {"$ref": "#/$defs/A", "description": "d"}
    assert read({**wrapped, "type": "object"}, schemas)[0].keys() == {"allOf", "description", "type"}


def test_read_only_is_no_part_of_a_request_and_write_only_none_of_a_response() -> None:
    schema = {
        "type": "object",
        "required": ["id", "name", "secret"],
        "properties": {
            "id": {"type": "string", "readOnly": True},
            "name": {"type": "string"},
            "secret": {"type": "string", "writeOnly": True},
            "made": {"$ref": "#/components/schemas/Made"},
        },
    }
    schemas = {"Made": {"type": "string", "readOnly": True}}
    asked, _ = read(schema, schemas)
    assert (list(asked["properties"]), asked["required"]) == (["name", "secret"], ["name", "secret"])
    answered, _ = read(schema, schemas, response=True)
    assert (list(answered["properties"]), answered["required"]) == (["id", "name", "made"], ["id", "name"])


def test_what_is_read_only_in_one_branch_is_required_in_none() -> None:
    base = {"type": "object", "properties": {"id": {"readOnly": True}, "name": {}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Base"}, {"required": ["id", "name"]}]}
    found, _ = read(schema, {"Base": base})
    assert found["allOf"][1] == {"required": ["name"]}


def test_required_names_only_what_may_be_known() -> None:
    closed = {"type": "object", "properties": {"a": {}}, "required": ["a", "b", "a"]}
    assert normal(closed)["required"] == ["a"]
    assert normal({**closed, "additionalProperties": {"type": "string"}})["required"] == ["a", "b"]
    assert normal({"allOf": [closed, {"properties": {"b": {}}}]})["allOf"][0]["required"] == ["a", "b"]


def test_a_property_that_says_it_is_required_is() -> None:
    assert normal({"properties": {"a": {"type": "string", "required": True}}}) == {
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
    }


def test_keys_named_like_keywords_are_data_where_they_are_data() -> None:
    schema = {
        "type": "object",
        "properties": {"$ref": {"type": "string"}, "properties": {"type": "object"}, "readOnly": {"type": "boolean"}},
        "default": {"$ref": "#/nowhere"},
        "enum": [{"$ref": "https://example.com/fetched"}],
    }
    found, reading = read(schema)
    assert found == schema
    assert reading.notebook.notes == ()


def test_a_cycle_is_left_to_the_table() -> None:
    schemas = {"Node": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}}
    found, reading = read({"$ref": "#/components/schemas/Node"}, schemas)
    assert found == {"$ref": "#/$defs/Node"}
    assert reading.requests.table == {
        "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}},
    }


def test_a_name_for_another_schema_is_passed_over_and_a_loop_of_names_takes_anything() -> None:
    schemas = {
        "A": {"$ref": "#/components/schemas/B"},
        "B": {"type": "string"},
        "Loop": {"$ref": "#/components/schemas/Loop"},
    }
    assert read({"$ref": "#/components/schemas/A"}, schemas)[0] == {"$ref": "#/$defs/B"}
    found, reading = read({"properties": {"x": {"$ref": "#/components/schemas/Loop"}}}, schemas)
    assert found == {"properties": {"x": {}}}
    assert "leads back to itself" in reading.notebook.notes[0].message


def test_a_dangling_reference_takes_anything_and_is_noted() -> None:
    found, reading = read({"type": "object", "properties": {"x": {"$ref": "#/components/schemas/Gone"}}})
    assert found == {"type": "object", "properties": {"x": {}}}
    (note,) = reading.notebook.notes
    assert (note.pointer, "nothing at" in note.message) == ("api.yaml#/here/properties/x", True)


def test_names_are_clean_and_two_places_never_share_one() -> None:
    schemas = {"a b": {"type": "string"}, "a_b": {"type": "number"}, "List«X»": {"type": "array"}}
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in ("a b", "a_b", "List«X»", "a_b/type")]
    found, reading = read({"anyOf": refs}, schemas)
    names = [branch.get("$ref", "").removeprefix("#/$defs/") for branch in found["anyOf"]]
    assert names[1] == "a_b"
    assert names[0].startswith("a_b_")
    assert names[2] == "List_X"
    assert names[3] == ""  # no schema stands there
    assert set(names[:3]) == reading.requests.table.keys()


def test_a_schema_nested_without_end_is_cut() -> None:
    schema: dict[str, Any] = {}
    for _ in range(900):
        schema = {"type": "array", "items": schema}
    found, reading = read(schema)
    Schema(found)
    assert "nested too deep" in reading.notebook.notes[0].message


def test_many_branches_that_lead_back_cost_little() -> None:
    schemas = {f"S{n}": {"allOf": [{"$ref": f"#/components/schemas/S{m}"} for m in range(30)]} for n in range(30)}
    found, reading = read({"$ref": "#/components/schemas/S0"}, schemas)
    assert found == {"$ref": "#/$defs/S0"}
    assert len(reading.requests.table) == 30


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        *("$ref", "type", "format", "enum", "const", "default", "nullable", "x-nullable", "items", "properties"),
        *("required", "allOf", "anyOf", "oneOf", "not", "if", "additionalProperties", "patternProperties", "pattern"),
        *("minimum", "exclusiveMinimum", "maxLength", "multipleOf", "dependencies", "dependentRequired", "readOnly"),
        *("prefixItems", "contentMediaType", "uniqueItems", "description", "$dynamicRef", "additionalItems", "then"),
    ]
)
WORDS = st.sampled_from(
    [
        *("string", "file", "null", "object", "integer"),
        "#/components/schemas/A",
        "#/here",
        "(",
        "^a$",
        "#",
        "",
        "b.yaml",
    ]
)
SCHEMAS = st.recursive(
    JSON | WORDS,
    lambda inner: st.dictionaries(KEYS | st.sampled_from(["a", "("]), inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=20,
)


@given(schema=SCHEMAS, other=SCHEMAS)
def test_whatever_is_written_a_schema_that_compiles_comes_out(schema: Any, other: Any) -> None:
    for response in (False, True):
        found, reading = read(schema, {"A": other}, response=response)
        table = reading.responses.table if response else reading.requests.table
        Schema({**found, "$defs": table})
