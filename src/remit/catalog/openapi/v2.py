"""What Swagger 2.0 says in its own way, read as it stands (rule)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from remit.catalog.openapi.description import Body, Content, JsonSchema, Parameter, PartEncoding, Response
from remit.catalog.openapi.parameters import bare_schema, collection_style, parameter_of
from remit.catalog.openapi.reading import Reading
from remit.catalog.openapi.references import Place
from remit.catalog.openapi.v3 import is_media_type, normal_status

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_BYTES: Final = "application/octet-stream"
_IN_BODY: Final = frozenset({"body", "formData"})
_SCHEMES: Final = ("https", "http")


@dataclass(frozen=True, slots=True)
class Version2:
    """Swagger 2.0; see :class:`remit.catalog.openapi.reading.Version`."""

    reading: Reading

    @property
    def schemes(self) -> Place:
        """Where the security schemes stand."""
        return self.reading.references.root.at("securityDefinitions")

    def servers(self, place: Place) -> tuple[str, ...]:
        """``host`` and ``basePath``, with TLS where that is offered. Only the description has them."""
        host, base = place.text("host"), place.text("basePath").rstrip("/")
        if not host:
            return (base,) if base else ()
        offered = place.texts("schemes")
        scheme = next((scheme for scheme in _SCHEMES if scheme in offered), _SCHEMES[0])
        return (f"{scheme}://{host}{base}",)

    def parameters(self, places: list[Place]) -> list[Parameter]:
        """All parameters but those that make up the body. Raises ``Unreadable``."""
        outside = (place for place in places if place.text("in") not in _IN_BODY)
        return [parameter_of(place, self.reading.requests, self.reading.notebook) for place in outside]

    def body(self, operation: Place, parameters: list[Place]) -> Body | None:
        """The one body parameter, or the members of a form."""
        whole = [place for place in parameters if place.text("in") == "body"]
        members = [place for place in parameters if place.text("in") == "formData"]
        if whole:
            return self._whole_body(whole[0], self._media_types(operation, "consumes") or (_JSON,))
        return self._form(members, self._media_types(operation, "consumes")) if members else None

    def responses(self, operation: Place) -> tuple[Response, ...]:
        """What may be answered."""
        produced = self._media_types(operation, "produces")
        found = []
        for status, child in self.reading.follow_if_any(operation.at("responses")).members():
            if normal := normal_status(status):
                place = self.reading.follow_if_any(child)
                found.append(Response(normal, place.text("description"), self._answers(place, produced)))
        return tuple(found)

    def _media_types(self, operation: Place, key: str) -> tuple[str, ...]:
        """The operation's list, which replaces the description's even when it is empty."""
        place = operation if isinstance(operation.mapping.get(key), list) else self.reading.references.root
        return tuple(text.strip() for text in place.texts(key) if is_media_type(text))

    def _whole_body(self, place: Place, media_types: tuple[str, ...]) -> Body:
        schema = self.reading.requests.read(place.at("schema")) if "schema" in place.mapping else {}
        contents = tuple(Content(media_type, schema) for media_type in media_types)
        return Body(place.flag("required"), contents, place.text("description"))

    def _answers(self, place: Place, produced: tuple[str, ...]) -> tuple[Content, ...]:
        if "schema" not in place.mapping:
            return ()
        schema = self.reading.responses.read(place.at("schema"))
        fallback = _BYTES if schema.get("format") == "binary" else _JSON
        return tuple(Content(media_type, schema) for media_type in produced or (fallback,))

    # ── forms ──

    def _form(self, members: list[Place], consumed: tuple[str, ...]) -> Body:
        properties = {place.mapping["name"]: self._member(place) for place in members}
        schema: JsonSchema = {"type": "object", "properties": properties}
        if required := [place.mapping["name"] for place in members if place.flag("required")]:
            schema["required"] = required
        encodings = {place.mapping["name"]: _encoding(place) for place in members if place.text("type") == "array"}
        has_file = any(place.text("type") == "file" for place in members)
        media_types = [text for text in consumed if text.lower().startswith((_FORM, _MULTIPART))]
        if has_file or not media_types:
            media_types = [text for text in media_types if text.lower().startswith(_MULTIPART)]
        media_types = media_types or [_MULTIPART if has_file else _FORM]
        return Body(bool(required), tuple(Content(text, schema, encodings) for text in media_types))

    def _member(self, place: Place) -> dict[str, Any]:
        schema = self.reading.requests.read(bare_schema(place))
        description = place.text("description")
        return {"description": description, **schema} if description else schema


def _encoding(place: Place) -> PartEncoding:
    style, explode = collection_style(place, "form")
    return PartEncoding(style=style, explode=explode)
