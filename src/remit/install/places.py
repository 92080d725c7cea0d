"""Rule: which file a client reads, and what stands in it for a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from remit.errors import SettingsInvalid


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
    """Whose files: ``platform`` as ``sys.platform`` says it, the person's ``home`` and ``environment``."""

    platform: str
    home: Path
    environment: Mapping[str, str]

    @property
    def application_data(self) -> Path:
        """Where applications keep what belongs to this person."""
        if self.platform == "win32":
            return Path(self.environment.get("APPDATA") or self.home / "AppData" / "Roaming")
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return Path(self.environment.get("XDG_CONFIG_HOME") or self.home / ".config")


@dataclass(frozen=True, slots=True)
class Place:
    """A client's file, and the member of it that holds the servers by name."""

    file: Path
    table: str


def place_of(client: Client, machine: Machine, project: Path | None = None) -> Place:
    """The file of this person, or that of a ``project``. Raises ``SettingsInvalid`` where there is no such."""
    if project is not None:
        return _project_place(client, project)
    home, data = machine.home, machine.application_data
    return {
        Client.CLAUDE_DESKTOP: Place(data / "Claude" / "claude_desktop_config.json", "mcpServers"),
        Client.CLAUDE_CODE: Place(home / ".claude.json", "mcpServers"),
        Client.VSCODE: Place(data / "Code" / "User" / "mcp.json", "servers"),
        Client.CURSOR: Place(home / ".cursor" / "mcp.json", "mcpServers"),
    }[client]


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
            hint=f"add {url} in Settings → Connectors (it must be on the internet), or install it with --stdio",
        )


def http_entry(client: Client, url: str) -> dict[str, Any]:
    """A server over HTTP: no token, because the client has its user sign in."""
    return {"url": url} if client is Client.CURSOR else {"type": "http", "url": url}


def stdio_entry(client: Client, command: list[str], config: str, name: str) -> dict[str, Any]:
    """A server that the client starts itself, and that knows it by ``name``: absolute paths, no secret."""
    program, *before = command
    arguments = [*before, "--config", config, "serve", "--stdio", "--client", name]
    entry: dict[str, Any] = {"command": program, "args": arguments}
    return {"type": "stdio", **entry} if client is Client.VSCODE else entry
