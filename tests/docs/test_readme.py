"""What the README says is so."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx
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
    assert 0 < seen["exp"] - seen["iat"] <= 60  # it ends with the first hop's, which may be a second older


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
    assert set(document) == {"mcpServers", "servers"}
    for name, entry in (*document["mcpServers"].items(), *document["servers"].items()):
        expected = {"type", "url"} if "url" in entry else {"command", "args"}
        assert expected <= set(entry) <= {*expected, "type"}, name
    for name, entry in document["servers"].items():
        assert entry["type"] == ("http" if "url" in entry else "stdio"), name  # VS Code wants to be told


def test_the_examples_http_entry_tells_a_client_where_to_sign_in(served: Served) -> None:
    url = example()["mcpServers"]["remit"]["url"].replace("8700", served.ports["8700"])
    answer = httpx.post(url, json={}, trust_env=False)
    assert answer.status_code == 401
    (where,) = re.findall(r'resource_metadata="([^"]+)"', answer.headers["WWW-Authenticate"])
    (issuer,) = httpx.get(where, trust_env=False).json()["authorization_servers"]
    server = httpx.get(f"{issuer}/.well-known/oauth-authorization-server", trust_env=False).json()
    assert {"authorization_endpoint", "registration_endpoint"} <= server.keys()


@pytest.mark.parametrize("clients", ["mcpServers", "servers"])
@pytest.mark.skipif(os.name != "posix", reason="the example names the folder that a virtual environment has on POSIX")
def test_the_examples_stdio_entry_works_as_it_stands(clients: str, served: Served, tmp_path: Path) -> None:
    token = tmp_path / "token"
    assert run_remit(f"remit token mint bob > {token}", served.folder)[0] == 0
    checkout(tmp_path, served.folder)
    entry = example()[clients]["remit-stdio"]
    parameters = StdioServerParameters(
        command=str(tmp_path / entry["command"]),  # a client starts it in the checkout
        args=entry["args"],
        env=environment(REMIT_SUBJECT_TOKEN_FILE=str(token)),
        cwd=tmp_path,
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


def checkout(folder: Path, workspace: Path) -> None:
    """A folder with what `make demo` leaves in a checkout: the program, and the demo's workspace."""
    command = shutil.which("remit", path=str(Path(sys.executable).parent))
    assert command, "remit is not installed beside this Python"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "remit").symlink_to(command)
    (folder / ".demo").symlink_to(workspace)


def test_make_demo_keeps_its_workspace_where_the_example_looks_for_it() -> None:
    assert "remit demo --dir .demo" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_client_has_its_line() -> None:
    section = README.section("Connect a client")
    for name in ("Claude Code", "Claude Desktop", "Cursor", "VS Code"):
        assert f"| {name} |" in section
    written = " ".join(codes(section))
    for word in ("remit login", "REMIT_SUBJECT_TOKEN_FILE", example()["mcpServers"]["remit"]["url"]):
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
