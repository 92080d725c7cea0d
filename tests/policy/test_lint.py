from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from remit.errors import PolicyInvalid
from remit.policy.evaluator import parsed
from remit.policy.finding import Finding
from remit.policy.lint import lint
from remit.policy.lint_input import member_paths
from remit.policy.syntax import Module
from remit.principal import Actor, DelegationChain
from support.policy import SAMPLE, person, question

LIBRARY = SAMPLE.parents[1] / "policy" / "library"
SHIPPED = sorted([*LIBRARY.glob("*.rego"), *SAMPLE.glob("*.rego")])
HEAD = "package remit.authz\nimport rego.v1\nimport future.keywords.not\n"


def trees(modules: dict[str, str]) -> list[Module]:
    found: list[Module] = json.loads(parsed(modules, {}).get_ast_as_json())
    return found


def linted(source: str) -> list[Finding]:
    return lint(trees({"authz.rego": source}))


def places(source: str) -> list[tuple[str, str]]:
    """Line and column, and the code."""
    return [(finding.where.partition(":")[2], finding.code) for finding in linted(source)]


# ── each code: where it stands, and where it does not ────────────────────────────────────

BAD = [
    ("default_allow", "default allow := true", "4:1"),
    ("default_allow", 'default result["allowed"] := true', "4:1"),
    ("default_allow", 'default decision := {"allow": true}', "4:1"),
    ("default_allow", 'decision := {"allow": true, "reasons": []}', "4:1"),
    ("default_allow", "allow if true", "4:1"),
    ("default_allow", 'allow := false if { input.subject.id == "" } else := true', "4:1"),
    ("scope_substring", 'x if contains(input.token.scopes[_], "read")', "4:6"),
    ("scope_substring", 'x if startswith(lower(input.token.requested.scopes[0]), "orders")', "4:6"),
    ("scope_substring", 'x if regex.match("orders", concat(" ", input.token.scopes))', "4:6"),
    ("scope_substring", 'x if indexof(object.get(data.remit_data, ["it", "scp"], ""), "a") >= 0', "4:6"),
    ("scope_substring", 'x if { some scope in input.token.scopes; endswith(scope, ":read") }', "4:42"),
    ("input_unknown", 'x if input.subjct.id == "a"', "4:6"),
    ("input_unknown", 'x if input.subject.roles[_] == "a"', "4:6"),
    ("input_unknown", 'x if object.get(input, ["actor", "name"], "") == "a"', "4:6"),
    ("input_unknown", 'x if input["token"].scope == "a"', "4:6"),
    ("input_unknown", "x if input.token.scopes.read", "4:6"),
    ("input_unknown", 'x if input.chain[_].sub == "a"', "4:6"),
    ("input_unknown", 'x if input.subject.id.name == "a"', "4:6"),
    ("input_unknown", "import input.user as who\nx if who.id", "4:8"),
    ("input_unknown", "import input.subject as who\nx if who.roles", "5:6"),
    (
        "argument_in_reason",
        'deny contains {"code": "a", "message": sprintf("%v", [input.arguments.a]), "audience": "user"} if true',
        "4:55",
    ),
    (
        "argument_in_reason",
        'deny contains {"code": "a", "message": text, "audience": "user"} if text := input.result.data.name',
        "4:77",
    ),
    (
        "argument_in_reason",
        (
            'deny contains why("a", sprintf("%v", [input.arguments.a]))\n'
            'why(code, text) := {"code": code, "message": text, "audience": "user"}'
        ),
        "4:39",
    ),
    ("credential_compared", 'x if data.given.headers["X-User"] == "alice"', "4:6"),
    ("credential_compared", 'x if data.given.access_token in {"a"}', "4:6"),
    ("credential_compared", 'x if startswith(data.given.Authorization, "Bearer")', "4:6"),
    ("obligation_unknown", 'obligations contains {"id": "a", "type": "narrow_scope", "properties": {}}', "4:24"),
    ("obligation_unknown", 'obligations contains {"type": "limit_lifetime", "properties": {"seconds": 1}}', "4:24"),
    (
        "obligation_unknown",
        'obligations contains {"id": "a", "type": "limit_lifetime", "properties": {"ttl": data.remit_data.ttl}}',
        "4:24",
    ),
    (
        "obligation_unknown",
        (
            'decision := {"allow": x, "obligations": [{"id": "a", "type": "redact_result", '
            '"properties": {"pointers": data.remit_data.paths, "mode": "hide"}}]}\nx if input.subject.id == "a"'
        ),
        "4:44",
    ),
    ("reason_for_nobody", 'deny contains {"code": "a", "message": "no"} if input.subject.id == "a"', "4:25"),
    ("grant_unproven", 'allow if { input.subject.id != ""; input.context.client == "cursor" }', "4:36"),
    ("grant_unproven", "allow if input.arguments.admin == true", "4:10"),
    (
        "grant_unproven",
        'decision := {"allow": true} if { input.phase == "tool_call"; input.arguments.is_admin }',
        "4:62",
    ),
]

