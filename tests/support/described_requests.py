"""Tells where a request is not as an API description says, for the descriptions of the sample company.

It reads with Werkzeug, urllib and jsonschema, and shares nothing with what writes the requests: simple path parameters,
query parameters as forms, JSON and multipart bodies, in 2.0, 3.0 and 3.1. What it does not know is a fault too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import yaml
from jsonschema import Draft202012Validator
from werkzeug.formparser import parse_form_data

#: Header fields that every HTTP client sends, and those of this product.
_USUAL = frozenset(
    [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "user-agent",
        "x-request-id",
    ]
)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Seen:
    """One request as it came, header names in lower case, and the status of its answer. ``path`` is still encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int


class Described:
    """The description in that file."""

    def __init__(self, file: Path) -> None:
        self._root = self._inline(yaml.safe_load(file.read_text(encoding="utf-8")))

    def faults(self, seen: Seen) -> list[str]:
        """Everything about the request that the description does not know, or knows otherwise."""
        found = [(path, item) for path, item in self._root["paths"].items() if _pattern(path).fullmatch(seen.path)]
        if len(found) != 1 or seen.method.lower() not in found[0][1]:
            return [f"no operation, or several: {seen.method} {seen.path}"]
        ((path, item),) = found
        return list(_Operation(item, seen, path, self._root).faults())

    def _inline(self, root: Any) -> Any:
        """With every reference replaced by what it leads to; none of them leads back."""

        def inlined(node: Any) -> Any:
            if isinstance(node, list):
                return [inlined(item) for item in node]
            if not isinstance(node, dict):
                return node
            if "$ref" not in node:
                return {key: inlined(value) for key, value in node.items()}
            place = root
            for step in node["$ref"].removeprefix("#/").split("/"):
                place = place[step]
            return inlined(place)

        return inlined(root)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/?#]+)", re.escape(path)))


class _Operation:
    def __init__(self, item: dict[str, Any], seen: Seen, path: str, root: dict[str, Any]) -> None:
        self._operation = item[seen.method.lower()]
        parameters = [*item.get("parameters", []), *self._operation.get("parameters", [])]
        self._parameters = {(each["in"], each["name"].lower()): each for each in parameters}
        self._seen = seen
        self._path = path
        self._root = root

    def faults(self) -> Iterator[str]:
        yield from self._faults_of_path()
        yield from self._faults_of_query()
        yield from self._faults_of_headers()
        yield from self._faults_of_body()
        if str(self._seen.status) not in self._operation["responses"]:
            yield f"answered {self._seen.status}, which is not described"

    def _faults_of_path(self) -> Iterator[str]:
        match = _pattern(self._path).fullmatch(self._seen.path)
        assert match
        for name, value in match.groupdict().items():
            yield from self._faults_of_value("path", name, unquote(value, errors="strict"))

    def _faults_of_query(self) -> Iterator[str]:
        pairs = parse_qsl(self._seen.query, keep_blank_values=True, strict_parsing=bool(self._seen.query))
        names = [name for name, _ in pairs]
        for name, value in pairs:
            yield from self._faults_of_value("query", name, value)
        yield from (f"{name} stands there twice" for name in set(names) if names.count(name) > 1)
        yield from self._missing("query", names)

    def _faults_of_headers(self) -> Iterator[str]:
        names = [name for name in self._seen.headers if name not in _USUAL]
        for name in names:
            yield from self._faults_of_value("header", name, self._seen.headers[name])
        yield from self._missing("header", names)

    def _missing(self, location: str, names: list[str]) -> Iterator[str]:
        for (place, name), parameter in self._parameters.items():
            if place == location and parameter.get("required") and name not in map(str.lower, names):
                yield f"{location} {name} is missing"

    def _faults_of_value(self, location: str, name: str, text: str) -> Iterator[str]:
        parameter = self._parameters.get((location, name.lower()))
        if parameter is None or (location != "header" and parameter["name"] != name):
            yield f"{location} {name} is not described"
            return
        schema = _schema_of(parameter)
        if schema["type"] == "array":
            assert parameter["explode"] is False
            value: Any = [_value(word, schema["items"]) for word in text.split(",")]
        else:
            value = _value(text, schema)
        yield from _invalid(value, schema, f"{location} {name}")

    # ── bodies ──

    @cached_property
    def _contents(self) -> Mapping[str, Any]:
        """What the body may be: media type → how it is."""
        in_body = [each for (location, _), each in self._parameters.items() if location == "body"]
        if in_body:
            return {media: {"schema": in_body[0]["schema"]} for media in self._root["consumes"]}
        contents: Mapping[str, Any] = self._operation.get("requestBody", {}).get("content", {})
        return contents

    def _faults_of_body(self) -> Iterator[str]:
        media = self._seen.headers.get("content-type", "")
        if not self._contents:
            if media or self._seen.body:
                yield "a body is not described"
            return
        content = self._contents.get(media.partition(";")[0])
        if content is None:
            yield f"{media} is not described"
        elif media.startswith("multipart/"):
            yield from self._faults_of_form(content, media)
        else:
            yield from _invalid(json.loads(self._seen.body), content["schema"], "body")

    def _faults_of_form(self, content: Any, media: str) -> Iterator[str]:
        environ = {
            "wsgi.input": BytesIO(self._seen.body),
            "CONTENT_TYPE": media,
            "CONTENT_LENGTH": str(len(self._seen.body)),
            "REQUEST_METHOD": "POST",
        }
        _, fields, files = parse_form_data(environ, silent=False)
        for name, file in files.items(multi=True):
            if content["schema"]["properties"].get(name, {}).get("format") != "binary":
                yield f"{name} is no file"
            elif file.content_type != content["encoding"][name]["contentType"]:
                yield f"{name} is {file.content_type}"
            file.close()
        parts = [*fields.items(multi=True), *((name, "a file") for name, _ in files.items(multi=True))]
        if len(dict(parts)) != len(parts):
            yield "a part stands there twice"
        yield from _invalid(dict(parts), content["schema"], "form")


def _schema_of(parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    """In 2.0 a parameter is a schema itself, with more in it."""
    own = {key: value for key, value in parameter.items() if key not in {"required", "in", "name"}}
    schema: Mapping[str, Any] = parameter.get("schema", own)
    return schema


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    return int(text) if schema["type"] == "integer" and _NUMBER.fullmatch(text) else text


def _invalid(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    checker = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    yield from (f"{where}: {fault.message[:200]}" for fault in checker.iter_errors(value))
