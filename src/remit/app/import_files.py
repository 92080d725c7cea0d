"""Where an import puts its files, and putting them there (door).

The description has to lie in the tool file's folder: what lies elsewhere is copied into a folder beside the tool file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from remit.app.import_source import Source
from remit.catalog.openapi.files import MAX_FILE_BYTES
from remit.catalog.openapi.report import Report
from remit.errors import DefinitionInvalid, DescriptionInvalid


@dataclass(frozen=True, slots=True)
class Beside:
    """A description seen from a tool file: paths relative to its folder, and the files that have to be copied there."""

    openapi: str
    overlays: tuple[str, ...]
    copies: Mapping[Path, Path]


def beside(source: Source, into: Path, *, name: str = "") -> Beside:
    """Where the description and its overlays are, or will be.

    ``into``: the folder that copies go to. ``name``: what the copy of a description of one file is called there.
    """
    file, folder = source.asked.file.resolve(), source.output.parent.resolve()
    copies: dict[Path, Path] = {}
    main = file
    if not file.is_relative_to(folder):
        only = len(source.description.files) == 1
        main = into / (name or file.name if only else file.name)
        copies |= {into / each: file.parent / each for each in source.description.files} if not only else {main: file}
    places: list[Path] = []
    for overlay in source.overlays:
        inside = overlay.resolve().is_relative_to(folder)
        place = overlay.resolve() if inside else into / "overlays" / overlay.name
        if place in places:
            raise DescriptionInvalid("two overlays have one name", where=overlay.as_posix(), hint="rename one of them")
        places.append(place)
        copies |= {} if inside else {place: overlay}
    return Beside(_from(folder, main), tuple(_from(folder, place) for place in places), copies)


def _from(folder: Path, path: Path) -> str:
    """The path as it stands in the tool file."""
    return f"./{path.relative_to(folder).as_posix()}"


def shown_path(source: Source, path: Path) -> str:
    """A file beside the tool file, as the operator would name it."""
    return (source.output.parent / path.relative_to(source.output.parent.resolve())).as_posix()


def contents_of(copies: Mapping[Path, Path]) -> dict[Path, bytes]:
    """The bytes of all that is copied, by where they go. Raises ``DescriptionInvalid``."""
    return {target: _content(source) for target, source in copies.items()}


def _content(source: Path) -> bytes:
    try:
        with source.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DescriptionInvalid(f"the file cannot be read: {error.strerror}", where=source.as_posix()) from None
    if len(content) > MAX_FILE_BYTES:
        raise DescriptionInvalid(f"the file is larger than {MAX_FILE_BYTES} bytes", where=source.as_posix())
    return content


@dataclass(frozen=True, slots=True)
class Planned:
    """What an import would write: the report, and the files in the order in which they are written."""

    report: Report
    files: Mapping[Path, bytes]

    @property
    def different(self) -> tuple[Path, ...]:
        """The files that are not there, or not with these bytes."""
        return tuple(path for path, content in self.files.items() if not has(path, content))

    def write(self) -> tuple[Path, ...]:
        """Write those, each at once and whole. Raises ``DefinitionInvalid``."""
        different = self.different
        for path in different:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _replace(path, self.files[path])
            except OSError as error:
                hint = "name another place with -o"
                what = f"the file cannot be written: {error.strerror}"
                raise DefinitionInvalid(what, where=path.as_posix(), hint=hint) from None
        return different


def has(path: Path, content: bytes) -> bool:
    """Whether the file is there with these bytes."""
    try:
        return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".import-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        Path(name).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()
