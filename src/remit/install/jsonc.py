"""Rule: JSON with comments, as editors keep it: one member set or removed, every other character left as it was."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from remit.errors import SettingsInvalid

_MAX_DEPTH: Final = 64
_BLANK: Final = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null')


@dataclass(frozen=True, slots=True)
class _Member:
    """``start``: of its name; ``comma``: of the comma behind it, or -1."""

    name: str
    start: int
    value: _Value
    comma: int


@dataclass(frozen=True, slots=True)
class _Value:
    """From ``start`` up to ``end`` in the text. ``members`` are an object's, ``None`` for anything else."""

    start: int
    end: int
    members: list[_Member] | None = field(default=None)

    def member(self, name: str) -> _Member | None:
        """The member of this name; the last, as readers take it."""
        return next((each for each in reversed(self.members or []) if each.name == name), None)


class _Reader:
    """Reads ``text`` once, from its start to its end."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._at = 0

    def document(self) -> _Value:
        """The one object that the text is."""
        value = self._value(0)
        self._skip()
        if self._at != len(self._text) or value.members is None:
            raise self._fault("not one JSON object")
        return value

    def _value(self, depth: int) -> _Value:
        self._skip()
        start = self._at
        if depth > _MAX_DEPTH:
            raise self._fault("nested too deeply")
        if self._next("{"):
            members = self._members(depth + 1)
            return _Value(start, self._at, members)
        if self._next("["):
            self._items(depth + 1)
            return _Value(start, self._at)
        if (found := _SCALAR.match(self._text, start)) is None:
            raise self._fault("not JSON")
        self._at = found.end()
        return _Value(start, self._at)

    def _members(self, depth: int) -> list[_Member]:
        members: list[_Member] = []
        while not self._closed("}"):
            start = self._at
            name = self._value(depth)
            self._skip()
            if self._text[name.start : name.start + 1] != '"' or not self._next(":"):
                raise self._fault("not JSON")
            value = self._value(depth)
            self._skip()
            comma = self._at - 1 if self._next(",") else -1  # the question moves on
            members.append(_Member(self._name(name), start, value, comma))
            if comma < 0 and not self._text.startswith("}", self._at):
                raise self._fault("a comma is missing")
        return members

    def _name(self, value: _Value) -> str:
        name = json_of(self._text[value.start : value.end])
        if not isinstance(name, str):
            raise self._fault("not JSON")
        return name

    def _items(self, depth: int) -> None:
        while not self._closed("]"):
            self._value(depth)
            self._skip()
            if not self._next(",") and not self._text.startswith("]", self._at):
                raise self._fault("a comma is missing")

    def _closed(self, bracket: str) -> bool:
        self._skip()
        return self._next(bracket)

    def _skip(self) -> None:
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _next(self, character: str) -> bool:
        if self._text.startswith(character, self._at):
            self._at += 1
            return True
        return False

    def _fault(self, what: str) -> SettingsInvalid:
        before = self._text[: self._at]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return SettingsInvalid(
            f"the client's file is {what}",
            where=f"{self._where}:{line}:{column}",
            hint="mend it, or see what to write into it with --print",
        )


def with_entry(text: str, table: str, name: str, entry: Any, *, where: str) -> str:
    """``text`` with ``entry`` as member ``name`` of its member ``table``. Raises ``SettingsInvalid``.

    A text of white space alone becomes a whole document.
    """
    if not text.strip():
        return json.dumps({table: {name: entry}}, indent=2) + "\n"
    document = _Reader(text, where).document()
    entries = document.member(table)
    if entries is None:
        return _inserted(text, document, table, {name: entry}, level=1)
    if entries.value.members is None:
        raise SettingsInvalid(f"{table} is no object", where=where, hint="mend it, or use --print")
    present = entries.value.member(name)
    if present is None:
        return _inserted(text, entries.value, name, entry, level=2)
    if json_of(text[present.value.start : present.value.end]) == entry:
        return text
    return text[: present.value.start] + _written(text, entry, level=2) + text[present.value.end :]


def without_entry(text: str, table: str, name: str, *, where: str) -> str:
    """``text`` without the member ``name`` of ``table``, and the comma that it needed. Raises ``SettingsInvalid``."""
    if not text.strip():
        return text
    entries = _Reader(text, where).document().member(table)
    gone = entries.value.member(name) if entries else None
    if entries is None or gone is None:
        return text
    members = entries.value.members or []
    index = members.index(gone)
    end = gone.comma + 1 if gone.comma >= 0 else gone.value.end
    left = text[: len(text[: gone.start].rstrip())]
    if gone.comma < 0 and index:  # the last one: the comma before it goes, too, and what stands behind that stays
        comma = members[index - 1].comma
        left = left[:comma] + left[comma + 1 :]
    return left + text[end:]


def json_of(text: str) -> Any:
    """What a text without comments says; ``None`` where it has some, or is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _inserted(text: str, parent: _Value, name: str, value: Any, *, level: int) -> str:
    """At the end of ``parent``, in its own lines. What stands behind the last member, a comment say, stays there."""
    members = parent.members or []
    line = f"{_indent(text, level)}{json.dumps(name)}: {_written(text, value, level=level)}"
    close = f"\n{_indent(text, level - 1)}"
    if not members:
        return text[: parent.start + 1] + "\n" + line + close + text[parent.end - 1 :]
    last = members[-1]
    if last.comma < 0:
        return text[: last.value.end] + ",\n" + line + text[last.value.end :]
    return text[: last.comma + 1] + "\n" + line + text[last.comma + 1 :]


def _written(text: str, value: Any, *, level: int) -> str:
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return ("\n" + _indent(text, level)).join(lines)


def _indent(text: str, level: int) -> str:
    return _unit(text) * level


def _unit(text: str) -> str:
    """How the file indents: as its first indented line does."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found else "  "
