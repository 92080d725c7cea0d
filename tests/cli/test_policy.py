"""``remit policy``: what is wrong with a policy, what its tests say, what it decides, and the bundle of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from remit.credential import Credential
from remit.policy.bundle import load_policy
from remit.policy.input import Phase, empty_document
from remit.policy.signature import Signatures, VerificationKey
from support.command import remit as remit_in_a_process
from support.terminal import Terminal

AUTHZ = """package remit.authz

import future.keywords.not
import rego.v1

default decision := {"allow": false, "reasons": [{"code": "no", "message": "not for you", "audience": "user"}]}

decision := {"allow": true, "obligations": [short], "policy": "shop/1"} if {
	some role in input.subject.properties.roles
	input.resource.id in data.remit_data.roles[role]
	not late
}

late if {
	input.time.hour >= data.remit_data.closing
}

short := {"id": "short", "type": "limit_lifetime", "properties": {"seconds": 60}}
"""
TESTS = """package remit.authz_test

import data.remit.authz
import rego.v1

asked := {"subject": {"properties": {"roles": ["lead"]}}, "resource": {"id": "refund"}, "time": {"hour": 9}}

test_lead_may_refund if {
	print("hour", asked.time.hour)
	authz.decision.allow with input as asked
}

test_nobody_else if not authz.decision.allow with input as {"subject": {"properties": {"roles": ["intern"]}}}

todo_test_weekends if false
"""
DATA = {"roles": {"lead": ["refund"]}, "closing": 18}
ASKED: dict[str, Any] = {
    "subject": {"properties": {"roles": ["lead"]}},
    "resource": {"id": "refund"},
    "time": {"hour": 9},
}


@pytest.fixture
def folder(remit: Terminal) -> Path:
    """A sound policy in ``rules``, and no settings anywhere."""
    return write(remit.cwd / "rules", {"authz.rego": AUTHZ, "authz_test.rego": TESTS, "data.json": json.dumps(DATA)})


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


# ── check ────────────────────────────────────────────────────────────────────────────────


def test_a_sound_policy_is_said_to_be_so(remit: Terminal, folder: Path) -> None:
    done = remit("policy", "check", "--policy", "rules")
    assert done.code == 0
    assert done.err == ""
    assert done.out.strip().endswith("1 module · 3 tests · ok")


def test_everything_that_is_wrong_is_listed_at_once(remit: Terminal, folder: Path) -> None:
    bad = AUTHZ + "\nx if http.send({}).ok\n\ny if time.now_ns() > 1\n\nz if input.subjct.id\n"
    write(
        folder, {"authz.rego": bad, "more_test.rego": "package more_test\nimport rego.v1\ntest_x if opa.runtime().x\n"}
    )
    done = remit("policy", "check", "--policy", "rules", "--json")
    assert done.code == 1
    assert [(each["where"], each["code"]) for each in done.document["findings"]] == [
        ("rules/authz.rego:20:6", "forbidden"),
        ("rules/authz.rego:22:6", "forbidden"),
        ("rules/authz.rego:24:6", "input_unknown"),
        ("rules/more_test.rego:3:11", "forbidden"),
    ]
    assert not done.document["ok"]
    told = remit("policy", "check", "--policy", "rules")
    assert "rules/authz.rego:20:6" in told.out
    assert "input.subject is meant?" in told.out
    assert told.out.strip().endswith("4 errors")


def test_the_first_mistake_of_each_file_is_listed(remit: Terminal, folder: Path) -> None:
    write(folder, {"a.rego": "package a\nx {\n", "b_test.rego": "package b\nimport rego.v1\ny if (\n"})
    findings = remit("policy", "check", "--policy", folder, "--json").document["findings"]
    assert [each["where"].rpartition(":")[0] for each in findings] == ["rules/a.rego:2", "rules/b_test.rego:4"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"authz.rego": "package remit.authz\nimport rego.v1\nother := 1\n"}, "no file defines"),
        ({"authz.rego": "package remit.authz\nimport rego.v1\ndecision := 1\n"}, "no usable decision"),
        ({"data.json": "{"}, "is not JSON"),
    ],
)
def test_a_policy_that_would_not_be_used_is_told_apart(
    remit: Terminal, folder: Path, files: dict[str, str], says: str
) -> None:
    write(folder, files)
    done = remit("policy", "check", "--policy", "rules")
    assert done.code == 1
    assert says in done.out


def test_every_problem_of_the_tables_is_listed(remit: Terminal) -> None:
    write(remit.cwd / "tables", {"data.yaml": "rolez: {}\nmax_chain_depth: many\n"})
    findings = remit("policy", "check", "--policy", "tables", "--json").document["findings"]
    assert [each["where"].rpartition(":")[0] for each in findings] == ["tables/data.yaml:1", "tables/data.yaml:2"]


def test_warnings_count_where_that_is_wanted(remit: Terminal, folder: Path) -> None:
    write(folder, {"authz.rego": AUTHZ.replace("import future.keywords.not\n", "")})
    assert remit("policy", "check", "--policy", "rules").code == 0
    done = remit("policy", "check", "--policy", "rules", "--strict", "--json")
    assert done.code == 1
    assert [each["code"] for each in done.document["findings"]] == ["not_missing"]


def test_a_policy_that_takes_too_long_to_read_is_given_up(
    remit: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each level of brackets takes the engine's parser longer by a factor."""
    monkeypatch.setattr("remit.policy.desk._SECONDS", 1.0)
    write(folder, {"authz.rego": f"package remit.authz\nimport rego.v1\nx := {'[' * 50}1{']' * 50}\n"})
    done = remit("policy", "check", "--policy", "rules")
    assert done.code == 1
    assert "not ready after 1 s" in done.out


