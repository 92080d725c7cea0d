"""remit against the MCP conformance suite, in both revisions of the protocol."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
import yaml
from mcp import Client

from support.conformance import HERE, Suite, under_test
from support.mcp_door import ERAS

#: Revision → what is expected to fail of it.
EXPECTED = {"2026-07-28": HERE / "base-2026.yml", "2025-11-25": HERE / "base-2025.yml"}
revisions = pytest.mark.parametrize("revision", EXPECTED)


@revisions
def test_every_requirement_of_a_revision_passes_but_those_that_are_listed(revision: str, tmp_path: Path) -> None:
    suite = Suite.installed()

    async def main() -> tuple[int, str]:
        async with under_test(tmp_path / "company") as url:
            return await suite.run(url, revision, EXPECTED[revision], tmp_path / "results")

    code, printed = asyncio.run(main())
    assert code == 0, printed


@pytest.mark.parametrize("era", ERAS)
def test_files_of_an_api_reach_the_agent_as_what_they_are(era: str, tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with under_test(tmp_path) as url, Client(url, mode=era) as client:
            names = ("test_image_content", "test_audio_content", "test_embedded_resource", "test_simple_text")
            return [(await client.call_tool(name)).content[-1].type for name in names]

    assert asyncio.run(main()) == ["image", "audio", "resource", "text"]


@revisions
def test_every_expected_failure_says_why(revision: str) -> None:
    text = EXPECTED[revision].read_text(encoding="utf-8")
    entries = re.findall(r'^  - "?([a-z0-9:-]+)"?  # (\S.{19,})$', text, re.MULTILINE)
    assert [name for name, _ in entries] == yaml.safe_load(text)["server"]
