"""What is wrong with a tool file, and where (noun).

A ``Flaw`` points into a document by path; a ``Problem`` points into a file by line and column.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Where in a document: keys of mappings and indices of lists, from the root.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with the value at ``path`` (or, with ``at_key``, with the key itself)."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False


class Flaws(list[Flaw]):
    """Flaws as they are found; checking goes on after the first."""

    def add(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """Note one more."""
        self.append(Flaw(path, message, hint, at_key))


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong, for the operator: ``line`` and ``column`` count from 1 (0: the file as a whole)."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    @property
    def where(self) -> str:
        """``file:line:column``, or the file alone."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f" ({self.hint})" if self.hint else "")
