"""Descriptions as tool files: what is taken from them, what is not, and how a file is changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.document import read_document
from remit.catalog.openapi.file_text import FileText
from remit.catalog.openapi.importing import (
    Base,
    Target,
    base_of,
    discovery_file,
    entry,
    indented,
    is_scope,
    name_of,
    notes_of,
    origin,
    scopes_of,
    taken_of,
    tool_file,
    yaml_text,
)
from remit.catalog.openapi.mapping import Mapper
from remit.catalog.openapi.reader import describe
from remit.catalog.openapi.report import Budget, Report, Taken, costs_of_tags
from remit.catalog.openapi.selection import LeftOut, candidates
from remit.catalog.openapi.updating import present, updated
from remit.errors import DefinitionInvalid
from support.described import SERVER, operation, shop

TARGET = Target("shop", SERVER, "https://shop.example.com", (), "./shop.json")


def taken(document: dict[str, Any]) -> tuple[tuple[Taken, ...], tuple[LeftOut, ...]]:
    description = describe({"shop.json": document})
    return taken_of(candidates(description)[0], Mapper(description), base_of(description), described={})


def data_of(text: str) -> Any:
    return read_document(text).data


# ── where the API is ─────────────────────────────────────────────────────────────────────


def base(*urls: str, **document: Any) -> Base:
    return base_of(describe({"a.json": {**shop(), "servers": [{"url": url} for url in urls], **document}}))


@pytest.mark.parametrize(
    ("urls", "url"),
    [
        (["https://a.example/v1/"], "https://a.example/v1"),
        (["http://a.example", "https://b.example"], "https://b.example"),
        (["/v1", "https://b.example"], "https://b.example"),
        (["http://localhost:8080/api"], "http://localhost:8080/api"),
        (["http://a.example"], ""),
        (["/v1"], ""),
        (["https://{region}.example"], ""),
        (["https://user:secret@a.example"], ""),
        (["https://a.example?x=1"], ""),
        (["ftp://a.example"], ""),
        ([], ""),
    ],
)
def test_the_first_server_that_may_have_a_token_is_the_address(urls: list[str], url: str) -> None:
    found = base(*urls)
    assert found.url == url
    assert bool(found.fault) == (not url)


def test_variables_of_a_server_have_their_defaults() -> None:
    server = {"url": "https://{region}.example/{v}", "variables": {"region": {"default": "eu"}, "v": {"default": "v2"}}}
    assert base_of(describe({"a.json": {**shop(), "servers": [server]}})).url == "https://eu.example/v2"


def test_an_operation_at_another_server_is_left_out() -> None:
    elsewhere = operation("upload", servers=[{"url": "https://files.example.com"}])
    same = operation("same", servers=[{"url": f"{SERVER}/"}])
    found, left_out = taken(shop(**{"/files": {"post": elsewhere}, "/same": {"get": same}}))
    assert "upload" not in {each.candidate.reference for each in found}
    assert "same" in {each.candidate.reference for each in found}
    assert [(each.id, each.reason) for each in left_out] == [
        ("upload", "it is at another server: https://files.example.com")
    ]


def test_where_only_operations_name_a_server_that_of_most_is_the_address() -> None:
    a, b = [{"url": "https://a.example"}], [{"url": "https://b.example"}]
    paths = {
        "/1": {"get": operation("x", servers=b)},
        "/2": {"get": operation("y", servers=a), "put": operation("z", servers=a)},
    }
    document = {"openapi": "3.0.0", "info": {}, "paths": paths}
    assert base_of(describe({"a.json": document})).url == "https://a.example"
    assert [each.id for each in taken(document)[1]] == ["x"]


@pytest.mark.parametrize(
    ("url", "of"),
    [("https://A.example/v1", "https://a.example"), ("http://localhost:80/x", "http://localhost:80"), ("", "")],
)
def test_the_origin_of_an_address(url: str, of: str) -> None:
    assert origin(url) == of


# ── names and scopes ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (("", "Corner Shop"), "corner-shop"),
        (("3D Printing!",), "d-printing"),
        (("Ünïcode ©",), "n-code"),
        (("***", "petstore-3.0"), "petstore-3-0"),
        (("A very long name of an API that goes on",), "a-very-long-name-of-an-api-that"),
        (("x" * 40,), "x" * 31),
        (("", "12"), ""),
    ],
)
def test_the_api_gets_a_name_that_a_tool_file_takes(texts: tuple[str, ...], name: str) -> None:
    assert name_of(*texts) == name


def test_scopes_are_those_that_are_some_and_never_read_the_environment() -> None:
    assert [is_scope(text) for text in ("orders:read", "a b", "", "${HOME}", 'a"b', "é")] == [True] + [False] * 5
    found = describe(
        {"a.json": shop(**{"/x": {"get": operation("x", security=[{"login": ["a", "${SECRET}", "a", "b c"]}])}})}
    )
    assert scopes_of(found.operations[-1]) == ("a",)
    notes = notes_of(found, base_of(found), audience="", base_url=SERVER)
    assert "some scopes" in notes[-1].message


def test_what_the_description_says_about_tokens_is_told_and_not_done() -> None:
    document = shop(**{"/x": {"get": operation("x", security=[{"google": []}])}})
    document["components"]["securitySchemes"]["google"] = {"type": "oauth2", "x-google-audiences": "payments-api"}
    found = describe({"a.json": document})
    notes = notes_of(found, base_of(found), audience="https://shop.example.com", base_url=SERVER)
    assert "asks for tokens for payments-api" in notes[0].message
    text = tool_file(TARGET, taken(document)[0], "tool.schema.json")
    assert "evil.example" not in text
    assert "payments-api" not in text


# ── the file ─────────────────────────────────────────────────────────────────────────────


def test_a_file_says_where_the_api_is_and_what_each_tool_is() -> None:
    target = Target("shop", SERVER, "shop-api", ("read",), "./shop.json", ("./ours.yaml",), "compact")
    data = data_of(tool_file(target, taken(shop())[0], "../tool.schema.json"))
    assert data["upstream"] == {
        "baseUrl": SERVER,
        "openapi": "./shop.json",
        "overlays": ["./ours.yaml"],
        "profile": "compact",
        "auth": {"audience": "shop-api", "scopes": ["read"]},
    }
    assert data["tools"][0] == {
        "name": "list_orders",
        "operation": "listOrders",
        "description": "List the orders of the user.",
        "auth": {"scopes": ["orders:read"]},
    }
    assert data["tools"][3] == {
        "name": "get_customers",
        "operation": "GET /customers",
        "description": "List all customers there are.",
    }


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Idempotency-Key", {"idempotencyKey": "auto"}),
        ("X-Idempotency-Key", {"idempotencyKey": "auto", "idempotencyHeader": "X-Idempotency-Key"}),
        ("X-Request-Id", {}),
    ],
)
def test_the_idempotency_key_is_the_calls_and_no_argument(header: str, said: dict[str, str]) -> None:
    parameter = {"name": header, "in": "header", "required": True, "schema": {"type": "string"}}
    found, _ = taken(shop(**{"/payments": {"post": operation("pay", parameters=[parameter])}}))
    written = next(entry(each) for each in found if each.candidate.reference == "pay")
    assert {key: value for key, value in written.items() if key.startswith("idempotency")} == said


def test_a_file_for_discovery_has_patterns_and_no_tools() -> None:
    data = data_of(discovery_file(TARGET, {"include": ["GET *"], "exclude": ["*secret*"]}, "tool.schema.json"))
    assert data["discover"] == {"include": ["GET *"], "exclude": ["*secret*"]}
    assert "tools" not in data


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn", "Zl", "Zp"]), max_size=60) | st.sampled_from(
    [
        "1e5",
        "012",
        "yes",
        "null",
        "~",
        "1.5",
        "- a",
        "a: b",
        "a #b",
        "'",
        '"',
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`",
        "{",
        "[",
        "|",
        ">",
        "? a",
        "=",
        "<<",
    ]
)


@given(TEXTS)
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    assert data_of(yaml_text({"key": text})) == {"key": text}
    assert data_of(yaml_text([text], in_line=True)) == [text]
    assert data_of("a:\n" + indented(yaml_text([{"key": text, "keys": {text: [text]}}]), 4)) == {
        "a": [{"key": text, "keys": {text: [text]}}]
    }


# ── what it costs ────────────────────────────────────────────────────────────────────────


def report(budget: Budget, document: dict[str, Any] | None = None) -> Report:
    document = document or shop()
    return Report(describe({"a.json": document}), "tools/shop.yaml", SERVER, "a", *taken(document), budget)


def test_too_many_tools_or_bytes_are_too_much() -> None:
    size = report(Budget()).bytes
    assert report(Budget(5, size)).too_much == ""
    assert report(Budget(4, size)).too_much == "5 tools, and 4 are allowed"
    assert report(Budget(5, size - 1)).too_much == f"{size} bytes, and {size - 1} are allowed"


def test_each_tag_has_its_price() -> None:
    found = report(Budget())
    costs = costs_of_tags(found.taken)
    assert [(each.tag, each.tools) for each in costs] == [("orders", 4), ("customers", 1)]
    assert sum(each.bytes for each in costs) == found.bytes


# ── changes ──────────────────────────────────────────────────────────────────────────────

FILE = """\
version: 1
name: shop   # ours
upstream: {baseUrl: https://shop.example.com, openapi: shop.json, auth: {audience: a}}
tools:
  # the first
  - name: one
    operation: op1   # by id
    description: >-
      The first of
      all of them.
    auth:
      scopes:
      - a

  # the second
  - {name: two, operation: op2, description: "The second of them, it is."}  # in braces
  -   name: three
      operation: op3
      examples: []
# the end
"""


def changed(text: str = FILE) -> FileText:
    return FileText(text, "shop.yaml")


def test_a_value_is_changed_and_all_else_stays() -> None:
    file = changed()
    assert file.set(0, "New, and: better", "description")
    assert file.set(0, ["b", "c"], "auth", "scopes")
    assert file.set(1, "Another # one", "description")
    assert not file.set(2, ["x"], "auth", "scopes")
    new = data_of(file.text)
    assert new["tools"][0]["description"] == "New, and: better"
    assert new["tools"][0]["auth"] == {"scopes": ["b", "c"]}
    assert new["tools"][1] == {"name": "two", "operation": "op2", "description": "Another # one"}
    kept = [line for line in FILE.splitlines() if "#" in line and "two" not in line]
    assert [line for line in kept if line not in file.text.splitlines()] == []


def test_tools_are_added_behind_the_last() -> None:
    file = changed()
    file.append([{"name": "four", "operation": "op4"}, {"name": "five", "operation": "op5"}])
    assert [each["name"] for each in data_of(file.text)["tools"]] == ["one", "two", "three", "four", "five"]
    assert file.text.startswith(FILE.removesuffix("# the end\n"))
    assert file.text.endswith("\n# the end\n")


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_tool_becomes_a_comment(index: int) -> None:
    file = changed()
    file.comment_out(index)
    names = ["one", "two", "three"]
    gone = names.pop(index)
    assert [each["name"] for each in data_of(file.text)["tools"]] == names
    assert f"name: {gone}" in file.text


def test_something_more_is_said_about_a_tool_and_the_api() -> None:
    file = changed()
    for index in (1, 2):
        file.add_beside(index, "operation", {"auth": {"scopes": ["x"]}})
    file.set_upstream("overlays", ["./a.yaml"])
    file.set_upstream("openapi", "./b.json")
    new = data_of(file.text)
    assert [each["auth"] for each in new["tools"]] == [{"scopes": ["a"]}, {"scopes": ["x"]}, {"scopes": ["x"]}]
    assert (new["upstream"]["openapi"], new["upstream"]["overlays"]) == ("./b.json", ["./a.yaml"])


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_line_ends_stay_as_they_are(end: str) -> None:
    text = "tools:\n- name: ä\n  operation: ö".replace("\n", end or "\n") + end
    file = changed(text)
    file.append([{"name": "b", "operation": "c"}])
    assert data_of(file.text)["tools"] == [{"name": "ä", "operation": "ö"}, {"name": "b", "operation": "c"}]
    assert ("\r\n" in file.text) == (end == "\r\n")
    assert file.text.count("\n") == file.text.count("\r\n" if end == "\r\n" else "\n")


@pytest.mark.parametrize("text", ["tools: [{name: a}]", "tools: []", "other: 1", "- a"])
def test_a_list_that_cannot_be_changed_is_refused(text: str) -> None:
    with pytest.raises(DefinitionInvalid):
        changed(text)


def test_a_value_that_stands_elsewhere_is_not_changed() -> None:
    file = changed("x: &a text\ntools:\n- {name: a, description: *a}\n")
    with pytest.raises(DefinitionInvalid, match="elsewhere"):
        file.set(0, "new", "description")


def by_reference(document: dict[str, Any]) -> dict[str, Taken]:
    return {each.candidate.reference: each for each in taken(document)[0]}


def update(text: str, before: dict[str, Any], now: dict[str, Any], wanted: tuple[str, ...] = ()) -> Any:
    file = present(text, "shop.yaml")
    assert file is not None
    new = by_reference(now)
    return updated(
        file, "shop.yaml", before=by_reference(before), now=new, wanted=[new[name] for name in wanted], upstream={}
    )


def test_only_what_nobody_edited_is_brought_up_to_date() -> None:
    text = tool_file(TARGET, taken(shop())[0], "tool.schema.json")
    text = text.replace("Get one order by its number.", "Get an order. Ours.").replace("['orders:write']", "['mine']")
    now = shop()
    now["paths"]["/orders"]["get"] |= {
        "summary": "List the orders, newest first.",
        "security": [{"login": ["orders:list"]}],
    }
    now["paths"]["/orders"]["post"]["security"] = [{"login": ["orders:make"]}]
    now["paths"]["/orders/{order_id}"]["get"]["summary"] = "Get one order by number or name."
    now["paths"]["/customers"]["get"] |= {
        "security": [{"login": ["customers"]}],
        "parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}],
    }
    done = update(text, shop(), now)
    tools = {each["operation"]: each for each in data_of(done.text)["tools"]}
    assert tools["listOrders"]["description"] == "List the orders, newest first."
    assert tools["listOrders"]["auth"] == {"scopes": ["orders:list"]}
    assert tools["makeOrder"]["auth"] == {"scopes": ["mine"]}
    assert tools["getOrder"]["description"] == "Get an order. Ours."
    assert tools["GET /customers"]["auth"] == {"scopes": ["customers"]}
    said = {change.operation: change.details for change in done.changes}
    assert said["listOrders"] == (
        "description: - List the orders of the user.",
        "description: + List the orders, newest first.",
        "scopes: orders:read → orders:list",
    )
    assert said["makeOrder"] == ("scopes: orders:write → orders:make", "scopes: the file has its own, which stay")
    assert said["getOrder"][-1] == "description: the file has its own, which stays"
    assert said["GET /customers"][0] == "scopes: none → customers"
    assert "input properties.q: new" in said["GET /customers"][1]


def test_what_is_gone_becomes_a_comment_and_what_is_new_comes_in_where_it_is_wanted() -> None:
    text = tool_file(TARGET, taken(shop())[0], "tool.schema.json")
    now = shop(**{"/new": {"get": operation("newOne", summary="Something that is new here.")}})
    del now["paths"]["/customers"]
    done = update(text, shop(), now, ("newOne", "getOrder"))
    assert [(change.kind, change.operation) for change in done.changes] == [
        ("gone", "GET /customers"),
        ("new", "newOne"),
    ]
    assert [each["name"] for each in data_of(done.text)["tools"]][-2:] == ["old_way", "new_one"]
    assert "# - name: get_customers" in done.text


def test_nothing_is_different_where_the_description_is_the_same() -> None:
    text = tool_file(TARGET, taken(shop())[0], "tool.schema.json")
    done = update(text, shop(), shop())
    assert (done.changes, done.text) == ((), text)


def test_a_file_of_which_nothing_would_be_left_is_not_changed() -> None:
    text = tool_file(TARGET, taken(shop())[0], "tool.schema.json")
    with pytest.raises(DefinitionInvalid, match="no operation of the file"):
        update(text, shop(), {**shop(), "paths": {"/x": {"get": operation("x")}}})


def test_a_file_that_was_written_by_hand_was_not_made_of_a_description() -> None:
    assert present("version: 1\nname: a\nupstream: {baseUrl: x}\n", "a.yaml") is None
    with pytest.raises(DefinitionInvalid, match="cannot be read"):
        present("a: [", "a.yaml")
