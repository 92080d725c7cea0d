"""The sample company in a process of its own, and a terminal to talk to it from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import remit_process
from support.company import free_port
from support.terminal import Terminal


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:

    for name in [name for name in os.environ if name.startswith(("REMIT_", "ORDERS_", "PAYMENTS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def remit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """``remit`` in an empty folder."""
    return Terminal(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The workspace of a running demonstration. Its trail is read, never broken."""
    folder = tmp_path_factory.mktemp("shop")
    ready = folder / "ready.json"
    with remit_process(
        "demo", "--dir", folder / "workspace", "--ready-file", ready, "--port", free_port(), cwd=folder
    ) as process:
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)  # another process writes it: there is no event to wait for
        json.loads(ready.read_text(encoding="utf-8"))
        yield folder / "workspace"


@pytest.fixture
def at_shop(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """``remit`` in the workspace of the running demonstration."""
    return Terminal(shop, monkeypatch, capsys)
