"""How an import is told: tools, what is left out and why, what it costs, what is different, what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from remit.app.import_files import Planned
    from remit.catalog.openapi.report import Report

_MAX_ROWS: Final = 60
_MAX_NOTES: Final = 10
_KINDS: Final = {"new": "green", "changed": "bold yellow", "gone": "red"}


def print_report(report: Report) -> None:
    """The whole report, on standard output."""
    from rich.text import Text

    from remit.cli.render import console, plain

    out = console("data")
    described = report.description
    title = Text.assemble((plain(described.title or "an API without a title"), "bold"), f" {plain(described.version)}")
    total = len(described.operations) + len(described.skipped)
    out.print(title, f"· OpenAPI {described.dialect} · {_number(total, 'operation')}", soft_wrap=True)
    if report.is_update:
        _print_changes(out, report)
    elif report.too_much:
        _print_tags(out, report)
    elif not report.is_discovery:
        _print_tools(out, report)
    _print_left_out(out, report)
    _print_notes(out, report)
    typer.echo(_costs(report))


def print_written(planned: Planned, written: Sequence[str], *, is_dry: bool) -> None:
    """What was written, and what to do next; where nothing was, why."""
    report = planned.report
    if report.too_much:
        _print_too_much(report)
    elif written:
        for path in written:
            typer.echo(f"{path} written")
        steps = ["remit tools list", "remit lint", "remit test"]
        typer.echo("\nNext:  " + "\n       ".join(steps), err=True)
    elif report.is_update and not planned.different:
        typer.echo(f"{report.output} is as the description says")
    elif is_dry or report.is_update:
        typer.echo("nothing is written" + ("" if is_dry else ": --force makes these changes"), err=True)


def _print_tools(out: Console, report: Report) -> None:
    from rich.table import Table

    from remit.cli.render import plain

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("tool", "request", "scopes", "bytes"):
        table.add_column(column, justify="right" if column == "bytes" else "left", overflow="fold")
    for each in report.taken[:_MAX_ROWS]:
        operation = each.candidate.operation
        cells = (each.candidate.name, each.candidate.request, " ".join(operation.scopes), str(each.bytes))
        table.add_row(*map(plain, cells))
    out.print(table)
    if len(report.taken) > _MAX_ROWS:
        typer.echo(f"… and {len(report.taken) - _MAX_ROWS} more; --json has all")


def _print_tags(out: Console, report: Report) -> None:
    from rich.table import Table

    from remit.catalog.openapi.report import costs_of_tags
    from remit.cli.render import plain

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("tag", "tools", "bytes"):
        table.add_column(column, justify="left" if column == "tag" else "right", overflow="fold")
    costs = costs_of_tags(report.taken)
    for each in costs[:_MAX_ROWS]:
        table.add_row(plain(each.tag or "(no tag)"), str(each.tools), str(each.bytes))
    out.print(table)
    if len(costs) > _MAX_ROWS:
        typer.echo(f"… and {len(costs) - _MAX_ROWS} tags more; --json has all")


def _print_changes(out: Console, report: Report) -> None:
    from rich.text import Text

    from remit.cli.render import plain

    for change in report.changes[: _MAX_ROWS * 5]:
        head = Text.assemble(
            (f"{change.kind:<8}", _KINDS[change.kind]), plain(change.tool), (f"  {plain(change.operation)}", "dim")
        )
        out.print(head, soft_wrap=True)
        for line in change.details:
            out.print(Text(f"        {plain(line)}"), soft_wrap=True)


def _print_left_out(out: Console, report: Report) -> None:
    from rich.text import Text

    from remit.cli.render import plain

    if not report.left_out:
        return
    out.print(Text("left out", "dim"))
    for reason, count in report.reasons[:_MAX_NOTES]:
        out.print(Text(f"{count:>6}  {plain(reason)}"), soft_wrap=True)
    if len(report.reasons) > _MAX_NOTES:
        typer.echo("        … for more reasons; --json has all")


def _print_notes(out: Console, report: Report) -> None:
    from rich.text import Text

    from remit.cli.render import plain

    cut = sum(bool(each.mapped.cut) for each in report.taken)
    notes = [f"the input of {_number(cut, 'tool')} is cut to what models take; --json says how"] if cut else []
    notes += [f"{note.message}{f' ({note.pointer})' if note.pointer else ''}" for note in report.notes[:_MAX_NOTES]]
    if len(report.notes) > _MAX_NOTES:
        notes.append(f"… and {len(report.notes) - _MAX_NOTES} more; --json has all")
    for note in notes:
        out.print(Text.assemble(("note  ", "blue"), plain(note)), soft_wrap=True)


def _costs(report: Report) -> str:
    from remit.catalog.shown import estimated_tokens

    facts = [
        _number(len(report.taken), "tool" if not report.is_discovery else "operation"),
        f"{report.bytes} bytes to the model, about {estimated_tokens(report.bytes)} tokens (estimated)",
    ]
    if report.base_url:
        facts += [f"at {report.base_url}", f"tokens for {report.audience}"]
    return " · ".join(facts)


def _print_too_much(report: Report) -> None:
    from remit.cli.render import console, print_rows

    talk = console("talk")
    talk.print(f"too much for a model: {report.too_much}", style="bold red")
    rows = [
        ("narrow", "--tag TAG, --include 'GET /path*', --operation ID or --only-read"),
        ("raise", "--max-tools and --budget: models choose worse among more, and pay for all in each turn"),
        ("or", "--discover: models find and call operations when they need them"),
    ]
    print_rows(talk, rows)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
