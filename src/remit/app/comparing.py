"""Rule: what an example expects, beside what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from email import policy
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl

from remit.catalog.definition import ExpectBlock, ExpectedRequestBlock
from remit.catalog.differences import EXPECTED, differences, shown_value
from remit.catalog.tool import Tool
from remit.downstream.request import ApiRequest

_FORM = "application/x-www-form-urlencoded"


def request_failures(expected: ExpectedRequestBlock, tool: Tool, request: ApiRequest) -> Iterator[str]:
    """How the request differs from what is named of it: method, path, query, headers and body, each as a whole.

    The path is below ``baseUrl``; path and query are compared as they are encoded.
    """
    path, _, query = request.url.removeprefix(tool.plan.base_url).partition("?")
    for name, wanted, found in (
        ("method", expected.method, request.method),
        ("path", expected.path, path),
        ("query", expected.query, query),
    ):
        if wanted is not None and wanted != found:
            yield _differs(f"request.{name}", wanted, found)
    headers = {name.lower(): value for name, value in request.headers}
    for name, value in (expected.headers or {}).items():
        if headers.get(name.lower()) != value:
            yield _differs(f"request.headers.{name}", value, headers.get(name.lower()))
    if "body" in expected.model_fields_set:
        found = body_of(request.body, headers.get("content-type", ""), as_text=isinstance(expected.body, str))
        yield from _differences("request.body", expected.body, found)


def result_failures(expect: ExpectBlock, result: Any) -> Iterator[str]:
    """How the result differs from the one that is expected, if one is."""
    if "result" in expect.model_fields_set:
        yield from _differences("result", expect.result, result)


def scope_failures(expect: ExpectBlock, tool: Tool) -> Iterator[str]:
    """Scopes are a set: their order says nothing."""
    if expect.scopes is not None and set(expect.scopes) != set(tool.auth.scopes):
        yield _differs("scopes", sorted(expect.scopes), sorted(tool.auth.scopes))


def body_of(body: bytes | None, content_type: str, *, as_text: bool) -> Any:
    """A request's body to compare with: JSON; a form's or a multipart body's fields as texts; else the text.

    A field that is there several times is a list.
    """
    if body is None:
        return None
    media = content_type.partition(";")[0].strip().lower()
    if media == "multipart/form-data":
        return _fields(_parts(body, content_type))
    text = body.decode("utf-8", "backslashreplace")
    if as_text and media != "application/json":
        return text
    if media == _FORM:
        return _fields(parse_qsl(text, keep_blank_values=True))
    try:
        return json.loads(text)
    except ValueError:
        return text


def _parts(body: bytes, content_type: str) -> Iterator[tuple[str, str]]:
    whole = BytesParser(policy=policy.HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    for part in whole.iter_parts():
        content = part.get_payload(decode=True)
        text = content.decode("utf-8", "backslashreplace") if isinstance(content, bytes) else ""
        yield str(part.get_param("name", "", header="content-disposition")), text


def _fields(pairs: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> Mapping[str, Any]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _differences(at: str, expected: Any, found: Any) -> Iterator[str]:
    for line in differences(expected, found, at, limit=10, words=EXPECTED):
        yield f"{line}  (expected → found)" if " → " in line else line


def _differs(at: str, expected: Any, found: Any) -> str:
    return f"{at}: {shown_value(expected)} → {shown_value(found)}  (expected → found)"
