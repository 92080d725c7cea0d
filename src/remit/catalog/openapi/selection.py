"""Which operations of a description become tools (rule).

Curated: deprecated operations stay out unless they are asked for. A pattern is matched against the operationId, ``GET /path``
and the tool's name, whatever their case.
"""

from __future__ import annotations

import fnmatch
import glob
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from remit.catalog.openapi.description import METHODS, Description, Operation
from remit.catalog.openapi.naming import tool_names

READING: Final = frozenset({"GET", "HEAD"})
_MAX_REFERENCE: Final = 1_024
_REQUEST: Final = re.compile(rf"({'|'.join(METHODS)}) /.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted. Tags and ``include`` narrow together; ``operations`` are taken besides; ``exclude`` beats all."""

    tags: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    only_read: bool = False
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """An operation, what its tool is called, and how a tool file refers to it."""

    operation: Operation
    name: str
    reference: str

    @property
    def request(self) -> str:
        """``GET /path``."""
        return f"{self.operation.method} {self.operation.path}"

    @property
    def names(self) -> tuple[str, ...]:
        """What people may call it."""
        return tuple(filter(None, (self.operation.id, self.request, self.name)))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An operation that becomes no tool: by choice, or because it cannot (``is_fault``)."""

    method: str
    path: str
    reason: str
    id: str = ""
    pointer: str = ""
    is_fault: bool = False

    @classmethod
    def of(cls, operation: Operation, reason: str, *, is_fault: bool = False) -> LeftOut:
        """The operation, and why."""
        return cls(operation.method, operation.path, reason, operation.id, operation.pointer, is_fault)


@dataclass(frozen=True, slots=True)
class Selected:
    """What became of all candidates, in their order.

    ``missing``: tags and operations that were asked for and are not there; ``idle``: patterns that match nothing.
    """

    taken: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    missing: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


def candidates(description: Description, prefix: str = "") -> tuple[tuple[Candidate, ...], tuple[LeftOut, ...]]:
    """All operations that a tool file can refer to, and the others.

    By the operationId; by method and path where it has none of its own, or one that reads like method and path.
    """
    operations = description.operations
    ids = Counter(operation.id for operation in operations)
    requests = Counter((operation.method, operation.path) for operation in operations)
    found: list[Candidate] = []
    others = [
        LeftOut(each.method, each.path, each.reason, pointer=each.pointer, is_fault=True)
        for each in description.skipped
    ]
    for operation, name in zip(operations, tool_names(operations, prefix), strict=True):
        request = f"{operation.method} {operation.path}"
        if operation.id and ids[operation.id] == 1 and _is_plain(operation.id) and not _REQUEST.fullmatch(operation.id):
            found.append(Candidate(operation, name, operation.id))
        elif requests[operation.method, operation.path] == 1 and _is_plain(request):
            found.append(Candidate(operation, name, request))
        else:
            others.append(LeftOut.of(operation, "neither operationId nor method and path are its own", is_fault=True))
    return tuple(found), tuple(others)


def _is_plain(reference: str) -> bool:
    return len(reference) <= _MAX_REFERENCE and reference.isprintable() and reference == reference.strip()


def by_reference(all_of_them: Sequence[Candidate]) -> dict[str, Candidate]:
    """The candidates by all that a tool file may call them."""
    requests = Counter(each.request for each in all_of_them)
    found = {each.request: each for each in all_of_them if requests[each.request] == 1}
    return found | {each.reference: each for each in all_of_them}


def globs_of(selection: Selection, taken: Sequence[Candidate]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to include and exclude, as patterns: as they were given, or one for each operation that is taken."""
    given = Selection(include=selection.include, exclude=selection.exclude, deprecated=selection.deprecated)
    if selection == given:
        return selection.include or ("*",), selection.exclude
    return tuple(glob.escape(each.reference) for each in taken), ()


def select(all_of_them: Sequence[Candidate], selection: Selection) -> Selected:
    """What is wanted of the candidates."""
    choosing = _Choosing(selection)
    taken: list[Candidate] = []
    left_out: list[LeftOut] = []
    for candidate in all_of_them:
        reason = choosing.against(candidate)
        if reason:
            left_out.append(LeftOut.of(candidate.operation, reason))
        else:
            taken.append(candidate)
    return Selected(tuple(taken), tuple(left_out), choosing.missing(all_of_them), choosing.idle(all_of_them))


class _Choosing:
    """The selection with its patterns compiled."""

    def __init__(self, selection: Selection) -> None:
        self._said = selection
        self._tags = {tag.casefold() for tag in selection.tags}
        self._named = {name.casefold() for name in selection.operations}
        self._include = [_pattern(text) for text in selection.include]
        self._exclude = [_pattern(text) for text in selection.exclude]

    def against(self, candidate: Candidate) -> str:
        """Why it is not taken, or nothing."""
        if any(matches(candidate) for matches in self._exclude):
            return "excluded"
        if self._said.only_read and candidate.operation.method not in READING:
            return "it writes"
        if any(name.casefold() in self._named for name in candidate.names):
            return ""
        if candidate.operation.deprecated and not self._said.deprecated:
            return "deprecated"
        return self._against_others(candidate)

    def _against_others(self, candidate: Candidate) -> str:
        if self._tags and not self._tags.intersection(tag.casefold() for tag in candidate.operation.tags):
            return "has none of the tags"
        if self._include and not any(matches(candidate) for matches in self._include):
            return "not included"
        return "not named" if self._named and not (self._tags or self._include) else ""

    def missing(self, all_of_them: Sequence[Candidate]) -> tuple[str, ...]:
        """The tags and operations that are nowhere in the description."""
        tags = {tag.casefold() for candidate in all_of_them for tag in candidate.operation.tags}
        names = {name.casefold() for candidate in all_of_them for name in candidate.names}
        return (
            *(tag for tag in self._said.tags if tag.casefold() not in tags),
            *(name for name in self._said.operations if name.casefold() not in names),
        )

    def idle(self, all_of_them: Sequence[Candidate]) -> tuple[str, ...]:
        """The patterns that match nothing."""
        said = (*self._said.include, *self._said.exclude)
        patterns = zip(said, (*self._include, *self._exclude), strict=True)
        return tuple(text for text, matches in patterns if not any(map(matches, all_of_them)))


def _pattern(text: str) -> Callable[[Candidate], bool]:
    compiled = re.compile(fnmatch.translate(text.casefold()))
    return lambda candidate: any(compiled.match(name.casefold()) for name in candidate.names)


def tags_of(all_of_them: Iterable[Candidate]) -> tuple[str, ...]:
    """The tags there are, in the order in which they come up; empty for operations without any."""
    return tuple(dict.fromkeys(tag for each in all_of_them for tag in each.operation.tags or ("",)))
