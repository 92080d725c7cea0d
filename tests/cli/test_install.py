"""``remit install``, ``remit uninstall`` and ``remit bundle``, as commands."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from remit.demo.workspace import write_workspace
from support.command import environment, remit, remit_command


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    write_workspace(folder)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    names = {
        "HOME": tmp_path,
        "USERPROFILE": tmp_path,
        "APPDATA": tmp_path / "data",
        "XDG_CONFIG_HOME": tmp_path / "data",
        "LOCALAPPDATA": tmp_path / "local",
        "CLAUDE_CONFIG_DIR": tmp_path,
    }
    return {name: str(path) for name, path in names.items()}


def test_an_entry_is_put_in_kept_and_taken_out(company: Path, home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / ".cursor" / "mcp.json"
    done = remit("install", "cursor", "--yes", "--json", cwd=company, env=home)
    assert json.loads(done.stdout) == {"file": str(file), "changed": True, "backup": None}
    assert '+    "remit"' in done.stderr
    entry = json.loads(file.read_text(encoding="utf-8"))["mcpServers"]["remit"]
    assert entry["args"][-6:] == ["--config", str(company / "remit.yaml"), "serve", "--stdio", "--client", "cursor"]
    assert Path(entry["command"]).is_absolute()
    again = remit("install", "cursor", "--json", cwd=company, env=home)
    assert json.loads(again.stdout) == {"file": str(file), "changed": False}
    gone = json.loads(remit("uninstall", "cursor", "--yes", "--json", cwd=company, env=home).stdout)
    assert json.loads(file.read_text(encoding="utf-8")) == {"mcpServers": {}}
    assert "remit" in Path(gone["backup"]).read_text(encoding="utf-8")


def test_nothing_is_written_where_nobody_can_be_asked(company: Path, home: dict[str, str], tmp_path: Path) -> None:
    done = remit("install", "vscode", "--http", cwd=company, env=home)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="a terminal is made as POSIX has it")
@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"y\n", 0)])
def test_who_sits_at_a_terminal_is_asked(company: Path, home: dict[str, str], answer: bytes, code: int) -> None:
    keyboard, terminal = os.openpty()
    try:
        os.write(keyboard, answer)
        done = subprocess.run(
            remit_command("install", "cursor"),
            cwd=company,
            env=environment(**home),
            stdin=terminal,
            capture_output=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert done.returncode == code
    assert (Path(home["HOME"]) / ".cursor" / "mcp.json").exists() == (code == 0)


def test_a_file_that_is_broken_is_left_alone(company: Path, home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / ".claude.json"
    file.write_text('{"mcpServers": ', encoding="utf-8")
    done = remit("install", "claude-code", "--yes", cwd=company, env=home)
    assert (done.returncode, file.read_text(encoding="utf-8")) == (2, '{"mcpServers": ')
    assert f"{file}:1:" in done.stderr.replace("\n", "").replace(" ", "")


def test_claude_desktop_is_told_where_its_connectors_are(company: Path, home: dict[str, str]) -> None:
    done = remit("install", "claude-desktop", "--http", cwd=company, env=home)
    assert done.returncode == 2
    assert "Connectors" in done.stderr


def test_what_is_printed_is_what_would_be_written(company: Path, home: dict[str, str]) -> None:
    printed = json.loads(
        remit("install", "vscode", "--http", "--print", "--url", "https://h/mcp", cwd=company, env=home).stdout
    )
    assert printed == {"remit": {"type": "http", "url": "https://h/mcp"}}
    both = json.loads(remit("install", "json", "--name", "shop", cwd=company, env=home).stdout)["mcpServers"]
    assert both["shop"] == {"type": "http", "url": "http://127.0.0.1:8700/mcp"}
    assert both["shop-stdio"]["args"][-2:] == ["--client", "json"]
    one = json.loads(remit("install", "json", "--stdio", cwd=company, env=home).stdout)["mcpServers"]
    assert one == {"remit": both["shop-stdio"]}


def test_a_user_is_never_sent_to_sign_in_where_a_token_would_not_be_safe(company: Path, home: dict[str, str]) -> None:
    done = remit("install", "cursor", "--http", "--url", "http://mcp.example.com/mcp", "--yes", cwd=company, env=home)
    assert done.returncode == 2
    assert "--url" in done.stderr
    assert not (Path(home["HOME"]) / ".cursor").exists()


def test_a_bundle_names_this_remit_and_is_the_same_each_time(company: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.mcpb", "b.mcpb")]
    for file in files:
        assert remit("bundle", "mcpb", "-o", file, cwd=company).returncode == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    with zipfile.ZipFile(files[0]) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest["server"]["entry_point"] in archive.namelist()
    assert manifest["manifest_version"] == "0.3"
    assert manifest["user_config"]["settings"]["default"] == str(company / "remit.yaml")
    arguments = manifest["server"]["mcp_config"]["args"]
    assert arguments[-6:] == ["--config", "${user_config.settings}", "serve", "--stdio", "--client", "mcpb"]
    answered = json.loads(started(manifest, json.dumps(INITIALIZE) + "\n", tmp_path).splitlines()[0])
    assert answered["result"]["serverInfo"]["name"]


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "desktop", "version": "1"},
    },
}


def started(manifest: dict[str, Any], typed: str, folder: Path) -> str:
    """What the bundle's server answers, started somewhere else as a desktop client does it."""
    chosen = {f"${{user_config.{name}}}": option["default"] for name, option in manifest["user_config"].items()}
    start = manifest["server"]["mcp_config"]
    command = [chosen.get(each, each) for each in (start["command"], *start["args"])]
    done = subprocess.run(
        command,
        cwd=folder,
        input=typed,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    return done.stdout


def test_the_example_holds_what_install_prints(company: Path) -> None:
    example = json.loads((Path(__file__).parents[2] / "mcp.json.example").read_text(encoding="utf-8"))
    printed = json.loads(remit("install", "json", cwd=company).stdout)["mcpServers"]
    assert example["mcpServers"].keys() == printed.keys()
    assert example["mcpServers"]["remit"] == printed["remit"]
    stdio, filled = example["mcpServers"]["remit-stdio"], printed["remit-stdio"]
    assert stdio.keys() == filled.keys()
    # But for what only this machine knows: how remit is started here, where its settings are, who starts it.
    assert stdio["args"][::2] == filled["args"][-6::2]
    assert stdio["args"][3] == filled["args"][-3]
    vscode = remit("install", "vscode", "--http", "--print", cwd=company).stdout
    assert example["servers"]["remit"] == json.loads(vscode)["remit"]
    assert example["servers"]["remit-stdio"] == {"type": "stdio", **stdio}


def test_a_registry_entry_has_the_public_address(company: Path) -> None:
    public = {"REMIT_PUBLIC_URL": "https://mcp.example.com"}
    entry = json.loads(remit("bundle", "server-json", "--name", "com.example/remit", cwd=company, env=public).stdout)
    assert entry["name"] == "com.example/remit"
    assert entry["remotes"] == [{"type": "streamable-http", "url": "https://mcp.example.com/mcp"}]
    local = json.loads(remit("bundle", "server-json", "--name", "com.example/remit", cwd=company).stdout)
    assert "remotes" not in local
