"""What the README says is so."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from support.command import environment
from support.docs import PAGES, README, ROOT, Page, codes, commands
from support.shell import Served, is_run, run_remit, shell

EXAMPLE = ROOT / "mcp.json.example"


def example() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    return document


def test_its_commands_do_what_it_says(tmp_path: Path) -> None:
    with shell(tmp_path) as played:
        played.play(README)
    asked = [command for block in README.blocks("console") for command in commands(block)]
    assert [command.text for command in asked if is_run(command)] == played.played


def test_every_make_target_that_a_page_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:`|\$ )make ([a-z]+)", page.text)
        assert set(named) <= targets, page.name


def test_its_first_screen_is_a_sentence_a_picture_and_two_commands() -> None:
    top = README.text.split("\n## ")[0]
    made = README.blocks("console")[0]
    assert "agent ──MCP──▶" in top
    assert made.text in top
    assert [command.text for command in commands(made)] == ["make demo", "make test"]
    assert len(top.splitlines()) < 30


def test_the_api_sees_the_claims_that_it_shows(served: Served) -> None:
    (block,) = README.blocks("json")
    refund = next(call for call in served.document["calls"] if call["tool"] == "refund_order" and call["claims"])
    (seen,) = refund["downstream_claims"]
    shown = json.loads(block.text.replace("8700", served.ports["8700"]))
    assert {name: seen[name] for name in shown} == shown
    assert seen["exp"] - seen["iat"] == 60


def test_the_lines_of_the_trail_look_as_it_shows(served: Served) -> None:
    code, printed = run_remit("remit audit tail", served.folder)
    assert code == 0
    lines = [_without_ids(line) for line in printed.splitlines()]
    shown = next(block for block in README.blocks("text") if "success  " in block.text)
    for line in shown.text.splitlines():
        assert _without_ids(line) in lines


def test_the_operator_is_told_what_it_shows(served: Served) -> None:
    asked = "remit policy explain bob agent-runner refund_order order_id=O1001 amount=1250 reason=late"
    code, printed = run_remit(asked, served.folder)
    assert code == 4
    shown = next(block for block in README.blocks("text") if "it would be permitted" in block.text)
    lines = [line.split() for line in printed.splitlines()]
    assert all(line.split() in lines for line in shown.text.splitlines())


def _without_ids(text: str) -> str:
    text = re.sub(r"\b01[0-9A-Z]{24}\b", "ID", text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "TIME", text)


# ── clients ──────────────────────────────────────────────────────────────────────────────


def test_the_example_fits_the_clients_it_is_for() -> None:
    document = example()
    assert set(document) == {"mcpServers", "servers", "inputs"}
    asked_for = {entry["id"] for entry in document["inputs"]}
    for name, entry in (*document["mcpServers"].items(), *document["servers"].items()):
        if "url" in entry:
            assert entry["type"] == "http", name
            assert set(entry) == {"type", "url", "headers"}, name
        else:
            assert {"command", "args", "env"} <= set(entry), name
    for entry in document["servers"].values():
        assert entry["type"] in ("stdio", "http")  # VS Code wants to be told
        assert set(re.findall(r"\$\{input:([^}]+)\}", json.dumps(entry))) <= asked_for
    assert "${input:" not in json.dumps(document["mcpServers"])


@pytest.mark.parametrize("clients", ["mcpServers", "servers"])
def test_the_examples_stdio_entry_works_once_its_paths_are_filled_in(
    clients: str, served: Served, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    assert run_remit(f"remit token mint bob > {token}", served.folder)[0] == 0
    entry = filled_in(example()[clients]["remit-stdio"], served.folder, token)
    parameters = StdioServerParameters(
        command=entry["command"], args=entry["args"], env=environment(**entry["env"]), cwd=tmp_path
    )

    async def main() -> tuple[list[str], Any, Any]:
        async with Client(parameters) as client:
            listed = await client.list_tools()
            read = await client.call_tool("get_order", {"order_id": "O1001"})
            refused = await client.call_tool("refund_order", {"order_id": "O1001", "amount": 5, "reason": "late"})
            return [tool.name for tool in listed.tools], read, refused

    names, read, refused = asyncio.run(main())
    assert names == ["get_order", "list_orders"]
    assert read.structured_content["id"] == "O1001"
    shown = next(block for block in README.blocks("text") if "access_denied" in block.text)
    assert _without_ids(refused.content[0].text).split() == _without_ids(shown.text).split()


def filled_in(entry: dict[str, Any], folder: Path, token: Path) -> dict[str, Any]:
    """The entry with this machine's paths for its placeholders."""
    command = shutil.which("remit", path=str(Path(sys.executable).parent))
    assert command, "remit is not installed beside this Python"
    paths = {
        "/ABSOLUTE/PATH/TO/.venv/bin/remit": command,
        "/ABSOLUTE/PATH/TO/company": folder.as_posix(),
        "/ABSOLUTE/PATH/TO/token": token.as_posix(),
    }
    text = json.dumps(entry)
    for placeholder, path in paths.items():
        text = text.replace(placeholder, Path(path).as_posix())
    assert "ABSOLUTE" not in text
    filled: dict[str, Any] = json.loads(text)
    return filled


def test_every_client_has_its_line() -> None:
    section = README.section("Connect a client")
    for name in ("Claude Code", "Claude Desktop", "Cursor", "VS Code"):
        assert f"| {name} |" in section
    written = " ".join(codes(section))
    for word in (
        "mcpServers",
        "servers",
        "inputs",
        "REMIT_SUBJECT_TOKEN_FILE",
        example()["mcpServers"]["remit"]["url"],
    ):
        assert word in written, word


# ── every page ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_links_lead_somewhere(page: Page) -> None:
    for link in page.links:
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), link
        if anchor:
            assert anchor in Page(target).anchors, link
