"""Tools from an API description at the command line: tried, looked at, shown, locked and rehearsed as all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.docs import ROOT, Page
from support.terminal import Terminal

DESCRIPTION = ROOT / "src" / "remit" / "demo" / "apis" / "stock.yaml"
(TOOLS,) = [
    block.text
    for block in Page(ROOT / "docs" / "tools.md").blocks("yaml")
    if block.path == "tools/stock.yaml" and "operation:" in block.text
]


@pytest.fixture
def stock(remit: Terminal) -> Terminal:
    """A new workspace with the tool file of the documentation, and the description beside it."""
    remit("init", ".")
    (remit.cwd / "tools" / "stock").mkdir()
    (remit.cwd / "tools" / "stock" / "stock.yaml").write_bytes(DESCRIPTION.read_bytes())
    (remit.cwd / "tools" / "stock.yaml").write_text(TOOLS, encoding="utf-8")
    return remit


def file_of(remit: Terminal) -> Path:
    return remit.cwd / "tools" / "stock.yaml"


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def document(remit: Terminal, *arguments: str) -> Any:
    return remit(*arguments, "--json").document


def test_their_examples_are_tests(stock: Terminal) -> None:
    done = stock("test", "reserve_stock", "find_stock")
    assert (done.code, done.out) == (0, "1 passed\n")
    change(file_of(stock), "quantity: 2}}\n          result", "quantity: 3}}\n          result")
    done = stock("test", "reserve_stock")
    assert done.code == 1
    assert "request.body.quantity: 3 → 2" in done.out


def test_lint_looks_at_them_and_takes_no_description_for_a_tool_file(stock: Terminal) -> None:
    found = document(stock, "lint", "tools")["findings"]
    assert not [finding for finding in found if finding["severity"] == "error"]
    assert {finding["file"] for finding in found} <= {"tools/stock.yaml"}
    change(file_of(stock), "operation: listStock", "operation: listStocks")
    (error,) = [found for found in document(stock, "lint", "tools")["findings"] if found["severity"] == "error"]
    assert (error["line"], error["fix"]) == (10, "did you mean listStock?")


def test_show_says_what_the_model_sees_and_which_description_is_behind_it(stock: Terminal) -> None:
    shown = document(stock, "tools", "show", "find_stock")
    assert list(shown["seen"]["inputSchema"]["properties"]) == ["sku", "cursor", "limit"]
    assert shown["seen"]["title"] == "List stock levels"
    assert len(shown["description_digest"]) == 64
    assert shown["url"] == "http://127.0.0.1:8703/stock"
    assert shown["description_digest"] in stock("tools", "show", "find_stock").out


def test_the_lock_pins_the_operation_and_no_more_of_the_description(stock: Terminal) -> None:
    description = stock.cwd / "tools" / "stock" / "stock.yaml"
    assert stock("tools", "lock").code == 0
    change(description, "How many pieces of one article", "How many pieces of an article")
    assert stock("tools", "lock", "--check").code == 0
    change(description, "How many pieces of each article", "All pieces of each article")
    done = stock("tools", "lock", "--check")
    assert done.code == 1
    assert "find_stock" in done.out
    assert "the API description behind it is another" in done.out
    assert "reserve_stock" not in done.out


PINNED = """
package remit.rules

import rego.v1

deny contains {"code": "not_reviewed", "message": "this API was not reviewed", "audience": "user"} if {
    input.resource.properties.description_digest != "DIGEST"
}
"""


def test_policy_can_go_by_the_digest_of_the_operation(stock: Terminal) -> None:
    digest = document(stock, "tools", "show", "find_stock")["description_digest"]
    (stock.cwd / "policy" / "pinned.rego").write_text(PINNED.replace("DIGEST", digest), encoding="utf-8")
    asked = ("call", "find_stock", "--as", "alice", "--dry-run")
    assert stock(*asked).code == 0
    change(stock.cwd / "tools" / "stock" / "stock.yaml", "summary: List stock levels", "summary: List levels")
    done = stock(*asked)
    assert done.code == 4
    assert "this API was not reviewed" in done.err


def test_a_dry_run_shows_the_request(stock: Terminal) -> None:
    done = stock("call", "find_stock", 'sku=["LMP-21"]', "--as", "alice", "--dry-run")
    assert done.out.splitlines()[0] == "GET http://127.0.0.1:8703/stock?sku=LMP-21&warehouse=berlin&limit=20"


def test_check_says_what_is_wrong_with_the_description(stock: Terminal) -> None:
    assert stock("check").code == 0
    (stock.cwd / "tools" / "stock" / "stock.yaml").write_text("openapi: 3.1.0\npaths: [", encoding="utf-8")
    done = stock("check")
    assert done.code == 1
    assert "stock/stock.yaml: the API description cannot be read" in done.err
