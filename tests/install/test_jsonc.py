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
    """The document without its comments and trailing commas."""
    text = re.sub(r'("(?:[^"\\]|\\.)*")|//[^\r\n]*|/\*.*?\*/', r"\1", text, flags=re.DOTALL)
    return json.loads(re.sub(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', r"\1", text))


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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"servers": {\n  "a": 1, // about a\n  "remit": {}\n}}', '{"servers": {\n  "a": 1 // about a\n}}'),
        ('{"servers": {\n  "a": 1, // about a\n  "remit": {} }}', '{"servers": {\n  "a": 1 // about a\n  }}'),
        ('{"servers": { // mine\n  "remit": {}}}', '{"servers": { // mine\n  }}'),
        ('{"servers": {\n  "remit": {}, // about remit\n  "a": 1\n}}', '{"servers": {\n  // about remit\n  "a": 1\n}}'),
        ('{"servers": {"remit": {}, "a": 1}}', '{"servers": { "a": 1}}'),
        ('{"servers": {"a": 1, "remit": {}}}', '{"servers": {"a": 1}}'),
        ('{"servers": {\r\n  "remit": {},\r\n  "a": 1\r\n}}', '{"servers": {\r\n  "a": 1\r\n}}'),
        ('{"servers": {\n  "remit": {}\n}}', '{"servers": {}}'),
    ],
)
def test_what_goes_takes_its_comma_and_its_line_and_no_comment(before: str, after: str) -> None:
    assert take(before) == after


@pytest.mark.parametrize(
    ("before", "begin"),
    [
        ('{"servers": { // add yours here\n}}', '{"servers": { // add yours here\n'),
        ("{ // nothing yet\n}", "{ // nothing yet\n"),
        ('{"servers": {\n  "a": 1 // about a\n}}', '{"servers": {\n  "a": 1, // about a\n'),
        ('{"servers": {\n  "a": 1, /* about a,\n  all of it */\n}}', '{"servers": {\n  "a": 1, /* about a,\n  all of it */\n'),
        ('{\r\n  "servers": {}\r\n}', '{\r\n  "servers": {\r\n    "remit": {\r\n'),
    ],
)  # fmt: skip
def test_what_comes_stands_behind_the_comments_on_others(before: str, begin: str) -> None:
    assert put(before).startswith(begin)
    assert plain(put(before))["servers"]["remit"] == ENTRY


def test_an_entry_with_comments_is_kept_where_it_says_the_same_and_else_not_replaced() -> None:
    same = '{"servers": {"remit": {"type": "http", /* the demo */ "url": "http://127.0.0.1:8700/mcp",}}}'
    assert put(same) == same
    with pytest.raises(SettingsInvalid, match="comments"):
        put(same, entry={"type": "http", "url": "https://mcp.example.com/mcp"})
    assert plain(take(same)) == {"servers": {}}


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


@st.composite
def commented(draw: st.DrawFn) -> str:
    """A document as an editor could hold it: comments anywhere, each with a number, and commas at the end."""
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^{}\[\],:"\s]+', json.dumps({**draw(documents), "b": [1, {}]}))
    blanks = draw(st.lists(st.sampled_from(["", " ", "\n  ", "\r\n", "//", "/*", "/*\n"]), min_size=1, max_size=20))
    parts, last = [""], ""
    for index, token in enumerate(tokens):
        if token in "}]" and last not in {"{", "["} and draw(st.booleans()):
            parts.append(",")
        blank = blanks[index % len(blanks)]
        note = {"//": f"// <{index}> }}\n", "/*": f"/* <{index}> */", "/*\n": f"/* <{index}>\n{{ */"}
        last = token
        parts += [token, note.get(blank, blank)]
    return "".join(parts)


@given(commented())
def test_no_comment_is_ever_lost_and_the_document_says_what_it_said(text: str) -> None:
    before = plain(text)
    if not isinstance(before.get("servers", {}), dict) or "remit" in before.get("servers", {}):
        return
    put_in = put(text)
    taken = take(put_in)
    assert plain(put_in) == {**before, "servers": {**before.get("servers", {}), "remit": ENTRY}}
    assert plain(taken) == {**before, "servers": before.get("servers", {})}
    for comment in re.findall(r"<\d+>", text):
        assert comment in put_in
        assert comment in taken
