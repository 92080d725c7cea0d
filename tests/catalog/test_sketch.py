"""One request becomes a tool that makes such requests, and no secret of it is kept."""

from __future__ import annotations

import shlex
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remit.catalog.compile import compile_text
from remit.catalog.curl import CurlInvalid, read_curl
from remit.catalog.document import read_document
from remit.catalog.sketch import Sketch, sketch
from remit.catalog.sketch_schema import parsed, schema_of
from remit.catalog.tool_text import CannotAppend, file_text, flow, with_tool

BASE = "https://api.example.com/v1"
UPSTREAM = {"baseUrl": BASE, "auth": {"audience": "orders-api"}}


def sketched(command: str, name: str = "do_it") -> Sketch:
    return sketch(name, read_curl(f"curl {command}"))


def request_of(command: str) -> dict[str, Any]:
    request: dict[str, Any] = sketched(command).tool["request"]
    return request


@pytest.mark.parametrize(
    ("path", "template", "arguments"),
    [
        ("/orders", "/orders", {}),
        ("/customers/C1042", "/customers/{customer_id}", {"customer_id": "C1042"}),
        (
            "/customers/1042/orders/7/lines",
            "/customers/{customer_id}/orders/{order_id}/lines",
            {"customer_id": 1042, "order_id": 7},
        ),
        ("/users/ann42", "/users/{user_id}", {"user_id": "ann42"}),
        ("/users/ann", "/users/ann", {}),
        ("/oauth2/s3", "/oauth2/s3", {}),
        ("/companies/12", "/companies/{company_id}", {"company_id": 12}),
        ("/boxes/0012", "/boxes/{box_id}", {"box_id": "0012"}),
        ("/1/2", "/{id}/{id_path}", {"id": 1, "id_path": 2}),
        ("/orders/{order_id}", "/orders/{order_id}", {"order_id": "example"}),
        ("/orders/:id", "/orders/{id}", {"id": "example"}),
        ("/orders/$ORDER", "/orders/{ORDER}", {"ORDER": "example"}),
        ("/orders/%7Bid%7D/", "/orders/{id}/", {"id": "example"}),
        ("/files/a%20b.txt", "/files/a%20b.txt", {}),
    ],
)
def test_what_names_one_of_many_in_a_path_is_an_argument(path: str, template: str, arguments: dict[str, Any]) -> None:
    made = sketched(f"'{BASE}{path}'")
    assert made.base_url == BASE
    assert made.tool["request"]["path"] == template
    assert made.arguments == arguments
    assert made.tool.get("input", {}).get("required", []) == list(arguments)


def test_a_query_becomes_arguments_with_types() -> None:
    made = sketched(
        f"'{BASE}/orders?limit=20&active=true&rate=1.5&q=a+b&tag=x&tag=y&id[]=1&id[]=2&filter[city]=Oslo&empty='"
    )
    properties = made.tool["input"]["properties"]
    assert {name: schema["type"] for name, schema in properties.items()} == {
        "limit": "integer",
        "active": "boolean",
        "rate": "number",
        "q": "string",
        "tag": "array",
        "id": "array",
        "filter_city": "string",
        "empty": "string",
    }
    assert properties["id"]["items"] == {"type": "integer"}
    assert made.tool["request"]["query"]["filter[city]"] == "$filter_city"
    assert made.tool["request"]["style"] == {"id": "brackets"}
    assert made.arguments == {
        "limit": 20, "active": True, "rate": 1.5, "q": "a b", "tag": ["x", "y"], "id": [1, 2], "filter_city": "Oslo",
    }  # fmt: skip
    assert "required" not in made.tool["input"]


def test_a_json_body_becomes_arguments_with_types() -> None:
    body = '{"items": [{"sku": "A", "n": 2}], "due": "2026-12-01", "at": "2026-12-01T10:00:00Z", "by": "ann@example.com", "x": null}'
    made = sketched(f"{BASE}/orders --json '{body}'")
    properties = made.tool["input"]["properties"]
    assert properties["items"]["items"]["properties"] == {"sku": {"type": "string"}, "n": {"type": "integer"}}
    assert [properties[name].get("format") for name in ("due", "at", "by")] == ["date", "date-time", "email"]
    assert made.tool["request"]["body"] == {name: f"${name}" for name in properties}
    assert made.tool["input"]["required"] == list(properties)
    assert "required" not in sketched(f"-X PATCH {BASE}/orders --json '{body}'").tool["input"]


