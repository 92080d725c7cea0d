"""Choosing what to import, at a terminal: tags first, then operations, with what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from remit.app.import_tools import Operations
    from remit.catalog.openapi.report import Budget, Taken
    from remit.catalog.openapi.selection import Selection


def chosen_by_hand(operations: Operations, selection: Selection) -> Selection:
    """The selection that the person makes of what is selected already."""
    from remit.catalog.openapi.report import costs_of_tags

    taken, _ = operations.taken(operations.select(selection).taken)
    budget = operations.source.asked.budget
    costs = costs_of_tags(taken)
    if len(costs) > 1:
        rows = [(each.tag or "(no tag)", f"{each.tools} tools", each.bytes) for each in costs]
        tags = {costs[index].tag for index in _asked("tags", rows)}
        taken = tuple(each for each in taken if tags.intersection(each.candidate.operation.tags or ("",)))
        _say_total(taken, budget)
    rows = [(each.candidate.name, each.candidate.request, each.bytes) for each in taken]
    taken = tuple(taken[index] for index in _asked("operations", rows))
    _say_total(taken, budget)
    named = tuple(each.candidate.reference for each in taken)
    return replace(selection, tags=(), include=(), operations=named)


def _asked(what: str, rows: Sequence[tuple[str, str, int]]) -> list[int]:
    """The rows that are chosen, by index."""
    from rich.table import Table

    from remit.cli.render import console, plain

    table = Table(box=None, pad_edge=False, show_header=False)
    for number, (name, more, size) in enumerate(rows, 1):
        table.add_row(str(number), plain(name), plain(more), f"{size} bytes")
    console("talk").print(table)
    while True:
        answer = typer.prompt(f"Which {what}? (1 3 5-8, all but -2)", default="all", err=True)
        try:
            found = numbers(answer, len(rows))
        except ValueError as error:
            typer.echo(str(error), err=True)
            continue
        if found:
            return found
        typer.echo("that is none", err=True)


def numbers(answer: str, count: int) -> list[int]:
    """``1 3 5-8 -6`` → the indices of these numbers; ``-6`` takes one away, from all where nothing is named.

    Raises ``ValueError`` with what is wrong.
    """
    chosen: set[int] = set()
    gone: set[int] = set()
    words = [word for word in answer.replace(",", " ").split() if word not in {"but", "except"}]
    for word in words:
        if word == "all":
            chosen.update(range(count))
            continue
        first, dash, last = word.removeprefix("-").partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and len(first + last) < 16):
            raise ValueError(f"{word[:40]!r} is no number")
        low, high = int(first), int(last)
        if not 1 <= low <= high <= count:
            raise ValueError(f"{word[:40]} is not between 1 and {count}")
        (gone if word.startswith("-") else chosen).update(range(low - 1, high))
    if not chosen and gone:
        chosen.update(range(count))
    return sorted(chosen - gone)


def _say_total(taken: Sequence[Taken], budget: Budget) -> None:
    from remit.catalog.shown import estimated_tokens

    size = sum(each.bytes for each in taken)
    allowed = f"of {budget.tools} tools and {budget.bytes} bytes"
    typer.echo(f"{len(taken)} tools, {size} bytes, about {estimated_tokens(size)} tokens; {allowed}", err=True)
