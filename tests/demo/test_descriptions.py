"""The sample company's APIs are as their descriptions say, whatever is sent to them: schemathesis tries it."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest
import yaml

from remit import demo
from support.command import environment
from support.sample_apis import Company, running

pytestmark = pytest.mark.anyio

APIS = Path(demo.__file__).parent / "apis"
SETTINGS = Path(__file__).parent / "schemathesis.toml"
#: Of each API's tests, those that are made at random; what covers its limits is the same each time.
EXAMPLES = 10


async def token_for(company: Company, api: str) -> str:
    """A delegated token that may do everything the description speaks of."""
    described = yaml.safe_load((APIS / f"{api}.yaml").read_text(encoding="utf-8"))
    scopes = sorted({scope for each in securities(described) for scope in each["token"]})
    if api != "payments":
        return await company.token(f"{api}-api", " ".join(scopes))
    orders = await company.token("orders-api", " ".join(scopes))
    return await company.exchanged(orders, "payments-api", " ".join(scopes), client="orders-api")


def securities(described: dict[str, object]) -> list[dict[str, list[str]]]:
    """Every ``security`` of the description."""
    found: list[dict[str, list[str]]] = []
    for name, value in described.items():
        if name == "security" and isinstance(value, list):
            found += value
        elif isinstance(value, dict):
            found += securities(value)
    return found


@pytest.mark.parametrize("api", ["orders", "payments", "stock"])
async def test_every_answer_is_one_that_the_description_names(tmp_path: Path, api: str) -> None:
    async with running(tmp_path) as company:
        token = await token_for(company, api)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", SETTINGS, "run", APIS / f"{api}.yaml"),
            *("--url", getattr(company, api), "--header", f"Authorization: Bearer {token}"),
            *("--max-examples", str(EXAMPLES), "--generation-deterministic"),
            *("--request-timeout", "10", "--no-color"),
            cwd=tmp_path,
            env=environment(NO_PROXY="127.0.0.1"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed = (await process.communicate())[0].decode()
    assert process.returncode == 0, printed
    (cases,) = re.findall(r"(\d+) generated, (\d+) passed", printed)
    assert cases[0] == cases[1], printed
    assert int(cases[0]) > 100, printed
    assert token not in printed
