"""Path: everything that is wrong with a policy, at once: syntax, gate, lint, the empty documents, its tests' syntax.

It parses and evaluates what it was given: run it in a process that can be killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.errors import PolicyInvalid
from remit.policy import gate
from remit.policy.bundle import Bundle
from remit.policy.decision import Places
from remit.policy.embedded import TRIALS, check_trials
from remit.policy.evaluator import Evaluator, parsed
from remit.policy.finding import Finding
from remit.policy.lint import lint
from remit.policy.syntax import Module
from remit.policy.testing import ALSO, count_tests

_FORBIDDEN_HINT: Final = "use the built-in functions that depend on their arguments alone; the time is input.time"


@dataclass(frozen=True, slots=True)
class Review:
    """What was found, and how many tests there are."""

    findings: tuple[Finding, ...]
    tests: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"findings": [finding.document() for finding in self.findings], "tests": self.tests}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Review:
        """What ``document`` made."""
        return cls(tuple(Finding(**each) for each in document["findings"]), document["tests"])


def review(bundle: Bundle) -> Review:
    """Everything at once; behind what cannot be read or may not be used, what does not depend on it."""
    findings = list(_unreadable({**bundle.modules, **bundle.tests}))
    if findings:
        return Review(tuple(findings))
    tests_there = 0
    policy, tests = _trees(bundle)
    findings += _forbidden(policy, tests)
    findings += lint(policy)
    if not any(finding.code == "forbidden" for finding in findings):
        findings += _unusable(bundle)
        tests_there = count_tests(bundle)
    return Review(tuple(sorted(findings, key=lambda finding: finding.place)), tests_there)


def _unreadable(modules: Mapping[str, str]) -> Iterator[Finding]:
    """The first mistake of each file: the engine stops at it."""
    for name, source in modules.items():
        try:
            parsed({name: source}, {})
        except PolicyInvalid as error:
            yield _finding(error)


def _trees(bundle: Bundle) -> tuple[list[Module], list[Module]]:
    trees: list[Module] = json.loads(parsed({**bundle.modules, **bundle.tests}, {}).get_ast_as_json())
    policy = [tree for tree in trees if tree["source"]["file"] in bundle.modules]
    return policy, [tree for tree in trees if tree["source"]["file"] not in bundle.modules]


def _forbidden(policy: list[Module], tests: list[Module]) -> Iterator[Finding]:
    for objection in gate.objections(policy) + gate.objections(tests, beside=policy, also=ALSO):
        yield Finding(objection.where, "forbidden", "error", objection.message, _FORBIDDEN_HINT)


def _unusable(bundle: Bundle) -> Iterator[Finding]:
    """Whether there is a decision about nobody and nothing, in every phase."""
    try:
        evaluator = Evaluator(bundle.modules, json.dumps(bundle.data))
        answers = evaluator.try_out(TRIALS)
        check_trials(answers, Places(evaluator.entry, evaluator.codes), bundle.revision)
    except PolicyInvalid as error:
        yield _finding(error)


def _finding(error: PolicyInvalid) -> Finding:
    return Finding(error.where, error.code, "error", error.message, error.hint or error.detail)
