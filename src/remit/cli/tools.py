"""``remit tools``: which tools there are, what the model sees of them, and which were approved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from remit.cli import tools_export
from remit.cli.common import Exit, print_json, run, settings_of, tools_from_here

if TYPE_CHECKING:
    from remit.app.locking import LockReview
    from remit.catalog.lock import Change
    from remit.catalog.problem import Problem
    from remit.catalog.tool import Tool
    from remit.settings import Settings

app = typer.Typer(help="List, show and approve tools.", no_args_is_help=True)
app.command("export")(tools_export.export)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
_KINDS: Final = {"new": "green", "changed": "bold yellow", "gone": "red"}


@app.callback()
def group() -> None:
    """List, show and approve tools."""


# ── list and show ────────────────────────────────────────────────────────────────────────


@app.command("list")
def list_tools(
    context: typer.Context,
    as_user: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="Only those that policy shows to this development user.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Operations of large APIs, too, which agents find.")] = False,
    as_json: Json = False,
) -> None:
    """List the tools: API, effect, scopes, and what each costs in a model's context."""
    settings = tools_from_here(settings_of(context, needed=as_user is not None))
    tools, problems = _loaded(settings)
    if as_user is not None:
        tools = _shown_to(settings, as_user, tools)
    if as_json:
        print_json({"tools": [_summary(tool) for tool in tools], **_cost(_listed(tools))})
    else:
        _print_list(tools, every=every)
    _end(problems)


@app.command("show")
def show_tool(
    context: typer.Context,
    tool: Annotated[str, typer.Argument(help="The tool's name.", metavar="TOOL")],
    as_json: Json = False,
) -> None:
    """Show one tool: what it does where, with which token, and what the model sees of it."""
    from remit.catalog.grammar import did_you_mean
    from remit.errors import ToolUnknown

    tools, problems = _loaded(tools_from_here(settings_of(context, needed=False)))
    by_name = {each.name: each for each in tools}
    if tool not in by_name:
        _tell(problems)
        raise ToolUnknown(f"there is no tool {tool}", hint=did_you_mean(tool, by_name) or "`remit check` says why")
    if as_json:
        print_json(_details(by_name[tool]))
    else:
        _print_tool(by_name[tool])


def _loaded(settings: Settings) -> tuple[list[Tool], Sequence[Problem]]:
    from remit.catalog.loader import load_catalog
    from remit.settings import environment

    variables = {**settings.variables, **environment()}
    cache = settings.descriptions_dir
    report = load_catalog(settings.tools, variables, settings.tools_lock, python=settings.python_tools, cache=cache)
    return list(report.catalog.tools.values()), report.problems


def _shown_to(settings: Settings, user: str, tools: list[Tool]) -> list[Tool]:
    from remit.app.showing import shown_to
    from remit.clock import SystemClock

    return run(shown_to(settings, user, tools, SystemClock()))


def _end(problems: Sequence[Problem]) -> None:
    _tell(problems)
    if problems:
        raise typer.Exit(Exit.PROBLEMS)


def _tell(problems: Iterable[Problem]) -> None:
    from remit.cli.render import render_error
    from remit.errors import DefinitionInvalid

    for problem in problems:
        render_error(DefinitionInvalid(problem.message, where=problem.where, hint=problem.hint))


def _listed(tools: Sequence[Tool]) -> list[Tool]:
    return [tool for tool in tools if not tool.is_found]


def _effect(tool: Tool) -> str:
    annotations = tool.annotations
    return "read" if annotations.read_only else "destructive" if annotations.destructive else "write"


def _summary(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title,
        "upstream": tool.upstream,
        "listed": not tool.is_found,
        "effect": _effect(tool),
        "audience": tool.auth.audience,
        "resource": tool.auth.resource,
        "scopes": list(tool.auth.scopes),
        "lifetime": tool.auth.max_lifetime,
        "digest": tool.digest,
        "where": tool.where,
        **_cost([tool]),
    }


def _cost(tools: Sequence[Tool]) -> dict[str, int]:
    from remit.catalog.shown import estimated_tokens, shown_bytes

    size = sum(map(shown_bytes, tools))
    return {"bytes": size, "tokens": estimated_tokens(size)}


