"""Which schemas of a description lead to which (rule): what is recursive, and what members are called."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from remit.catalog.openapi.description import DEFINITIONS, JsonSchema, Operation

#: Keywords whose value is data, in which ``$ref`` and ``properties`` mean nothing.
_DATA: Final = frozenset({"enum", "const", "default", "required", "dependentRequired", "type"})
#: Keywords whose value is schemas by name.
_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})


class SchemaGraph:
    """The references between the schemas of a table, and those of operations into it.

    ``members`` are the names of the members of all objects, ``recursive`` the schemas that lead back to themselves.
    """

    def __init__(self, schemas: Mapping[str, JsonSchema], operations: Iterable[Operation]) -> None:
        self.members: set[str] = set()
        self._leads_to = {name: frozenset(self._references(schema)) for name, schema in schemas.items()}
        for operation in operations:
            for schema in _schemas_of(operation):
                deque(self._references(schema), maxlen=0)  # for the members
        self.recursive: frozenset[str] = _recursive(self._leads_to)

    def reached_from(self, schemas: Iterable[JsonSchema]) -> Iterator[str]:
        """The names of the schemas that ``schemas`` lead to, each once, in no order."""
        seen: set[str] = set()
        waiting = [name for schema in schemas for name in self._references(schema)]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                yield name
                waiting += self._leads_to.get(name, ())

    def _references(self, schema: Any) -> Iterator[str]:
        """The names ``schema`` refers to; the names of its members are noted on the way."""
        waiting: list[Any] = [schema]
        while waiting:
            here = waiting.pop()
            if isinstance(here, list):
                waiting += here
            if not isinstance(here, dict):
                continue
            for key, value in here.items():
                if key == "$ref":
                    yield value.removeprefix(DEFINITIONS)
                elif key in _NAMED:
                    self.members.update(value if key == "properties" else ())
                    waiting += value.values()
                elif key not in _DATA:
                    waiting.append(value)


def _schemas_of(operation: Operation) -> Iterator[JsonSchema]:
    yield from (parameter.schema for parameter in operation.parameters)
    yield from (content.schema for content in (operation.body.contents if operation.body else ()))


def _recursive(graph: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The nodes on loops: in components of more than one, or with an edge to themselves (Kosaraju's algorithm)."""
    backwards: dict[str, list[str]] = {}
    for node, targets in graph.items():
        for target in targets:
            backwards.setdefault(target, []).append(node)
    found = {node for node, targets in graph.items() if node in targets}
    seen: set[str] = set()
    for node in reversed(_finished(graph)):
        if node not in seen:
            component = _reached([node], backwards, seen)
            found |= component if len(component) > 1 else set()
    return frozenset(found)


def _reached(starts: Iterable[str], graph: Mapping[str, Iterable[str]], seen: set[str]) -> set[str]:
    """The nodes that can be reached, ``starts`` included, without those that were ``seen``, where they are noted."""
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            found.add(node)
            waiting += graph.get(node, ())
    return found


def _finished(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """The nodes in the order in which a search in depth leaves them."""
    order: list[str] = []
    seen: set[str] = set()
    for start in graph:
        waiting: list[tuple[str, bool]] = [(start, False)]
        while waiting:
            node, is_done = waiting.pop()
            if is_done:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                waiting.append((node, True))
                waiting += [(target, False) for target in graph.get(node, ())]
    return order
