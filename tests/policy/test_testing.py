from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import PolicyInvalid
from remit.policy import desk
from remit.policy.bundle import Bundle
from remit.policy.coverage import Coverage, FileCoverage
from remit.policy.testing import TestReport, run_tests
from support.bundles import OPA, needs_opa

SUITES = sorted((Path(__file__).parent / "suites").iterdir())
HEAD = "package shop_test\nimport rego.v1\n"


def suite(folder: Path) -> Bundle:
    sources = {file.name: file.read_text("utf-8") for file in sorted(folder.glob("*.rego"))}
    data = folder / "data.json"
    return Bundle.of(
        {name: source for name, source in sources.items() if not name.endswith("_test.rego")},
        json.loads(data.read_text("utf-8")) if data.exists() else {},
        tests={name: source for name, source in sources.items() if name.endswith("_test.rego")},
    )


def ran(tests: str, modules: dict[str, str] | None = None, *, pattern: str = "") -> TestReport:
    return run_tests(Bundle.of(modules or {}, tests={"a_test.rego": HEAD + tests}), pattern=pattern)


def lines(report: TestReport) -> list[str]:
    return [f"{each.where} {each.package}.{each.name} {each.outcome}" for each in report.results]


# ── verdicts ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("folder", SUITES, ids=lambda path: path.name)
def test_the_verdicts_are_those_that_are_written_down(folder: Path) -> None:
    assert lines(run_tests(suite(folder))) == (folder / "expected.txt").read_text("utf-8").splitlines()


@needs_opa
@pytest.mark.parametrize("folder", SUITES, ids=lambda path: path.name)
def test_the_verdicts_are_those_of_opa(folder: Path, tmp_path: Path) -> None:
    bundle = suite(folder)
    for name, source in {**bundle.modules, **bundle.tests}.items():
        (tmp_path / name).write_text(source, "utf-8")
    (tmp_path / "data.json").write_text(json.dumps({"remit_data": bundle.data}), "utf-8")
    theirs = {}
    said = subprocess.run([str(OPA), "test", "--format", "json", tmp_path], capture_output=True, check=False).stdout
    for each in json.loads(said):
        place = f"{Path(each['location']['file']).name}:{each['location']['row']}"
        bad = each.get("fail") or each.get("error")
        theirs[place] = "failed" if bad else "skipped" if each.get("skip") else "passed"
    # A built-in error is undefined to OPA, and calling no function where there is one is an error.
    ours = {each.where: "failed" if each.outcome == "error" else each.outcome for each in run_tests(bundle).results}
    assert ours == theirs


def test_rules_of_one_name_in_two_files_are_two_tests() -> None:
    tests = {"a_test.rego": f"{HEAD}test_it if 1 == 2\n", "b_test.rego": f"{HEAD}test_it if 1 == 1\n"}
    assert lines(run_tests(Bundle.of({}, tests=tests))) == [
        "a_test.rego:3 shop_test.test_it failed",
        "b_test.rego:3 shop_test.test_it#01 passed",
    ]


def test_a_test_with_cases_fails_and_says_so() -> None:
    report = ran('test_x[case] if some case in ["a", "b"]\ntest_y.a if true\ntest_z["a"] if true\n')
    assert {each.outcome for each in report.results} == {"failed"}
    assert all("one rule for each case" in each.message for each in report.results)


def test_what_is_wrong_is_said_and_where() -> None:
    (result,) = ran('test_x if startswith(input.a, "b") with input as {"a": 1}\n').results
    assert (result.where, result.outcome) == ("a_test.rego:3", "error")
    assert result.message.startswith("a_test.rego:3: `startswith` expects string")
    assert "backtrace" not in result.message


def test_what_tests_print_is_kept_within_bounds() -> None:
    numbers = ", ".join(map(str, range(200)))
    report = ran(
        'test_x if print("of", [1], input.nothing)\n'
        f"test_y if {{ every x in [{numbers}] {{ print(x) }} }}\n"
        f'test_z if print("{"z" * 5000}")\n'
    )
    assert report.results[0].printed == ("a_test.rego:3: of [1] <undefined>",)
    assert len(report.results[1].printed) == 100
    assert len(report.results[2].printed[0]) == 1000


def test_tests_are_chosen_by_a_pattern() -> None:
    tests = "test_one if true\ntest_two if true\ntodo_test_two if false\n"
    assert [each.name for each in ran(tests, pattern="two$").results] == ["test_two", "todo_test_two"]
    assert [each.name for each in ran(tests, pattern=r"^data\.shop_test\.test_one$").results] == ["test_one"]
    assert ran(tests, pattern="three").results == ()
    with pytest.raises(re.error):
        ran(tests, pattern="(")


