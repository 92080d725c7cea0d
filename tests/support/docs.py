"""Reads the documentation: fenced blocks, tables, links, headings, and the commands in its console blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"# ([\w./-]+\.\w+)\n")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]*)`")
_TABLE = re.compile(r"(?:^\|.*\|\n?)+", re.MULTILINE)
_COMMAND = re.compile(r"\$ (.*?)(?:\s+# (.*))?")
_EXIT = re.compile(r"exit (\d+)")


@dataclass(frozen=True)
class Block:
    """A fenced block. ``path``: the file it is, where its first line is ``# path/of/file``."""

    language: str
    text: str
    line: int

    @property
    def path(self) -> str:
        match = _PATH.match(self.text)
        return match[1] if match else ""


@dataclass
class Command:
    """A ``$`` line: what is typed, the exit code it must end with, and what must be in what it prints."""

    text: str
    line: int
    exit_code: int = 0
    output: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """One page."""

    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def blocks(self, *languages: str) -> list[Block]:
        """The fenced blocks in those languages, or all."""
        text = self.text
        found = (Block(match[1], match[2], text.count("\n", 0, match.start(2)) + 1) for match in _BLOCK.finditer(text))
        return [block for block in found if not languages or block.language in languages]

    def section(self, heading: str) -> str:
        """The text below the heading that reads so (marks of code left out), up to the next of its level or above."""
        lines = self.text.splitlines()
        (start,) = (number for number, line in enumerate(lines) if _is_heading(line, heading))
        level = len(lines[start]) - len(lines[start].lstrip("#"))
        end = next((at for at in range(start + 1, len(lines)) if re.match(f"#{{1,{level}}} ", lines[at])), len(lines))
        return "\n".join(lines[start + 1 : end])

    @property
    def anchors(self) -> set[str]:
        """What a link may name after ``#``, as GitHub makes it of headings."""
        text = _FENCED.sub("", self.text)
        return {_slug(heading) for heading in _HEADING.findall(text)}

    @property
    def links(self) -> list[str]:
        """The targets of its links."""
        return _LINK.findall(_FENCED.sub("", self.text))


README = Page(ROOT / "README.md")
#: Every page there is.
PAGES = (README, *(Page(path) for path in sorted((ROOT / "docs").glob("*.md"))))


def page(name: str) -> Page:
    """A page of docs/."""
    return Page(ROOT / "docs" / name)


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block."""
    command = None
    for number, line in enumerate(block.text.splitlines()):
        if match := _COMMAND.fullmatch(line):
            if command:
                yield command
            expected = _EXIT.search(match[2] or "")
            command = Command(match[1], block.line + number, int(expected[1]) if expected else 0)
        else:
            assert command, f"line {block.line + number}: output before a command"
            command.output.append(line)
    if command:
        yield command


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of every table whose first column is headed ``first``, without marks of code."""
    found: list[list[str]] = []
    for table in _TABLE.findall(text):
        head, _, *body = ([_plain(cell) for cell in _cells(line)] for line in table.splitlines())
        if head[0] == first:
            found += body
    return found


def codes(cell: str) -> list[str]:
    """The texts marked as code in a piece of Markdown."""
    return _CODE.findall(cell)


def _cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line)[1:-1]


def _plain(cell: str) -> str:
    return cell.strip().replace("`", "").replace("\\|", "|")


def _is_heading(line: str, heading: str) -> bool:
    return line.startswith("#") and line.lstrip("#").strip().replace("`", "") == heading


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
