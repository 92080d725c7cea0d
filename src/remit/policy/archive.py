"""Door: a gzipped tar file → its files, within bounds, and back.

Nothing is ever unpacked to disk. What only misleads is refused all the same: links and devices, two files of one name
(or of names that some file systems take for one), ``..``, backslashes, and names that cannot be printed. One leading
``/`` or ``./`` is taken off: ``opa build`` writes the first, ``tar`` the second.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from remit.errors import PolicyInvalid

MAX_ARCHIVE_BYTES: Final = 16_000_000
MAX_EXPANDED_BYTES: Final = 48_000_000
MAX_MEMBERS: Final = 2000
_MAX_NAME: Final = 256
_FIRST_STEP: Final = re.compile(r"\A\.?/")

#: What reading a broken archive raises, besides ``PolicyInvalid``.
_BROKEN: Final = (
    tarfile.TarError,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    IndexError,
    RecursionError,
)


def read_archive(path: Path) -> dict[str, bytes]:
    """The files of an archive by name, sorted. Raises ``PolicyInvalid``."""
    try:
        with path.open("rb") as file:
            packed = file.read(MAX_ARCHIVE_BYTES + 1)
    except OSError as error:
        raise PolicyInvalid("the policy cannot be read", where=str(path), detail=str(error)) from error
    if len(packed) > MAX_ARCHIVE_BYTES:
        raise _refused(path, f"the bundle is larger than {MAX_ARCHIVE_BYTES} bytes")
    try:
        return dict(sorted(_files(path, packed)))
    except _BROKEN as error:
        raise PolicyInvalid(
            "the bundle is not a gzipped tar file, or a broken one",
            where=str(path),
            detail=str(error)[:200],
            hint="name a folder, or a bundle as `opa build` makes it",
        ) from error


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """Write an archive whose bytes depend on the files alone, into place at once: no reader sees half of it."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(packed.getvalue())
    beside.replace(path)


def _files(path: Path, packed: bytes) -> Iterator[tuple[str, bytes]]:
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
        expanded = stream.read(MAX_EXPANDED_BYTES + 1)  # a few kilobytes can say that they are gigabytes
    if len(expanded) > MAX_EXPANDED_BYTES:
        raise _refused(path, f"the bundle is larger than {MAX_EXPANDED_BYTES} bytes when it is unpacked")
    seen: set[str] = set()
    # As a stream, which cannot be sent back to where it has been.
    with tarfile.open(fileobj=io.BytesIO(expanded), mode="r|") as archive:
        for count, member in enumerate(archive, start=1):
            if count > MAX_MEMBERS:
                raise _refused(path, f"the bundle has more than {MAX_MEMBERS} members")
            if member.isdir():
                continue
            name = _name(path, member)
            if (folded := unicodedata.normalize("NFKC", name).casefold()) in seen:
                raise _refused(path, "the bundle has two files of one name", name)
            seen.add(folded)
            yield name, _content(archive, member)


def _name(path: Path, member: tarfile.TarInfo) -> str:
    name = _FIRST_STEP.sub("", member.name, count=1)
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        raise _refused(path, "the bundle holds a link or something else that is not a plain file", name)
    steps = name.split("/")
    if len(name) > _MAX_NAME or not name.isprintable() or "\\" in name or {"", ".", ".."} & set(steps):
        raise _refused(path, "the bundle has a file whose name is not a plain relative path", name)
    return name


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    content = file.read() if file else b""
    if len(content) != member.size:
        raise tarfile.ReadError("it ends too early")
    return content


def _refused(path: Path, message: str, name: str = "") -> PolicyInvalid:
    return PolicyInvalid(message, where=str(path), detail=ascii(name[:_MAX_NAME]) if name else "")
