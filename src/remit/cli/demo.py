"""``remit demo``: the main story on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.cli.common import Exit, Global, print_json, run

if TYPE_CHECKING:
    from remit.demo.play import Demo, Played


def demo(
    context: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="Play the story and exit: 0 only if every step was as it should be.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the story.")] = False,
    ready_file: Annotated[
        Path | None, typer.Option("--ready-file", metavar="PATH", help="Write the JSON document here once serving.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="Use the workspace here, or write one (default: a temporary folder)."
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            help="First of four ports for a new workspace; free ones are taken where these are in use.", max=65_532
        ),
    ] = 8700,
) -> None:
    """Start everything on loopback, play the story, and keep serving with lines to connect a client.

    A read that is allowed, a refund through two services, refunds that policy denies, and what the auditor sees.
    """
    chosen: Global = context.obj
    from remit.demo.play import Options, play
    from remit.logs import configure

    configure("debug" if chosen.verbose else "error")
    options = Options(once=once, ready_file=ready_file, folder=folder, port=port)
    if not run(play(options, _Json() if as_json else _Terminal())):
        raise typer.Exit(Exit.PROBLEMS)


class _Json:
    """Tells programs: one document when the story is over."""

    def opened(self, demo: Demo) -> None:
        """Nothing yet."""

    def saw(self, played: Played) -> None:
        """Nothing yet."""

    def closed(self, demo: Demo) -> None:
        """Everything."""
        print_json(demo.document())

    def serving(self, demo: Demo) -> None:
        """Nothing more."""


class _Terminal:
    """Tells people, scene by scene, as the agent, the API and the auditor see it."""

    def __init__(self) -> None:
        from remit.cli.render import console

        self._out = console("data")
        self._scene = 0

    def opened(self, demo: Demo) -> None:
        """What is up, and where."""
        self._out.print("remit demo", style="bold")
        for name, url in demo.urls.items():
            self._out.print(f"  {name:<10}{url}", style="dim")

    def saw(self, played: Played) -> None:
        """What each of the three saw of one call."""
        from remit.cli.render import chain_line, compact, parties, print_rows

        self._scene += 1
        self._out.print()
        self._out.print(f"{self._scene}. {played.scene.says}", style="bold cyan")
        arguments = ", ".join(f"{name}={value}" for name, value in played.scene.arguments.items())
        rows = [("agent", f"{played.scene.tool}({arguments})")]
        if played.reply.question:
            rows.append((f"{played.scene.user} is asked", played.reply.question))
        rows.append(("is told", played.reply.text))
        hops = [claims for claims in (played.claims, *played.downstream_claims) if claims]
        if not hops:
            rows.append(("API", "is not called; no token was issued"))
        for claims in hops:
            names = chain_line(parties(claims))
            lifetime = int(claims["exp"]) - int(claims["iat"])
            rows.append((str(claims["aud"]), f"{names}   {claims['scope']}   {lifetime} s"))
        verdict = f"{played.outcome}  {played.reason}".rstrip()
        if played.approval:
            approver, method = played.approval["approver"]["sub"], played.approval["method"]
            verdict = f"{verdict}  approved by {approver} ({method})"
        rows += [("auditor", f"{verdict}  {played.reply.audit_id}")]
        print_rows(self._out, rows, label_width=13)
        if hops:
            print_rows(self._out, [("act", compact(hops[-1].get("act")))], label_width=13)
        if not played.ok:
            self._out.print("  this is not as it should be", style="bold red")

    def closed(self, demo: Demo) -> None:
        """The chains of three hops, and the verdict on the trail."""
        from remit.cli.render import chain_line, parties, print_rows

        self._out.print()
        self._out.print(
            "The same, hop by hop, and services that call services (the workload profile)", style="bold cyan"
        )
        for chain in demo.chains:
            hops = [
                (str(claims["aud"]), f"{chain_line(parties(claims))}   sub: {claims['sub']}") for claims in chain.hops
            ]
            print_rows(self._out, hops, label_width=28)
        audit = demo.audit()
        verdict = "verified" if audit["verified"] else "BROKEN"
        self._out.print()
        style = "bold green" if demo.ok else "bold red"
        self._out.print(f"audit trail: {audit['records']} records, {verdict}", style=style)

    def serving(self, demo: Demo) -> None:
        """How to connect a client."""
        remit = Path(sys.argv[0]).absolute()
        config = demo.workspace / "remit.yaml"
        lines = [
            "Connect an MCP client over HTTP; it opens a page to sign in (docs/connect.md has every client):",
            f"  claude mcp add --transport http remit {demo.urls['mcp']}",
            "Or over stdio, for Claude Desktop and others, after signing in once:",
            f"  {remit} -c {config} login",
            f"  {remit} -c {config} install claude-desktop",
            "Sign in as:",
            # shown to the person who runs the demo, to sign in with
            *(f"  {user:<8}{password.reveal()}" for user, password in demo.passwords.items()),
            "One call from a terminal, every step shown:",
            f"  {remit} -c {config} call get_order order_id=O1001 --as alice --explain",
            "The trail:",
            f"  {remit} -c {config} audit tail",
        ]
        self._out.print()
        for line in lines:
            self._out.print(line, style="" if line.startswith(" ") else "bold", soft_wrap=True)
        self._out.print("\nserving; stop with Ctrl-C", style="dim")
