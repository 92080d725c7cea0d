"""The guide to token delegation works, word for word, in a real shell against a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.company import free_port
from support.docs import ROOT, Page

GUIDE = Page(ROOT / "docs" / "token-delegation.md")
BLOCKS = GUIDE.blocks("sh", "json", "text")
MARK = "@@ end of block"
SECONDS = 60


def holds(shown: Any, printed: Any) -> bool:
    """Whether everything shown was printed; more may have been."""
    if isinstance(shown, dict):
        return isinstance(printed, dict) and all(
            name in printed and holds(value, printed[name]) for name, value in shown.items()
        )
    return shown == "…" or bool(shown == printed)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each shell block printed, in order; ports of the page are replaced by free ones and back."""
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        pytest.skip("the guide is for a POSIX shell with curl, which this machine has not")
    folder = tmp_path_factory.mktemp("guide")
    ports = {str(port): str(free_port()) for port in (8700, 8701, 8702)}
    script = f"\necho; echo '{MARK}'\n".join(block.text for block in BLOCKS if block.language == "sh")
    # Between writing the workspace and serving it, its ports become free ones too.
    script = script.replace("cd company\n", "cd company\n" + _in_settings(ports), 1)
    for written, used in ports.items():
        script = script.replace(f":{written}", f":{used}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(
        [bash, "-eu", "-c", f"trap 'kill $(jobs -p)' EXIT\n{script}"],
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    text = ended.stdout
    for written, used in ports.items():
        text = text.replace(f":{used}", f":{written}")
    return [part.strip() for part in text.split(MARK)]


def _in_settings(ports: dict[str, str]) -> str:
    return (
        "".join(f"sed -i.before s/:{written}/:{used}/ remit.yaml\n" for written, used in ports.items())
        .replace(":87", ":@87")
        .replace(":@87", ":[8]7")
    )


def _expected() -> list[tuple[int, str, str]]:
    """For each block that shows output: the number of the shell block before it, its kind and its text."""
    shells, expected = -1, []
    for block in BLOCKS:
        if block.language == "sh":
            shells += 1
        else:
            expected.append((shells, block.language, block.text))
    return expected


@pytest.mark.parametrize(("number", "kind", "shown"), _expected())
def test_a_step_prints_what_the_guide_says(number: int, kind: str, shown: str, printed: list[str]) -> None:
    if kind == "json":
        assert holds(json.loads(shown), json.loads(printed[number])), printed[number]
    else:
        assert shown.strip() in printed[number]
