from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import InvalidRequest
from remit.sts.form import read_form, single

TYPE = "application/x-www-form-urlencoded"
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=10)


def test_a_form_is_read_with_values_decoded_and_empty_ones_left_out() -> None:
    form = read_form(TYPE, b"a=1+2&b=%C3%A9&c=&audience=x&audience=y&&d")
    assert form == {"a": ["1 2"], "b": ["é"], "audience": ["x", "y"]}


@pytest.mark.parametrize("kind", [TYPE, TYPE.upper(), f"{TYPE}; charset=UTF-8", f'{TYPE};charset="utf-8"'])
def test_the_forms_content_type_may_say_utf_8(kind: str) -> None:
    assert read_form(kind, b"a=1") == {"a": ["1"]}


@pytest.mark.parametrize(
    "kind", ["", "application/json", f"{TYPE}; charset=latin-1", f"x{TYPE}", "multipart/form-data"]
)
def test_another_content_type_is_refused(kind: str) -> None:
    with pytest.raises(InvalidRequest):
        read_form(kind, b"a=1")


@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a=1",
        b"a=&a=1",
        b"%61=1&a=2",
        b"unknown=1&unknown=2",
        b"a=%",
        b"a=%1",
        b"a=%zz",
        b"a=%ff",
        b"a=%ed%a0%80",
        b"a=%00",
        b"a=%0d%0a",
        b"a=%c2%80",
        b"a=\x00",
        b"a=\xc3\xa9",
        b"%=1",
        b"&".join(b"f%d=1" % number for number in range(65)),
    ],
)
def test_a_body_with_more_than_one_reading_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_form(TYPE, body)


def test_a_parameter_that_may_stand_once_is_refused_twice() -> None:
    with pytest.raises(InvalidRequest):
        single({"audience": ["a", "b"]}, "audience")


@given(st.dictionaries(names, names, max_size=20))
def test_what_was_encoded_is_what_is_read(values: dict[str, str]) -> None:
    form = read_form(TYPE, urlencode(values).encode())
    assert {name: single(form, name) for name in form} == values


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        form = read_form(TYPE, body)
    except InvalidRequest:
        return
    assert all(values and all(values) for values in form.values())
