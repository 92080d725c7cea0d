"""A function's signature → the JSON Schema of its arguments, and what its values are turned into (rule).

A parameter whose default is ``None`` may be left out; that it may be ``None`` is then said to nobody. Named schemas are
written out, recursive ones alone stay under ``$defs``, because many clients cannot read those.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NotRequired, Union, get_args, get_origin, get_type_hints

from pydantic import PydanticUserError, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import to_jsonable_python
from typing_extensions import TypedDict

from remit.catalog.openapi.graph import SchemaGraph
from remit.errors import DefinitionInvalid
from remit.tools.vocabulary import Place

_DEFINITIONS: Final = "#/$defs/"
_DATA: Final = frozenset({"default", "examples", "const", "enum"})
_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class _Plain(GenerateJsonSchema):
    """Without the titles that pydantic makes of names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """A title is there where somebody wrote one."""
        del schema
        return False


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and gives. ``places``: where each parameter goes, as far as it is said.

    ``values`` makes the function's arguments of a call's, ``result`` is of what it returns, ``None`` for anything.
    """

    schema: dict[str, Any]
    places: Mapping[str, Place | None]
    values: TypeAdapter[dict[str, Any]]
    result: TypeAdapter[Any] | None


def read_signature(function: Callable[..., Any], *, skip: int = 0) -> Signature:
    """Read it, but for the first ``skip`` parameters. Raises ``DefinitionInvalid`` with what is wrong and a hint."""
    hints = read_hints(function)
    parameters = list(inspect.signature(function).parameters.values())[skip:]
    types: dict[str, Any] = {}
    places: dict[str, Place | None] = {}
    for parameter in parameters:
        types[parameter.name], places[parameter.name] = _type_of(parameter, hints)
    values = _adapter(TypedDict("Arguments", types))  # type: ignore[operator]
    schema = _schema_of(values)
    if set(schema.get("properties", {})) != set(types):
        raise DefinitionInvalid("a parameter has an alias", hint="the model is shown the parameter's own name")
    for parameter in parameters:
        if parameter.default is not parameter.empty and parameter.default is not None:
            schema["properties"][parameter.name]["default"] = to_jsonable_python(parameter.default)
    schema.pop("additionalProperties", None)
    given = hints.get("return", Any)
    return Signature(
        {"type": "object", **schema}, places, values, None if given in {Any, NoneType} else _adapter(given)
    )


def output_schema(result: TypeAdapter[Any]) -> dict[str, Any]:
    """The JSON Schema of what a function returns."""
    return _schema_of(result)


def read_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of its parameters, and of ``return``. Raises ``DefinitionInvalid``."""
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise DefinitionInvalid(f"an annotation cannot be read: {error}", hint="import what it names") from None


def _type_of(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> tuple[Any, Place | None]:
    if parameter.kind not in _NAMED:
        raise DefinitionInvalid(f"{parameter} is no single named parameter", hint="give each argument its own name")
    if parameter.name not in hints:
        raise DefinitionInvalid(f'"{parameter.name}" has no type', hint=f"write {parameter.name}: str, or what it is")
    hint = hints[parameter.name]
    place = next((item for item in getattr(hint, "__metadata__", ()) if isinstance(item, Place)), None)
    if parameter.default is None:
        hint = _without_none(hint)
    if place is not None:
        bare, *extras = get_args(hint)
        hint = _annotated(bare, [item.field if isinstance(item, Place) else item for item in extras])
    return (hint if parameter.default is parameter.empty else NotRequired[hint]), place


def _without_none(hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(_without_none(arguments[0]), arguments[1:])
    if origin in {Union, UnionType} and NoneType in arguments:
        return reduce(or_, (each for each in arguments if each is not NoneType))
    return hint


def _annotated(hint: Any, extras: Any) -> Any:
    return Annotated[(hint, *extras)]


def _adapter(given: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(given)
    except (PydanticUserError, PydanticSchemaGenerationError, TypeError) as error:
        said = str(error).partition("\n")[0].partition(". ")[0][:200]
        raise DefinitionInvalid(f"a type cannot be read: {said}", hint="use types that pydantic knows") from None


def _schema_of(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    try:
        schema = adapter.json_schema(schema_generator=_Plain)
    except PydanticUserError as error:
        said = str(error).partition("\n")[0].partition(". ")[0][:200]
        raise DefinitionInvalid(f"a type has no JSON Schema: {said}", hint="use types that JSON has") from None
    definitions = schema.pop("$defs", {})
    schema.pop("title", None)
    for name, definition in definitions.items():
        if definition.get("title") == name:
            del definition["title"]
    return _written_out(schema, definitions)


def _written_out(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    recursive = SchemaGraph(definitions, ()).recursive

    def part(key: str, value: Any) -> Any:
        if key == "properties":
            return {name: write(member) for name, member in value.items()}
        return value if key in _DATA else write(value)

    def write(value: Any) -> Any:
        if isinstance(value, list):
            return [write(item) for item in value]
        if not isinstance(value, dict):
            return value
        name = value.get("$ref")
        beside = {key: part(key, item) for key, item in value.items()}
        if not isinstance(name, str) or name.removeprefix(_DEFINITIONS) in recursive:
            return beside
        del beside["$ref"]
        return {**write(definitions[name.removeprefix(_DEFINITIONS)]), **beside}

    written: dict[str, Any] = write(schema)
    if recursive:
        written["$defs"] = {name: write(definitions[name]) for name in sorted(recursive)}
    return written
