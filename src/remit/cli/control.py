"""What an operator does to the installation from the command line: told to the trail, with who did it."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import TYPE_CHECKING

from remit.cli.common import run
from remit.errors import AuditError, StateInvalid

if TYPE_CHECKING:
    from remit.settings import Settings


def operator() -> str:
    """Who sits at the terminal, as the system knows them."""
    try:
        return f"operator:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # nobody has that number
        return "operator"


def record(settings: Settings, action: str, what: Mapping[str, str]) -> None:
    """Record what was done. Raises ``AuditError``, saying that it was done all the same."""
    from remit.audit.store.sqlite import SqliteStore
    from remit.audit.trail import Trail
    from remit.clock import SystemClock

    async def write() -> None:
        store = SqliteStore(settings.audit_file)
        try:
            await Trail(store, SystemClock()).control(action, {**what, "by": operator()})
        finally:
            store.close()

    try:
        run(write())
    except (AuditError, StateInvalid) as error:
        raise AuditError(
            f"{action} was done and is in force, but could not be recorded", detail=error.detail, hint=error.hint
        ) from error
