"""What clients and registries are told. `.ci/bundle` has the bundle's own tool check its manifest."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile

import pytest

from remit.errors import SettingsInvalid
from remit.install.bundle import SERVER_SCHEMA, mcpb_archive, mcpb_manifest, server_json

COMMANDS = [["/opt/remit/bin/remit"], ["C:\\Python\\python.exe", "-m", "remit"]]


@pytest.mark.parametrize("command", COMMANDS, ids=["program", "module"])
def test_the_manifest_starts_this_remit(command: list[str]) -> None:
    manifest = mcpb_manifest(command, "/w/remit.yaml", version="1.2.3", name="mcpb")
    assert {"manifest_version", "name", "version", "description", "author", "server"} <= manifest.keys()
    used = set(re.findall(r"\$\{user_config\.(\w+)\}", str(manifest["server"])))
    assert used == manifest["user_config"].keys()
    assert manifest["user_config"]["program"]["default"] == command[0]
    assert manifest["server"]["mcp_config"]["args"][: len(command) - 1] == command[1:]


@pytest.mark.parametrize("url", ["", "https://mcp.example.com/mcp"])
def test_the_registry_entry_names_the_package_and_the_public_address(url: str) -> None:
    entry = server_json("com.example/remit", version="1.2.3", url=url)
    assert {"$schema", "name", "description", "version", "packages"} <= entry.keys()
    assert entry["$schema"] == SERVER_SCHEMA
    assert len(entry["description"]) <= 100  # the registry takes no more
    (package,) = entry["packages"]
    assert (package["registryType"], package["identifier"], package["version"]) == ("pypi", "remit", "1.2.3")
    assert entry.get("remotes", []) == ([{"type": "streamable-http", "url": url}] if url else [])


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
