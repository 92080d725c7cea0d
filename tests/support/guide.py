"""Plays the shell blocks of a page in one real shell, against a real server, and tells what each of them printed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.company import free_port
from support.docs import Block

_MARK = "@@ end of block"
_SECONDS = 60


@dataclass(frozen=True)
class Shown:
    """A block that shows output: the number of the shell block before it, its kind and its text."""

    number: int
    kind: str
    text: str

    def check(self, printed: Sequence[str]) -> None:
        """What is shown was printed; of a JSON object more may have been."""
        if self.kind == "json":
            assert _holds(json.loads(self.text), json.loads(printed[self.number])), printed[self.number]
        else:
            assert all(line in printed[self.number] for line in self.text.strip().splitlines()), printed[self.number]


def shown(blocks: Sequence[Block]) -> list[Shown]:
    """The blocks that show output, in order."""
    shells, found = -1, []
    for block in blocks:
        if block.language == "sh":
            shells += 1
        else:
            found.append(Shown(shells, block.language, block.text))
    return found


def play(blocks: Sequence[Block], folder: Path, workspace: str) -> list[str]:
    """What each shell block printed, in order. ``workspace``: the folder that the page makes and goes into.

    The page's ports become free ones, in its commands and in the settings it writes, and back in what is printed.
    """
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        pytest.skip("the page is for a POSIX shell with curl, which this machine has not")
    ports = {str(port): str(free_port()) for port in (8700, 8701, 8702, 8703)}
    script = f"\necho; echo '{_MARK}'\n".join(block.text for block in blocks if block.language == "sh")
    # The port in the pattern is spelled so that the replacement below passes it over.
    settings = "".join(
        f"sed -i.before s/:{written[0]}[{written[1]}]{written[2:]}/:{used}/ remit.yaml\n"
        for written, used in ports.items()
    )
    script = script.replace(f"cd {workspace}\n", f"cd {workspace}\n{settings}", 1)
    for written, used in ports.items():
        script = script.replace(f":{written}", f":{used}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(
        [bash, "-eu", "-c", f"trap 'kill $(jobs -p)' EXIT\n{script}"],
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    text = ended.stdout
    for written, used in ports.items():
        text = text.replace(f":{used}", f":{written}")
    return [part.strip() for part in text.split(_MARK)]


def _holds(wanted: Any, printed: Any) -> bool:
    """An audit id is another one each time, wherever it is shown; so is whatever is shown as ``…``."""
    if isinstance(wanted, dict):
        return isinstance(printed, dict) and all(
            name in printed and (name == "audit_id" or _holds(value, printed[name])) for name, value in wanted.items()
        )
    return wanted == "…" or bool(wanted == printed)
