"""``remit policy``: write, check, test and try policies before they decide about anybody."""

from __future__ import annotations

import typer

from remit.cli import (
    policy_build,
    policy_check,
    policy_eval,
    policy_explain,
    policy_replay,
    policy_show,
    policy_tests,
)

app = typer.Typer(help="Check, test and try policies before they decide.", no_args_is_help=True)
app.command("check")(policy_check.check)
app.command("test")(policy_tests.run_suite)
app.command("eval")(policy_eval.evaluate)
app.command("explain")(policy_explain.explain)
app.command("replay")(policy_replay.replay)
app.command("build")(policy_build.build)
app.command("show")(policy_show.show)
