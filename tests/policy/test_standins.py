"""What stands in for values that were not kept: on both sides of whatever policy compares with, and never impossible."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.policy.inputs import types_of
from remit.policy.standins import check_types, fills
from remit.policy.vocabulary import Vocabulary
from support.policy import question

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def guessed(types: dict[str, Any], schema: dict[str, Any] | None = None, words: Vocabulary | None = None) -> list[Any]:
    document = {**question().document(), "arguments": types}
    made = fills(document, {"properties": schema or {}}, words or Vocabulary())
    return [fill.into(document)["arguments"] for fill in made]


@given(numbers=st.lists(st.integers(-(10**9), 10**9), max_size=8, unique=True))
def test_a_number_is_tried_on_both_sides_of_each_that_policy_speaks_of(numbers: list[int]) -> None:
    tried = {each["n"] for each in guessed({"n": "number"}, words=Vocabulary(numbers=tuple(numbers)))}
    for number in numbers:
        assert {number - 1, number, number + 1} <= tried
    assert min(tried) < -(10**9)
    assert max(tried) > 10**9


def test_it_is_one_that_its_schema_allows() -> None:
    schema = {"n": {"type": "integer", "minimum": 1, "maximum": 100}}
    tried = [each["n"] for each in guessed({"n": "number"}, schema, Vocabulary(numbers=(50, 5000, 2.5)))]
    assert {1, 100, 49, 50, 51} <= set(tried)
    assert all(1 <= number <= 100 and number == int(number) for number in tried)
    assert (tried[0], tried[1]) == (1, 100)


def test_a_text_is_one_of_its_list_or_one_that_policy_speaks_of_or_neither() -> None:
    assert guessed({"s": "string"}, {"s": {"enum": ["a", "b"]}}) == [{"s": "a"}, {"s": "b"}]
    tried = [each["s"] for each in guessed({"s": "string"}, words=Vocabulary(names=("goodwill",)))]
    assert {"", "goodwill", "anything"} == set(tried)
    assert guessed({"s": "string"}, {"s": {"const": "c"}}) == [{"s": "c"}]


def test_everything_else_is_tried_as_well() -> None:
    assert {each["b"] for each in guessed({"b": "boolean"})} == {True, False}
    assert guessed({"n": "null"}) == [{"n": None}]
    assert [] in [each["a"] for each in guessed({"a": "array"})]
    assert {} in [each["o"] for each in guessed({"o": "object"})]
    assert guessed({"o": {}}) == [{"o": {}}]
    assert guessed({}) == [{}]


def test_members_of_objects_stay_where_they_were() -> None:
    tried = guessed({"total": {"amount": "number", "currency": "string"}}, words=Vocabulary(numbers=(100,)))
    assert {"total": {"amount": 101, "currency": "anything"}} in tried
    assert all(each["total"].keys() == {"amount", "currency"} for each in tried)


def test_of_a_request_to_a_route_the_path_is_guessed_as_well() -> None:
    document = question().document()
    document = {**document, "arguments": {}, "resource": {**document["resource"], "type": "route"}}
    made = fills(document, {}, Vocabulary(names=("/admin/", "orders")))
    paths = [fill.into(document)["resource"]["properties"]["path"] for fill in made]
    assert {"/", "/anything", "/admin/", "/admin/anything"} == set(paths)


@given(arguments=st.dictionaries(st.text(min_size=1, max_size=5), json_values, max_size=6))
def test_whatever_was_sent_can_be_guessed_and_has_the_types_it_had(arguments: dict[str, Any]) -> None:
    types = types_of(arguments)
    check_types(types)
    made = guessed(types)
    assert 1 <= len(made) <= 200
    assert made == guessed(types)
    assert len({repr(each) for each in made}) == len(made)
    for each in made:
        assert types_of(each).keys() == types.keys()


@pytest.mark.parametrize(
    "types", [{"a": 5}, {"a": "amount"}, {"a": None}, {"a": {"b": {"c": {"d": "string"}}}}, {"a": ["string"]}]
)
def test_what_are_no_types_is_refused(types: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no types"):
        check_types(types)
