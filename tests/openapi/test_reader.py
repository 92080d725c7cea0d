"""Descriptions of every version become the same nouns."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.openapi.description import METHODS, Description, Operation, Parameter, PartEncoding
from remit.catalog.openapi.reader import MAX_OPERATIONS, describe
from remit.catalog.openapi.references import FileRefused
from remit.catalog.schema import Schema
from remit.errors import DescriptionInvalid


def described(root: dict[str, Any], **others: Any) -> Description:
    files = {name.replace("_", "."): data for name, data in others.items()}
    return describe({"api.yaml": root, **files})


def v3(operation: dict[str, Any], *, path: str = "/x", method: str = "get", version: str = "3.1.0", **rest: Any) -> Any:
    return {"openapi": version, "info": {"title": "T", "version": "1"}, "paths": {path: {method: operation}}, **rest}


def v2(operation: dict[str, Any], *, path: str = "/x", method: str = "get", **rest: Any) -> Any:
    return {"swagger": "2.0", "info": {"title": "T", "version": "1"}, "paths": {path: {method: operation}}, **rest}


def only(root: dict[str, Any], **others: Any) -> Operation:
    found = described(root, **others)
    assert found.skipped == ()
    (operation,) = found.operations
    return operation


def reason(root: dict[str, Any], **others: Any) -> str:
    found = described(root, **others)
    assert found.operations == ()
    (skipped,) = found.skipped
    return skipped.reason


def parameters(root: dict[str, Any]) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in only(root).parameters}


# ── the whole ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("head", "dialect"),
    [
        ({"swagger": "2.0"}, "2.0"),
        ({"swagger": 2.0}, "2.0"),
        ({"swagger": 2}, "2.0"),
        ({"openapi": "3.0.3"}, "3.0"),
        ({"openapi": 3.1}, "3.1"),
        ({"openapi": "3.1.3"}, "3.1"),
        ({"openapi": "3.2.0"}, "3.2"),
        ({"openapi": "3.3.0-rc1"}, "3.3"),
        ({"openapi": "3"}, "3.0"),
    ],
)
def test_the_version_is_read_as_it_is_written(head: dict[str, Any], dialect: str) -> None:
    assert described({**head, "paths": {}}).dialect == dialect


@pytest.mark.parametrize("root", [{}, {"swagger": "1.2"}, {"openapi": "4.0.0"}, {"openapi": True}, [], None, "x"])
def test_what_is_no_description_is_refused(root: Any) -> None:
    with pytest.raises(DescriptionInvalid) as caught:
        describe({"api.yaml": root})
    assert caught.value.where == "api.yaml"
    assert caught.value.hint


def test_a_description_without_paths_has_no_operations() -> None:
    found = described({"openapi": "3.1.0", "info": {"title": " T ", "version": 2}, "webhooks": {"x": {"post": {}}}})
    assert (found.title, found.version, found.operations) == ("T", "2", ())


def test_an_operation_says_what_it_says() -> None:
    root = v3(
        {
            "operationId": "getX",
            "summary": " S ",
            "description": "D",
            "tags": ["a", "b", "a", 5],
            "deprecated": True,
            "callbacks": {"x": {"$ref": "https://example.com/never"}},
        }
    )
    assert only(root) == Operation(
        id="getX",
        method="GET",
        path="/x",
        pointer="api.yaml#/paths/~1x/get",
        summary="S",
        description="D",
        tags=("a", "b"),
        deprecated=True,
    )


def test_methods_that_tools_do_not_have_are_skipped_with_the_reason() -> None:
    item: dict[str, Any] = {"options": {}, "trace": {}, "query": {}, "head": {}, "x-get": {}, "parameters": []}
    root = {"openapi": "3.2.0", "paths": {"/x": {**item, "additionalOperations": {"LINK": {}, "PATCH": {}}}}}
    found = described(root)
    assert [operation.method for operation in found.operations] == ["HEAD", "PATCH"]
    assert [(skipped.method, skipped.reason) for skipped in found.skipped] == [
        (method, f"tools have no method {method}") for method in ("OPTIONS", "TRACE", "QUERY", "LINK")
    ]


@pytest.mark.parametrize(
    ("written", "path", "constants"),
    [
        ("/a b/ü", "/a%20b/%C3%BC", {}),
        ("a/b", "/a/b", {}),
        ("/a('{x}')/$count", "/a('{x}')/$count", {}),
        ("/#Action=Do", "/", {}),
        ("/?Action=Do&v=", "/", {"Action": "Do", "v": ""}),
    ],
)
def test_a_path_is_what_is_sent(written: str, path: str, constants: dict[str, str]) -> None:
    operation = only(v3({}, path=written))
    assert operation.path == path
    found = {p.name: p.schema["enum"][0] for p in operation.parameters if p.location == "query"}
    assert found == constants


@pytest.mark.parametrize("path", ["/{", "/}", "/{a}}", "/{a{b}}", "/{}", "/\n"])
def test_a_path_that_makes_no_sense_is_skipped(path: str) -> None:
    assert "its path" in reason(v3({}, path=path))


def test_each_variable_of_the_path_is_one_parameter() -> None:
    found = described(
        v3(
            {"parameters": [{"name": "gone", "in": "path", "schema": {}}, {"name": "a", "in": "path", "schema": {}}]},
            path="/{a}/{b}/{a}",
        )
    )
    (operation,) = found.operations
    assert [(p.name, p.schema, p.required) for p in operation.parameters] == [
        ("a", {}, True),
        ("b", {"type": "string"}, True),
    ]
    assert len(found.notes) == 2


def test_no_more_operations_are_read_than_the_limit() -> None:
    paths: dict[str, Any] = {f"/{number}": {"get": {}} for number in range(MAX_OPERATIONS + 5)}
    found = described({"openapi": "3.0.0", "paths": paths})
    assert len(found.operations) == MAX_OPERATIONS
    assert "the rest is left out" in found.notes[0].message


def test_path_items_are_referred_to_and_merged() -> None:
    root = {
        "openapi": "3.1.0",
        "paths": {"/x": {"$ref": "items.yaml#/x", "post": {"operationId": "mine"}}, "/y": {"$ref": "#/nowhere"}},
    }
    items = {
        "x": {
            "parameters": [{"$ref": "#/p"}],
            "get": {"operationId": "theirs"},
            "post": {"operationId": "not this"},
        },
        "p": {"name": "q", "in": "query", "schema": {"$ref": "#/S"}},
        "S": {"type": "string"},
    }
    found = described(root, items_yaml=items)
    assert {operation.id: operation.method for operation in found.operations} == {"mine": "POST", "theirs": "GET"}
    assert all(operation.parameters[0].schema == {"$ref": "#/$defs/S"} for operation in found.operations)
    assert [(skipped.method, skipped.path) for skipped in found.skipped] == [("*", "/y")]


def test_references_are_followed_where_files_are_split_though_the_specification_has_none_there() -> None:
    root = {"openapi": "3.0.3", "info": {"title": "T"}, "paths": {"$ref": "paths.yaml"}}
    paths = {"/x": {"post": {"$ref": "parts/post.yaml"}, "get": {"$ref": "parts/nowhere.yaml"}}}
    post = {
        "operationId": "postX",
        "parameters": {"$ref": "more.yaml#/parameters"},
        "requestBody": {"content": {"$ref": "more.yaml#/content"}},
        "responses": {"$ref": "more.yaml#/responses"},
    }
    more = {
        "parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}],
        "content": {"application/json": {"schema": {"$ref": "#/schema"}}},
        "schema": {"type": "object", "required": ["a"], "properties": {"$ref": "even/more.yaml#/all"}},
        "responses": {"200": {"description": "OK"}},
    }
    deepest = {"all": {"a": {"$ref": "#/a"}, "b": {"readOnly": True}}, "a": {"type": "integer"}}
    files = {"api.yaml": root, "paths.yaml": paths, "parts/post.yaml": post}
    found = describe({**files, "parts/more.yaml": more, "parts/even/more.yaml": deepest})
    (operation,) = found.operations
    assert (operation.id, operation.path, operation.method) == ("postX", "/x", "POST")
    assert [parameter.name for parameter in operation.parameters] == ["q"]
    assert operation.body is not None
    name = operation.body.contents[0].schema["$ref"].rpartition("/")[2]
    assert found.schemas[name]["properties"].keys() == {"a"}
    assert found.schemas[name]["required"] == ["a"]
    assert [response.status for response in operation.responses] == ["200"]
    assert [skipped.reason for skipped in found.skipped] == ["there is no file parts/nowhere.yaml"]


def test_a_file_that_is_refused_skips_its_operation_with_the_reason() -> None:
    class Files(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            raise FileRefused("is too large")

    files = Files({"api.yaml": v3({"requestBody": {"$ref": "big.yaml"}}, method="post")})
    assert describe(files).skipped[0].reason == "the file big.yaml is too large"


PATHS = {"path": "/{p}", "query": "/", "header": "/", "cookie": "/"}

# ── parameters ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("location", "written", "style", "explode"),
    [
        ("query", {}, "form", True),
        ("query", {"explode": False}, "form", False),
        ("query", {"style": "deepObject", "explode": True}, "deepObject", True),
        ("query", {"style": "spaceDelimited"}, "spaceDelimited", False),
        ("query", {"style": "pipeDelimited"}, "pipeDelimited", False),
        ("query", {"style": "simple"}, "form", True),
        ("path", {}, "simple", False),
        ("path", {"style": "label", "explode": True}, "label", True),
        ("path", {"style": "matrix"}, "matrix", False),
        ("header", {}, "simple", False),
        ("cookie", {}, "form", True),
        ("cookie", {"style": "cookie"}, "cookie", True),
    ],
)
def test_style_and_explode_have_the_defaults_of_3(
    location: str, written: dict[str, Any], style: str, explode: bool
) -> None:
    schema = {"type": "array", "items": {"type": "string"}}
    found = parameters(
        v3({"parameters": [{"name": "p", "in": location, "schema": schema, **written}]}, path=PATHS[location])
    )
    assert (found["p"].style, found["p"].explode) == (style, explode)


@pytest.mark.parametrize(
    ("location", "collection", "style", "explode"),
    [
        ("query", None, "form", False),
        ("query", "csv", "form", False),
        ("query", "multi", "form", True),
        ("query", "ssv", "spaceDelimited", False),
        ("query", "tsv", "tabDelimited", False),
        ("query", "pipes", "pipeDelimited", False),
        ("path", None, "simple", False),
        ("path", "pipes", "pipeDelimited", False),
        ("header", "csv", "simple", False),
    ],
)
def test_collection_formats_of_2_are_styles(location: str, collection: str | None, style: str, explode: bool) -> None:
    written = {"name": "p", "in": location, "type": "array", "items": {"type": "integer"}}
    if collection:
        written["collectionFormat"] = collection
    found = parameters(v2({"parameters": [written]}, path=PATHS[location]))["p"]
    assert (found.style, found.explode) == (style, explode)
    assert found.schema == {"type": "array", "items": {"type": "integer"}}


def test_explode_says_nothing_about_a_single_value() -> None:
    old = parameters(v2({"parameters": [{"name": "p", "in": "query", "type": "string"}]}))["p"]
    schema = {"type": "string"}
    for written in ({}, {"explode": False}, {"explode": True}):
        assert parameters(v3({"parameters": [{"name": "p", "in": "query", "schema": schema, **written}]}))["p"] == old


def test_a_parameter_may_be_a_text_of_a_media_type() -> None:
    content = {"application/json": {"schema": {"type": "object"}}}
    found = parameters(v3({"parameters": [{"name": "p", "in": "query", "content": content, "required": True}]}))["p"]
    assert (found.media_type, found.schema, found.required) == ("application/json", {"type": "object"}, True)


def test_the_operation_s_parameter_takes_the_place_of_the_path_s() -> None:
    shared = [{"name": n, "in": "query", "schema": {"type": "string"}} for n in ("a", "b")]
    shared.append({"name": "X-A", "in": "header", "schema": {}})
    own = [
        {"name": "b", "in": "query", "schema": {"type": "integer"}},
        {"name": "b", "in": "cookie", "schema": {}},
        {"name": "x-a", "in": "header", "schema": {"type": "string"}},
    ]
    root = {"openapi": "3.0.0", "paths": {"/x": {"parameters": shared, "get": {"parameters": own}}}}
    found = [(p.name, p.location, p.schema.get("type")) for p in only(root).parameters]
    assert found == [
        ("a", "query", "string"),
        ("b", "query", "integer"),
        ("x-a", "header", "string"),
        ("b", "cookie", None),
    ]


def test_headers_that_the_request_says_itself_are_no_parameters() -> None:
    written: list[Any] = [
        {"name": n, "in": "header", "schema": {}} for n in ("Accept", "content-type", "AUTHORIZATION", "X")
    ]
    assert list(parameters(v3({"parameters": written}))) == ["X"]


def test_what_is_beside_a_reference_is_merged() -> None:
    components = {"parameters": {"P": {"name": "p", "in": "query", "description": "theirs", "schema": {}}}}
    ref = {"$ref": "#/components/parameters/P", "description": "mine"}
    assert parameters(v3({"parameters": [ref]}, components=components))["p"].description == "mine"


def test_an_operation_whose_parameter_leads_nowhere_is_skipped() -> None:
    assert "nothing at /components" in reason(v3({"parameters": [{"$ref": "#/components/parameters/Gone"}]}))


@pytest.mark.parametrize("parameter", [{"in": "query"}, {"name": "", "in": "query"}, {"name": "p"}, "p", None])
def test_an_operation_whose_parameter_makes_no_sense_is_skipped(parameter: Any) -> None:
    assert "the parameter at api.yaml#/paths/~1x/get/parameters/0" in reason(v3({"parameters": [parameter]}))


def test_a_whole_query_that_is_a_form_is_a_parameter_for_each_member() -> None:
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {}}},
    }
    content = {
        "application/x-www-form-urlencoded": {"schema": schema, "encoding": {"b": {"style": "form", "explode": False}}}
    }
    root = v3({"parameters": [{"name": "q", "in": "querystring", "required": True, "content": content}]})
    found = parameters(root)
    assert [(p.name, p.location, p.required, p.explode) for p in found.values()] == [
        ("a", "query", True, True),
        ("b", "query", False, False),
    ]
    bare = v3({"parameters": [{"name": "q", "in": "querystring", "content": {"text/plain": {"schema": {}}}}]})
    assert "not described as a form" in reason(bare)


# ── bodies and answers ───────────────────────────────────────────────────────────────────


def test_a_body_of_3_keeps_media_types_and_encodings() -> None:
    encoding = {
        "a": {"contentType": "application/json", "headers": {"X-A": {"schema": {"const": "1"}}, "X-B": {"schema": {}}}},
        "b": {"style": "spaceDelimited", "explode": False},
        "c": {"allowReserved": True},
    }
    content = {
        "application/json; charset=utf-8": {"schema": {"type": "object"}},
        "multipart/form-data": {"schema": {"type": "object"}, "encoding": encoding},
        "nonsense": {},
    }
    body = only(v3({"requestBody": {"required": True, "description": "B", "content": content}}, method="post")).body
    assert body is not None
    assert (body.required, body.description) == (True, "B")
    assert [content.media_type for content in body.contents] == [
        "application/json; charset=utf-8",
        "multipart/form-data",
    ]
    assert body.contents[1].encodings == {
        "a": PartEncoding("application/json", headers={"X-A": "1"}),
        "b": PartEncoding(style="spaceDelimited", explode=False),
        "c": PartEncoding(style="form", allow_reserved=True),
    }


def test_media_types_are_referred_to_and_items_are_a_list() -> None:
    root = v3(
        {
            "requestBody": {"content": {"application/json": {"$ref": "#/components/mediaTypes/M"}}},
            "responses": {"200": {"content": {"application/jsonl": {"itemSchema": {"type": "string"}}}}},
        },
        version="3.2.0",
        components={"mediaTypes": {"M": {"schema": {"type": "integer"}}}},
    )
    operation = only(root)
    assert operation.body is not None
    assert operation.body.contents[0].schema == {"type": "integer"}
    assert operation.responses[0].contents[0].schema == {"type": "array", "items": {"type": "string"}}


def test_an_operation_whose_body_leads_nowhere_is_skipped_and_one_whose_answer_does_is_not() -> None:
    assert reason(v3({"requestBody": {"$ref": "#/gone"}}, method="post"))
    found = described(v3({"responses": {"200": {"$ref": "#/gone"}, "4xx": {}, "Default": {}, "x-y": {}, "999": {}}}))
    assert [answer.status for answer in found.operations[0].responses] == ["200", "4XX", "default"]
    assert len(found.notes) == 1


def test_a_body_of_2_goes_in_every_type_that_is_consumed() -> None:
    body = {"in": "body", "name": "b", "required": True, "schema": {"$ref": "#/definitions/D"}}
    definitions = {"D": {"type": "object"}}
    root = v2({"parameters": [body]}, method="post", consumes=["application/json", "text/xml"], definitions=definitions)
    found = described(root)
    assert found.schemas == {"D": {"type": "object"}}
    written = found.operations[0].body
    assert written is not None
    assert (written.required, [c.media_type for c in written.contents]) == (True, ["application/json", "text/xml"])
    assert found.operations[0].parameters == ()
    own = only(v2({"parameters": [body], "consumes": []}, method="post", consumes=["text/xml"])).body
    assert own is not None
    assert [content.media_type for content in own.contents] == ["application/json"]


def test_a_form_of_2_is_a_body_of_its_members() -> None:
    members = [
        {"in": "formData", "name": "a", "type": "string", "required": True, "description": "A"},
        {"in": "formData", "name": "b", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
    ]
    body = only(v2({"parameters": members}, method="post")).body
    assert body is not None
    (content,) = body.contents
    assert (body.required, content.media_type) == (True, "application/x-www-form-urlencoded")
    assert content.schema == {
        "type": "object",
        "properties": {
            "a": {"description": "A", "type": "string"},
            "b": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["a"],
    }
    assert content.encodings == {"b": PartEncoding(style="form", explode=True)}


def test_a_form_of_2_with_a_file_is_multipart() -> None:
    members = [{"in": "formData", "name": "f", "type": "file"}]
    consumes = ["application/x-www-form-urlencoded", "multipart/form-data"]
    for operation in ({"parameters": members}, {"parameters": members, "consumes": consumes}):
        body = only(v2(operation, method="post")).body
        assert body is not None
        (content,) = body.contents
        assert content.media_type == "multipart/form-data"
        assert content.schema["properties"] == {"f": {"type": "string", "format": "binary"}}


def test_answers_of_2_come_in_every_type_that_is_produced() -> None:
    responses = {"200": {"description": "OK", "schema": {"type": "file"}}, "204": {"description": "none"}}
    (file, none) = only(v2({"responses": responses})).responses
    assert [(c.media_type, c.schema) for c in file.contents] == [
        ("application/octet-stream", {"type": "string", "format": "binary"})
    ]
    assert none.contents == ()
    (pdf, _) = only(v2({"responses": responses, "produces": ["application/pdf"]})).responses
    assert [content.media_type for content in pdf.contents] == ["application/pdf"]


# ── servers and security ─────────────────────────────────────────────────────────────────


def test_servers_have_their_variables_filled() -> None:
    servers = [
        {
            "url": "https://{region}.example.com:{port}/{base}",
            "variables": {"region": {"default": "eu"}, "port": {"enum": [443, 8443]}, "base": {"default": "v1"}},
        },
        {"url": "/relative"},
        {"url": 5},
    ]
    found = described({"openapi": "3.0.0", "servers": servers, "paths": {}})
    assert found.servers == ("https://eu.example.com:443/v1", "/relative")


def test_an_operation_keeps_its_own_servers() -> None:
    item = {"servers": [{"url": "https://a"}], "get": {}, "post": {"servers": [{"url": "https://b"}]}}
    found = described({"openapi": "3.0.0", "servers": [{"url": "https://c"}], "paths": {"/x": item}})
    assert [operation.servers for operation in found.operations] == [("https://a",), ("https://b",)]


@pytest.mark.parametrize(
    ("root", "servers"),
    [
        ({"host": "a.example", "basePath": "/v1/", "schemes": ["http", "https"]}, ("https://a.example/v1",)),
        ({"host": "a.example", "schemes": ["http"]}, ("http://a.example",)),
        ({"host": "a.example"}, ("https://a.example",)),
        ({"basePath": "/v1"}, ("/v1",)),
        ({}, ()),
    ],
)
def test_the_server_of_2_is_put_together(root: dict[str, Any], servers: tuple[str, ...]) -> None:
    assert described({"swagger": "2.0", "paths": {}, **root}).servers == servers


SCHEMES = {
    "key": {"type": "apiKey", "name": "X", "in": "header"},
    "oauth": {"type": "oauth2", "x-google-audiences": "https://a.example, b"},
    "oidc": {"$ref": "#/components/securitySchemes/other"},
    "other": {"type": "openIdConnect"},
}


@pytest.mark.parametrize(
    ("security", "scopes", "audiences"),
    [
        ([{"oauth": ["a", "b"]}], ("a", "b"), ("https://a.example", "b")),
        ([{"key": []}, {}, {"oidc": ["c"]}], ("c",), ()),
        ([{"key": ["role"]}], (), ()),
        ([{"oauth": ["a"], "oidc": ["a", "c"]}], ("a", "c"), ("https://a.example", "b")),
        ([{"gone": ["a"]}], (), ()),
        ([], (), ()),
        (None, ("root",), ("https://a.example", "b")),
        ("nonsense", (), ()),
        ([{"#/components/securitySchemes/other": ["d"]}], ("d",), ()),
    ],
)
def test_scopes_come_from_the_first_alternative_that_has_any(
    security: Any, scopes: tuple[str, ...], audiences: tuple[str, ...]
) -> None:
    operation = {} if security is None else {"security": security}
    root = v3(operation, security=[{"oauth": ["root"]}], components={"securitySchemes": SCHEMES})
    found = only(root)
    assert (found.scopes, found.audiences) == (scopes, audiences)


def test_several_alternatives_with_scopes_are_noted() -> None:
    operation = {"security": [{"oauth": ["a"]}, {"other": ["b"]}]}
    found = described(v3(operation, components={"securitySchemes": SCHEMES}))
    assert (found.operations[0].scopes, len(found.notes)) == (("a",), 1)


# ── one API in three versions; anything at all ───────────────────────────────────────────

SAME_2 = v2(
    {
        "operationId": "make",
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "parameters": [
            {"name": "id", "in": "path", "required": True, "type": "integer", "format": "int64"},
            {"name": "tags", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
            {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}},
        ],
        "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/Pet"}}},
        "security": [{"oauth": ["write"]}],
    },
    path="/pets/{id}",
    method="post",
    securityDefinitions={"oauth": {"type": "oauth2"}},
    definitions={
        "Pet": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "x-nullable": True},
                "age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                "parent": {"$ref": "#/definitions/Pet"},
            },
        }
    },
)


def same_3(version: str, name: dict[str, Any], age: dict[str, Any]) -> dict[str, Any]:
    pet = {"$ref": "#/components/schemas/Pet"}
    content = {"application/json": {"schema": pet}}
    return v3(  # type: ignore[no-any-return]
        {
            "operationId": "make",
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "format": "int64"}},
                {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
            ],
            "requestBody": {"required": True, "content": content},
            "responses": {"200": {"description": "OK", "content": content}},
            "security": [{"oauth": ["write"]}],
        },
        path="/pets/{id}",
        method="post",
        version=version,
        components={
            "securitySchemes": {"oauth": {"type": "oauth2"}},
            "schemas": {"Pet": {"type": "object", "properties": {"name": name, "age": age, "parent": pet}}},
        },
    )


SAME_30 = same_3(
    "3.0.3", {"type": "string", "nullable": True}, {"type": "integer", "minimum": 0, "exclusiveMinimum": True}
)
SAME_31 = same_3("3.1.0", {"type": ["null", "string"]}, {"type": "integer", "exclusiveMinimum": 0})


def test_the_same_api_in_three_versions_is_the_same() -> None:
    old, middle, new = (describe({"api.yaml": root}) for root in (SAME_2, SAME_30, SAME_31))
    for other in (middle, new):
        assert other.operations == old.operations
        assert (other.schemas, other.response_schemas) == (old.schemas, old.response_schemas)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["#/paths", "#"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["$ref", "schema", "content", "in"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container of the value with every key in it."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        here = waiting.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        found += ((here, key) for key in keys)
        waiting += (here[key] for key in keys)
    return found


@given(data=st.data(), root=st.sampled_from([SAME_2, SAME_30, SAME_31]))
def test_whatever_is_put_into_a_description_only_its_own_error_is_raised(data: st.DataObject, root: Any) -> None:
    root = copy.deepcopy(root)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(root)))
        container[key] = data.draw(JSON)
    try:
        found = describe({"api.yaml": root})
    except DescriptionInvalid:
        return
    for operation in found.operations:
        assert operation.method in METHODS
        assert operation.path.startswith("/")
        for parameter in operation.parameters:
            Schema({**parameter.schema, "$defs": found.schemas})
        for content in operation.body.contents if operation.body else ():
            Schema({**content.schema, "$defs": found.schemas})
        for content in (content for answer in operation.responses for content in answer.contents):
            Schema({**content.schema, "$defs": found.response_schemas})


@given(root=JSON)
def test_whatever_is_given_for_a_description_only_its_own_error_is_raised(root: Any) -> None:
    for head in ({"swagger": "2.0"}, {"openapi": "3.1.0"}):
        describe({"api.yaml": {**head, "paths": root, "components": root, "definitions": root, "servers": root}})
    try:
        describe({"api.yaml": root})
    except DescriptionInvalid:
        return