GOOD = [
    "default allow := false",
    "default denied := true",
    'default decision := {"allow": false}',
    'decision := {"allow": count(deny) == 0}\ndeny contains 1 if input.subject.id == ""',
    'allow if "orders:read" in input.token.scopes',
    'allow if { some scope in split(input.resource.id, " "); scope == "orders:read" }',
    'allow if { "a" in input.subject.properties.roles; startswith(input.resource.id, "orders") }',
    'x if input.resource.properties.facts.anything.at.all == "a"',
    "x if input.arguments.filter[_].name",
    "x if input.result.data.items[_].tax_id",
    "x if { some member; input.subject[member] }",
    'x if { input.chain[_].id == "a"; input.chain[0].depth == 0 }',
    'x if input.subject.properties.roles[_] == "a"',
    'import input.subject as who\nx if who.properties.roles[_] == "a"',
    "x if not input.arguments.amount",
    (
        'deny contains {"code": "a", "message": sprintf("above %d", [data.remit_data.limit]), "audience": "user"} if {'
        " input.arguments.amount > data.remit_data.limit }"
    ),
    'obligations contains {"id": "a", "type": "limit_lifetime", "properties": {"seconds": data.remit_data.ttl}}',
    'obligations contains {"id": "a", "type": data.remit_data.kind, "properties": {"any": 1}}',
    'obligations contains {"id": "a", "type": "step_up", "properties": data.remit_data.step_up}',
    'who := {"type": "user", "id": input.subject.id, "properties": {}}',
    'deny contains {"code": "a", "message": "no", "audience": "user"} if input.subject.id == "a"',
    'allow if { input.arguments.amount < 10; "lead" in input.subject.properties.roles }',
    'allow if { input.arguments.amount < 10; trusted }\ntrusted if input.subject.id == "a"',
    'allow if { input.subject.id == "a"; not input.context.client == "cursor" }',
    'deny contains {"code": "a", "message": "no", "audience": "user"} if input.context.client == "cursor"',
    'x if input.token.issuer == "a"',
]


@pytest.mark.parametrize(("code", "rules", "place"), BAD)
def test_what_is_wrong_is_found_at_its_place(code: str, rules: str, place: str) -> None:
    assert (place, code) in places(HEAD + rules)


@pytest.mark.parametrize("rules", GOOD)
def test_what_is_right_is_left_alone(rules: str) -> None:
    assert places(HEAD + rules) == []


def test_imports_that_are_missing_are_named() -> None:
    assert places("package remit.authz\nx if 1 == 1\n") == [("1:1", "v1_missing")]
    assert places("package remit.authz\nimport rego.v1\nx if not 1 == 2\n") == [("3:6", "not_missing")]


@pytest.mark.parametrize(
    "source",
    [
        "package remit.standard\nimport rego.v1\nknown if true\n",
        "package remit.standard.extra\nimport rego.v1\nx := 1\n",
        "package remit\nimport rego.v1\nstandard.known if true\n",
    ],
)
def test_nobody_adds_rules_to_the_products_packages(source: str) -> None:
    assert places(source) == [("3:1", "package_reserved")]


