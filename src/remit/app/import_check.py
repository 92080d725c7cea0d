"""Whether a tool file that is made of a description loads (rule): before it is written, and without what lies on disk."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from remit.catalog.compile import compile_text
from remit.catalog.definition import ToolFile
from remit.catalog.described import Described
from remit.catalog.descriptions import Descriptions, Opened, Source
from remit.catalog.document import read_document
from remit.catalog.openapi.report import Taken
from remit.catalog.openapi.selection import LeftOut
from remit.catalog.problem import Flaws, Problem
from remit.errors import DefinitionInvalid


class Read:
    """A description that is at hand, and the environment."""

    def __init__(self, described: Described, environment: Mapping[str, str]) -> None:
        self._descriptions = _Held(described)
        self._environment = environment

    def problems(self, text: str, output: str) -> tuple[Problem, ...]:
        """What keeps a tool file from being loaded."""
        return compile_text(text, output, self._environment, self._descriptions).problems

    def check(self, text: str, output: str) -> None:
        """Raise ``DefinitionInvalid`` where it would not load."""
        problems = self.problems(text, output)
        if problems:
            what = f"the file would not load: {problems[0].message}"
            raise DefinitionInvalid(what, where=problems[0].where, hint=problems[0].hint)


class _Held(Descriptions):
    """The one description that is at hand, wherever a file says that it is."""

    def __init__(self, described: Described) -> None:
        super().__init__()
        self._described = described

    def open(self, definition: ToolFile, file: Path, flaws: Flaws) -> Opened | None:
        """That description."""
        del definition, flaws
        return Opened(self._described, Source(file.parent, (), (), self._described.description.digest))


def loadable(
    make: Callable[[tuple[Taken, ...]], str], taken: tuple[Taken, ...], output: str, read: Read
) -> tuple[tuple[Taken, ...], tuple[LeftOut, ...]]:
    """The tools that can be used, and the others. ``make``: the file's text for these tools.

    Raises ``DefinitionInvalid`` where something else is wrong than single tools.
    """
    text = make(taken)
    problems = read.problems(text, output)
    at_fault = _tools_at_fault(text, problems)
    good = tuple(each for index, each in enumerate(taken) if index not in at_fault)
    faults = (LeftOut.of(taken[index].candidate.operation, why, is_fault=True) for index, why in at_fault.items())
    if problems and good:
        read.check(make(good), output)
    return good, tuple(faults)


def _tools_at_fault(text: str, problems: Sequence[Problem]) -> dict[int, str]:
    """Index of a tool → the first thing that is wrong with it."""
    if not problems:
        return {}
    document = read_document(text)
    lines = [document.locate(("tools", index))[0] for index in range(len(document.data["tools"]))]
    found: dict[int, str] = {}
    for problem in problems:
        index = bisect(lines, problem.line) - 1
        if index >= 0:
            found.setdefault(index, problem.message)
    return found
