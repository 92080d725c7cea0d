"""Rule: the hash chain. Each record's body holds its number and the hash of the record before it.

``hash`` = SHA-256 of the body; the body is canonical JSON: sorted ASCII keys, no white space, UTF-8, and no
numbers but whole ones within ±(2^53-1), so that it is byte for byte what RFC 8785 would write.

What ``verify`` finds: a record that was edited, deleted, inserted or moved anywhere before the end.

What an unkeyed chain can NOT tell, because whoever may write the file can compute hashes too:

- records cut off at the end (the chain is just shorter);
- a rewrite of everything from some record to the end, hashes included;
- a whole other chain in the file's place.

For those, keep ``Report.head`` and ``Report.records`` somewhere the writer cannot reach, and compare.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from remit.audit.event import Kind

_MAX_INTEGER: Final = 2**53 - 1
_MAX_DEPTH: Final = 16
_KINDS: Final = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Link:
    """Where a chain ends: the last record's number and hash."""

    seq: int
    hash: str


#: Before the first record.
GENESIS: Final = Link(0, "0" * 64)


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it lies in the store: the body, and the columns that repeat parts of it. ``time_ms``: epoch."""

    seq: int
    call_id: str
    kind: str
    time_ms: int
    body: str
    prev: str
    hash: str

    @property
    def link(self) -> Link:
        """What the next record hangs on."""
        return Link(self.seq, self.hash)

    @property
    def facts(self) -> dict[str, Any]:
        """The body as a document. Believe it only after ``verify``."""
        document = orjson.loads(self.body)
        return document if isinstance(document, dict) else {}


@dataclass(frozen=True, slots=True)
class Break:
    """The first record that is not as it was written, and what is wrong with it."""

    seq: int
    problem: str


@dataclass(frozen=True, slots=True)
class Report:
    """What ``verify`` found, up to the first break.

    ``unfinished`` are the call ids of intents without an outcome: calls still running, or cut off by the end of
    a process; whether the API was called is not known. ``head`` is the last sound record's hash.
    """

    records: int = 0
    intents: int = 0
    outcomes: int = 0
    controls: int = 0
    issuances: int = 0
    shadows: int = 0
    unfinished: tuple[str, ...] = ()
    head: str = GENESIS.hash
    broken: Break | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with any record."""
        return self.broken is None


def check(value: Any, depth: int = 0) -> None:
    """Raise ``ValueError`` unless ``value`` has exactly one canonical form (see the module's text)."""
    if isinstance(value, str):
        if not value.isascii():
            value.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
    elif isinstance(value, int):  # a boolean too
        if not -_MAX_INTEGER <= value <= _MAX_INTEGER:
            raise ValueError("a number lies beyond ±(2^53-1)")
    elif not isinstance(value, dict | list):
        raise ValueError(f"a {type(value).__name__} has no place in a record")  # noqa: TRY004  one kind of error
    elif depth == _MAX_DEPTH:
        raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
    else:
        if isinstance(value, dict):
            _check_keys(value)
        for item in value.values() if isinstance(value, dict) else value:
            if not (type(item) is str and item.isascii()):  # most are, and every record comes by here
                check(item, depth + 1)


def _check_keys(members: dict[Any, Any]) -> None:
    for key in members:
        if not (isinstance(key, str) and key.isascii()):
            raise ValueError("a key is not ASCII text")


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one form a checked document is hashed in."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def seal(record: Mapping[str, Any], after: Link) -> StoredRecord:
    """Number a checked record, hang it on ``after`` and hash it. It holds ``call_id``, ``kind`` and ``time_ms``."""
    seq = after.seq + 1
    body = canonical({**record, "seq": seq, "prev": after.hash})
    return StoredRecord(
        seq=seq,
        call_id=record["call_id"],
        kind=record["kind"],
        time_ms=record["time_ms"],
        body=body.decode(),
        prev=after.hash,
        hash=hashlib.sha256(body).hexdigest(),
    )


def verify(rows: Iterable[StoredRecord]) -> Report:
    """Walk ``rows`` in the order of their numbers and stop at the first that is not as it was written.

    Memory grows only with the calls that are unfinished at a time.
    """
    end, counts = GENESIS, dict.fromkeys(Kind, 0)
    open_calls: dict[str, None] = {}
    broken = None
    for row in rows:
        problem = _problem(row, end)
        if problem:
            broken = Break(row.seq, problem)
            break
        end = row.link
        counts[Kind(row.kind)] += 1
        if row.kind == Kind.INTENT:
            open_calls[row.call_id] = None
        elif row.kind == Kind.OUTCOME:
            open_calls.pop(row.call_id, None)
    return Report(
        records=end.seq,
        intents=counts[Kind.INTENT],
        outcomes=counts[Kind.OUTCOME],
        controls=counts[Kind.CONTROL],
        issuances=counts[Kind.ISSUED] + counts[Kind.REFUSED],
        shadows=counts[Kind.SHADOW],
        unfinished=tuple(open_calls),
        head=end.hash,
        broken=broken,
    )


def _problem(row: StoredRecord, end: Link) -> str:
    """What is wrong with ``row`` as the next after ``end``; empty where nothing is."""
    if row.seq != end.seq + 1:
        return f"number {end.seq + 1} should come here: records are missing or were moved"
    if row.prev != end.hash:
        return "it does not hang on the record before it"
    body = row.body.encode("utf-8", "surrogateescape")
    if hashlib.sha256(body).hexdigest() != row.hash:
        return "its hash is not that of its body"
    return _problem_of_body(row, body)


def _problem_of_body(row: StoredRecord, body: bytes) -> str:
    try:
        document = orjson.loads(body)
        check(document)
    except ValueError:
        return "its body is not the JSON that is written here"
    if not isinstance(document, dict) or canonical(document) != body:
        return "its body is not in canonical form"
    for name in ("seq", "call_id", "kind", "time_ms", "prev"):
        if document.get(name) != getattr(row, name):
            return f"its column {name} differs from its body"
    return "" if row.kind in _KINDS else "its kind is none there is"
