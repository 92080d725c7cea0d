"""Parameter Objects of 3.x and the non-body parameters of Swagger 2.0 (rule)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, get_args

from remit.catalog.openapi.description import Location, Parameter, Style
from remit.catalog.openapi.references import Place
from remit.catalog.openapi.schemas import Notebook, SchemaTable

LOCATIONS: Final[tuple[Location, ...]] = get_args(Location)
#: Never parameters: the media types and the token say what these hold (3.x, Parameter Object).
_IGNORED_HEADERS: Final = frozenset({"accept", "content-type", "authorization"})
MAX_PARAMETERS: Final = 500
_SCALARS: Final = ("string", "number", "integer", "boolean")
#: The first is the default.
_STYLES: Final[dict[Location, tuple[Style, ...]]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form", "cookie"),
}
_COLLECTIONS: Final[dict[str, Style]] = {
    "ssv": "spaceDelimited",
    "tsv": "tabDelimited",
    "pipes": "pipeDelimited",
}


class Unreadable(Exception):
    """An operation cannot be read; ``reason`` is for the operator."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def merged(shared: Iterable[Place], own: Iterable[Place], notebook: Notebook) -> list[Place]:
    """The path's parameters and the operation's, which take precedence: one for each name and location.

    The places are of Parameter Objects, references already followed.
    """
    by_key: dict[tuple[str, str], Place] = {}
    for place in (*shared, *own):
        name, location = place.mapping.get("name"), place.text("in")
        if not isinstance(name, str) or not name:
            raise Unreadable(f"the parameter at {place.where} has no name")
        if location == "header":
            name = name.lower()
            if name in _IGNORED_HEADERS:
                notebook.add(place, f"the header {name} is no parameter: the request says it itself")
                continue
        by_key[name, location] = place
    if len(by_key) > MAX_PARAMETERS:
        raise Unreadable(f"it has more than {MAX_PARAMETERS} parameters")
    return list(by_key.values())


def parameter_of(place: Place, schemas: SchemaTable, notebook: Notebook) -> Parameter:
    """The parameter at ``place``, in the manner of 3.x or of 2.0, as it is written. Raises ``Unreadable``."""
    location = _location_of(place)
    schema, media_type = _schema_of(place)
    style, explode = style_of(place, location, notebook)
    read = schemas.read(schema)
    return Parameter(
        name=place.mapping["name"],
        location=location,
        required=location == "path" or place.flag("required"),
        schema=read,
        description=place.text("description"),
        style=style,
        explode=_explodes(style) if read.get("type") in _SCALARS else explode,
        allow_reserved=place.flag("allowReserved"),
        media_type=media_type,
        deprecated=place.flag("deprecated"),
    )


def _location_of(place: Place) -> Location:
    for location in LOCATIONS:
        if place.text("in") == location:
            return location
    raise Unreadable(f'the parameter at {place.where} is in "{place.text("in")[:40]}", which is no place for it')


def _schema_of(place: Place) -> tuple[Place, str]:
    """Where the parameter's schema stands, and the media type of its text (empty: style and explode count)."""
    for media_type, content in place.at("content").members():
        return content.at("schema") if "schema" in content.mapping else _anything(content), media_type.strip()
    if isinstance(place.mapping.get("schema"), dict | bool):
        return place.at("schema"), ""
    return bare_schema(place), ""


def _anything(place: Place) -> Place:
    return Place(place.file, place.pointer, {})


def bare_schema(place: Place) -> Place:
    """A parameter of 2.0 is a schema itself, but for what it says as a parameter."""
    about_itself = {"required", "description", "deprecated"}
    members = {key: value for key, value in place.mapping.items() if key not in about_itself}
    return Place(place.file, place.pointer, members)


def style_of(place: Place, location: Location, notebook: Notebook) -> tuple[Style, bool]:
    """Style and explode: as written, else the defaults of the location and the version."""
    allowed = _STYLES[location]
    if place.text("collectionFormat") or "schema" not in place.mapping:
        if place.text("type") == "array":
            return collection_style(place, allowed[0])
        return allowed[0], _explodes(allowed[0])
    style = allowed[0]
    if written := place.text("style"):
        style = next((known for known in allowed if known == written), style)
        if style != written:
            notebook.add(place, f'the style "{written[:40]}" is not one of a parameter in the {location}: {style}')
    explode = place.mapping.get("explode")
    return style, explode if isinstance(explode, bool) else _explodes(style)


def _explodes(style: Style) -> bool:
    """The default of ``explode``, which says nothing about a single value."""
    return style in {"form", "cookie"}


def collection_style(place: Place, default: Style) -> tuple[Style, bool]:
    """``collectionFormat`` of 2.0 in the words of 3.x; ``default`` is the style of ``csv``."""
    written = place.text("collectionFormat")
    if written == "multi":
        return "form", True
    return _COLLECTIONS.get(written, default), False


def path_parameters(path: str, found: Iterable[Parameter], where: Place, notebook: Notebook) -> tuple[Parameter, ...]:
    """Exactly one path parameter for each variable of ``path``: missing ones are texts, others are left out."""
    variables = tuple(_variables(path))
    kept: list[Parameter] = []
    for parameter in found:
        if parameter.location == "path" and parameter.name not in variables:
            notebook.add(where, f"the path has no variable {{{parameter.name[:60]}}}: the parameter is left out")
        else:
            kept.append(parameter)
    known = {parameter.name for parameter in kept if parameter.location == "path"}
    for name in dict.fromkeys(variables):
        if name not in known:
            notebook.add(where, f"the variable {{{name[:60]}}} of the path has no parameter: taken for a text")
            kept.append(_text_variable(name))
    return tuple(kept)


def _text_variable(name: str) -> Parameter:
    return Parameter(name, "path", required=True, schema={"type": "string"}, style="simple", explode=False)


def _variables(path: str) -> Iterator[str]:
    """The names in braces. Raises ``Unreadable`` where braces do not match or hold nothing."""
    before, *parts = path.split("{")
    if "}" in before:
        raise Unreadable("the braces in its path do not match")
    for part in parts:
        name, closed, rest = part.partition("}")
        if not closed or not name or "}" in rest:
            raise Unreadable("the braces in its path do not match")
        yield name
