"""Door: the clients and development users in force, read anew when the settings file changes.

Everything else in the settings takes a restart; so does a secret or key file that changes without the settings.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any, Final

import structlog

from remit.app import registry
from remit.errors import SettingsInvalid
from remit.settings import Settings, load_settings
from remit.sts.clients import Client
from remit.sts.grant import SecurityTokenService
from remit.sts.users import DevelopmentUser

log = structlog.get_logger("remit")

#: What can change while serving.
_LIVE: Final = {"sts": {"clients", "users", "max_lifetime"}}


class Rules:
    """Keeps the rules of ``sts`` as the settings file has them; a file that broke leaves them as they were."""

    def __init__(self, settings: Settings, sts: SecurityTokenService | None) -> None:
        self._settings = settings
        self._sts = sts
        self._seen = _digest(settings.file)

    def user(self, name: str) -> DevelopmentUser:
        """A development user. Raises ``SettingsInvalid`` for one that is not there."""
        return registry.development_user(self._settings, name)

    def users(self) -> dict[str, DevelopmentUser]:
        """All of them, by id, as the settings file has them now."""
        return registry.users(self._settings)

    async def watch(self, stop: asyncio.Event) -> None:
        """Reload whenever the file's text changes, until ``stop`` is set."""
        file = self._settings.file
        if file is None or self._sts is None:
            return
        from watchfiles import awatch  # noqa: PLC0415  only servers watch

        # The folder, because editors and orchestrators put another file in the place of the one that was there.
        async for _ in awatch(file.parent, recursive=False, stop_event=stop, debounce=200, step=50):
            if (digest := await asyncio.to_thread(_digest, file)) != self._seen:
                self._seen = digest
                await self.reload()

    async def reload(self) -> None:
        """Read the file and put its rules in force, all at once. What is wrong with it is logged."""
        try:
            settings, clients = await asyncio.to_thread(self._read)
        except SettingsInvalid as error:
            _log_problems(error)
            return
        if self._sts is not None:
            self._sts.replace_clients(clients)
        if _rest(settings) != _rest(self._settings):
            log.warning("settings_changed", hint="restart for anything but sts.clients, sts.users, sts.max_lifetime")
        self._settings = settings
        log.info("rules_reloaded", clients=len(clients), users=len(settings.sts.users))

    def _read(self) -> tuple[Settings, dict[str, Client]]:
        # The agent is the one that was started, which is to go on working under the new rules.
        settings = load_settings(self._settings.file).model_copy(update={"agent": self._settings.agent})
        if settings.exchange.service == "embedded":
            registry.runner(settings)
        return settings, registry.clients(settings)


def _log_problems(error: SettingsInvalid) -> None:
    for problem in error.problems:
        log.error("rules_not_reloaded", where=problem.where, problem=problem.message, hint=problem.hint)


def _rest(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(exclude=_LIVE)


def _digest(file: Path | None) -> bytes:
    try:
        return hashlib.sha256(file.read_bytes()).digest() if file is not None else b""
    except OSError:
        return b""
