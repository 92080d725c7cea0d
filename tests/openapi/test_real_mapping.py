"""Real descriptions, from the folder that REMIT_SPECS names: nearly every operation becomes a valid tool, small enough."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from remit.catalog.openapi.files import read_description
from remit.catalog.openapi.naming import BUDGET
from remit.catalog.schema import Schema
from support.mapped import MappedTool, keys_in, schemas_in, tools_of
from support.specs import main_files

SPECS = Path(os.environ.get("REMIT_SPECS", ""))
pytestmark = pytest.mark.skipif("REMIT_SPECS" not in os.environ, reason="REMIT_SPECS names no folder of descriptions")
PATHS = list(main_files(SPECS)) if "REMIT_SPECS" in os.environ else []
#: What has no body to answer with becomes no tool.
NO_TOOLS = frozenset({"HEAD"})
NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{BUDGET - 1}}}")
KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


@cache
def mapped(path: Path) -> tuple[list[MappedTool], list[tuple[str, str]]]:
    found = list(tools_of(read_description(path)))
    return (
        [tool for tool in found if isinstance(tool, MappedTool)],
        [left for left in found if not isinstance(left, MappedTool) and left[0].split()[0] not in NO_TOOLS],
    )


def test_nearly_every_operation_becomes_a_tool() -> None:
    tools = sum(len(mapped(path)[0]) for path in PATHS)
    left_out = [left for path in PATHS for left in mapped(path)[1]]
    assert tools >= 0.995 * (tools + len(left_out)), left_out


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_names_are_valid_and_distinct(path: Path) -> None:
    names = [tool.name for tool in mapped(path)[0]]
    assert all(NAME.fullmatch(name) for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_every_schema_is_valid_and_one_that_models_take(path: Path) -> None:
    for tool in mapped(path)[0]:
        Schema(tool.input)
        Draft202012Validator.check_schema(tool.input)
        assert tool.input["type"] == "object"
        assert tool.input.keys() <= {"type", "properties", "required", "additionalProperties", "$defs"}
        assert all(KEY.fullmatch(key) for key in keys_in(tool.input))
        assert set(tool.input.get("required", ())) <= tool.input["properties"].keys()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_references_are_kept_for_recursion_alone_and_lead_somewhere(path: Path) -> None:
    for tool in mapped(path)[0]:
        definitions = tool.input.get("$defs", {})
        used = {each["$ref"].removeprefix("#/$defs/") for each in schemas_in(tool.input) if "$ref" in each}
        assert used <= definitions.keys()
        assert all(leads_back(name, definitions) for name in definitions), tool.name


def leads_back(name: str, definitions: dict[str, Any]) -> bool:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for each in schemas_in(definitions[waiting.pop()]):
            target = each.get("$ref", "").removeprefix("#/$defs/")
            if target == name:
                return True
            if target and target not in seen:
                seen.add(target)
                waiting.append(target)
    return False


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_no_tool_is_over_16_kilobytes_in_the_list(path: Path) -> None:
    assert [(tool.name, tool.size) for tool in mapped(path)[0] if tool.size > 16_000] == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_every_tool_says_what_it_does(path: Path) -> None:
    for tool in mapped(path)[0]:
        assert 1 <= len(tool.mapped.title) <= 100
        assert 20 <= len(tool.mapped.description) <= 1024
        assert (tool.mapped.title + tool.mapped.description).isprintable()


def shown(name: str) -> dict[str, Any]:
    if not (SPECS / name).exists():
        pytest.skip(f"{name} is not in the folder")
    return {tool.name: tool.shown for tool in mapped(SPECS / name)[0]}


def test_one_api_in_3_0_and_3_1_gives_the_same_tools() -> None:
    assert shown("odata-trip-3.0.json") == shown("odata-trip-3.1.json")


def test_one_api_in_2_0_and_3_0_gives_the_same_tools() -> None:
    """But for what its authors say in 3.0 alone: lists without duplicates, numbers as texts, null, texts beside ``$ref``."""
    old, new = shown("odata-trip-v2.json"), shown("odata-trip-3.0.json")
    assert {name: outline(tool) for name, tool in old.items()} == {name: outline(tool) for name, tool in new.items()}
    differences = {found for name, tool in old.items() for found in differing(tool, new[name])}
    assert differences <= {"uniqueItems", "anyOf", "description", "title", "type", "format", "properties", "$ref"}


def outline(tool: dict[str, Any]) -> dict[str, Any]:
    """All that is not inside an argument's schema."""
    schema = tool["inputSchema"]
    return {**tool, "inputSchema": [list(schema["properties"]), schema.get("required"), list(schema.get("$defs", ()))]}


def differing(one: Any, other: Any) -> Iterator[str]:
    """The keywords that stand differently, the highest ones."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for mine, yours in zip(one, other, strict=True):
            yield from differing(mine, yours)
    if not isinstance(one, dict) or not isinstance(other, dict):
        return
    for key in one.keys() | other.keys():
        mine, yours = one.get(key), other.get(key)
        if isinstance(mine, dict | list) and isinstance(yours, dict | list):
            yield from differing(mine, yours)
        elif mine != yours:
            yield key


MEASURE = """
import sys, time
from pathlib import Path
from remit.catalog.openapi.files import read_description
from support.mapped import tools_of
began = time.process_time()
for name in sys.argv[1:]:
    list(tools_of(read_description(Path(name))))
print(time.process_time() - began)
status = Path("/proc/self/status")
if status.exists():  # not getrusage, which goes on counting what the parent had when it made this process
    print(next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    print(0)
"""


def test_all_of_them_are_read_mapped_and_planned_in_five_seconds_and_250_megabytes() -> None:
    command = [sys.executable, "-c", MEASURE, *map(str, PATHS)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds, peak = map(float, ran.stdout.split())
    assert seconds < 5
    assert peak < 250e6
