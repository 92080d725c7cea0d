"""What the pages of docs/ show works: commands, tool files, settings, policies. And what no file may hold."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from remit.catalog.compile import compile_text
from remit.catalog.openapi.overlay import read_overlay
from remit.catalog.python import compile_python
from remit.clock import SystemClock
from remit.errors import PolicyInvalid, SettingsInvalid
from remit.policy.bundle import load_policy
from remit.policy.rego import RegoEngine
from remit.policy.tables import check_tables
from remit.policy.testing import run_tests
from remit.settings import load_settings
from support.docs import PAGES, README, ROOT, Block, Page, commands
from support.policy import SAMPLE
from support.shell import Shell, is_run, run_remit

DOCS = [each for each in PAGES if each != README]


def shown(*languages: str) -> list[Block]:
    """The blocks of all pages in those languages."""
    return [block for each in PAGES for block in each.blocks(*languages)]


def where(value: Block | Page) -> str:
    return value.name if isinstance(value, Page) else f"{value.language}-{value.path}-{value.line}"


@pytest.mark.parametrize("page", [each for each in DOCS if each.blocks("console")], ids=where)
def test_its_commands_do_what_it_says(page: Page, page_shell: Shell) -> None:
    page_shell.play(page)
    asked = [command for block in page.blocks("console") for command in commands(block)]
    assert page_shell.played == [command.text for command in asked if is_run(command)]


def test_every_block_is_of_a_kind_that_is_tried_here() -> None:
    assert {block.language for block in shown()} <= {"console", "yaml", "json", "python", "rego", "sh", "text"}


@pytest.mark.parametrize("block", shown("python"), ids=where)
def test_python_makes_tools(block: Block) -> None:
    compiled = compile_python(block.text, block.path, {})
    assert compiled.problems == ()
    assert compiled.tools


@pytest.mark.parametrize("block", shown("json"), ids=where)
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


# ── YAML ─────────────────────────────────────────────────────────────────────────────────

_TOOL_FILE = """\
version: 1
name: example
upstream: {baseUrl: https://api.example.com, auth: {audience: example-api}}
tools:
  -
"""
#: What tool files refer to, by where they expect it.
DESCRIPTIONS = {
    "billing.yaml": ROOT / "tests" / "openapi" / "billing.yaml",
    "stock/stock.yaml": ROOT / "src" / "remit" / "demo" / "apis" / "stock.yaml",
}


@pytest.mark.parametrize("block", shown("yaml"), ids=where)
def test_yaml_is_a_tool_file_a_tool_or_settings_and_loads(block: Block, tmp_path: Path) -> None:
    document = yaml.safe_load(block.text)
    if "upstream" in document:
        for name, description in DESCRIPTIONS.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(description.read_bytes())
        problems = compile_text(block.text, (tmp_path / "tools.yaml").as_posix(), {}).problems
        assert bool(problems) == (block.path == "tools/broken.yaml"), problems
    elif block.path.startswith(("policy/", "next/")) or document.keys() == {"needs"}:
        assert not check_tables({"roles": {"support-lead": {}}, **document})
    elif "overlay" in document:
        assert read_overlay(document, "ours.yaml").actions
    elif "request" in document:
        body = "".join(f"    {line}\n" for line in block.text.splitlines())
        assert not compile_text(_TOOL_FILE + body, "example.yaml", {}).problems
    else:
        file = tmp_path / (block.path or "remit.yaml")
        file.write_text(block.text, encoding="utf-8")
        load_settings(file)


def test_a_full_example_for_a_remote_token_service_is_there(tmp_path: Path) -> None:
    (block,) = [block for block in shown("yaml") if block.path == "remote.yaml"]
    file = tmp_path / "remit.yaml"
    file.write_text(block.text, encoding="utf-8")
    settings = load_settings(file)
    assert settings.exchange.service == "remote"
    assert [issuer.issuer for issuer in settings.identity.issuers] == [settings.exchange.issuer]
    assert settings.mcp_resource == f"{settings.public_url}/mcp"
    assert settings.agent.private_key is not None
    assert settings.agent.private_key.file == tmp_path / "secrets" / "agent-runner.pem"
    assert not settings.sts.enabled


# ── Rego ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("block", shown("rego"), ids=where)
def test_a_policy_can_be_used_unless_it_shows_a_mistake(block: Block, tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    if block.path:  # it stands beside the sample company's tables
        shutil.copytree(SAMPLE, folder)
    file = tmp_path / (block.path or "policy/authz.rego")
    file.parent.mkdir(exist_ok=True)
    file.write_text(block.text, encoding="utf-8")
    bundle = load_policy(folder)
    if block.path == "policy/broken.rego":
        with pytest.raises(PolicyInvalid):
            RegoEngine(bundle, SystemClock())
    else:
        RegoEngine(bundle, SystemClock())
        assert run_tests(bundle).ok


# ── the environment ──────────────────────────────────────────────────────────────────────


def test_the_environment_is_read_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "remit.yaml"
    file.write_text("variables: {A: a}\nlisten: 127.0.0.1:1\n", encoding="utf-8")
    monkeypatch.setenv("REMIT_TOOLS", '["tools", "more"]')
    monkeypatch.setenv("REMIT_AUDIT__FILE", "trail.db")
    monkeypatch.setenv("REMIT_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("REMIT_VARIABLES", '{"B": "b"}')
    monkeypatch.setenv("REMIT_POLICY__PATH", "")
    settings = load_settings(file)
    assert settings.tools == (tmp_path / "tools", tmp_path / "more")
    assert settings.audit_file == tmp_path / "trail.db"
    assert settings.listen == "127.0.0.1:2"
    assert settings.variables == {"A": "a", "B": "b"}
    assert settings.policy.path == tmp_path / "policy"


@pytest.mark.parametrize("variable", ["REMIT_TOOLS", "REMIT_IDENTITY__AUDIENCES", "REMIT_SUBJECT_TOKEN_COMMAND"])
def test_a_list_that_is_not_json_is_named_and_not_repeated(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "print-token --for alice")
    with pytest.raises(SettingsInvalid, match="is not JSON") as refused:
        load_settings(None)
    assert variable.startswith(refused.value.where)
    assert "alice" not in f"{refused.value} {refused.value.hint}"


def test_a_folder_without_settings_is_told_so(tmp_path: Path) -> None:
    code, printed = run_remit("remit check", tmp_path)
    assert code == 1
    assert printed.startswith("no remit.yaml here")
    assert "no remit.yaml here" not in run_remit("remit -q check", tmp_path)[1]


# ── every file ───────────────────────────────────────────────────────────────────────────

_MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:work|root|home|Users)/\w")
_E_MAIL = re.compile(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,})\b")


def texts() -> Iterator[tuple[str, str]]:
    """The name and text of every file that belongs to the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    assert [name for name, text in texts() if _MACHINE_PATH.search(text)] == []


def test_no_file_holds_an_address_of_anybody_real() -> None:
    found = {(name, domain) for name, text in texts() for domain in _E_MAIL.findall(text)}
    assert {(name, domain) for name, domain in found if not re.search(r"(^|\.)example(\.com)?$", domain)} == set()
