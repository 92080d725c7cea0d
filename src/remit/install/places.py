"""Rule: which file a client reads, and what stands in it for a server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from remit.errors import SettingsInvalid

#: What every client takes as a name (Claude Code: letters, digits, hyphens and underscores).
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: How the folder of Claude Desktop's package begins on Windows.
PACKAGE_PREFIX: Final = "Claude_"


class Client(StrEnum):
    """Those whose files are known."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    VSCODE = "vscode"
    CURSOR = "cursor"


class Transport(StrEnum):
    """How the client reaches this server."""

    STDIO = "stdio"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class Machine:
    """Whose files: ``platform`` as ``sys.platform`` says it, the person's ``home`` and ``environment``.

    ``packages`` are those in the ``Packages`` of ``%LOCALAPPDATA%`` that begin with ``PACKAGE_PREFIX``.
    """

    platform: str
    home: Path
    environment: Mapping[str, str]
    packages: tuple[str, ...] = ()

    @property
    def application_data(self) -> Path:
        """Where applications keep what belongs to this person."""
        if self.platform == "win32":
            return Path(self.environment.get("APPDATA") or self.home / "AppData" / "Roaming")
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return Path(self.environment.get("XDG_CONFIG_HOME") or self.home / ".config")

    @property
    def package_folder(self) -> Path:
        """Where Windows keeps what belongs to packaged applications."""
        return Path(self.environment.get("LOCALAPPDATA") or self.home / "AppData" / "Local") / "Packages"


@dataclass(frozen=True, slots=True)
class Place:
    """A client's file, and the member of it that holds the servers by name."""

    file: Path
    table: str


def place_of(client: Client, machine: Machine, project: Path | None = None) -> Place:
    """The file of this person, or that of a ``project``. Raises ``SettingsInvalid`` where there is no such."""
    if project is not None:
        return _project_place(client, project)
    if client is Client.CLAUDE_DESKTOP:
        return Place(_claude_desktop(machine) / "Claude" / "claude_desktop_config.json", "mcpServers")
    if client is Client.CLAUDE_CODE:
        folder = machine.environment.get("CLAUDE_CONFIG_DIR") or machine.home
        return Place(Path(folder) / ".claude.json", "mcpServers")
    if client is Client.VSCODE:
        return Place(machine.application_data / "Code" / "User" / "mcp.json", "servers")
    return Place(machine.home / ".cursor" / "mcp.json", "mcpServers")


def _claude_desktop(machine: Machine) -> Path:
    """On Windows it comes as a package, which sees its own folder in place of the person's (anthropics/claude-code#26073)."""
    if machine.platform != "win32" or not machine.packages:
        return machine.application_data
    if len(machine.packages) > 1:
        raise SettingsInvalid(
            f"there are several packages of Claude Desktop: {', '.join(machine.packages)}",
            where=str(machine.package_folder),
            hint="see what to write with --print",
        )
    return machine.package_folder / machine.packages[0] / "LocalCache" / "Roaming"


def _project_place(client: Client, project: Path) -> Place:
    if client is Client.CLAUDE_DESKTOP:
        raise SettingsInvalid("Claude Desktop has no files of a project", where="--project", hint="leave --project out")
    return {
        Client.CLAUDE_CODE: Place(project / ".mcp.json", "mcpServers"),
        Client.VSCODE: Place(project / ".vscode" / "mcp.json", "servers"),
        Client.CURSOR: Place(project / ".cursor" / "mcp.json", "mcpServers"),
    }[client]


def check_transport(client: Client, transport: Transport, url: str) -> None:
    """Raise ``SettingsInvalid`` where this client's file cannot name such a server, saying what can be done."""
    if client is Client.CLAUDE_DESKTOP and transport is Transport.HTTP:
        raise SettingsInvalid(
            "Claude Desktop's file holds servers over stdio only",
            where="--http",
            hint=f"add {url} in Settings → Connectors (it must be on the internet), "
            f"start `npx mcp-remote {url}` over stdio, or install remit with --stdio",
        )


def check_name(name: str) -> None:
    """Raise ``SettingsInvalid`` where a client would not take this name."""
    if not _NAME.fullmatch(name):
        raise SettingsInvalid(
            "a name has letters, digits, hyphens and underscores, 64 of them at most",
            where="--name",
            hint="choose another",
        )


def command_of(started_as: Path, platform: str) -> Path | None:
    """The ``remit`` program, where this process was ``started_as`` it (``sys.argv[0]``); whether it is there is not checked."""
    if started_as.name not in {"remit", "remit.exe"}:
        return None
    return started_as.with_suffix(".exe") if platform == "win32" else started_as  # a launcher takes the ending off


def http_entry(client: Client, url: str) -> dict[str, Any]:
    """A server over HTTP: no token, because the client has its user sign in."""
    return {"url": url} if client is Client.CURSOR else {"type": "http", "url": url}


def stdio_entry(client: Client, command: list[str], config: str, name: str) -> dict[str, Any]:
    """A server that the client starts itself, and that knows it by ``name``: absolute paths, no secret."""
    program, *before = command
    arguments = [*before, "--config", config, "serve", "--stdio", "--client", name]
    entry: dict[str, Any] = {"command": program, "args": arguments}
    return {"type": "stdio", **entry} if client is Client.VSCODE else entry
