"""Arguments become one request, and no value can leave the place it is bound to."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.downstream.request import ApiRequest, CallContext, build_request
from remit.errors import RequestUnusable
from support.tools import CONTEXT, calling, tool_of

TEXT = {"type": "string"}
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SCALARS = st.one_of(ANY_TEXT, st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.none())
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4))

IN_PATH = calling({"path": "/things/{a}/parts/{b}.json"}, {"a": TEXT, "b": TEXT}, "a", "b")
IN_QUERY = calling({"query": {"q": "$a", "filter[b]": "$b", "fixed": "x&y"}}, {"a": TEXT, "b": TEXT})
IN_HEADER = calling({"headers": {"X-Note": "$a"}}, {"a": TEXT})
IN_BODY = calling(
    {"method": "POST", "body": {"a": "$a", "deep": [{"b": "$b"}], "by": {"from": "user.sub"}, "n": 1}},
    {"a": {}, "b": {}},
)
IN_FORM = calling({"method": "POST", "encoding": "form", "body": {"a": "$a", "b": "$b"}}, {"a": TEXT, "b": TEXT})
STYLES = {
    style: calling({"query": {"x": "$a"}, "style": {"a": style}}, {"a": {}})
    for style in ("form", "comma", "space", "pipe", "deepObject", "brackets", "json")
}


def build(tool: Any, **arguments: Any) -> ApiRequest:
    return build_request(tool, arguments, CONTEXT)


def query_of(request: ApiRequest) -> str:
    return urlsplit(request.url).query


# ── path ──


@given(ANY_TEXT, ANY_TEXT)
def test_a_path_value_is_one_segment_that_decodes_to_itself(a: str, b: str) -> None:
    try:
        request = build(IN_PATH, a=a, b=b)
    except RequestUnusable:
        parts = [*re.split(r"[/\\]", a), *re.split(r"[/\\]", b)]
        assert a == "" or b == "" or "." in parts or ".." in parts
        return
    path = urlsplit(request.url).path
    assert request.url == f"https://shop.example{path}"
    segments = path.split("/")
    assert [unquote(segment) for segment in segments] == ["", "api", "things", a, "parts", f"{b}.json"]
    assert re.fullmatch(r"[A-Za-z0-9._~/%-]+", path)


@pytest.mark.parametrize("value", ["", ".", "..", "../admin", "a/../../b", "..\\admin", "./x", None, [], {}])
def test_a_path_value_that_would_leave_its_place_is_refused(value: Any) -> None:
    with pytest.raises(RequestUnusable):
        build(IN_PATH, a=value, b="1")


def test_two_values_cannot_make_a_dot_segment_together() -> None:
    tool = calling({"path": "/{a}{b}"}, {"a": {"type": "string"}, "b": {"type": "string"}}, "a", "b")
    with pytest.raises(RequestUnusable):
        build(tool, a=".", b=".")


def test_numbers_and_booleans_stand_in_a_path_as_json_writes_them() -> None:
    tool = calling({"path": "/{a}/{b}"}, {"a": {}, "b": {}}, "a", "b")
    assert build(tool, a=12, b=True).url == "https://shop.example/api/12/true"


def test_literal_parts_of_a_path_go_out_as_written() -> None:
    tool = calling({"path": "/a%20b/{a}:cancel;v=1/$count/"}, {"a": TEXT}, "a")
    assert build(tool, a="x:y").url == "https://shop.example/api/a%20b/x%3Ay:cancel;v=1/$count/"


# ── query ──


@given(ANY_TEXT, ANY_TEXT)
def test_query_values_round_trip_through_another_parser(a: str, b: str) -> None:
    pairs = parse_qsl(query_of(build(IN_QUERY, a=a, b=b)), keep_blank_values=True, strict_parsing=True)
    assert pairs == [("q", a), ("filter[b]", b), ("fixed", "x&y")]


def test_an_absent_argument_leaves_no_trace_in_the_query() -> None:
    assert query_of(build(IN_QUERY, b="1")) == "filter%5Bb%5D=1&fixed=x%26y"


@pytest.mark.parametrize(
    ("style", "value", "query"),
    [
        ("form", ["a", "b c"], "x=a&x=b%20c"),
        ("form", "a", "x=a"),
        ("form", [], ""),
        ("form", None, ""),
        ("comma", ["a", "b;c", 1], "x=a,b%3Bc,1"),
        ("comma", ["a,b", "c"], "x=a%2Cb,c"),
        ("space", ["a", "b"], "x=a%20b"),
        ("pipe", ["a", "b"], "x=a%7Cb"),
        ("brackets", ["a", "b"], "x%5B%5D=a&x%5B%5D=b"),
        ("brackets", {"k": {"l": [1, 2]}}, "x%5Bk%5D%5Bl%5D%5B%5D=1&x%5Bk%5D%5Bl%5D%5B%5D=2"),
        ("brackets", {"k": [{"l": 1}, {"l": 2}]}, "x%5Bk%5D%5B0%5D%5Bl%5D=1&x%5Bk%5D%5B1%5D%5Bl%5D=2"),
        ("deepObject", {"k": "v&w", "n": None, "l": [1, True]}, "x%5Bk%5D=v%26w&x%5Bl%5D=1&x%5Bl%5D=true"),
        ("json", {"k": [1, None]}, "x=%7B%22k%22%3A%5B1%2Cnull%5D%7D"),
        ("json", "a", "x=a"),
    ],
)
def test_each_style_writes_lists_and_objects_its_own_way(style: str, value: Any, query: str) -> None:
    assert query_of(build(STYLES[style], a=value)) == query


@pytest.mark.parametrize(
    ("style", "value"),
    [
        ("form", {"admin": "true"}),
        ("form", [["a"]]),
        ("comma", {"a": 1}),
        ("space", ["a b"]),
        ("pipe", ["a|b"]),
        ("deepObject", ["a"]),
        ("deepObject", {"a][b": 1}),
        ("brackets", {"": 1}),
        ("brackets", {"a": [{"": 1}]}),
    ],
)
def test_what_a_style_cannot_carry_without_ambiguity_is_refused(style: str, value: Any) -> None:
    with pytest.raises(RequestUnusable):
        build(STYLES[style], a=value)


@given(
    st.lists(ANY_TEXT, min_size=1, max_size=5), st.sampled_from(["form", "comma", "space", "pipe", "brackets", "json"])
)
def test_a_list_in_any_style_comes_back_with_the_same_items(items: list[str], style: str) -> None:
    try:
        query = query_of(build(STYLES[style], a=items))
    except RequestUnusable:
        assert style in {"space", "pipe"}
        return
    found = parse_qs(query, keep_blank_values=True, strict_parsing=True)
    delimiter = {"space": " ", "pipe": "|"}.get(style)
    if style == "json":
        assert json.loads(found["x"][0]) == items
    elif style == "comma":
        assert [unquote(item) for item in query.removeprefix("x=").split(",")] == items
    elif delimiter:
        assert found["x"][0].split(delimiter) == items
    else:
        assert found == {"x[]" if style == "brackets" else "x": items}


@given(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4))
def test_an_object_never_makes_a_parameter_of_another_name(value: dict[str, str]) -> None:
    try:
        query = query_of(build(STYLES["deepObject"], a=value))
    except RequestUnusable:
        return
    pairs = parse_qsl(query, keep_blank_values=True)
    assert pairs == [(f"x[{key}]", text) for key, text in value.items()]


# ── headers ──


@given(ANY_TEXT)
def test_no_header_value_can_end_its_line(text: str) -> None:
    try:
        headers = build(IN_HEADER, a=text).headers
    except RequestUnusable:
        assert not re.fullmatch(r"[!-~]([ -~]*[!-~])?", text) or len(text) > 4096
        return
    assert headers == (("X-Note", text),)
    assert re.fullmatch(r"[ -~]*", text)


def test_a_request_without_body_declares_no_content() -> None:
    request = build(IN_HEADER, a="x")
    assert request.body is None
    assert dict(request.headers) == {"X-Note": "x"}


# ── body ──


@given(JSON, JSON)
def test_a_json_body_keeps_every_type_and_its_shape(a: Any, b: Any) -> None:
    body = build(IN_BODY, a=a, b=b).body
    assert body is not None
    assert json.loads(body) == {"a": a, "deep": [{"b": b}], "by": "alice", "n": 1}


def test_numbers_go_out_as_they_were_given() -> None:
    assert build(IN_BODY, a=12345678901234567890123, b=1.5).body == (
        b'{"a":12345678901234567890123,"deep":[{"b":1.5}],"by":"alice","n":1}'
    )


def test_a_whole_number_goes_out_as_an_integer_however_it_was_written() -> None:
    assert build(IN_BODY, a=5.0, b=[-0.0, 1e300]).body == (b'{"a":5,"deep":[{"b":[0,1e+300]}],"by":"alice","n":1}')
    tool = calling({"path": "/{a}", "query": {"b": "$b"}}, {"a": {}, "b": {}}, "a")
    assert build(tool, a=5.0, b=[2.0, 2.5]).url == "https://shop.example/api/5?b=2&b=2.5"


def test_absent_arguments_vanish_from_the_tree_with_what_held_only_them() -> None:
    assert build(IN_BODY).body == b'{"by":"alice","n":1}'


def test_a_body_all_of_whose_members_are_absent_is_an_empty_object() -> None:
    tool = calling({"method": "POST", "body": {"a": "$a"}}, {"a": {}})
    assert build(tool).body == b"{}"


def test_a_whole_argument_as_body_may_be_absent_and_then_no_content_is_declared() -> None:
    tool = calling({"method": "POST", "body": "$a"}, {"a": {}})
    assert build(tool, a=[1]).body == b"[1]"
    request = build(tool)
    assert request.body is None
    assert request.headers == ()


def test_dollar_texts_are_arguments_or_literals_but_never_templates() -> None:
    body = {"a": "$a", "b": "$$a", "c": "costs $a", "d": {"from": "$a"}, "e": {"from": "user.sub", "to": 1}}
    tool = calling({"method": "POST", "body": body}, {"a": {}})
    assert json.loads(build(tool, a="{{x}} $a").body or b"") == {
        "a": "{{x}} $a",
        "b": "$a",
        "c": "costs $a",
        "d": {"from": "{{x}} $a"},
        "e": {"from": "user.sub", "to": 1},
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"\udfff": 1}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(RequestUnusable):
        build(IN_BODY, a=value)


def test_a_value_nested_too_deeply_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RequestUnusable):
        build(IN_BODY, a=deep)


@given(ANY_TEXT, ANY_TEXT)
def test_a_form_body_round_trips(a: str, b: str) -> None:
    request = build(IN_FORM, a=a, b=b)
    assert request.body is not None
    assert dict(request.headers) == {"Content-Type": "application/x-www-form-urlencoded"}
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert pairs == [("a", a), ("b", b)]


def test_a_form_takes_lists_by_style() -> None:
    body = {"a": "$a", "b": "$b", "c": ["x", "y"]}
    request = {"method": "POST", "encoding": "form", "style": {"b": "brackets"}, "body": body}
    tool = calling(request, {"a": {"type": "array"}, "b": {"type": "object"}})
    assert build(tool, a=[1, 2], b={"k": "v w"}).body == b"a=1&a=2&b%5Bk%5D=v+w&c=x&c=y"


# ── context ──


def test_values_from_the_context_are_not_the_models_to_set() -> None:
    request = {"method": "POST", "headers": {"X-By": {"from": "actor.sub"}}, "body": {"by": {"from": "user.sub"}}}
    tool = calling(request, {})
    built = build_request(tool, {"by": "mallory", "user.sub": "mallory"}, CONTEXT)
    assert built.body == b'{"by":"alice"}'
    assert ("X-By", "agent-runner") in built.headers


def test_a_context_value_that_is_not_known_refuses_the_call() -> None:
    tool = calling({"query": {"by": {"from": "user.name"}}}, {})
    nameless = CallContext(user={"sub": "alice", "name": ""}, actor={}, call={})
    with pytest.raises(RequestUnusable, match=r"user\.name is not known"):
        build_request(tool, {}, nameless)


def test_the_idempotency_key_is_the_same_for_one_call_and_another_for_the_next() -> None:
    tool = tool_of(
        {"request": {"method": "POST", "path": "/x", "idempotencyKey": "auto", "idempotencyHeader": "X-Once"}}
    )

    def key(call: str) -> str:
        return dict(build_request(tool, {}, CallContext({}, {}, {"id": call})).headers)["X-Once"]

    assert key("1") == key("1") != key("2")
    assert build(tool).idempotent


def test_an_address_that_grows_too_long_is_refused() -> None:
    with pytest.raises(RequestUnusable, match="8192"):
        build(IN_QUERY, a="x" * 9000)


@given(JSON)
def test_any_argument_gives_a_request_or_a_refusal(value: Any) -> None:
    for tool in (IN_PATH, IN_QUERY, IN_HEADER, IN_BODY, IN_FORM, *STYLES.values()):
        try:
            request = build(tool, a=value, b=value)
        except RequestUnusable:
            continue
        assert request.url.startswith("https://shop.example/api/things")
