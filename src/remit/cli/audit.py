"""``remit audit``: what agents did, on whose behalf, and whether the record of it is whole."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.common import Exit, print_json, settings_of
from remit.errors import StateInvalid

if TYPE_CHECKING:
    from rich.console import Console

    from remit.audit.chain import StoredRecord
    from remit.audit.store.reader import Call, TrailReader

app = typer.Typer(help="Read and verify the audit trail.", no_args_is_help=True)

_FOLLOW_SECONDS = 0.5
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("tail")
def tail(
    context: typer.Context,
    count: Annotated[int, typer.Option("--lines", "-n", help="How many calls to begin with.", min=1, max=10_000)] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing calls as they end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
) -> None:
    """Print the latest calls, one sentence each: when, what, for whom, through whom, how it ended."""
    from remit.cli.render import console

    out = console("data")
    with _reader(context) as trail:
        seq = max((record.seq for record in trail.last(1)), default=0)
        for call in trail.latest(count):
            _print_call(call, out, as_json=as_json)
        while follow:
            time.sleep(_FOLLOW_SECONDS)
            for record in trail.after(seq):
                seq = record.seq
                if record.kind != "intent":
                    _print_call(_to_follow(trail, record), out, as_json=as_json)


@app.command("show")
def show(
    context: typer.Context,
    audit_id: Annotated[str, typer.Argument(help="A call's audit id, or the beginning of one.")],
    as_json: Json = False,
) -> None:
    """Print all that is recorded of one call. Tokens, arguments and answers stand as hashes and sizes only."""
    with _reader(context) as trail:
        calls = trail.calls(audit_id)
    if len(calls) != 1:
        found = "no call has" if not calls else "several calls have"
        raise StateInvalid(f"{found} an audit id that begins with {audit_id[:40]!r}", hint="see `remit audit tail`")
    if as_json:
        print_json(_document(calls[0]))
    else:
        from remit.cli.render import console
        from remit.cli.trail import print_call

        print_call(console("data"), calls[0])


@app.command("verify")
def verify(context: typer.Context, as_json: Json = False) -> None:
    """Check every record against the hash chain. Exit 1 where one was edited, removed, inserted or moved.

    An unfinished call is an intent without an outcome: the process ended in between, and its API may or may not
    have been called. Records cut off at the end cannot be seen from the file alone: keep the head elsewhere.
    """
    with _reader(context) as trail:
        report = trail.verify()
    broken = {"seq": report.broken.seq, "problem": report.broken.problem} if report.broken else None
    document: dict[str, Any] = {
        "verified": report.sound,
        "records": report.records,
        "intents": report.intents,
        "outcomes": report.outcomes,
        "controls": report.controls,
        "issuances": report.issuances,
        "shadows": report.shadows,
        "unfinished": list(report.unfinished),
        "head": report.head,
        **({"broken": broken} if broken else {}),
    }
    if as_json:
        print_json(document)
    else:
        from remit.cli.render import console
        from remit.cli.trail import print_report

        print_report(console("data"), report)
    if not report.sound:
        raise typer.Exit(Exit.PROBLEMS)


def _reader(context: typer.Context) -> TrailReader:
    settings = settings_of(context)
    from remit.audit.store.reader import open_reader

    return open_reader(settings.audit_file)


def _to_follow(trail: TrailReader, record: StoredRecord) -> Call:
    """What a record adds: a call that ended, whole; of a difference that was written meanwhile or later, that alone."""
    from remit.audit.store.reader import Call

    return Call(record.call_id, shadows=(record,)) if record.kind == "shadow" else trail.call_of(record)


def _document(call: Call) -> dict[str, Any]:
    records = {"intent": call.intent, "outcome": call.outcome, "control": call.control}
    ended = {} if not (call.intent or call.outcome) else {"outcome": call.facts.get("outcome", "unfinished")}
    return {
        "audit_id": call.call_id,
        **call.facts,
        **ended,
        "records": {
            name: {"seq": item.seq, "hash": item.hash, "prev": item.prev} for name, item in records.items() if item
        },
    }


def _print_call(call: Call, out: Console, *, as_json: bool) -> None:
    if as_json:
        import orjson

        typer.echo(orjson.dumps(_document(call)).decode())
    else:
        from remit.cli.trail import print_line

        print_line(out, call)
