"""An API description as tool files use it (rule): operations by what a tool file calls them, mapped when they are asked for.

A tool that stands on an operation is pinned by the **digest of the operation**: all that the description says of it, and
every schema that it leads to, those of its answers too. Not by the digest of the files: a lock that turns red because
something else in a description changed would be approved unread soon. What is not in it is where the operation stands.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from remit.catalog.openapi.description import Description, JsonSchema, Operation
from remit.catalog.openapi.mapping import Mapper
from remit.catalog.openapi.profile import ProfileName
from remit.catalog.openapi.selection import by_reference, candidates

#: Every reference of a schema, in its canonical text; what only looks like one does no harm in a digest.
_REFERENCE: Final = re.compile(r'"\$ref":"#/\$defs/((?:[^"\\]|\\.)*)"')
#: So many operations that are not there get a hint towards one that is.
_MAX_LOOKED_FOR: Final = 20


class OperationUnusable(ValueError):
    """A tool file cannot refer to an operation; the message is the reason."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Described:
    """One description. Everything is worked out when it is asked for first, and kept."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self._operations: Mapping[str, Operation] | None = None
        self._looked_for = 0
        self._mappers: dict[ProfileName, Mapper] = {}
        self._requests = _Pins(description.schemas)
        self._responses = _Pins(description.response_schemas)

    def find(self, reference: str) -> Operation:
        """The operation of that operationId, or ``GET /path``. Raises ``OperationUnusable``."""
        if self._operations is None:
            found, _ = candidates(self.description)
            self._operations = {name: each.operation for name, each in by_reference(found).items()}
        if reference in self._operations:
            return self._operations[reference]
        shown = reference[:200]
        for skipped in self.description.skipped:
            if reference in {skipped.id, f"{skipped.method} {skipped.path}"}:
                what = f"the operation {shown} cannot be read: {skipped.reason} ({skipped.pointer})"
                raise OperationUnusable(what, "mend the description, or change it with an overlay")
        if any(reference in {each.id, f"{each.method} {each.path}"} for each in self.description.operations):
            hint = "write the one that is meant as method and path: GET /customers/{id}"
            raise OperationUnusable(f"the API description has several operations {shown}", hint)
        raise OperationUnusable(f"the API description has no operation {shown}", self._nearest(reference))

    def _nearest(self, reference: str) -> str:
        """A hint towards the operation that may be meant. Looking for it takes long where there are many."""
        self._looked_for += 1
        if self._looked_for <= _MAX_LOOKED_FOR:
            close = difflib.get_close_matches(reference, self._operations or (), n=1, cutoff=0.6)
            if close:
                return f"did you mean {close[0]}?"
        return "`remit import openapi FILE --dry-run` shows those it has"

    def mapper(self, profile: ProfileName) -> Mapper:
        """Whatever makes tools of its operations."""
        if profile not in self._mappers:
            self._mappers[profile] = Mapper(self.description, profile)
        return self._mappers[profile]

    def digest_of(self, operation: Operation) -> str:
        """SHA-256 of the operation with every schema that it leads to."""
        said = asdict(replace(operation, pointer="", responses=()))
        answers = [asdict(response) for response in operation.responses]
        parts = [
            *(_canonical(said), *self._requests.reached_from(_canonical(said))),
            *(_canonical(answers), *self._responses.reached_from(_canonical(answers))),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class _Pins:
    """The digests of a table's schemas, and which of them lead to which."""

    def __init__(self, schemas: Mapping[str, JsonSchema]) -> None:
        self._schemas = schemas
        self._known: dict[str, tuple[str, frozenset[str]]] = {}

    def reached_from(self, text: str) -> Iterator[str]:
        """Name and digest of every schema that a canonical text leads to, in the order of the names."""
        found: dict[str, str] = {}
        waiting = list(_references(text))
        while waiting:
            name = waiting.pop()
            if name in self._schemas and name not in found:
                found[name], inner = self._pin(name)
                waiting += inner
        return (f"{name} {digest}" for name, digest in sorted(found.items()))

    def _pin(self, name: str) -> tuple[str, frozenset[str]]:
        if name not in self._known:
            text = _canonical(self._schemas[name])
            self._known[name] = hashlib.sha256(text.encode()).hexdigest(), _references(text)
        return self._known[name]


def _references(text: str) -> frozenset[str]:
    return frozenset(json.loads(f'"{name}"') for name in _REFERENCE.findall(text))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
