"""Test results as JUnit XML, which build servers read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from remit.cli.render import plain

if TYPE_CHECKING:
    from remit.app.trying_tools import Tested


def junit_xml(tested: Sequence[Tested]) -> str:
    """One suite; a test's class is its tool."""
    outcomes = [each.outcome for each in tested]
    total = sum(each.seconds for each in tested)
    counts = f'tests="{len(tested)}" failures="{outcomes.count("failed")}" skipped="{outcomes.count("skipped")}"'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites {counts} time="{total:.6f}">']
    lines.append(f'  <testsuite name="remit" {counts} errors="0" time="{total:.6f}">')
    for each in tested:
        lines += _case(each)
    return "\n".join([*lines, "  </testsuite>", "</testsuites>", ""])


def _case(each: Tested) -> list[str]:
    file, _, line = each.where.rpartition(":")
    attributes = {
        "classname": each.tool,
        "name": each.example,
        "file": file,
        "line": line,
        "time": f"{each.seconds:.6f}",
    }
    head = "    <testcase " + " ".join(f"{name}={_attribute(value)}" for name, value in attributes.items())
    if each.outcome == "failed":
        return [f"{head}>", f"      <failure message={_attribute('; '.join(each.failures))}/>", "    </testcase>"]
    if each.outcome == "skipped":
        return [f"{head}>", f"      <skipped message={_attribute('; '.join(each.skipped))}/>", "    </testcase>"]
    return [f"{head}/>"]


def _attribute(text: str) -> str:
    """A value in quotes; XML has no place for most control characters, so they are escaped as text."""
    return quoteattr(plain(text))
