"""``remit test``: the examples of tool files as tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from remit.cli.common import Exit, print_json, run, settings_of, tools_from_here

if TYPE_CHECKING:
    from rich.console import Console

    from remit.app.trying_tools import Case, Tested
    from remit.catalog.loader import LoadReport
    from remit.settings import Settings

_STYLES: Final = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def run_examples(
    context: typer.Context,
    tools: Annotated[
        list[str] | None, typer.Argument(metavar="[TOOL]...", help="Only these tools' examples (default: all).")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Make the calls, as the user each example names; only tools that read.")
    ] = False,
    writes: Annotated[bool, typer.Option("--writes", help="With --live: also tools that change something.")] = False,
    pattern: Annotated[
        str, typer.Option("--run", "-k", metavar="TEXT", help="Only examples in whose `tool: name` this is found.")
    ] = "",
    every: Annotated[bool, typer.Option("--verbose", help="List examples that pass, too.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write a report in JUnit's XML there, too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Try the examples of tool files: arguments, request, result or error, scopes, and what policy decides.

    Nothing is called without --live. Exit 1 where one fails, a tool file is broken, or there is no example.
    """
    if writes and not live:
        raise typer.BadParameter("--writes is for --live")
    settings = tools_from_here(settings_of(context, needed=live))
    report, chosen = _chosen(settings, tuple(tools or ()), pattern)
    tested = run(_tested(settings, chosen, live=live, writes=writes))
    ok = bool(tested) and not report.problems and all(each.outcome != "failed" for each in tested)
    if junit is not None:
        from remit.cli.junit import junit_xml

        junit.write_text(junit_xml(tested), encoding="utf-8")
    if as_json:
        print_json(_document(report, tested, ok=ok))
    else:
        _print(report, tested, every=every)
    if not ok:
        raise typer.Exit(Exit.PROBLEMS)


def _chosen(settings: Settings, names: tuple[str, ...], pattern: str) -> tuple[LoadReport, list[Case]]:
    """The examples of the tools named, and of those the ones wanted; what is not approved yet is tested, too."""
    from remit.app.trying_tools import cases
    from remit.catalog.grammar import did_you_mean
    from remit.catalog.loader import load_catalog
    from remit.settings import environment

    variables, cache = {**settings.variables, **environment()}, settings.descriptions_dir
    report = load_catalog(settings.tools, variables, python=settings.python_tools, cache=cache)
    tools = report.catalog.tools
    for name in names:
        if name not in tools:
            hint = did_you_mean(name, tools)
            raise typer.BadParameter(f"there is no tool {name}{f'; {hint}' if hint else ''}", param_hint="TOOL")
    found = cases(tools[name] for name in names or tools)
    return report, [case for case in found if pattern.lower() in f"{case[0].name}: {case[1].name}".lower()]


async def _tested(settings: Settings, chosen: list[Case], *, live: bool, writes: bool) -> list[Tested]:
    from remit.app.trying_tools import try_live, try_offline
    from remit.clock import SystemClock

    clock = SystemClock()
    running = try_live(settings, chosen, clock, writes=writes) if live else try_offline(settings, chosen, clock)
    return [each async for each in _with_progress(running, len(chosen))]


async def _with_progress(running: AsyncIterator[Tested], total: int) -> AsyncIterator[Tested]:
    """The same, with a bar that is gone at the end, where somebody is looking."""
    from rich.progress import Progress

    from remit.cli.render import console

    talk = console("talk")
    with ExitStack() as stack:
        bar = stack.enter_context(Progress(console=talk, transient=True)) if talk.is_terminal else None
        task = bar.add_task("examples", total=total) if bar else None
        async for each in running:
            if bar and task is not None:
                bar.advance(task)
            yield each


def _document(report: LoadReport, tested: list[Tested], *, ok: bool) -> dict[str, Any]:
    return {
        "ok": ok,
        "problems": [{"where": each.where, "message": each.message, "hint": each.hint} for each in report.problems],
        "tests": [each.document() for each in tested],
    }


def _print(report: LoadReport, tested: list[Tested], *, every: bool) -> None:
    from remit.cli.render import console, render_error
    from remit.errors import DefinitionInvalid

    out = console("data")
    for problem in report.problems:
        render_error(DefinitionInvalid(problem.message, where=problem.where, hint=problem.hint))
    for each in tested:
        if every or each.outcome == "failed":
            _print_one(out, each)
    _print_left_out(tested)
    if not tested:
        typer.echo("no example was tried: write some under `examples` of a tool, or name others", err=True)
    outcomes = [each.outcome for each in tested]
    counts = {what: outcomes.count(what) for what in ("passed", "failed", "skipped")}
    typer.echo(" · ".join(f"{number} {what}" for what, number in counts.items() if number or what == "passed"))


def _print_left_out(tested: list[Tested]) -> None:
    """Each reason once, with how many examples it is about."""
    from collections import Counter

    from remit.cli.render import plain

    for reason, count in Counter(reason for each in tested for reason in each.skipped).items():
        typer.echo(f"left out of {count} {'example' if count == 1 else 'examples'}: {plain(reason)}", err=True)


def _print_one(out: Console, tested: Tested) -> None:
    from rich.text import Text

    from remit.cli.render import plain, print_rows

    name = plain(f"{tested.tool}: {tested.example}")
    out.print(Text.assemble((f"{tested.outcome:<8}", _STYLES[tested.outcome]), name), soft_wrap=True)
    rows = [("because", failure) for failure in tested.failures] + [("left out", reason) for reason in tested.skipped]
    print_rows(out, [("where", tested.where), *rows] if rows else [])
