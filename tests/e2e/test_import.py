"""From an API's description to a governed call, as a newcomer does it: `remit demo` serves, a second terminal imports."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.command import remit_process
from support.company import Workspace
from support.shell import free_ports, run_remit, wait_for_file

#: What the README promises, seconds; most of it is there for the person who types.
PROMISED = 180


@dataclass
class Newcomer:
    """The folder that `remit init` wrote, while `remit demo --dir .` serves it."""

    workspace: Workspace
    tokens: dict[str, str]

    def types(self, line: str, *, exit_code: int = 0) -> str:
        """What the command prints on both streams."""
        code, printed = run_remit(line, self.workspace.folder)
        assert code == exit_code, printed
        return printed

    def shown(self, user: str) -> set[str]:
        """The tools that the user's agent is shown by the server that runs."""

        async def listed() -> set[str]:
            async with self.workspace.http_client(self.tokens[user]) as client:
                return {tool.name for tool in (await client.list_tools()).tools}

        return asyncio.run(listed())

    def waits_until_shown(self, tool: str, user: str = "alice") -> None:
        """The server watches its files."""
        deadline = time.monotonic() + 30
        while tool not in self.shown(user):
            assert time.monotonic() < deadline, f"{tool} was not served within 30 s"
            time.sleep(0.05)  # another process reads the file: there is no event to wait for

    def calls(self, user: str, tool: str, **arguments: Any) -> Any:
        """What the user's agent is told by the server that runs."""

        async def called() -> Any:
            async with self.workspace.http_client(self.tokens[user]) as client:
                return await client.call_tool(tool, arguments)

        return asyncio.run(called())


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    folder, ready = tmp_path / "company", tmp_path / "ready.json"
    code, printed = run_remit("remit init company", tmp_path)
    assert code == 0, printed
    ports = free_ports()
    for file in (folder / "remit.yaml", *(folder / "apis").iterdir()):
        text = file.read_text(encoding="utf-8")
        for written, used in ports.items():
            text = text.replace(f"127.0.0.1:{written}", f"127.0.0.1:{used}")
        file.write_text(text, encoding="utf-8")
    with remit_process("demo", "--dir", folder, "--ready-file", ready, cwd=folder) as process:
        wait_for_file(ready, process)
        document = json.loads(ready.read_text(encoding="utf-8"))
        urls = document["endpoints"]
        workspace = Workspace(folder, urls["issuer"], urls["orders"], urls["payments"], urls["stock"])
        yield Newcomer(workspace, document["tokens"])


def test_a_description_becomes_tools_that_are_called_as_the_user_and_denied_by_policy(newcomer: Newcomer) -> None:
    began = time.monotonic()
    newcomer.types("remit import openapi apis/stock.yaml --audience stock-api --only-read")
    newcomer.types("remit check")
    newcomer.waits_until_shown("get_stock")
    assert not {"reserve_stock", "release_reservation", "record_counts"} & newcomer.shown("alice")
    assert '"available"' in newcomer.types("remit call get_stock sku=LMP-21 --as alice")
    assert newcomer.calls("bob", "get_stock", sku="LMP-21").structured_content["available"] == 216
    assert time.monotonic() - began < PROMISED

    newcomer.types("remit import openapi apis/stock.yaml --audience stock-api --force")
    newcomer.waits_until_shown("reserve_stock")
    assert "reserve_stock" not in newcomer.shown("bob")
    reserving = "remit call reserve_stock sku=LMP-21 warehouse=lyon quantity=2"
    assert '"reserved_by": "alice"' in newcomer.types(f"{reserving} --as alice")
    assert "role_forbids" in newcomer.types(f"{reserving} --as bob", exit_code=4)

    trail = [line.split() for line in newcomer.types("remit audit tail").splitlines()]
    assert {"success", "get_stock", "bob"} <= {*next(line for line in trail if "bob" in line and "get_stock" in line)}
    assert "denied" in next(line for line in trail if "bob" in line and "reserve_stock" in line)
    assert "success" in next(line for line in trail if "alice" in line and "reserve_stock" in line)
