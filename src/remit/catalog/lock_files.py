"""``tools.lock`` on disk, beside the tool files (door). One for each folder that the setting ``tools`` names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from remit.catalog.lock import LOCK_NAME, Change, Lock, LockInvalid
from remit.catalog.problem import Problem
from remit.catalog.tool import Tool

__all__ = ["LOCK_NAME", "MAX_LOCK_BYTES", "LockMode", "Locks", "lock_file"]

MAX_LOCK_BYTES: Final = 32 * 1024 * 1024
LockMode = Literal["off", "warn", "enforce"]

_HINT: Final = "review it, then approve it with `remit tools lock`"


def lock_file(path: Path) -> Path:
    """Where the lock of a path of the setting ``tools`` stands."""
    return (path.parent if path.is_file() else path) / LOCK_NAME


class Locks:
    """The locks of some paths, as they are on disk now. One that is not there, or is none, approves nothing."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self.faults: list[Problem] = []
        self._locks = {file: self._read(file) for file in dict.fromkeys(map(lock_file, self._paths))}

    def _read(self, file: Path) -> Lock:
        try:
            with file.open("rb") as stream:
                content = stream.read(MAX_LOCK_BYTES + 1)
            if len(content) > MAX_LOCK_BYTES:
                raise LockInvalid(f"larger than {MAX_LOCK_BYTES} bytes")
            return Lock.read(content.decode("utf-8"))
        except FileNotFoundError:
            return Lock()
        except OSError as error:
            why = f"cannot be read: {error.strerror}"
        except ValueError as error:
            why = f"is no lock: {error}" if isinstance(error, LockInvalid) else "is not UTF-8"
        self.faults.append(Problem(file.as_posix(), 0, 0, f"it {why}", "write it again with `remit tools lock`"))
        return Lock()

    def lock_for(self, file: Path) -> Lock | None:
        """The lock that says what was approved of a tool file; ``None`` where there is none yet."""
        place = self._lock_of(file)
        return self._locks[place] if place is not None and place.exists() else None

    def grouped(self, tools: Iterable[Tool]) -> dict[Path, tuple[Lock, list[Tool]]]:
        """Each lock with the tools that it is for; the first is for those from elsewhere, too."""
        groups: dict[Path, tuple[Lock, list[Tool]]] = {file: (lock, []) for file, lock in self._locks.items()}
        first = next(iter(groups), Path(LOCK_NAME))
        for tool in tools:
            place = self._lock_of(Path(tool.where.rpartition(":")[0])) or first
            groups.setdefault(place, (Lock(), []))[1].append(tool)
        return groups

    def changes(self, tools: Iterable[Tool]) -> list[Change]:
        """Every tool that is not as it was approved, and those that are gone."""
        return [change for lock, own in self.grouped(tools).values() for change in lock.changes(own)]

    def problems(self, tools: Iterable[Tool]) -> dict[str, Problem]:
        """What is to be said of the tools that are not approved as they are, by name."""
        changes = [change for change in self.changes(tools) if change.kind != "gone"]
        problems = {change.tool: _problem(change) for change in changes}
        return {**problems, **{fault.file: fault for fault in self.faults}}

    def write(self, tools: Iterable[Tool]) -> list[Path]:
        """Approve the tools as they are. A file that would not change is left alone; raises ``OSError``."""
        written = []
        for file, (lock, own) in self.grouped(tools).items():
            now = Lock.of(own)
            if (now.pins != lock.pins or not file.exists()) and (own or file.exists()):
                _replace(file, now.text())
                written.append(file)
        return written

    def _lock_of(self, file: Path) -> Path | None:
        path = next((path for path in self._paths if path == file or path in file.parents), None)
        return lock_file(path) if path is not None else None


def _problem(change: Change) -> Problem:
    file, _, line = change.where.rpartition(":")
    said = "is not in tools.lock" if change.kind == "new" else "is not what tools.lock approved"
    first = f": {change.details[0].rstrip(':')}" if change.kind == "changed" and change.details else ""
    return Problem(file, int(line), 1, f"{change.tool} {said}{first}", _HINT)


def _replace(file: Path, text: str) -> None:
    """All at once: a reload in between reads the one or the other."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text, encoding="utf-8", newline="\n")
    os.replace(fresh, file)  # noqa: PTH105  the same on every system