def test_other_bodies() -> None:
    assert request_of(f"{BASE}/x --json '[1]'")["body"] == "$body"
    form = request_of(f"{BASE}/x -d a=1 -d 'b[]=x'")
    assert (form["encoding"], form["body"], form["style"]) == ("form", {"a": "$a", "b": "$b"}, {"b": "brackets"})
    parts = sketched(f"{BASE}/x -F note=hi -F 'file=@a/b.pdf'")
    assert parts.tool["request"]["uploads"] == {"file": []}
    assert parts.arguments["file"]["filename"] == "b.pdf"
    assert request_of(f"{BASE}/x -d '<a/>' -H 'Content-Type: application/xml'")["encoding"] == "xml"
    assert request_of(f"{BASE}/x -d 'hi' -H 'Content-Type: text/plain'")["encoding"] == "text"
    assert (
        request_of(f"{BASE}/x -d '{{\"a\": 1}}' -H 'Content-Type: application/merge-patch+json'")["encoding"]
        == "merge-patch"
    )
    own = request_of(f"{BASE}/x -d '{{\"a\": 1}}' -H 'Content-Type: application/vnd.api+json'")
    assert own["mediaType"] == "application/vnd.api+json"
    with pytest.raises(CurlInvalid, match="not the JSON"):
        sketched(f"{BASE}/x --json '{{'")


def test_one_name_in_two_places_is_two_arguments() -> None:
    made = sketched(f"'{BASE}/orders/7?order_id=8' --json '{{\"order_id\": 9}}'")
    assert made.arguments == {"order_id": 7, "order_id_query": 8, "order_id_body": 9}


def test_headers_that_say_something_are_kept_and_a_key_is_made_anew() -> None:
    request = request_of(
        f"-X POST {BASE}/x -H 'X-Tenant: acme' -H 'Accept: application/vnd.x+json' -H 'User-Agent: me' -H 'X-Price: $5'"
        " -H 'X-Idempotency-Key: 7' -H 'Sec-Fetch-Mode: cors'"
    )
    assert request["headers"] == {"X-Tenant": "acme", "Accept": "application/vnd.x+json", "X-Price": "$$5"}
    assert (request["idempotencyKey"], request["idempotencyHeader"]) == ("auto", "X-Idempotency-Key")


def test_effects_and_lists_are_marked_by_name() -> None:
    assert sketched(f"-X POST {BASE}/x", "cancel_order").tool["annotations"] == {"destructive": True}
    assert "annotations" not in sketched(f"-X DELETE {BASE}/x", "delete_order").tool
    assert sketched(f"{BASE}/x", "list_orders").tool["response"] == {"maxBytes": "32KiB"}


def test_an_address_elsewhere_is_refused() -> None:
    with pytest.raises(CurlInvalid, match="not below"):
        sketch("x", read_curl("curl https://api.example.com/v10/x"), BASE)


SECRET = "s3cr3tS3cr3tS3cr3tS3cr3t99"


@pytest.mark.parametrize(
    "command",
    [
        f"'{BASE}/x?api_key={SECRET}'",
        f"'{BASE}/x?accessToken={SECRET}'",
        f"'{BASE}/x?opaque={SECRET}'",
        f"{BASE}/hooks/{SECRET}/send",
        f"-H 'X-Api-Key: {SECRET}' {BASE}/x",
        f"-H 'X-Whatever: {SECRET}' {BASE}/x",
        f"-H 'Authorization: Bearer {SECRET}' {BASE}/x",
        f"-u me:{SECRET} {BASE}/x",
        f"-b a={SECRET} {BASE}/x",
        f"https://{SECRET}@api.example.com/v1/x",
        f'{BASE}/x --json \'{{"a": {{"password": "{SECRET}"}}}}\'',
        f'{BASE}/x --json \'{{"a": ["{SECRET}"]}}\'',
        f"{BASE}/x -d client_secret={SECRET}",
        f"{BASE}/x -d a={SECRET}",
        f"{BASE}/x -F token={SECRET}",
        f"{BASE}/x -F a={SECRET}",
        f"{BASE}/x -d '{SECRET}' -H 'Content-Type: text/plain'",
    ],
)
def test_no_secret_is_kept_wherever_it_stood(command: str) -> None:
    made = sketched(command)
    assert SECRET not in f"{made.tool} {made.arguments} {made.left_out} {made!r}"


