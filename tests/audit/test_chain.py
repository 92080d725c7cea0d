from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.audit.chain import GENESIS, StoredRecord, canonical, check, seal, verify

KEYS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.text(max_size=20) | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def chained(count: int) -> list[StoredRecord]:
    rows: list[StoredRecord] = []
    end = GENESIS
    for number in range(count):
        kind = "outcome" if number % 2 else "intent"
        rows.append(seal({"call_id": f"call-{number // 2}", "kind": kind, "time_ms": number, "who": "älice"}, end))
        end = rows[-1].link
    return rows


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=6))
def test_whatever_may_be_recorded_verifies(documents: list[dict[str, Any]]) -> None:
    rows, end = [], GENESIS
    for document in documents:
        record = {**document, "call_id": "c", "kind": "outcome", "time_ms": 1}
        check(record)
        rows.append(seal(record, end))
        end = rows[-1].link
    report = verify(rows)
    assert report.sound
    assert (report.records, report.head) == (end.seq, end.hash)


@given(VALUES)
def test_the_canonical_form_is_that_of_rfc_8785(value: Any) -> None:
    document = {"value": value}
    check(document)
    # Python's own writer agrees with RFC 8785 for ASCII keys and whole numbers, but for DEL and lone surrogates.
    assert (
        canonical(document) == json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )


@pytest.mark.parametrize(
    "value",
    [0.5, float("nan"), None, b"bytes", (1, 2), 2**53, -(2**53), "\ud800", {"ä": 1}, {1: 1}, [[0.5]]],
    ids=repr,
)
def test_what_has_no_single_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        check({"value": value})


def test_deep_nesting_is_refused() -> None:
    value: Any = "x"
    for _ in range(20):
        value = [value]
    with pytest.raises(ValueError, match="deeper"):
        check(value)


def test_an_intent_without_outcome_is_unfinished() -> None:
    report = verify(chained(5))
    assert report.sound
    assert (report.records, report.intents, report.outcomes, report.unfinished) == (5, 3, 2, ("call-2",))


@given(st.integers(0, 8), st.data())
def test_an_edited_column_is_found(at: int, data: st.DataObject) -> None:
    rows = chained(9)
    name = data.draw(st.sampled_from(["seq", "call_id", "kind", "time_ms", "body", "prev", "hash"]))
    value = getattr(rows[at], name)
    changed: dict[str, Any] = {name: value + 1 if isinstance(value, int) else value + "x"}
    rows[at] = dataclasses.replace(rows[at], **changed)
    report = verify(rows)
    assert report.broken is not None
    assert report.broken.seq in {at + 1, at + 2}


def test_an_edit_whose_hash_was_made_to_fit_is_found_at_the_next_record() -> None:
    rows = chained(4)
    forged = json.loads(rows[1].body)
    rows[1] = seal({**forged, "who": "mallory"}, rows[0].link)
    report = verify(rows)
    assert report.broken is not None
    assert (report.broken.seq, report.broken.problem) == (3, "it does not hang on the record before it")


def test_a_deleted_record_is_found() -> None:
    for at in range(8):
        rows = chained(9)
        del rows[at]
        report = verify(rows)
        assert report.broken is not None
        assert report.broken.seq == at + 2
        assert "missing" in report.broken.problem


def test_records_that_changed_places_are_found() -> None:
    rows = chained(6)
    one, two = rows[2], rows[3]
    rows[2], rows[3] = dataclasses.replace(two, seq=3), dataclasses.replace(one, seq=4)
    report = verify(rows)
    assert report.broken is not None
    assert report.broken.seq == 3


def test_an_inserted_record_is_found() -> None:
    rows = chained(6)
    stranger = seal({"call_id": "x", "kind": "outcome", "time_ms": 1}, rows[2].link)
    later = [dataclasses.replace(row, seq=row.seq + 1) for row in rows[3:]]
    report = verify([*rows[:3], stranger, *later])
    assert report.broken is not None
    assert report.broken.seq == 5


@pytest.mark.parametrize("name", ["call_id", "kind", "time_ms"])
def test_a_column_that_differs_from_its_body_is_found(name: str) -> None:
    rows = chained(3)
    changed: dict[str, Any] = {"call_id": "call-9", "kind": "outcome", "time_ms": 99}
    rows[2] = dataclasses.replace(rows[2], **{name: changed[name]})
    report = verify(rows)
    assert report.broken is not None
    assert (report.broken.seq, report.broken.problem) == (3, f"its column {name} differs from its body")


@pytest.mark.parametrize("body", ["", "[]", "null", "{", '{"a":1.5}', '{ "a": 1 }', '{"a":1,"a":1}', "\udc80"])
def test_a_body_that_was_never_written_here_is_found_even_with_its_hash(body: str) -> None:
    digest = hashlib.sha256(body.encode("utf-8", "surrogateescape")).hexdigest()
    report = verify([StoredRecord(1, "c", "intent", 1, body, GENESIS.hash, digest)])
    assert report.broken is not None
    assert "body" in report.broken.problem


def test_a_cut_off_end_is_told_only_by_comparing_heads() -> None:
    rows = chained(6)
    whole, cut = verify(rows), verify(rows[:4])
    assert cut.sound
    assert (whole.records, whole.head) != (cut.records, cut.head)
