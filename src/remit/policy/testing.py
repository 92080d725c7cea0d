"""Door: runs a policy's own tests on the embedded engine, with the verdicts of ``opa test``.

A test is a rule ``test_…`` of a test module; it passes where it is exactly true. Rules of one name are separate tests.
Built-in errors are errors, as they are when a policy decides: ``opa test`` takes them for undefined, so that a test
which fails here with one may pass there, behind a ``not``.

Tests with cases (``test_x[case]``) are not run, and reported as failed; tests may replace input and data, no functions.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Final, Literal

from remit.clock import SystemClock
from remit.errors import PolicyInvalid
from remit.policy import gate
from remit.policy.contents import Bundle
from remit.policy.coverage import Coverage
from remit.policy.evaluator import parsed
from remit.policy.expressions import written
from remit.policy.reach import unreached
from remit.policy.syntax import Module, heads, line_of, package_of, path

Outcome = Literal["passed", "failed", "error", "skipped"]

#: What tests may call beside the functions of policies.
ALSO: Final = frozenset({"print"})
_MAX_PRINTS: Final = 100
_MAX_PRINT: Final = 1000
_MAX_MESSAGE: Final = 500
_ERROR: Final = re.compile(r"^error: (.*)", re.MULTILINE)
_LOCATION: Final = re.compile(r"--> (\S+:\d+):\d+")
_CASES: Final = "tests with cases are not run here: write one rule for each case"


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test. ``where`` is ``file:line``; ``message`` says why it did not pass; ``printed`` what it printed."""

    __test__: ClassVar = False  # no test of pytest's

    where: str
    package: str
    name: str
    outcome: Outcome
    message: str = ""
    duration_us: int = 0
    printed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it passed or was meant to be skipped."""
        return self.outcome in ("passed", "skipped")


@dataclass(frozen=True, slots=True)
class TestReport:
    """All tests, in the order of their files. ``coverage`` where it was asked for, of the author's own modules."""

    __test__: ClassVar = False

    results: tuple[TestResult, ...] = ()
    coverage: Coverage | None = None

    @property
    def ok(self) -> bool:
        """Whether none failed. Also where there was none."""
        return all(result.ok for result in self.results)

    def count(self, *outcomes: Outcome) -> int:
        """How many ended so."""
        return sum(result.outcome in outcomes for result in self.results)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "ok": self.ok,
            "results": [asdict(result) | {"printed": list(result.printed)} for result in self.results],
            **({"coverage": self.coverage.document()} if self.coverage else {}),
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> TestReport:
        """What ``document`` made."""
        results = (TestResult(**{**each, "printed": tuple(each["printed"])}) for each in document["results"])
        coverage = document.get("coverage")
        return cls(tuple(results), Coverage.read(coverage) if coverage else None)


def run_tests(bundle: Bundle, *, coverage: bool = False, pattern: str = "") -> TestReport:
    """Run the tests whose ``data.package.name`` the regular expression finds; none given: all.

    Raises ``PolicyInvalid`` where the policy or a test cannot be read or calls what it may not, ``re.error`` for a
    pattern that is none. A test that does not end ends nowhere: run this in a process that can be killed.
    """
    wanted = re.compile(pattern)
    tests, modules, policy = _tests_of(bundle)
    engine = parsed(modules, bundle.data)
    engine.set_gather_prints(True)
    engine.set_enable_coverage(coverage)
    engine.eval_query_as_json("true")  # what an engine prepares for its first query, its clones have
    run = _Run(engine, coverage=coverage)
    results = tuple(run.result(test) for test in tests if wanted.search(f"data.{test.package}.{test.name}"))
    if not coverage:
        return TestReport(results)
    own = [tree for tree in policy if not tree["source"]["file"].startswith("remit/")]
    reports = [*run.reports, *(unreached(engine, tree) for tree in own)]
    return TestReport(results, Coverage.of(reports, [tree["source"]["file"] for tree in own]))


def count_tests(bundle: Bundle) -> int:
    """How many there are, those to be skipped included. Raises as ``run_tests`` does."""
    return len(_tests_of(bundle)[0])


@dataclass(frozen=True, slots=True)
class _Test:
    """``rule`` is its name in the engine, where each is there once; empty: it is not run."""

    where: str
    package: str
    name: str
    rule: str


