"""Door: the logins of the person at this machine, one for each target, for every process of theirs.

A file per login says which vault has its text, and under what reference. It holds nothing secret and is replaced in one
step, so it is what makes a change take place; what it referred to before is then forgotten. Every method blocks.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar

from filelock import AsyncFileLock, Timeout
from platformdirs import user_data_path

from remit.errors import SignInUnavailable, StateInvalid
from remit.login.login import Login, LoginTarget
from remit.login.vault import FileVault, Vault, make_private, read_private, write_private
from remit.tokens import strict_json

#: Longer than one process may take to renew a login.
_LOCK_SECONDS: Final = 60.0
_ATTEMPTS: Final = 50
_PAUSE: Final = 0.02

_T = TypeVar("_T")

Keep: TypeAlias = Literal["auto", "keyring", "file"]
#: Another one whenever a login was written.
Version: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Label:
    """What the file of a login says."""

    issuer: str
    client_id: str
    resource: str
    vault: str
    reference: str

    @property
    def target(self) -> LoginTarget:
        return LoginTarget(self.issuer, self.client_id, self.resource)


def own_folder() -> Path:
    """Where the logins of this user of the machine are."""
    return user_data_path("remit", appauthor=False) / "logins"


def session_keyring() -> Vault | None:
    """The keyring of this session, where there is one."""
    from remit.login.keyring_vault import KeyringVault, usable_keyring  # noqa: PLC0415  it takes long to import

    backend = usable_keyring()
    return KeyringVault(backend) if backend else None


class LoginStore:
    """The logins in ``folder``. Raises ``StateInvalid`` where they cannot be read or kept.

    ``keep``: where new ones go; ``auto`` is the keyring where there is one that works, else a file.
    """

    def __init__(
        self, folder: Path, *, keep: Keep = "auto", keyring: Callable[[], Vault | None] = session_keyring
    ) -> None:
        self._folder = folder
        self._keep = keep
        self._keyring = keyring
        self._files = FileVault(folder)

    def version(self, target: LoginTarget) -> Version | None:
        """Which version of the login is there; ``None`` for none. Cheap enough to be asked before every use."""
        try:
            status = self._path(target).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def read(self, target: LoginTarget) -> Login | None:
        """The login, if there is one."""
        for _ in range(_ATTEMPTS):  # what the label refers to may be replaced before it is read
            label = self._label(self._path(target))
            if label is None:
                return None
            text = self._vault(label.vault).get(label.reference)
            if text is not None:
                return self._login(text, target)
        return None

    def write(self, login: Login) -> None:
        """Keep a login in place of the one for the same target. The caller holds its lock."""
        make_private(self._folder)
        path = self._path(login.target)
        old = self._label(path)
        vault, reference = self._put(login)
        target = login.target
        label = _Label(target.issuer, target.client_id, target.resource, vault.name, reference)
        try:
            self._replace(path, json.dumps(asdict(label)))
        except OSError as error:
            vault.drop(reference)
            raise _unusable(path, error) from error
        if old is not None:
            self._drop(old)

    def erase(self, target: LoginTarget) -> bool:
        """Forget a login: whether there was one. The caller holds its lock."""
        path = self._path(target)
        label = self._label(path)
        if label is None:
            return False
        try:
            _patiently(path.unlink)
        except OSError as error:
            raise _unusable(path, error) from error
        self._drop(label)
        return True

    def targets(self) -> tuple[LoginTarget, ...]:
        """All there are logins for."""
        found = (self._label(path) for path in sorted(self._folder.glob("*.json")))
        return tuple(label.target for label in found if label is not None)

    def where(self, target: LoginTarget) -> str:
        """Where the login is kept, for people to read; empty where there is none."""
        label = self._label(self._path(target))
        if label is None:
            return ""
        return "the keyring of this session" if label.vault == "keyring" else str(self._folder / label.reference)

    @asynccontextmanager
    async def locked(self, target: LoginTarget) -> AsyncIterator[None]:
        """No other process changes the login while the block runs. Raises ``SignInUnavailable`` where one takes ages."""
        make_private(self._folder)
        lock = AsyncFileLock(self._folder / f"{target.key}.lock", timeout=_LOCK_SECONDS, mode=0o600)
        try:
            await lock.acquire()
        except Timeout as error:
            raise SignInUnavailable("another process is busy with the login, and does not end") from error
        try:
            yield
        finally:
            await lock.release()

    def _path(self, target: LoginTarget) -> Path:
        return self._folder / f"{target.key}.json"

    def _label(self, path: Path) -> _Label | None:
        try:
            document = strict_json.loads(_patiently(lambda: read_private(path)).encode())
            if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
                raise ValueError("it is not what was written there")  # noqa: TRY301  one way to say that it is broken
            return _Label(**document)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise _unusable(path, error) from error

    def _login(self, text: str, target: LoginTarget) -> Login:
        try:
            login = Login.from_text(text)
        except ValueError as error:
            raise _unusable(self._path(target), error) from error
        if login.target != target:
            raise _unusable(self._path(target), ValueError("it is the login of something else"))
        return login

    def _put(self, login: Login) -> tuple[Vault, str]:
        text = login.to_text()
        *others, last = self._vaults()
        for vault in others:
            with suppress(StateInvalid):
                return vault, vault.put(login.target.key, text)
        return last, last.put(login.target.key, text)

    def _vaults(self) -> Iterator[Vault]:
        """Where a new text may go, the best first."""
        if self._keep != "file" and (keyring := self._keyring()):
            yield keyring
        elif self._keep == "keyring":
            raise _no_keyring()
        if self._keep != "keyring":
            yield self._files

    def _vault(self, name: str) -> Vault:
        if name != "keyring":
            return self._files
        if (keyring := self._keyring()) is None:
            raise _no_keyring()
        return keyring

    def _drop(self, label: _Label) -> None:
        with suppress(StateInvalid):  # nothing refers to it any more
            self._vault(label.vault).drop(label.reference)

    def _replace(self, path: Path, text: str) -> None:
        new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        write_private(new, text.encode())
        try:
            _patiently(lambda: new.replace(path))
        except OSError:
            new.unlink(missing_ok=True)
            raise


def _patiently(act: Callable[[], _T]) -> _T:
    """On Windows a file that somebody has open can be neither replaced nor removed, nor read while it is."""
    for _ in range(_ATTEMPTS if os.name == "nt" else 0):
        try:
            return act()
        except PermissionError:
            time.sleep(_PAUSE)
    return act()


def _no_keyring() -> StateInvalid:
    return StateInvalid(
        "this session has no keyring, where the login is to be kept",
        where="login.store",
        hint="start it from a session that has one, or set login.store: file and sign in again",
    )


def _unusable(path: Path, error: Exception) -> StateInvalid:
    return StateInvalid(
        "the login cannot be read or kept", where=str(path), detail=str(error), hint="remove the file and sign in again"
    )


async def keep(store: LoginStore, login: Login) -> None:
    """Write a login that somebody has just made."""
    async with store.locked(login.target):
        await asyncio.to_thread(store.write, login)