def test_what_is_left_out_is_told_and_the_position_of_a_page_is_no_secret() -> None:
    made = sketched(f"'{BASE}/x?api_key=abc&page_token=abc' -H 'X-Auth-Token: abc' --json '{{\"password\": 1}}'")
    assert made.left_out == ("api_key in the query", "the header X-Auth-Token", "password in the body")
    assert list(made.tool["input"]["properties"]) == ["page_token"]


@pytest.mark.parametrize("text", ["007", "1e5", "-0", "1.50", "0x1", "True", "", "9" * 20])
def test_a_text_that_would_change_stays_a_text(text: str) -> None:
    assert parsed(text) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_value_fits_the_schema_that_is_made_of_it(value: Any) -> None:
    schema = schema_of(value)
    if not isinstance(value, list) or all(schema_of(item) == schema["items"] for item in value):
        nested = isinstance(value, dict | list)
        assert nested or jsonschema_rs.validator_for(schema).is_valid(value)


# ── writing ──────────────────────────────────────────────────────────────────────────────

A_TOOL = {
    "name": "get_it",
    "description": "Gets it when it is there.",
    "request": {"method": "GET", "path": "/it/{x}"},
    "input": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}},
}


@given(JSON)
@example("yes")
@example("1e5")
@example("012")
@example("a: b # c")
@example("\x85\u2028\x7f\U0001f600")
@example({"on": ["no", "~", "- a", "{x}", "$x", " x", "x "]})
def test_what_is_written_reads_the_same(value: Any) -> None:
    if "\ud800" <= max(str(value), default="") <= "\udfff":
        return
    assert read_document(f"x: {flow(value)}\n").data == {"x": value}
    text = file_text("shop", UPSTREAM, {**A_TOOL, "policy": {"x": value}})
    assert read_document(text).data["tools"][0]["policy"] == {"x": value}


def test_a_tool_is_added_and_everything_else_stays() -> None:
    text = (
        "# first\nversion: 1\nname: shop\nupstream:\n  baseUrl: https://x.example.com  # the API\n  auth: {audience: x}\n"
        "tools:\n    # one\n    - name: a_tool   # here\n      description: Does what the test asks for.\n"
        "      request: {method: GET, path: /a}\n      # below\n\n# the owner\nowner: me\n"
    )
    added = with_tool(text, read_document(text), A_TOOL)
    assert not compile_text(added, "x.yaml", {}).problems
    assert [tool["name"] for tool in read_document(added).data["tools"]] == ["a_tool", "get_it"]
    kept = iter(added.splitlines())
    assert all(line in kept for line in text.splitlines())
    assert "      # below\n\n    - name: get_it\n" in added
    assert added.endswith("path: /it/{x}\n\n# the owner\nowner: me\n") or "\n\n# the owner\nowner: me\n" in added


@pytest.mark.parametrize("ending", ["", "\n", "\n\n\n", "\n# the end\n"])
def test_a_tool_is_added_at_the_end_of_a_file(ending: str) -> None:
    text = file_text("shop", UPSTREAM, {**A_TOOL, "name": "first"}).rstrip("\n") + ending
    for lines in (text, text.replace("\n", "\r\n")):
        added = with_tool(lines, read_document(lines), A_TOOL)
        assert [tool["name"] for tool in read_document(added).data["tools"]] == ["first", "get_it"]
        assert ("\r\n" in added) == (lines != text)
        assert "\r\n" not in added or added.count("\n") == added.count("\r\n") + (not ending and lines != text)


def test_a_list_in_one_line_cannot_be_added_to() -> None:
    text = "version: 1\nname: x\nupstream: {}\ntools: [{name: a}]\n"
    with pytest.raises(CannotAppend, match="hyphen"):
        with_tool(text, read_document(text), A_TOOL)


@given(
    st.lists(st.sampled_from(["limit=5", "q=a b", "x[]=1", "x[]=2", "k=", "$Y=1", "ä=ö", "a.b=c", "key=1"]), max_size=6)
)
def test_every_sketch_loads(pairs: list[str]) -> None:
    command = f"{BASE}/orders/7 -G " + " ".join(f"--data-urlencode {shlex.quote(pair)}" for pair in pairs)
    made = sketched(command)
    compiled = compile_text(file_text("shop", UPSTREAM, made.tool), "x.yaml", {})
    assert not compiled.problems
    compiled.tools[0].validate(made.arguments)