class _Run:
    """Evaluates tests one after the other, each on a clone of its own."""

    def __init__(self, engine: Any, *, coverage: bool) -> None:
        self.reports: list[Mapping[str, Any]] = []
        self._engine = engine
        self._coverage = coverage
        self._clock = SystemClock()

    def result(self, test: _Test) -> TestResult:
        ended = TestResult(test.where, test.package, test.name, "skipped")
        if test.name.rpartition(".")[2].startswith("todo_"):
            return ended
        if not test.rule:
            return replace(ended, outcome="failed", message=_CASES)
        started = self._clock.monotonic()
        engine = self._engine.clone()
        outcome, message = _verdict(engine, f"data.{test.package}.{test.rule}")
        duration = round((self._clock.monotonic() - started) * 1_000_000)
        if self._coverage:
            self.reports.append(json.loads(engine.get_coverage_report_as_json()))
        printed = tuple(text[:_MAX_PRINT] for text in engine.take_prints()[:_MAX_PRINTS])
        return replace(ended, outcome=outcome, message=message, duration_us=duration, printed=printed)


def _verdict(engine: Any, query: str) -> tuple[Outcome, str]:
    try:
        answer = json.loads(engine.eval_query_as_json(query))
    except (KeyboardInterrupt, SystemExit, asyncio.CancelledError):
        raise
    except BaseException as error:  # noqa: BLE001  the engine's PanicException is no Exception
        return "error", _said(error)
    rows = answer.get("result")
    if not rows:
        return "failed", "undefined"
    value = rows[0]["expressions"][0]["value"]
    if value is True:
        return "passed", ""
    return "failed", "false" if value is False else "neither true nor false"


def _said(error: BaseException) -> str:
    """What the engine says of an error, and where. The values in it are the tests' own."""
    text = str(error).split("Stack backtrace", maxsplit=1)[0]
    location, message = _LOCATION.search(text), _ERROR.search(text)
    said = message[1] if message else type(error).__name__
    return (f"{location[1]}: {said}" if location else said)[:_MAX_MESSAGE]


# ── finding the tests ────────────────────────────────────────────────────────────────────


def _tests_of(bundle: Bundle) -> tuple[list[_Test], dict[str, str], list[Module]]:
    """The tests, all modules in which each of them has a name of its own, and the trees of the policy's."""
    modules: dict[str, str] = {**bundle.modules, **bundle.tests}
    trees: list[Module] = json.loads(parsed(modules, {}).get_ast_as_json())
    policy = [tree for tree in trees if tree["source"]["file"] in bundle.modules]
    beside = [tree for tree in trees if tree["source"]["file"] not in bundle.modules]
    _pass_gate(policy, beside)
    names = _Names(policy)
    tests: list[_Test] = []
    for tree in beside:
        found = list(_heads_of_tests(tree))
        taken = [names.take(package_of(tree), path(head)) for head, _, _ in found]
        modules[tree["source"]["file"]] = _renamed(tree, [head for head, _, _ in found], taken)
        tests += [
            _Test(f"{tree['source']['file']}:{line}", package_of(tree), shown + suffix, rule)
            for (_, shown, line), (rule, suffix) in zip(found, taken, strict=True)
        ]
    return tests, modules, policy


def _pass_gate(policy: Sequence[Module], tests: Sequence[Module]) -> None:
    found = gate.objections(policy) + gate.objections(tests, beside=policy, also=ALSO)
    if found:
        raise PolicyInvalid(
            found[0].message,
            where=found[0].where,
            detail="; ".join(f"{objection.where}: {objection.message}" for objection in found[:20]),
            hint="tests may call what policies may call, and print",
        )


def _heads_of_tests(tree: Module) -> Iterator[tuple[Mapping[str, Any], str, int]]:
    """The head of each test, its name, and its line."""
    for rule, (head, _) in zip(tree["ast"]["rules"], heads(tree), strict=True):
        shown = written(head)
        if any(step.removeprefix("todo_").startswith("test_") for step in shown.split(".")):
            yield head, shown, line_of(rule)


class _Names:
    """Names for tests: a second rule of one name is another test to OPA, and would be another way to pass here."""

    def __init__(self, policy: Sequence[Module]) -> None:
        self._seen = {f"{package_of(module)}.{path(head)}": 1 for module in policy for head, _ in heads(module)}

    def take(self, package: str, name: str) -> tuple[str, str]:
        """The name to run it by, and what to add to the name that is shown. Both empty: it is not run."""
        last = name.rpartition(".")[2]
        if not last.startswith("test_"):
            return "", ""
        number = self._seen.get(f"{package}.{name}", 0)
        self._seen[f"{package}.{name}"] = number + 1
        return (f"{name}__{number:02}_of_this_name", f"#{number:02}") if number else (name, "")


def _renamed(tree: Module, found: Sequence[Mapping[str, Any]], taken: Sequence[tuple[str, str]]) -> str:
    """The module's text with the names that were taken. Lines stay where they are."""
    text = tree["source"]["contents"].encode()
    for head, (rule, suffix) in reversed(list(zip(found, taken, strict=True))):
        if suffix:
            ((_, inner),) = head.items()
            span = inner["field"][0] if "field" in inner else inner["span"]
            text = text[: span["start"]] + rule.rpartition(".")[2].encode() + text[span["end"] :]
    return str(text, "utf-8")
