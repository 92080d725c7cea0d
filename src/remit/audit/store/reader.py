"""Door: reading a trail, from any process and while others write it. Opens the file read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from remit.audit import chain
from remit.audit.chain import Break, Report, StoredRecord
from remit.audit.event import Kind
from remit.audit.store import schema
from remit.errors import StateInvalid

_LAST_SEQ: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Call:
    """The records of one call. ``outcome`` is missing while it runs and after a crash, ``intent`` where the call was refused early.

    What is no call but an operator's act has ``control`` alone. ``shadows``: where a second policy would have decided
    differently, in the order it was written.
    """

    call_id: str
    intent: StoredRecord | None = None
    outcome: StoredRecord | None = None
    control: StoredRecord | None = None
    shadows: tuple[StoredRecord, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """All that is known: the intent's members, and the outcome's over them; or those of the control.

        ``differences`` has what the shadows say, where there are any.
        """
        members: dict[str, Any] = {}
        for record in (self.control, self.intent, self.outcome):
            members.update(record.facts if record else {})
        if self.shadows:
            members["differences"] = [_difference(record.facts) for record in self.shadows]
        return members


class TrailReader:
    """A read-only view of a SQLite trail; a context manager. For one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def last(self, count: int) -> list[StoredRecord]:
        """The newest ``count`` records, oldest first."""
        return list(self._records("ORDER BY seq DESC LIMIT ?", count))[::-1]

    def latest(self, count: int) -> list[Call]:
        """The newest ``count`` calls with all their records, in the order of their latest record, shadows apart."""
        found: dict[str, None] = {}
        for record in self._records("WHERE kind <> ? ORDER BY seq DESC", Kind.SHADOW.value):
            found.setdefault(record.call_id)
            if len(found) == count:
                break
        return [self._call(call_id) for call_id in reversed(found)]

    def after(self, seq: int, limit: int = 1000) -> list[StoredRecord]:
        """Up to ``limit`` records that follow number ``seq``, oldest first: ask again with the last one's to follow."""
        return list(self._records("WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit))

    def calls(self, prefix: str, limit: int = 10) -> list[Call]:
        """The calls whose id begins with ``prefix`` (any case), oldest first; one where it is unique, none where unknown."""
        start = prefix.upper()
        names = self._connection.execute(
            "SELECT DISTINCT call_id FROM records WHERE call_id >= ? AND call_id < ? ORDER BY call_id LIMIT ?",
            (start, start + "\x7f", limit),
        )
        return [self._call(call_id) for (call_id,) in names.fetchall()]

    def call_of(self, record: StoredRecord) -> Call:
        """The call a record belongs to, up to that record: an outcome together with its intent."""
        return self._call(record.call_id, record.seq)

    def verify(self) -> Report:
        """Check every record (``chain.verify``), reading the file once. A file SQLite cannot read is broken at 0."""
        try:
            return chain.verify(self._records("ORDER BY seq"))
        except sqlite3.Error as error:
            return Report(broken=Break(0, f"the file is damaged: {error}"))

    def _call(self, call_id: str, until: int = _LAST_SEQ) -> Call:
        call = Call(call_id)
        for record in self._records("WHERE call_id = ? AND seq <= ? ORDER BY seq", call_id, until):
            call = _with(call, record)
        return call

    def _records(self, clause: str, *values: Any) -> Iterator[StoredRecord]:
        for row in self._connection.execute(f"{schema.SELECT} {clause}", values):
            yield schema.from_row(row)


def _with(call: Call, record: StoredRecord) -> Call:
    match record.kind:
        case Kind.INTENT:
            return replace(call, intent=record)
        case Kind.CONTROL:
            return replace(call, control=record)
        case Kind.SHADOW:
            return replace(call, shadows=(*call.shadows, record))
        case _:
            return replace(call, outcome=record)


def _difference(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: facts.get(name) for name in ("phase", "live", "shadow")}


def open_reader(path: Path) -> TrailReader:
    """Open the trail at ``path``. Raises ``StateInvalid`` where there is none or it is not one."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None)
        # Text that is no UTF-8 was put there by somebody else: it must reach ``verify``, not end the reading.
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise StateInvalid(
            "the audit trail cannot be read",
            where=str(path),
            detail=str(error),
            hint="name the state directory that `remit serve` uses",
        ) from error
    if version != schema.VERSION:
        connection.close()
        raise StateInvalid("not an audit trail of this release", where=str(path), detail=f"schema version {version}")
    return TrailReader(connection)
