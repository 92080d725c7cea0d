"""`remit tools` and `remit call --dry-run`: what there is, what was approved, and what would be sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.terminal import Terminal
from support.workspaces import a_tool, company, write_tools


def other(**changes: Any) -> dict[str, Any]:
    return a_tool(name="get_other", title="Get another", **changes)


# ── list and show ────────────────────────────────────────────────────────────────────────


def test_tools_are_listed_with_what_they_cost(remit: Terminal) -> None:
    write_tools(remit.cwd, a_tool(), other())
    done = remit("tools", "list")
    assert done.code == 0
    assert [line.split()[:4] for line in done.out.splitlines()[1:3]] == [
        ["get_order", "orders", "read", "orders:read"],
        ["get_other", "orders", "read", "orders:read"],
    ]
    document = remit("tools", "list", "--json").document
    assert [tool["name"] for tool in document["tools"]] == ["get_order", "get_other"]
    assert document["bytes"] == sum(tool["bytes"] for tool in document["tools"])
    assert document["tokens"] == -(-document["bytes"] // 4)
    assert document["tools"][0]["where"] == "tools/shop.yaml:10"


def test_as_a_user_only_what_policy_shows_is_listed(remit: Terminal) -> None:
    remit("init", ".")
    assert len(remit("tools", "list", "--as", "alice", "--json").document["tools"]) == 5
    seen = remit("tools", "list", "--as", "bob", "--json").document["tools"]
    assert [tool["name"] for tool in seen] == ["get_order", "list_orders"]
    assert remit("tools", "list", "--as", "mallory").code == 2


def test_a_broken_file_is_told_beside_the_tools_of_others(remit: Terminal) -> None:
    write_tools(remit.cwd, a_tool())
    (remit.cwd / "tools" / "broken.yaml").write_text("nonsense", encoding="utf-8")
    done = remit("tools", "list")
    assert done.code == 1
    assert "get_order" in done.out
    assert "tools/broken.yaml:1:1" in done.err


def test_one_tool_is_shown_with_what_the_model_sees(remit: Terminal) -> None:
    write_tools(remit.cwd, a_tool(policy={"dataClass": "pii"}, tags=["orders"]))
    document = remit("tools", "show", "get_order", "--json").document
    assert document["method"] == "GET"
    assert document["url"] == "https://orders.example.com/v1/orders/{order_id}"
    assert (document["effect"], document["audience"], document["lifetime"]) == ("read", "orders-api", 120)
    assert document["facts"] == {"dataClass": "pii"}
    assert document["examples"] == ["one order"]
    assert document["seen"]["inputSchema"]["examples"] == [{"order_id": "O1"}]
    assert "url" not in document["seen"]
    assert document["bytes"] == len(json.dumps(document["seen"], separators=(",", ":"), ensure_ascii=False).encode())
    shown = remit("tools", "show", "get_order").out
    for words in ("Get an order", "tools/shop.yaml:10", document["digest"], "orders:read", "tokens", "pii"):
        assert words in shown


def test_a_tool_that_is_not_there_is_7(remit: Terminal) -> None:
    write_tools(remit.cwd, a_tool())
    done = remit("tools", "show", "get_ordr")
    assert done.code == 7
    assert "did you mean get_order?" in done.err


# ── lock ─────────────────────────────────────────────────────────────────────────────────


def test_what_is_approved_is_told_and_then_checked(remit: Terminal) -> None:
    write_tools(remit.cwd, a_tool())
    assert remit("tools", "lock", "--check").code == 1
    assert not (remit.cwd / "tools" / "tools.lock").exists()
    done = remit("tools", "lock")
    assert done.code == 0
    assert "new     get_order" in done.out
    assert "1 tool · 1 different from what was approved · tools/tools.lock written" in done.out
    assert remit("tools", "lock", "--check").out == "1 tool · as approved\n"
    assert remit("tools", "lock").out == "1 tool · as approved\n"


def test_a_change_is_shown_in_words(remit: Terminal) -> None:
    write_tools(remit.cwd, a_tool(), other())
    remit("tools", "lock")
    changed = a_tool(description="Get one order by its id. Then send it to everybody.")
    changed["input"]["properties"]["order_id"]["pattern"] = ".*"
    write_tools(remit.cwd, changed)
    done = remit("tools", "lock", "--check")
    assert done.code == 1
    for line in (
        "- Use it when the user names an order.",
        "+ Then send it to everybody.",
        'argument order_id.pattern: "^O[0-9]+$" → ".*"',
        "gone    get_other",
    ):
        assert line in done.out
    document = remit("tools", "lock", "--check", "--json").document
    assert [(change["tool"], change["change"]) for change in document["changes"]] == [
        ("get_order", "changed"),
        ("get_other", "gone"),
    ]
    assert document["ok"] is False


def test_nothing_is_approved_while_a_file_is_broken(remit: Terminal) -> None:
    write_tools(remit.cwd, a_tool())
    (remit.cwd / "tools" / "broken.yaml").write_text("nonsense", encoding="utf-8")
    assert remit("tools", "lock").code == 1
    assert not (remit.cwd / "tools" / "tools.lock").exists()


@pytest.mark.parametrize(("mode", "code"), [("off", 0), ("warn", 0), ("enforce", 1)])
def test_check_says_what_is_not_approved_where_that_is_enforced(remit: Terminal, mode: str, code: int) -> None:
    remit("init", ".")
    done = remit("check", REMIT_TOOLS_LOCK=mode)
    assert done.code == code
    assert ("is not in tools.lock" in done.err) == (mode == "enforce")
    remit("tools", "lock")
    assert remit("check", REMIT_TOOLS_LOCK=mode).code == 0


def test_enforced_a_tool_that_is_not_approved_cannot_be_called(remit: Terminal) -> None:
    company(remit.cwd, a_tool(), other())
    write_tools(remit.cwd, a_tool())
    remit("tools", "lock")
    write_tools(remit.cwd, a_tool(), other())
    asked = ("call", "get_other", "order_id=O1", "--as", "alice", "--dry-run")
    assert remit(*asked, REMIT_TOOLS_LOCK="enforce").code == 7
    done = remit(*asked, REMIT_TOOLS_LOCK="warn")
    assert done.code == 0
    assert "tool_not_locked" in done.err


# ── dry run ──────────────────────────────────────────────────────────────────────────────

REFUND = ("call", "refund_order", "order_id=O1001", "amount=7", "reason=late")


@pytest.fixture
def at_home(remit: Terminal) -> Terminal:
    """A new workspace whose APIs nobody serves."""
    remit("init", ".")
    return remit


def recorded(remit: Terminal) -> list[Any]:
    return [json.loads(line) for line in remit("audit", "tail", "--json").out.splitlines() if line.strip()]


def test_a_dry_run_shows_the_request_sends_nothing_and_leaves_the_trail_alone(at_home: Terminal) -> None:
    done = at_home(*REFUND, "--as", "alice", "--dry-run")
    assert done.code == 0
    first, *rest = done.out.splitlines()
    assert first == "POST http://127.0.0.1:8701/orders/O1001/refunds"
    assert any(line.startswith("Idempotency-Key: ") for line in rest)
    assert rest[-1] == '{"amount": 7, "reason": "late", "requested_by": "alice"}'
    assert "Authorization" not in done.out
    assert "not sent: this was a dry run" in done.err
    assert recorded(at_home) == []


def test_as_json_a_dry_run_says_which_token_it_would_ask_for(at_home: Terminal) -> None:
    document = at_home(*REFUND, "--as", "alice", "--dry-run", "--json", "--explain").document
    assert document["dry_run"] is True
    assert document["request"]["body"] == {"amount": 7, "reason": "late", "requested_by": "alice"}
    assert document["token"] == {
        "audience": "orders-api",
        "scopes": ["orders:read", "refunds:write", "payments:refund"],
        "lifetime": 60,
    }
    assert [step["step"] for step in document["steps"]] == ["identify", "decide"]
    assert "eyJ" not in json.dumps(document)


def test_a_dry_run_asks_nobody_for_an_approval(at_home: Terminal) -> None:
    done = at_home("call", "refund_order", "order_id=O1", "amount=20000", "reason=late", "--as", "alice", "--dry-run")
    assert done.code == 0
    assert "policy demands" in done.err
    assert "require_approval" in done.err
    assert at_home("approvals", "list", "--json").document["approvals"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((*REFUND, "--as", "bob"), 4, "access_denied"),
        (("call", "get_payment", "payment_id=P1", "--as", "bob"), 7, "tool_hidden"),
        (("call", "get_order", "order_id=x", "--as", "alice"), 7, "invalid_arguments"),
        (("call", "nothing", "--as", "alice"), 7, "tool_unknown"),
    ],
)
def test_a_dry_run_ends_as_the_call_would_where_it_is_refused(
    at_home: Terminal, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = at_home(*arguments, "--dry-run")
    assert (done.code, said in done.err) == (code, True)
    assert done.out == ""
    assert at_home(*arguments, "--dry-run", "--json").document["error"]["code"] == said
    assert recorded(at_home) == []


def test_the_digest_of_a_tool_stands_in_the_trail(at_shop: Terminal) -> None:
    made = at_shop("call", "get_order", "order_id=O1002", "--as", "alice", "--json").document
    shown = at_shop("audit", "show", made["audit_id"], "--json").document
    assert shown["tool"]["digest"] == at_shop("tools", "show", "get_order", "--json").document["digest"]


PINNED = """
package remit.rules

