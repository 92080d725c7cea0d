"""A client's file is changed in one place, and stays what it was everywhere else."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import SettingsInvalid
from remit.install.jsonc import with_entry, without_entry

ENTRY = {"type": "http", "url": "http://127.0.0.1:8700/mcp"}

EDITED = """\
// what this editor knows
{
    "inputs": [
        {"id": "token", "password": true}, // asked for once
    ],
    /* the servers */
    "servers": {
        "other": {"command": "x", "args": ["a,b", "}"]}, // keep me
    },
}
"""


def put(text: str, name: str = "remit", entry: Any = ENTRY) -> str:
    return with_entry(text, "servers", name, entry, where="mcp.json")


def take(text: str, name: str = "remit") -> str:
    return without_entry(text, "servers", name, where="mcp.json")


def plain(text: str) -> Any:
    """The document without its comments and trailing commas; the texts here hold none of either."""
    text = re.sub(r"//[^\n\"]*\n|/\*.*?\*/", "\n", text)
    return json.loads(re.sub(r",(\s*[}\]])", r"\1", text))


@pytest.mark.parametrize("text", ["", " \n", "{}", '{"a": 1}', '{"servers": {}}', '{"servers": {"x": {}},\n "b": 2}'])
def test_the_entry_is_there_and_all_else_as_it_was(text: str) -> None:
    before = json.loads(text) if text.strip() else {}
    after = json.loads(put(text))
    assert after["servers"]["remit"] == ENTRY
    assert {**after, "servers": 0} == {**before, "servers": 0}
    assert {**after["servers"], "remit": 0} == {**before.get("servers", {}), "remit": 0}


def test_comments_and_trailing_commas_stay() -> None:
    put_in = put(EDITED)
    assert plain(put_in)["servers"] == {"other": {"command": "x", "args": ["a,b", "}"]}, "remit": ENTRY}
    for comment in ("// what this editor knows", "// asked for once", "/* the servers */", "// keep me"):
        assert comment in put_in
    assert '\n        "remit": {\n            "type"' in put_in  # as the file indents
    assert put(put_in) == put_in
    assert plain(take(put_in)) == plain(EDITED)


def test_an_entry_of_that_name_is_replaced_and_no_other() -> None:
    text = put(put("{}", "other", {"url": "x"}), entry={"url": "old"})
    assert json.loads(put(text)) == {"servers": {"other": {"url": "x"}, "remit": ENTRY}}


def test_what_is_not_there_can_be_taken_out_without_a_change() -> None:
    for text in ("", "{}", '{"servers": {}}', EDITED):
        assert take(text) == text


def test_a_comment_behind_the_comma_of_what_goes_stays() -> None:
    text = '{"servers": {\n  "a": 1, // about a\n  "remit": {}\n}}'
    assert plain(take(text)) == {"servers": {"a": 1}}
    assert "// about a" in take(text)


@pytest.mark.parametrize(
    "text",
    ["[]", "1", '{"servers": []}', '{"servers": 1}', "{", '{"a" 1}', '{"a": 1 "b": 2}', '{"a": }', "{a: 1}", '{"a": 1}}',
     '{"a": "\n"}', "/* ", '{"\\x": 1}', '{"a":' + "[" * 100, "nonsense"],
)  # fmt: skip
def test_what_is_no_such_file_is_told_with_its_place(text: str) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        put(text)
    assert raised.value.where.startswith("mcp.json")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
documents = st.fixed_dictionaries({}, optional={"servers": st.dictionaries(st.text(max_size=6), values, max_size=4)})


@given(documents, st.dictionaries(st.text(max_size=5), values, max_size=3), st.sampled_from([None, 2, "\t"]))
def test_put_in_and_taken_out_again_is_what_was(servers: dict[str, Any], more: dict[str, Any], indent: Any) -> None:
    document = {**more, **servers}
    if not isinstance(document.get("servers", {}), dict):
        return
    document.get("servers", {}).pop("remit", None)
    text = json.dumps(document, indent=indent)
    put_in = put(text)
    expected = {**document, "servers": {**document.get("servers", {}), "remit": ENTRY}}
    assert json.loads(put_in) == expected
    assert json.loads(take(put_in)) == {**document, "servers": document.get("servers", {})}


@given(st.text(alphabet='{}[]",: \n/*ab1', max_size=40))
def test_whatever_the_file_holds_it_is_edited_or_refused(text: str) -> None:
    with suppress(SettingsInvalid):
        assert ENTRY["url"] in put(text)
