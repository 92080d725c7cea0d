"""`remit test`: the examples of tool files as tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from support.terminal import Done, Terminal
from support.workspaces import a_tool, an_example, company, write_tools

POST = {
    "name": "add_note",
    "title": "Add a note",
    "description": "Add a note to an order. Use it when the user wants something remembered.",
    "input": {
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
    },
    "request": {
        "method": "POST",
        "path": "/notes",
        "query": {"tag": "$tags"},
        "headers": {"X-Source": "agent"},
        "body": {"text": "$text", "by": {"from": "user.sub"}},
    },
    "response": {"select": "{id: id}", "redact": ["secret"], "errors": {"409": "It is there already."}},
}


def a_note(**example: Any) -> dict[str, Any]:
    given = {"name": "a note", "as": "alice via agent-runner", "args": {"text": "hi", "tags": ["a", "b c"]}}
    return {**POST, "examples": [{**given, **example}]}


def tried(remit: Terminal, *tools: dict[str, Any]) -> Done:
    write_tools(remit.cwd, *tools)
    return remit("test", "--json")


def failures(remit: Terminal, *tools: dict[str, Any]) -> str:
    done = tried(remit, *tools)
    assert done.code == (1 if not done.document["ok"] else 0)
    return "\n".join(failure for test in done.document["tests"] for failure in test["failures"])


def test_what_is_as_expected_passes(remit: Terminal) -> None:
    expect = {
        "request": {
            "method": "POST",
            "path": "/notes",
            "query": "tag=a&tag=b%20c",
            "headers": {"x-source": "agent"},
            "body": {"text": "hi", "by": "alice"},
        },
        "result": {"id": 7},
        "scopes": ["orders:read"],
    }
    example = {"upstream": {"status": 201, "body": {"id": 7, "secret": "s"}}, "expect": expect}
    assert failures(remit, a_note(**example)) == ""
    done = remit("test")
    assert (done.code, done.out) == (0, "1 passed\n")
    assert "passed  add_note: a note" in remit("test", "--verbose").out


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"request": {"method": "PUT"}}, 'request.method: "PUT" → "POST"'),
        ({"request": {"path": "/note"}}, 'request.path: "/note" → "/notes"'),
        ({"request": {"query": "tag=a"}}, 'request.query: "tag=a" → "tag=a&tag=b%20c"'),
        ({"request": {"headers": {"X-Source": "x"}}}, 'request.headers.X-Source: "x" → "agent"'),
        ({"request": {"headers": {"X-Other": "x"}}}, 'request.headers.X-Other: "x" → null'),
        ({"request": {"body": {"text": "hi"}}}, 'request.body.by: not expected: "alice"'),
        ({"result": {"id": 7, "secret": "s"}}, 'result.secret: missing, expected "s"'),
        ({"request": {"body": None}}, "request.body: null → "),
        ({"result": {"id": 8}}, "result.id: 8 → 7"),
        ({"result": {"id": True}}, "result.id: true → 7"),
        ({"result": None}, "result: null → "),
        ({"error": "downstream_refused"}, "downstream_refused was expected, and there was none"),
        ({"scopes": ["orders:write"]}, 'scopes: ["orders:write"] → ["orders:read"]'),
        ({"error": "nonsense"}, "there is no error code nonsense"),
    ],
)
def test_what_is_not_as_expected_fails_and_is_told(remit: Terminal, expect: dict[str, Any], said: str) -> None:
    assert said in failures(remit, a_note(upstream={"body": {"id": 7}}, expect=expect))
    shown = remit("test")
    assert shown.code == 1
    assert "because" in shown.out
    assert "tools/shop.yaml:" in shown.out


def test_errors_of_arguments_and_of_the_api_are_expected_by_code(remit: Terminal) -> None:
    examples = [
        an_example(name="no id", args={}, upstream=None, expect={"error": "invalid_arguments"}),
        an_example(name="not found", upstream={"status": 404}, expect={"error": "downstream_refused"}),
        an_example(name="down", upstream={"status": 503}, expect={"error": "downstream_failed"}),
    ]
    for example in examples:
        if example["upstream"] is None:
            del example["upstream"]
    assert failures(remit, a_tool(examples=examples)) == ""


def test_an_error_that_nobody_expected_fails(remit: Terminal) -> None:
    said = failures(remit, a_note(upstream={"status": 409}))
    assert "a result was expected, and it ended with downstream_refused: It is there already." in said


def test_repeats_take_one_answer_after_the_other(remit: Terminal) -> None:
    answers = [{"status": 503}, {"body": {"id": "O1"}}]
    retry = {"attempts": 3, "backoff": "10s"}
    assert failures(remit, a_tool(retry=retry, examples=[an_example(upstream=answers)])) == ""
    assert "only 1 of 2 answers were asked for" in failures(
        remit, a_tool(retry=retry, examples=[an_example(upstream=list(reversed(answers)))])
    )


def test_what_has_no_answer_has_no_result(remit: Terminal) -> None:
    assert "no `upstream` answer" in failures(remit, a_note(expect={"result": {}}))
    assert failures(remit, a_note(expect={"request": {"path": "/notes"}})) == ""


def test_who_calls_has_to_be_said_where_the_request_holds_it(remit: Terminal) -> None:
    tool = a_note(expect={"request": {"path": "/notes"}})
    del tool["examples"][0]["as"]
    assert "user.sub is not known" in failures(remit, tool)


def test_a_text_a_form_and_a_multipart_body_are_compared_as_what_they_are(remit: Terminal) -> None:
    def body(encoding: str, written: Any, expected: Any) -> str:
        request = {"method": "POST", "path": "/notes", "encoding": encoding, "body": written}
        example = {"name": "x", "args": {"text": "a b"}, "expect": {"request": {"body": expected}}}
        schema = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
        return failures(remit, {**POST, "input": schema, "request": request, "examples": [example]})

    assert body("form", {"text": "$text", "k": "v"}, {"text": "a b", "k": "v"}) == ""
    assert body("form", {"text": "$text"}, "text=a+b") == ""
    assert body("multipart", {"text": "$text", "k": "v"}, {"text": "a b", "k": "v"}) == ""
    assert body("text", "$text", "a b") == ""
    assert "request.body" in body("text", "$text", "b")


def test_policy_decides_for_the_user_that_the_example_names(remit: Terminal) -> None:
    def deciding(user: str, decision: str) -> dict[str, Any]:
        return an_example(name=user, **{"as": user}, expect={"decision": decision})

    examples = [
        deciding("alice via agent-runner", "permit"),
        deciding("alice", "permit"),
        deciding("mallory via agent-runner", "permit"),
        an_example(name="nobody", expect={"decision": "permit"}),
    ]
    company(remit.cwd, a_tool(examples=examples))
    done = remit("test", "--json")
    assert done.code == 0
    tests = {test["example"]: test for test in done.document["tests"]}
    assert tests["alice"]["skipped"] == []
    assert 'nothing is known of "mallory"' in tests["mallory via agent-runner"]["skipped"][0]
    assert "does not say who calls" in tests["nobody"]["skipped"][0]


def test_another_decision_fails_with_its_rule(remit: Terminal) -> None:
    example = an_example(**{"as": "alice via agent-runner"}, expect={"decision": "deny"})
    company(remit.cwd, a_tool(examples=[example]))
    (failure,) = remit("test", "--json").document["tests"][0]["failures"]
    assert failure.startswith("decision: deny → permit  (expected → found), by ")


def test_without_a_policy_the_decision_is_left_out(remit: Terminal) -> None:
    example = an_example(**{"as": "alice"}, expect={"decision": "permit"})
    done = tried(remit, a_tool(examples=[example]))
    assert done.code == 0
    (reason,) = done.document["tests"][0]["skipped"]
    assert reason == "expect.decision: the policy cannot be read"
    assert f"left out of 1 example: {reason}" in remit("test").err


def test_an_error_of_policy_is_left_to_live(remit: Terminal) -> None:
    done = tried(remit, a_tool(examples=[an_example(expect={"error": "access_denied"})]))
    assert "`--live` shows it" in done.document["tests"][0]["skipped"][0]


def test_named_tools_alone_are_tested_and_unknown_ones_refused(remit: Terminal) -> None:
    write_tools(remit.cwd, a_tool(), a_tool(name="get_other"))
    assert [test["tool"] for test in remit("test", "get_other", "--json").document["tests"]] == ["get_other"]
    done = remit("test", "get_othr")
    assert done.code == 2
    assert "did you mean get_other?" in done.err


def test_examples_are_chosen_by_a_part_of_their_names(remit: Terminal) -> None:
    write_tools(remit.cwd, a_tool(), a_tool(name="get_other", examples=[an_example(name="Another")]))
    assert [test["tool"] for test in remit("test", "-k", "another", "--json").document["tests"]] == ["get_other"]
    assert [test["tool"] for test in remit("test", "-k", "get_order:", "--json").document["tests"]] == ["get_order"]
    done = remit("test", "-k", "nothing")
    assert (done.code, done.out) == (1, "0 passed\n")


CODE = """
from remit.tools import CallRefused, Ctx, TokenExchange, ToolSet

