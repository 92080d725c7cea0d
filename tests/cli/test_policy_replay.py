"""`remit policy replay`: which past calls would have ended otherwise, on the trail of real calls."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from support.company import edit_settings
from support.past import Workspace
from support.terminal import Done, Terminal

NO_INTERNS: dict[str, Any] = {
    "roles": {"support-lead": {"orders": ["read", "write"], "payments": ["read", "write"]}},
    "agents": {"agent-runner": {}},
    "services": {"orders-api": {"audiences": ["payments-api"]}},
    "needs": {"user-agrees": {"match": {"tool": "refund_order"}, "require_approval": {"approvers": ["user"]}}},
}


@pytest.fixture
def here(remit: Terminal) -> Terminal:
    assert remit("init", ".").code == 0
    write_tables(remit.cwd / "next", NO_INTERNS)
    return remit


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    return write_tables(tmp_path / "next", NO_INTERNS)


def write_tables(folder: Path, tables: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "data.json").write_text(json.dumps(tables), "utf-8")
    return folder


def call(terminal: Terminal, *arguments: str) -> str:
    audit_id: str = terminal("call", *arguments, "--json").document["audit_id"]
    return audit_id


def group_of(done: Done, audit_id: str) -> dict[str, Any]:
    (group,) = [group for group in done.document["groups"] if audit_id in [each["audit_id"] for each in group["calls"]]]
    return {name: group[name] for name in ("was", "now", "rule")}


# ── real calls ───────────────────────────────────────────────────────────────────────────


def test_calls_that_would_flip_are_grouped_by_the_rule_that_makes_it_so(at_shop: Terminal, stricter: Path) -> None:
    refused = call(at_shop, "get_order", "order_id=O1001", "--as", "bob")
    asked = call(at_shop, "refund_order", "order_id=O1003", "amount=70", "reason=late", "--as", "alice")
    fine = call(at_shop, "get_order", "order_id=O1001", "--as", "alice")
    done = at_shop("policy", "replay", "--with", stricter, "--json")
    assert done.code == 1
    forbidden = group_of(done, refused)
    assert (forbidden["was"], forbidden["now"]) == ("allow", ["deny"])
    assert forbidden["rule"].startswith("standard/1 role_forbids (remit/standard.rego:")
    waits = group_of(done, asked)
    assert (waits["was"], waits["now"]) == ("allow", ["approval"])
    assert waits["rule"].endswith("require_approval user-agrees")
    assert fine not in done.out
    assert at_shop("policy", "replay", "--with", stricter, "--json").out == done.out


def test_people_read_the_same(at_shop: Terminal, stricter: Path) -> None:
    refused = call(at_shop, "get_order", "order_id=O1001", "--as", "bob")
    done = at_shop("policy", "replay", "--with", stricter, "--since", "1h")
    assert done.code == 1
    assert "would end otherwise" in done.out.splitlines()[0]
    (head,) = [line for line in done.out.splitlines() if line.startswith("allow → deny ")]
    assert "role_forbids" in head
    assert refused in done.out or "more" in done.out
    assert "with `policy.keep_inputs: encrypted`" in done.out
    assert done.err == ""


def test_the_policy_in_force_would_decide_as_it_did(at_shop: Terminal) -> None:
    call(at_shop, "refund_order", "order_id=O1003", "amount=80", "reason=late", "--as", "alice")
    done = at_shop("policy", "replay")
    assert done.code == 0
    assert ": 0 would end otherwise" in done.out


def test_on_a_terminal_it_says_how_far_it_is(at_shop: Terminal) -> None:
    call(at_shop, "get_order", "order_id=O1001", "--as", "alice")
    shown = at_shop("policy", "replay", FORCE_COLOR="1")
    assert "records" in shown.err
    assert "records" not in at_shop("policy", "replay", "--json", FORCE_COLOR="1").err


# ── what was kept ────────────────────────────────────────────────────────────────────────


def test_keys_come_and_go_and_what_they_sealed_can_be_replayed(here: Terminal) -> None:
    first, second, wrong = (here.cwd / name for name in ("first.key", "second.key", "wrong.key"))
    for file in (first, second, wrong):
        file.write_text(file.name * 8, "ascii")

    def keep_with(key: str) -> None:
        edit_settings(
            here.cwd / "remit.yaml",
            lambda settings: settings.update(
                policy={"path": "policy", "keep_inputs": "encrypted", "inputs_key": {"file": key}}
            ),
        )

    keep_with("first.key")
    before = call(here, "refund_order", "order_id=O1003", "amount=55", "reason=late", "--as", "alice")
    keep_with("second.key")
    after = call(here, "refund_order", "order_id=O1003", "amount=66", "reason=late", "--as", "alice")
    replayed = here("policy", "replay", "--with", "next", "--key-file", first, "--json")
    assert replayed.code == 1
    assert (replayed.document["guessed"], replayed.document["flips"]) == (0, 2)
    assert {before, after} == {each["audit_id"] for each in replayed.document["groups"][0]["calls"]}

    without = here("policy", "replay", "--with", "next", "--key-file", wrong)
    assert without.code == 1
    assert "2 calls under policy" in without.out
    assert "left out: 1 call, it was encrypted with a key that is not at hand" in without.out
    assert "--key-file" in without.out
    assert before not in without.out
    assert after in without.out


def test_what_is_not_certain_is_said_to_be_so_and_how_it_can_be(remit: Terminal) -> None:
    company = Workspace(remit.cwd)
    company.remember(company.refund(20_000), company.refund(40_000), now=time.time())
    tight = company.with_tables(lambda tables: tables["needs"]["large-amount"].update(over=30_000))
    done = remit("policy", "replay", "--with", tight.policy.path)
    assert done.code == 0
    assert ": 0 would end otherwise" in done.out
    assert "2 calls might, which depends on values that were not kept" in done.out
    assert "approval → approval or deny  2 by standard/1 amount_needs_scope" in done.out
    assert "2 calls had no values kept" in done.out


# ── what cannot be replayed ──────────────────────────────────────────────────────────────


def test_where_there_is_no_trail_there_is_nothing_to_replay(here: Terminal) -> None:
    done = here("policy", "replay")
    assert done.code == 2
    assert "the audit trail cannot be read" in done.err


@pytest.mark.parametrize(
    "arguments",
    [("--since", "soon"), ("--with", "nowhere"), ("--key-file", "nowhere.key"), ("--key-file", "short.key")],
)
def test_what_cannot_be_used_is_named(here: Terminal, arguments: tuple[str, str]) -> None:
    (here.cwd / "short.key").write_text("short", "ascii")
    done = here("policy", "replay", *arguments)
    assert done.code == 2
    assert arguments[1] in done.err or "for example 7d" in done.err


def test_a_policy_that_must_not_be_used_is_refused(here: Terminal) -> None:
    (here.cwd / "bad").mkdir()
    (here.cwd / "bad" / "authz.rego").write_text("package remit.authz\n\ndecision := http.send({})\n", "utf-8")
    call(here, "get_order", "order_id=O1001", "--as", "alice")
    done = here("policy", "replay", "--with", "bad")
    assert done.code == 2
    assert "authz.rego:3" in done.err
