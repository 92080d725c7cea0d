"""Door: the policy in force, replaced as a whole when its files change; one that is broken never replaces one that works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from remit.errors import SetupError
from remit.policy.decision import Decision
from remit.policy.engine import PolicyEngine

log = structlog.get_logger("remit")

#: How often it is looked whether what is watched is still what the settings name.
_LOOK_SECONDS: Final = 1.0

#: Makes the engine of the policy as it is now; ``None`` where that is the one of this revision. Raises ``SetupError`` leaves.
Load = Callable[[str], Awaitable[PolicyEngine | None]]


class LivePolicy:
    """A ``PolicyEngine`` that hands each decision to the engine in force.

    A decision under way is finished by the engine it was begun with; that one is closed after its last decision.
    """

    def __init__(self, engine: PolicyEngine, load: Load, name: str = "in force") -> None:
        self._engine = engine
        self._load = load
        self._name = name
        self._users: dict[PolicyEngine, int] = {}
        self._reloading = asyncio.Lock()

    @property
    def revision(self) -> str:
        """That of the engine in force."""
        return self._engine.revision

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        """See ``PolicyEngine.decide``."""
        async with self._used() as engine:
            return await engine.decide(document)

    async def decide_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """See ``PolicyEngine.decide_many``: one policy decides about all of them."""
        async with self._used() as engine:
            return await engine.decide_many(documents)

    async def aclose(self) -> None:
        """Close the engine in force."""
        await self._engine.aclose()

    async def reload(self) -> bool:
        """Load the policy anew; whether another one is in force now. What is wrong with it is logged."""
        async with self._reloading:
            try:
                engine = await self._load(self.revision)
            except SetupError as error:  # a signature's key that cannot be read is no PolicyInvalid
                _tell(self._name, error, in_force=self.revision)
                return False
            if engine is None:
                return False
            before, self._engine = self._engine, engine
            log.info("policy_reloaded", policy=self._name, revision=engine.revision, before=before.revision)
            if not self._users.get(before):
                await before.aclose()
            return True

    async def watch(self, path: Path, stop: asyncio.Event) -> None:
        """Reload whenever something below ``path`` changes, until ``stop`` is set.

        Also where another folder or file takes the place of ``path``, or a link leads elsewhere: within seconds then.
        """
        while not stop.is_set():
            try:
                await self._watch_place(path, stop)
            except FileNotFoundError:  # taken away, to be replaced perhaps
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)

    async def _watch_place(self, path: Path, stop: asyncio.Event) -> None:
        """As long as it is the same one. Raises ``FileNotFoundError``."""
        from watchfiles import Change, awatch  # noqa: PLC0415  only servers watch

        place = await asyncio.to_thread(_Place.of, path)
        look = int(_LOOK_SECONDS * 1000)
        is_new = True  # what changed before it was watched
        async for changes in awatch(
            place.folder,
            recursive=place.is_folder,
            stop_event=stop,
            debounce=200,
            step=50,
            rust_timeout=look,
            yield_on_timeout=True,
        ):
            if changes or is_new:
                await self.reload()
            is_new = False
            is_gone = (Change.deleted, str(place.folder)) in changes
            if is_gone or await asyncio.to_thread(_Place.of, path) != place:
                return

    @asynccontextmanager
    async def _used(self) -> AsyncIterator[PolicyEngine]:
        engine = self._engine
        self._users[engine] = self._users.get(engine, 0) + 1
        try:
            yield engine
        finally:
            self._users[engine] -= 1
            if not self._users[engine]:
                del self._users[engine]
                if engine is not self._engine:
                    await engine.aclose()


@dataclass(frozen=True, slots=True)
class _Place:
    """What is watched: a policy's folder, or of a single file the one it is in, because a new file takes its place."""

    folder: Path
    is_folder: bool
    identity: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> _Place:
        """Where ``path`` leads now. Raises ``FileNotFoundError``."""
        is_folder = path.is_dir()
        folder = (path if is_folder else path.parent).resolve(strict=True)
        status = folder.stat()
        return cls(folder, is_folder, (status.st_dev, status.st_ino))


def _tell(name: str, error: SetupError, *, in_force: str) -> None:
    log.error(
        "policy_not_reloaded",
        policy=name,
        where=error.where,
        problem=error.message,
        hint=error.hint,
        in_force=in_force,
    )