def _details(tool: Tool) -> dict[str, Any]:
    from remit.catalog.shown import shown

    return {
        **_summary(tool),
        "method": tool.method,
        "url": f"{tool.plan.base_url}{tool.path}",
        "actor": tool.auth.actor,
        "token": tool.auth.type,
        "tags": list(tool.tags),
        "facts": dict(tool.facts),
        "examples": [example.name for example in tool.examples],
        "written": tool.written,
        "description_digest": tool.description_digest,
        "seen": shown(tool),
    }


def _print_list(tools: Sequence[Tool], *, every: bool) -> None:
    from rich.table import Table

    from remit.cli.render import console, plain

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("tool", "API", "effect", "scopes", "bytes"):
        table.add_column(column, justify="right" if column == "bytes" else "left", overflow="fold")
    for tool in tools if every else _listed(tools):
        row = (tool.name, tool.upstream, _effect(tool), " ".join(tool.auth.scopes), str(_cost([tool])["bytes"]))
        table.add_row(*map(plain, row))
    if tools:
        console("data").print(table)
    typer.echo(_costs(tools))


def _costs(tools: Sequence[Tool]) -> str:
    listed = _listed(tools)
    cost, found = _cost(listed), len(tools) - len(listed)
    count = f"{len(listed)} {'tool' if len(listed) == 1 else 'tools'}"
    count += f" · {found} {'operation' if found == 1 else 'operations'} to be found" if found else ""
    return f"{count} · {cost['bytes']} bytes to the model, about {cost['tokens']} tokens"


def _print_tool(tool: Tool) -> None:
    from rich.text import Text

    from remit.catalog.shown import shown
    from remit.cli.render import compact, console, plain, print_rows

    out = console("data")
    details = _details(tool)
    out.print(Text.assemble((plain(tool.name), "bold"), f"  {plain(tool.title)}"), soft_wrap=True)
    token = f"{tool.auth.audience or tool.auth.resource} for {tool.auth.max_lifetime} s at most"
    rows = [
        ("where", tool.where),
        ("API", f"{tool.upstream} · {tool.method} {details['url']}"),
        ("effect", _effect(tool)),
        ("token", "none" if tool.auth.type == "none" else token),
        ("scopes", " ".join(tool.auth.scopes)),
        ("actor", tool.auth.actor if tool.auth.type != "none" else ""),
        ("tags", " ".join(tool.tags)),
        ("facts", compact(dict(tool.facts)) if tool.facts else ""),
        ("examples", "; ".join(details["examples"])),
        ("digest", tool.digest),
        ("described", tool.description_digest),
        ("model sees", f"{details['bytes']} bytes, about {details['tokens']} tokens"),
        *((name, value if isinstance(value, str) else compact(value)) for name, value in shown(tool).items()),
    ]
    print_rows(out, rows, label_width=12)


# ── lock ─────────────────────────────────────────────────────────────────────────────────


@app.command("lock")
def lock(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where something is not as it was approved.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Approve the tools as they are, in tools.lock beside them, and show what is different from what was approved.

    Review what it shows: a description that changes is what an agent will do.
    """
    from remit.app.locking import review_lock

    review = review_lock(tools_from_here(settings_of(context, needed=False)))
    written = [] if check or review.problems else [path.as_posix() for path in review.approve()]
    if as_json:
        print_json(_lock_document(review, written))
    else:
        _print_review(review, written)
    _tell(review.problems)
    if review.problems or (check and not review.ok):
        raise typer.Exit(Exit.PROBLEMS)


def _lock_document(review: LockReview, written: list[str]) -> dict[str, Any]:
    return {"ok": review.ok, "changes": [change.document() for change in review.changes], "written": written}


def _print_review(review: LockReview, written: list[str]) -> None:
    for fault in review.faults:
        typer.echo(f"{fault.where}: {fault.message}", err=True)
    for change in review.changes:
        _print_change(change)
    count = f"{len(review.tools)} {'tool' if len(review.tools) == 1 else 'tools'}"
    different = f"{len(review.changes)} different from what was approved" if review.changes else "as approved"
    typer.echo(" · ".join([count, different, *(f"{path} written" for path in written)]))


def _print_change(change: Change) -> None:
    from rich.text import Text

    from remit.cli.render import console, plain, print_rows

    out = console("data")
    out.print(Text.assemble((f"{change.kind:<8}", _KINDS[change.kind]), plain(change.tool)), soft_wrap=True)
    print_rows(out, [("where", change.where)])
    for line in change.details:
        out.print(Text(f"            {plain(line)}"), soft_wrap=True)
