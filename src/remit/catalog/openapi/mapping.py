"""Operations of a description → what tools are made of: what the model sees and where its arguments go (rule)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.catalog.openapi.contents import input_of, kind_of, properties_of, resolved
from remit.catalog.openapi.description import Content, Description, JsonSchema, Location, Operation, Parameter
from remit.catalog.openapi.graph import SchemaGraph
from remit.catalog.openapi.naming import Keys, distinct_keys, key_of, words_of
from remit.catalog.openapi.profile import PROFILES, Level, ProfileName, Renderer, TooLarge, size_of
from remit.catalog.openapi.prose import plain
from remit.catalog.openapi.renaming import Renaming, Tangled
from remit.catalog.openapi.wire import Bindings, may_be_set
from remit.catalog.plan import Argument, Binding, Fixed

#: A body of more members is one argument.
MAX_FLAT: Final = 12
#: The argument that holds a body as a whole.
BODY: Final = "body"
MAX_TITLE: Final = 100
MIN_DESCRIPTION: Final = 20
_DEPRECATED: Final = " Deprecated: rather use another tool."

#: What the list of tools has around a title, a description and a schema: the name, the annotations, the keys.
_FRAME_BYTES: Final = 320
_LOCATIONS: Final[tuple[Location, ...]] = ("path", "query", "header", "cookie")
_KINDS: Final = ("json", "form", "multipart", "text", "binary")
#: A body with nothing else in its schema can be written as arguments of their own.
_FLAT: Final = frozenset({"type", "title", "description", "properties", "required", "additionalProperties"})

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})

#: A parameter, by its location and its name on the wire.
_Place = tuple[Location, str]


class Unmappable(ValueError):
    """No tool can be made of an operation; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """An operation as a tool. ``input`` is shared and not to be changed; ``cut``: what its schemas had to lose."""

    operation: Operation
    title: str
    description: str
    input: JsonSchema = field(repr=False)
    bindings: Bindings = field(repr=False)
    content: Content | None = field(repr=False)
    cut: str = ""


class Mapper:
    """Maps the operations of one description."""

    def __init__(self, description: Description, profile: ProfileName = "portable") -> None:
        self.schemas = description.schemas
        self._profile = PROFILES[profile]
        self._graph = SchemaGraph(description.schemas, description.operations)
        self._keys = Keys(self._graph.members)
        self._renderers: dict[Level, Renderer] = {}

    def map(self, operation: Operation, *, max_bytes: int = 256 * 1024) -> Mapped:
        """The operation as a tool whose files have at most ``max_bytes``. Raises ``Unmappable``."""
        if operation.method == "HEAD":
            raise Unmappable("its answers have no body")
        title, description = titled(operation), described(operation, self._profile.description)
        content = chosen(operation, self.schemas)
        whole = _one_step(input_of(content, self.schemas, max_bytes=max_bytes), self.schemas) if content else None
        room = self._profile.max_bytes - _FRAME_BYTES - size_of(title) - size_of(description)
        for level in self._profile.levels:
            renderer = self._renderer(level)
            try:
                draft = _Draft.of(operation, whole, renderer)
                definitions = renderer.definitions_of(draft.sources, room)
            except TooLarge:
                continue
            made = {**draft.input, "$defs": definitions} if definitions else draft.input
            if renderer.size(made) <= room:
                return Mapped(
                    operation, title, description, made, self._bindings(draft, definitions), content, level.cuts
                )
        raise Unmappable(f"its arguments take more than {self._profile.max_bytes} bytes in the list of tools")

    def _bindings(self, draft: _Draft, definitions: Mapping[str, JsonSchema]) -> Bindings:
        try:
            return draft.bindings(Renaming(self._keys, definitions))
        except Tangled as error:
            raise Unmappable(str(error)) from None

    def _renderer(self, level: Level) -> Renderer:
        if level not in self._renderers:
            self._renderers[level] = Renderer(self.schemas, self._graph, self._keys, level, self._profile.max_bytes)
        return self._renderers[level]


def titled(operation: Operation) -> str:
    """The summary, or the words of the operationId, or the method and path."""
    said = plain(operation.summary, MAX_TITLE).rstrip(".") or words_of(operation.id).replace("_", " ").capitalize()
    return plain(said or f"{operation.method} {operation.path}", MAX_TITLE)


def described(operation: Operation, limit: int) -> str:
    """What the operation does, for a model: its summary and its description, or at least its method and path."""
    limit -= len(_DEPRECATED) if operation.deprecated else 0
    summary, text = plain(operation.summary, limit), plain(operation.description, limit)
    if text.casefold().startswith(summary.casefold().rstrip(".")) or not summary:
        said = text
    else:
        said = plain(f"{summary.rstrip('.')}. {text}", limit)
    if len(said) < MIN_DESCRIPTION:
        request = plain(f"Calls {operation.method} {operation.path} of the API.", 300)
        said = f"{said.rstrip('.')}. {request}" if said else request
    return f"{said}{_DEPRECATED}" if operation.deprecated else said


def chosen(operation: Operation, schemas: Mapping[str, JsonSchema]) -> Content | None:
    """The form in which the body is sent: rather JSON than a form, and rather one that says what is in it."""
    contents = operation.body.contents if operation.body else ()
    ranked = sorted(contents, key=lambda content: _rank(content, schemas))  # stable: the first of equals
    return ranked[0] if ranked else None


