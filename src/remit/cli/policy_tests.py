"""``remit policy test``: run a policy's own tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from remit.cli.common import Exit, print_json, run
from remit.cli.policy_source import Json, PolicyPath, Source, source_of

if TYPE_CHECKING:
    from rich.console import Console

    from remit.policy.coverage import Coverage, Lines
    from remit.policy.testing import TestReport, TestResult

_STYLES: Final = {"passed": "green", "failed": "bold red", "error": "bold red", "skipped": "yellow"}


def run_suite(
    context: typer.Context,
    policy: PolicyPath = None,
    pattern: Annotated[
        str, typer.Option("--run", metavar="PATTERN", help="Only tests whose data.package.name this finds.")
    ] = "",
    coverage: Annotated[bool, typer.Option("--coverage", help="Say which lines no test reaches.")] = False,
    fail_under: Annotated[
        float | None,
        typer.Option("--fail-under", metavar="PERCENT", min=0, max=100, help="Exit 1 if fewer lines are reached."),
    ] = None,
    every: Annotated[bool, typer.Option("--verbose", help="List tests that pass, too, and what they print.")] = False,
    as_json: Json = False,
) -> None:
    """Run every rule test_… of the files *_test.rego; todo_test_… are skipped.

    Exit 1 where one does not pass, none was run, or too few lines were reached. The verdicts are those of `opa test`.
    """
    from remit.policy.desk import run_tests

    source = source_of(context, policy)
    _check_pattern(pattern)
    bundle = source.bundle()
    report = run(run_tests(bundle, coverage=coverage or fail_under is not None, pattern=pattern))
    reached = report.coverage.percent if report.coverage else 100.0
    enough = fail_under is None or reached >= fail_under
    ok = report.ok and enough and bool(report.results)
    if as_json:
        print_json({**_document(source, report), "ok": ok, "revision": bundle.revision})
    else:
        _print(source, report, every=every)
        if not enough:
            typer.echo(f"{reached:g} % of the lines are reached, {fail_under:g} % are asked for", err=True)
    if not ok:
        raise typer.Exit(Exit.PROBLEMS)


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise typer.BadParameter(f"not a regular expression: {error}", param_hint="--run") from error


def _document(source: Source, report: TestReport) -> dict[str, Any]:
    document = report.document()
    for each in document["results"]:
        each["where"] = source.shown(each["where"])
    for each in document.get("coverage", {}).get("files", ()):
        each["file"] = source.shown(each["file"])
    return document


def _print(source: Source, report: TestReport, *, every: bool) -> None:
    from remit.cli.render import console

    out = console("data")
    for result in report.results:
        if every or not result.ok:
            _print_result(out, source, result)
    if report.coverage:
        _print_coverage(out, source, report.coverage)
    if not report.results:
        typer.echo("no test was run: tests are rules test_… in files *_test.rego", err=True)
    typer.echo(" · ".join(_counts(report)))


def _print_result(out: Console, source: Source, result: TestResult) -> None:
    from rich.text import Text

    from remit.cli.render import plain, print_rows

    took = f" {result.duration_us / 1000:.1f} ms" if result.duration_us else ""
    name = plain(f"{result.package}.{result.name}")
    out.print(Text.assemble((f"{result.outcome:<8}", _STYLES[result.outcome]), name, (took, "dim")), soft_wrap=True)
    if not result.ok:
        print_rows(out, [("where", source.shown(result.where)), ("because", result.message)])
    print_rows(out, [("printed", text) for text in result.printed])


def _print_coverage(out: Console, source: Source, coverage: Coverage) -> None:
    from remit.cli.render import plain

    for file in coverage.files:
        missing = f"  not reached: {', '.join(_range(lines) for lines in file.uncovered)}" if file.uncovered else ""
        out.print(f"{file.percent:>6.1f} %  {plain(source.shown(file.file))}{missing}", soft_wrap=True)
    whole = (
        f"{coverage.percent:>6.1f} %  of all lines" if coverage.files else "the policy has no rules of its own to reach"
    )
    out.print(whole, style="bold")


def _range(lines: Lines) -> str:
    first, last = lines
    return str(first) if first == last else f"{first}-{last}"


def _counts(report: TestReport) -> list[str]:
    counts = {
        "passed": report.count("passed"),
        "failed": report.count("failed", "error"),
        "skipped": report.count("skipped"),
    }
    return [f"{number} {what}" for what, number in counts.items() if number or what == "passed"]
