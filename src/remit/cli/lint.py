"""``remit lint``: what should be better about tool files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from remit.cli.common import Exit, print_json, run, settings_of, tools_from_here

if TYPE_CHECKING:
    from rich.console import Console

    from remit.app.linting import Reviewed
    from remit.catalog.lint_finding import Finding

_STYLES: Final = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def lint(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Tool files or folders (default: `tools`).")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print what is found.")] = Format.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 for warnings, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Look at tool files: descriptions, arguments, secrets, effects, scopes, policy, and what the list costs.

    Each finding has a code, a place and a way to mend it. Exit 1 where there is an error.
    """
    from remit.app.linting import review
    from remit.clock import SystemClock

    settings = tools_from_here(settings_of(context, needed=False))
    reviewed = run(review(settings, tuple(paths or settings.tools), SystemClock()))
    ok = not any(each.severity == "error" or (strict and each.severity == "warning") for each in reviewed.findings)
    _print(reviewed, Format.JSON if as_json else form, ok=ok)
    if not ok:
        raise typer.Exit(Exit.PROBLEMS)


def _print(reviewed: Reviewed, form: Format, *, ok: bool) -> None:
    from remit.cli.lint_formats import github, sarif

    match form:
        case Format.SARIF:
            print_json(sarif(reviewed.findings))
        case Format.GITHUB:
            for line in github(reviewed.findings):
                typer.echo(line)
        case Format.JSON:
            found = [each.document() for each in reviewed.findings]
            print_json({"ok": ok, **_counts(reviewed), "findings": found, "left_out": reviewed.left_out})
        case Format.TEXT:
            _print_text(reviewed)


def _counts(reviewed: Reviewed) -> dict[str, int]:
    from remit.catalog.shown import estimated_tokens, shown_bytes

    size = sum(map(shown_bytes, reviewed.tools))
    return {
        "files": reviewed.files,
        "tools": len(reviewed.tools),
        "list_bytes": size,
        "list_tokens": estimated_tokens(size),
    }


def _print_text(reviewed: Reviewed) -> None:
    from remit.cli.render import console

    out = console("data")
    for finding in reviewed.findings:
        _print_finding(out, finding)
    for reason in reviewed.left_out:
        typer.echo(f"left out: {reason}", err=True)
    counts = _counts(reviewed)
    severities = [each.severity for each in reviewed.findings]
    found = [_number(severities.count(kind), kind) for kind in ("error", "warning", "note") if kind in severities]
    facts = [
        _number(counts["tools"], "tool"),
        f"{counts['list_bytes']} bytes to the model, about {counts['list_tokens']} tokens",
    ]
    typer.echo(" · ".join([*facts, *(found or ["ok"])]))


def _print_finding(out: Console, finding: Finding) -> None:
    """``file:line:column: CODE severity message``, as editors and terminals find places in what linters print."""
    from rich.text import Text

    from remit.cli.render import plain, print_rows

    head = (f"{finding.code} {finding.severity} ", _STYLES[finding.severity])
    out.print(Text.assemble(f"{plain(finding.where)}: ", head, plain(finding.message)), soft_wrap=True)
    print_rows(out, [("fix", finding.fix)])


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
