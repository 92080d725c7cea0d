"""Path: what differs from `tools.lock`, and approving it. Nothing is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from remit.catalog.loader import load_catalog
from remit.catalog.lock import Change
from remit.catalog.lock_files import Locks
from remit.catalog.problem import Problem
from remit.catalog.tool import Tool
from remit.errors import StateInvalid
from remit.settings import Settings, environment


@dataclass(frozen=True, slots=True)
class LockReview:
    """The tools beside their locks. With ``problems`` nothing may be approved: tools are missing."""

    tools: tuple[Tool, ...]
    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]
    faults: tuple[Problem, ...]
    paths: Sequence[Path]

    @property
    def ok(self) -> bool:
        """Whether all is as it was approved."""
        return not (self.changes or self.problems or self.faults)

    def approve(self) -> list[Path]:
        """Write the locks that would change. Raises ``StateInvalid``."""
        try:
            return Locks(self.paths).write(self.tools)
        except OSError as error:
            raise StateInvalid(
                f"the lock cannot be written: {error.strerror}",
                where=str(error.filename or ""),
                hint="check permissions",
            ) from error


def review_lock(settings: Settings) -> LockReview:
    """The tool files as they are now, beside what was approved of them."""
    variables, cache = {**settings.variables, **environment()}, settings.descriptions_dir
    report = load_catalog(settings.tools, variables, python=settings.python_tools, cache=cache)
    tools = tuple(report.catalog.tools.values())
    locks = Locks(settings.tools)
    return LockReview(tools, tuple(locks.changes(tools)), report.problems, tuple(locks.faults), settings.tools)
