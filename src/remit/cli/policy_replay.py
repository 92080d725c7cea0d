"""``remit policy replay``: which past calls would have ended otherwise under another policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.common import Exit, print_json, run, settings_of

if TYPE_CHECKING:
    from remit.app.replaying import Replayed

_EXAMPLES = 5


def replay(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="How far back: 7d, 12h, 30m.")] = "7d",
    policy: Annotated[
        Path | None,
        typer.Option("--with", metavar="PATH", help="A policy folder or bundle (default: the policy in force)."),
    ] = None,
    key_files: Annotated[
        list[Path] | None,
        typer.Option("--key-file", metavar="FILE", help="An earlier secret of `policy.inputs_key`."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Put the calls of the trail to a policy and list those that would flip, grouped by the rule that decides.

    Without argument values (`policy.keep_inputs: redacted`) a call is judged with values that stand in for them; where
    these are judged differently, it is counted as uncertain. Exit codes: 0 none would flip, 1 some would.
    """
    from remit.app.replaying import replay
    from remit.cli.policy_explain import with_policy
    from remit.clock import SystemClock
    from remit.settings import SecretRef, read_secret

    settings = settings_of(context)
    refs = [settings.policy.inputs_key, *(SecretRef(file=file) for file in key_files or ())]
    keys = [read_secret(ref, "policy.inputs_key") for ref in refs if ref is not None]
    clock = SystemClock()
    replayed = run(replay(with_policy(settings, policy), keys, clock.now() - _seconds(since), clock))
    if as_json:
        print_json(document(replayed))
    else:
        _print(replayed)
    if replayed.flips:
        raise typer.Exit(Exit.PROBLEMS)


def _seconds(text: str) -> float:
    from pydantic import TypeAdapter, ValidationError

    from remit.settings.fields import Days

    try:
        return float(TypeAdapter(Days).validate_python(text))
    except ValidationError as error:
        raise typer.BadParameter("write a number and a unit, for example 7d or 12h", param_hint="--since") from error


def document(replayed: Replayed) -> dict[str, Any]:
    """For programs."""
    return {
        "revision": replayed.revision,
        "calls": replayed.calls,
        "uncertain": [past.call_id for past in replayed.uncertain],
        "left_out": replayed.left_out,
        "flips": [
            {
                "audit_id": flip.past.call_id,
                "tool": flip.past.tool,
                "subject": flip.past.subject,
                "actor": flip.past.actor,
                "was": flip.past.allow,
                "now": flip.now.allow,
                "rule": flip.by,
                "reasons": [reason.code for reason in flip.now.reasons],
            }
            for flip in replayed.flips
        ],
    }


def _print(replayed: Replayed) -> None:
    from remit.cli.render import console, plain

    out = console("data")
    told = f"{replayed.calls} calls under policy {replayed.revision}: {len(replayed.flips)} would flip"
    if replayed.uncertain:
        told += f", {len(replayed.uncertain)} depend on argument values, which were not kept"
    if replayed.left_out:
        told += f", {replayed.left_out} left out (nothing kept that can be read)"
    out.print(told, style="bold")
    for rule, flips in replayed.by_rule().items():
        verdict = "allow → deny" if flips[0].past.allow else "deny → allow"
        out.print(f"{verdict}  {len(flips)} by {plain(rule)}", style="red" if flips[0].past.allow else "yellow")
        for flip in flips[:_EXAMPLES]:
            past = flip.past
            out.print(f"  {past.call_id}  {plain(past.tool)}  {plain(past.subject)} ← {plain(past.actor)}", style="dim")
