"""``remit check``: every problem at once, before anything is served."""

from __future__ import annotations

from typing import Annotated

import typer

from remit.cli.common import Exit, Global, print_json, say_where_settings_are_missing


def check(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Check settings, secrets, tool files, policy and keys. Exit 1 if anything is wrong; nothing is called."""
    chosen: Global = context.obj
    say_where_settings_are_missing(chosen)
    from remit.app.checking import check_all

    report = check_all(chosen.config)
    if as_json:
        print_json(
            {"ok": report.ok, "facts": report.facts, "problems": [vars_of(problem) for problem in report.problems]}
        )
    else:
        from remit.cli.render import render_error

        for problem in report.problems:
            render_error(problem)
        typer.echo(" · ".join(report.facts) or "nothing could be read", err=not report.ok)
    if not report.ok:
        raise typer.Exit(Exit.PROBLEMS)


def vars_of(problem: object) -> dict[str, str]:
    """A problem's parts by name, those that are not empty."""
    parts = {name: str(getattr(problem, name, "") or "") for name in ("where", "code", "message", "detail", "hint")}
    return {name: value for name, value in parts.items() if value}
