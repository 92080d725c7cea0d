"""Rule: the file's tables, and how a row becomes an approval."""

from __future__ import annotations

import json
from dataclasses import astuple, fields, replace
from typing import Any, Final

from remit.approvals.approval import Approval, Approver, Binding, State, Terms, canonical
from remit.database import Schema


def _names_of(noun: type[Binding]) -> tuple[str, ...]:
    return tuple(part.name for part in fields(noun))


#: A pair of user and agent is kept as a hash of both names. ``claims``: the approver's roles and groups.
SCHEMA: Final = Schema(
    1,
    (
        """CREATE TABLE approvals (
             id TEXT PRIMARY KEY,
             issuer TEXT NOT NULL,
             subject TEXT NOT NULL,
             actor_issuer TEXT NOT NULL,
             actor TEXT NOT NULL,
             tool TEXT NOT NULL,
             tool_digest TEXT NOT NULL,
             arguments_digest TEXT NOT NULL,
             terms TEXT NOT NULL,
             arguments TEXT NOT NULL,
             state TEXT NOT NULL,
             asked_at INTEGER NOT NULL,
             expires_at INTEGER NOT NULL,
             approver_issuer TEXT NOT NULL,
             approver TEXT NOT NULL,
             claims TEXT NOT NULL,
             method TEXT NOT NULL,
             decided_at INTEGER NOT NULL
           ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX approvals_by_user ON approvals (issuer, subject, expires_at)",
        "CREATE INDEX approvals_by_time ON approvals (expires_at)",
        "CREATE INDEX approvals_to_erase ON approvals (expires_at) WHERE arguments != ''",
        "CREATE TABLE pairs (pair BLOB PRIMARY KEY, since INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ),
)

_DECISION: Final = ("state", "approver_issuer", "approver", "claims", "method", "decided_at")
_COLUMNS: Final = ("id", *_names_of(Binding), "terms", "arguments", "asked_at", "expires_at", *_DECISION)
_COUNT_OF_BINDING: Final = len(_names_of(Binding))
# Built of constants alone: every value is a parameter.
INSERT: Final = f"INSERT INTO approvals ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM approvals"  # noqa: S608
UPDATE: Final = f"UPDATE approvals SET arguments = ?, {', '.join(f'{name} = ?' for name in _DECISION)} WHERE id = ?"  # noqa: S608


def to_row(approval: Approval) -> tuple[Any, ...]:
    """The values of ``INSERT``."""
    terms = json.dumps([approval.terms.approvers, approval.terms.expires_in])
    times = (approval.asked_at, approval.expires_at)
    return (approval.id, *astuple(approval.binding), terms, _arguments(approval), *times, *_decision(approval))


def to_changes(approval: Approval) -> tuple[Any, ...]:
    """The values of ``UPDATE``."""
    return (_arguments(approval), *_decision(approval), approval.id)


def from_row(row: tuple[Any, ...], now: float) -> Approval:
    """A row as it counts at ``now``. Raises ``ValueError`` for one that is damaged."""
    try:
        approval = _approval(*row)
    except (ValueError, TypeError) as error:
        raise ValueError("an approval in the file is damaged") from error
    waits = approval.state in (State.PENDING, State.APPROVED)
    return replace(approval, state=State.EXPIRED) if waits and approval.expires_at <= now else approval


def _approval(id_: str, *parts: Any) -> Approval:
    binding, rest = parts[:_COUNT_OF_BINDING], parts[_COUNT_OF_BINDING:]
    terms, arguments, asked_at, expires_at, state, issuer, subject, claims, method, decided_at = rest
    return Approval(
        id_,
        Binding(*binding),
        _terms(terms),
        json.loads(arguments or "{}"),
        State(state),
        asked_at,
        expires_at,
        _approver(issuer, subject, claims) if subject else None,
        method,
        decided_at,
    )


def _arguments(approval: Approval) -> str:
    waits = approval.state in (State.PENDING, State.APPROVED)
    return canonical(approval.arguments).decode() if waits else ""


def _decision(approval: Approval) -> tuple[Any, ...]:
    approver = approval.approver or Approver("", "")
    claims = json.dumps([approver.roles, approver.groups]) if approval.state is State.APPROVED else ""
    state = approval.state.value
    return (state, approver.issuer, approver.subject, claims, approval.method, approval.decided_at)


def _terms(text: str) -> Terms:
    approvers, expires_in = json.loads(text)
    if not approvers:
        raise ValueError("an approval that asks nobody")
    return Terms(tuple(tuple(names) for names in approvers), expires_in)


def _approver(issuer: str, subject: str, claims: str) -> Approver:
    roles, groups = json.loads(claims or "[[], []]")
    return Approver(issuer, subject, tuple(roles), tuple(groups))
