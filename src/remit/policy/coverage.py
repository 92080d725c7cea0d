"""Noun: which lines of a policy an evaluation reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: First and last line, both included, counted from 1.
Lines = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """One file. A line that holds nothing to evaluate is in neither list."""

    file: str
    covered: tuple[Lines, ...] = ()
    uncovered: tuple[Lines, ...] = ()

    @property
    def percent(self) -> float:
        """100 where there is nothing to evaluate."""
        return _percent(_count(self.covered), _count(self.uncovered))


@dataclass(frozen=True, slots=True)
class Coverage:
    """All files of a policy, by their path."""

    files: tuple[FileCoverage, ...] = ()

    @classmethod
    def of(cls, reports: Iterable[Mapping[str, Any]], files: Iterable[str]) -> Coverage:
        """From the engine's reports, one an evaluation; of these files only."""
        reached: dict[str, set[int]] = {file: set() for file in files}
        known: dict[str, set[int]] = {file: set() for file in reached}
        for report in reports:
            for each in report["files"]:
                if each["path"] in reached:
                    reached[each["path"]].update(each["covered"])
                    known[each["path"]].update(each["covered"], each["not_covered"])
        return cls(
            tuple(
                FileCoverage(file, _ranges(reached[file]), _ranges(known[file] - reached[file]))
                for file in sorted(reached)
            )
        )

    @property
    def percent(self) -> float:
        """Of all lines that hold something to evaluate."""
        return _percent(*(sum(_count(getattr(file, kind)) for file in self.files) for kind in ("covered", "uncovered")))

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "percent": self.percent,
            "files": [
                {
                    "file": file.file,
                    "percent": file.percent,
                    "covered": [list(lines) for lines in file.covered],
                    "uncovered": [list(lines) for lines in file.uncovered],
                }
                for file in self.files
            ],
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Coverage:
        """What ``document`` made."""
        return cls(
            tuple(
                FileCoverage(each["file"], _pairs(each["covered"]), _pairs(each["uncovered"]))
                for each in document["files"]
            )
        )


def _ranges(lines: set[int]) -> tuple[Lines, ...]:
    found: list[Lines] = []
    for line in sorted(lines):
        if found and found[-1][1] == line - 1:
            found[-1] = (found[-1][0], line)
        else:
            found.append((line, line))
    return tuple(found)


def _pairs(lines: Sequence[Sequence[int]]) -> tuple[Lines, ...]:
    return tuple((first, last) for first, last in lines)


def _count(lines: Iterable[Lines]) -> int:
    return sum(last - first + 1 for first, last in lines)


def _percent(covered: int, uncovered: int) -> float:
    return round(100 * covered / (covered + uncovered), 1) if covered + uncovered else 100.0
