"""The sample company, served by `remit demo`, for every page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from remit.demo.workspace import write_workspace
from support.command import remit_process
from support.shell import Served, Shell, free_ports, shell, wait_for_file


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all pages."""
    root = tmp_path_factory.mktemp("served")
    folder, ready = root / "company", root / "ready.json"
    ports = free_ports()
    mcp, orders, payments, stock, *_ = map(int, ports.values())
    write_workspace(folder, ports=(mcp, orders, payments, stock))
    with remit_process("demo", "--dir", folder, "--ready-file", ready, cwd=root) as process:
        wait_for_file(ready, process)
        yield Served(folder, ports, json.loads(ready.read_text(encoding="utf-8")))


@pytest.fixture
def page_shell(served: Served, tmp_path: Path) -> Iterator[Shell]:
    """A shell in a copy of that workspace: the same settings and keys, and a trail of its own."""
    folder = tmp_path / "company"
    shutil.copytree(served.folder, folder, ignore=shutil.ignore_patterns("audit.db*"))
    with shell(folder, served.ports) as opened:
        yield opened
