"""The guide to token delegation works, word for word, in a real shell against a real server."""

from __future__ import annotations

import pytest

from support.docs import ROOT, Page
from support.guide import Shown, play, shown

BLOCKS = Page(ROOT / "docs" / "token-delegation.md").blocks("sh", "json", "text")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return play(BLOCKS, tmp_path_factory.mktemp("guide"), "company")


@pytest.mark.parametrize("step", shown(BLOCKS), ids=lambda step: f"block-{step.number}-{step.kind}")
def test_a_step_prints_what_the_guide_says(step: Shown, printed: list[str]) -> None:
    step.check(printed)
