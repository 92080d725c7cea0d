"""`remit call`: the same path as every other door, from a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from remit.cli.asking import typed_arguments
from support.terminal import Terminal
from support.tools import calling


def test_a_permitted_call_prints_the_result_and_nothing_else(at_shop: Terminal) -> None:
    done = at_shop("call", "get_order", "order_id=O1002", "--as", "alice")
    assert done.code == 0
    assert done.document["id"] == "O1002"
    assert done.err == ""


def test_as_json_it_says_how_it_ended_and_under_which_audit_id(at_shop: Terminal) -> None:
    done = at_shop("call", "get_order", "order_id=O1002", "--as", "bob", "--json")
    assert done.code == 0
    assert done.document["tool"] == "get_order"
    assert done.document["outcome"] == "success"
    assert done.document["result"]["id"] == "O1002"
    shown = at_shop("audit", "show", done.document["audit_id"], "--json").document
    assert shown["door"] == "cli"
    assert shown["principal"]["subject"] == "bob"
    assert shown["actor"]["sub"] == "agent-runner"


def test_every_step_is_explained_without_a_token(at_shop: Terminal) -> None:
    done = at_shop(
        "call", "refund_order", "order_id=O1003", "amount=7", "reason=late", "--as", "alice", "--explain", "--json"
    )
    assert done.code == 0
    steps = {step["step"]: step for step in done.document["steps"]}
    assert list(steps) == ["identify", "decide", "exchange", "call", "result"]
    assert steps["identify"]["subject"] == "alice"
    assert steps["identify"]["actor"] == "agent-runner"
    assert steps["decide"]["allow"] is True
    assert steps["exchange"]["request"]["audience"] == "orders-api"
    assert steps["exchange"]["request"]["requested_expires_in"] == 60
    assert steps["exchange"]["answer"]["act"]["sub"] == "agent-runner"
    assert steps["call"]["method"] == "POST"
    assert steps["call"]["body"] == {"amount": 7, "reason": "late", "requested_by": "alice"}
    assert "Authorization" in steps["call"]["headers"]
    assert "eyJ" not in done.out + done.err


def test_every_step_is_explained_to_people(at_shop: Terminal) -> None:
    done = at_shop("call", "get_order", "order_id=O1001", "--as", "alice", "--explain")
    assert done.code == 0
    for words in ("alice", "agent-runner", "orders-api", "orders:read", "GET", "/orders/O1001"):
        assert words in done.out
    assert "eyJ" not in done.out + done.err


def test_a_denied_call_exits_with_4_and_says_why(at_shop: Terminal) -> None:
    arguments = ("call", "refund_order", "order_id=O1003", "amount=7", "reason=late", "--as", "bob")
    done = at_shop(*arguments)
    assert done.code == 4
    assert done.out == ""
    assert "your role does not allow" in done.err
    assert "access_denied" in done.err
    document = at_shop(*arguments, "--json").document
    assert document["outcome"] == "denied"
    assert document["error"]["code"] == "access_denied"
    assert document["audit_id"]


def test_explained_a_denied_call_ends_at_the_decision(at_shop: Terminal) -> None:
    done = at_shop(
        "call", "refund_order", "order_id=O1003", "amount=7", "reason=late", "--as", "bob", "--explain", "--json"
    )
    assert done.code == 4
    assert [step["step"] for step in done.document["steps"]] == ["identify", "decide", "result"]
    assert done.document["steps"][1]["reasons"][0]["code"] == "role_forbids"


@pytest.mark.parametrize("argument", ["order_id=../admin", "order_id:=1", "nonsense=1"])
def test_invalid_arguments_exit_with_7(at_shop: Terminal, argument: str) -> None:
    done = at_shop("call", "get_order", argument, "--as", "alice", "--json")
    assert done.code == 7
    assert done.document["error"]["code"] == "invalid_arguments"


def test_an_unknown_tool_exits_with_7(at_shop: Terminal) -> None:
    done = at_shop("call", "get_parrot", "--as", "alice")
    assert done.code == 7
    assert "no such tool" in done.err


@pytest.mark.parametrize("argument", ["order_id", "=O1001", "order_id:={"])
def test_what_is_no_argument_at_all_is_wrong_usage(at_shop: Terminal, argument: str) -> None:
    done = at_shop("call", "get_order", argument, "--as", "alice")
    assert done.code == 2
    assert "Usage" in done.err


def test_an_api_that_is_down_exits_with_6(at_shop: Terminal) -> None:
    done = at_shop("call", "get_order", "order_id=O1001", "--as", "alice", "--json", ORDERS_URL="http://127.0.0.1:9")
    assert done.code == 6
    assert done.document["error"]["code"] == "downstream_unavailable"


def test_an_api_that_refuses_exits_with_6(at_shop: Terminal) -> None:
    done = at_shop("call", "get_order", "order_id=O9", "--as", "alice")
    assert done.code == 6
    assert "No order has that id" in done.err


def test_a_token_file_speaks_for_whoever_the_token_is_for(at_shop: Terminal, tmp_path: Path) -> None:
    token = at_shop("token", "mint", "bob").out
    file = tmp_path / "token"
    file.write_text(f"{token}\n", encoding="ascii")
    done = at_shop("call", "get_order", "order_id=O1001", "--token-file", file, "--explain", "--json")
    assert done.code == 0
    assert done.document["steps"][0]["subject"] == "bob"


def test_a_token_of_the_environment_does_too(at_shop: Terminal) -> None:
    token = at_shop("token", "mint", "bob").out.strip()
    done = at_shop("call", "get_order", "order_id=O1001", "--explain", "--json", REMIT_SUBJECT_TOKEN=token)
    assert done.document["steps"][0]["subject"] == "bob"


def test_without_a_token_nobody_is_denied_with_a_hint(at_shop: Terminal) -> None:
    done = at_shop("call", "get_order", "order_id=O1001")
    assert done.code == 4
    assert "nobody is signed in: run `remit login` (sign_in_required)" in done.err
    assert "hint" in done.err


def test_a_token_that_is_none_is_denied_and_not_repeated(at_shop: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("eyJ.this-is-no-token.at-all", encoding="ascii")
    done = at_shop("call", "get_order", "order_id=O1001", "--token-file", file)
    assert done.code == 4
    assert "this-is-no-token" not in done.out + done.err


def test_a_token_file_that_is_not_there_is_named(at_shop: Terminal, tmp_path: Path) -> None:
    done = at_shop("call", "get_order", "order_id=O1001", "--token-file", tmp_path / "nowhere")
    assert done.code == 4
    assert "nowhere" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--as", "mallory"), 'no development user "mallory" (known: alice, bob)'),
        (("--as", "alice", "--agent", "nobody"), 'no client "nobody"'),
    ],
)
def test_somebody_unknown_is_wrong_usage_that_says_who_is_known(
    at_shop: Terminal, options: tuple[str, ...], words: str
) -> None:
    done = at_shop("call", "get_order", "order_id=O1001", *options)
    assert done.code == 2
    assert words in " ".join(done.err.split())
    assert done.out == ""


def test_two_ways_to_say_who_calls_are_one_too_many(at_shop: Terminal) -> None:
    done = at_shop("call", "get_order", "--as", "alice", "--token-file", "token")
    assert done.code == 2
    assert "exclude each other" in done.err


def test_another_agent_is_the_actor_and_policy_knows_it_is_not_registered(at_shop: Terminal) -> None:
    done = at_shop(
        "call", "get_order", "order_id=O1001", "--as", "alice", "--agent", "orders-api", "--explain", "--json"
    )
    assert done.code == 4
    steps = done.document["steps"]
    assert steps[0]["actor"] == "orders-api"
    assert [reason["code"] for reason in steps[1]["reasons"]] == ["agent_unknown"]


def test_arguments_take_the_type_their_schema_says() -> None:
    properties = {
        "text": {"type": "string"},
        "number": {"type": "integer"},
        "flag": {"type": "boolean"},
        "list": {"type": "array", "items": {"type": "integer"}},
        "either": {"type": ["string", "null"]},
        "free": {},
        "kind": {"enum": ["1", "2"]},
    }
    tool = calling({"query": {name: f"${name}" for name in properties}}, {**properties})
    pairs = ["text=12", "number=12", "flag=true", "either=null", "free=1", "kind=1"]
    assert typed_arguments([*pairs, "list=[1]"], tool) == {
        "text": "12",
        "number": 12,
        "flag": True,
        "list": [1],
        "either": "null",
        "free": "1",
        "kind": "1",
    }
    assert typed_arguments(["text:=12", "either:=null", 'new:={"a": [1]}', "x=a=b"], tool) == {
        "text": 12,
        "either": None,
        "new": {"a": [1]},
        "x": "a=b",
    }
    assert typed_arguments(["number=many"], tool) == {"number": "many"}  # which the schema will refuse
    assert typed_arguments(["a=1"], None) == {"a": "1"}


def test_the_audit_id_of_every_ending_is_in_the_trail(at_shop: Terminal) -> None:
    for arguments in (("get_order", "order_id=O9"), ("get_order", "order_id=no"), ("get_parrot",)):
        audit_id = at_shop("call", *arguments, "--as", "alice", "--json").document["audit_id"]
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", audit_id)
        shown = at_shop("audit", "show", audit_id[:20], "--json").document
        assert shown["audit_id"] == audit_id
        assert shown["outcome"] == "failure"
    assert json.dumps(shown).find("eyJ") == -1
