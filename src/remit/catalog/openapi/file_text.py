"""Changes to the text of a tool file (rule): what is not changed stays as it was written, comments and all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from remit.catalog.openapi.importing import indented, yaml_text
from remit.errors import DefinitionInvalid

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML built without libyaml: slower, otherwise the same
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

_GONE = "# no longer in the API description:"


@dataclass(frozen=True, slots=True)
class _Edit:
    """The characters from ``start`` up to ``end`` become ``text``."""

    start: int
    end: int
    text: str


class FileText:
    """The text of a tool file that can be read, with a list of tools written as a block."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._edits: list[_Edit] = []
        root = yaml.compose(text, Loader=_Loader)
        self._root = root if isinstance(root, yaml.MappingNode) else yaml.MappingNode("", [])
        tools = _member(self._root, "tools")
        if tools is None:
            raise self._unfit("it has no list of tools", "write over it with --discover --force")
        if not isinstance(tools, yaml.SequenceNode) or tools.flow_style or not tools.value:
            raise self._unfit("its tools are in brackets", "write them as a list of lines that begin with -")
        self._tools = tools

    @property
    def text(self) -> str:
        """The text with all changes made."""
        text = self._text
        for edit in sorted(self._edits, key=lambda edit: edit.start, reverse=True):
            text = text[: edit.start] + edit.text.replace("\n", self._line_end) + text[edit.end :]
        return text

    def set_upstream(self, key: str, value: Any) -> None:
        """Change what ``upstream`` says under ``key``, or say it behind ``openapi``."""
        upstream = _member(self._root, "upstream")
        if _member(upstream, key) is None:
            self._add(upstream, "openapi", {key: value})
        else:
            self._replace(upstream, key, value)

    def set(self, index: int, value: Any, *keys: str) -> bool:
        """Change what the tool of that number says under ``keys``; whether it says something there to be changed."""
        node: Any = self._tools.value[index]
        for key in keys[:-1]:
            node = _member(node, key) if isinstance(node, yaml.MappingNode) else None
        if not isinstance(node, yaml.MappingNode) or _member(node, keys[-1]) is None:
            return False
        self._replace(node, keys[-1], value)
        return True

    def add_beside(self, index: int, key: str, member: dict[str, Any]) -> None:
        """Say something more of the tool of that number, behind what it says under ``key``."""
        self._add(self._tools.value[index], key, member)

    def append(self, entries: Iterable[dict[str, Any]]) -> None:
        """Add tools behind the last one."""
        column = self._tools.start_mark.column
        text = "\n".join(indented(yaml_text([entry]), column) for entry in entries)
        end = self._line_after(self._end(self._tools))
        self._edits.append(_Edit(end, end, self._broken(end) + "\n" + text))

    def comment_out(self, index: int) -> None:
        """Make the tool of that number a comment: what was written about it can still be read."""
        node = self._tools.value[index]
        dash = self._text.rfind("-", 0, node.start_mark.index)
        start = self._text.rfind("\n", 0, dash) + 1
        end = self._line_after(self._end(node))
        margin = " " * self._tools.start_mark.column
        lines = (line.removeprefix(margin) for line in self._text[start:end].splitlines())
        comments = [f"{margin}# {line}".rstrip() for line in lines]
        self._edits.append(_Edit(start, end, "\n".join([f"{margin}{_GONE}", *comments, ""])))

    # ── places ──

    @property
    def _line_end(self) -> str:
        return "\r\n" if "\r\n" in self._text else "\n"

    def _add(self, node: yaml.MappingNode, key: str, member: dict[str, Any]) -> None:
        end = self._end(_member(node, key))
        text = yaml_text(member, in_line=True).strip()[1:-1]
        if node.flow_style:
            self._edits.append(_Edit(end, end, f", {text}"))
        else:
            column = node.value[0][0].start_mark.column
            end = self._line_after(end)
            self._edits.append(_Edit(end, end, self._broken(end) + " " * column + text + "\n"))

    def _replace(self, node: yaml.MappingNode, key: str, value: Any) -> None:
        name, old = next((name, child) for name, child in node.value if name.value == key)
        if old.start_mark.index < name.end_mark.index:
            raise self._unfit(f"{key} refers to what stands elsewhere (*)", "write it out")
        end = self._end(old)
        after = "\n" if self._text[name.end_mark.index : end].endswith("\n") else ""
        text = yaml_text([value], in_line=True).strip()[1:-1]
        self._edits.append(_Edit(name.end_mark.index, end, f": {text}{after}"))

    def _end(self, node: Any) -> int:
        """Behind the last character of the value; a block ends where what is in it does."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            return max(self._end(child) for child in (last if isinstance(last, tuple) else (last,)))
        return int(node.end_mark.index)

    def _line_after(self, position: int) -> int:
        """Where the line behind that of ``position`` begins."""
        if position and self._text[position - 1] == "\n":
            return position
        end = self._text.find("\n", position)
        return len(self._text) if end < 0 else end + 1

    def _broken(self, position: int) -> str:
        """What has to stand before a new line there."""
        return "" if not position or self._text[position - 1] == "\n" else "\n"

    def _unfit(self, what: str, how: str) -> DefinitionInvalid:
        return DefinitionInvalid(f"the file cannot be changed: {what}", where=self._where, hint=how)


def _member(node: yaml.MappingNode, key: str) -> Any:
    return next((value for name, value in node.value if name.value == key), None)
