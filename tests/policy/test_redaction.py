from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.policy.obligations import Demands, Obligation, Redaction
from remit.policy.redaction import MASK, Unredactable, redacted

KEY = b"k" * 32


def hiding(mode: str, *pointers: str) -> tuple[Redaction, ...]:
    obligation = Obligation("r", "redact_result", {"pointers": list(pointers), "mode": mode})
    return Demands.of([obligation]).redactions


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/a", {"a": MASK, "b": [{"c": 2}, {"c": 3, "d": 4}], "x/y": 5, "~": 6}),
        ("/b/*/c", {"a": 1, "b": [{"c": MASK}, {"c": MASK, "d": 4}], "x/y": 5, "~": 6}),
        ("/b/1/c", {"a": 1, "b": [{"c": 2}, {"c": MASK, "d": 4}], "x/y": 5, "~": 6}),
        ("/b/*", {"a": 1, "b": [MASK, MASK], "x/y": 5, "~": 6}),
        ("/x~1y", {"a": 1, "b": [{"c": 2}, {"c": 3, "d": 4}], "x/y": MASK, "~": 6}),
        ("/~0", {"a": 1, "b": [{"c": 2}, {"c": 3, "d": 4}], "x/y": 5, "~": MASK}),
        ("/*", {"a": MASK, "b": MASK, "x/y": MASK, "~": MASK}),
        ("/b/01/c", {"a": 1, "b": [{"c": 2}, {"c": 3, "d": 4}], "x/y": 5, "~": 6}),
        ("/a/b/c", {"a": 1, "b": [{"c": 2}, {"c": 3, "d": 4}], "x/y": 5, "~": 6}),
        ("/missing", {"a": 1, "b": [{"c": 2}, {"c": 3, "d": 4}], "x/y": 5, "~": 6}),
    ],
)
def test_a_pointer_hides_what_it_points_at_and_nothing_else(pointer: str, expected: Any) -> None:
    data = {"a": 1, "b": [{"c": 2}, {"c": 3, "d": 4}], "x/y": 5, "~": 6}
    before = copy.deepcopy(data)
    assert redacted(data, hiding("mask", pointer), KEY) == expected
    assert data == before


def test_what_is_removed_leaves_no_trace() -> None:
    assert redacted({"a": 1, "l": [1, 2, 3]}, hiding("remove", "/a", "/l/1"), KEY) == {"l": [1, 3]}


def test_equal_values_have_equal_hashes_under_one_key_and_no_other() -> None:
    both = redacted([{"s": "x"}, {"s": "x"}, {"s": "y"}], hiding("hash", "/*/s"), KEY)
    assert both[0] == both[1] != both[2]
    assert redacted({"s": "x"}, hiding("hash", "/s"), b"other" * 8)["s"] != both[0]["s"]
    assert "x" not in both[0]["s"].removeprefix("hmac:")


def test_a_text_cannot_be_redacted() -> None:
    with pytest.raises(Unredactable):
        redacted("ssn: 1", hiding("mask", "/ssn"), KEY)


@pytest.mark.parametrize("data", [None, 1, 1.5, True, [], {}])
def test_where_nothing_can_be_found_nothing_changes(data: Any) -> None:
    assert redacted(data, hiding("mask", "/a/b"), KEY) == data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.sampled_from(["remove", "mask", "hash"]))
def test_a_secret_at_a_pointer_is_nowhere_afterwards(data: dict[str, Any], mode: str) -> None:
    document = {**data, "secret": {"value": "s3cret-s3cret", "list": ["s3cret-s3cret", data]}}
    after = redacted(document, hiding(mode, "/secret"), KEY)
    assert "s3cret-s3cret" not in str(after)
    assert {name: value for name, value in after.items() if name != "secret"} == data
