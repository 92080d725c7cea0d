"""From the keys of a written-out schema back to the names on the wire (rule)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from remit.catalog.openapi.description import DEFINITIONS, JsonSchema
from remit.catalog.openapi.naming import Keys
from remit.catalog.plan import Renames

_CHOICES: Final = ("allOf", "anyOf", "oneOf")
_MAX_VALUES: Final = 20_000


class Tangled(ValueError):
    """Choices that hold each other in too many ways."""


class Renaming:
    """Finds what is renamed inside schemas. ``definitions`` are those their references lead to.

    Schemas are told apart by identity, and expected to live as long as this.
    """

    def __init__(self, keys: Keys, definitions: Mapping[str, JsonSchema]) -> None:
        self._wire = keys.wire
        self._definitions = definitions
        self._known: dict[frozenset[int], Renames] = {}
        self._waiting: list[tuple[Renames, list[JsonSchema]]] = []

    def of(self, schema: JsonSchema) -> Renames | None:
        """What the members of a value of this schema are called on the wire; ``None`` where nothing is renamed.

        Raises ``Tangled``.
        """
        if not self._wire:
            return None
        renames = self._of([schema])
        while self._waiting:
            self._fill(*self._waiting.pop())
        return renames if _says_something(renames) else None

    def _of(self, schemas: list[JsonSchema]) -> Renames:
        """The renames of a value that all or some of the schemas are about; still empty where they are new."""
        parts = list(self._parts(schemas))
        key = frozenset(map(id, parts))
        if key not in self._known:
            if len(self._known) >= _MAX_VALUES:
                raise Tangled("its schemas hold each other in too many ways")
            self._known[key] = Renames()
            self._waiting.append((self._known[key], parts))
        return self._known[key]

    def _fill(self, renames: Renames, parts: list[JsonSchema]) -> None:
        members: dict[str, list[JsonSchema]] = {}
        for part in parts:
            for key in part.get("required", ()):  # it may be described by no schema at all
                members.setdefault(key, [])
            for key, member in part.get("properties", {}).items():
                members.setdefault(key, []).append(member)
        others = [(part, other) for part in parts for other in _others(part)]
        for key, schemas in members.items():
            schemas += [other for part, other in others if key not in part.get("properties", {})]
            renames.members[key] = (self._wire.get(key, key), self._of(schemas) if schemas else None)
        items = [item for part in parts for item in (part.get("items"), *part.get("prefixItems", ())) if item]
        renames.others = self._of([other for _, other in others]) if others else None
        renames.items = self._of(items) if items else None

    def _parts(self, schemas: Iterable[JsonSchema]) -> Iterator[JsonSchema]:
        """The schemas and all others that are about the same value."""
        waiting = list(schemas)
        seen: set[int] = set()
        while waiting:
            part = waiting.pop()
            if id(part) in seen:
                continue
            seen.add(id(part))
            yield part
            if "$ref" in part:
                waiting.append(self._definitions[part["$ref"].removeprefix(DEFINITIONS)])
            waiting += [branch for key in _CHOICES for branch in part.get(key, ())]
            waiting += part.get("dependentSchemas", {}).values()


def _others(schema: JsonSchema) -> Iterator[JsonSchema]:
    """The schemas of members that the schema does not name."""
    other = schema.get("additionalProperties")
    if isinstance(other, dict):
        yield other


def _says_something(renames: Renames) -> bool:
    """Whether anything in it has another name."""
    waiting, seen = [renames], {id(renames)}
    while waiting:
        here = waiting.pop()
        if any(key != wire for key, (wire, _) in here.members.items()):
            return True
        below = [*(inner for _, inner in here.members.values()), here.items, here.others]
        new = [inner for inner in below if inner is not None and id(inner) not in seen]
        waiting += new
        seen.update(map(id, new))
    return False
