"""Door: the keyring of the operating system as a vault.

A text is kept in parts: Windows takes no more than 2,560 bytes each, and counts two for a character.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError, PasswordDeleteError

from remit.errors import StateInvalid
from remit.login.vault import new_reference

SERVICE: Final = "remit"
PART: Final = 1200
_MAX_PARTS: Final = 64
#: Backends below are stand-ins (none at all, a plain file), by the library's own account.
_RECOMMENDED: Final = 1


def usable_keyring() -> KeyringBackend | None:
    """The keyring of this session, where there is a real one."""
    backend = keyring.get_keyring()
    return backend if backend.priority >= _RECOMMENDED else None


class KeyringVault:
    """Entries of the service ``remit`` in ``backend``."""

    name: Final = "keyring"

    def __init__(self, backend: KeyringBackend) -> None:
        self._backend = backend

    def put(self, key: str, text: str) -> str:
        """Keep ``text`` in as many parts as it takes; how many is in the reference."""
        parts = [text[at : at + PART] for at in range(0, len(text), PART)]
        reference = f"{new_reference(key)}.{len(parts)}"
        try:
            for name, part in zip(_names(reference), parts, strict=True):
                self._backend.set_password(SERVICE, name, part)
        except (KeyringError, OSError, RuntimeError, ValueError) as error:
            raise _unusable(error) from error
        if self.get(reference) != text:  # some say yes and keep nothing
            raise _unusable(KeyringError())
        return reference

    def get(self, reference: str) -> str | None:
        """Put the parts together."""
        try:
            parts = [self._backend.get_password(SERVICE, name) for name in _names(reference)]
        except (KeyringError, OSError, RuntimeError) as error:
            raise _unusable(error) from error
        found = [part for part in parts if part is not None]
        return "".join(found) if len(found) == len(parts) else None

    def drop(self, reference: str) -> None:
        """Remove every part."""
        for name in _names(reference):
            try:
                with suppress(PasswordDeleteError):  # it is not there
                    self._backend.delete_password(SERVICE, name)
            except (KeyringError, OSError, RuntimeError) as error:
                raise _unusable(error) from error


def _names(reference: str) -> list[str]:
    count = reference.rpartition(".")[2]
    number = int(count) if count.isdecimal() and len(count) < 4 else 0
    return [f"{reference}.{part}" for part in range(min(number, _MAX_PARTS))]


def _unusable(error: Exception) -> StateInvalid:
    return StateInvalid(
        "the keyring of this session cannot be used",
        where="login.store",
        detail=type(error).__name__,
        hint="unlock it, or set login.store: file",
    )