def test_a_report_is_the_same_after_a_journey_as_json() -> None:
    for folder in SUITES:
        report = run_tests(suite(folder), coverage=True)
        assert TestReport.read(json.loads(json.dumps(report.document()))) == report
        assert not report.ok
    assert TestReport().ok


# ── what tests may do ────────────────────────────────────────────────────────────────────


def test_tests_may_print_and_policies_may_not() -> None:
    assert ran('test_x if print("a")\n').ok
    with pytest.raises(PolicyInvalid) as caught:
        ran("test_x if true\n", {"shop.rego": 'package shop\nimport rego.v1\nx if print("a")\n'})
    assert caught.value.where == "shop.rego:3:6"


@pytest.mark.parametrize(
    ("tests", "where"),
    [
        ("test_x if http.send({}).ok\n", "a_test.rego:3:11"),
        ("test_x if time.now_ns() == 3 with time.now_ns as 3\n", "a_test.rego:3:30"),
        ("f(x) := x\ntest_x if f(1) == 3 with data.shop_test.f as 3\n", "a_test.rego:4:21"),
        ("test_x {\n", "a_test.rego:3:8"),
    ],
)
def test_tests_may_otherwise_do_what_policies_may(tests: str, where: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        ran(tests)
    assert caught.value.where == where


def test_a_policy_cannot_call_what_only_its_tests_have() -> None:
    modules = {"shop.rego": "package shop\nimport rego.v1\nx if data.shop_test.helps(1)\n"}
    with pytest.raises(PolicyInvalid) as caught:
        ran("helps(x) if x == 1\ntest_x if data.shop.x\n", modules)
    assert caught.value.where == "shop.rego:3:6"


# ── coverage ─────────────────────────────────────────────────────────────────────────────


def test_coverage_is_of_the_policy_and_counts_what_any_test_reached() -> None:
    modules = {
        "shop.rego": (
            "package shop\nimport rego.v1\n\nx if {\n\tinput.a == 1\n\tinput.b == 2\n}\n\ny if {\n\tinput.c == 1\n}\n"
        ),
        "other.rego": "package other\nimport rego.v1\nz if {\n\tinput.z == 1\n}\n",
        "remit/standard.rego": "package remit.standard\nimport rego.v1\nq if {\n\tinput.z == 1\n}\n",
    }
    tests = {"a_test.rego": HEAD + 'test_a if not data.shop.x with input as {"a": 0}\n'}
    coverage = run_tests(Bundle.of(modules, tests=tests), coverage=True).coverage
    assert coverage == Coverage(
        (FileCoverage("other.rego", (), ((4, 4),)), FileCoverage("shop.rego", ((5, 5),), ((6, 6), (10, 10))))
    )
    assert coverage.percent == 25.0
    assert [file.percent for file in coverage.files] == [0.0, 33.3]
    more = {"a_test.rego": tests["a_test.rego"] + 'test_b if data.shop.x with input as {"a": 1, "b": 2}\n'}
    assert run_tests(Bundle.of(modules, tests=more), coverage=True, pattern="").coverage == Coverage(
        (FileCoverage("other.rego", (), ((4, 4),)), FileCoverage("shop.rego", ((5, 6),), ((10, 10),)))
    )


LINES = st.sets(st.integers(1, 60))


@given(st.lists(st.tuples(LINES, LINES), max_size=4))
def test_every_line_is_in_one_range_at_most(reports: list[tuple[set[int], set[int]]]) -> None:
    documents = [
        {"files": [{"path": "a.rego", "covered": sorted(reached), "not_covered": sorted(missed - reached)}]}
        for reached, missed in reports
    ]
    (file,) = Coverage.of(documents, ["a.rego"]).files
    covered = [line for first, last in file.covered for line in range(first, last + 1)]
    uncovered = [line for first, last in file.uncovered for line in range(first, last + 1)]
    assert covered == sorted(set().union(*(reached for reached, _ in reports)))
    assert uncovered == sorted(set().union(*(missed for _, missed in reports)) - set(covered))
    assert 0 <= file.percent <= 100


# ── in a process apart ───────────────────────────────────────────────────────────────────


def test_a_worker_gives_the_same_report() -> None:
    for folder in SUITES:
        bundle = suite(folder)
        apart = asyncio.run(desk.run_tests(bundle, coverage=True))
        here = run_tests(bundle, coverage=True)
        assert (lines(apart), apart.coverage) == (lines(here), here.coverage)
