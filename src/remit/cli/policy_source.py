"""Which policy a command is about, and how its places are named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.cli.common import settings_of

if TYPE_CHECKING:
    from remit.policy.bundle import Bundle
    from remit.settings import Settings

PolicyPath = Annotated[
    Path | None,
    typer.Option(
        "--policy", metavar="PATH", exists=True, help="This policy folder or bundle instead of that of the settings."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@dataclass(frozen=True, slots=True)
class Source:
    """The settings that apply, and where the policy is."""

    settings: Settings
    path: Path

    def bundle(self) -> Bundle:
        """The policy. Raises ``PolicyInvalid``."""
        from remit.app.policy import load_bundle

        return load_bundle(self.settings, self.path)

    def shown(self, where: str) -> str:
        """``authz.rego:3:1`` as an editor opens it from here; the product's own modules by their names."""
        return ", ".join(self._shown(each) for each in where.split(",")) if where else ""

    def _shown(self, where: str) -> str:
        path = Path(where)
        if not where.startswith("remit/") and not path.is_relative_to(self.path):
            path = self.path / path
        here = Path.cwd()
        return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def source_of(context: typer.Context, path: Path | None) -> Source:
    """The policy at ``path``, else that of the settings."""
    settings = with_policy(settings_of(context, needed=path is None), path)
    return Source(settings, settings.policy.path)


def with_policy(settings: Settings, path: Path | None) -> Settings:
    """The settings with the policy at ``path``, if any. A policy that is only looked at need not be signed."""
    if path is None:
        return settings
    signatures = settings.policy.signatures.model_copy(update={"required": False})
    changed = {"path": path.absolute(), "engine": "embedded", "signatures": signatures}
    return settings.model_copy(update={"policy": settings.policy.model_copy(update=changed)})
