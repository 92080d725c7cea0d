"""``remit policy show``: what comes with the product, to read and to begin with."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from remit.cli.common import print_json

_SHOWN: Final = {
    "standard": "the standard policy, which decides by tables where a policy has no `package remit.authz`",
    "tables": "the tables that it decides by, as the sample company fills them in",
    "authz": "what makes the standard policy's decision the decision",
    "orchestrator": "the adapter for policies of `package orchestrator`",
    "input": "an input document, JSON: what `remit policy eval` takes",
}


def show(
    what: Annotated[str, typer.Argument(metavar="[WHAT]", help=f"One of {', '.join(_SHOWN)}.")] = "standard",
    every: Annotated[bool, typer.Option("--list", help="Say what can be shown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print the standard policy, or what else comes with the product. Needs no settings."""
    if every:
        _print_list(as_json=as_json)
        return
    if what not in _SHOWN:
        raise typer.BadParameter(f"there is no {what!r}; see --list", param_hint="WHAT")
    if what == "input":
        from remit.policy.example import example_document

        print_json(example_document())
    elif as_json:
        print_json({"name": what, "source": _source(what)})
    else:
        typer.echo(_source(what), nl=False)


def _source(name: str) -> str:
    from importlib.resources import files

    if name == "tables":
        return (files("remit.demo") / "policy" / "data.yaml").read_text("utf-8")
    return (files("remit.policy") / "library" / f"{name}.rego").read_text("utf-8")


def _print_list(*, as_json: bool) -> None:
    if as_json:
        print_json(_SHOWN)
    for name, meaning in _SHOWN.items() if not as_json else ():
        typer.echo(f"{name:<14}{meaning}")
