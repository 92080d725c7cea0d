"""Each mistake in a tool file is named: file, line, column, what is wrong, and how to mend it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.catalog.compile import compile_text

GOOD = """\
version: 1
name: shop
upstream:
  baseUrl: https://shop.example/api
  auth: {audience: shop-api, scopes: ["shop:read"], maxTtl: 60s}
  headers: {X-Team: shop}
  timeout: 5s
tools:
  - name: find
    title: Find
    description: Finds things for a test, by name.
    input:
      type: object
      required: [id]
      properties:
        id: {type: string}
        tags: {type: array}
        note: {type: string}
    request:
      method: POST
      path: /things/{id}
      query: {tag: $tags}
      style: {tags: comma}
      headers: {X-Note: $note}
      body: {by: {from: user.sub}}
      idempotencyKey: auto
    response:
      select: "{id: id}"
      redact: [secret]
      maxBytes: 4KiB
      errors: {"404": "Nothing ({status}): {{message}}"}
    auth: {scopes: ["shop:write"]}
    examples:
      - name: one
        args: {id: a}
"""

#: what is replaced in GOOD, by what, where the problem is, and a part of what is said of it
MISTAKES: list[tuple[str, str, tuple[int, int], str]] = [
    # the file's shape
    ("version: 1", "version: 2", (1, 10), "version must be 1"),
    ("name: shop\n", "name: Shop\n", (2, 7), "name does not match"),
    ("title: Find", "titel: Find", (10, 5), 'unknown key "titel" (did you mean title?)'),
    ("maxBytes", "max_bytes", (30, 7), 'unknown key "max_bytes" (did you mean maxBytes?)'),
    ("audience: shop-api", "audiance: shop-api", (5, 10), "did you mean audience?"),
    ("method: POST", "methd: POST", (20, 7), "did you mean method?"),
    ("      method: POST\n", "", (20, 7), "method is missing (add method)"),
    ("method: POST", "method: FETCH", (20, 15), "method must be GET, POST, PUT, PATCH, DELETE or HEAD"),
    ("title: Find", "title: 12", (10, 12), "title must be a text (put the value in quotes)"),
    ("Finds things for a test, by name.", "Finds.", (11, 18), "description is too short, at least 20"),
    ('"404": "Nothing', '404: "Nothing', (31, 16), '404 is no text, and keys are (write "404" in quotes)'),
    ("title: Find", "name: find", (10, 5), 'the key "name" is there already, in line 9'),
    ("upstream:", "on: push\nupstream:", (3, 1), 'unknown key "on"'),
    # the environment
    ("https://shop.example/api", "${SHOP_URL}", (4, 12), "the environment has no SHOP_URL"),
    ("audience: shop-api", 'audience: "${AUD"', (5, 20), "is not complete"),
    ("X-Team: shop", 'X-Team: "${TEAM}"', (6, 21), "the environment is not read here"),
    # the upstream
    ("https://shop.example", "http://shop.example", (4, 12), "a token may not be sent there without TLS"),
    ("https://shop.example/api", "https://user:pw@shop.example", (4, 12), "baseUrl is not a plain URL"),
    ("https://shop.example/api", "https://shop.example/?a=1", (4, 12), "baseUrl is not a plain URL"),
    ("https://shop.example/api", "https://shop.example/a/../b", (4, 12), 'a segment "." or ".."'),
    ("https://shop.example/api", "https://shop.example:99999", (4, 12), "the port is out of range"),
    ("X-Team: shop", "Authorization: Bearer x", (6, 13), "Authorization is not a tool file's to set"),
    ("X-Team: shop", "cookie: a", (6, 13), "cookie is not a tool file's to set"),
    ("X-Team: shop", "Proxy-Thing: a", (6, 13), "Proxy-Thing is not a tool file's to set"),
    ("X-Team: shop", '"X Team": a', (6, 13), '"X Team" is no header name'),
    ("X-Team: shop", "X-Team: shöp", (6, 21), "a header value is printable ASCII"),
    ("X-Team: shop", "X-Team: a, x-team: b", (6, 24), "x-team is there already in another case"),
    ("audience: shop-api", "actor: required", (5, 9), "the token has no target"),
    ("audience: shop-api", "resource: /api", (5, 20), "resource is not an absolute URI"),
    ("audience: shop-api", "type: none", (5, 22), "scopes means nothing without a token"),
    ('["shop:read"]', '["shop:read x"]', (5, 39), '"shop:read x" is not one scope'),
    ("maxTtl: 60s", "maxTtl: 2h", (5, 61), "maxTtl 2h is not between 1s and 1h"),
    ("timeout: 5s", "timeout: 0s", (7, 12), "timeout 0s is not between"),
    ("timeout: 5s", "timeout: 5", (7, 12), "timeout must be a text"),
    ("timeout: 5s", "timeout: 5 s", (7, 12), "timeout does not match"),
    # the input
    ("required: [id]", "required: [id, ids]", (14, 22), '"ids" is required but no property'),
    ("      type: object\n", "", (13, 7), "write type: object"),
    ("id: {type: string}", "id: {type: strin}", (16, 20), "not JSON Schema 2020-12"),
    ("id: {type: string}", 'id: {pattern: "("}', (16, 23), "not JSON Schema 2020-12"),
    ("id: {type: string}", "id: {type: 5}", (16, 20), "not JSON Schema 2020-12"),
    ("id: {type: string}", "id: {type: [[string]]}", (16, 20), "not JSON Schema 2020-12"),
    ("required: [id]", "required: [id, [id]]", (14, 22), "not JSON Schema 2020-12"),
    ("required: [id]", "required: [id, id]", (14, 17), "not JSON Schema 2020-12"),
    ("id: {type: string}", "id: {$ref: https://x.example/s.json}", (13, 7), "not JSON Schema 2020-12"),
    ("id: {type: string}", 'id: {type: string}\n        "x y": {}', (17, 9), '"x y" is no name that models take'),
    ("id: {type: string}", "id: {type: string}\n        lost: {}", (17, 9), 'the argument "lost" goes nowhere'),
    ("type: object", "type: object\n      additionalProperties: true", (14, 29), "would go nowhere"),
    ("type: object", "type: object\n      anyOf: []", (14, 7), "anyOf may not stand at the root"),
    # the request
    ("/things/{id}", "things/{id}", (21, 13), "path does not match"),
    ("/things/{id}", "/things/{ident}", (21, 13), '"ident" is no property of the input schema'),
    ("/things/{id}", "/things/{note}/{id}", (21, 13), 'the path needs "note", which is optional'),
    ("/things/{id}", "/things/../{id}", (21, 13), '".." cannot be a segment of a path'),
    ("/things/{id}", "/things/%2e%2E/{id}", (21, 13), '"%2e%2E" cannot be a segment of a path'),
    ("/things/{id}", "/things//{id}", (21, 13), '"" cannot be a segment of a path'),
    ("/things/{id}", "/things/{id}?a=1", (21, 13), '"?a=1" may not stand in a path'),
    ("/things/{id}", "/things/$id/{id}", (21, 13), "is literal text here (write {id})"),
    ("tag: $tags", "tag: $tagz", (22, 20), "did you mean tags?"),
    ("tag: $tags", 'tag: "$ tags"', (22, 20), '"$ tags" is no argument'),
    ("tag: $tags", "tag: {a: $tags}", (22, 20), "a mapping cannot stand here"),
    ("tag: $tags", "tag: $tags, other: null", (22, 34), "null sends nothing"),
    ("tags: {type: array}", "tags: {type: object}", (22, 20), 'style comma cannot carry the object "tags"'),
    ("style: {tags: comma}", "style: {note: comma}", (23, 15), '"note" is no argument of the query or a form'),
    ("style: {tags: comma}", "style: {tags: semicolon}", (23, 21), "tags must be form, comma, space"),
    ("style: {tags: comma}", "style: {tags: deepObject}", (23, 21), "deepObject is for objects"),
    ("tags: {type: array}", "tags: {type: string}", (23, 15), 'style is for lists and objects, "tags" is neither'),
    ("X-Note: $note", "Host: $note", (24, 17), "Host is not a tool file's to set"),
    ("X-Note: $note", "X-Note: $note, X-Tags: $tags", (24, 40), '"tags" is a list or object'),
    ("user.sub", "user.email", (25, 25), '"user.email" is nothing a call knows'),
    ("method: POST", "method: GET", (25, 7), "GET has no body"),
    ("body: {by: {from: user.sub}}", "encoding: form", (25, 7), "there is no body to encode"),
    ("body: {by: {from: user.sub}}", "body: [1]\n      encoding: form", (25, 13), "a form body is a mapping"),
    ("body: {by: {from: user.sub}}", "encoding: soap", (25, 17), "encoding must be json, form"),
    ("idempotencyKey: auto", "idempotencyHeader: X", (26, 7), "there is no key to send"),
    ("idempotencyKey: auto", "idempotencyKey: auto\n      idempotencyHeader: Cookie", (27, 7), "Cookie is not"),
    # the response
    ('"{id: id}"', '"{id: "', (28, 15), "not JMESPath"),
    ("redact: [secret]", "redact: [length(a)]", (29, 16), '"length(a)" cannot be redacted along'),
    ("maxBytes: 4KiB", "maxBytes: 4MiB", (30, 17), "maxBytes 4MiB is not between"),
    ('"404"', '"200"', (31, 16), '"200" is no error status'),
    ("{status}", "{reason}", (31, 23), "a brace that begins no placeholder"),
    ("{{message}}", "{{message[}}", (31, 23), "not JMESPath"),
    ("maxBytes: 4KiB", "files: [image/png]", (30, 7), "nothing can be selected, checked or redacted"),
    ("maxBytes: 4KiB", "files: [text/csv]", (30, 15), "text/csv is read as data"),
    ("maxBytes: 4KiB", "files: [image/png, image/*]", (30, 26), "files does not match"),
    ("maxBytes: 4KiB", "schema: {type: array}", (30, 15), "the schema's root is no object"),
    # the rest of a tool
    ('["shop:write"]', '[""]', (32, 21), '"" is not one scope'),
    ("    auth: {", "    annotations: {readOnly: true, destructive: true}\n    auth: {", (32, 18), "destroys nothing"),
    ("args: {id: a}", "args: {id: 5}", (35, 15), 'does not fit the input schema: id: is not of type "string"'),
    ("args: {id: a}", "args: {}", (35, 15), '"id" is required'),
    ("title: Find", 'title: "Fi\\u200bnd"', (11, 18), "characters that cannot be seen"),
    ("    auth: {", "    paging: {type: link}\n    auth: {", (32, 5), 'unknown key "paging"'),
    ("    auth: {", "    retry: {attempts: 9}\n    auth: {", (32, 23), "attempts must be less than or equal to 6"),
]  # fmt: skip


def test_the_file_the_mistakes_are_made_in_is_good() -> None:
    assert compile_text(GOOD, "shop.yaml", {}).problems == ()


@pytest.mark.parametrize(("old", "new", "place", "said"), MISTAKES)
def test_a_mistake_is_named_with_its_place_and_its_mend(old: str, new: str, place: tuple[int, int], said: str) -> None:
    assert old in GOOD
    result = compile_text(GOOD.replace(old, new, 1), "shop.yaml", {})
    assert result.tools == ()
    found = {(problem.line, problem.column): str(problem) for problem in result.problems}
    assert place in found, found
    assert said in found[place]
    assert found[place].startswith(f"shop.yaml:{place[0]}:{place[1]}: ")


def test_all_problems_are_found_at_once() -> None:
    text = GOOD.replace("https://shop", "http://shop").replace("X-Note: $note", "Host: $noet").replace("4KiB", "1B")
    said = [problem.message for problem in compile_text(text, "shop.yaml", {}).problems]
    assert len(said) == 5
    assert {"Host is not a tool file's to set", 'the argument "note" goes nowhere'} <= set(said)


def test_what_acts_only_once_cannot_be_told_to_repeat() -> None:
    text = GOOD.replace("      idempotencyKey: auto\n", "").replace(
        "    auth: {", "    retry: {when: [503]}\n    auth: {"
    )
    [problem] = compile_text(text, "shop.yaml", {}).problems
    assert (problem.line, problem.column) == (31, 19)
    assert problem.hint == "keep connect alone, or set idempotencyKey: auto"


def test_a_problem_shows_no_value_of_the_environment() -> None:
    text = GOOD.replace("https://shop.example/api", "${SHOP_URL}")
    [problem] = compile_text(text, "shop.yaml", {"SHOP_URL": "http://user:hunter2@shop.example"}).problems
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("text", ["", "[]", "just text", "tools: []"])
def test_what_is_no_tool_file_at_all_is_a_problem(text: str) -> None:
    assert compile_text(text, "x.yaml", {}).problems


TOKENS = st.sampled_from(
    [
        "",
        " ",
        "\n",
        ":",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "$",
        "{{",
        "}}",
        "&a ",
        "*a",
        "null",
        "true",
        "1",
        "'",
        '"',
        "|",
        "#",
        "\t",
    ]
    + [line for line in GOOD.split("\n") if line]
)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 30), TOKENS), min_size=1, max_size=4))
def test_no_mutation_of_a_file_makes_the_compiler_raise(edits: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for start, length, replacement in edits:
        text = text[:start] + replacement + text[start + length :]
    result = compile_text(text, "shop.yaml", {})
    lines = text.count("\n") + 2
    assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in result.problems)
    assert bool(result.tools) != bool(result.problems)


LEAVES: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


@settings(max_examples=150)
@given(st.data())
def test_no_value_in_any_place_makes_the_compiler_raise(data: st.DataObject) -> None:
    import json  # noqa: PLC0415

    import yaml  # noqa: PLC0415

    document = yaml.safe_load(GOOD)
    at: Any = document
    for _ in range(data.draw(st.integers(0, 5))):
        if not isinstance(at, dict | list) or not at:
            break
        parent, key = at, data.draw(st.sampled_from(list(at) if isinstance(at, dict) else list(range(len(at)))))
        at = parent[key]
        if data.draw(st.booleans()):
            parent[key] = data.draw(VALUES)
            break
    result = compile_text(json.dumps(document), "shop.json", {})
    assert bool(result.tools) != bool(result.problems)
