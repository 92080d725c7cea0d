"""Door: the file of the users' passwords (argon2id, RFC 9106): read anew when it changes, checked a few at a time.

A line is ``alice:$argon2id$…``. Whoever can write the file can sign in as anybody, so its owner alone may read it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from filelock import FileLock, Timeout

from remit.credential import Credential
from remit.errors import GrantUnavailable, StateInvalid

MAX_PASSWORD_BYTES: Final = 1024
#: A new one is not taken below this; which characters is left to whoever chooses it (NIST SP 800-63B §3.1.1.2).
MIN_PASSWORD_CHARACTERS: Final = 12
_MAX_FILE_BYTES: Final = 4 << 20
_LINE: Final = re.compile(r"(?P<user>[A-Za-z0-9._:/@-]{1,128}):(?P<hash>\$argon2id\$[A-Za-z0-9+/=,$]{1,512})")
_AT_ONCE: Final = 2  # each takes 64 MiB
_MAX_WAITING: Final = 32
_WAIT_SECONDS: Final = 5.0
_LOCK_SECONDS: Final = 5.0


class PasswordFile:
    """The hashes in ``path``, by user. Where there is no file, nobody has a password."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()
        self._hashes: Mapping[str, str] = MappingProxyType({})

    def read(self) -> Mapping[str, str]:
        """The hashes as they are now. Raises ``StateInvalid``, also where others than its owner may read the file."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen, self._hashes = (), MappingProxyType({})
            return self._hashes
        except OSError as error:
            raise self._invalid(str(error)) from error
        seen = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode)
        if seen != self._seen:
            self._hashes = self._parse(self._text())
            self._seen = seen
        return self._hashes

    def change(self, edit: Callable[[dict[str, str]], None]) -> None:
        """Have ``edit`` change the hashes, and write them as a whole: a reader sees the old file or the new one.

        Raises ``StateInvalid``, and what ``edit`` raises.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock", timeout=_LOCK_SECONDS, mode=0o600):
                hashes = dict(self.read())
                edit(hashes)
                self._write("".join(f"{user}:{hash_}\n" for user, hash_ in sorted(hashes.items())))
        except (OSError, Timeout) as error:
            raise self._invalid(str(error)) from error

    def _write(self, text: str) -> None:
        beside = self._path.with_name(f"{self._path.name}.new")
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def _text(self) -> str:
        try:
            with self._path.open("rb") as file:
                if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    raise self._invalid("others than its owner may read it")
                content = file.read(_MAX_FILE_BYTES + 1)
            if len(content) > _MAX_FILE_BYTES:
                raise self._invalid(f"it is longer than {_MAX_FILE_BYTES} bytes")
            return content.decode("ascii")
        except (OSError, UnicodeError) as error:
            raise self._invalid(type(error).__name__) from error

    def _parse(self, text: str) -> Mapping[str, str]:
        hashes: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            found = _LINE.fullmatch(line)
            if found is None or found["user"] in hashes:
                raise self._invalid(f"line {number} is not `user:$argon2id$…`, or names a user again")
            hashes[found["user"]] = found["hash"]
        return MappingProxyType(hashes)

    def _invalid(self, detail: str) -> StateInvalid:
        hint = "have `remit users password` write it, and let its owner alone read it (mode 0600)"
        return StateInvalid("the passwords cannot be used", where=str(self._path), detail=detail, hint=hint)


class Passwords:
    """Checks passwords, two at a time: each check takes 64 MiB and tens of milliseconds."""

    def __init__(self, file: PasswordFile, hasher: PasswordHasher | None = None) -> None:
        self._file = file
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="remit-passwords")
        self._waiting = 0

    def mark(self, user: str) -> str:
        """What changes when the user's password does: 16 hex digits, ``""`` where they have none."""
        hash_ = self._file.read().get(user)
        return hashlib.sha256(hash_.encode()).hexdigest()[:16] if hash_ else ""

    async def verify(self, user: str, password: Credential) -> bool:
        """Whether this is the password of ``user``.

        Raises ``GrantUnavailable`` where too many are being checked, and ``StateInvalid``.
        """
        if self._waiting >= _MAX_WAITING:
            raise GrantUnavailable("too many sign-ins at once, try again in a few seconds")
        text = normalised(password)
        hash_ = self._file.read().get(user)
        known = hash_ is not None and text is not None
        try:
            doing = self._threads.submit(self._matches, hash_ if known else None, text or b"")
        except RuntimeError as error:
            raise GrantUnavailable("the service is stopping") from error
        self._waiting += 1
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                matches = await asyncio.wrap_future(doing)
        except TimeoutError as error:
            raise GrantUnavailable("too many sign-ins at once, try again in a few seconds") from error
        finally:
            self._waiting -= 1
        if not (known and matches):
            return False
        await self._renew(user, hash_ or "", text or b"")
        return True

    def close(self) -> None:
        """Let the checks that were begun come to their end."""
        self._threads.shutdown()

    @cached_property
    def _nobodys(self) -> str:
        """What is checked where there is no such user, so that it takes as long as where there is one."""
        return self._hasher.hash("nobody's")

    def _matches(self, hash_: str | None, password: bytes) -> bool:
        nobodys = self._nobodys  # made at the first sign-in, whoever's it is
        try:
            return self._hasher.verify(hash_ or nobodys, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _renew(self, user: str, hash_: str, password: bytes) -> None:
        """Hash anew where the parameters have changed since; where that fails, the next sign-in tries.

        Waited for, because the session that is about to begin ends when the hash changes.
        """
        if not self._hasher.check_needs_rehash(hash_):
            return

        def renew() -> None:
            renewed = self._hasher.hash(password)

            def edit(hashes: dict[str, str]) -> None:
                if hashes.get(user) == hash_:
                    hashes[user] = renewed

            self._file.change(edit)

        with suppress(StateInvalid, RuntimeError):
            await asyncio.wrap_future(self._threads.submit(renew))


def normalised(password: Credential) -> bytes | None:
    """The bytes that are hashed: Unicode NFC in UTF-8; ``None`` where it is empty or too long to be one."""
    if len(text := password.reveal()) > MAX_PASSWORD_BYTES:  # hashed, and kept nowhere
        return None
    encoded = unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")
    return encoded if 0 < len(encoded) <= MAX_PASSWORD_BYTES else None


def hash_password(password: Credential) -> str:
    """The argon2id hash of a new password. Raises ``ValueError`` where it is too short or too long."""
    text = normalised(password)
    if text is None:
        raise ValueError(f"a password has at most {MAX_PASSWORD_BYTES} bytes")
    if len(text.decode("utf-8", "surrogatepass")) < MIN_PASSWORD_CHARACTERS:
        raise ValueError(f"a password has at least {MIN_PASSWORD_CHARACTERS} characters")
    return PasswordHasher().hash(text)
