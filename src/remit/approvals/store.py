"""Door: approvals in a file that several processes share: asked for, decided, used once.

Whatever changes one reads it in the same write transaction, so of all processes that try, one decides and one uses.
The arguments are kept so that an approver can see what they approve, and erased once they can no longer be used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from ulid import ULID

from remit.approvals.approval import Approval, Approver, Binding, State, Terms, canonical, digest_of, unknown
from remit.approvals.file import ApprovalsFile
from remit.approvals.rows import INSERT, SELECT, UPDATE, from_row, to_changes, to_row
from remit.clock import Clock
from remit.database import transaction
from remit.errors import ApprovalUnusable

#: What nobody can read, nobody can approve.
_MAX_ARGUMENTS: Final = 64 * 1024
#: Unused and unexpired ones. A denied one counts too: whoever nags is stopped.
_MAX_OF_USER: Final = 32
_MAX_IN_ALL: Final = 1000
#: How long, and how many at most, are kept once they are of no use, for `remit approvals list --all`.
_KEPT_SECONDS: Final = 86_400
_MAX_KEPT: Final = 10_000
_ID_LENGTH: Final = 26
_METHODS: Final = frozenset({"elicitation", "operator"})
T = TypeVar("T")


class ApprovalStore:
    """The approvals of the file ``path``. Every method raises ``StateInvalid`` where the file cannot be used."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._file = ApprovalsFile(path)
        self._clock = clock

    async def ask(self, binding: Binding, terms: Terms, arguments: Mapping[str, Any]) -> Approval:
        """The approval of this call on these terms that is pending, approved or denied, or else a new pending one.

        Raises ``ApprovalUnusable`` where too many wait already or the arguments are too large to be shown, and
        ``ValueError`` where they are not those of ``binding`` or ``terms`` ask nobody.
        """
        text = canonical(arguments)
        if digest_of(text) != binding.arguments_digest or not terms.approvers or terms.expires_in <= 0:
            raise ValueError("nobody can be asked about this")
        if len(text) > _MAX_ARGUMENTS:
            raise ApprovalUnusable(
                "the arguments are too large for anybody to approve",
                detail=f"{len(text)} bytes; at most {_MAX_ARGUMENTS}",
                hint="narrow the tool's input schema, or let policy demand no approval for it",
            )
        now = int(self._clock.now())
        new = Approval(
            id=str(ULID.from_timestamp(self._clock.now())),
            binding=binding,
            terms=terms,
            arguments=dict(arguments),
            state=State.PENDING,
            asked_at=now,
            expires_at=now + terms.expires_in,
        )
        return await self._run(partial(_ask, new))

    async def decide(
        self, approval_id: str, approver: Approver, *, grant: bool, method: str, binding: Binding | None = None
    ) -> Approval:
        """Give or refuse it: once, by somebody who may. ``binding``: the call they were asked about.

        Raises ``ApprovalUnusable``. Does NOT check who ``approver`` is, and tells nobody.
        """
        if method not in _METHODS:
            raise ValueError(f"no method {method!r}")

        def decided(approval: Approval) -> Approval:
            approval.check_decision(approver, binding)
            state = State.APPROVED if grant else State.DENIED
            now = int(self._clock.now())
            return replace(approval, state=state, approver=approver, method=method, decided_at=now)

        return await self._run(partial(_change, approval_id, decided))

    async def use(self, approval_id: str, binding: Binding) -> Approval:
        """Use it up for the call of ``binding``. Raises ``ApprovalUnusable``, the second time too."""

        def used(approval: Approval) -> Approval:
            approval.check_use(binding)
            return replace(approval, state=State.USED)

        return await self._run(partial(_change, approval_id, used))

    async def listed(self, *, every: bool = False) -> list[Approval]:
        """Those that wait for somebody, oldest first; ``every``: also what became of the others."""
        where, values = ("", ()) if every else ("WHERE state = 'pending' AND expires_at > ?", (self._clock.now(),))
        return await self._run(lambda connection, now: _select(connection, now, f"{where} ORDER BY id", *values))

    async def find(self, prefix: str) -> Approval:
        """The one whose id begins with ``prefix``, in any case. Raises ``ApprovalUnusable`` for none and for several."""
        start = prefix.upper()
        found: list[Approval] = []
        if 0 < len(start) <= _ID_LENGTH and start.isascii():
            clause = "WHERE id >= ? AND id < ? ORDER BY id LIMIT 2"
            found = await self._run(lambda connection, now: _select(connection, now, clause, start, start + "\x7f"))
        if len(found) != 1:
            raise unknown("several have an id that begins so" if found else "none has an id that begins so")
        return found[0]

    async def sweep(self) -> None:
        """Erase what has expired. Every other method does so first; this is for when nobody calls one."""
        await self._run(lambda _connection, _now: None)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    async def _run(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        def swept(connection: sqlite3.Connection) -> T:
            now = self._clock.now()
            _sweep(connection, now)
            return work(connection, now)

        return await self._file.run(swept)


# ── in the file's thread ─────────────────────────────────────────────────────────────────


def _ask(new: Approval, connection: sqlite3.Connection, now: float) -> Approval:
    user = (new.binding.issuer, new.binding.subject)
    with transaction(connection):
        theirs = _select(
            connection, now, "WHERE issuer = ? AND subject = ? AND expires_at > ? AND state != 'used'", *user, now
        )
        for approval in theirs:
            if approval.binding == new.binding and approval.terms == new.terms:
                return approval
        (in_all,) = connection.execute(
            "SELECT count(*) FROM approvals WHERE expires_at > ? AND state != 'used'", (now,)
        ).fetchone()
        if len(theirs) >= _MAX_OF_USER or in_all >= _MAX_IN_ALL:
            raise ApprovalUnusable(
                "too many calls wait for approval already",
                detail=f"{len(theirs)} of this user, {in_all} in all",
                hint="see `remit approvals list`; each makes room once it is used or has expired",
            )
        connection.execute(INSERT, to_row(new))
        _drop_oldest(connection, now)
    return new


def _change(
    approval_id: str, change: Callable[[Approval], Approval], connection: sqlite3.Connection, now: float
) -> Approval:
    with transaction(connection):
        changed = change(_get(connection, now, approval_id))
        connection.execute(UPDATE, to_changes(changed))
    if changed.state is not State.APPROVED:
        _leave_no_trace(connection)
    return _get(connection, now, approval_id)


def _get(connection: sqlite3.Connection, now: float, approval_id: str) -> Approval:
    found = _select(connection, now, "WHERE id = ?", approval_id)
    if not found:
        raise unknown("none has that id")
    return found[0]


def _select(connection: sqlite3.Connection, now: float, clause: str, *values: Any) -> list[Approval]:
    return [from_row(row, now) for row in connection.execute(f"{SELECT} {clause}", values)]


def _sweep(connection: sqlite3.Connection, now: float) -> None:
    with transaction(connection):
        erased = connection.execute(
            "UPDATE approvals SET arguments = '', claims = '' WHERE arguments != '' AND expires_at <= ?", (now,)
        )
        connection.execute("DELETE FROM approvals WHERE expires_at <= ?", (now - _KEPT_SECONDS,))
    if erased.rowcount:
        _leave_no_trace(connection)


def _drop_oldest(connection: sqlite3.Connection, now: float) -> None:
    connection.execute(
        "DELETE FROM approvals WHERE id IN (SELECT id FROM approvals WHERE state = 'used' OR expires_at <= ?"
        " ORDER BY id DESC LIMIT -1 OFFSET ?)",
        (now, _MAX_KEPT),
    )


def _leave_no_trace(connection: sqlite3.Connection) -> None:
    """What was erased stands in the write-ahead log still, until that is emptied."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
