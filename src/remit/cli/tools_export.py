"""``remit tools export``: tools written in Python as the tool file that says the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.cli.common import Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remit.catalog.problem import Problem
    from remit.catalog.python_document import PythonDocument


def export(
    file: Annotated[Path, typer.Argument(help="A Python file with tools. It is run.", metavar="FILE")],
    name: Annotated[
        str | None, typer.Option("--set", metavar="NAME", help="The tool set, where the file has several.")
    ] = None,
) -> None:
    """Print tools that are written in Python as a tool file, for review or to go on without Python.

    Code tools have no such form: they are named on standard error and left out.
    """
    from remit.catalog.tool_text import whole_text

    document = _chosen(_read(file), file, name)
    tools = document.data["tools"]
    for index in document.codes:
        typer.echo(f"{tools[index]['name']} is code and stays in {file.as_posix()}", err=True)
    written = [tool for index, tool in enumerate(tools) if index not in document.codes]
    if not written:
        typer.echo("no tool of it can be written in a tool file", err=True)
        raise typer.Exit(Exit.PROBLEMS)
    typer.echo(whole_text({**document.data, "tools": written}), nl=False)


def _read(file: Path) -> tuple[PythonDocument, ...]:
    from remit.catalog.loader import read_text
    from remit.catalog.problem import Problem
    from remit.catalog.python import read_python

    text = read_text(file)
    if isinstance(text, Problem):
        _end([text])
        return ()
    read = read_python(text, file.as_posix())
    _end(read.problems)
    return read.documents


def _end(problems: Iterable[Problem]) -> None:
    """Tell what is wrong; and go no further where anything is."""
    from remit.cli.render import render_error
    from remit.errors import DefinitionInvalid

    told = [DefinitionInvalid(problem.message, where=problem.where, hint=problem.hint) for problem in problems]
    for error in told:
        render_error(error)
    if told:
        raise typer.Exit(Exit.PROBLEMS)


def _chosen(documents: tuple[PythonDocument, ...], file: Path, name: str | None) -> PythonDocument:
    from remit.errors import DefinitionInvalid

    names = [str(document.data["name"]) for document in documents]
    if name is None and len(documents) == 1:
        return documents[0]
    if name is None or names.count(name) != 1:
        known = ", ".join(names)
        message = f'there is no one tool set "{name}"' if name else "there are several tool sets"
        raise DefinitionInvalid(f"{message} (here: {known})", where=file.as_posix(), hint="choose one with --set")
    return documents[names.index(name)]
