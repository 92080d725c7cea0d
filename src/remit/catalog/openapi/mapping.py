"""Operations of a description → what tools are made of: what the model sees and where its arguments go (rule)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.catalog.openapi.contents import input_of, kind_of, resolved
from remit.catalog.openapi.description import Content, Description, JsonSchema, Location, Operation, Parameter
from remit.catalog.openapi.graph import SchemaGraph
from remit.catalog.openapi.naming import Keys, distinct_keys, key_of
from remit.catalog.openapi.profile import PROFILES, Level, ProfileName, Renderer
from remit.catalog.openapi.prose import plain
from remit.catalog.openapi.renaming import Renaming
from remit.catalog.openapi.wire import Bindings, may_be_set
from remit.catalog.plan import Argument, Binding, Fixed

#: A body of more members is one argument.
MAX_FLAT: Final = 12
#: The argument that holds a body as a whole.
BODY: Final = "body"
MAX_TITLE: Final = 100
MIN_DESCRIPTION: Final = 20

#: What the list of tools has around a name, a title, a description and a schema.
_FRAME_BYTES: Final = 320
_LOCATIONS: Final[tuple[Location, ...]] = ("path", "query", "header", "cookie")
_KINDS: Final = ("json", "form", "multipart", "text", "binary")
#: A body with nothing else in its schema can be written as arguments of their own.
_FLAT: Final = frozenset({"type", "title", "description", "properties", "required", "additionalProperties"})


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
        profile = self._profile
        title = plain(operation.summary, MAX_TITLE)
        description = described(operation, profile.description)
        content = chosen(operation, self.schemas)
        whole = _one_step(input_of(content, self.schemas, max_bytes=max_bytes), self.schemas) if content else None
        room = profile.max_bytes - len(f"{title}{description}".encode()) * 2 - _FRAME_BYTES
        for level in profile.levels:
            renderer = self._renderer(level)
            made = _Arguments(operation, level, renderer, self._keys, whole)
            if renderer.size(made.input) <= room:
                return Mapped(operation, title, description, made.input, made.bindings(), content, level.cuts)
        raise Unmappable(f"its arguments take more than {profile.max_bytes} bytes in the list of tools")

    def _renderer(self, level: Level) -> Renderer:
        if level not in self._renderers:
            self._renderers[level] = Renderer(self.schemas, self._graph, self._keys, level)
        return self._renderers[level]


def described(operation: Operation, limit: int) -> str:
    """What the operation does, for a model: its summary and its description, or at least its method and path."""
    summary, text = plain(operation.summary, limit), plain(operation.description, limit)
    if text.casefold().startswith(summary.casefold().rstrip(".")) or not summary:
        said = text
    else:
        said = plain(f"{summary.rstrip('.')}. {text}", limit)
    if len(said) < MIN_DESCRIPTION:
        request = plain(f"Calls {operation.method} {operation.path} of the API.", 300)
        said = f"{said.rstrip('.')}. {request}" if said else request
    return said


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


@dataclass(frozen=True, slots=True)
class _Draft:
    """The arguments of one operation at one level."""

    operation: Operation
    level: Level
    renderer: Renderer
    whole: JsonSchema | None
    body: JsonSchema | None
    members: Mapping[str, JsonSchema]
    parameters: Mapping[_Place, Parameter]
    fixed: Mapping[_Place, Any]
    keys: Mapping[_Place, str]

    @classmethod
    def of(cls, operation: Operation, level: Level, renderer: Renderer, whole: JsonSchema | None) -> _Draft:
        """Decide which arguments there are, and what they are called."""
        ordered = sorted(filter(may_be_set, operation.parameters), key=lambda each: _LOCATIONS.index(each.location))
        places: dict[_Place, Parameter] = {(each.location, each.name): each for each in ordered}
        fixed = {place: value for place, each in places.items() for value in _only_value(each)}
        parameters = {place: each for place, each in places.items() if place not in fixed}
        body = renderer.written_out(whole) if whole is not None else None
        members = _flat(operation, body, {key_of(name) for _, name in parameters})
        taken = (BODY,) if body is not None and not members else ()
        keys = distinct_keys({place: (place[1], place[0]) for place in parameters}, taken)
        return cls(operation, level, renderer, whole, body, members, parameters, fixed, keys)

    def input(self) -> JsonSchema:
        """The input schema: what is required comes first among the parameters of one location."""
        properties = {self.keys[place]: self._parameter(each) for place, each in self.parameters.items()}
        required = [self.keys[place] for place, each in self.parameters.items() if each.required]
        if self.members and self.body is not None:
            properties |= {key: self._member(key, schema) for key, schema in self.members.items()}
            required += self.body.get("required", [])
        elif self.body is not None and self.operation.body is not None:
            properties[BODY] = self._labelled(self.body, self.operation.body.description)
            required += [BODY] if self.operation.body.required else []
        schema: JsonSchema = {"type": "object", "properties": properties}
        schema |= {"required": required} if required else {}
        definitions = self._definitions()
        return {**schema, "additionalProperties": False, **({"$defs": definitions} if definitions else {})}

    def bindings(self, keys: Keys) -> Bindings:
        """Where each argument goes. ``keys``: those of members."""
        renaming = Renaming(keys, self._definitions())
        parameters: dict[_Place, Binding] = {place: Fixed(value) for place, value in self.fixed.items()}
        for place in self.parameters:
            parameters[place] = Argument(self.keys[place], renaming.of(self._written_out(place)))
        if self.body is None:
            return Bindings(parameters)
        if not self.members:
            return Bindings(parameters, Argument(BODY, renaming.of(self.body)))
        members = {keys.wire.get(key, key): Argument(key, renaming.of(each)) for key, each in self.members.items()}
        return Bindings(parameters, members)
