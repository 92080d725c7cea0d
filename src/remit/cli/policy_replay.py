"""``remit policy replay``: which past calls would have ended otherwise under another policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from remit.cli.common import Exit, print_json, run, settings_of
from remit.cli.policy_source import Json, with_policy

if TYPE_CHECKING:
    from rich.console import Console

    from remit.app.past_calls import Past, Seen
    from remit.app.replaying import Group, Replayed
    from remit.credential import Credential
    from remit.settings import Settings

_EXAMPLES: Final = 5
_STYLES: Final = {"allow": "yellow", "approval": "cyan", "sign-in": "cyan", "deny": "red"}


def replay(
    context: typer.Context,
    since: Annotated[str, typer.Option(metavar="AGO", help="How far back: 7d, 12h, 30m.")] = "7d",
    policy: Annotated[
        Path | None,
        typer.Option(
            "--with", metavar="PATH", exists=True, help="A policy folder or bundle (default: the policy in force)."
        ),
    ] = None,
    key_files: Annotated[
        list[Path] | None,
        typer.Option("--key-file", metavar="FILE", help="An earlier secret of `policy.inputs_key`; more than once."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put the calls of the trail to a policy, and list those that would end otherwise by the rule that makes it so.

    Of arguments that were not kept (`policy.keep_inputs: redacted`), values that stand in for them are tried. Calls that
    these are decided differently about are counted as uncertain. Exit codes: 0 none would end otherwise, also where
    some are uncertain; 1 some would.
    """
    from remit.app.replaying import replay
    from remit.clock import SystemClock

    settings = settings_of(context)
    clock = SystemClock()
    begins = clock.now() - _seconds(since)
    keys = list(_keys(settings, key_files or ()))
    with _progress(shown=not as_json) as seen:
        replayed = run(replay(settings, with_policy(settings, policy), keys, begins, clock, seen))
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


def _keys(settings: Settings, files: Sequence[Path]) -> Iterator[Credential]:
    """The secret in force and earlier ones, each fit to be one. Raises ``SettingsInvalid``."""
    from remit.errors import SettingsInvalid
    from remit.policy.inputs import InputKeeper
    from remit.settings import SecretRef, read_secret

    refs = [(settings.policy.inputs_key, "policy.inputs_key"), *((SecretRef(file=file), str(file)) for file in files)]
    for ref, where in refs:
        if ref is not None:
            key = read_secret(ref, where)
            try:
                InputKeeper("encrypted", key)
            except SettingsInvalid as error:
                raise SettingsInvalid(error.message, where=where, hint=error.hint) from error
            yield key


@contextmanager
def _progress(*, shown: bool) -> Iterator[Seen]:
    """On a terminal, a line that says how far it is; it is gone at the end."""
    from remit.cli.render import console

    talk = console("talk")
    if not (shown and talk.is_terminal):
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=talk, transient=True) as progress:
        task = progress.add_task("records", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


# ── for programs ─────────────────────────────────────────────────────────────────────────


def document(replayed: Replayed) -> dict[str, Any]:
    """The same for the same trail and policies."""
    return {
        "revision": replayed.revision,
        "calls": replayed.calls,
        "guessed": replayed.guessed,
        "flips": replayed.flip_count,
        "uncertain": replayed.uncertain_count,
        "left_out": dict(replayed.left_out),
        "groups": [_facts(group) for group in replayed.flips],
        "uncertain_groups": [_facts(group) for group in replayed.uncertain],
    }


def _facts(group: Group) -> dict[str, Any]:
    return {
        "rule": group.rule,
        "was": group.was.value,
        "now": [ending.value for ending in group.now],
        "count": group.count,
        "calls": [_call(past) for past in group.calls],
    }


def _call(past: Past) -> dict[str, Any]:
    return {
        "audit_id": past.call_id,
        "tool": past.tool,
        "subject": past.subject,
        "actor": past.actor,
        "exact": past.exact,
    }


# ── for people ───────────────────────────────────────────────────────────────────────────


def _print(replayed: Replayed) -> None:
    from remit.cli.render import console, plain

    out = console("data")
    told = (
        f"{_calls(replayed.calls)} under policy {plain(replayed.revision)}: {replayed.flip_count} would end otherwise"
    )
    out.print(told, style="bold", soft_wrap=True)
    for group in replayed.flips:
        _print_group(out, group)
    if replayed.uncertain:
        out.print(f"{_calls(replayed.uncertain_count)} might, which depends on values that were not kept", style="bold")
        for group in replayed.uncertain:
            _print_group(out, group)
    _print_limits(out, replayed)


def _print_group(out: Console, group: Group) -> None:
    from remit.cli.render import plain

    now = " or ".join(ending.value for ending in group.now)
    style = _STYLES[group.now[-1].value]
    out.print(f"{group.was} → {now}  {group.count} by {plain(group.rule)}", style=style, soft_wrap=True)
    for past in group.calls[:_EXAMPLES]:
        line = f"  {past.call_id}  {past.tool}  {past.subject} ← {past.actor}"
        out.print(plain(line), style="dim", soft_wrap=True)
    if group.count > _EXAMPLES:
        out.print(f"  and {group.count - _EXAMPLES} more", style="dim")


def _print_limits(out: Console, replayed: Replayed) -> None:
    """What is not certain, and what would make it so."""
    from remit.cli.render import plain

    for why, count in replayed.left_out.items():
        out.print(f"left out: {_calls(count)}, {plain(why)}", style="dim", soft_wrap=True)
    if any("key" in why for why in replayed.left_out):
        out.print("name earlier secrets of policy.inputs_key with --key-file", style="dim")
    if replayed.guessed:
        out.print(
            f"{_calls(replayed.guessed)} had no values kept, so others stood in for them; with `policy.keep_inputs: encrypted`, "
            "calls made from then on are replayed exactly",
            style="dim",
            soft_wrap=True,
        )


def _calls(count: int) -> str:
    return f"{count} call{'' if count == 1 else 's'}"
