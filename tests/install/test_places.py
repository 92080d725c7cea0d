"""The right file on each system, and what stands in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from remit.errors import SettingsInvalid
from remit.install.places import (
    Client,
    Machine,
    Transport,
    check_name,
    check_transport,
    command_of,
    http_entry,
    place_of,
    stdio_entry,
)

HOME = Path("home")
LINUX = Machine("linux", HOME, {})
MAC = Machine("darwin", HOME, {})
WINDOWS = Machine("win32", HOME, {"APPDATA": "roaming"})


@pytest.mark.parametrize(
    ("client", "machine", "file", "table"),
    [
        (Client.CLAUDE_DESKTOP, LINUX, "home/.config/Claude/claude_desktop_config.json", "mcpServers"),
        (
            Client.CLAUDE_DESKTOP,
            MAC,
            "home/Library/Application Support/Claude/claude_desktop_config.json",
            "mcpServers",
        ),
        (Client.CLAUDE_DESKTOP, WINDOWS, "roaming/Claude/claude_desktop_config.json", "mcpServers"),
        (Client.CLAUDE_CODE, WINDOWS, "home/.claude.json", "mcpServers"),
        (Client.VSCODE, LINUX, "home/.config/Code/User/mcp.json", "servers"),
        (Client.VSCODE, MAC, "home/Library/Application Support/Code/User/mcp.json", "servers"),
        (Client.VSCODE, WINDOWS, "roaming/Code/User/mcp.json", "servers"),
        (Client.CURSOR, MAC, "home/.cursor/mcp.json", "mcpServers"),
    ],
)
def test_a_persons_own_file(client: Client, machine: Machine, file: str, table: str) -> None:
    place = place_of(client, machine)
    assert (place.file, place.table) == (Path(file), table)


def test_where_applications_keep_their_data_can_be_elsewhere() -> None:
    assert place_of(Client.VSCODE, Machine("linux", HOME, {"XDG_CONFIG_HOME": "cfg"})).file.parts[0] == "cfg"
    assert place_of(Client.VSCODE, Machine("win32", HOME, {})).file == HOME / "AppData/Roaming/Code/User/mcp.json"


def test_claude_code_can_be_told_another_folder() -> None:
    machine = Machine("linux", HOME, {"CLAUDE_CONFIG_DIR": "work"})
    assert place_of(Client.CLAUDE_CODE, machine).file == Path("work/.claude.json")


def test_claude_desktop_as_a_package_of_windows_reads_the_packages_own_file() -> None:
    environment = {"APPDATA": "roaming", "LOCALAPPDATA": "local"}
    machine = Machine("win32", HOME, environment, packages=("Claude_pzs8sxrjxfjjc",))
    inside = Path("local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming")
    assert place_of(Client.CLAUDE_DESKTOP, machine).file == inside / "Claude" / "claude_desktop_config.json"
    assert place_of(Client.VSCODE, machine).file.parts[0] == "roaming"
    several = Machine("win32", HOME, environment, packages=("Claude_a", "Claude_b"))
    with pytest.raises(SettingsInvalid, match="Claude_a, Claude_b"):
        place_of(Client.CLAUDE_DESKTOP, several)


@pytest.mark.parametrize(
    ("started_as", "platform", "program"),
    [
        ("/opt/remit/bin/remit", "linux", "/opt/remit/bin/remit"),
        ("C:/remit/Scripts/remit", "win32", "C:/remit/Scripts/remit.exe"),
        ("C:/remit/Scripts/remit.exe", "win32", "C:/remit/Scripts/remit.exe"),
        ("/opt/remit/lib/remit/__main__.py", "darwin", None),
    ],
)
def test_the_program_is_the_one_that_was_started(started_as: str, platform: str, program: str | None) -> None:
    assert command_of(Path(started_as), platform) == (Path(program) if program else None)


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 65, "a.b", "remit\n"])
def test_a_name_that_a_client_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(SettingsInvalid):
        check_name(name)
    check_name("remit-2_b")


@pytest.mark.parametrize(
    ("client", "file"),
    [(Client.CLAUDE_CODE, ".mcp.json"), (Client.VSCODE, ".vscode/mcp.json"), (Client.CURSOR, ".cursor/mcp.json")],
)
def test_a_projects_file(client: Client, file: str) -> None:
    assert place_of(client, LINUX, Path("project")).file == Path("project") / file


def test_claude_desktop_has_no_files_of_a_project_and_no_servers_over_http_in_its_own() -> None:
    with pytest.raises(SettingsInvalid):
        place_of(Client.CLAUDE_DESKTOP, LINUX, Path("project"))
    with pytest.raises(SettingsInvalid) as raised:
        check_transport(Client.CLAUDE_DESKTOP, Transport.HTTP, "https://mcp.example.com/mcp")
    for way in ("Connectors", "npx mcp-remote https://mcp.example.com/mcp", "--stdio"):
        assert way in raised.value.hint


@pytest.mark.parametrize("client", list(Client))
def test_entries_hold_no_token_and_name_the_client(client: Client) -> None:
    assert http_entry(client, "https://h/mcp").keys() <= {"type", "url"}
    entry = stdio_entry(client, ["/bin/remit"], "/w/remit.yaml", client.value)
    assert entry["command"] == "/bin/remit"
    assert entry["args"] == ["--config", "/w/remit.yaml", "serve", "--stdio", "--client", client.value]
    assert entry.keys() <= {"type", "command", "args"}
