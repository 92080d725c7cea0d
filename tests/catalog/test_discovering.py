"""What a tool file with `discover` gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from remit.catalog.compile import compile_text
from remit.catalog.definition import tool_file_schema
from remit.catalog.tool import Catalog
from support.discovered import DESCRIPTION, FILE, NAMES, tools_of

ENTRIES = ["billing_call", "billing_describe", "billing_find"]


def test_every_operation_that_fits_is_a_tool_that_is_in_no_list(tmp_path: Path) -> None:
    tools = tools_of(tmp_path)
    assert sorted(name for name, tool in tools.items() if tool.is_found) == NAMES
    assert sorted(name for name, tool in tools.items() if not tool.is_found) == ENTRIES
    assert [tool.name for tool in Catalog.of(tools.values()).listed(tools.values())] == ENTRIES


def test_deprecated_operations_and_those_that_need_other_scopes_are_left_out(tmp_path: Path) -> None:
    assert not {"billing_old_list", "billing_get_ledger"} & tools_of(tmp_path).keys()
    more = FILE.replace("refunds:write", "ledger:read").replace("discover: {", "discover: {deprecated: true, ")
    with_more = tools_of(tmp_path, more)
    assert {"billing_old_list", "billing_get_ledger"} <= with_more.keys()
    assert "billing_create_invoice" not in with_more


def test_an_operation_asks_for_its_own_scopes_or_for_those_that_the_file_says(tmp_path: Path) -> None:
    tools = tools_of(tmp_path)
    assert tools["billing_list_invoices"].auth.scopes == ("orders:read",)
    assert tools["billing_create_invoice"].auth.scopes == ("refunds:write",)
    assert tools["billing_get_invoice"].auth.scopes == ("orders:read",)
    assert all(tools[name].auth.type == "none" for name in ENTRIES)


def test_an_operation_without_scopes_among_others_with_some_does_not_get_all_of_them(tmp_path: Path) -> None:
    found = tools_of(tmp_path, FILE.replace(', scopes: ["orders:read"]}', "}")).keys()
    assert {"billing_list_invoices", "billing_create_invoice"} <= found
    assert not {"billing_get_invoice", "billing_void_invoice"} & found


def test_where_the_description_names_no_scopes_those_of_the_file_are_asked_for(tmp_path: Path) -> None:
    paths = {"/invoices/{id}": DESCRIPTION["paths"]["/invoices/{id}"]}
    text = FILE.replace(', scopes: ["orders:read"]}', "}")
    tools = tools_of(tmp_path, text, {**DESCRIPTION, "paths": paths})
    assert tools["billing_get_invoice"].auth.scopes == ("orders:read", "refunds:write")


def test_patterns_choose(tmp_path: Path) -> None:
    text = FILE.replace('exclude: ["PATCH *"]', 'include: ["GET *", voidInvoice], exclude: ["*Invoices"]')
    found = {name for name, tool in tools_of(tmp_path, text).items() if tool.is_found}
    assert found == {"billing_get_invoice", "billing_void_invoice"}


def test_what_calls_says_the_worst_that_a_call_may_do(tmp_path: Path) -> None:
    said = tools_of(tmp_path)["billing_call"].annotations
    assert (said.read_only, said.destructive) == (False, True)
    reading = tools_of(tmp_path, FILE.replace("PATCH *", "[!G]* /*"))["billing_call"].annotations
    assert (reading.read_only, reading.destructive) == (True, False)


def test_where_nothing_is_left_there_are_no_tools_at_all(tmp_path: Path) -> None:
    assert tools_of(tmp_path, FILE.replace("PATCH *", "*")) == {}


def test_what_calls_is_listed_only_with_what_finds(tmp_path: Path) -> None:
    tools = tools_of(tmp_path)
    shown = [tool for tool in tools.values() if tool.name != "billing_find"]
    assert [tool.name for tool in Catalog.of(tools.values()).listed(shown)] == ["billing_describe"]


def test_a_changed_operation_has_another_digest_and_the_others_keep_theirs(tmp_path: Path) -> None:
    before = tools_of(tmp_path)
    invoice = {**DESCRIPTION["paths"]["/invoices/{id}"]}
    invoice["get"] = {**invoice["get"], "summary": "Get one invoice, and send it to whoever asks"}
    after = tools_of(tmp_path, FILE, {**DESCRIPTION, "paths": {**DESCRIPTION["paths"], "/invoices/{id}": invoice}})
    changed = {name for name in before if before[name].digest != after[name].digest}
    assert changed == {"billing_get_invoice"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FILE.replace("  openapi: ./billing.json\n", ""), "the file names no API description"),
        (FILE.replace("discover: {exclude", "discover: {omit"), 'unknown key "omit"'),
        (FILE.partition("discover")[0], "there are no tools"),
    ],
    ids=["no description", "unknown key", "neither"],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    tools_of(tmp_path)
    problems = compile_text(text, (tmp_path / "billing.yaml").as_posix(), {}).problems
    assert [problem.message for problem in problems if said in problem.message]
    assert all(problem.line > 0 for problem in problems)


def test_the_grammar_for_editors_knows_it() -> None:
    schema = tool_file_schema()
    assert {"required": ["discover"]} in schema["anyOf"]
    assert schema["$defs"]["DiscoverBlock"]["properties"].keys() == {"include", "exclude", "deprecated", "scopes"}
