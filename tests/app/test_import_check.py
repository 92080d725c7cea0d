"""Before a tool file is written it is seen to load; what would not is left out."""

from __future__ import annotations

import pytest

from remit.app.import_check import Read, loadable
from remit.catalog.described import Described
from remit.catalog.openapi.importing import Target, base_of, taken_of, tool_file
from remit.catalog.openapi.reader import describe
from remit.catalog.openapi.report import Taken
from remit.catalog.openapi.selection import candidates
from remit.errors import DefinitionInvalid
from support.described import SERVER, shop

DESCRIBED = Described(describe({"shop.json": shop()}))
READ = Read(DESCRIBED, {})
TAKEN, _ = taken_of(
    candidates(DESCRIBED.description)[0], DESCRIBED.mapper("portable"), base_of(DESCRIBED.description), described={}
)


def text_of(taken: tuple[Taken, ...], base_url: str = SERVER) -> str:
    return tool_file(Target("shop", base_url, "shop", (), "./shop.json"), taken, "tool.schema.json")


def test_what_loads_stays() -> None:
    assert loadable(text_of, TAKEN, "shop.yaml", READ) == (TAKEN, ())


def test_a_tool_that_would_not_load_is_left_out_with_the_reason() -> None:
    def spoiled(taken: tuple[Taken, ...]) -> str:
        return text_of(taken).replace("name: make_order", "name: 9")

    good, faults = loadable(spoiled, TAKEN, "shop.yaml", READ)
    assert [each.candidate.name for each in TAKEN if each not in good] == ["make_order"]
    assert [(each.id, each.is_fault) for each in faults] == [("makeOrder", True)]
    assert faults[0].reason


def test_what_is_wrong_with_the_whole_file_is_an_error() -> None:
    with pytest.raises(DefinitionInvalid, match="would not load"):
        loadable(lambda taken: text_of(taken, "${NO_SUCH}"), TAKEN, "shop.yaml", READ)
