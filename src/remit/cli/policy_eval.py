"""``remit policy eval``: what a policy says about one input document, and why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from remit.cli.common import Exit, print_json, run
from remit.cli.policy_source import Json, PolicyPath, Source, source_of

if TYPE_CHECKING:
    from rich.console import Console

    from remit.policy.bundle import Bundle
    from remit.policy.coverage import Coverage, FileCoverage
    from remit.policy.decision import Decision
    from remit.policy.partial import Completed

_MAX_BYTES: Final = 8 * 1024 * 1024
_MAX_FILLED: Final = 8


def evaluate(
    context: typer.Context,
    document: Annotated[
        str, typer.Argument(metavar="INPUT", help="A file with an input document, JSON; -: standard input.")
    ],
    policy: PolicyPath = None,
    why: Annotated[bool, typer.Option("--why", help="Show the lines of the policy that the decision reaches.")] = False,
    as_json: Json = False,
) -> None:
    """Print the decision about one input document. Members that are missing are empty.

    `remit policy show input` prints a whole document to begin with. Exit 0 for a permit and for a denial, 1 where there
    is no usable decision.
    """
    source = source_of(context, policy)
    asked = _completed(document)
    bundle = source.bundle()
    decision, reached = run(_decided(source, bundle, asked, why=why))
    if as_json:
        print_json(_document(source, asked, decision, reached))
    else:
        _print(asked, decision)
        if reached:
            _print_lines(source, bundle, reached)
    if getattr(decision, "failed", False):
        raise typer.Exit(Exit.PROBLEMS)


def _completed(name: str) -> Completed:
    import orjson

    from remit.policy.partial import completed

    try:
        return completed(orjson.loads(_read(name)))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="INPUT") from error


def _read(name: str) -> bytes:
    if name == "-":
        text = sys.stdin.read(_MAX_BYTES + 1).encode()
    else:
        with Path(name).open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError(f"the input is larger than {_MAX_BYTES} bytes")
    return text


async def _decided(source: Source, bundle: Bundle, asked: Completed, *, why: bool) -> tuple[Decision, Coverage | None]:
    """By an engine like the one that decides about calls."""
    from remit.clock import SystemClock
    from remit.policy.desk import reached
    from remit.policy.process import ProcessEngine

    deadline = source.settings.policy.deadline
    engine = await ProcessEngine.start(bundle, SystemClock(), deadline=deadline, workers=1, run_tests=False)
    try:
        decision = await engine.decide(asked.document)
    finally:
        await engine.aclose()
    return decision, await reached(bundle, asked.document) if why else None


def _document(source: Source, asked: Completed, decision: Decision, reached: Coverage | None) -> dict[str, Any]:
    from remit.cli.render import decision_document

    return {
        **decision_document(decision),
        "duration_us": decision.duration_us,
        "filled": list(asked.filled),
        "unknown": list(asked.unknown),
        **({"reached": _lines(source, reached)} if reached else {}),
    }


def _lines(source: Source, reached: Coverage) -> list[dict[str, Any]]:
    return [
        {"file": source.shown(each.file), "lines": [list(lines) for lines in each.covered]}
        for each in reached.files
        if each.covered
    ]


# ── for people ───────────────────────────────────────────────────────────────────────────


def _print(asked: Completed, decision: Decision) -> None:
    from remit.cli.render import compact, console, print_rows

    out = console("data")
    verdict = "permitted" if decision.allow else "denied"
    out.print(verdict, style="bold green" if decision.allow else "bold red")
    rows = [("rule", decision.rule), ("detail", decision.detail)]
    rows += [("because", f"{each.code}: {each.message} (for {each.audience})") for each in decision.reasons]
    rows += [("demands", compact({"type": each.type, **each.properties})) for each in decision.obligations]
    rows += [("revision", decision.revision), ("took", f"{decision.duration_us} µs")]
    print_rows(out, rows)
    talk = console("talk")
    filled = [*asked.filled[:_MAX_FILLED], *(["…"] if len(asked.filled) > _MAX_FILLED else [])]
    print_rows(talk, [("left empty", ", ".join(filled)), ("unknown", ", ".join(asked.unknown))])


def _print_lines(source: Source, bundle: Bundle, reached: Coverage) -> None:
    """The source of each rule of which a line was reached; rules are told apart by empty lines."""
    from remit.cli.render import console, plain

    out = console("data")
    for file in reached.files:
        if file.covered:
            out.print(f"\n{plain(source.shown(file.file))}", style="bold")
            for block in _blocks(bundle.modules[file.file]):
                _print_block(out, file, block)


def _blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            block.append((number, line.rstrip("\r")))
        elif block:
            yield block
            block = []


def _print_block(out: Console, file: FileCoverage, block: list[tuple[int, str]]) -> None:
    from rich.text import Text

    from remit.cli.render import plain

    covered = {number for first, last in file.covered for number in range(first, last + 1)}
    if not any(number in covered for number, _ in block):
        return
    for number, line in block:
        mark, style = (">", "green") if number in covered else (" ", "dim")
        out.print(Text.assemble((f"{number:>5} {mark} ", style), plain(line.expandtabs(4))), soft_wrap=True)
    out.print()