def test_a_policy_of_another_package_is_not_held_to_this_input() -> None:
    source = 'package orchestrator\nimport rego.v1\nresult["allowed"] if input.request.mcp.tool.params.name == "x"\n'
    assert places(source) == []
    dangerous = (
        'package orchestrator\nimport rego.v1\ndefault result["allowed"] := true\n'
        'result["allowed"] := false if not contains(input.request.oauth.scope, "admin")\n'
    )
    assert [code for _, code in places(dangerous)] == ["default_allow", "not_missing", "scope_substring"]


# ── what is told ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("read", "hint"),
    [
        ("input.subjct.id", "input.subject is meant?"),
        ("input.subject.roles", "input.subject.properties.roles is meant?"),
        ("input.token.requested.scope", "input.token.requested.scopes is meant?"),
        ("input.whatever", "input has schema, phase, subject"),
    ],
)
def test_what_may_be_meant_is_said(read: str, hint: str) -> None:
    (finding,) = linted(f"{HEAD}x if {read}\n")
    assert finding.hint.startswith(hint)
    assert finding.severity == "error"


def test_a_tab_counts_as_one_column() -> None:
    assert places(HEAD + "x if {\n\tinput.subjct\n}\n") == [("5:2", "input_unknown")]


def test_findings_come_in_the_order_of_the_files() -> None:
    modules = {
        name: f"package p.{name[0]}\nimport rego.v1\nx if input.a\ny if input.b\n" for name in ("b.rego", "a.rego")
    }
    assert [finding.where for finding in lint(trees(modules))] == [
        "a.rego:3:6",
        "a.rego:4:6",
        "b.rego:3:6",
        "b.rego:4:6",
    ]


def test_the_members_that_are_known_are_those_of_a_real_question() -> None:
    chain = DelegationChain((Actor("agent-runner", "https://sts.example"),))
    document = question(principal=person(chain=chain)).document()
    members = set(member_paths())
    open_ones = ("input.arguments.", "input.resource.properties.facts.", "input.result.data.")
    waiting: list[tuple[str, Any]] = [("input", document)]
    while waiting:
        path, here = waiting.pop()
        if isinstance(here, list) and here and isinstance(here[0], dict):
            waiting.append((f"{path}[_]", here[0]))
        elif isinstance(here, dict):
            below = [(f"{path}.{name}", value) for name, value in here.items()]
            assert {name for name, _ in below if not name.startswith(open_ones)} <= members
            waiting += below


# ── policies that are there ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("file", SHIPPED, ids=lambda path: path.name)
def test_nothing_is_wrong_with_what_is_shipped(file: Path) -> None:
    source = file.read_text("utf-8")
    codes = {finding.code for finding in linted(source)} - {"package_reserved"}
    assert codes == set()


def test_the_products_own_modules_are_not_looked_at() -> None:
    source = (LIBRARY / "standard.rego").read_text("utf-8")
    assert lint(trees({"remit/standard.rego": source})) == []


CORPUS = (
    [path.read_text("utf-8") for path in SHIPPED]
    + [HEAD + rules for _, rules, _ in BAD]
    + [HEAD + each for each in GOOD]
)
FRAGMENTS = sorted(
    {word for source in CORPUS for word in source.split()} | {"\n", "{", "}", "[_]", "else", "with", '"'}
)


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.data())
def test_no_policy_that_can_be_read_makes_it_fail(data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(CORPUS))
    for _ in range(data.draw(st.integers(0, 3))):
        words = source.split(" ")
        at = data.draw(st.integers(0, len(words) - 1))
        words[at : at + data.draw(st.integers(0, 2))] = data.draw(st.lists(st.sampled_from(FRAGMENTS), max_size=2))
        source = " ".join(words)
    try:
        modules = trees({"a.rego": source})
    except PolicyInvalid:
        reject()
    for finding in lint(modules):
        line, _, column = finding.where.removeprefix("a.rego:").partition(":")
        assert 1 <= int(line) <= source.count("\n") + 1
        assert int(column) >= 1
        assert finding.message
