"""Tools as text of tool files (rule): a new file, or one more tool at the end of a file whose comments stay.

What is written reads the same in the narrow YAML of tool files and in that of editors (YAML 1.1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from remit.catalog.definition import SCHEMA_FILE
from remit.catalog.document import Document, scalar

_WIDTH: Final = 118
#: Always a line for each entry, however short.
_OPEN: Final = frozenset({"upstream", "auth", "tools", "input", "properties", "request", "examples", "expect"})
_PLAIN: Final = re.compile(r"[A-Za-z_$/][A-Za-z0-9_$/.@+-]*( [A-Za-z0-9_$/.@+(-][A-Za-z0-9_$/.@+)-]*)*")
_PLAIN_LINE: Final = re.compile(r"[A-Za-z_$/][A-Za-z0-9_$/.@+{}~%-]*( [A-Za-z0-9_$/.@+('-][A-Za-z0-9_$/.@+),;'?!-]*)*")
_AMOUNT: Final = re.compile(r"[1-9][0-9]*(ms|s|m|h|B|KiB|MiB)")
_URL: Final = re.compile(r"https?://[A-Za-z0-9.:/_~-]+[A-Za-z0-9/_~-]")
#: What YAML 1.1 takes for something else than a text.
_TRAPS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class CannotAppend(ValueError):
    """The file's list of tools is not written in a way that a tool can be added to."""


def file_text(name: str, upstream: Mapping[str, Any], tool: Mapping[str, Any]) -> str:
    """A whole file with one tool."""
    return whole_text({"version": 1, "name": name, "upstream": upstream, "tools": [tool]})


def whole_text(data: Mapping[str, Any]) -> str:
    """A whole file of this data."""
    head = {key: value for key, value in data.items() if key != "tools"}
    tools = [line for tool in data["tools"] for line in _item(tool, 2)]
    lines = [f"# yaml-language-server: $schema={SCHEMA_FILE}", *_mapping(head, 0), "tools:", *tools]
    return "\n".join(lines) + "\n"


def with_tool(text: str, document: Document, tool: Mapping[str, Any]) -> str:
    """The text of a file with one tool more, behind the others. Everything else stays as it is.

    ``document`` is what the text reads as. Raises ``CannotAppend``.
    """
    lines = text.splitlines(keepends=True)
    indent = _indent(lines, document)
    end = _end_of_tools(lines, document)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += "\n"
    newline = "\r\n" if lines[0].endswith("\r\n") else "\n"
    before = [] if not lines[end - 1].strip() else [newline]
    after = [newline] if end < len(lines) and lines[end].strip() else []
    return "".join([*lines[:end], *before, *(line + newline for line in _item(tool, indent)), *after, *lines[end:]])


def _indent(lines: list[str], document: Document) -> int:
    """How far the hyphens of the list of tools stand in."""
    line, column = document.locate(("tools", 0))
    before = lines[line - 1][: column - 1]
    if before.strip() != "-":
        raise CannotAppend("the list of tools is not written with a hyphen for each tool")
    return before.index("-")


def _end_of_tools(lines: list[str], document: Document) -> int:
    """The index of the line before which the next tool goes: behind the last, before what stands at the next key."""
    start, _ = document.locate(("tools",), key=True)
    starts = [document.locate((key,), key=True)[0] for key in document.data]
    end = min((line for line in starts if line > start), default=len(lines) + 1) - 1
    while end > start and (not lines[end - 1].strip() or lines[end - 1].startswith(("#", "...", "---"))):
        end -= 1
    return end


# ── YAML ─────────────────────────────────────────────────────────────────────────────────


def _mapping(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, item in value.items():
        yield from _entry(f"{' ' * indent}{_scalar(str(key), _PLAIN)}:", key, item, indent + 2)


def _entry(head: str, key: str, value: Any, indent: int) -> Iterator[str]:
    """``head`` and its value: on the same line where it fits, else below."""
    line = f"{head} {_scalar(value, _PLAIN_LINE) if isinstance(value, str) else flow(value)}"
    is_collection = isinstance(value, dict | list) and bool(value)
    if not is_collection or (key not in _OPEN and len(line) <= _WIDTH):
        yield line
        return
    yield head
    if isinstance(value, dict):
        yield from _mapping(value, indent)
        return
    for item in value:
        yield from _item(item, indent)


def _item(value: Any, indent: int) -> Iterator[str]:
    """One entry of a list."""
    if not isinstance(value, Mapping) or not value:
        yield f"{' ' * indent}- {flow(value)}"
        return
    first, *rest = _mapping(value, indent + 2)
    yield f"{' ' * indent}- {first.lstrip()}"
    yield from rest


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(key), _PLAIN)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return _scalar(value, _PLAIN) if isinstance(value, str) else json.dumps(value)


def _scalar(text: str, plain: re.Pattern[str]) -> str:
    """A text without quotes where nothing else can be meant by it."""
    is_plain = plain.fullmatch(text) or _AMOUNT.fullmatch(text) or (plain is _PLAIN_LINE and _URL.fullmatch(text))
    if is_plain and text.lower() not in _TRAPS and scalar(text) == text:
        return text
    return "".join(map(_escaped, json.dumps(text, ensure_ascii=False)))


def _escaped(character: str) -> str:
    return character if character.isprintable() else f"\\U{ord(character):08x}"
