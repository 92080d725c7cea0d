"""From the keys of a written-out schema back to the names on the wire (rule)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from remit.catalog.openapi.description import DEFINITIONS, JsonSchema
from remit.catalog.openapi.naming import Keys
from remit.catalog.plan import Renames

_SAME_VALUE: Final = ("allOf", "anyOf", "oneOf")
_CONDITIONS: Final = ("if", "then", "else", "not")


class Renaming:
    """Finds what is renamed inside schemas. ``definitions`` are those their references lead to."""

    def __init__(self, keys: Keys, definitions: Mapping[str, JsonSchema]) -> None:
        self._wire = keys.wire
        self._definitions = definitions
        self._known: dict[int, Renames] = {}

    def of(self, schema: JsonSchema) -> Renames | None:
        """What the members of a value of this schema are called on the wire; ``None`` where nothing is renamed.

        Schemas are told apart by identity, and expected to live as long as this.
        """
        if not self._wire:
            return None
        renames = self._of(schema)
        return renames if _says_something(renames) else None

    def _of(self, schema: JsonSchema) -> Renames:
        known = self._known.get(id(schema))
        if known is not None:
            return known
        renames = self._known[id(schema)] = Renames()
        for part in self._parts(schema):
            for key, member in part.get("properties", {}).items():
                renames.members[key] = (self._wire.get(key, key), self._of(member))
            for items in (part.get("items"), *part.get("prefixItems", ())):
                if isinstance(items, dict):
                    renames.items = self._of(items)
        return renames

    def _parts(self, schema: JsonSchema) -> Iterator[JsonSchema]:
        """The schema and all others that are about the same value."""
        waiting, seen = [schema], {id(schema)}
        while waiting:
            part = waiting.pop()
            yield part
            reference = part.get("$ref", "").removeprefix(DEFINITIONS)
            others = [self._definitions.get(reference, {})]
            others += [branch for key in _SAME_VALUE for branch in part.get(key, ())]
            others += [part[key] for key in _CONDITIONS if key in part]
            others += part.get("dependentSchemas", {}).values()
            waiting += [other for other in others if id(other) not in seen]
            seen.update(map(id, others))


def _says_something(renames: Renames) -> bool:
    """Whether anything in it has another name."""
    waiting, seen = [renames], {id(renames)}
    while waiting:
        here = waiting.pop()
        if any(key != wire for key, (wire, _) in here.members.items()):
            return True
        below = [inner for _, inner in here.members.values() if inner] + ([here.items] if here.items else [])
        waiting += [inner for inner in below if id(inner) not in seen]
        seen.update(map(id, below))
    return False
