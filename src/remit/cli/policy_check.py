"""``remit policy check``: everything that is wrong or dangerous in a policy, at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from remit.cli.common import Exit, print_json, run
from remit.cli.policy_source import Json, PolicyPath, Source, source_of

if TYPE_CHECKING:
    from rich.console import Console

    from remit.errors import PolicyInvalid
    from remit.policy.bundle import Bundle
    from remit.policy.finding import Finding
    from remit.policy.review import Review

_STYLES: Final = {"error": "bold red", "warning": "bold yellow", "info": "bold blue"}


def check(
    context: typer.Context,
    policy: PolicyPath = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 for warnings, too.")] = False,
    as_json: Json = False,
) -> None:
    """Read a policy and list everything that is wrong or dangerous in it, with file, line and column.

    That is: syntax, functions it may not call, tables, whether it decides at all, and lint. Its tests are read, not run.
    Exit 1 where there is an error.
    """
    from remit.errors import PolicyInvalid
    from remit.policy.review import Review

    source, bundle = source_of(context, policy), None
    try:
        bundle = source.bundle()
        found = run(reviewed(source, bundle))
    except PolicyInvalid as error:
        found = Review(tuple(_finding(source, problem) for problem in error.problems))
    ok = not any(each.severity == "error" or (strict and each.severity == "warning") for each in found.findings)
    if as_json:
        print_json({"ok": ok, **_document(source, bundle, found)})
    else:
        _print(source, bundle, found)
    if not ok:
        raise typer.Exit(Exit.PROBLEMS)


async def reviewed(source: Source, bundle: Bundle) -> Review:
    """The review with places as they are called from here."""
    from remit.policy.desk import review

    found = await review(bundle)
    return replace(found, findings=tuple(replace(each, where=source.shown(each.where)) for each in found.findings))


def print_finding(out: Console, finding: Finding) -> None:
    """What, where, how to mend it."""
    from rich.text import Text

    from remit.cli.render import plain, print_rows

    severity, message, code = finding.severity, plain(finding.message), f" ({finding.code})"
    out.print(Text.assemble((f"{severity} ", _STYLES[severity]), (message, "bold"), (code, "dim")))
    print_rows(out, [("where", finding.where), ("hint", finding.hint)])


def _finding(source: Source, error: PolicyInvalid) -> Finding:
    from remit.policy.finding import Finding

    return Finding(source.shown(error.where), error.code, "error", error.message, error.hint or error.detail)


def _document(source: Source, bundle: Bundle | None, found: Review) -> dict[str, Any]:
    return {
        "policy": source.path.as_posix(),
        "revision": bundle.revision if bundle else "",
        "modules": sorted(bundle.modules) if bundle else [],
        "tests": found.tests,
        "findings": [each.document() for each in found.findings],
    }


def _print(source: Source, bundle: Bundle | None, found: Review) -> None:
    from remit.cli.render import console

    out = console("data")
    for finding in found.findings:
        print_finding(out, finding)
    severities = [each.severity for each in found.findings]
    counts = [_number(severities.count(kind), kind) for kind in ("error", "warning", "info") if kind in severities]
    facts = (
        [f"policy {bundle.revision}", _number(len(bundle.modules), "module"), _number(found.tests, "test")]
        if bundle
        else []
    )
    typer.echo(" · ".join([*(facts or [source.shown(str(source.path))]), *(counts or ["ok"])]))


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
