"""The files of an API description (door): bounded, local, inside the description's folder, read once.

Parsed YAML can be kept as JSON by the digest of its text, in a folder that nobody else can write to; what is
kept there and is not as it was written is passed over.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from remit.catalog.openapi.description import Description, Note
from remit.catalog.openapi.overlay import Overlay, apply, read_overlay
from remit.catalog.openapi.reader import describe
from remit.catalog.openapi.references import FileRefused
from remit.catalog.openapi.text import TextInvalid, parse_json, parse_yaml
from remit.errors import DescriptionInvalid

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_FILES: Final = 5_000
#: Part of the name of what is kept: another number forgets everything.
_FORM: Final = "v1"
_MAX_KEPT: Final = 100
#: A smaller file is parsed as fast as it is found: a description may have a thousand of them.
_MIN_KEPT: Final = 16 * 1024


def read_description(
    path: Path, *, cache: Path | None = None, folder: Path | None = None, overlays: Sequence[Overlay] = ()
) -> Description:
    """The description whose main file is ``path``.

    ``folder``: references to files must stay in it; the main file's own if not said. ``cache``: where parsed YAML is
    kept; it is made where the folder above is there. ``overlays`` change the main file, and count in the digest. Raises ``DescriptionInvalid`` where the main file
    cannot be read or is no description, or an overlay does not fit it.
    """
    files = DescriptionFiles((folder or path.resolve().parent).resolve(), cache)
    try:
        root = path.resolve().relative_to(files.folder).as_posix()
        applied = files.overlay(root, overlays)
        description = describe(files, root)
    except ValueError:
        raise _invalid(path, "is outside the folder it is to stay in") from None
    except FileRefused as refused:
        raise _invalid(path, refused.reason) from None
    except DescriptionInvalid as error:
        where = error.where if error.where != root else path.as_posix()
        raise DescriptionInvalid(error.message, where=where, hint=error.hint) from None
    return replace(
        description,
        digest=files.digest,
        files=tuple(files),
        refused=files.refused,
        notes=description.notes + applied,
    )


def digest_now(folder: Path, names: Iterable[str], overlays: Sequence[Overlay] = ()) -> str:
    """The digest that a description would have whose files in ``folder`` are those, read or refused."""
    files = DescriptionFiles(folder)
    for name in names:
        files.look(name)
    return files.digest_with(overlays)


def read_overlays(paths: Sequence[Path], *, folder: Path | None = None) -> tuple[Overlay, ...]:
    """The overlays in these files, which have to be below ``folder`` if that is said. Raises ``DescriptionInvalid``."""
    return tuple(_read_overlay(path, folder) for path in paths)


def _read_overlay(path: Path, folder: Path | None) -> Overlay:
    files = DescriptionFiles((folder or path.resolve().parent).resolve())
    try:
        name = path.resolve().relative_to(files.folder).as_posix()
        return read_overlay(files[name], path.as_posix(), files.digest)
    except ValueError:
        raise DescriptionInvalid("the overlay is outside the folder it is to stay in", where=path.as_posix()) from None
    except FileRefused as refused:
        hint = "give an overlay file of JSON or YAML"
        raise DescriptionInvalid(f"the overlay {refused.reason}", where=path.as_posix(), hint=hint) from None


def _invalid(path: Path, reason: str) -> DescriptionInvalid:
    return DescriptionInvalid(
        f"the API description {reason}", where=path.as_posix(), hint="give an OpenAPI file of JSON or YAML"
    )


class DescriptionFiles(Mapping[str, Any]):
    """Parsed files by their name below ``folder``, read when they are asked for. Raises ``FileRefused``."""

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.folder = folder
        self._cache = cache
        self._parsed: dict[str, Any] = {}
        self._digests: dict[str, str] = {}
        self._overlays: list[Overlay] = []
        self._refused: dict[str, FileRefused] = {}
        self._bytes = 0

    def __getitem__(self, name: str) -> Any:
        if name in self._refused:
            raise self._refused[name]
        if name not in self._parsed:
            try:
                self._parsed[name] = self._load(name)
            except FileRefused as refused:
                self._refused[name] = refused
                raise
        return self._parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._parsed))

    def __len__(self) -> int:
        return len(self._parsed)

    def overlay(self, name: str, overlays: Sequence[Overlay]) -> tuple[Note, ...]:
        """Change the file of that name. Raises ``FileRefused``, ``DescriptionInvalid``."""
        applied = apply(self[name], overlays)
        self._parsed[name] = applied.document
        self._overlays += overlays
        return applied.notes

    def look(self, name: str) -> None:
        """Have the digest of a file, which is not parsed; of one that cannot be had, that it cannot."""
        self._digests[name] = ""
        with suppress(FileRefused):
            self._digests[name] = hashlib.sha256(self._read(name)).hexdigest()

    @property
    def refused(self) -> tuple[str, ...]:
        """The names of the files that were asked for and could not be had."""
        return tuple(sorted(self._refused))

    @property
    def digest(self) -> str:
        """SHA-256 over the names and contents of all files asked for so far, and of the overlays."""
        return self.digest_with(self._overlays)

    def digest_with(self, overlays: Sequence[Overlay]) -> str:
        """The digest, were these the overlays."""
        lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(self._digests.items()))
        lines += "\n".join(overlay.digest for overlay in overlays)
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()

    def _load(self, name: str) -> Any:
        self._digests[name] = ""
        if len(self._parsed) + len(self._refused) >= MAX_FILES:
            raise FileRefused(f"is one of more than {MAX_FILES}")
        content = self._read(name)
        digest = self._digests[name] = hashlib.sha256(content).hexdigest()
        try:
            parsed = _parse(content, digest, self._cache)
        except TextInvalid as error:
            line, column = error.position or (0, 0)
            at = f" (line {line}, column {column})" if line else ""
            raise FileRefused(f"cannot be read: {error.reason}{at}") from None
        return parsed

    def _read(self, name: str) -> bytes:
        try:
            path = (self.folder / name).resolve(strict=True)
            if not path.is_relative_to(self.folder):
                raise FileRefused("is outside the description's folder")
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would never end
                raise FileRefused("is no file")
            with path.open("rb") as stream:
                content = stream.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            raise FileRefused("does not exist") from None
        except (OSError, ValueError, RuntimeError) as error:
            said = (error.strerror if isinstance(error, OSError) else "") or "its name cannot be used"
            raise FileRefused(f"cannot be read: {said}") from None
        self._bytes += len(content)
        if len(content) > MAX_FILE_BYTES or self._bytes > MAX_BYTES:
            raise FileRefused(f"is too large: {MAX_FILE_BYTES} bytes a file, {MAX_BYTES} in all")
        return content


def _parse(content: bytes, digest: str, cache: Path | None) -> Any:
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["}:
        return _parse_braced(content.removeprefix(b"\xef\xbb\xbf"))
    if cache is None or len(content) < _MIN_KEPT:
        return parse_yaml(content)
    kept = _kept(cache / f"{digest}.{_FORM}")
    if kept is not None:
        with suppress(TextInvalid):
            return parse_json(kept)
    parsed = parse_yaml(content)
    _keep(cache, digest, parsed)
    return parsed


def _parse_braced(content: bytes) -> Any:
    """JSON, or YAML that looks like it: with comments, or commas too many."""
    try:
        return parse_json(content)
    except TextInvalid as error:
        with suppress(TextInvalid):
            return parse_yaml(content)
        raise error from None


# ── what is kept ─────────────────────────────────────────────────────────────────────────


def _kept(file: Path) -> bytes | None:
    """The JSON that was kept, if it is as it was written: its digest is the first line."""
    try:
        with file.open("rb") as stream:
            digest, _, content = stream.read(2 * MAX_BYTES).partition(b"\n")
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest().encode() == digest else None


def _keep(cache: Path, digest: str, parsed: Any) -> None:
    """Keep it, if that is possible: the next reading is faster, nothing else depends on it."""
    with suppress(OSError, orjson.JSONEncodeError):
        content = orjson.dumps(parsed)
        cache.mkdir(mode=0o700, exist_ok=True)
        for old in sorted(cache.glob("*.v*"), key=lambda file: file.stat().st_mtime)[: -_MAX_KEPT + 1]:
            old.unlink()
        handle, name = tempfile.mkstemp(dir=cache, prefix=".new-")
        with os.fdopen(handle, "wb") as stream:
            stream.write(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        try:
            Path(name).replace(cache / f"{digest}.{_FORM}")
        finally:
            Path(name).unlink(missing_ok=True)
