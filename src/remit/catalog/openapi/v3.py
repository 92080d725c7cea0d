"""What OpenAPI 3.0, 3.1 and 3.2 say in their own way (rule)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, get_args

from remit.catalog.openapi.description import Body, Content, JsonSchema, Parameter, PartEncoding, Response, Style
from remit.catalog.openapi.parameters import Unreadable, parameter_of
from remit.catalog.openapi.reading import Reading
from remit.catalog.openapi.references import Place
from remit.catalog.openapi.schemas import SchemaTable

#: What is taken of the media types of one body.
MAX_CONTENTS: Final = 50
_STATUS: Final = re.compile(r"[1-5](?:[0-9]{2}|XX)|default", re.IGNORECASE)
_MEDIA_TYPE: Final = re.compile(r"[^\s/;,]+/[^\s/;,]+\s*(?:;[^\r\n]*)?")
_FORM: Final = "application/x-www-form-urlencoded"
#: Media types whose members are written one by one.
_WITH_MEMBERS: Final = (_FORM, "multipart/")
_STYLES: Final[tuple[Style, ...]] = get_args(Style)


@dataclass(frozen=True, slots=True)
class Version3:
    """OpenAPI 3.x; see :class:`remit.catalog.openapi.reading.Version`."""

    reading: Reading

    @property
    def schemes(self) -> Place:
        """Where the security schemes stand."""
        return self.reading.references.root.at("components", "securitySchemes")

    def servers(self, place: Place) -> tuple[str, ...]:
        """The URLs of ``servers``, each variable at its default."""
        urls = (_filled(server) for server in place.at("servers").items())
        return tuple(dict.fromkeys(filter(None, urls)))

    def parameters(self, places: list[Place]) -> list[Parameter]:
        """All parameters. Raises ``Unreadable``, ``Dangling``."""
        found: list[Parameter] = []
        for place in places:
            if place.text("in") == "querystring":
                found += self._members_of_query(place)
            else:
                found.append(parameter_of(self._with_content(place), self.reading.requests, self.reading.notebook))
        return found

    def _with_content(self, place: Place) -> Place:
        """The parameter with the references among its media types (3.2) followed."""
        content = {name: self.reading.follow(child).value for name, child in place.at("content").members()}
        return Place(place.file, place.pointer, {**place.mapping, "content": content}) if content else place

    def body(self, operation: Place, parameters: list[Place]) -> Body | None:
        """The request body. Raises ``Dangling``."""
        del parameters
        place = self.reading.follow(operation.at("requestBody"))
        contents = tuple(self._contents(place, self.reading.requests))
        return Body(place.flag("required"), contents, place.text("description")) if contents else None

    def responses(self, operation: Place) -> tuple[Response, ...]:
        """What may be answered."""
        found = []
        for status, child in self.reading.follow_if_any(operation.at("responses")).members():
            if normal := normal_status(status):
                place = self.reading.follow_if_any(child)
                contents = tuple(self._contents(place, self.reading.responses))
                found.append(Response(normal, place.text("description"), contents))
        return tuple(found)

    # ── contents ──

    def _contents(self, place: Place, schemas: SchemaTable) -> Iterator[Content]:
        for media_type, child in islice(self.reading.follow_if_any(place.at("content")).members(), MAX_CONTENTS):
            if not is_media_type(media_type):
                self.reading.notebook.add(child, "left out: its name is no media type")
                continue
            content = self.reading.follow_if_any(child)
            yield Content(media_type.strip(), self._schema(content, schemas), self._encodings(media_type, content))

    def _schema(self, content: Place, schemas: SchemaTable) -> JsonSchema:
        """The schema; of one item after the other (3.2), that of the list of them."""
        if "schema" in content.mapping:
            return schemas.read(content.at("schema"))
        if "itemSchema" in content.mapping:
            return {"type": "array", "items": schemas.read(content.at("itemSchema"))}
        return {}

    def _encodings(self, media_type: str, content: Place) -> dict[str, PartEncoding]:
        if not media_type.strip().lower().startswith(_WITH_MEMBERS):
            return {}
        return {name: self._encoding(child) for name, child in content.at("encoding").members()}

    def _encoding(self, place: Place) -> PartEncoding:
        """As a parameter in the query as soon as anything is said about that, else by content type."""
        explode = place.mapping.get("explode")
        style: Style | None = None
        if any(key in place.mapping for key in ("style", "explode", "allowReserved")):
            style = next((known for known in _STYLES if known == place.text("style")), "form")
        return PartEncoding(
            content_type=place.text("contentType"),
            style=style,
            explode=explode if isinstance(explode, bool) else style in {None, "form"},
            allow_reserved=place.flag("allowReserved"),
            headers=dict(self._part_headers(place.at("headers"))),
        )

    def _part_headers(self, headers: Place) -> Iterator[tuple[str, str]]:
        for name, child in headers.members():
            place = self.reading.follow_if_any(child)
            value = _only_value(self.reading.follow_if_any(place.at("schema")).mapping)
            if name.lower() == "content-type":
                continue
            if value is None:
                self.reading.notebook.add(
                    child, f"the header {name[:60]} of a part is left out: its value is not fixed"
                )
            else:
                yield name, value if isinstance(value, str) else json.dumps(value)

    # ── the whole query as one parameter (3.2) ──

    def _members_of_query(self, place: Place) -> Iterator[Parameter]:
        """A form that makes up the whole query is one parameter for each of its members."""
        for media_type, child in place.at("content").members():
            content = self.reading.follow(child)
            schema = self.reading.follow(content.at("schema"))
            if media_type.strip().lower() != _FORM or not schema.at("properties").mapping:
                break
            encodings = self._encodings(media_type, content)
            required = schema.texts("required") if place.flag("required") else ()
            for name, member in schema.at("properties").members():
                parameter = self._member_of_query(name, member, encodings.get(name, PartEncoding()))
                yield replace(parameter, required=name in required)
            return
        raise Unreadable(f"the query at {place.where} is not described as a form with named members")

    def _member_of_query(self, name: str, place: Place, encoding: PartEncoding) -> Parameter:
        return Parameter(
            name=name,
            location="query",
            required=False,
            schema=self.reading.requests.read(place),
            style=encoding.style or "form",
            explode=encoding.explode,
            allow_reserved=encoding.allow_reserved,
            media_type=encoding.content_type if encoding.style is None else "",
        )


def normal_status(status: str) -> str:
    """``200``, ``4XX`` or ``default``; empty for a key that is no status."""
    if not _STATUS.fullmatch(status):
        return ""
    return status.lower() if status[0] in "dD" else status.upper()


def is_media_type(text: str) -> bool:
    """Whether this is ``type/subtype``, with or without parameters."""
    return _MEDIA_TYPE.fullmatch(text.strip()) is not None


def _filled(server: Place) -> str:
    """The server's URL with its variables' defaults, or the first value of those that have none."""
    url = server.text("url")
    for name, variable in server.at("variables").members():
        default = variable.mapping.get("default")
        choices = variable.mapping.get("enum")
        if default is None and isinstance(choices, list) and choices:
            default = choices[0]
        if isinstance(default, str | int | float):
            url = url.replace(f"{{{name}}}", str(default))
    return url


def _only_value(schema: dict[str, Any]) -> Any:
    """The one value that a schema takes or proposes, ``None`` where there is none."""
    choices = schema.get("enum")
    only = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    value = schema.get("const", schema.get("default", only))
    return value if isinstance(value, str | int | float) else None
