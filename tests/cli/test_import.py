"""`remit import openapi`: tool files from API descriptions, and what becomes of them when the description changes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from remit.catalog.openapi.report import MAX_TOOLS
from remit.cli.import_choosing import numbers
from support.described import SERVER, operation, shop, write_json
from support.terminal import Terminal

FILE = "tools/corner-shop.yaml"
SPECS = Path(os.environ.get("REMIT_SPECS", ""))
AGAIN = ("import", "openapi", "shop.json", "--tag", "orders")
SOME = "REMIT_SPECS" in os.environ


@pytest.fixture
def at_shop_api(remit: Terminal) -> Terminal:
    """A folder with a description in it."""
    write_json(remit.cwd / "shop.json", shop())
    return remit


def written(remit: Terminal, file: str = FILE) -> Any:
    return yaml.safe_load((remit.cwd / file).read_text(encoding="utf-8"))


def names(remit: Terminal, file: str = FILE) -> list[str]:
    return [tool["name"] for tool in written(remit, file)["tools"]]


# ── a new file ───────────────────────────────────────────────────────────────────────────


def test_a_description_becomes_a_tool_file_with_the_description_beside_it(at_shop_api: Terminal) -> None:
    done = at_shop_api("import", "openapi", "shop.json")
    assert (done.code, done.err.split()[:1]) == (0, ["Next:"])
    assert names(at_shop_api) == ["list_orders", "make_order", "get_order", "get_customers"]
    upstream = written(at_shop_api)["upstream"]
    assert upstream == {
        "baseUrl": SERVER,
        "openapi": "./corner-shop/shop.json",
        "auth": {"audience": "https://shop.example.com"},
    }
    copied = at_shop_api.cwd / "tools" / "corner-shop" / "shop.json"
    assert copied.read_bytes() == (at_shop_api.cwd / "shop.json").read_bytes()
    assert (at_shop_api.cwd / "tools" / "tool.schema.json").is_file()


def test_the_report_says_what_is_taken_left_out_and_what_it_costs(at_shop_api: Terminal) -> None:
    done = at_shop_api("import", "openapi", "shop.json", "--dry-run")
    lines = done.out.splitlines()
    assert lines[0] == "Corner Shop 1.4 · OpenAPI 3.1 · 5 operations"
    assert lines[2].split()[:4] == ["list_orders", "GET", "/orders", "orders:read"]
    assert "     1  deprecated" in lines
    assert "tokens (estimated)" in lines[-1]
    assert "tokens for https://shop.example.com" in lines[-1]
    assert not (at_shop_api.cwd / "tools").exists()


def test_the_report_for_programs_has_all_of_it(at_shop_api: Terminal) -> None:
    document = at_shop_api("import", "openapi", "shop.json", "--json").document
    assert (document["ok"], document["tools"], document["too_much"]) == (True, 4, "")
    assert document["taken"][0] == {
        "name": "list_orders",
        "operation": "listOrders",
        "method": "GET",
        "path": "/orders",
        "tags": ["orders"],
        "scopes": ["orders:read"],
        "bytes": document["taken"][0]["bytes"],
        "tokens": -(-document["taken"][0]["bytes"] // 4),
        "cut": "",
    }
    assert document["bytes"] == sum(tool["bytes"] for tool in document["taken"])
    assert document["left_out"] == [{"method": "GET", "path": "/old", "operation": "oldWay", "reason": "deprecated"}]
    assert document["written"] == ["tools/corner-shop/shop.json", "tools/tool.schema.json", FILE]
    assert document["description"]["digest"]


def test_what_is_written_loads_and_costs_what_was_said(at_shop_api: Terminal) -> None:
    document = at_shop_api(
        "import", "openapi", "shop.json", "--base-url", "${SHOP:-https://a.example}", "--audience", "a", "--json"
    ).document
    listed = at_shop_api("tools", "list", "--json").document
    assert [tool["name"] for tool in listed["tools"]] == sorted(tool["name"] for tool in document["taken"])
    assert listed["bytes"] == document["bytes"]


def test_what_the_operator_says_goes_before_what_the_description_says(at_shop_api: Terminal) -> None:
    said = [
        "--name",
        "crm",
        "--base-url",
        "https://crm.example.com/",
        "--audience",
        "crm-api",
        "--scope",
        "a",
        "--scope",
        "b",
    ]
    assert at_shop_api("import", "openapi", "shop.json", *said, "--prefix", "crm", "--profile", "compact").code == 0
    data = written(at_shop_api, "tools/crm.yaml")
    assert data["upstream"] == {
        "baseUrl": "https://crm.example.com",
        "openapi": "./crm/shop.json",
        "profile": "compact",
        "auth": {"audience": "crm-api", "scopes": ["a", "b"]},
    }
    assert data["tools"][0]["name"] == "crm_list_orders"


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (["--tag", "customers"], ["get_customers"]),
        (["--include", "GET /orders*", "--exclude", "*{order_id}"], ["list_orders"]),
        (["--operation", "getOrder", "--operation", "oldWay"], ["get_order", "old_way"]),
        (["--only-read", "--deprecated", "--tag", "orders"], ["list_orders", "get_order", "old_way"]),
    ],
    ids=" ".join,
)
def test_only_what_is_selected_is_taken(at_shop_api: Terminal, said: list[str], taken: list[str]) -> None:
    assert at_shop_api("import", "openapi", "shop.json", *said).code == 0
    assert names(at_shop_api) == taken


def test_a_description_in_the_folder_of_the_tool_file_stays_where_it_is(remit: Terminal) -> None:
    write_json(remit.cwd / "apis" / "described" / "shop.json", shop())
    assert remit("import", "openapi", "apis/described/shop.json", "-o", "apis/shop.yaml").code == 0
    assert written(remit, "apis/shop.yaml")["upstream"]["openapi"] == "./described/shop.json"
    assert sorted(path.name for path in (remit.cwd / "apis").iterdir()) == [
        "described",
        "shop.yaml",
        "tool.schema.json",
    ]


def test_a_description_of_several_files_is_copied_whole(remit: Terminal) -> None:
    document = shop(**{"/more": {"$ref": "parts/more.json"}})
    write_json(remit.cwd / "in" / "shop.json", document)
    write_json(remit.cwd / "in" / "parts" / "more.json", {"get": operation("more")})
    write_json(remit.cwd / "in" / "unused.json", {})
    document = remit("import", "openapi", "in/shop.json", "-o", "out", "--json").document
    assert document["description"]["copied"] == ["out/corner-shop/parts/more.json", "out/corner-shop/shop.json"]
    assert (remit.cwd / "out" / "corner-shop" / "parts" / "more.json").is_file()


def test_overlays_change_what_is_imported_and_are_remembered(at_shop_api: Terminal) -> None:
    actions = [{"target": "$.paths['/customers']", "remove": True}, {"target": "$.nowhere", "remove": True}]
    write_json(at_shop_api.cwd / "ours.json", {"overlay": "1.1.0", "info": {}, "actions": actions})
    done = at_shop_api("import", "openapi", "shop.json", "--overlay", "ours.json")
    assert done.code == 0
    assert "nowhere in the description" in done.out
    assert names(at_shop_api) == ["list_orders", "make_order", "get_order"]
    assert written(at_shop_api)["upstream"]["overlays"] == ["./corner-shop/overlays/ours.json"]
    again = at_shop_api("import", "openapi", "shop.json", "--json").document
    assert (again["changes"], again["different"]) == ([], [])
    assert len(at_shop_api("tools", "list", "--json").document["tools"]) == 3


def test_what_is_found_when_it_is_needed_is_not_listed(at_shop_api: Terminal) -> None:
    said = ("--discover", "--max-tools", 1, "--exclude", "*old*")
    assert at_shop_api("import", "openapi", "shop.json", *said).code == 0
    assert written(at_shop_api)["discover"] == {"include": ["*"], "exclude": ["*old*"]}
    assert "tools" not in written(at_shop_api)
    listed = at_shop_api("tools", "list", "--json").document["tools"]
    assert {"corner_shop_find", "corner_shop_describe", "corner_shop_call"} <= {tool["name"] for tool in listed}
    done = at_shop_api("import", "openapi", "shop.json")
    assert (done.code, "no list of tools" in done.err) == (2, True)


def test_what_is_found_is_what_was_selected_and_can_be_called(at_shop_api: Terminal) -> None:
    upload = operation("upload", servers=[{"url": "https://files.example.com"}])
    write_json(at_shop_api.cwd / "shop.json", shop(**{"/files": {"post": upload}}))
    assert at_shop_api("import", "openapi", "shop.json", "--discover", "--deprecated").code == 0
    assert written(at_shop_api)["discover"] == {"include": ["*"], "exclude": ["upload"], "deprecated": True}
    assert written(at_shop_api)["upstream"]["auth"]["scopes"] == ["orders:read", "orders:write"]
    assert at_shop_api("import", "openapi", "shop.json", "--discover", "--tag", "customers", "--force").code == 2
    said = ("--discover", "--tag", "customers", "--scope", "orders:read", "--force")
    assert at_shop_api("import", "openapi", "shop.json", *said).code == 0
    assert written(at_shop_api)["discover"] == {"include": ["GET /customers"], "scopes": ["orders:read"]}
    listed = at_shop_api("tools", "list", "--json").document["tools"]
    assert [tool["scopes"] for tool in listed if not tool["listed"]] == [["orders:read"]]


# ── too much ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("said", [["--max-tools", 3], ["--budget", "1KB"], ["--budget", "500"]], ids=str)
def test_what_is_too_much_is_refused_with_the_ways_out(at_shop_api: Terminal, said: list[Any]) -> None:
    done = at_shop_api("import", "openapi", "shop.json", *said)
    assert done.code == 3
    assert "orders" in done.out
    assert {"narrow", "raise", "or"} <= set(done.err.split())
    assert not (at_shop_api.cwd / "tools").exists()
    document = at_shop_api("import", "openapi", "shop.json", *said, "--json").document
    assert (document["ok"], document["written"]) == (False, [])
    assert [(each["tag"], each["tools"]) for each in document["tags"]] == [("orders", 3), ("customers", 1)]


def test_more_tools_than_a_file_may_hold_are_too_many_whatever_the_budget(remit: Terminal) -> None:
    write_json(remit.cwd / "big.json", shop(**{f"/p{index}": {"get": operation()} for index in range(MAX_TOOLS)}))
    done = remit("import", "openapi", "big.json", "--max-tools", 100000, "--budget", "1GB", "--json")
    assert done.code == 3
    assert f"{MAX_TOOLS} are allowed" in done.document["too_much"]


# ── what the operator has to mend ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "cannot be read"),
        (b"", "mapping"),
        (b"just: yaml", "says no version"),
        (b"{", "not JSON"),
        (b"[1, 2]", "mapping"),
        (b'{"openapi": "3.1.0"}', "has no operations"),
        (b'{"openapi": "4.0.0"}', "OpenAPI 2.0 or 3.x is needed"),
        (b'{"openapi": "3.1.0", "paths": {"/a": {"options": {}}}}', "tools have no method OPTIONS"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_file_that_is_no_description_is_said_to_be_none(remit: Terminal, content: bytes | None, said: str) -> None:
    if content is not None:
        (remit.cwd / "file").write_bytes(content)
    done = remit("import", "openapi", "file")
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert "hint" in done.err


def test_a_folder_is_no_description(remit: Terminal) -> None:
    done = remit("import", "openapi", ".")
    assert done.code == 2
    assert "API description" in done.err


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["--tag", "oders"], "did you mean orders?"),
        (["--operation", "getOrdr"], "did you mean getOrder?"),
        (["--budget", "much"], "is no size"),
        (["--max-tools", "0"], "--max-tools"),
        (["--name", "Not This"], "no name for an API"),
        (["--base-url", "http://shop.example.com"], "without TLS"),
        (["--base-url", "shop.example.com"], "no absolute address"),
        (["--base-url", "${SHOP_URL}"], "whom tokens are for"),
        (["--base-url", "${SHOP_URL}", "--audience", "a"], "the environment has no SHOP_URL"),
        (["--scope", "a b"], "not one scope"),
        (["--prefix", "9"], "begins no tool's name"),
        (["--include", "nothing"], "4 not included"),
        (["--interactive"], "no terminal"),
        (["--overlay", "shop.json"], "an overlay of version 1.0 or 1.1 is needed"),
        (["-o", "shop.json/x.yaml"], "cannot be written"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_told_in_one_sentence(at_shop_api: Terminal, said: list[str], told: str) -> None:
    done = at_shop_api("import", "openapi", "shop.json", *said)
    assert done.code == 2
    assert told in " ".join(done.err.replace("│", "").split())


def test_without_an_address_nothing_is_written(remit: Terminal) -> None:
    write_json(remit.cwd / "shop.json", {**shop(), "servers": [{"url": "/v2"}]})
    assert remit("import", "openapi", "shop.json", "--dry-run").code == 0
    done = remit("import", "openapi", "shop.json")
    assert done.code == 2
    assert "--base-url" in done.err
    assert not (remit.cwd / "tools").exists()


def test_a_file_that_is_something_else_is_written_over_only_with_force(at_shop_api: Terminal) -> None:
    (at_shop_api.cwd / "tools").mkdir()
    (at_shop_api.cwd / FILE).write_text("version: 1\nname: mine\ntools: []\n", encoding="utf-8")
    done = at_shop_api("import", "openapi", "shop.json")
    assert (done.code, "--force" in done.err) == (2, True)
    assert at_shop_api("import", "openapi", "shop.json", "--force").code == 0
    assert names(at_shop_api)[0] == "list_orders"


def test_another_file_in_the_place_of_the_copy_is_not_written_over(at_shop_api: Terminal) -> None:
    write_json(at_shop_api.cwd / "tools" / "corner-shop" / "shop.json", {"mine": True})
    done = at_shop_api("import", "openapi", "shop.json")
    assert (done.code, "over another file" in done.err) == (2, True)


def test_text_of_the_description_is_data(remit: Terminal) -> None:
    nasty = "ends: here\"}\n- name: evil\n  # ${HOME} \x1b[31m <b>bold</b> 'quoted' and *more*, longer than twenty."
    path = {"/a": {"get": operation("a: b # c", summary=nasty, description=nasty, tags=["\x1b[2J"])}}
    write_json(
        remit.cwd / "shop.json", {**shop(), "paths": path, "info": {"title": "\x1b[31mred\nname: x", "version": nasty}}
    )
    done = remit("import", "openapi", "shop.json")
    assert done.code == 0
    assert "\x1b" not in done.out
    file = next((remit.cwd / "tools").glob("*.yaml"))
    tools = yaml.safe_load(file.read_text(encoding="utf-8"))["tools"]
    assert [tool["operation"] for tool in tools] == ["a: b # c"]


# ── again ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def imported(at_shop_api: Terminal) -> Terminal:
    """A tool file that somebody has written in, and a description that is another since."""
    assert at_shop_api(*AGAIN).code == 0
    file = at_shop_api.cwd / FILE
    text = file.read_text(encoding="utf-8").replace("Make an order of some articles.", "Make an order, one of ours.")
    text = text.replace("operation: getOrder\n", "operation: getOrder  # by number\n    response: {maxItems: 5}\n")
    file.write_text(text, encoding="utf-8")
    new = shop(**{"/refunds": {"post": operation("refund", summary="Pay back what was paid.", tags=["orders"])}})
    new["paths"]["/orders"]["get"]["summary"] = "List the orders, newest first."
    new["paths"]["/orders"]["post"]["summary"] = "Make an order of articles."
    new["info"]["version"] = "1.5"
    write_json(at_shop_api.cwd / "shop.json", new)
    return at_shop_api


def test_what_changed_is_shown_and_nothing_is_written(imported: Terminal) -> None:
    before = (imported.cwd / FILE).read_bytes()
    done = imported(*AGAIN)
    assert done.code == 0
    assert "+ List the orders, newest first." in done.out
    assert [line.split()[:2] for line in done.out.splitlines() if not line.startswith(" ")][1:4] == [
        ["changed", "list_orders"],
        ["changed", "make_order"],
        ["new", "refund"],
    ]
    assert "--force" in done.err
    assert (imported.cwd / FILE).read_bytes() == before


def test_with_force_the_changes_are_made_and_what_was_written_stays(imported: Terminal) -> None:
    assert imported(*AGAIN, "--force").code == 0
    tools = {tool["name"]: tool for tool in written(imported)["tools"]}
    assert list(tools) == ["list_orders", "make_order", "get_order", "refund"]
    assert tools["list_orders"]["description"] == "List the orders, newest first."
    assert tools["make_order"]["description"] == "Make an order, one of ours."
    assert tools["get_order"]["response"] == {"maxItems": 5}
    assert "operation: getOrder  # by number" in (imported.cwd / FILE).read_text(encoding="utf-8")
    again = imported(*AGAIN, "--json").document
    assert (again["changes"], again["different"]) == ([], [])


@pytest.mark.parametrize(("typed", "made"), [("y\n", True), ("n\n", False)])
def test_who_sits_at_a_terminal_is_asked(imported: Terminal, typed: str, made: bool) -> None:
    assert imported(*AGAIN, typed=typed).code == 0
    assert ("refund" in names(imported)) == made


def test_what_was_not_taken_before_comes_in_where_it_is_asked_for(imported: Terminal) -> None:
    assert imported(*AGAIN, "--tag", "customers", "--force").code == 0
    assert names(imported) == ["list_orders", "make_order", "get_order", "get_customers", "refund"]


def test_a_tool_whose_operation_is_gone_becomes_a_comment(imported: Terminal) -> None:
    new = shop()
    del new["paths"]["/orders/{order_id}"]
    write_json(imported.cwd / "shop.json", new)
    done = imported(*AGAIN, "--force")
    assert "gone    get_order" in done.out
    assert names(imported) == ["list_orders", "make_order"]
    text = (imported.cwd / FILE).read_text(encoding="utf-8")
    assert "#   operation: getOrder  # by number" in text
    assert "#   response: {maxItems: 5}" in text


def test_a_description_that_was_changed_in_its_place_is_left_to_the_lock(remit: Terminal) -> None:
    write_json(remit.cwd / "tools" / "described.json", shop())
    assert remit("import", "openapi", "tools/described.json").code == 0
    new = shop(**{"/new": {"get": operation("newOne")}})
    new["paths"]["/orders"]["get"]["summary"] = "Something else entirely."
    write_json(remit.cwd / "tools" / "described.json", new)
    done = remit("import", "openapi", "tools/described.json", "--json").document
    assert [(each["kind"], each["operation"]) for each in done["changes"]] == [("new", "newOne")]
    assert "remit tools lock" in done["notes"][0]["message"]
    assert remit("import", "openapi", "tools/described.json", "--exclude", "*", "--json").document["changes"] == []


def test_a_change_that_would_not_load_is_not_made(imported: Terminal) -> None:
    file = imported.cwd / FILE
    file.write_text(file.read_text(encoding="utf-8").replace("name: get_order\n", "name: refund\n"), encoding="utf-8")
    done = imported(*AGAIN, "--force")
    assert (done.code, "would not load: refund is there already" in " ".join(done.err.split())) == (2, True)


def test_a_change_over_the_budget_is_not_made(imported: Terminal) -> None:
    done = imported(*AGAIN, "--force", "--max-tools", 3)
    assert done.code == 3
    assert "refund" not in names(imported)


def test_a_file_for_another_description_is_not_changed(imported: Terminal) -> None:
    write_json(imported.cwd / "other.json", {**shop(), "info": {"title": "Another", "version": "1"}})
    done = imported("import", "openapi", "other.json", "-o", FILE)
    assert (done.code, "another API description" in done.err) == (2, True)


# ── choosing ─────────────────────────────────────────────────────────────────────────────


def test_tags_and_operations_are_chosen_with_what_they_come_to(at_shop_api: Terminal) -> None:
    done = at_shop_api("import", "openapi", "shop.json", "--interactive", typed="9\n1\n-2\n")
    assert done.code == 0
    assert "9 is not between 1 and 2" in done.err
    assert names(at_shop_api) == ["list_orders", "get_order"]
    assert [f"{count} tools, " in done.err for count in (4, 3, 2)] == [False, True, True]


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("all", [0, 1, 2, 3]),
        ("1 3", [0, 2]),
        ("1,3-4", [0, 2, 3]),
        ("all but -2", [0, 2, 3]),
        ("-1 -3-4", [1]),
        ("2-3 -3", [1]),
        ("", []),
    ],
)
def test_numbers_name_rows(answer: str, chosen: list[int]) -> None:
    assert numbers(answer, 4) == chosen


@pytest.mark.parametrize("answer", ["x", "0", "5", "3-2", "1-9", "--1", "1-", "9" * 400])
def test_what_is_no_number_is_said(answer: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        numbers(answer, 4)


# ── real descriptions ────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not SOME, reason="REMIT_SPECS names no folder of descriptions")
def test_all_real_descriptions_are_imported_or_refused_quickly(remit: Terminal) -> None:
    paths = sorted(SPECS.rglob("*"))
    codes: dict[str, int] = {}
    tools, began = 0, time.process_time()
    for path in paths:
        if path.is_file() and path.suffix in {".json", ".yaml", ".yml"}:
            done = remit("import", "openapi", path, "--max-tools", 100000, "--budget", "1GB", "--dry-run", "--json")
            codes[path.name] = done.code
            tools += done.document["tools"] if done.code == 0 else 0
    assert set(codes.values()) <= {0, 2, 3}
    assert tools > 1000
    assert time.process_time() - began < 15  # a third of it on two quiet cores
