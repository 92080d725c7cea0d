"""A tool file that was made from a description, and what the description says now (rule).

What a person wrote stays: a description or scopes change only where the file still says what the description said before.
A tool whose operation is gone becomes a comment. What is selected and not there yet comes in at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from remit.catalog.differences import differences, text_differences
from remit.catalog.document import DocumentInvalid, read_document
from remit.catalog.openapi.file_text import FileText
from remit.catalog.openapi.importing import entry, scopes_of
from remit.catalog.openapi.profile import PROFILES, ProfileName
from remit.catalog.openapi.report import Change, Taken
from remit.errors import DefinitionInvalid


@dataclass(frozen=True, slots=True)
class Entry:
    """A tool of the file that has an ``operation``. ``description`` and ``scopes``: where it says them."""

    index: int
    name: str
    operation: str
    description: str | None
    scopes: tuple[str, ...] | None
    has_auth: bool


@dataclass(frozen=True, slots=True)
class Present:
    """A tool file that refers to a description. Paths are relative to the file's folder."""

    text: str
    name: str
    openapi: str
    overlays: tuple[str, ...]
    profile: ProfileName
    base_url: str
    audience: str
    entries: tuple[Entry, ...]
    tools: int


def present(text: str, where: str) -> Present | None:
    """The file, if it was made from a description. Raises ``DefinitionInvalid`` where it cannot be read."""
    try:
        data = read_document(text).data
    except DocumentInvalid as error:
        line, column = error.faults[0].position
        raise DefinitionInvalid(
            f"the file is there and cannot be read: {error}",
            where=f"{where}:{line}:{column}",
            hint="mend it, or choose another file with -o",
        ) from None
    upstream = _mapping(_mapping(data).get("upstream"))
    openapi = upstream.get("openapi")
    if not isinstance(openapi, str) or PurePosixPath(openapi).is_absolute():
        return None
    tools = _list(data.get("tools"))
    made = (_entry(index, _mapping(tool)) for index, tool in enumerate(tools))
    return Present(
        text=text,
        name=str(data.get("name", "")),
        openapi=openapi,
        overlays=tuple(filter(_is_text, _list(upstream.get("overlays")))),
        profile=next((name for name in PROFILES if name == upstream.get("profile")), "portable"),
        base_url=str(upstream.get("baseUrl", "")),
        audience=str(_mapping(upstream.get("auth")).get("audience", "")),
        entries=tuple(each for each in made if each),
        tools=len(tools),
    )


def _entry(index: int, tool: Mapping[str, Any]) -> Entry | None:
    operation, description = tool.get("operation"), tool.get("description")
    if not isinstance(operation, str):
        return None
    scopes = _mapping(tool.get("auth")).get("scopes")
    return Entry(
        index,
        str(tool.get("name", "")),
        operation,
        description if isinstance(description, str) else None,
        tuple(filter(_is_text, scopes)) if isinstance(scopes, list) else None,
        "auth" in tool,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


@dataclass(frozen=True, slots=True)
class Update:
    """The changes, and the file's text with them made. ``added``: the tools that are new."""

    changes: tuple[Change, ...]
    text: str
    added: tuple[Taken, ...]


def updated(
    file: Present,
    where: str,
    *,
    before: Mapping[str, Taken],
    now: Mapping[str, Taken],
    wanted: Sequence[Taken],
    upstream: Mapping[str, Any],
) -> Update:
    """What is different, and the file as it would be.

    ``before`` and ``now``: the operations of the file as the description had and has them, by how the file refers to them;
    ``before`` has nothing where nobody knows any more. ``wanted``: what is selected. ``upstream``: keys to change there.
    """
    text = FileText(file.text, where)
    changes: list[Change] = []
    for key, value in upstream.items():
        text.set_upstream(key, value)
    gone = [each for each in file.entries if each.operation not in now]
    if gone and len(gone) == file.tools:
        raise DefinitionInvalid(
            "no operation of the file is in the description",
            where=where,
            hint="choose another file with -o, or delete it",
        )
    for each in gone:
        text.comment_out(each.index)
        changes.append(Change("gone", each.name, each.operation, ("it becomes a comment",)))
    for each in file.entries:
        if each.operation in now and each.operation in before:
            changes += _Compared(text, each, before[each.operation], now[each.operation]).changes()
    there = {now[each.operation].candidate.operation.pointer for each in file.entries if each.operation in now}
    added = tuple(each for each in wanted if each.candidate.operation.pointer not in there)
    if added:
        text.append(map(entry, added))
    changes += [Change("new", each.candidate.name, each.candidate.reference) for each in added]
    return Update(tuple(changes), text.text, added)


@dataclass(frozen=True, slots=True)
class _Compared:
    """One tool of the file, with what the description says of it. The text is changed on the way."""

    text: FileText
    entry: Entry
    before: Taken
    now: Taken

    def changes(self) -> Iterable[Change]:
        """One change, or none."""
        details = [*self._description(), *self._scopes(), *self._input()]
        if details:
            yield Change("changed", self.entry.name, self.entry.operation, tuple(details))

    def _description(self) -> list[str]:
        written, old, now = self.entry.description, self.before.mapped.description, self.now.mapped.description
        if now in {old, written}:
            return []
        lines = [f"description: {line}" for line in text_differences(old, now)]
        if written is None or (written == old and self.text.set(self.entry.index, now, "description")):
            return lines
        return [*lines, "description: the file has its own, which stays"]

    def _scopes(self) -> list[str]:
        written, old, now = self.entry.scopes or (), _scopes_of(self.before), _scopes_of(self.now)
        if now in {old, written}:
            return []
        line = f"scopes: {' '.join(old) or 'none'} → {' '.join(now) or 'none'}"
        if written != old or (self.entry.scopes is None and self.entry.has_auth):
            return [line, "scopes: the file has its own, which stay"]
        if not self.text.set(self.entry.index, list(now), "auth", "scopes"):
            self.text.add_beside(self.entry.index, "operation", {"auth": {"scopes": list(now)}})
        return [line]

    def _input(self) -> list[str]:
        return [f"input {line}" for line in differences(self.before.mapped.input, self.now.mapped.input)]


def _scopes_of(taken: Taken) -> tuple[str, ...]:
    return scopes_of(taken.candidate.operation)