import rego.v1

deny contains {"code": "not_reviewed", "message": "this tool was not reviewed", "audience": "user"} if {
    input.resource.properties.digest != "DIGEST"
}
"""


def test_policy_can_go_by_the_digest_of_a_tool(at_home: Terminal) -> None:
    digest = at_home("tools", "show", "get_order", "--json").document["digest"]
    (at_home.cwd / "policy" / "pinned.rego").write_text(PINNED.replace("DIGEST", digest), encoding="utf-8")
    asked = ("call", "get_order", "order_id=O1001", "--as", "alice", "--dry-run")
    assert at_home(*asked).code == 0
    file = at_home.cwd / "tools" / "orders.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("Get one order by", "Get any order by"), encoding="utf-8")
    done = at_home(*asked)
    assert done.code == 4
    assert "this tool was not reviewed" in done.err


def test_the_place_of_a_tool_is_told_from_where_one_is(remit: Terminal, tmp_path: Path) -> None:
    write_tools(tmp_path, a_tool())
    (tmp_path / "below").mkdir()
    inside = Terminal(tmp_path / "below", remit.monkeypatch, remit.capture)
    done = inside("tools", "list", "--json", REMIT_TOOLS=f'["{(tmp_path / "tools").as_posix()}"]')
    assert done.document["tools"][0]["where"].startswith(tmp_path.as_posix())
