"""Tools that would be called without the user in their token: `remit check` finds those that the settings do not allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remit.app.checking import check_all
from remit.demo.workspace import write_workspace
from support.company import edit_settings

REPORTS = """
version: 1
name: reports
upstream:
  baseUrl: https://reports.example
  auth: {type: client-credentials, audience: reports-api, resource: "https://reports.example", scopes: ["reports:read"]}
tools:
  - name: read_report
    description: Read the report of the day. Use it when somebody asks how the day went.
    request: {method: GET, path: /reports/today}
"""


def problems(folder: Path, exchange: dict[str, Any]) -> list[str]:
    write_workspace(folder)
    (folder / "tools" / "reports.yaml").write_text(REPORTS, encoding="utf-8")
    edit_settings(folder / "remit.yaml", lambda settings: settings.update(exchange=exchange))
    return [
        f"{problem.where}: {problem.message} ({problem.hint})" for problem in check_all(folder / "remit.yaml").problems
    ]


@pytest.mark.parametrize("targets", [[], ["reports-api"], ["other"]], ids=["none", "one of two names", "another"])
def test_one_that_the_settings_do_not_name_is_a_problem(tmp_path: Path, targets: list[str]) -> None:
    (problem,) = problems(tmp_path, {"own_token_targets": targets})
    assert "reports.yaml:8: read_report would be called with a token that does not name the user" in problem
    assert "exchange.own_token_targets" in problem


def test_one_that_they_name_is_none(tmp_path: Path) -> None:
    assert problems(tmp_path, {"own_token_targets": ["reports-api", "https://reports.example"]}) == []
