"""`remit new tool`: what it writes loads, passes lint and test, and holds no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support.terminal import Terminal
from support.workspaces import a_tool, write_tools

CURL = (
    "curl 'https://api.crm.example.com/v2/customers/C1042?include=orders&include=notes&api_key=k3y' "
    "-H 'Authorization: Bearer t0ken' -H 'X-Tenant: acme' -b sid=c00kie"
)


def test_a_tool_of_a_curl_command_passes_lint_and_test_and_holds_no_secret(remit: Terminal) -> None:
    remit("init", ".")
    done = remit(
        "new",
        "tool",
        "get_customer",
        "--from-curl",
        CURL,
        "--description",
        "Get one. Use it when asked for one customer.",
    )
    assert (done.code, done.out) == (0, "tools/crm.yaml\n")
    for what in ("the header Authorization", "the value of -b", "api_key in the query"):
        assert f"left out: {what}" in done.err
    text = (remit.cwd / "tools" / "crm.yaml").read_text(encoding="utf-8")
    for secret in ("k3y", "t0ken", "c00kie"):
        assert secret not in text + done.out + done.err
    assert {finding["code"] for finding in remit("lint", "tools/crm.yaml", "--json").document["findings"]} == {
        "T204",
        "T206",
    }
    assert remit("test", "get_customer").out == "1 passed\n"
    assert 'remit call get_customer customer_id=C1042 \'include=["orders", "notes"]\' --as alice --dry-run' in done.err


def test_what_lint_says_of_a_new_api_is_all_that_a_call_needs(remit: Terminal) -> None:
    remit("init", ".")
    remit("new", "tool", "get_customer", "--from-curl", CURL, "--audience", "crm", "--scope", "crm:read")
    fixes = {finding["code"]: finding["fix"] for finding in remit("lint", "--json").document["findings"]}
    assert '{audience: "crm", scopes: [crm:read]}' in fixes["T204"]
    settings, tables = remit.cwd / "remit.yaml", remit.cwd / "policy" / "data.yaml"
    added = '      targets:\n        - {audience: "crm", scopes: [crm:read]}\n'
    settings.write_text(settings.read_text(encoding="utf-8").replace("      targets:\n", added, 1), encoding="utf-8")
    assert "`crm: [read]`" in fixes["T206"]
    roles = "  support-lead:\n    crm: [read]\n"
    tables.write_text(tables.read_text(encoding="utf-8").replace("  support-lead:\n", roles, 1), encoding="utf-8")
    users = settings.read_text(encoding="utf-8").replace(
        "scopes: [orders:read, refunds:write, payments:read",
        "scopes: [crm:read, orders:read, refunds:write, payments:read",
    )
    settings.write_text(users, encoding="utf-8")
    assert [finding["code"] for finding in remit("lint", "--json").document["findings"]] == ["T106"]
    done = remit("call", "get_customer", "customer_id=C7", "--as", "alice", "--dry-run")
    assert done.code == 0
    assert done.out.startswith("GET https://api.crm.example.com/v2/customers/C7\n")


def test_a_tool_of_a_path_is_ten_lines(remit: Terminal) -> None:
    write_tools(remit.cwd, a_tool())
    file = remit.cwd / "tools" / "shop.yaml"
    before = file.read_text(encoding="utf-8")
    done = remit("new", "tool", "get_line", "--get", "/orders/{order_id}/lines/{line}", "--file", "tools/shop.yaml")
    assert done.code == 0
    after = file.read_text(encoding="utf-8")
    assert after.startswith(before)
    tool = yaml.safe_load(after)["tools"][1]
    assert tool["request"] == {"method": "GET", "path": "/orders/{order_id}/lines/{line}"}
    assert tool["input"]["required"] == ["order_id", "line"]
    assert remit("lint").code == 0
    assert remit("test").out == "2 passed\n"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_every_method(remit: Terminal, method: str) -> None:
    done = remit(
        "new",
        "tool",
        "do_it",
        f"--{method}",
        "/things/{id}?x=1",
        "--base-url",
        "https://things.example.com/api",
        "--json",
    )
    assert done.document["written"] == ["tools/things.yaml", "tools/tool.schema.json"]
    assert done.document["where"] == "tools/things.yaml:10"
    document = yaml.safe_load((remit.cwd / "tools" / "things.yaml").read_text(encoding="utf-8"))
    assert document["upstream"]["baseUrl"] == "https://things.example.com/api"
    assert document["tools"][0]["request"]["method"] == method.upper()
    assert remit("lint").code == 0
    assert remit("test").code == 0


def test_it_goes_to_the_file_that_calls_the_same_api_and_comments_stay(remit: Terminal) -> None:
    remit("init", ".")
    file = remit.cwd / "tools" / "orders.yaml"
    before = file.read_text(encoding="utf-8")
    done = remit("new", "tool", "find_orders", "--from-curl", "curl http://127.0.0.1:8701/orders?customer=C1")
    assert done.out == "tools/orders.yaml\n"
    assert file.read_text(encoding="utf-8").startswith(before)
    assert remit("tools", "show", "find_orders", "--json").document["audience"] == "orders-api"
    done = remit(
        "new", "tool", "search_orders", "--get", "/orders", "--base-url", "http://127.0.0.1:8701", "--scope", "x"
    )
    assert done.out == "tools/orders.yaml\n"
    assert remit("tools", "show", "search_orders", "--json").document["scopes"] == ["x"]


def test_an_address_of_this_machine_can_be_another_elsewhere(remit: Terminal) -> None:
    remit("new", "tool", "get_it", "--from-curl", "curl http://localhost:9000/it", "--file", "tools/my-api.yaml")
    text = (remit.cwd / "tools" / "my-api.yaml").read_text(encoding="utf-8")
    assert "baseUrl: ${MY_API_URL:-http://localhost:9000}" in text or '"${MY_API_URL:-http://localhost:9000}"' in text
    assert remit("lint").code == 0


def test_on_a_terminal_what_is_missing_is_asked_for(remit: Terminal) -> None:
    remit("init", ".")
    done = remit(
        "new", "tool", "get_line",
        typed="GET /orders/{order_id}/lines\norders\nGet the lines of an order. Use it when an order is known.\n",
    )  # fmt: skip
    assert (done.code, done.out.strip()) == (0, "tools/orders.yaml")
    assert "Which API? orders, payments, or the URL of another" in done.err
    done = remit(
        "new", "tool", "get_thing", typed="get /things/{id}\nhttps://things.example.com\n\nthings\nthings:read, x\n"
    )
    assert done.out.split() == ["tools/things.yaml"]
    shown = remit("tools", "show", "get_thing", "--json").document
    assert (shown["audience"], shown["scopes"]) == ("things", ["things:read", "x"])


def test_a_command_can_come_from_standard_input(remit: Terminal) -> None:
    assert remit("new", "tool", "get_customer", "--from-curl", "-", stdin=CURL).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("do_it",), "say what it calls"),
        (("do_it", "--get", "/x"), "say which API"),
        (("do_it", "--get", "x", "--base-url", "https://x.example.com"), "does not begin with /"),
        (("do_it", "--get", "/x", "--post", "/x"), "exclude each other"),
        (("do_it", "--get", "/x", "--from-curl", "curl x"), "exclude each other"),
        (("do_it", "--from-curl", "wget x"), "does not begin with curl"),
        (("do_it", "--from-curl", "curl http://crm.example.com/x"), "without TLS"),
        (("do_it", "--from-curl", "curl https://other.example.com/x", "--file", "tools/shop.yaml"), "not below"),
        (("do_it", "--from-curl", "curl https://shop.example.com/x"), "calls another address"),
        (("get_order", "--get", "/x", "--file", "tools/shop.yaml"), "is there already"),
        (("do it", "--get", "/x", "--file", "tools/shop.yaml"), "is no name of a tool"),
        (("do_it", "--get", "/x/../y", "--file", "tools/shop.yaml"), "cannot be a segment"),
        (("do_it", "--get", "/x", "--base-url", "https://user:pw@x.example.com"), "not a plain URL"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(
    remit: Terminal, arguments: tuple[str, ...], said: str
) -> None:
    file = write_tools(remit.cwd, a_tool())
    before = file.read_text(encoding="utf-8")
    done = remit("new", "tool", *arguments)
    assert done.code == 2
    assert said in " ".join(done.err.replace("│", " ").split())
    assert "pw@" not in done.err
    assert file.read_text(encoding="utf-8") == before
    assert [path.name for path in (remit.cwd / "tools").iterdir()] == ["shop.yaml"]


def test_a_file_that_is_broken_is_left_alone(remit: Terminal, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "broken.yaml").write_text("nonsense", encoding="utf-8")
    done = remit("new", "tool", "do_it", "--get", "/x", "--file", "tools/broken.yaml")
    assert done.code == 2
    assert "tools/broken.yaml:1:1" in done.err
    assert (tmp_path / "tools" / "broken.yaml").read_text(encoding="utf-8") == "nonsense"
