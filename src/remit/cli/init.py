"""``remit init``: a first workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remit.cli.common import print_json


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it is not there.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there; secrets are kept.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the written files as JSON.")] = False,
) -> None:
    """Write a workspace that works as it stands: settings, tools, policy, and secrets of its own.

    It is set up for the sample company of `remit demo`; replace its tools and policy with your own.
    """
    from remit.demo.workspace import write_workspace

    written = write_workspace(folder, force=force)
    if as_json:
        print_json({"folder": str(folder), "files": [path.as_posix() for path in written]})
        return
    for path in written:
        typer.echo(path.as_posix())
    steps = ["remit check", "remit demo --dir ."]
    if folder.resolve() != Path.cwd():
        steps.insert(0, f"cd {folder}")
    typer.echo("\nNext:  " + "\n       ".join(steps), err=True)
