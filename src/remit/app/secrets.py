"""Door: the installation's own secret, made once, from which keys for single purposes are derived."""

from __future__ import annotations

import os
import secrets
import stat
import time
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from remit.errors import StateInvalid

_BYTES: Final = 32
_ATTEMPTS: Final = 50
_PAUSE: Final = 0.02


class InstallationSecret:
    """The secret in ``path``, made (mode 0600) where it is missing. Raises ``StateInvalid``.

    All processes of an installation have the same, so one can open what another has sealed.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._secret = _read(path)
        except OSError as error:
            raise StateInvalid(
                "the installation's secret cannot be read or made",
                where=str(path),
                detail=str(error),
                hint=f"make {path.parent} a directory that remit may write, or remove the file to have a new one made",
            ) from error

    def key(self, purpose: str) -> bytes:
        """32 bytes for one purpose, by HKDF-SHA256 (RFC 5869): no key tells anything of another."""
        return HKDF(algorithm=SHA256(), length=_BYTES, salt=None, info=f"remit {purpose}".encode()).derive(self._secret)


def _read(path: Path) -> bytes:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_whole(path)
    with os.fdopen(descriptor, "wb") as file:
        secret = secrets.token_bytes(_BYTES)
        file.write(secret)
    return secret


def _read_whole(path: Path) -> bytes:
    """Another process may be writing it at this moment."""
    for _ in range(_ATTEMPTS):
        with path.open("rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise OSError("others than its owner may read it")
            secret = file.read(_BYTES + 1)
        if len(secret) == _BYTES:
            return secret
        time.sleep(_PAUSE)
    raise OSError(f"it is not {_BYTES} bytes long")