desk = ToolSet("orders", base_url="https://orders.example.com/v1", auth=TokenExchange(audience="a", scopes=["orders:read"]))

EXAMPLES = [
    {"name": "both", "args": {"order_id": "O1"}, "as": "alice via agent-runner",
     "upstream": [{"body": {"id": "O1", "customer": "C1"}}, {"body": {"name": "Ann"}}],
     "expect": {"result": {"order": "O1", "customer": "Ann", "for": "alice"}, "scopes": ["orders:read"]}},
    {"name": "no customer", "args": {"order_id": "O1"},
     "upstream": [{"body": {"id": "O1", "customer": "C1"}}, {"status": 404}], "expect": {"error": "call_refused"}},
    {"name": "a fault", "args": {"order_id": "O1"}, "upstream": {"body": []}, "expect": {"error": "tool_failed"}},
    {"name": "no answer", "args": {"order_id": "O1"}, "expect": {"error": "call_refused", "request": {"path": "/x"}}},
]


@desk.tool(title="Get an order whole", read_only=True, examples=EXAMPLES)
async def get_whole(ctx: Ctx, order_id: str) -> dict[str, str]:
    \"\"\"Get an order with its customer. Use it when both are needed.\"\"\"
    order = await ctx.api.get("/orders/{id}", id=order_id)
    customer = await ctx.api.get("/customers/{id}", id=order["customer"])
    return {"order": order["id"], "customer": customer["name"], "for": ctx.user}
