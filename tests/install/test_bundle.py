"""What clients and registries are told is what their own schemas say."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from remit.errors import SettingsInvalid
from remit.install.bundle import SERVER_SCHEMA, mcpb_archive, mcpb_manifest, server_json

SCHEMAS = Path(__file__).parent / "schemas"
COMMANDS = [["/opt/remit/bin/remit"], ["C:\\Python\\python.exe", "-m", "remit"]]


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("command", COMMANDS, ids=["program", "module"])
def test_the_manifest_is_one_of_mcpb(command: list[str]) -> None:
    manifest = mcpb_manifest(command, "/w/remit.yaml", version="1.2.3", name="mcpb")
    Draft7Validator(schema("mcpb-manifest-v0.3.schema.json")).validate(manifest)
    assert manifest["user_config"]["program"]["default"] == command[0]
    assert manifest["server"]["mcp_config"]["args"][: len(command) - 1] == command[1:]


@pytest.mark.parametrize("url", ["", "https://mcp.example.com/mcp"])
def test_the_registry_entry_is_one_of_the_registry(url: str) -> None:
    entry = server_json("com.example/remit", version="1.2.3", url=url)
    published = schema("server-2025-12-11.schema.json")
    Draft7Validator(published).validate(entry)
    assert entry["$schema"] == SERVER_SCHEMA == published["$id"]
    assert ("remotes" in entry) == bool(url)


@pytest.mark.parametrize("name", ["remit", "a/b/c", "com.example/re mit", "", "a/" + "b" * 199, "a/b\n"])
def test_a_name_that_no_registry_takes_is_refused(name: str) -> None:
    with pytest.raises(SettingsInvalid):
        server_json(name, version="1.2.3")


def test_the_bundle_has_the_same_bytes_everywhere() -> None:
    content = mcpb_archive({"manifest_version": "0.3"})
    assert hashlib.sha256(content).hexdigest() == "1fea586baf6055eb1b8ac7e8fe8850efc36c7ee72d39ed8022a116aac54aac1c"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", "server/README.txt"]
