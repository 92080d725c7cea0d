"""JMESPath: read with all of it, redact along a part of it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.expression import Expression, ExpressionFailed, ExpressionInvalid, RedactPath

DATA = {
    "id": "S0",
    "customer": {"tax_id": "S1", "name": "n"},
    "rows": [{"secret": "S2", "more": [{"secret": "S3"}, {"secret": "S4"}]}, {"secret": "S5"}],
    "nested": [[{"secret": "S6"}], [[{"secret": "S7"}]]],
    "by": {"x": {"secret": "S8"}, "y": {"secret": "S9"}},
}


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("id", {"S0"}),
        ("customer.tax_id", {"S1"}),
        ("rows[*].secret", {"S2", "S5"}),
        ("rows[].secret", {"S2", "S5"}),
        ("rows.secret", {"S2", "S5"}),
        ("rows[0].secret", {"S2"}),
        ("rows[-1].secret", {"S5"}),
        ("rows[9].secret", set()),
        ("rows[].more[].secret", {"S3", "S4"}),
        ("nested[].secret", {"S6", "S7"}),
        ("nested[][].secret", {"S6", "S7"}),
        ("nested[*][*].secret", {"S6", "S7"}),
        ("by.*.secret", {"S8", "S9"}),
        ("by.*", {"S8", "S9"}),
        ("customer", {"S1"}),
        ("@.customer.tax_id", {"S1"}),
        ("nothing.here", set()),
        ("id.deeper", set()),
    ],
)
def test_a_path_redacts_what_it_leads_to_and_nothing_else(path: str, gone: set[str]) -> None:
    data = json.loads(json.dumps(DATA))
    RedactPath(path).redact(data)
    text = json.dumps(data)
    assert {secret for secret in (f"S{n}" for n in range(10)) if secret not in text} == gone


@pytest.mark.parametrize("path", ["@", "length(a)", "a[?b]", "a[1:2]", "[a, b]", "{a: b}", "a | b", "a || b", "`1`"])
def test_a_computed_value_has_no_place_to_redact(path: str) -> None:
    with pytest.raises(ExpressionInvalid):
        RedactPath(path)


NAMES = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(
    st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)
STEPS = st.lists(NAMES | st.sampled_from(["[]", "[*]", "[0]", "*"]), min_size=1, max_size=4)


@given(TREES, STEPS)
def test_after_redaction_the_path_finds_no_number(data: Any, steps: list[str]) -> None:
    path = ".".join(steps).replace(".[", "[")
    RedactPath(path).redact(data)
    found = Expression(path).search(data)
    assert not _numbers(found)


def _numbers(found: Any) -> bool:
    if isinstance(found, list):
        return any(_numbers(item) for item in found)
    return isinstance(found, int)


def test_a_failing_function_shows_no_value() -> None:
    with pytest.raises(ExpressionFailed) as caught:
        Expression("join(',', @)").search(["secret", 1])
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of jmespath, for literals without quotes
@given(st.text() | st.text("abc.[]{}()*@`'\"|&!<>=?:,01- "))
def test_any_text_is_an_expression_or_is_refused(text: str) -> None:
    with contextlib.suppress(ExpressionInvalid, ExpressionFailed):
        Expression(text).search(DATA)
    with contextlib.suppress(ExpressionInvalid):
        RedactPath(text).redact(json.loads(json.dumps(DATA)))


@pytest.mark.parametrize("text", ["(" * 2000, "!" * 2000 + "a", "[" * 2000, "a" + ".a" * 2000, "a" + "[0]" * 2000])
def test_an_expression_nested_without_end_does_no_harm(text: str) -> None:
    with contextlib.suppress(ExpressionInvalid, ExpressionFailed):
        Expression(text).search(DATA)
