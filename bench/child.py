"""Starts a server of the benchmark and asks what it has used."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of all threads since the process started, and resident memory in bytes."""

    cpu: float
    memory: int


class Child:
    """A ``bench.server`` process, ready when the block is entered and ended when it is left."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.server", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ready: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.ready = self._read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # closes its standard input, which ends it

    def usage(self) -> Usage:
        """What it has used so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Usage(**self._read())

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a server of the benchmark ended with {self._process.wait()}")
        document: dict[str, Any] = json.loads(line)
        return document
