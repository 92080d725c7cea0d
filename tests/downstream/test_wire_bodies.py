"""Bodies of described operations and of tool files, read back by parsers that are not ours."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from email.message import Message
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import FormParser, MultiPartParser

from remit.catalog.openapi.contents import input_of, kind_of
from remit.catalog.openapi.description import Content, PartEncoding
from remit.catalog.openapi.wire import Bindings, plan_of
from remit.catalog.plan import Argument, Fixed, Renames
from remit.catalog.schema import Schema
from remit.errors import RequestUnusable
from support.tools import calling, tool_of
from support.wire import SENDING, operation, posted, send, tool_for

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PART_NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), min_size=1, max_size=20)
STRING = {"type": "string"}
FILE = {"type": "string", "format": "binary"}
OBJECT = {"type": "object", "properties": {"k": STRING}}
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
PNG = b"\x89PNG\r\n\x1a\n--x\r\n\x00\xff"
MAX = 256 * 1024


def members(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def _stream(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


def starlette_form(content: bytes, media_type: str) -> list[tuple[str, Any]]:
    """What a Starlette application gets; files as (content, name, media type)."""
    parser: Any = MultiPartParser if media_type.startswith("multipart/") else FormParser

    async def parse() -> list[tuple[str, Any]]:
        form = await parser(Headers({"content-type": media_type}), _stream(content)).parse()
        return [(name, await _read(item)) for name, item in form.multi_items()]

    return asyncio.run(parse())


async def _read(item: str | UploadFile) -> Any:
    if isinstance(item, str):
        return item
    content = await item.read()
    await item.close()
    return content, item.filename, item.content_type


def parts_of(content: bytes, media_type: str) -> list[Message]:
    """The parts as a mail program reads them."""
    message = BytesParser().parsebytes(f"Content-Type: {media_type}\r\n\r\n".encode() + content)
    payload: Any = message.get_payload()
    assert not message.defects
    return list(payload)


# ── JSON ──


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/vnd.api+json",
        "application/vnd.x.v2+json; profile=y",
        "application/merge-patch+json",
        "application/json-patch+json",
        "application/strategic-merge-patch+json",
        "text/json",
    ],
)
def test_json_of_any_kind_keeps_its_media_type_with_parameters(media_type: str) -> None:
    value = {"a": [1, None, {"b": "ü"}], "c": None}
    assert posted(Content(media_type, {}), value) == (
        json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(),
        media_type,
    )


@pytest.mark.parametrize(
    ("described", "schema", "kind", "sent"),
    [
        ("*/*", OBJECT, "json", "application/json"),
        ("*/*", STRING, "text", "text/plain"),
        ("*/*", FILE, "binary", "application/octet-stream"),
        ("application/*", {}, "json", "application/json"),
        ("text/*", STRING, "text", "text/plain"),
        ("text/csv", FILE, "text", "text/csv"),
        ("application/xml", OBJECT, "text", "application/xml"),
        ("application/soap+xml; charset=utf-8", OBJECT, "text", "application/soap+xml; charset=utf-8"),
        ("application/x-ndjson", {"type": "array"}, "text", "application/x-ndjson"),
        ("application/apply-patch+yaml", OBJECT, "json", "application/apply-patch+yaml"),
        ("application/yaml", STRING, "text", "application/yaml"),
        ("application/octet-stream", STRING, "binary", "application/octet-stream"),
        ("application/octet-stream", {}, "binary", "application/octet-stream"),
        ("image/*", {}, "binary", "application/octet-stream"),
        ("application/pdf", FILE, "binary", "application/pdf"),
        (FORM, OBJECT, "form", FORM),
        (FORM, STRING, "text", FORM),
    ],
)
def test_the_way_a_body_is_written_follows_from_media_type_and_schema(
    described: str, schema: Any, kind: str, sent: str
) -> None:
    content = Content(described, schema)
    assert kind_of(content, {}) == kind
    value: Any = {"k": "dGV4dA=="} if kind in {"json", "form"} else "dGV4dA=="
    assert posted(content, value)[1] == sent


# ── form ──


def form(schema: Any, value: Any, **encodings: PartEncoding) -> str:
    content, media_type = posted(Content(FORM, schema, encodings), value)
    assert media_type == FORM
    return content.decode("ascii")


ADDRESS = {"streetAddress": "123 Example Dr.", "city": "Somewhere", "state": "CA", "zip": "99999+1234"}


def test_the_specifications_form_with_a_json_member_holds() -> None:
    schema = members(id=STRING, address={"type": "object", "properties": {}})
    assert form(schema, {"id": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "address": ADDRESS}) == (
        "id=f81d4fae-7dec-11d0-a765-00a0c91e6bf6&address=%7B%22streetAddress%22%3A%22123+Example+Dr.%22%2C%22city%22%3A"
        "%22Somewhere%22%2C%22state%22%3A%22CA%22%2C%22zip%22%3A%2299999%2B1234%22%7D"
    )
    as_json = PartEncoding(content_type="application/json")
    assert form(members(id=STRING), {"id": "f81d"}, id=as_json) == "id=%22f81d%22"


@pytest.mark.parametrize(
    ("value", "encoding", "sent"),
    [
        (["a", "b"], PartEncoding(), "x=a&x=b"),
        ([{"k": 1}, {"k": 2}], PartEncoding(), "x=%7B%22k%22%3A1%7D&x=%7B%22k%22%3A2%7D"),
        (["a", "b"], PartEncoding(style="form", explode=True), "x=a&x=b"),
        (["a", "b,c"], PartEncoding(style="form", explode=False), "x=a,b%2Cc"),
        ({"k": "v", "l": "w"}, PartEncoding(style="form", explode=True), "k=v&l=w"),
        ({"k": "v", "l": "w"}, PartEncoding(style="form", explode=False), "x=k,v,l,w"),
        (["a", "b"], PartEncoding(style="spaceDelimited", explode=False), "x=a+b"),
        (["a", "b"], PartEncoding(style="pipeDelimited", explode=False), "x=a%7Cb"),
        ({"k": "v w"}, PartEncoding(style="deepObject"), "x%5Bk%5D=v+w"),
        (
            {"k": {"l": 1}, "m": [{"n": 1}, {"n": 2}]},
            PartEncoding(style="deepObject"),
            "x%5Bk%5D%5Bl%5D=1&x%5Bm%5D%5B0%5D%5Bn%5D=1&x%5Bm%5D%5B1%5D%5Bn%5D=2",
        ),
        ("a/b c", PartEncoding(style="form", allow_reserved=True), "x=a/b%20c"),
        ("a&b=c", PartEncoding(style="form", allow_reserved=True), "x=a%26b=c"),
        ("<a/>", PartEncoding(content_type="application/xml"), "x=%3Ca%2F%3E"),
        (True, PartEncoding(), "x=true"),
        ("", PartEncoding(), "x="),
        (None, PartEncoding(), ""),
        ([], PartEncoding(), ""),
    ],
)
def test_a_form_member_is_written_as_its_encoding_says(value: Any, encoding: PartEncoding, sent: str) -> None:
    assert form(members(x={}), {"x": value}, x=encoding) == sent


@given(st.dictionaries(TEXT.filter(bool), TEXT | st.integers() | st.booleans() | st.lists(TEXT), max_size=5))
def test_a_form_comes_back_through_other_parsers(value: dict[str, Any]) -> None:
    content, media_type = posted(Content(FORM, {"type": "object"}), value)
    expected = [
        (name, item if isinstance(item, str) else json.dumps(item))
        for name, member in value.items()
        for item in (member if isinstance(member, list) else [member])
    ]
    assert parse_qsl(content.decode(), keep_blank_values=True) == expected
    assert starlette_form(content, media_type) == expected


def test_described_members_come_in_the_descriptions_order_and_others_after_them() -> None:
    schema = {"allOf": [{"$ref": "#/$defs/Base"}, members(b=STRING)]}
    content = posted(Content(FORM, schema), {"z": 1, "b": 2, "a": 3}, {"Base": members(a=STRING)})[0]
    assert content == b"a=3&b=2&z=1"


def test_a_member_that_becomes_fields_cannot_take_the_name_of_another() -> None:
    with pytest.raises(RequestUnusable):
        form(members(admin=STRING, free=OBJECT), {"free": {"Admin": "1"}}, free=PartEncoding(style="form"))


@pytest.mark.parametrize("value", ["a=b", [1], None, 3])
def test_a_form_is_an_object(value: Any) -> None:
    with pytest.raises(RequestUnusable):
        posted(Content(FORM, OBJECT), value)


# ── multipart ──


def test_parts_are_text_json_and_files_in_the_descriptions_order() -> None:
    schema = members(note=STRING, count={"type": "integer"}, attributes=OBJECT, file=FILE)
    upload = {"data": b64(PNG), "filename": "ü ber.png", "mediaType": "image/png"}
    value = {"file": upload, "attributes": {"k": "v"}, "note": "größer\r\n", "count": 3}
    content, media_type = posted(Content(MULTIPART, schema), value)
    assert starlette_form(content, media_type) == [
        ("note", "größer\r\n"),
        ("count", "3"),
        ("attributes", '{"k":"v"}'),
        ("file", (PNG, "ü ber.png", "image/png")),
    ]
    types = [part["Content-Type"] for part in parts_of(content, media_type)]
    assert types == ["text/plain; charset=utf-8", "text/plain", "application/json", "image/png"]


@given(
    st.dictionaries(PART_NAMES, TEXT | st.lists(TEXT, min_size=1, max_size=3), max_size=4),
    st.lists(st.binary(max_size=200), max_size=3),
)
def test_every_part_comes_back_through_another_parser(fields: dict[str, Any], files: list[bytes]) -> None:
    fields.pop("files", None)
    schema = members(files={"type": "array", "items": FILE})
    value = {**fields, "files": [{"data": b64(file)} for file in files]}
    content, media_type = posted(Content(MULTIPART, schema), value)
    expected = [("files", (file, "files", "application/octet-stream")) for file in files]
    expected += [
        (name, item) for name, member in fields.items() for item in (member if isinstance(member, list) else [member])
    ]
    assert starlette_form(content, media_type) == expected


@pytest.mark.parametrize(
    ("value", "encoding", "parts"),
    [
        (
            [{"k": 1}, {"k": 2}],
            PartEncoding(),
            [("x", "application/json", '{"k":1}'), ("x", "application/json", '{"k":2}')],
        ),
        ("a", PartEncoding("application/json"), [("x", "application/json", '"a"')]),
        ("<a/>", PartEncoding("application/xml; charset=utf-8"), [("x", "application/xml; charset=utf-8", "<a/>")]),
        (["a", "b"], PartEncoding(style="form"), [("x", "text/plain", "a"), ("x", "text/plain", "b")]),
        (["a", "b"], PartEncoding(style="form", explode=False), [("x", "text/plain", "a,b")]),
        ({"k": "a/b c"}, PartEncoding(style="deepObject"), [("x[k]", "text/plain", "a/b c")]),
        ({"k": 1, "l": 2}, PartEncoding(style="form"), [("k", "text/plain", "1"), ("l", "text/plain", "2")]),
        ({"k": 1, "l": 2}, PartEncoding(style="pipeDelimited", explode=False), [("x", "text/plain", "k|1|l|2")]),
        (None, PartEncoding(), []),
    ],
)
def test_a_part_is_written_as_its_encoding_says(
    value: Any, encoding: PartEncoding, parts: list[tuple[str, str, str]]
) -> None:
    content, media_type = posted(Content(MULTIPART, members(x=STRING), {"x": encoding}), {"x": value, "last": 1})
    found = parts_of(content, media_type)[:-1]
    assert [
        (part.get_param("name", header="Content-Disposition"), part["Content-Type"], part.get_payload())
        for part in found
    ] == parts


def test_a_part_carries_the_headers_it_is_described_with() -> None:
    schema = members(a=STRING, b={"type": "string", "contentEncoding": "base64"})
    content = Content(MULTIPART, schema, {"a": PartEncoding(headers={"X-Kind": "one"})})
    a, b = parts_of(*posted(content, {"a": "x", "b": "eHl6"}))
    assert a["X-Kind"] == "one"
    assert (b["Content-Type"], b["Content-Transfer-Encoding"]) == ("application/octet-stream", "base64")
    assert b.get_payload() == "eHl6"  # the API wants the base64 itself (OpenAPI 3.1 on contentEncoding)


def test_other_kinds_of_multipart_keep_their_type() -> None:
    content, media_type = posted(Content("multipart/mixed; x=1", members(a=STRING)), {"a": "b"})
    assert media_type.startswith("multipart/mixed; x=1; boundary=")
    assert parts_of(content, media_type)[0].get_payload() == "b"


def test_the_boundary_is_the_same_for_the_same_body_and_in_none_of_its_parts() -> None:
    content = Content(MULTIPART, members(a=STRING))
    first, again = posted(content, {"a": "x"}), posted(content, {"a": "x"})
    assert first == again
    boundary = first[1].partition("boundary=")[2]
    echoed = posted(content, {"a": f"x\r\n--{boundary}--\r\n"})
    assert echoed[1] != first[1]
    assert starlette_form(*echoed) == [("a", f"x\r\n--{boundary}--\r\n")]


@pytest.mark.parametrize("name", ['a"b', "a\r\nb", "a\\b", "", "a\x00"])
def test_a_part_name_that_could_end_its_line_is_refused(name: str) -> None:
    with pytest.raises(RequestUnusable):
        posted(Content(MULTIPART, OBJECT), {name: "x"})


# ── uploads ──


@pytest.mark.parametrize(
    "data",
    [b64(PNG), b64(PNG).rstrip("="), base64.urlsafe_b64encode(PNG).decode(), "\n".join(b64(PNG)), b64(PNG) + "\r\n"],
)
def test_base64_goes_out_as_the_bytes_it_stands_for(data: str) -> None:
    described = Content("image/png", FILE)
    assert posted(described, {"data": data}) == (PNG, "image/png")
    assert posted(described, data) == (PNG, "image/png")


@given(st.binary(max_size=300))
def test_any_bytes_come_back(content: bytes) -> None:
    assert posted(Content("application/octet-stream", FILE), {"data": b64(content)})[0] == content


@pytest.mark.parametrize(
    ("upload", "described", "sent"),
    [
        ({"data": "", "mediaType": "image/webp"}, "image/*", "image/webp"),
        ({"data": ""}, "image/*", "application/octet-stream"),
        ({"data": ""}, "*/*", "application/octet-stream"),
        ({"text": "é"}, "*/*", "text/plain; charset=utf-8"),
        ({"data": "", "mediaType": "image/png"}, "image/png", "image/png"),
    ],
)
def test_a_file_goes_out_with_its_media_type_where_the_api_takes_it(upload: Any, described: str, sent: str) -> None:
    assert posted(Content(described, FILE), upload)[1] == sent


def test_a_part_of_bytes_is_a_file_with_a_name_whatever_is_in_it() -> None:
    content = Content(MULTIPART, members(f=FILE, note=STRING), {"f": PartEncoding("text/csv"), "note": PartEncoding()})
    body, media_type = posted(content, {"f": {"text": "a,b\r\n", "filename": "counts.csv"}, "note": "x"})
    file, note = parts_of(body, media_type)
    assert (file.get_filename(), file.get_content_type(), file.get_payload(decode=True)) == (
        "counts.csv",
        "text/csv",
        b"a,b\r\n",
    )
    assert note.get_filename() is None


def test_a_part_takes_one_of_the_media_types_that_are_named() -> None:
    content = Content(MULTIPART, members(f=FILE), {"f": PartEncoding("image/png, image/jpeg")})
    sent = [{"data": ""}, {"data": "", "mediaType": "image/jpeg"}]
    assert [parts_of(*posted(content, {"f": upload}))[0]["Content-Type"] for upload in sent] == [
        "image/png",
        "image/jpeg",
    ]
    with pytest.raises(RequestUnusable, match="image/png or image/jpeg"):
        posted(content, {"f": {"data": "", "mediaType": "text/html"}})


@pytest.mark.parametrize(
    "upload",
    [
        {},
        {"data": "", "text": ""},
        {"data": "%%%"},
        {"data": "a"},
        {"data": 3},
        {"data": "", "mediaType": "image"},
        {"data": "", "mediaType": "image/png\r\nX: y"},
        {"data": "", "mediaType": "image/*"},
        {"data": "", "filename": "../x"},
        {"data": "", "filename": "a\\b"},
        {"data": "", "filename": 'a"; x="b'},
        {"data": "", "filename": "a\r\nb"},
        {"data": "", "filename": ".."},
        [],
        3,
        None,
    ],
)
def test_what_is_no_file_is_refused(upload: Any) -> None:
    with pytest.raises(RequestUnusable):
        posted(Content("*/*", FILE), upload)


def test_the_schema_of_a_body_has_uploads_where_files_go() -> None:
    schema = {
        "allOf": [{"$ref": "#/$defs/Base"}],
        "properties": {"files": {"type": "array", "items": FILE, "maxItems": 2}, "xml": OBJECT},
        "required": ["file"],
    }
    defs = {"Base": members(note=STRING, file={**FILE, "description": "The picture"})}
    content = Content(MULTIPART, schema, {"xml": PartEncoding("application/xml")})
    made = input_of(content, defs, max_bytes=30)
    assert list(made["properties"]) == ["note", "file", "files", "xml"]
    assert made["required"] == ["file"]
    assert made["properties"]["file"]["description"] == "The picture"
    assert made["properties"]["file"]["properties"]["data"]["maxLength"] == 40
    assert made["properties"]["files"]["maxItems"] == 2
    assert made["properties"]["xml"] == STRING
    checked = Schema(made)
    assert checked.problems({"file": {"data": "eA=="}, "files": [{"text": "x"}], "xml": "<a/>"}) == []
    assert checked.problems({"file": "eA=="})


@pytest.mark.parametrize(
    ("content", "schema"),
    [
        (Content("application/json", OBJECT), OBJECT),
        (
            Content("application/xml", OBJECT),
            {"type": "string", "description": "The body as it is sent, application/xml"},
        ),
        (Content("text/plain", {"type": "integer"}), {"type": "integer"}),
        (Content(MULTIPART, members(a=STRING)), members(a=STRING)),
    ],
)
def test_the_schema_of_a_body_stays_as_described_where_it_can(content: Content, schema: Any) -> None:
    assert input_of(content, {}, max_bytes=MAX) == schema


def test_a_schema_that_holds_itself_is_read_to_an_end() -> None:
    schemas = {"A": {"allOf": [{"$ref": "#/$defs/A"}]}, "B": {"$ref": "#/$defs/B"}}
    for name in schemas:
        assert posted(Content(FORM, {"$ref": f"#/$defs/{name}"}), {"a": 1}, schemas)[0] == b"a=1"


# ── text and XML ──


@pytest.mark.parametrize("media_type", ["text/plain", "text/csv; header=present", "application/xml", "image/svg+xml"])
def test_text_goes_out_as_it_is(media_type: str) -> None:
    assert posted(Content(media_type, STRING), "<ü>\r\n") == ("<ü>\r\n".encode(), media_type)


def test_text_is_written_in_the_charset_that_is_described() -> None:
    latin = Content("text/plain; charset=ISO-8859-1", STRING)
    assert posted(latin, "ü")[0] == b"\xfc"
    with pytest.raises(RequestUnusable, match="iso-8859-1"):
        posted(latin, "€")
    with pytest.raises(ValueError, match="charset"):
        tool_for(operation(method="POST"), Content("text/plain; charset=utf-16", STRING))


@pytest.mark.parametrize("value", [{}, [], None])
def test_a_text_body_is_a_text(value: Any) -> None:
    with pytest.raises(RequestUnusable):
        posted(Content("text/plain", STRING), value)


# ── size ──


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (Content("application/json", {}), {"a": "x" * MAX}),
        (Content(FORM, OBJECT), {"a": "x" * MAX}),
        (Content(MULTIPART, OBJECT), {"a": "x" * MAX}),
        (Content("text/plain", STRING), "x" * (MAX + 1)),
        (Content("image/png", FILE), {"data": b64(b"x" * (MAX + 1))}),
        (Content("image/png", FILE), {"text": "x" * (4 * MAX)}),
    ],
)
def test_a_body_that_grows_too_long_is_refused(content: Content, value: Any) -> None:
    with pytest.raises(RequestUnusable, match=r"more than 262144|too long"):
        posted(content, value)


def test_a_body_of_just_the_length_is_sent() -> None:
    assert len(posted(Content("image/png", FILE), {"data": b64(b"x" * MAX)})[0]) == MAX


def test_an_absent_body_is_no_body() -> None:
    request = send(tool_for(operation(method="POST"), Content("application/json", OBJECT), sending=SENDING))
    assert (request.body, request.headers) == (None, ())


# ── tool files ──


def posted_by_file(request: dict[str, Any], properties: dict[str, Any], **arguments: Any) -> tuple[bytes, str]:
    sent = send(calling({"method": "POST", **request}, properties), **arguments)
    assert sent.body is not None
    return sent.body, dict(sent.headers)["Content-Type"]


@pytest.mark.parametrize(
    ("encoding", "media_type"),
    [
        ("merge-patch", "application/merge-patch+json"),
        ("json-patch", "application/json-patch+json"),
        ("json", "application/json"),
    ],
)
def test_a_file_sends_patches_as_what_they_are(encoding: str, media_type: str) -> None:
    sent = posted_by_file({"encoding": encoding, "body": [{"op": "remove", "path": "$p"}]}, {"p": STRING}, p="/a")
    assert sent == (b'[{"op":"remove","path":"/a"}]', media_type)


def test_a_file_names_a_media_type_of_its_own() -> None:
    request = {"mediaType": "application/vnd.api+json; profile=x", "body": {"a": "$a"}}
    assert posted_by_file(request, {"a": STRING}, a="b") == (b'{"a":"b"}', "application/vnd.api+json; profile=x")


def test_a_file_sends_text_and_xml() -> None:
    assert posted_by_file({"encoding": "xml", "body": "$a"}, {"a": STRING}, a="<a/>") == (b"<a/>", "application/xml")
    assert posted_by_file({"encoding": "text", "body": "$a"}, {"a": STRING}, a="ü") == (
        "ü".encode(),
        "text/plain; charset=utf-8",
    )


def test_a_file_sends_uploads_as_parts_and_as_whole_bodies() -> None:
    request = {
        "encoding": "multipart",
        "body": {
            "photo": "$photo",
            "more": "$more",
            "about": {"by": {"from": "user.sub"}, "tags": "$tags"},
            "ids": "$ids",
        },
        "uploads": {"photo": ["image/png", "image/*"], "more": []},
        "style": {"ids": "comma"},
    }
    properties = {
        "photo": {"description": "The picture"},
        "more": {"type": "array"},
        "tags": {},
        "ids": {"type": "array"},
    }
    tool = calling({"method": "POST", **request}, properties)
    tool.validate({"photo": {"data": "eA=="}, "more": [{"text": "x"}]})
    assert tool.input_schema["properties"]["photo"]["description"] == "The picture"
    sent = posted_by_file(request, properties, photo={"data": "eA=="}, more=[{"text": "y"}], tags=["a"], ids=[1, 2])
    assert starlette_form(*sent) == [
        ("photo", (b"x", "photo", "image/png")),
        ("more", (b"y", "more", "text/plain; charset=utf-8")),
        ("about", '{"by":"alice","tags":["a"]}'),
        ("ids", "1,2"),
    ]
    binary = {"encoding": "binary", "body": "$photo", "uploads": {"photo": ["image/*"]}}
    assert posted_by_file(binary, {"photo": {}}, photo={"data": "eA==", "mediaType": "image/gif"}) == (
        b"x",
        "image/gif",
    )


def test_a_file_sends_cookies_as_they_are() -> None:
    tool = calling({"cookies": {"theme": "$theme", "by": {"from": "user.sub"}, "n": 1}}, {"theme": STRING})
    assert dict(send(tool, theme="dark").headers) == {"Cookie": "theme=dark; by=alice; n=1"}
    assert dict(send(tool).headers) == {"Cookie": "by=alice; n=1"}
    with pytest.raises(RequestUnusable):
        send(tool, theme="a; admin=1")


def test_a_tools_own_limit_takes_the_place_of_the_upstreams() -> None:
    request = {"method": "POST", "body": "$a"}
    tool = calling(request, {"a": STRING}, limits={"maxRequestBytes": "10B"})
    assert send(tool, a="12345678").body == b'"12345678"'
    with pytest.raises(RequestUnusable, match="more than 10 bytes"):
        send(tool, a="123456789")


def test_renamed_members_go_out_by_their_wire_names_at_every_depth() -> None:
    tree = Renames({"filter": ("$filter", None)})
    tree.members["children"] = ("@children", Renames(items=tree))
    described = operation(method="POST")
    plan = plan_of(described, Bindings(body=Argument("body", tree)), Content("application/json", {}), {}, SENDING)
    value = {"filter": 1, "other": 2, "children": [{"filter": 3, "children": []}]}
    assert json.loads(send(replace(tool_of(), plan=plan), body=value).body or b"") == {
        "$filter": 1,
        "other": 2,
        "@children": [{"$filter": 3, "@children": []}],
    }


def test_flat_arguments_make_a_body_without_those_that_are_absent() -> None:
    content = Content(FORM, members(**{"a[]": {"type": "array"}, "b": STRING}))
    bindings = Bindings(body={"a[]": Argument("a"), "b": Argument("b_body"), "kind": Fixed("x")})
    tool = replace(tool_of(), plan=plan_of(operation(method="POST"), bindings, content, {}, SENDING))
    assert send(tool, a=[1, 2]).body == b"a%5B%5D=1&a%5B%5D=2&kind=x"
