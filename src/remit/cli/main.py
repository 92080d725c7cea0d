"""``remit``: the commands and the options in front of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from remit.cli import (
    approvals,
    audit,
    bundle,
    call,
    chain,
    check,
    config,
    demo,
    import_openapi,
    init,
    install,
    keys,
    lint,
    login,
    new,
    policy,
    revoke,
    serve,
    test_tools,
    token,
    tools,
    users,
)
from remit.cli.common import Exit, Global, exit_code
from remit.errors import RemitError

app = typer.Typer(
    name="remit",
    help="Let AI agents call your company's APIs as the person they work for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("init")(init.init)
app.command("serve")(serve.serve)
app.command("call")(call.call)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("whoami")(login.whoami)
app.command("install")(install.install)
app.command("uninstall")(install.uninstall)
app.add_typer(bundle.app, name="bundle")
app.add_typer(import_openapi.app, name="import")
app.command("check")(check.check)
app.command("lint")(lint.lint)
app.command("test")(test_tools.run_examples)
app.command("chain")(chain.chain)
app.add_typer(new.app, name="new")
app.add_typer(tools.app, name="tools")
app.add_typer(token.app, name="token")
app.add_typer(approvals.app, name="approvals")
app.add_typer(audit.app, name="audit")
app.add_typer(policy.app, name="policy")
app.add_typer(keys.app, name="keys")
app.add_typer(users.app, name="users")
app.add_typer(revoke.app, name="revoke")
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:  # noqa: FBT001  a Typer callback gets its value by position
    if wanted:
        from remit import __version__

        typer.echo(f"remit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings file (default: remit.yaml here).", metavar="FILE")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log everything.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log errors only.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Let AI agents call your company's APIs as the person they work for."""
    del version
    context.obj = Global(config=config, verbose=verbose, quiet=quiet)


@cache
def _command() -> Callable[[], object]:
    """The tree of commands, once in a process: to make it takes longer than most commands take."""
    return typer.main.get_command(app)


def main() -> None:
    """Run a command. A foreseen error ends it with its own exit code and no traceback."""
    try:
        _command()()
    except RemitError as error:
        from remit.cli.render import render_error

        render_error(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(Exit.OK)  # the reader of a pipe had enough
