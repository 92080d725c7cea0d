"""The gateway's page works, word for word, in a real shell against a real server."""

from __future__ import annotations

import pytest

from support.docs import ROOT, Page
from support.guide import Shown, play, shown

GUIDE = Page(ROOT / "docs" / "gateway.md")
#: The blocks below the heading that says they are tried.
BLOCKS = [block for block in GUIDE.blocks("sh", "json", "text") if block.text in GUIDE.section("Try it")]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return play(BLOCKS, tmp_path_factory.mktemp("gateway"), "shop")


@pytest.mark.parametrize("step", shown(BLOCKS), ids=lambda step: f"block-{step.number}-{step.kind}")
def test_a_step_prints_what_the_page_says(step: Shown, printed: list[str]) -> None:
    step.check(printed)


def test_something_is_tried() -> None:
    assert len(shown(BLOCKS)) == 5
