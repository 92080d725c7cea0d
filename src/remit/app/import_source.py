"""What an import begins with: the description, and the tool file that was made of it before (door)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from remit.catalog.loader import read_text
from remit.catalog.openapi.description import Description
from remit.catalog.openapi.files import read_description, read_overlays
from remit.catalog.openapi.importing import fault_of, is_scope, name_of
from remit.catalog.openapi.profile import ProfileName
from remit.catalog.openapi.report import Budget
from remit.catalog.openapi.updating import Present, present
from remit.catalog.problem import Problem
from remit.errors import DefinitionInvalid, DescriptionInvalid

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_PREFIX: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}")
_SUFFIXES: Final = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the operator said; empty is not said. ``output``: a tool file, or the folder for it."""

    file: Path
    output: Path
    name: str = ""
    base_url: str = ""
    audience: str = ""
    scopes: tuple[str, ...] = ()
    prefix: str = ""
    profile: ProfileName | None = None
    overlays: tuple[Path, ...] = ()
    budget: Budget = field(default_factory=Budget)
    force: bool = False
    discover: bool = False

    def __post_init__(self) -> None:
        """Raise ``DefinitionInvalid`` for what no tool file may say."""
        if self.name and not _NAME.fullmatch(self.name):
            hint = "use up to 31 lower-case letters, digits and hyphens, a letter first"
            raise DefinitionInvalid(f'"{self.name[:60]}" is no name for an API', where="--name", hint=hint)
        if self.prefix and not _PREFIX.fullmatch(self.prefix):
            hint = "use up to 20 letters, digits, hyphens and underscores, a letter first"
            raise DefinitionInvalid(f'"{self.prefix[:60]}" begins no tool\'s name', where="--prefix", hint=hint)
        fault = "" if "${" in self.base_url or not self.base_url else fault_of(self.base_url)
        if fault:
            raise DefinitionInvalid(fault, where="--base-url", hint="write https://host/path, or ${NAME:-https://host}")
        for scope in self.scopes:
            if not is_scope(scope):
                hint = "give --scope once for each scope"
                raise DefinitionInvalid(f'"{scope[:60]}" is not one scope (RFC 6749 §3.3)', where="--scope", hint=hint)

    @property
    def is_file(self) -> bool:
        """Whether ``output`` names the tool file itself."""
        return self.output.suffix in _SUFFIXES and not self.output.is_dir()

    @property
    def folder(self) -> Path:
        """The folder of the tool file."""
        return self.output.parent if self.is_file else self.output


@dataclass(frozen=True, slots=True)
class Source:
    """The description as it is. ``present``: the tool file that stands at ``output`` and was made of it.

    ``before``: the description as ``present`` has it, where that can still be known. ``overlays``: those applied.
    """

    asked: Asked
    description: Description
    output: Path
    name: str
    overlays: tuple[Path, ...]
    present: Present | None = None
    before: Description | None = None

    @property
    def profile(self) -> ProfileName:
        """Which the tools are made with."""
        return self.asked.profile or (self.present.profile if self.present else "portable")


def open_source(asked: Asked) -> Source:
    """Read what there is. Raises ``DescriptionInvalid``, ``DefinitionInvalid``."""
    description = _read(asked, asked.overlays)
    name = _name(asked, description)
    output = asked.output if asked.is_file else asked.output / f"{name}.yaml"
    source = Source(asked, description, output, name, asked.overlays)
    found = _found(asked, output)
    if found is None:
        return source
    overlays = asked.overlays or tuple(output.parent / overlay for overlay in found.overlays)
    if overlays != asked.overlays:
        description = _read(asked, overlays)
    before = _before(asked, found, output)
    if _is_in_place(asked, found, output) or before is None or before.title == description.title:
        return Source(asked, description, output, found.name or name, overlays, found, before)
    if not asked.force:
        raise _in_the_way(output, "is for another API description")
    return source


def _read(asked: Asked, overlays: Sequence[Path]) -> Description:
    folder = asked.folder.resolve()
    inside = asked.file.resolve().is_relative_to(folder)
    return read_description(asked.file, folder=folder if inside else None, overlays=read_overlays(overlays))


def _name(asked: Asked, description: Description) -> str:
    stem = asked.output.stem if asked.is_file else ""
    name = asked.name or name_of(stem, description.title, asked.file.stem)
    if not name:
        raise DescriptionInvalid("the API has no name", where=asked.file.as_posix(), hint="give it one with --name")
    return name


def _found(asked: Asked, output: Path) -> Present | None:
    """The file that is there, if it was made of a description. Raises ``DefinitionInvalid`` for any other."""
    if output.is_dir():
        raise DefinitionInvalid("there is a folder of that name", where=output.as_posix(), hint="name a file with -o")
    if not output.exists():
        return None
    text = read_text(output)
    if isinstance(text, Problem):
        raise DefinitionInvalid(f"the file {text.message}", where=output.as_posix(), hint="name another with -o")
    found = None if asked.discover else present(text, output.as_posix())
    if found is None and not asked.force:
        raise _in_the_way(output, "is there already")
    return found


def _in_the_way(output: Path, what: str) -> DefinitionInvalid:
    hint = "name another with -o, or write over it with --force"
    return DefinitionInvalid(f"the file {what}", where=output.as_posix(), hint=hint)


def _is_in_place(asked: Asked, found: Present, output: Path) -> bool:
    return (output.parent / found.openapi).resolve() == asked.file.resolve()


def _before(asked: Asked, found: Present, output: Path) -> Description | None:
    """The description as the file has it. It is not known where it was changed in its place."""
    if _is_in_place(asked, found, output):
        return None
    try:
        overlays = read_overlays([output.parent / overlay for overlay in found.overlays])
        return read_description(output.parent / found.openapi, overlays=overlays)
    except DescriptionInvalid:
        return None