def _rank(content: Content, schemas: Mapping[str, JsonSchema]) -> tuple[int, int, int]:
    kind = _KINDS.index(kind_of(content, schemas))
    is_plain = content.media_type.partition(";")[0].strip().lower() == "application/json"
    says_nothing = not content.schema and kind < _KINDS.index("text")
    return int(says_nothing), kind, int(not is_plain)


def _one_step(schema: JsonSchema, schemas: Mapping[str, JsonSchema]) -> JsonSchema:
    """The body's own schema, also where it is recursive."""
    return resolved(schema, schemas) if schema.keys() == {"$ref"} else schema


# ── arguments ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Draft:
    """The arguments of one operation at one level.

    ``input`` has no ``$defs`` yet; ``sources`` are the schemas it is made of. ``places``: what the argument of a
    parameter is called. ``members``: argument → name on the wire; empty where the body is one argument, or none.
    """

    operation: Operation
    input: JsonSchema
    sources: tuple[JsonSchema, ...]
    places: Mapping[_Place, str]
    fixed: Mapping[_Place, Any]
    members: Mapping[str, str]

    @classmethod
    def of(cls, operation: Operation, whole: JsonSchema | None, renderer: Renderer) -> _Draft:
        """Decide which arguments there are, what they are called and what they look like. ``whole``: of the body."""
        asked, fixed = _asked(operation, renderer.schemas)
        body = None if whole is None else renderer.written_out(whole)
        members = _flat(operation, body or {}, {key_of(name) for _, name in asked})
        own = members or (() if body is None else (BODY,))
        places = distinct_keys({place: (place[1], place[0]) for place in asked}, tuple(own))
        properties = {places[at]: renderer.argument(each.schema, each.description) for at, each in asked.items()}
        required = [places[at] for at, each in asked.items() if each.required]
        if body is not None and whole is not None and operation.body is not None:
            described = properties_of(whole, renderer.schemas)
            for key, member in members.items():
                properties[key] = renderer.labelled(member, described.get(renderer.wire_name(key), {}))
            if not members:
                properties[BODY] = renderer.labelled(body, whole, operation.body.description)
            required += body.get("required", ()) if members else [BODY] if operation.body.required else ()
        schema: JsonSchema = {"type": "object", "properties": properties, "required": required}
        made = {**{key: value for key, value in schema.items() if value != []}, "additionalProperties": False}
        sources = (*(each.schema for each in asked.values()), *(() if whole is None else (whole,)))
        return cls(operation, made, sources, places, fixed, {key: renderer.wire_name(key) for key in members})

    def bindings(self, renaming: Renaming) -> Bindings:
        """Where each argument goes."""
        properties = self.input["properties"]
        parameters: dict[_Place, Binding] = {place: Fixed(value) for place, value in self.fixed.items()}
        for place, key in self.places.items():
            parameters[place] = Argument(key, renaming.of(properties[key]))
        if self.members:
            members = {wire: Argument(key, renaming.of(properties[key])) for key, wire in self.members.items()}
            return Bindings(parameters, members)
        is_body = self.operation.body is not None and BODY in properties
        return Bindings(parameters, Argument(BODY, renaming.of(properties[BODY])) if is_body else None)


def _asked(
    operation: Operation, schemas: Mapping[str, JsonSchema]
) -> tuple[dict[_Place, Parameter], dict[_Place, Any]]:
    """The parameters that arguments are made of, required ones first in each location; and the values of the others."""
    ordered = sorted(
        filter(may_be_set, operation.parameters),
        key=lambda each: (_LOCATIONS.index(each.location), not each.required),
    )
    places: dict[_Place, Parameter] = {(each.location, each.name): each for each in ordered}
    fixed = {place: value for place, each in places.items() for value in _only_value(each, schemas)}
    return {place: each for place, each in places.items() if place not in fixed}, fixed


def _only_value(parameter: Parameter, schemas: Mapping[str, JsonSchema]) -> Iterator[Any]:
    """The value of a required parameter that can have but one: nobody has to be asked for it."""
    schema = resolved(parameter.schema, schemas)
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    if parameter.required and len(values) == 1 and isinstance(values[0], str | int | float):
        yield values[0]


def _flat(operation: Operation, body: JsonSchema, taken: set[str]) -> Mapping[str, JsonSchema]:
    """The members of a body that become arguments of their own; none where the body is one argument.

    An object that says nothing of other members is taken for closed: that is the default of JSON Schema, and hardly
    ever meant as an invitation. That a body may be left out is believed of ``GET`` and ``DELETE``, where it stays one
    argument; of other methods it is what OpenAPI takes for said where nobody says it.
    """
    members: Mapping[str, JsonSchema] = body.get("properties", {})
    required = set(body.get("required", ()))
    is_closed = body.keys() <= _FLAT and body.get("type", "object") == "object" and not body.get("additionalProperties")
    is_needed = operation.body is not None and (operation.body.required or operation.method in _WITH_BODY)
    fits = len(members) <= MAX_FLAT and required <= members.keys() and taken.isdisjoint(members)
    return members if is_closed and is_needed and fits else {}
