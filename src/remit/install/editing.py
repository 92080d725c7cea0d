"""Door: whose machine this is, and a client's file there, changed as a whole.

A copy of the old file is kept beside, and a reader sees the old one or the new.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from remit.errors import StateInvalid
from remit.install.places import PACKAGE_PREFIX, Machine
from remit.settings import environment

_MAX_BYTES: Final = 16 << 20
_MAX_LINE: Final = 200
_BYTE_ORDER_MARK: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class Change:
    """What would be written to ``file``: its text before (``None``: it is not there) and after."""

    file: Path
    before: str | None
    after: str

    @property
    def is_needed(self) -> bool:
        """Whether it would be another text."""
        return self.after != (self.before or "")

    def diff(self) -> str:
        """A unified diff of what changes and nothing around it: that may hold the secrets of other servers."""
        lines = difflib.unified_diff(
            (self.before or "").splitlines(),
            self.after.splitlines(),
            f"{self.file} (now)",
            f"{self.file} (new)",
            lineterm="",
            n=0,
        )
        return "".join(f"{_shown(line)}\n" for line in lines)


def this_machine() -> Machine:
    """This person's, on this machine."""
    machine = Machine(sys.platform, Path.home(), environment())
    if machine.platform != "win32":
        return machine
    try:
        packages = sorted(each.name for each in machine.package_folder.glob(f"{PACKAGE_PREFIX}*"))
    except OSError:
        packages = []
    return dataclasses.replace(machine, packages=tuple(packages))


def planned(file: Path, edit: Callable[[str], str]) -> Change:
    """What ``edit`` makes of the file's text. Raises ``StateInvalid``, and what ``edit`` raises."""
    try:
        with file.open("rb") as source:
            content = source.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise _unusable(file, f"it is larger than {_MAX_BYTES} bytes")
        before = content.decode()
    except FileNotFoundError:
        return Change(file, None, edit(""))
    except (OSError, UnicodeError) as error:
        raise _unusable(file, str(error)) from error
    mark = _BYTE_ORDER_MARK if before.startswith(_BYTE_ORDER_MARK) else ""
    return Change(file, before, mark + edit(before.removeprefix(mark)))


def apply(change: Change, now: float) -> Path | None:
    """Write it. The copy of what was there before, named after the time; ``None`` where nothing was.

    Raises ``StateInvalid``, also where the file is not any more what it was when the change was planned.
    """
    file = change.file
    if planned(file, lambda text: text).before != change.before:
        raise _unusable(file, "it was changed meanwhile", hint="run the command again")
    target = file.resolve()  # a link stays a link
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        backup = _back_up(target, change.before, now) if change.before is not None else None
        _write(target, change.after)
    except OSError as error:
        raise _unusable(file, str(error)) from error
    return backup


def _back_up(file: Path, text: str, now: float) -> Path:
    name = f"{file.name}.bak-{datetime.fromtimestamp(now, UTC).strftime('%Y%m%dT%H%M%SZ')}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    backup = next(beside for each in names if not (beside := file.with_name(each)).exists())
    _write(backup, text, mode=file.stat().st_mode & 0o777)
    return backup


def _write(file: Path, text: str, mode: int | None = None) -> None:
    if mode is None:
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    descriptor, beside = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as target:
            target.write(text)
            target.flush()
            os.fsync(target.fileno())
        if os.name == "posix":
            Path(beside).chmod(mode)
        Path(beside).replace(file)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _shown(line: str) -> str:
    line = "".join(each if each.isprintable() or each == "\t" else "?" for each in line)
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}…"


def _unusable(file: Path, detail: str, hint: str = "mend it, or see what to write with --print") -> StateInvalid:
    return StateInvalid("the client's file cannot be used", where=str(file), detail=detail, hint=hint)
