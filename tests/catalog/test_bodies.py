"""What may be said of a body, its files and its cookies, and what is said back where it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from remit.catalog.media import charset_of, in_range, is_json, is_media_type, is_text
from remit.catalog.upload import upload_schema
from support.tools import calling, problems_of

STRING = {"type": "string"}


def problems(request: dict[str, Any], properties: dict[str, Any] | None = None, **more: Any) -> str:
    schema = {"type": "object", "properties": properties or {}}
    return problems_of({"input": schema, "request": {"method": "POST", "path": "/x", **request}, **more})


@pytest.mark.parametrize(
    ("request_block", "said"),
    [
        ({"body": {"a": 1}, "mediaType": "text/plain"}, "text/plain is not written as json"),
        ({"body": "x", "encoding": "xml", "mediaType": "text/plain"}, "text/plain is not written as xml"),
        ({"body": {}, "encoding": "form", "mediaType": "application/json"}, "not written as form"),
        (
            {"body": {}, "encoding": "multipart", "mediaType": "multipart/form-data; boundary=x"},
            "not written as multipart",
        ),
        ({"body": "x", "encoding": "text", "mediaType": "text/plain; charset=utf-16"}, "charset cannot be written"),
        ({"body": {}, "mediaType": "application/json\r\nX: y"}, "mediaType does not match"),
        ({"mediaType": "application/json"}, "there is no body to encode"),
        ({"body": {"a": 1}, "encoding": "text"}, "a mapping cannot stand here"),
        ({"body": ["a"], "encoding": "multipart"}, "a multipart body is a mapping of its fields"),
        ({"body": "x", "encoding": "binary"}, "a binary body is an argument that is a file"),
        ({"cookies": {"a b": "1"}}, '"a b" is no cookie name'),
        ({"headers": {"Cookie": "a=1"}}, "Cookie is not a tool file's to set"),
        ({"body": {}, "uploads": {"f": ["*"]}}, "does not match"),
    ],
)
def test_a_body_that_cannot_be_written_is_named(request_block: dict[str, Any], said: str) -> None:
    assert said in problems(request_block)


@pytest.mark.parametrize(
    "request_block",
    [
        {"body": {"f": "$f"}, "uploads": {"f": []}},
        {"body": {"f": "$f"}, "encoding": "form", "uploads": {"f": []}},
        {"body": {"a": {"f": "$f"}}, "encoding": "multipart", "uploads": {"f": []}},
        {"query": {"f": "$f"}, "uploads": {"f": []}},
    ],
)
def test_a_file_goes_only_where_files_go(request_block: dict[str, Any]) -> None:
    assert 'the file "f" is not sent as one' in problems(request_block, {"f": {}})


def test_the_schema_of_a_file_is_not_the_tool_files_to_write() -> None:
    request = {"body": {"f": "$f"}, "encoding": "multipart", "uploads": {"f": []}}
    for declared in ({"type": "string"}, {"format": "binary"}):
        assert 'the schema of the file "f" is made here' in problems(request, {"f": declared})


def test_a_list_in_a_cookie_is_named() -> None:
    assert "a cookie holds texts and numbers" in problems({"cookies": {"c": "$c"}}, {"c": {"type": "array"}})


@pytest.mark.parametrize("size", ["0B", "17MiB"])
def test_a_limit_out_of_bounds_is_named(size: str) -> None:
    said = f"maxRequestBytes {size} is not between 1B and 16MiB"
    assert said in problems({}, limits={"maxRequestBytes": size})
    assert said in problems_of(upstream={"limits": {"maxRequestBytes": size}})


def test_a_style_may_be_set_for_a_part() -> None:
    request = {"method": "POST", "encoding": "multipart", "body": {"a": "$a"}, "style": {"a": "comma"}}
    assert calling(request, {"a": {"type": "array"}}).plan.body
    assert "is neither" in problems(request, {"a": STRING})


def test_the_digest_changes_with_the_limit_and_the_files_media_types() -> None:
    def digest(size: str, kind: str) -> str:
        request = {"method": "POST", "encoding": "binary", "body": "$f", "uploads": {"f": [kind]}}
        return calling(request, {"f": {}}, limits={"maxRequestBytes": size}).digest

    assert len({digest("1KiB", "image/png"), digest("2KiB", "image/png"), digest("1KiB", "image/gif")}) == 3


def test_a_files_schema_names_the_media_types_it_may_have() -> None:
    kinds = upload_schema(["image/png", "image/gif"])["properties"]["mediaType"]
    assert kinds["enum"] == ["image/png", "image/gif"]
    ranged = upload_schema(["image/*"])["properties"]["mediaType"]
    assert "enum" not in ranged
    assert "image/*" in ranged["description"]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("application/json", True),
        ('text/plain; charset="utf-8"', True),
        ("application/vnd.x+json;v=1; q=2", True),
        ("image/*", False),
        ("image", False),
        ("a/b\r\nX: y", False),
        ("a/b; c", False),
        ("", False),
        ("a/" + "b" * 300, False),
    ],
)
def test_a_media_type_is_told_from_what_is_none(text: str, valid: bool) -> None:
    assert is_media_type(text) is valid


def test_kinds_of_media_types() -> None:
    assert all(map(is_json, ["application/json", "Application/JSON; a=b", "application/problem+json", "text/json"]))
    assert not any(map(is_json, ["application/jsonp", "application/json-seq", "text/plain"]))
    assert all(
        map(is_text, ["text/csv", "application/xml", "image/svg+xml", "application/yaml", "application/x-ndjson"])
    )
    assert not any(map(is_text, ["application/octet-stream", "image/png", "application/zip"]))
    assert [charset_of(f"text/plain{rest}") for rest in ("", "; charset=US-ASCII", "; charset=utf-7")] == [
        "utf-8",
        "us-ascii",
        None,
    ]
    assert in_range("image/PNG; a=b", "image/*")
    assert in_range("image/png", "*/*")
    assert not in_range("image/png", "image/gif")
