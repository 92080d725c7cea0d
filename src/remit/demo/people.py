"""Door: passwords for the sample company's people, so that whoever tries it can sign in as them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from remit.authorization.passwords import PasswordFile, hash_password
from remit.credential import Credential
from remit.settings import Settings

_FOLDER: Final = Path("secrets", "passwords")


def sample_passwords(settings: Settings, users: Iterable[str]) -> dict[str, Credential]:
    """The passwords of ``users``: made where they have none, and kept beside the workspace's other secrets.

    One that was set by `remit users password` is not known here. Raises ``StateInvalid`` and ``OSError``.
    """
    if not settings.sign_in.enabled:
        return {}
    file = PasswordFile(settings.passwords_file)
    kept = settings.state_dir / _FOLDER
    missing = {user: _made(kept / user) for user in users if user in settings.sts.users and user not in file.read()}
    if missing:
        hashes = {user: hash_password(password) for user, password in missing.items()}
        file.change(lambda those: those.update(hashes))
    return {path.name: Credential(path.read_text(encoding="ascii")) for path in sorted(kept.glob("*"))}


def _made(path: Path) -> Credential:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    password = secrets.token_urlsafe(12)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(password)
    return Credential(password)
