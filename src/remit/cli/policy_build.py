"""``remit policy build``: a policy folder → an OPA bundle, signed where wanted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.cli.common import Exit, print_json, run
from remit.cli.policy_source import Json, PolicyPath, source_of

if TYPE_CHECKING:
    from remit.policy.signature import SigningKey


def build(
    context: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The bundle to write.")] = Path(
        "bundle.tar.gz"
    ),
    policy: PolicyPath = None,
    revision: Annotated[str, typer.Option(metavar="NAME", help="What to call this revision.")] = "",
    sign_with: Annotated[
        Path | None, typer.Option("--sign-with", metavar="FILE", exists=True, help="Sign with this private key (PEM).")
    ] = None,
    key_id: Annotated[str, typer.Option("--key-id", metavar="NAME", help="What that key is called.")] = "",
    algorithm: Annotated[str, typer.Option(metavar="NAME", help="How it signs: ES256, RS256, EdDSA, …")] = "ES256",
    scope: Annotated[str, typer.Option(metavar="NAME", help="What the signature is for.")] = "",
    as_json: Json = False,
) -> None:
    """Write an OPA bundle that an OPA server decides the same with. Tests are left out.

    Exit 1, and nothing is written, where `remit policy check` finds an error.
    """
    from remit.cli.policy_check import print_finding, reviewed
    from remit.cli.render import console
    from remit.errors import PolicyInvalid
    from remit.policy.bundle import Bundle, write_bundle

    signing = _signing(sign_with, key_id, algorithm, scope)
    source = source_of(context, policy)
    bundle = source.bundle()
    errors = [each for each in run(reviewed(source, bundle)).findings if each.severity == "error"]
    for finding in errors:
        print_finding(console("talk"), finding)
    if errors:
        raise typer.Exit(Exit.PROBLEMS)
    if revision:
        bundle = Bundle.of(bundle.modules, bundle.data, tests=bundle.tests, label=revision)
    try:
        write_bundle(bundle, output, signing=signing)
    except OSError as error:
        raise PolicyInvalid("the bundle cannot be written", where=str(output), detail=str(error)) from error
    if as_json:
        print_json({"bundle": output.as_posix(), "revision": bundle.revision, "signed": signing is not None})
    else:
        typer.echo(f"{output.as_posix()} · revision {bundle.revision} · {'signed' if signing else 'not signed'}")


def _signing(file: Path | None, key_id: str, algorithm: str, scope: str) -> SigningKey | None:
    from remit.policy.signature import SigningKey
    from remit.settings import SecretRef, read_secret

    if file is None:
        if key_id or scope:
            raise typer.BadParameter("there is nothing to sign with", param_hint="--sign-with")
        return None
    if not key_id:
        raise typer.BadParameter("name the key as those who verify it do", param_hint="--key-id")
    return SigningKey(key_id, read_secret(SecretRef(file=file), "--sign-with"), algorithm, scope)