# ── test ─────────────────────────────────────────────────────────────────────────────────


def test_tests_that_pass_exit_with_0(remit: Terminal, folder: Path) -> None:
    done = remit("policy", "test", "--policy", "rules")
    assert (done.code, done.out) == (0, "2 passed · 1 skipped\n")
    told = remit("policy", "test", "--policy", "rules", "--verbose", "--coverage")
    assert "passed  remit.authz_test.test_lead_may_refund" in told.out
    assert "authz_test.rego:9: hour 9" in told.out
    assert "100.0 %  rules/authz.rego" in told.out


def test_a_test_that_fails_is_named_with_its_place(remit: Terminal, folder: Path) -> None:
    write(folder, {"authz.rego": AUTHZ.replace(">=", "<")})
    done = remit("policy", "test", "--policy", "rules")
    assert done.code == 1
    assert "failed  remit.authz_test.test_lead_may_refund" in done.out
    assert "rules/authz_test.rego:8" in done.out
    assert done.out.endswith("1 passed · 1 failed · 1 skipped\n")
    document = remit("policy", "test", "--policy", "rules", "--json").document
    assert not document["ok"]
    assert [each["outcome"] for each in document["results"]] == ["failed", "passed", "skipped"]


def test_too_little_coverage_is_a_problem(remit: Terminal, folder: Path) -> None:
    some = remit("policy", "test", "--policy", "rules", "--run", "nobody", "--fail-under", "90", "--json")
    assert some.code == 1
    assert some.document["coverage"]["files"][0]["file"] == "rules/authz.rego"
    assert 0 < some.document["coverage"]["percent"] < 90
    told = remit("policy", "test", "--policy", "rules", "--run", "nobody", "--fail-under", "90")
    assert "not reached: " in told.out
    assert "90 % are asked for" in told.err
    assert remit("policy", "test", "--policy", "rules", "--fail-under", "90").code == 0


def test_no_test_at_all_is_a_problem(remit: Terminal, folder: Path) -> None:
    done = remit("policy", "test", "--policy", "rules", "--run", "nothing_of_this_name")
    assert done.code == 1
    assert "no test was run" in done.err


