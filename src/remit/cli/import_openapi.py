"""``remit import openapi``: a tool file from an API description."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from remit.cli.common import Exit, Global, print_json, settings_of, tools_from_here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remit.app.import_files import Planned
    from remit.app.import_source import Asked
    from remit.app.import_tools import Operations
    from remit.catalog.openapi.selection import Selection
    from remit.settings import Settings

app = typer.Typer(help="Make tool files from what describes an API.", no_args_is_help=True)

_SIZE: Final = re.compile(r"([0-9]{1,12}) ?(?:(K|M|G)i?)?B?", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


class Profile(StrEnum):
    """How input schemas are made for models."""

    STRICT = "strict"
    PORTABLE = "portable"
    COMPACT = "compact"


@app.callback()
def group() -> None:
    """Make tool files from what describes an API."""


@app.command("openapi")
def openapi(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The description's main file, OpenAPI 2.0 or 3.x.", metavar="FILE")],
    name: Annotated[str, typer.Option(metavar="NAME", help="The API's name (default: from -o or the title).")] = "",
    base_url: Annotated[
        str, typer.Option("--base-url", metavar="URL", help="Where the API is (default: the first server).")
    ] = "",
    audience: Annotated[
        str, typer.Option(metavar="URI", help="Whom tokens are for (default: the origin of the address).")
    ] = "",
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="A scope of every tool that has none of its own.")
    ] = None,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="Put this before the name of each tool.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Only operations with one of these tags.")
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only these: of operationId, `METHOD /path` or the tool's name."),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Not these.")] = None,
    operation: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="This one, besides those, or alone; deprecated or not.")
    ] = None,
    only_read: Annotated[bool, typer.Option("--only-read", help="Only GET and HEAD.")] = False,
    deprecated: Annotated[bool, typer.Option("--deprecated", help="Deprecated ones, too.")] = False,
    budget: Annotated[str, typer.Option(metavar="SIZE", help="How much a model may be shown of the tools.")] = "60KB",
    max_tools: Annotated[
        int, typer.Option("--max-tools", metavar="N", min=1, help="How many tools there may be.")
    ] = 40,
    profile: Annotated[
        Profile | None, typer.Option(help="What input schemas may be like (default: portable, to 16 KB each).")
    ] = None,
    overlay: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Change the description by this overlay (1.0, 1.1).")
    ] = None,
    discover: Annotated[
        bool, typer.Option("--discover", help="Have models find operations when they need them; no budget.")
    ] = False,
    interactive: Annotated[bool, typer.Option("--interactive", "-i", help="Choose tags and operations here.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The tool file, or a folder for it.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make the changes to a file that is there, or write over one.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a tool file from an API description, or see what changed since it was made.

    Deprecated operations stay out. What would be too much for a model is refused with exit code 3.
    """
    from remit.app.import_source import Asked
    from remit.catalog.openapi.report import Budget
    from remit.catalog.openapi.selection import Selection
    from remit.settings import environment

    if interactive and not sys.stdin.isatty():
        raise typer.BadParameter("there is nobody to ask: standard input is no terminal", param_hint="--interactive")
    settings = tools_from_here(settings_of(context, needed=False))
    asked = Asked(
        file=file,
        output=output or _folder(settings),
        name=name,
        base_url=base_url,
        audience=audience,
        scopes=tuple(scope or ()),
        prefix=prefix,
        profile=profile.value if profile else None,
        overlays=tuple(overlay or ()),
        budget=Budget(max_tools, _size(budget)),
        force=force,
        discover=discover,
    )
    selection = Selection(
        tuple(tag or ()), tuple(include or ()), tuple(exclude or ()), tuple(operation or ()), only_read, deprecated
    )
    planned = _planned(context, asked, selection, {**settings.variables, **environment()}, interactive=interactive)
    _finish(planned, asked, dry_run=dry_run, as_json=as_json)


def _folder(settings: Settings) -> Path:
    """The first folder that tool files are read from."""
    first = settings.tools[0]
    return first if first.is_dir() or not first.suffix else first.parent


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text[:40]!r} is no size: write 60KB or 1MB", param_hint="--budget")
    return int(match[1]) * _UNITS[(match[2] or "").upper()]


def _planned(
    context: typer.Context, asked: Asked, selection: Selection, variables: Mapping[str, str], *, interactive: bool
) -> Planned:
    from remit.app.import_source import open_source
    from remit.app.import_tools import Operations
    from remit.app.importing import plan
    from remit.cli.render import console

    chosen: Global = context.obj
    talk = console("talk")
    talk.quiet = chosen.quiet or not talk.is_terminal
    with talk.status("reading the description …"):
        operations = Operations(open_source(asked))
    _refuse_missing(operations, selection)
    if interactive:
        from remit.cli.import_choosing import chosen_by_hand

        selection = chosen_by_hand(operations, selection)
    with talk.status(f"making tools of {len(operations.candidates)} operations …"):
        return plan(operations, selection, variables)


def _refuse_missing(operations: Operations, selection: Selection) -> None:
    from remit.catalog.grammar import did_you_mean
    from remit.catalog.openapi.selection import tags_of

    missing = operations.select(selection).missing
    if not missing:
        return
    name = missing[0]
    is_tag = name in selection.tags
    known = [name for each in operations.candidates for name in each.names]
    hint = did_you_mean(name, [tag for tag in tags_of(operations.candidates) if tag] if is_tag else known)
    what = "tag" if is_tag else "operation"
    raise typer.BadParameter(f"the description has no {what} {name[:100]!r}; {hint[:500]}", param_hint=f"--{what}")


def _finish(planned: Planned, asked: Asked, *, dry_run: bool, as_json: bool) -> None:
    from remit.cli.import_report import print_report, print_written

    report = planned.report
    if not as_json:
        print_report(report)
    may_write = not (dry_run or report.too_much) and (not report.is_update or asked.force or _agreed(planned, as_json))
    if may_write and not report.base_url:
        from remit.errors import DescriptionInvalid

        hint = "say where the API is with --base-url https://…"
        raise DescriptionInvalid("it is not known where the API is", where=asked.file.as_posix(), hint=hint)
    written = [_shown(path) for path in planned.write()] if may_write else []
    if as_json:
        print_json({**report.document(written), "different": [_shown(path) for path in planned.different]})
    else:
        print_written(planned, written, is_dry=dry_run)
    if report.too_much:
        raise typer.Exit(Exit.OVER_BUDGET)


def _agreed(planned: Planned, as_json: bool) -> bool:  # noqa: FBT001  the option as it is
    """Whether the person at the terminal wants the changes."""
    if not planned.different or as_json or not sys.stdin.isatty():
        return False
    return typer.confirm("Make these changes?", default=False, err=True)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()
