"""``remit`` in this process, as a terminal sees it: the command's own entry point, its two streams, its exit code.

Much faster than a process a command. Whatever leaves ``main`` other than by an exit code fails the test, as a
traceback would.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from remit.cli.main import main


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed, as JSON: nothing else may be on standard output."""
        return json.loads(self.out)


@dataclass
class Terminal:
    """``terminal("call", "get_order", …)`` runs a command in the folder ``cwd``."""

    cwd: Path
    monkeypatch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object, stdin: str = "", typed: str | None = None, **environment: str) -> Done:
        """``stdin`` is a file's; ``typed`` is what somebody types."""
        self.capture.readouterr()
        with self.monkeypatch.context() as patch, _logging_restored():
            patch.chdir(self.cwd)
            patch.setattr(sys, "argv", ["remit", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.StringIO(stdin) if typed is None else _Keyboard(typed))
            for name, value in environment.items():
                patch.setenv(name, value)
            code = _exit_code()
        captured = self.capture.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Done(code, captured.out, captured.err)


class _Keyboard(io.StringIO):
    """Standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


def _exit_code() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        gc.collect()  # the policy engine must be let go in this thread
    return 0


@contextmanager
def _logging_restored() -> Iterator[None]:
    """A command configures logging for the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