def test_a_test_that_does_not_end_is_ended(remit: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remit.policy.desk._SECONDS", 1.0)
    endless = f"test_x if count([1 | {'; '.join(f'some {name} in n' for name in 'abcdefgh')}]) > 0"
    numbers = f"n := [{', '.join(map(str, range(60)))}]"
    write(folder, {"endless_test.rego": f"package endless_test\nimport rego.v1\n{endless}\n{numbers}\n"})
    done = remit("policy", "test", "--policy", "rules")
    assert done.code == 2
    assert "not ready after 1 s" in done.err


# ── eval ─────────────────────────────────────────────────────────────────────────────────


def evaluated(remit: Terminal, document: Any, *options: str) -> Any:
    done = remit("policy", "eval", "-", "--policy", "rules", "--json", *options, stdin=json.dumps(document))
    assert done.code == 0, done.err
    return done.document


def test_a_decision_says_by_which_rule(remit: Terminal, folder: Path) -> None:
    permitted = evaluated(remit, ASKED)
    assert permitted["allow"]
    assert permitted["obligations"] == [{"id": "short", "type": "limit_lifetime", "properties": {"seconds": 60}}]
    assert permitted["rule"] == "shop/1 (authz.rego:6,authz.rego:8)"
    denied = evaluated(remit, {"input": {**ASKED, "time": {"hour": 19}}})
    assert not denied["allow"]
    assert denied["reasons"] == [{"code": "no", "message": "not for you", "audience": "user"}]


def test_what_was_left_out_is_said(remit: Terminal, folder: Path) -> None:
    whole = empty_document(Phase.TOOL_CALL)
    assert evaluated(remit, whole)["filled"] == []
    given = evaluated(remit, {**ASKED, "subjct": 1, "arguments": {"anything": 1}})
    assert "input.subject.id" in given["filled"]
    assert "input.token" in given["filled"]
    assert "input.arguments" not in given["filled"]
    assert given["unknown"] == ["input.subjct"]
    (remit.cwd / "in.json").write_text(json.dumps(ASKED), encoding="utf-8")
    told = remit("policy", "eval", "in.json", "--policy", "rules")
    assert told.out.startswith("permitted\n")
    assert "left empty  input.schema, input.phase" in told.err


def test_why_shows_the_lines_that_were_reached(remit: Terminal, folder: Path) -> None:
    (file,) = evaluated(remit, ASKED, "--why")["reached"]
    assert (file["file"], file["lines"]) == ("rules/authz.rego", [[6, 6], [8, 11], [15, 15], [18, 18]])
    denied = json.dumps({**ASKED, "resource": {"id": "x"}})
    told = remit("policy", "eval", "-", "--policy", "rules", "--why", stdin=denied).out
    assert "rules/authz.rego\n" in told
    assert "   10 >     input.resource.id in" in told
    assert "   11       not late" in told
    assert "late if {" not in told


@pytest.mark.parametrize("text", ["", "[]", "{", '{"phase": "lunch"}', '{"subject": "alice"}', "nan"])
def test_what_is_no_input_document_is_wrong_usage(remit: Terminal, folder: Path, text: str) -> None:
    done = remit("policy", "eval", "-", "--policy", "rules", stdin=text)
    assert done.code == 2
    assert "INPUT" in done.err


def test_a_decision_that_fails_exits_with_1(remit: Terminal, folder: Path) -> None:
    unsound = AUTHZ.replace("input.time.hour >=", 'input.subject.id != ""\n\tto_number(input.subject.id) >=')
    write(folder, {"authz.rego": unsound})
    asked = {**ASKED, "subject": {"id": "x", "properties": {"roles": ["lead"]}}}
    done = remit("policy", "eval", "-", "--policy", "rules", stdin=json.dumps(asked))
    assert done.code == 1
    assert done.out.startswith("denied")
    assert "evaluation failed at authz.rego:16" in done.out


# ── build ────────────────────────────────────────────────────────────────────────────────


def test_a_bundle_decides_as_its_folder_does(remit: Terminal, folder: Path) -> None:
    done = remit("policy", "build", "--policy", "rules", "-o", "shop.tar.gz", "--revision", "v7", "--json")
    assert done.code == 0
    assert done.document["revision"].startswith("v7@")
    built = load_policy(remit.cwd / "shop.tar.gz")
    assert built.revision == done.document["revision"]
    assert (built.modules, built.data) == ({"authz.rego": AUTHZ}, DATA)
    assert remit("policy", "eval", "-", "--policy", "shop.tar.gz", "--json", stdin=json.dumps(ASKED)).document["allow"]


def test_a_bundle_is_signed_by_the_key_that_is_named(remit: Terminal, folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    (remit.cwd / "key.pem").write_text(pem, encoding="ascii")
    build = ("policy", "build", "--policy", "rules", "-o", "shop.tar.gz", "--sign-with", "key.pem")
    assert remit(*build).code == 2
    assert remit(*build, "--key-id", "ci", "--algorithm", "none").code == 2
    assert not (remit.cwd / "shop.tar.gz").exists()
    done = remit(*build, "--key-id", "ci", "--scope", "write")
    assert done.code == 0
    assert "· signed" in done.out
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    believed = Signatures(required=True, scope="write", keys={"ci": VerificationKey(Credential(public), "ES256")})
    assert load_policy(remit.cwd / "shop.tar.gz", signatures=believed).data == DATA
    assert pem not in done.out + done.err


def test_a_policy_that_is_wrong_is_not_built(remit: Terminal, folder: Path) -> None:
    write(folder, {"authz.rego": AUTHZ + "\ndefault allow := true\n"})
    done = remit("policy", "build", "--policy", "rules", "-o", "shop.tar.gz")
    assert done.code == 1
    assert "default_allow" in done.err
    assert list(remit.cwd.glob("*.gz")) == []


# ── show, settings, processes ────────────────────────────────────────────────────────────


def test_what_is_shipped_can_be_read(remit: Terminal) -> None:
    assert "package remit.standard" in remit("policy", "show").out
    assert set(remit("policy", "show", "input").document) == set(empty_document(Phase.TOOL_CALL))
    names = remit("policy", "show", "--list", "--json").document
    for name in names:
        assert remit("policy", "show", name).code == 0
    assert remit("policy", "show", "everything").code == 2


def test_without_an_option_it_is_the_policy_of_the_settings(remit: Terminal) -> None:
    assert remit("init").code == 0
    assert remit("policy", "check").code == 0
    example = remit("policy", "show", "input").out
    assert not json.loads(remit("policy", "eval", "-", "--json", stdin=example).out)["allow"]
    elsewhere = write(remit.cwd / "other", {"authz.rego": AUTHZ.replace("default decision", "default nothing")})
    assert remit("policy", "check", "--policy", elsewhere).code == 1


def test_a_folder_can_be_tried_where_only_signed_policies_are_used(remit: Terminal, folder: Path) -> None:
    (remit.cwd / "public.pem").write_text(
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode(),
        encoding="ascii",
    )
    settings = (
        "policy: {path: rules, signatures: {required: true, keys: {ci: {key: {file: public.pem}, algorithm: ES256}}}}\n"
    )
    (remit.cwd / "remit.yaml").write_text(settings, encoding="utf-8")
    assert remit("policy", "check").code == 1
    assert remit("policy", "check", "--policy", "rules").code == 0


@pytest.mark.parametrize("command", [("check",), ("test",), ("build",), ("eval", "-")])
def test_a_policy_that_is_not_there_is_wrong_usage(remit: Terminal, command: tuple[str, ...]) -> None:
    done = remit("policy", *command, "--policy", "nowhere", stdin="{}")
    assert done.code == 2
    assert "nowhere" in done.err


def test_the_commands_work_as_processes(remit: Terminal, folder: Path) -> None:
    tested = remit_in_a_process("policy", "test", "--coverage", "--policy", "rules", cwd=remit.cwd)
    assert (tested.returncode, tested.stderr) == (0, "")
    done = remit_in_a_process("policy", "eval", "-", "--policy", "rules", cwd=remit.cwd, stdin=json.dumps(ASKED))
    assert done.returncode == 0
    assert done.stdout.startswith("permitted")
