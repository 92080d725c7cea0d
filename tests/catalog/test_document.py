"""YAML, narrowed: plain data with positions, or faults with positions."""

from __future__ import annotations

import contextlib
import gc
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.document import DocumentInvalid, read_document


def faults(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(DocumentInvalid) as caught:
        read_document(text)
    return [(*fault.position, fault.message) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("2026-11-22", "2026-11-22"),
        ("012", "012"),
        ("0x1F", "0x1F"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("-12", -12),
        ("1.5e3", 1500.0),
        ('"1"', "1"),
        ("!!str 1", "1"),
        ("<<", "<<"),
    ],
)
def test_scalars_are_what_they_look_like(text: str, value: Any) -> None:
    data = read_document(f"a: {text}").data["a"]
    assert data == value
    assert type(data) is type(value)


def test_every_value_knows_its_line_and_column() -> None:
    document = read_document("a:\n  - b: 1\n    c: [x, y]\n")
    assert document.locate(("a", 0, "c", 1)) == (3, 12)
    assert document.locate(("a", 0, "c"), key=True) == (3, 5)
    assert document.locate(("a", 0, "missing")) == (2, 5)
    assert document.locate(()) == (1, 1)


def test_an_alias_is_the_value_of_its_anchor() -> None:
    assert read_document("a: &x {b: [1]}\nc: *x\n").data == {"a": {"b": [1]}, "c": {"b": [1]}}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3", (3, 1, 'the key "a" is there already, in line 1')),
        ("x:\n  404: gone", (2, 3, "404 is no text, and keys are")),
        ("true: 1", (1, 1, "true is no text, and keys are")),
        ("? [a]\n: 1", (1, 3, "a collection is no text, and keys are")),
        ("a: !!python/name:os.system x", (1, 4, 'the tag "tag:yaml.org,2002:python/name:os.system" is not used here')),
        ("a: !secret {}", (1, 4, 'the tag "!secret" is not used here')),
        ("a: 1\n---\nb: 2", (2, 1, "a second document")),
        ("a: &x [*x]", (1, 8, '"*x" names no anchor that is complete here')),
        ("é: \x07", (1, 4, "a character that YAML does not allow")),
    ],
)
def test_what_is_not_read_is_named_with_its_place(text: str, fault: tuple[int, int, str]) -> None:
    assert faults(text) == [fault]


def test_broken_syntax_is_named_with_its_place() -> None:
    [(line, column, message)] = faults("a: 1\nb: [1, 2\nc: 3\n")
    assert (line, column) == (3, 2)
    assert message.startswith("this is not YAML: ")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_deep_nesting_is_refused_early(text: str) -> None:
    assert faults(text)[0][2] == "nested deeper than 48 levels"


def test_nothing_of_a_text_waits_for_the_garbage_collector() -> None:
    """What many large files were read with would be in memory all at once."""
    text = "".join(f"k{number}: [a, {{b: c}}]\n" for number in range(500))
    gc.collect()
    gc.disable()
    try:
        read_document(text)
        assert gc.collect() < 100
    finally:
        gc.enable()


def test_a_text_that_stands_there_often_is_kept_once() -> None:
    first, second = read_document("[{some key: some text}, {some key: some text}]").data
    assert next(iter(first)) is next(iter(second))
    assert first["some key"] is second["some key"]


def test_aliases_cannot_multiply_without_bound() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "more than 200000 values" in faults("\n".join(lines))[0][2]


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("abc:[]{}-&*!|>'\"%@`#,?\n \t0~"))
def test_any_text_is_a_document_or_faults(text: str) -> None:
    with contextlib.suppress(DocumentInvalid):
        read_document(text)


TEXT_KEYS = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=12)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT_KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT_KEYS, inner, max_size=4),
)


@given(PLAIN)
def test_what_another_writer_wrote_is_read_back(data: Any) -> None:
    text = yaml.dump(data, default_style='"', allow_unicode=True, Dumper=_JsonDumper)
    assert read_document(text).data == data


class _JsonDumper(yaml.SafeDumper):
    """Numbers and words plain, texts in quotes, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_scalar(self, tag: str, value: str, style: str | None = None) -> yaml.ScalarNode:
        return super().represent_scalar(tag, value, '"' if tag.endswith(":str") else "")