"""


def test_code_is_run_with_the_answers_of_its_examples(remit: Terminal) -> None:
    file = remit.cwd / "tools" / "desk.py"
    file.parent.mkdir()
    file.write_text(CODE, encoding="utf-8")
    switched_on = {"REMIT_PYTHON_TOOLS": "true"}
    done = remit("test", "--json", **switched_on)
    assert done.document["problems"] == []
    assert [(test["example"], test["outcome"], test["failures"]) for test in done.document["tests"]] == [
        (name, "passed", []) for name in ("both", "no customer", "a fault", "no answer")
    ]
    assert done.document["tests"][3]["skipped"] == ["expect.request: code makes requests of its own"]
    file.write_text(CODE.replace("/customers/", "/clients/"), encoding="utf-8")
    assert remit("test", **switched_on).code == 0
    file.write_text(CODE.replace('customer["name"]', '"Bob"'), encoding="utf-8")
    assert 'result.customer: "Ann" → "Bob"' in remit("test", **switched_on).out


def test_no_example_and_a_broken_file_are_failures(remit: Terminal) -> None:
    assert tried(remit, a_tool(examples=[])).code == 1
    (remit.cwd / "tools" / "broken.yaml").write_text("nonsense", encoding="utf-8")
    done = tried(remit, a_tool())
    assert (done.code, len(done.document["problems"])) == (1, 1)


def test_a_report_in_junit_xml(remit: Terminal, tmp_path: Path) -> None:
    examples = [an_example(), an_example(name='a "<b>" \x01', expect={"result": {"id": 2}})]
    write_tools(remit.cwd, a_tool(examples=examples))
    assert remit("test", "--junit", "report.xml").code == 1
    suite = ET.parse(tmp_path / "report.xml").getroot()[0]  # noqa: S314  our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "0")
    passed, failed = suite
    assert (passed.get("classname"), passed.get("name"), len(passed)) == ("get_order", "one order", 0)
    assert failed.get("name") == 'a "<b>" \\x01'
    assert "result.id" in str(failed[0].get("message"))


def test_live_the_calls_are_made_and_only_those_that_read(at_shop: Terminal) -> None:
    done = at_shop("test", "--live", "--json")
    assert done.code == 0
    tests = {test["example"]: test for test in done.document["tests"]}
    assert tests["an order without its customer's tax id"]["outcome"] == "passed"
    assert "--writes was not given" in tests["a refund in the user's name"]["skipped"][0]


def test_writes_is_for_live(remit: Terminal) -> None:
    assert remit("test", "--writes").code == 2
