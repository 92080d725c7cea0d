"""What every command shares: the global options, exit codes, how an error ends a command."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from remit.errors import (
    AuditError,
    AuthenticationError,
    AuthorizationError,
    CodeError,
    DownstreamError,
    ExchangeError,
    RemitError,
    SetupError,
    ToolError,
)

if TYPE_CHECKING:
    from remit.settings import Settings

T = TypeVar("T")


class Exit(IntEnum):
    """Stable exit codes, documented in docs/cli.md."""

    OK = 0
    PROBLEMS = 1  # a check found something, or a trail does not verify
    USAGE = 2  # wrong options or settings
    OVER_BUDGET = 3  # more tools than was allowed
    DENIED = 4
    EXCHANGE = 5
    UPSTREAM = 6
    ARGUMENTS = 7
    AUDIT = 8
    INTERNAL = 70


_EXIT_BY_BRANCH: tuple[tuple[type[RemitError], Exit], ...] = (
    (SetupError, Exit.USAGE),
    (AuthenticationError, Exit.DENIED),
    (AuthorizationError, Exit.DENIED),
    (ToolError, Exit.ARGUMENTS),
    (ExchangeError, Exit.EXCHANGE),
    (DownstreamError, Exit.UPSTREAM),
    (CodeError, Exit.UPSTREAM),
    (AuditError, Exit.AUDIT),
)


def exit_code(error: RemitError) -> Exit:
    """The exit code of an error: by the branch of the tree, that is, by whose fault it is."""
    return next((code for branch, code in _EXIT_BY_BRANCH if isinstance(error, branch)), Exit.INTERNAL)


@dataclass(slots=True)
class Global:
    """The options in front of the command."""

    config: Path | None = None
    verbose: bool = False
    quiet: bool = False


def settings_of(context: typer.Context, *, needed: bool = True) -> Settings:
    """The settings a command runs with; standard error gets the logs from here on.

    Where they are not ``needed``, nothing is said of a file that is missing.
    """
    from remit.logs import configure
    from remit.settings import load_settings

    chosen: Global = context.obj
    if needed:
        say_where_settings_are_missing(chosen)
    settings = load_settings(chosen.config)
    level = "debug" if chosen.verbose else "error" if chosen.quiet else settings.log.level
    configure(level, settings.log.format)
    return settings


def tools_from_here(settings: Settings) -> Settings:
    """The same settings with tool files named as they are called from this folder: in findings, reports and links."""
    here = Path.cwd()
    paths = (path.relative_to(here) if path.is_relative_to(here) else path for path in settings.tools)
    return settings.model_copy(update={"tools": tuple(paths)})


def say_where_settings_are_missing(chosen: Global) -> None:
    """Whoever is in the wrong folder should know before the defaults puzzle them."""
    from remit.settings import DEFAULT_FILE

    if chosen.config is None and not chosen.quiet and not DEFAULT_FILE.exists():
        typer.echo(f"no {DEFAULT_FILE} here: defaults and REMIT_* variables only (see --config)", err=True)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part to its end."""
    import asyncio

    return asyncio.run(main)


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    import orjson

    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
    sys.stdout.flush()
