"""Rule: JSON with comments, as editors keep it: one member set or removed, every other character left as it was."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from remit.errors import SettingsInvalid

_MAX_DEPTH: Final = 64
_BLANK: Final = re.compile(r"(?:\s|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null')
#: Blanks and comments that begin on the line where something ends: they are about that.
_SAME_LINE: Final = re.compile(r"(?:[ \t]|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Member:
    """``start``: of its name; ``comma``: of the comma behind it, or -1."""

    name: str
    start: int
    value: _Value
    comma: int


@dataclass(frozen=True, slots=True)
class _Value:
    """From ``start`` up to ``end`` in the text, meaning ``data``. ``members`` are an object's, ``None`` for anything else."""

    start: int
    end: int
    data: Any
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
        self._comments: list[int] = []

    def has_comments(self, value: _Value) -> bool:
        """Whether some of what was read stands inside ``value``."""
        return any(value.start < comment < value.end for comment in self._comments)

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
            return _Value(start, self._at, {each.name: each.value.data for each in members}, members)
        if self._next("["):
            items = self._items(depth + 1)
            return _Value(start, self._at, items)
        return self._scalar()

    def _scalar(self) -> _Value:
        start = self._at
        if (found := _SCALAR.match(self._text, start)) is None:
            raise self._fault("not JSON")
        try:
            data = json.loads(found[0])
        except ValueError:
            raise self._fault("not JSON") from None
        self._at = found.end()
        return _Value(start, self._at, data)

    def _members(self, depth: int) -> list[_Member]:
        members: list[_Member] = []
        while not self._closed("}"):
            start = self._at
            name = self._scalar().data
            self._skip()
            if not isinstance(name, str) or not self._next(":"):
                raise self._fault("not JSON")
            value = self._value(depth)
            self._skip()
            comma = self._at - 1 if self._next(",") else -1  # the question moves on
            members.append(_Member(name, start, value, comma))
            if comma < 0 and not self._text.startswith("}", self._at):
                raise self._fault("a comma is missing")
        return members

    def _items(self, depth: int) -> list[Any]:
        items: list[Any] = []
        while not self._closed("]"):
            items.append(self._value(depth).data)
            self._skip()
            if not self._next(",") and not self._text.startswith("]", self._at):
                raise self._fault("a comma is missing")
        return items

    def _closed(self, bracket: str) -> bool:
        self._skip()
        return self._next(bracket)

    def _skip(self) -> None:
        found = _BLANK.match(self._text, self._at)
        if found and found[0].strip():
            self._comments.append(self._at)
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
            f"the client's file cannot be changed: {what}",
            where=f"{self._where}:{line}:{column}",
            hint="mend it, or see what to write into it with --print",
        )


def with_entry(text: str, table: str, name: str, entry: Any, *, where: str) -> str:
    """``text`` with ``entry`` as member ``name`` of its member ``table``. Raises ``SettingsInvalid``.

    A text of white space alone becomes a whole document. An entry with comments in it is not replaced by another.
    """
    if not text.strip():
        return json.dumps({table: {name: entry}}, indent=2) + "\n"
    reader = _Reader(text, where)
    document = reader.document()
    entries = document.member(table)
    if entries is None:
        return _inserted(text, document, table, {name: entry}, level=1)
    if entries.value.members is None:
        raise SettingsInvalid(f"{table} is no object", where=where, hint="mend it, or use --print")
    present = entries.value.member(name)
    if present is None:
        return _inserted(text, entries.value, name, entry, level=2)
    if present.value.data == entry:
        return text
    if reader.has_comments(present.value):
        raise SettingsInvalid(
            f"the entry {name} holds comments that would be lost",
            where=where,
            hint="take it out with `remit uninstall` first, or change it by hand to what --print shows",
        )
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
    start, end = _line_of(text, gone.start, gone.comma + 1 if gone.comma >= 0 else gone.value.end)
    before = text[:start]
    if gone.comma < 0 and index:  # the last one: the comma before it goes, too, and what stands behind that stays
        comma = members[index - 1].comma
        before = before[:comma] + before[comma + 1 :]
    opened = entries.value.start + 1
    if len(members) == 1 and not (before[opened:] + text[end : entries.value.end - 1]).strip():
        return text[:opened] + text[entries.value.end - 1 :]
    return before + text[end:]


def _line_of(text: str, start: int, end: int) -> tuple[int, int]:
    """What goes with ``start`` to ``end``: the whole line where nothing else is on it, else the blanks at one side."""
    before, behind = text[:start].rstrip(" \t"), text[end:].lstrip(" \t")
    if not before.endswith("\n"):
        return len(before), end
    rest = len(text) - len(behind)
    newline = re.match(r"\r?\n", behind)
    return (len(before), rest + newline.end()) if newline else (start, rest)


def _inserted(text: str, parent: _Value, name: str, value: Any, *, level: int) -> str:
    """At the end of ``parent``, in its own lines, and behind every comment that is about what stands before."""
    newline = _newline(text)
    line = f"{newline}{_indent(text, level)}{json.dumps(name)}: {_written(text, value, level=level)}"
    close = newline + _indent(text, level - 1)
    end = parent.end - 1
    if not parent.members:
        return text[: parent.start + 1] + text[parent.start + 1 : end].rstrip() + line + close + text[end:]
    last = parent.members[-1]
    ends = last.comma + 1 if last.comma >= 0 else last.value.end
    noted = _SAME_LINE.match(text, ends, end)
    at = noted.end() if noted else ends
    comma = "" if last.comma >= 0 else ","
    return text[:ends] + comma + text[ends:at] + line + (text[at:end] or close) + text[end:]


def _written(text: str, value: Any, *, level: int) -> str:
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return (_newline(text) + _indent(text, level)).join(lines)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _indent(text: str, level: int) -> str:
    return _unit(text) * level


def _unit(text: str) -> str:
    """How the file indents: as its first indented line does."""
    found = re.search(r"\n([ \t]+)[^\s*]", text)
    return found[1] if found else "  "
