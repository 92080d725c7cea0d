"""The trees of a request block → bindings (rule).

A value is a literal, ``$name``, ``$$…`` or ``{from: user.sub}``; it is never a template, so no value can
change the shape of what it stands in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.catalog.grammar import did_you_mean
from remit.catalog.plan import Argument, Binding, Fixed, FromContext, Items, Members
from remit.catalog.problem import Flaws, Path

#: What ``from`` may name.
CONTEXT: Final[Mapping[str, FromContext]] = {
    "user.sub": FromContext("user", "sub"),
    "user.iss": FromContext("user", "iss"),
    "user.name": FromContext("user", "name"),
    "actor.sub": FromContext("actor", "sub"),
    "call.id": FromContext("call", "id"),
}

_ARGUMENT: Final = re.compile(r"\$([A-Za-z0-9_.-]{1,64})")
_COLLECTIONS: Final = frozenset({"array", "object"})


@dataclass(slots=True)
class Arguments:
    """The arguments a tool has (name → property schema), and those that were used so far."""

    properties: Mapping[str, Any]
    required: frozenset[str]
    used: set[str] = field(default_factory=set)

    def use(self, name: str, path: Path, flaws: Flaws) -> Argument:
        """The binding of argument ``name``."""
        self.used.add(name)
        if name not in self.properties:
            flaws.add(path, f'"{name}" is no property of the input schema', did_you_mean(name, self.properties))
        return Argument(name)

    def kinds(self, name: str) -> frozenset[str]:
        """The JSON types the schema allows, empty where it does not say."""
        schema = self.properties.get(name)
        declared = schema.get("type") if isinstance(schema, Mapping) else None
        kinds = declared if isinstance(declared, list) else [declared]
        return frozenset(kind for kind in kinds if isinstance(kind, str)) - {"null"}

    def is_collection(self, name: str) -> bool:
        """Whether the argument can only be a list or an object."""
        kinds = self.kinds(name)
        return bool(kinds) and kinds <= _COLLECTIONS


def bind_tree(value: Any, path: Path, arguments: Arguments, flaws: Flaws) -> Binding:
    """A JSON body: bindings anywhere in it."""
    if isinstance(value, dict) and not names_context(value):
        return Members(
            tuple((key, bind_tree(item, (*path, key), arguments, flaws)) for key, item in value.items()),
        )
    if value is None:
        return Fixed(None)
    if isinstance(value, list):
        return Items(tuple(bind_tree(item, (*path, index), arguments, flaws) for index, item in enumerate(value)))
    return bind_leaf(value, path, arguments, flaws)


def bind_leaf(value: Any, path: Path, arguments: Arguments, flaws: Flaws) -> Binding:
    """One value: a scalar, an argument, or something from the call's context."""
    if isinstance(value, str) and value.startswith("$"):
        return _bind_dollar(value, path, arguments, flaws)
    if isinstance(value, dict):
        if names_context(value):
            return _bind_context(value["from"], path, flaws)
        flaws.add(path, "a mapping cannot stand here", "write a literal, $name, or {from: user.sub}")
    if isinstance(value, list):
        flaws.add(path, "a list cannot stand here", "write a literal, $name, or {from: user.sub}")
    if value is None:
        flaws.add(path, "null sends nothing", "leave the key out")
    return Fixed(value)


def scalar_text(value: Any) -> str:
    """A scalar as it stands in a path, query, header or form: numbers and booleans as JSON writes them.

    Raises ``ValueError`` for NaN and infinity.
    """
    return value if isinstance(value, str) else json.dumps(value, allow_nan=False)


def _bind_dollar(value: str, path: Path, arguments: Arguments, flaws: Flaws) -> Binding:
    if value.startswith("$$"):
        return Fixed(value[1:])
    match = _ARGUMENT.fullmatch(value)
    if match is None:
        flaws.add(path, f'"{value[:60]}" is no argument', "write $name for an argument, $$ for a literal dollar")
        return Fixed(value)
    return arguments.use(match[1], path, flaws)


def names_context(value: Mapping[str, Any]) -> bool:
    """``{from: text}`` and nothing else; ``{from: $start}`` is a plain object with a member of that name."""
    origin = value.get("from")
    return len(value) == 1 and isinstance(origin, str) and not origin.startswith("$")


def _bind_context(name: str, path: Path, flaws: Flaws) -> Binding:
    if name not in CONTEXT:
        flaws.add((*path, "from"), f'"{name[:60]}" is nothing a call knows', did_you_mean(name, CONTEXT))
        return Fixed(None)
    return CONTEXT[name]
