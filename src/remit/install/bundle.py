"""Rule: what a client or a registry wants to know of this server, as the documents they define.

An MCPB bundle (manifest version 0.3) is a ZIP archive that a desktop client installs by a click; ``server.json`` is an
entry of the MCP registry (schema 2025-12-11).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Sequence
from typing import Any, Final

from remit.errors import SettingsInvalid

MANIFEST_VERSION: Final = "0.3"
SERVER_SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
_DESCRIPTION: Final = "Your company's APIs as tools that act on behalf of the signed-in user."
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_REGISTRY_NAME: Final = re.compile(r"[A-Za-z0-9.-]+/[A-Za-z0-9._-]+")
_MAX_REGISTRY_NAME: Final = 200
#: A bundle has to hold something that is its server; this one's is installed on the machine already.
_ENTRY_POINT: Final = "server/README.txt"
_README: Final = (
    "This bundle starts the remit that is installed on this machine, with the settings that its manifest names.\n"
)


def mcpb_manifest(command: Sequence[str], config: str, *, version: str, name: str) -> dict[str, Any]:
    """The manifest of a bundle that starts ``command`` with the settings file ``config``; both absolute."""
    arguments = [*command[1:], "--config", "${user_config.settings}", "serve", "--stdio", "--client", name]
    return {
        "manifest_version": MANIFEST_VERSION,
        "name": "remit",
        "display_name": "remit",
        "version": version,
        "description": _DESCRIPTION,
        "author": {"name": "remit"},
        "license": "Apache-2.0",
        "tools_generated": True,
        "server": {
            "type": "binary",
            "entry_point": _ENTRY_POINT,
            "mcp_config": {"command": "${user_config.program}", "args": arguments, "env": {}},
        },
        "user_config": {
            "program": _file("The remit program", "The whole path of the remit command.", command[0]),
            "settings": _file("Settings", "The whole path of remit.yaml.", config),
        },
    }


def _file(title: str, description: str, default: str) -> dict[str, Any]:
    return {"type": "file", "title": title, "description": description, "required": True, "default": default}


def mcpb_archive(manifest: dict[str, Any]) -> bytes:
    """The bundle: the same bytes for the same manifest, on every system and with every version of zlib."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, text in (("manifest.json", json.dumps(manifest, indent=2) + "\n"), (_ENTRY_POINT, _README)):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = _UNIX, 0o644 << 16
            archive.writestr(entry, text)
    return content.getvalue()


def server_json(name: str, *, version: str, url: str = "") -> dict[str, Any]:
    """The registry's entry ``name`` (``com.example/remit``): a remote server at ``url`` where there is one, and the package.

    Raises ``SettingsInvalid`` where a registry takes no such name.
    """
    if len(name) > _MAX_REGISTRY_NAME or not _REGISTRY_NAME.fullmatch(name):
        raise SettingsInvalid(
            "a registry takes no such name",
            where="--name",
            hint="name it by your domain, backwards: com.example/remit",
        )
    settings = {"type": "named", "name": "--config", "description": "The settings file, remit.yaml."}
    package = {
        "registryType": "pypi",
        "identifier": "remit",
        "version": version,
        "transport": {"type": "stdio"},
        "packageArguments": [
            {**settings, "format": "filepath", "isRequired": True},
            {"type": "positional", "value": "serve"},
            {"type": "named", "name": "--stdio"},
        ],
    }
    document: dict[str, Any] = {
        "$schema": SERVER_SCHEMA,
        "name": name,
        "title": "remit",
        "description": _DESCRIPTION,
        "version": version,
        "packages": [package],
    }
    return {**document, "remotes": [{"type": "streamable-http", "url": url}]} if url else document
