"""The gateway's page works, word for word, in a real shell against a real server."""

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
from support.docs import ROOT, Block, Page

GUIDE = Page(ROOT / "docs" / "gateway.md")
MARK = "@@ end of block"
SECONDS = 60


def tried() -> list[Block]:
    """The blocks below the heading that says they are tried."""
    section = GUIDE.section("Try it")
    return [block for block in GUIDE.blocks("sh", "json", "text") if block.text in section]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each shell block printed, in order; ports of the page are replaced by free ones and back."""
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        pytest.skip("the page is for a POSIX shell with curl, which this machine has not")
    ports = {str(port): str(free_port()) for port in (8700, 8701, 8702)}
    script = f"\necho; echo '{MARK}'\n".join(block.text for block in tried() if block.language == "sh")
    settings = "".join(
        f"sed -i.before s/:{written[0]}[{written[1]}]{written[2:]}/:{used}/ remit.yaml\n"
        for written, used in ports.items()
    )
    script = script.replace("cd shop\n", f"cd shop\n{settings}", 1)
    for written, used in ports.items():
        script = script.replace(f":{written}", f":{used}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(
        [bash, "-eu", "-c", f"trap 'kill $(jobs -p)' EXIT\n{script}"],
        cwd=tmp_path_factory.mktemp("gateway"),
        env={**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "200"},
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


def expected() -> list[tuple[int, str, str]]:
    """For each block that shows output: the number of the shell block before it, its kind and its text."""
    shells, found = -1, []
    for block in tried():
        if block.language == "sh":
            shells += 1
        else:
            found.append((shells, block.language, block.text))
    return found


@pytest.mark.parametrize(("number", "kind", "shown"), expected())
def test_a_step_prints_what_the_page_says(number: int, kind: str, shown: str, printed: list[str]) -> None:
    if kind == "json":
        wanted: dict[str, Any] = json.loads(shown)
        got = json.loads(printed[number])
        assert {name: got[name] for name in wanted} | {"audit_id": "…"} == wanted | {"audit_id": "…"}
    else:
        assert all(line in printed[number] for line in shown.strip().splitlines()), printed[number]


def test_something_is_tried() -> None:
    assert len(expected()) == 5
