"""The figures for people: tables at a terminal, plain columns elsewhere."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from bench.figures import Results, Soak

_MAX_WIDTH = 118


def print_report(results: Results, console: Console) -> None:
    """Every table, the targets last."""
    for table in _tables(results):
        if table.row_count:
            table.box = box.SIMPLE_HEAD if console.is_terminal else None
            console.print(table)
            console.print()


def console() -> Console:
    """Wide enough not to break lines where nobody says how wide it is."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_MAX_WIDTH)


def _tables(results: Results) -> list[Table]:
    tables = [_served(results), _memory(results), _steps(results), _rates(results), _decided(results), _listed(results)]
    if results.soak:
        tables.append(_soak("Soak", "calls", results.soak))
    if results.decision_soak:
        tables.append(_soak("Soak of the policy engine and its processes", "decisions", results.decision_soak))
    return [*tables, _targets(results)]


def _served(results: Results) -> Table:
    table = _table(
        "Calls over Streamable HTTP", "server", "era", "clients", "calls/s", "p50 ms", "p99 ms", "server CPU µs/call"
    )
    for ratio in results.ratios:
        load = (ratio.era, ratio.clients)
        for each in results.served:
            if (each.era, each.clients) == load:
                figures = (f"{each.per_second:,.0f}", f"{each.p50_ms:.2f}", f"{each.p99_ms:.2f}", f"{each.cpu_us:,.0f}")
                table.add_row(each.server, each.era, str(each.clients), *figures)
        times = (f"{figure:.2f}" for figure in (ratio.per_second, ratio.p50, ratio.p99, ratio.cpu))
        table.add_row("x bare", "", "", *times, style="bold", end_section=True)
    return table


def _memory(results: Results) -> Table:
    table = _table("Resident memory", "server", "started, MiB", "after the load, MiB")
    for each in results.memory:
        table.add_row(each.server, f"{each.started:.0f}", f"{each.loaded:.0f}")
    return table


def _steps(results: Results) -> Table:
    table = _table("The steps of a call, one after the other in one process", "step", "median µs", "CPU µs")
    for each in results.steps:
        table.add_row(each.name, f"{each.wall_us:,.0f}", f"{each.cpu_us:,.0f}")
    return table


def _rates(results: Results) -> Table:
    table = _table("Token exchange, beside the signature alone", "what", "per second", "CPU µs each", "x bare CPU")
    bare = results.rates[-1].cpu_us if results.rates else 0.0
    for each in results.rates:
        ratio = f"{each.cpu_us / bare:.2f}" if bare else ""
        table.add_row(each.name, f"{each.per_second:,.0f}", f"{each.cpu_us:,.0f}", ratio)
    return table


def _decided(results: Results) -> Table:
    table = _table("Decisions of policy", "engine", "policy", "callers", "decisions/s", "p50 ms", "p99 ms")
    for each in results.decided:
        figures = (f"{each.per_second:,.0f}", f"{each.p50_ms:.3f}", f"{each.p99_ms:.3f}")
        table.add_row(each.engine, each.policy, str(each.callers), *figures)
    return table


def _listed(results: Results) -> Table:
    table = _table(
        "Lists of tools over Streamable HTTP", "tools", "first, ms", "again, ms", "started, MiB", "after, MiB"
    )
    if (each := results.listed) is not None:
        times = (f"{each.first_ms:,.0f}", f"{each.again_ms:,.1f}")
        table.add_row(f"{each.tools:,}", *times, f"{each.started:.0f}", f"{each.loaded:.0f}")
    return table


def _soak(title: str, what: str, soak: Soak) -> Table:
    table = _table(title, what, "resident memory, MiB")
    for number, memory in enumerate(soak.memory):
        table.add_row(f"{soak.calls * number // (len(soak.memory) - 1):,}", f"{memory:.1f}")
    return table


def _targets(results: Results) -> Table:
    table = _table("Targets", "figure", "measured", "at most", "")
    for target in results.targets():
        verdict = "[green]pass[/]" if target.reached else "[red]miss[/]"
        table.add_row(target.name, f"{target.value:.2f} {target.unit}", f"{target.limit:g} {target.unit}", verdict)
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="left" if name in ("", "era") else "right")
    return table
