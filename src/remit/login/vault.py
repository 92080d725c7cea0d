"""Door: where the text of a login is kept: the keyring of the operating system, or a file that only its owner reads.

What is put in is never changed: a new text has a new reference, so a reader finds the whole old one or the whole new
one. Every method blocks, a keyring's for as long as a person takes to unlock it.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from remit.errors import StateInvalid

_MAX_BYTES: Final = 64 * 1024
_REFERENCE_BYTES: Final = 8


class Vault(Protocol):
    """``name`` is what people read of it. Raises ``StateInvalid`` where it cannot be used."""

    @property
    def name(self) -> str:
        """What it is."""
        ...

    def put(self, key: str, text: str) -> str:
        """Keep ``text``: the reference to it. ``key`` names whose it is."""
        ...

    def get(self, reference: str) -> str | None:
        """What is kept there, if it still is."""
        ...

    def drop(self, reference: str) -> None:
        """Forget it; it need not be there."""
        ...


def new_reference(key: str) -> str:
    """A name that no other text has."""
    return f"{key}.{secrets.token_hex(_REFERENCE_BYTES)}"


class FileVault:
    """Files of mode 0600 in ``folder``, which must be its owner's alone too. Windows keeps user folders so by itself."""

    name: Final = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, text: str) -> str:
        """Write a new file, through to the disk: what it replaces is dropped next."""
        reference = new_reference(key)
        try:
            write_private(self._folder / reference, text.encode())
        except OSError as error:
            raise _unusable(self._folder, error) from error
        return reference

    def get(self, reference: str) -> str | None:
        """Read the file. One that others may read is refused: they may have done so."""
        try:
            return read_private(self._folder / reference)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(self._folder / reference, error) from error

    def drop(self, reference: str) -> None:
        """Remove the file."""
        with suppress(OSError):  # on Windows while somebody reads it; it is of no use to anybody then
            (self._folder / reference).unlink(missing_ok=True)


def make_private(folder: Path) -> None:
    """Make ``folder`` for its owner alone. Raises ``StateInvalid``, also where it is there and others may look in."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(folder.stat())
    except OSError as error:
        raise _unusable(folder, error) from error


def write_private(path: Path, data: bytes) -> None:
    """Write a file that was not there, for its owner alone."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_private(path: Path) -> str:
    """The text of a file that is its owner's alone."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        _check_private(os.fstat(file.fileno()))
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise OSError(f"it is larger than {_MAX_BYTES} bytes")
    return data.decode()


def _check_private(status: os.stat_result) -> None:
    if os.name != "posix":
        return
    if status.st_uid != os.geteuid():
        raise OSError("it belongs to somebody else")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise OSError("others than its owner may read it")


def _unusable(path: Path, error: Exception) -> StateInvalid:
    return StateInvalid(
        "the login cannot be read or kept",
        where=str(path),
        detail=str(error),
        hint="make it yours alone (folders 0700, files 0600), or remove it and sign in again",
    )
