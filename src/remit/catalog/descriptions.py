"""The API descriptions that tool files refer to (door): each read once in a load, and looked at again in the next.

Nothing of a description stays in memory after the load but what its tools are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from remit.catalog.definition import ToolFile, UpstreamBlock
from remit.catalog.described import Described
from remit.catalog.openapi.files import digest_now, read_description, read_overlays
from remit.catalog.problem import Flaws
from remit.catalog.problem import Path as Place
from remit.errors import DescriptionInvalid


@dataclass(frozen=True, slots=True)
class Source:
    """What a description was read from: files below ``folder``, those that were missing too, and overlays."""

    folder: Path
    files: tuple[str, ...]
    overlays: tuple[Path, ...]
    digest: str

    @property
    def paths(self) -> frozenset[Path]:
        """All of its files, resolved."""
        return frozenset((self.folder / name).resolve() for name in self.files) | frozenset(self.overlays)


@dataclass(frozen=True, slots=True)
class Opened:
    """The description that a tool file refers to; ``None`` where it cannot be read, which has been said."""

    described: Described | None
    source: Source


class Descriptions:
    """Reads descriptions during one load. ``cache``: the folder where parsed forms are kept."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache
        self._read: dict[tuple[Path, ...], Opened | DescriptionInvalid] = {}
        self._current: dict[Source, bool] = {}

    def open(self, definition: ToolFile, file: Path, flaws: Flaws) -> Opened | None:
        """What the tools of a file with ``operation`` or ``discover`` are made of; ``None`` where it has no such tools."""
        api, using = definition.upstream, _using(definition)
        if api.openapi is None:
            _miss(api, using, flaws)
        if api.openapi is None or not using:
            return None
        folder = file.parent.resolve()
        try:
            return self._opened(folder, api.openapi, api.overlays)
        except DescriptionInvalid as error:
            where = error.where.removeprefix(f"{folder.as_posix()}/")
            flaws.add(
                _place(api, folder, error.where), f"{where}: {error.message}" if where else error.message, error.hint
            )
            return Opened(None, Source(folder, (), (), ""))

    def _opened(self, folder: Path, openapi: str, overlays: Sequence[str]) -> Opened:
        """Raises ``DescriptionInvalid``."""
        key = tuple(_below(folder, name) for name in (openapi, *overlays))
        found = self._read.get((folder, *key)) or self._kept(folder, *key)
        self._read[folder, *key] = found
        if isinstance(found, DescriptionInvalid):
            raise found
        return found

    def _kept(self, folder: Path, main: Path, *overlays: Path) -> Opened | DescriptionInvalid:
        try:
            applied = read_overlays(overlays, folder=folder)
            description = read_description(main, cache=self._cache, folder=folder, overlays=applied)
        except DescriptionInvalid as error:
            return error
        files = tuple(sorted((*description.files, *description.refused)))
        return Opened(Described(description), Source(folder, files, overlays, description.digest))

    @property
    def paths(self) -> frozenset[Path]:
        """The files of all that was opened, resolved."""
        opened = (each.source.paths for each in self._read.values() if isinstance(each, Opened))
        return frozenset[Path]().union(*opened)

    def is_current(self, source: Source) -> bool:
        """Whether the files are still as they were when the description was read."""
        if source not in self._current:
            try:
                overlays = read_overlays(source.overlays, folder=source.folder)
            except DescriptionInvalid:
                return False
            self._current[source] = digest_now(source.folder, source.files, overlays) == source.digest
        return self._current[source]


def _below(folder: Path, name: str) -> Path:
    """The file of that name, which has to stay in the folder. Raises ``DescriptionInvalid``."""
    if "://" in name:
        raise DescriptionInvalid(
            "API descriptions are read from files, never from the network",
            where=name,
            hint="keep a copy beside the tool file",
        )
    try:
        path = (folder / name).resolve()
    except (OSError, ValueError, RuntimeError):
        raise DescriptionInvalid("that is no name of a file", where=name, hint="write ./api.yaml") from None
    if not path.is_relative_to(folder):
        raise DescriptionInvalid(
            "the file is outside the folder of the tool file", where=name, hint="keep it beside the tool file, or below"
        )
    return path


def _using(definition: ToolFile) -> list[Place]:
    """Where the file asks for something of a description."""
    places: list[Place] = [
        ("tools", index, "operation") for index, tool in enumerate(definition.tools) if tool.operation is not None
    ]
    return places if definition.discover is None else [*places, ("discover",)]


def _miss(api: UpstreamBlock, using: Sequence[Place], flaws: Flaws) -> None:
    if using:
        flaws.add(using[0], "the file names no API description", "add openapi: ./api.yaml to upstream")
    for name in sorted({"overlays", "profile"} & api.model_fields_set):
        flaws.add(("upstream", name), f"{name} means nothing without openapi", "leave it out", at_key=True)


def _place(api: UpstreamBlock, folder: Path, where: str) -> Place:
    """Where the tool file names what cannot be read."""
    for index, overlay in enumerate(api.overlays):
        if where == overlay or where.startswith((folder / overlay).resolve().as_posix()):
            return ("upstream", "overlays", index)
    return ("upstream", "openapi")
