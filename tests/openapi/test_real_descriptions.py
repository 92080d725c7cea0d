"""Real descriptions, from the folder that REMIT_SPECS names: all of them are read, quickly and in little memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from remit.catalog.openapi.description import Content, Description, JsonSchema
from remit.catalog.openapi.files import read_description
from remit.catalog.schema import Schema
from support.specs import main_files

SPECS = Path(os.environ.get("REMIT_SPECS", ""))
pytestmark = pytest.mark.skipif("REMIT_SPECS" not in os.environ, reason="REMIT_SPECS names no folder of descriptions")
PATHS = list(main_files(SPECS)) if "REMIT_SPECS" in os.environ else []


@cache
def description(path: Path) -> Description:
    return read_description(path)


def contents(found: Description) -> Iterator[tuple[JsonSchema, Any]]:
    """Every schema outside the tables, with its table."""
    for operation in found.operations:
        yield from ((parameter.schema, found.schemas) for parameter in operation.parameters)
        bodies: tuple[Content, ...] = operation.body.contents if operation.body else ()
        yield from ((content.schema, found.schemas) for content in bodies)
        for response in operation.responses:
            yield from ((content.schema, found.response_schemas) for content in response.contents)


def references(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            if isinstance(here.get("$ref"), str):
                yield here["$ref"].removeprefix("#/$defs/")
            waiting += here.values()
        elif isinstance(here, list):
            waiting += here


def test_nearly_every_operation_is_read() -> None:
    found = [description(path) for path in PATHS]
    read = sum(len(one.operations) for one in found)
    skipped = [skip for one in found for skip in one.skipped if not skip.reason.startswith("tools have no method")]
    assert read >= 0.995 * (read + len(skipped)), skipped


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_every_schema_compiles_and_every_reference_is_in_its_table(path: Path) -> None:
    found = description(path)
    for table in (found.schemas, found.response_schemas):
        Schema({"$defs": table})
        assert set(references(table)) <= table.keys()
    for schema, table in contents(found):
        Schema({**schema, "$defs": {name: {} for name in table}})
        assert set(references(schema)) <= table.keys()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_each_variable_of_a_path_is_one_parameter(path: Path) -> None:
    for operation in description(path).operations:
        names = [parameter.name for parameter in operation.parameters if parameter.location == "path"]
        assert len(names) == len(set(names))
        assert all(f"{{{name}}}" in operation.path for name in names)
        assert operation.path.count("{") >= len(names)


def same(*names: str) -> list[Description]:
    paths = [SPECS / name for name in names]
    if not all(path.exists() for path in paths):
        pytest.skip(f"{' and '.join(names)} are not in the folder")
    return [description(path) for path in paths]


def test_one_api_in_3_0_and_3_1_is_the_same() -> None:
    old, new = same("odata-trip-3.0.json", "odata-trip-3.1.json")
    assert [{**op_as(one), "pointer": ""} for one in old.operations] == [
        {**op_as(one), "pointer": ""} for one in new.operations
    ]
    assert (old.schemas, old.response_schemas) == (new.schemas, new.response_schemas)


def op_as(operation: Any) -> dict[str, Any]:
    return {name: getattr(operation, name) for name in type(operation).__dataclass_fields__}


def test_one_api_in_2_0_and_3_0_has_the_same_operations_and_parameters() -> None:
    old, new = same("odata-trip-v2.json", "odata-trip-3.0.json")

    def outline(found: Description) -> list[Any]:
        return [
            (
                *(one.id, one.method, one.path, one.summary, one.tags, one.scopes, one.body is None),
                [(p.name, p.location, p.required, p.style, p.explode) for p in one.parameters],
            )
            for one in found.operations
        ]

    assert outline(old) == outline(new)


MEASURE = """
import sys, time
from pathlib import Path
from remit.catalog.openapi.files import read_description
began = time.process_time()
for name in sys.argv[1:]:
    read_description(Path(name))
print(time.process_time() - began)
status = Path("/proc/self/status")
if status.exists():  # not getrusage, which goes on counting what the parent had when it made this process
    print(next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    print(0)
"""


def test_all_of_them_are_read_in_five_seconds_and_250_megabytes() -> None:
    command = [sys.executable, "-c", MEASURE, *map(str, PATHS)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = map(float, ran.stdout.split())
    assert seconds < 5
    assert peak < 250e6
