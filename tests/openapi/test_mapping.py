"""Operations become tools: arguments a model can give, which reach the wire under the API's own names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from remit.catalog.openapi.description import Description
from remit.catalog.openapi.graph import SchemaGraph
from remit.catalog.openapi.mapping import Mapper, Unmappable
from remit.catalog.openapi.naming import Keys, key_of
from remit.catalog.openapi.reader import describe
from remit.catalog.plan import Argument, Fixed
from remit.catalog.schema import Schema
from support.made_schemas import NAMES, SCHEMAS, TABLES, values
from support.mapped import MappedTool, described_by, keys_in, only_tool, tools_of
from support.wire import SENDING

TEXT = {"type": "string"}
BASE = SENDING.upstream.base_url


def body(schema: Any, media_type: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"required": True, "content": {media_type: {"schema": schema}}, **more}


def posting(schema: Any, schemas: dict[str, Any] | None = None, **operation: Any) -> MappedTool:
    """The tool that posts a body of this schema."""
    return only_tool(described_by({"POST /things": {"requestBody": body(schema), **operation}}, schemas))


def getting(*parameters: Any, path: str = "/things", **operation: Any) -> MappedTool:
    return only_tool(described_by({f"GET {path}": {"parameters": list(parameters), **operation}}))


def parameter(name: str, schema: Any = None, where: str = "query", **more: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "schema": TEXT if schema is None else schema, **more}


def arguments_of(tool: MappedTool) -> list[str]:
    return list(tool.input["properties"])


# ── parameters ──


def test_each_parameter_is_an_argument_by_location_and_the_required_ones_first() -> None:
    tool = getting(
        parameter("x-trace", where="header"),
        parameter("limit", {"type": "integer"}),
        parameter("q", required=True, description="What to look for."),
        parameter("id", where="path", required=True),
        path="/things/{id}",
    )
    assert tool.input == {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "q": {"description": "What to look for.", "type": "string"},
            "limit": {"type": "integer"},
            "x-trace": {"type": "string"},
        },
        "required": ["id", "q"],
        "additionalProperties": False,
    }


def test_an_operation_without_arguments_takes_none() -> None:
    assert getting().input == {"type": "object", "properties": {}, "additionalProperties": False}


def test_names_models_do_not_take_are_sent_as_they_are_described() -> None:
    request = getting(parameter("$filter"), parameter("x[]", {"type": "array", "items": TEXT})).send(
        filter="a eq 1", x=["1", "2"]
    )
    assert request.url == f"{BASE}/things?%24filter=a%20eq%201&x%5B%5D=1&x%5B%5D=2"


def test_parameters_of_one_name_say_where_they_go() -> None:
    tool = getting(parameter("id"), parameter("id", where="path", required=True), path="/things/{id}")
    assert arguments_of(tool) == ["id_path", "id_query"]
    assert tool.send(id_path="1", id_query="2").url == f"{BASE}/things/1?id=2"


@pytest.mark.parametrize("schema", [{"enum": ["2024-01-01"]}, {"type": "string", "const": "2024-01-01"}])
def test_a_required_parameter_of_one_value_is_sent_without_being_asked_for(schema: Any) -> None:
    tool = getting(parameter("api-version", schema, required=True))
    assert arguments_of(tool) == []
    assert tool.send().url == f"{BASE}/things?api-version=2024-01-01"


def test_an_optional_parameter_of_one_value_is_asked_for() -> None:
    assert arguments_of(getting(parameter("expand", {"enum": ["all"]}))) == ["expand"]


def test_headers_that_are_not_a_tools_to_set_are_not_asked_for() -> None:
    names = ("Authorization", "Content-Type", "Accept", "Host", "Cookie", "X-Own")
    assert arguments_of(getting(*(parameter(name, where="header") for name in names))) == ["X-Own"]


def test_sixty_parameters_are_sixty_arguments() -> None:
    tool = getting(*(parameter(f"p{index}", description="Text. " * 200) for index in range(60)))
    assert len(arguments_of(tool)) == 60
    assert tool.size <= 16_000
    assert tool.mapped.cut.startswith("cut to ")


# ── bodies ──


THING = {
    "type": "object",
    "properties": {"name": {"type": "string", "description": "Its name."}, "tags": {"type": "array", "items": TEXT}},
    "required": ["name"],
}


@pytest.mark.parametrize("closing", [{}, {"additionalProperties": False}])
def test_the_members_of_a_small_closed_object_are_arguments(closing: dict[str, Any]) -> None:
    tool = posting({**THING, **closing})
    assert arguments_of(tool) == ["name", "tags"]
    assert tool.input["required"] == ["name"]
    assert tool.sent(name="a") == {"name": "a"}


@pytest.mark.parametrize(
    "schema",
    [
        {**THING, "additionalProperties": True},
        {**THING, "additionalProperties": TEXT},
        {**THING, "type": ["object", "null"]},
        {**THING, "minProperties": 1},
        {**THING, "dependentRequired": {"name": ["tags"]}},
        {**THING, "required": ["else"]},
        {"type": "object", "properties": {f"m{index}": TEXT for index in range(13)}},
        {"type": "object"},
        {"type": "array", "items": THING},
        {"type": "string"},
        {"oneOf": [THING, {"type": "object", "properties": {"id": TEXT}}]},
        {"anyOf": [THING]},
        {},
        True,
    ],
)
def test_any_other_body_is_one_argument(schema: Any) -> None:
    tool = posting(schema, schemas={})
    if schema == {**THING, "required": ["else"]}:  # a name that nothing describes is not asked for
        assert arguments_of(tool) == ["name", "tags"]
    else:
        assert arguments_of(tool) == ["body"]
        assert tool.input["required"] == ["body"]


def test_a_body_whose_member_is_called_like_a_parameter_is_one_argument() -> None:
    operation = {"parameters": [parameter("name", where="path", required=True)], "requestBody": body(THING)}
    tool = only_tool(described_by({"PUT /things/{name}": operation}))
    assert arguments_of(tool) == ["name", "body"]
    request = tool.send(name="a", body={"name": "b"})
    assert (request.url, request.body) == (f"{BASE}/things/a", b'{"name":"b"}')


def test_a_parameter_called_body_gives_way_to_the_body() -> None:
    tool = posting({"type": "array", "items": TEXT}, parameters=[parameter("body")])
    assert arguments_of(tool) == ["body_query", "body"]
    assert tool.send(body=["1"], body_query="2").url == f"{BASE}/things?body=2"


def test_the_parts_of_a_body_become_arguments_together_also_closed_ones() -> None:
    closed = {"type": "object", "properties": {"id": TEXT}, "required": ["id"], "additionalProperties": False}
    tool = posting({"allOf": [{"$ref": "#/components/schemas/Base"}, THING]}, {"Base": closed})
    assert arguments_of(tool) == ["id", "name", "tags"]
    assert tool.sent(id="1", name="a") == {"id": "1", "name": "a"}


def test_a_body_of_several_shapes_takes_the_members_of_each_and_one_of_them_is_flat() -> None:
    pet = {
        "type": "object",
        "properties": {"kind": TEXT},
        "required": ["kind"],
        "discriminator": {"propertyName": "kind"},
    }
    cat = {
        "allOf": [
            {"$ref": "#/components/schemas/Pet"},
            {"type": "object", "properties": {"lives": {"type": "integer"}}},
        ]
    }
    schemas = {"Pet": pet, "Cat": cat}
    any_pet = posting({"$ref": "#/components/schemas/Pet"}, schemas)
    assert any_pet.sent(body={"kind": "Cat", "lives": 9}) == {"kind": "Cat", "lives": 9}
    assert arguments_of(posting({"$ref": "#/components/schemas/Cat"}, schemas)) == ["kind", "lives"]


def test_a_recursive_body_is_flat_at_the_top_and_has_definitions_below() -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/T"}}},
    }
    tool = posting({"$ref": "#/components/schemas/T"}, {"T": tree})
    assert arguments_of(tool) == ["children"]
    assert list(tool.input["$defs"]) == ["T"]
    assert tool.sent(children=[{"children": [{}]}]) == {"children": [{"children": [{}]}]}


@pytest.mark.parametrize(("method", "expected"), [("POST", ["name", "tags"]), ("DELETE", ["body"])])
def test_that_a_body_may_be_left_out_is_believed_where_it_is_unusual(method: str, expected: list[str]) -> None:
    operation = {"requestBody": {"content": {"application/json": {"schema": THING}}}}
    tool = only_tool(described_by({f"{method} /things": operation}))
    assert arguments_of(tool) == expected
    if method == "DELETE":
        assert tool.send().body is None


def test_members_of_forms_and_files_are_arguments() -> None:
    schema = {"type": "object", "properties": {"title": TEXT, "scan": {"type": "string", "format": "binary"}}}
    tool = only_tool(described_by({"POST /scans": {"requestBody": body(schema, "multipart/form-data")}}))
    assert arguments_of(tool) == ["title", "scan"]
    request = tool.send(title="a", scan={"text": "hello", "filename": "a.txt"})
    assert request.body is not None
    assert b'name="scan"; filename="a.txt"' in request.body


def test_a_body_of_bytes_is_a_file_of_the_size_that_is_allowed() -> None:
    description = described_by({"PUT /logo": {"requestBody": body({}, "image/png")}})
    mapped = Mapper(description).map(description.operations[0], max_bytes=3000)
    assert mapped.input["properties"]["body"]["properties"]["data"]["maxLength"] == 4000


def test_json_that_says_what_is_in_it_is_chosen_over_forms_and_over_json_that_does_not() -> None:
    contents = {
        "application/x-www-form-urlencoded": {"schema": THING},
        "application/json": {"schema": {}},
        "application/merge-patch+json; charset=utf-8": {"schema": THING},
    }
    tool = only_tool(described_by({"PATCH /things": {"requestBody": {"required": True, "content": contents}}}))
    assert dict(tool.send(name="a").headers)["Content-Type"] == "application/merge-patch+json; charset=utf-8"


# ── names at every depth ──


def test_members_are_renamed_at_every_depth_and_sent_as_they_are_described() -> None:
    odd = {"type": "object", "properties": {"$type": TEXT, "x[]": TEXT, "größe": TEXT, "filter": TEXT, "$filter": TEXT}}
    schema = {
        "type": "object",
        "properties": {
            "$list": {"type": "array", "items": odd},
            "map": {"type": "object", "additionalProperties": odd},
            "either": {
                "anyOf": [{"type": "object", "properties": {"a": odd}}, {"properties": {"a": {"type": "null"}}}]
            },
        },
    }
    tool = posting(schema)
    assert all(key_of(key) == key for key in keys_in(tool.input))
    hashed = next(key for key in keys_in(tool.input) if key.startswith("filter_"))
    one = {"type": "1", "x": "2", "gr_e": "3", "filter": "4", hashed: "5"}
    sent = {"$type": "1", "x[]": "2", "größe": "3", "filter": "4", "$filter": "5"}
    given = {"list": [one], "map": {"type": one}, "either": {"a": one}}
    assert tool.sent(**given) == {"$list": [sent], "map": {"type": sent}, "either": {"a": sent}}


def test_a_member_called_ref_is_a_member() -> None:
    tool = posting({"type": "object", "properties": {"$ref": TEXT}, "required": ["$ref"]})
    assert tool.input["properties"] == {"ref": {"type": "string"}}
    assert tool.sent(ref="a") == {"$ref": "a"}


def test_what_nothing_describes_keeps_its_name() -> None:
    schema = {"type": "object", "properties": {"labels": {"type": "object"}, "$type": TEXT}}
    labels = {"type": "a", "$type": "b"}
    assert posting(schema).sent(labels=labels, type="c") == {"labels": labels, "$type": "c"}


# ── sizes ──


def test_a_schema_too_large_is_cut_until_it_fits_and_takes_all_it_took() -> None:
    large = {
        f"m{index}": {
            "type": "object",
            "description": "Text. " * 100,
            "properties": {f"n{each}": TEXT for each in range(60)},
        }
        for index in range(40)
    }
    tool = posting({"type": "object", "properties": large})
    assert tool.size <= 16_000
    assert tool.mapped.cut
    assert tool.sent(body={"m1": {"n1": "a"}}) == {"m1": {"n1": "a"}}


def test_a_tool_can_be_mapped_with_everything_or_with_little() -> None:
    values = [f"value {index}" for index in range(500)]
    schema = {"type": "object", "properties": {"kind": {"enum": values}, "note": {"description": "Text. " * 900}}}
    description = described_by({"POST /things": {"requestBody": body(schema)}})
    strict, compact = only_tool(description, "strict"), only_tool(description, "compact")
    assert strict.input["properties"]["kind"]["enum"] == values
    assert strict.mapped.cut == ""
    assert compact.size <= 4_000
    assert "enum" not in compact.input["properties"]["kind"]
    assert compact.sent(kind="value 499") == {"kind": "value 499"}


def test_what_cannot_be_made_small_enough_is_no_tool() -> None:
    many = [parameter(f"parameter_with_a_long_name_{index}") for index in range(400)]
    (found,) = tools_of(described_by({"GET /things": {"parameters": many}}))
    assert not isinstance(found, MappedTool)
    assert found[1] == "its arguments take more than 16000 bytes in the list of tools"


def test_head_is_no_tool() -> None:
    description = described_by({"HEAD /things": {}, "OPTIONS /things": {}, "TRACE /things": {}})
    with pytest.raises(Unmappable, match="its answers have no body"):
        Mapper(description).map(description.operations[0])
    assert len(description.operations) == 1


# ── texts ──


@pytest.mark.parametrize(
    ("said", "title", "description"),
    [
        (
            {"summary": "List things.", "description": "Lists **all** things of a `shelf`."},
            "List things",
            "List things. Lists all things of a shelf.",
        ),
        (
            {"summary": "List all the things", "description": "List all the things, newest first."},
            "List all the things",
            None,
        ),
        ({"summary": "Things"}, "Things", "Things. Calls GET /things of the API."),
        ({"operationId": "listAllThings"}, "List all things", "Calls GET /things of the API."),
        ({}, "GET /things", "Calls GET /things of the API."),
    ],
)
def test_a_tool_says_what_it_does(said: dict[str, Any], title: str, description: str | None) -> None:
    tool = getting(**said)
    assert tool.mapped.title == title
    assert tool.mapped.description == (description or said["description"])


def test_a_long_description_ends_with_a_sentence() -> None:
    tool = getting(summary="List", description="This is one sentence of many. " * 200)
    assert 900 < len(tool.mapped.description) <= 1024
    assert tool.mapped.description.endswith("many.")


def test_a_deprecated_operation_says_so() -> None:
    assert getting(summary="List all of the things", deprecated=True).mapped.description == (
        "List all of the things. Deprecated: rather use another tool."
    )


# ── the same API in three dialects ──


OLD = {
    "swagger": "2.0",
    "info": {"title": "Things", "version": "1"},
    "consumes": ["application/json"],
    "parameters": {"page": {"name": "page", "in": "query", "type": "integer", "minimum": 0, "exclusiveMinimum": True}},
    "paths": {
        "/things/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "type": "string", "format": "uuid"}],
            "get": {
                "operationId": "getThing",
                "summary": "Get a thing",
                "parameters": [
                    {"$ref": "#/parameters/page"},
                    {"name": "fields", "in": "query", "type": "array", "items": {"type": "string"}},
                    {
                        "name": "$order",
                        "in": "query",
                        "type": "array",
                        "items": {"type": "string"},
                        "collectionFormat": "multi",
                    },
                    {"name": "api-version", "in": "query", "required": True, "type": "string", "enum": ["1"]},
                ],
                "responses": {},
            },
            "put": {
                "operationId": "putThing",
                "description": "Replaces a thing.",
                "parameters": [
                    {"name": "thing", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Thing"}}
                ],
                "responses": {},
            },
            "post": {
                "operationId": "addScan",
                "consumes": ["multipart/form-data"],
                "parameters": [
                    {"name": "scan", "in": "formData", "type": "file", "required": True, "description": "The scan."},
                    {"name": "note", "in": "formData", "type": "string"},
                ],
                "responses": {},
            },
            "delete": {"operationId": "deleteThing", "responses": {}},
        }
    },
    "definitions": {
        "Thing": {
            "type": "object",
            "required": ["name", "id"],
            "properties": {
                "id": {"type": "string", "readOnly": True},
                "name": {"type": "string", "maxLength": 9, "example": "a"},
                "note": {"type": "string", "x-nullable": True},
                "state": {"type": "string", "enum": ["on", "off"], "x-nullable": True},
                "parent": {"allOf": [{"$ref": "#/definitions/Thing"}], "description": "The one it is in."},
            },
        }
    },
}


def newer(version: str) -> dict[str, Any]:
    """The same API in 3.0 or later."""
    modern = not version.startswith("3.0")
    nullable: Any = {"type": ["string", "null"]} if modern else {"type": "string", "nullable": True}
    above: Any = {"exclusiveMinimum": 0} if modern else {"minimum": 0, "exclusiveMinimum": True}
    parent: Any = {"description": "The one it is in."}
    here = {"$ref": "#/components/schemas/Thing"}
    parent |= here if modern else {"allOf": [here]}
    state = {**nullable, "enum": ["on", "off", None]}
    file: Any = {"contentMediaType": "application/octet-stream"} if modern else {"type": "string", "format": "binary"}
    listed = {"type": "array", "items": TEXT}
    form = {
        "type": "object",
        "required": ["scan"],
        "properties": {"scan": {**file, "description": "The scan."}, "note": TEXT},
    }
    return {
        "openapi": version,
        "info": OLD["info"],
        "paths": {
            "/things/{id}": {
                "parameters": [parameter("id", {"type": "string", "format": "uuid"}, "path", required=True)],
                "get": {
                    "operationId": "getThing",
                    "summary": "Get a thing",
                    "parameters": [
                        {"$ref": "#/components/parameters/page"},
                        parameter("fields", listed, explode=False),
                        parameter("$order", listed),
                        parameter("api-version", {"type": "string", "enum": ["1"]}, required=True),
                    ],
                },
                "put": {"operationId": "putThing", "description": "Replaces a thing.", "requestBody": body(here)},
                "post": {"operationId": "addScan", "requestBody": body(form, "multipart/form-data")},
                "delete": {"operationId": "deleteThing"},
            }
        },
        "components": {
            "parameters": {"page": parameter("page", {"type": "integer", **above})},
            "schemas": {
                "Thing": {
                    "type": "object",
                    "required": ["id", "name"],
                    "properties": {
                        "id": {"type": "string", "readOnly": True},
                        "name": {"type": "string", "maxLength": 9},
                        "note": nullable,
                        "state": state,
                        "parent": parent,
                    },
                }
            },
        },
    }


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0", "3.2.0"])
def test_one_api_in_every_dialect_gives_the_same_tools(version: str) -> None:
    old, new = describe({"a.json": OLD}), describe({"a.json": newer(version)})
    assert json.dumps([shown(tool) for tool in tools_of(old)]) == json.dumps([shown(tool) for tool in tools_of(new)])


def shown(tool: Any) -> Any:
    return tool.shown if isinstance(tool, MappedTool) else tool


# ── whatever is described ──


@given(SCHEMAS, TABLES, st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_a_body_that_fits_its_description_fits_the_tool_and_arrives_unchanged(
    schema: Any, table: dict[str, Any], data: st.DataObject
) -> None:
    description = described_by({"POST /things": {"requestBody": body(schema)}}, table)
    operation = description.operations[0]
    assert operation.body is not None
    original = operation.body.contents[0].schema
    keys = Keys(SchemaGraph(description.schemas, description.operations).members)
    wire, given_body = data.draw(values(original, description.schemas, keys.__getitem__))
    assume(Schema({**original, "$defs": dict(description.schemas)}).problems(wire) == [])
    tool = only_tool(description)
    is_flat = "body" not in tool.input["properties"]
    if is_flat:
        assume(given_body.keys() <= tool.input["properties"].keys())  # others are not asked for
    assert tool.sent(**(given_body if is_flat else {"body": given_body})) == wire


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    operations: dict[str, Any] = {}
    for index in range(draw(st.integers(1, 3))):
        where = st.sampled_from(["query", "header", "cookie"])
        made = st.builds(parameter, st.sampled_from([*NAMES, "body"]) | st.text(max_size=70), SCHEMAS, where)
        operation: dict[str, Any] = {
            "operationId": draw(st.text(max_size=200) | st.sampled_from(["list", "x" * 200])),
            "summary": draw(st.text(max_size=200)),
            "description": draw(st.text(max_size=300) | st.just("Long text. " * 500)),
            "parameters": draw(st.lists(made, max_size=4)),
        }
        if draw(st.booleans()):
            operation["requestBody"] = {**body(draw(SCHEMAS)), "required": draw(st.booleans())}
        operations[f"{draw(st.sampled_from(['GET', 'POST', 'DELETE']))} /things{index}"] = operation
    return described_by(operations, draw(TABLES))


@given(descriptions())
@settings(max_examples=20)
def test_every_tool_is_valid_and_the_same_the_second_time(description: Description) -> None:
    tools = [tool for tool in tools_of(description) if isinstance(tool, MappedTool)]
    assert len(tools) == len(description.operations)
    for tool in tools:
        Schema(tool.input)
        Draft202012Validator.check_schema(tool.input)
        assert tool.size <= 16_000
        assert all(key_of(key) == key for key in keys_in(tool.input))
        assert set(tool.input.get("required", ())) <= tool.input["properties"].keys()
        assert 20 <= len(tool.mapped.description) <= 1024
        assert set(arguments_used(tool)) == tool.input["properties"].keys()
    again = [shown(tool) for tool in tools_of(description)]
    assert json.dumps(again) == json.dumps([tool.shown for tool in tools])


def arguments_used(tool: MappedTool) -> list[str]:
    """The arguments that go anywhere."""
    bindings = tool.mapped.bindings
    found = list(bindings.parameters.values())
    whole = bindings.body
    if isinstance(whole, Mapping):
        found += whole.values()
    elif whole is not None:
        found.append(whole)
    assert all(isinstance(binding, Argument | Fixed) for binding in found)
    return [binding.name for binding in found if isinstance(binding, Argument)]
