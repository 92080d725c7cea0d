"""Findings for programs: SARIF 2.1.0 (code scanning) and the annotations of GitHub's build logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from remit import __version__
from remit.catalog.lint_finding import RULES, Finding, Severity

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_GITHUB: Final[dict[Severity, str]] = {"error": "error", "warning": "warning", "note": "notice"}


def sarif(findings: Iterable[Finding]) -> dict[str, Any]:
    """One run of a SARIF log (OASIS SARIF 2.1.0), with all rules."""
    codes = list(RULES)
    rules = [
        {
            "id": code,
            "name": rule.name,
            "shortDescription": {"text": f"{rule.text}."},
            "help": {"text": f"{rule.mend}."},
            "defaultConfiguration": {"level": rule.severity},
        }
        for code, rule in RULES.items()
    ]
    driver = {"name": "remit", "semanticVersion": __version__, "rules": rules}
    results = [_result(finding, codes.index(finding.code)) for finding in findings]
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(finding: Finding, index: int) -> dict[str, Any]:
    said = f"{finding.message} ({finding.fix})" if finding.fix else finding.message
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.file)}}
    if finding.line:
        place["region"] = {"startLine": finding.line, "startColumn": max(finding.column, 1)}
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": said},
        "locations": [{"physicalLocation": place}],
    }


def _uri(file: str) -> str:
    """A relative reference for a relative path, else a file URI."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def github(findings: Iterable[Finding]) -> Iterator[str]:
    """Workflow commands, one a line; GitHub shows each at its place in the change."""
    for finding in findings:
        place = f"file={_property(finding.file)}"
        if finding.line:
            place += f",line={finding.line},col={max(finding.column, 1)}"
        said = f"{finding.message} ({finding.fix})" if finding.fix else finding.message
        yield f"::{_GITHUB[finding.severity]} {place},title={finding.code}::{_data(said)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
