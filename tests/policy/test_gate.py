from __future__ import annotations

import json

import pytest

from remit.policy.evaluator import parsed
from remit.policy.gate import BUILTINS, entrypoints, objections, reason_places
from remit.policy.syntax import Module

HEAD = "package remit.authz\nimport rego.v1\n"


def trees(**modules: str) -> list[Module]:
    read: list[Module] = json.loads(
        parsed({f"{name}.rego": text for name, text in modules.items()}, {}).get_ast_as_json()
    )
    return read


def said(**modules: str) -> list[tuple[str, str]]:
    return [(objection.where, objection.message) for objection in objections(trees(**modules))]


# ── what may be used ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", sorted(BUILTINS))
def test_a_builtin_that_may_be_used_may_be_used(name: str) -> None:
    assert said(a=f"{HEAD}x := {name}(1)") == []


@pytest.mark.parametrize(
    "call",
    [
        "http.send({})",
        "opa.runtime()",
        "net.lookup_ip_addr(1)",
        "json.match_schema({}, {})",
        "json.verify_schema({})",
        "time.now_ns()",
        "rand.intn(1, 2)",
        "uuid.rfc4122(1)",
        "io.jwt.decode(1)",
        "io.jwt.decode_verify(1, {})",
        "io.jwt.verify_rs256(1, 2)",
        "print(1)",
        "trace(1)",
        "numbers.range(1, 2)",
        "net.cidr_expand(1)",
        "rego.parse_module(1, 2)",
        "nosuch(1)",
        "strings.nosuch(1)",
    ],
)
@pytest.mark.parametrize(
    "rule",
    [
        "x := CALL",
        "x if not CALL",
        "x contains y if y := CALL",
        "x := [y | y := CALL]",
        "x := {y: 1 | y := CALL}",
        "x if every y in [1] { y == CALL }",
        "x if some y in CALL",
        "x := [1, {2: CALL}]",
        "x[y] := 1 if y := CALL",
        "x := 1 if false else := CALL",
        "f(y) := CALL",
        "x if input.y with input.y as CALL",
        "x if count([CALL]) > 0",
        "x := input.list[CALL]",
    ],
)
def test_what_may_not_be_used_may_not_wherever_it_stands(rule: str, call: str) -> None:
    ((where, message),) = said(a=f"{HEAD}{rule.replace('CALL', call)}\n")
    assert where.startswith("a.rego:3:")
    assert message == f"the function {call.partition('(')[0]} may not be used or is not known"


@pytest.mark.parametrize(
    "text",
    [
        'x if http["send"]({})',
        "import data.lib as http\nx := http.send({})",
        "import data.http\nx := http.send({})",
        "import input.http\nx := http.send({})",
    ],
)
def test_a_name_of_ones_own_does_not_let_anything_through(text: str) -> None:
    assert len(said(a=HEAD + text, lib="package lib\nimport rego.v1\nsent(x) := x")) == 1


@pytest.mark.parametrize(
    ("replaced", "is_refused"),
    [
        ("input", False),
        ("input.subject.id", False),
        ("data.remit_data.roles", False),
        ("count", True),
        ("http.send", True),
        ("f", True),
        ("data.remit.authz.f", True),
        ("lib.g", True),
        ("data.lib.g", True),
    ],
)
def test_with_replaces_input_and_data_but_no_function(replaced: str, is_refused: bool) -> None:
    found = said(
        a=f"{HEAD}import data.lib\nf(x) := x\nx if f(1) == 1 with {replaced} as 3",
        lib="package lib\nimport rego.v1\ng(x) := x",
    )
    assert found == ([("a.rego:5:16", "with may replace input and data only")] if is_refused else [])


@pytest.mark.parametrize(
    ("package", "is_refused"),
    [
        ("remit_data", True),
        ("remit_data.roles", True),
        ('remit_data["roles"]', True),
        ('remit["rules"]', True),
        ("remit_data_of_mine", False),
        ("mine.remit_data", False),
    ],
)
def test_no_rule_lies_where_the_data_does(package: str, is_refused: bool) -> None:
    assert [where for where, _ in said(a=f"package {package}\nimport rego.v1\nx := 1")] == ["a.rego:1:1"] * is_refused


def test_what_stands_beside_may_be_called_and_what_is_allowed_besides() -> None:
    tests = trees(a_test=f"{HEAD}test_x if {{ f(1); print(1) }}")
    policy = trees(a=f"{HEAD}f(x) := x")
    assert len(objections(tests)) == 2
    assert objections(tests, beside=policy, also=frozenset({"print"})) == []
    assert len(objections(policy + trees(b=f"{HEAD}y := print(1)"))) == 1


# ── where things are ─────────────────────────────────────────────────────────────────────


def test_an_entrypoint_is_where_any_body_of_it_is() -> None:
    modules = trees(
        b=f"{HEAD}\ndefault decision := 1\nother := 2\ndecision := 2 if {{\n\tinput.x\n}} else := 3\n",
        a=f"{HEAD}decision := 3 if input.y\n",
        c="package remit.other\nimport rego.v1\ndecision := 4\n",
    )
    assert entrypoints(modules, "remit.authz", "decision") == ["a.rego:3", "b.rego:4", "b.rego:6"]
    assert entrypoints(modules, "remit.authz", "nothing") == []
    assert entrypoints(modules, "remit.other", "decision") == ["c.rego:3"]


def test_a_reason_is_where_the_first_rule_with_its_code_begins() -> None:
    modules = trees(
        a=HEAD
        + "# too_late stands in no rule\n"
        + 'deny contains {"code": "too_late", "message": "after hours"} if {\n\tinput.time.hour > 18\n}\n'
        + 'deny contains {"code": code, "message": "m"} if {\n\tsome code in ["one", "two"]\n}\n'
        + 'again contains "too_late"\n'
        + f'long := "{"x" * 101}"\n',
        b='package remit.rules\nimport rego.v1\ndeny contains {"code": "elsewhere"} if input.x == `raw`\n',
    )
    places = reason_places(modules)
    assert places["too_late"] == "a.rego:4"
    assert places["one"] == places["two"] == "a.rego:7"
    assert places["elsewhere"] == "b.rego:3"
    assert "x" * 101 not in places


def test_a_policy_without_reasons_has_no_places() -> None:
    assert reason_places(trees(a=f"{HEAD}decision := 1")) == {}
