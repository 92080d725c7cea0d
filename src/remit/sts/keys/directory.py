"""Door: the keys in a directory that only its owner can read, changed by several processes without a lock.

Each change is a folder of its own, ``000001``, ``000002`` …, with one file that holds all keys and their times. It is
written beside, brought to the disk and renamed into place; a folder that has something in it is never renamed over,
on any system, so of two processes that make the same change number one is told to look again. A process that is
killed leaves the old folder or the new one, never half of either.

A directory of the first release has one key in ``active/key.pem``; it is read as it is, and moved by the first change.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remit.errors import KeyRingInvalid
from remit.sts.keys.schedule import Keys, RingKey
from remit.sts.keys.signing_key import SigningKey
from remit.tokens import strict_json

_FILE: Final = "keys.json"
_VERSION: Final = 1
_FIRST_RELEASE: Final = Path("active", "key.pem")
_NUMBER: Final = re.compile(r"[0-9]{6,12}")
_MAX_BYTES: Final = 64 * 1024
_MAX_KEYS: Final = 16
_BESIDE: Final = "new-"
_ABANDONED_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Change:
    """The keys after one change; ``number`` 0 is a directory that was never changed, with a key or without."""

    number: int
    keys: Keys


class KeyDirectory:
    """Reads and changes the keys in ``path``. Raises ``KeyRingInvalid`` where they cannot be used safely."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def newest(self) -> int:
        """The number of the last change: cheap, for asking often."""
        return max(self._numbers(), default=0)

    def read(self) -> Change:
        """The keys as they are now; none where there is no key yet."""
        while True:
            number = self.newest()
            file = self._folder(number) / _FILE if number else self.path / _FIRST_RELEASE
            if not number and not file.parent.exists():
                return Change(0, ())
            try:
                text = _read_private(file)
            except FileNotFoundError as error:
                if self.newest() == number:
                    raise KeyRingInvalid(
                        "the signing keys are gone from their folder",
                        where=str(file.parent),
                        hint="restore them; or remove the folder for new keys, and every token becomes invalid",
                    ) from error
                continue  # it was removed because a newer one is there
            return Change(number, _parse(text, file) if number else _first_release(text, file))

    def write(self, keys: Keys, *, after: int, now: float) -> bool:
        """Make change number ``after + 1`` durable; ``False`` where somebody else made it first."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=_BESIDE, dir=self.path))  # mode 0700
            try:
                _write_private(beside / _FILE, _format(keys))
                placed = self._place(beside, after + 1)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise
            # Whoever was slow may have taken a number that two others had used and cleared away.
            if not placed or self.newest() != after + 1:
                shutil.rmtree(self._folder(after + 1) if placed else beside, ignore_errors=True)
                return False
            self._clear(before=after + 1, now=now)
        except OSError as error:
            raise _unusable(self.path, error) from error
        return True

    def _place(self, beside: Path, number: int) -> bool:
        try:
            beside.rename(self._folder(number))
        except OSError:
            if self._folder(number).exists() or self.newest() >= number:
                return False
            raise
        _sync_folder(self.path)
        return True

    def _clear(self, *, before: int, now: float) -> None:
        """Remove older changes, whose keys may be gone for a reason, and what killed processes left long ago."""
        for number in self._numbers():
            if number < before:
                shutil.rmtree(self._folder(number), ignore_errors=True)
        shutil.rmtree(self.path / _FIRST_RELEASE.parent, ignore_errors=True)
        for folder in self.path.glob(f"{_BESIDE}*"):
            with suppress(FileNotFoundError):
                if folder.stat().st_mtime < now - _ABANDONED_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)

    def _numbers(self) -> list[int]:
        try:
            return [int(path.name) for path in self.path.iterdir() if _NUMBER.fullmatch(path.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unusable(self.path, error) from error

    def _folder(self, number: int) -> Path:
        return self.path / f"{number:06}"


def _unusable(place: Path, error: OSError) -> KeyRingInvalid:
    return KeyRingInvalid(
        "the signing keys cannot be read or made",
        where=str(place),
        detail=f"{type(error).__name__}: {error.strerror}",
        hint="make the directory readable and writable for the user that runs remit, and for nobody else",
    )


def _read_private(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise KeyRingInvalid(
                    f"the signing keys may be read by others than their owner (mode {mode:04o})",
                    where=str(file),
                    hint=f"run: chmod 600 '{file}', and `remit keys rotate --emergency` if others may have read it",
                )
            return stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unusable(file, error) from error


def _write_private(file: Path, text: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    """A rename is durable once the folder is (POSIX; elsewhere a folder cannot be opened, nor needs to be)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ── the file ─────────────────────────────────────────────────────────────────────────────


def _format(keys: Keys) -> bytes:
    entries = [
        {
            "private_key": item.key.to_pem().decode("ascii"),
            "published": item.published,
            "signs_from": item.signs_from,
            "kept_until": item.kept_until,
        }
        for item in keys
    ]
    return json.dumps({"version": _VERSION, "keys": entries}, indent=1).encode()


def _parse(text: bytes, file: Path) -> Keys:
    try:
        return _keys(text)
    except (ValueError, KeyError, TypeError) as error:
        # ``from None`` and no text of the error: it may show a piece of the file.
        raise KeyRingInvalid(
            "the signing keys' file is damaged",
            where=str(file),
            detail=type(error).__name__,
            hint="restore it; or remove the folder for new keys, and every token becomes invalid",
        ) from None


def _keys(text: bytes) -> Keys:
    document = strict_json.loads(text) if len(text) <= _MAX_BYTES else {}
    if document["version"] != _VERSION or not 1 <= len(document["keys"]) <= _MAX_KEYS:
        raise ValueError("version or keys")
    keys = tuple(_key(entry) for entry in document["keys"])
    starts = [key.signs_from for key in keys]
    if starts != sorted(starts) or len({key.key.kid for key in keys}) != len(keys):
        raise ValueError("order")
    return keys


def _key(entry: dict[str, Any]) -> RingKey:
    published, signs_from, kept_until = (entry[name] for name in ("published", "signs_from", "kept_until"))
    if type(published) is not int or type(signs_from) is not int or type(kept_until) not in {int, type(None)}:
        raise ValueError("times")
    return RingKey(SigningKey.from_pem(str(entry["private_key"]).encode("ascii")), published, signs_from, kept_until)


def _first_release(pem: bytes, file: Path) -> Keys:
    """The one key of the first release signs since its file was written."""
    try:
        since = int(file.stat().st_mtime)
        return (RingKey(SigningKey.from_pem(pem[:_MAX_BYTES]), since, since),)
    except ValueError as error:
        raise KeyRingInvalid(str(error), where=str(file)) from error
