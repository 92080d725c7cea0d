"""Every style of OpenAPI in every place: the specification's tables, RFC 6570, and what may not leave its place."""

from __future__ import annotations

import json
import re
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from uritemplate import URITemplate

from remit.catalog.openapi.description import Location, Parameter
from remit.errors import RequestUnusable
from support.wire import operation, parameter, send, tool_for

STRING = "blue"
ARRAY = ["blue", "black", "brown"]
OBJECT = {"R": 100, "G": 200, "B": 150}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


def in_path(value: Any, name: str = "color", **more: Any) -> str:
    tool = tool_for(operation(f"/x{{{name}}}", parameter("path", name, **more)))
    return urlsplit(send(tool, **{name: value}).url).path.removeprefix("/x")


def in_query(value: Any, name: str = "color", **more: Any) -> str:
    tool = tool_for(operation("/x", parameter("query", name, **more)))
    return urlsplit(send(tool, **{name: value}).url).query


def in_header(value: Any, name: str = "X-Color", **more: Any) -> str | None:
    tool = tool_for(operation("/x", parameter("header", name, **more)))
    return dict(send(tool, **{name: value}).headers).get(name)


def in_cookie(value: Any, name: str = "color", **more: Any) -> str | None:
    tool = tool_for(operation("/x", parameter("cookie", name, **more)))
    return dict(send(tool, **{name: value}).headers).get("Cookie")


PLACES = {"path": in_path, "query": in_query, "header": in_header, "cookie": in_cookie}

# ── the table "Style Examples" (OpenAPI 3.0.4, 3.1.2 and 3.2.0): place, style, explode, value, what is sent ──

TABLE: list[tuple[Location, str, bool, Any, str]] = [
    ("path", "matrix", False, "", ";color"),
    ("path", "matrix", False, STRING, ";color=blue"),
    ("path", "matrix", False, ARRAY, ";color=blue,black,brown"),
    ("path", "matrix", False, OBJECT, ";color=R,100,G,200,B,150"),
    ("path", "matrix", True, "", ";color"),
    ("path", "matrix", True, STRING, ";color=blue"),
    ("path", "matrix", True, ARRAY, ";color=blue;color=black;color=brown"),
    ("path", "matrix", True, OBJECT, ";R=100;G=200;B=150"),
    ("path", "label", False, "", "."),
    ("path", "label", False, STRING, ".blue"),
    ("path", "label", False, ARRAY, ".blue,black,brown"),
    ("path", "label", False, OBJECT, ".R,100,G,200,B,150"),
    ("path", "label", True, "", "."),
    ("path", "label", True, STRING, ".blue"),
    ("path", "label", True, ARRAY, ".blue.black.brown"),
    ("path", "label", True, OBJECT, ".R=100.G=200.B=150"),
    ("path", "simple", False, STRING, "blue"),
    ("path", "simple", False, ARRAY, "blue,black,brown"),
    ("path", "simple", False, OBJECT, "R,100,G,200,B,150"),
    ("path", "simple", True, STRING, "blue"),
    ("path", "simple", True, ARRAY, "blue,black,brown"),
    ("path", "simple", True, OBJECT, "R=100,G=200,B=150"),
    ("header", "simple", False, "", ""),
    ("header", "simple", False, STRING, "blue"),
    ("header", "simple", False, ARRAY, "blue,black,brown"),
    ("header", "simple", False, OBJECT, "R,100,G,200,B,150"),
    ("header", "simple", True, STRING, "blue"),
    ("header", "simple", True, ARRAY, "blue,black,brown"),
    ("header", "simple", True, OBJECT, "R=100,G=200,B=150"),
    ("query", "form", False, "", "color="),
    ("query", "form", False, STRING, "color=blue"),
    ("query", "form", False, ARRAY, "color=blue,black,brown"),
    ("query", "form", False, OBJECT, "color=R,100,G,200,B,150"),
    ("query", "form", True, "", "color="),
    ("query", "form", True, STRING, "color=blue"),
    ("query", "form", True, ARRAY, "color=blue&color=black&color=brown"),
    ("query", "form", True, OBJECT, "R=100&G=200&B=150"),
    ("query", "spaceDelimited", False, ARRAY, "color=blue%20black%20brown"),
    ("query", "spaceDelimited", False, OBJECT, "color=R%20100%20G%20200%20B%20150"),
    ("query", "pipeDelimited", False, ARRAY, "color=blue%7Cblack%7Cbrown"),
    ("query", "pipeDelimited", False, OBJECT, "color=R%7C100%7CG%7C200%7CB%7C150"),
    ("query", "deepObject", True, OBJECT, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
    ("query", "deepObject", False, OBJECT, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
    ("cookie", "form", False, "", "color="),
    ("cookie", "form", False, STRING, "color=blue"),
    ("cookie", "form", False, ARRAY, "color=blue,black,brown"),
    ("cookie", "form", False, OBJECT, "color=R,100,G,200,B,150"),
    ("cookie", "form", True, STRING, "color=blue"),
    ("cookie", "cookie", False, "", "color="),
    ("cookie", "cookie", False, STRING, "color=blue"),
    ("cookie", "cookie", False, ARRAY, "color=blue,black,brown"),
    ("cookie", "cookie", False, OBJECT, "color=R,100,G,200,B,150"),
    ("cookie", "cookie", True, STRING, "color=blue"),
    ("cookie", "cookie", True, ARRAY, "color=blue; color=black; color=brown"),
    ("cookie", "cookie", True, OBJECT, "R=100; G=200; B=150"),
]


@pytest.mark.parametrize(("place", "style", "explode", "value", "sent"), TABLE)
def test_the_table_of_styles_holds(place: Location, style: str, explode: bool, value: Any, sent: str) -> None:
    name = "X-Color" if place == "header" else "color"
    assert PLACES[place](value, name, style=style, explode=explode) == sent


# Beyond the table: Swagger 2.0's formats in any place, and where the specification leaves it open.
@pytest.mark.parametrize(
    ("place", "style", "explode", "value", "sent"),
    [
        # "&" is the wrong delimiter for cookies (OpenAPI 3.2, appendix D): each is a cookie of its own
        ("cookie", "form", True, ARRAY, "color=blue; color=black; color=brown"),
        ("cookie", "form", True, OBJECT, "R=100; G=200; B=150"),
        ("query", "tabDelimited", False, ARRAY, "color=blue%09black%09brown"),
        ("query", "spaceDelimited", True, ARRAY, "color=blue&color=black&color=brown"),
        ("path", "pipeDelimited", False, ARRAY, "blue%7Cblack%7Cbrown"),
        ("path", "spaceDelimited", False, ARRAY, "blue%20black%20brown"),
        ("header", "pipeDelimited", False, ARRAY, "blue|black|brown"),
        ("header", "spaceDelimited", False, ARRAY, "blue black brown"),
        ("query", "deepObject", True, {"a": {"b": {"c": 1}}}, "color%5Ba%5D%5Bb%5D%5Bc%5D=1"),
        ("query", "deepObject", True, {"a": ["x", "y"]}, "color%5Ba%5D=x&color%5Ba%5D=y"),
        ("query", "deepObject", True, {"a": [{"b": 1}]}, "color%5Ba%5D%5B0%5D%5Bb%5D=1"),
        ("query", "deepObject", True, ["x", "y"], "color%5B%5D=x&color%5B%5D=y"),
        ("query", "form", True, {"page": 0, "sort": ["a", "b"]}, "page=0&sort=a&sort=b"),
    ],
)
def test_what_the_table_leaves_open_is_written_as_servers_read_it(
    place: Location, style: str, explode: bool, value: Any, sent: str
) -> None:
    name = "X-Color" if place == "header" else "color"
    assert PLACES[place](value, name, style=style, explode=explode) == sent


@pytest.mark.parametrize("value", [None, [], {}, [None], {"a": None}])
@pytest.mark.parametrize("style", ["form", "spaceDelimited", "pipeDelimited", "deepObject"])
@pytest.mark.parametrize("explode", [True, False])
def test_what_rfc_6570_calls_undefined_leaves_no_trace(value: Any, style: str, explode: bool) -> None:
    assert in_query(value, style=style, explode=explode) == ""


@pytest.mark.parametrize("value", [None, [], {}])
def test_undefined_values_send_neither_header_nor_cookie(value: Any) -> None:
    assert in_header(value) is None
    assert in_cookie(value) is None


def test_undefined_members_are_left_out_of_lists_and_objects() -> None:
    assert in_query(["a", None, "b"], explode=False) == "color=a,b"
    assert in_query({"a": 1, "b": None, "c": 2}) == "a=1&c=2"


@pytest.mark.parametrize(("value", "sent"), [(1, "1"), (1.5, "1.5"), (True, "true"), (False, "false"), (-3, "-3")])
def test_numbers_and_booleans_are_written_as_json_writes_them(value: Any, sent: str) -> None:
    assert in_query(value) == f"color={sent}"
    assert in_path(value) == sent
    assert in_header(value) == sent
    assert in_cookie(value) == f"color={sent}"


# ── names ──


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("x[]", "x%5B%5D=a&x%5B%5D=b"),
        ("$filter", "%24filter=a&%24filter=b"),
        ("filter[name]", "filter%5Bname%5D=a&filter%5Bname%5D=b"),
        ("StartTime<", "StartTime%3C=a&StartTime%3C=b"),
        ("a b&c", "a%20b%26c=a&a%20b%26c=b"),
        ("❤️", "%E2%9D%A4%EF%B8%8F=a&%E2%9D%A4%EF%B8%8F=b"),
        ("user.id-x_~", "user.id-x_~=a&user.id-x_~=b"),
    ],
)
def test_names_are_percent_encoded(name: str, sent: str) -> None:
    assert in_query(["a", "b"], name) == sent


def test_a_matrix_name_is_percent_encoded() -> None:
    assert in_path("v", "a b", style="matrix") == ";a%20b=v"


# ── against an implementation of RFC 6570 that is not ours ──

# That implementation sorts members, takes an empty list for a defined value, and gives an empty item of a matrix an "=".
EXPANDED = st.one_of(
    TEXT,
    st.lists(NAMES, min_size=1, max_size=4),
    st.dictionaries(NAMES, NAMES, min_size=1, max_size=4).map(lambda members: dict(sorted(members.items()))),
)
EXPRESSIONS = {"simple": "", "label": ".", "matrix": ";", "form": "?"}


@given(
    style=st.sampled_from(["simple", "label", "matrix"]),
    explode=st.booleans(),
    value=EXPANDED,
)
def test_paths_are_what_rfc_6570_makes_of_them(style: str, explode: bool, value: Any) -> None:
    expected = URITemplate(f"{{{EXPRESSIONS[style]}color{'*' if explode else ''}}}").expand(color=value)
    try:
        sent = in_path(value, style=style, explode=explode)
    except RequestUnusable:
        parts = re.split(r"[/\\]", unquote("x" + expected))
        divided = style == "label" and explode and not isinstance(value, str)
        assert not expected or "." in parts or ".." in parts or (divided and "." in expected)
        return
    assert sent == expected


@given(explode=st.booleans(), value=EXPANDED)
def test_form_queries_are_what_rfc_6570_makes_of_them(explode: bool, value: Any) -> None:
    assume(not isinstance(value, dict) or "color" not in value)
    expected = URITemplate(f"{{?color{'*' if explode else ''}}}").expand(color=value)
    assert in_query(value, explode=explode) == expected.removeprefix("?")


def test_several_parameters_make_one_query() -> None:
    parameters = (parameter("query", "formulas"), parameter("query", "words", explode=False))
    sent = send(
        tool_for(operation("/x", *parameters)),
        formulas={"a": "x+y", "b": "x/y", "c": "x^y"},
        words=["math", "is", "fun"],
    )
    assert sent.url == "https://api.example/x?a=x%2By&b=x%2Fy&c=x%5Ey&words=math,is,fun"  # OpenAPI 3.2, appendix C


# ── round trips through other parsers ──


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_a_list_comes_back_from_every_style_that_keeps_it_apart(items: list[str]) -> None:
    exploded = parse_qsl(in_query(items), keep_blank_values=True, strict_parsing=True)
    assert exploded == [("color", item) for item in items]
    joined = in_query(items, explode=False).removeprefix("color=")
    assert [unquote(item) for item in joined.split(",")] == items


@given(st.lists(TEXT, min_size=1, max_size=4), st.sampled_from([("spaceDelimited", " "), ("pipeDelimited", "|")]))
def test_an_item_with_the_delimiter_is_refused_where_the_api_could_not_tell(
    items: list[str], style: tuple[str, str]
) -> None:
    name, delimiter = style
    try:
        query = in_query(items, style=name)
    except RequestUnusable:
        assert any(delimiter in item for item in items)
        return
    assert parse_qsl(query, keep_blank_values=True)[0][1].split(delimiter) == items


@given(st.dictionaries(NAMES.filter(lambda key: not set(key) & set("[]")), TEXT, max_size=4))
def test_an_object_comes_back_from_deep_object_and_from_form(value: dict[str, str]) -> None:
    pairs = parse_qsl(in_query(value, style="deepObject"), keep_blank_values=True)
    assert pairs == [(f"color[{key}]", text) for key, text in value.items()]
    assert parse_qsl(in_query(value, "other"), keep_blank_values=True) == list(value.items())


@given(st.dictionaries(ASCII, ASCII, max_size=4), st.booleans())
def test_an_object_in_a_header_comes_back_or_is_refused(value: dict[str, str], explode: bool) -> None:
    try:
        text = in_header(value, explode=explode)
    except RequestUnusable:
        return
    if text is None:
        assert value == {}
    elif explode:
        assert dict(piece.split("=", 1) for piece in text.split(",")) == value
    else:
        flat = text.split(",")
        assert dict(zip(flat[::2], flat[1::2], strict=True)) == value


@given(TEXT)
def test_a_form_cookie_comes_back_percent_decoded(text: str) -> None:
    cookies = SimpleCookie(in_cookie(text) or "")
    assert unquote(cookies["color"].value) == text


@given(TEXT)
def test_a_plain_cookie_is_sent_as_it_is_or_not_at_all(text: str) -> None:
    try:
        sent = in_cookie(text, style="cookie")
    except RequestUnusable:
        assert re.search(r'[^!-~]|[",;\\]', text)
        return
    assert sent == f"color={text}"
    assert SimpleCookie(sent)["color"].value == text


# ── content ──


SMALL_JSON = st.recursive(
    TEXT | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(SMALL_JSON)
def test_a_parameter_with_json_content_comes_back_whatever_it_is(value: Any) -> None:
    query = in_query(value, media_type="application/json")
    assert json.loads(dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))["color"]) == value
    header = in_header(value, media_type="application/json")
    assert header is not None
    assert json.loads(header) == value
    cookie = SimpleCookie(in_cookie(value, media_type="application/json") or "")
    assert json.loads(unquote(cookie["color"].value)) == value


def test_json_content_keeps_its_quotes_and_stands_in_a_path_too() -> None:
    assert in_query("blue", media_type="application/json") == "color=%22blue%22"
    assert in_path({"a": 1}, media_type="application/vnd.x+json") == "%7B%22a%22%3A1%7D"
    assert in_query("a,b", media_type="text/plain") == "color=a%2Cb"
    assert in_cookie("a=b", media_type="text/plain") == "color=a=b"


# ── allowReserved ──


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("a/b?c:d@e!f$g'(h)*,i", "color=a/b?c:d@e!f$g'(h)*,i"),
        ("https://example.org/x?y=z", "color=https://example.org/x?y=z"),
        ("50%20off", "color=50%20off"),
        ("50% off^", "color=50%25%20off%5E"),
        # these would end the value, or be read as something else
        ("a&admin=true#x+y[z];w", "color=a%26admin=true%23x%2By%5Bz%5D%3Bw"),
    ],
)
def test_reserved_characters_pass_where_they_are_allowed(value: str, sent: str) -> None:
    assert in_query(value, allow_reserved=True) == sent


@given(TEXT.filter(lambda text: "%" not in text))
def test_a_reserved_value_never_leaves_its_parameter(text: str) -> None:
    query = in_query(text, allow_reserved=True)
    assert parse_qsl(query, keep_blank_values=True, strict_parsing=True) == [("color", text)]
    assert not set(query) & set("&#;+")


def test_a_comma_in_a_reserved_item_is_still_told_apart() -> None:
    assert in_query(["a,b", "c/d"], explode=False, allow_reserved=True) == "color=a%2Cb,c/d"


def test_a_reserved_path_value_stays_in_its_segment() -> None:
    assert in_path("a/b?c#d;e:f", allow_reserved=True) == "a%2Fb%3Fc%23d%3Be:f"
    for value in ("/%2e%2e/", "/..%2F", "\\%2E\\", "%2F%2e%2e"):
        with pytest.raises(RequestUnusable):
            in_path(value, allow_reserved=True)


# ── what may not leave its place ──


@given(
    st.sampled_from([("simple", False), ("simple", True), ("label", False), ("label", True), ("matrix", True)]),
    st.lists(TEXT, min_size=1, max_size=3) | st.dictionaries(TEXT, TEXT, min_size=1, max_size=3) | TEXT,
    st.booleans(),
)
def test_no_path_value_makes_another_segment(style: tuple[str, bool], value: Any, reserved: bool) -> None:
    name, explode = style
    tool = tool_for(operation("/a/{color}/b", parameter("path", style=name, explode=explode, allow_reserved=reserved)))
    try:
        url = send(tool, color=value).url
    except RequestUnusable:
        return
    segments = url.removeprefix("https://api.example").split("/")
    assert [segments[1], *segments[3:]] == ["a", "b"]
    assert len(segments) == 4
    assert not set(url) & set("?#\\ ")
    assert not {".", ".."} & set(re.split(r"[/\\]", unquote(segments[2])))


@pytest.mark.parametrize(
    ("style", "value"), [("label", ""), ("label", "."), ("simple", ""), ("simple", []), ("matrix", {}), ("label", None)]
)
def test_a_path_value_that_leaves_nothing_or_dots_is_refused(style: str, value: Any) -> None:
    tool = tool_for(operation("/a/{color}", parameter("path", style=style)))
    with pytest.raises(RequestUnusable):
        send(tool, color=value)


def test_a_list_that_dots_divide_takes_no_item_with_a_dot() -> None:
    assert in_path("1.5", style="label", explode=True) == ".1.5"
    with pytest.raises(RequestUnusable):
        in_path(["1.5", "2"], style="label", explode=True)


@pytest.mark.parametrize("key", ["admin", "ADMIN", "admin[x]", "color", ""])
@pytest.mark.parametrize("place", ["query", "cookie"])
def test_a_member_that_becomes_a_field_cannot_take_the_name_of_another(key: str, place: Location) -> None:
    parameters: list[Parameter] = [parameter(place, "admin"), parameter(place, "color"), parameter(place, "free")]
    tool = tool_for(operation("/x", *parameters))
    with pytest.raises(RequestUnusable):
        send(tool, free={key: "true"})
    assert "other" in str(send(tool, free={"other": "true"}))


@pytest.mark.parametrize("value", ["a\r\nX: y", "ä", " a", "a ", "a\x00", ["a", "b\n"], {"a\n": "b"}])
def test_no_header_ends_its_line(value: Any) -> None:
    with pytest.raises(RequestUnusable):
        in_header(value)


@pytest.mark.parametrize(
    ("value", "explode"), [(["a,b"], False), ({"a=b": "c"}, True), ({"a": "b,c"}, True), ({"": "a"}, True)]
)
def test_a_header_item_that_could_pass_for_two_is_refused(value: Any, explode: bool) -> None:
    with pytest.raises(RequestUnusable):
        in_header(value, explode=explode)


@pytest.mark.parametrize("value", ["a;b", 'a"b', "a b", "a,b", "a\\b", "ä", ["a,b"], {"a;": "b"}])
def test_a_plain_cookie_cannot_become_two(value: Any) -> None:
    with pytest.raises(RequestUnusable):
        in_cookie(value, style="cookie")


@pytest.mark.parametrize(
    ("place", "style"),
    [("query", "form"), ("query", "pipeDelimited"), ("path", "simple"), ("header", "simple"), ("cookie", "form")],
)
@pytest.mark.parametrize("value", [[["a"]], {"a": {"b": 1}}, [{"a": 1}]])
def test_what_no_style_can_nest_is_refused(place: Location, style: str, value: Any) -> None:
    with pytest.raises(RequestUnusable):
        PLACES[place](value, style=style)


@pytest.mark.parametrize(
    "name", ["Authorization", "accept", "Content-Type", "Host", "Cookie", "X-Forwarded-For", "X-Request-ID", "a\nb"]
)
def test_headers_that_are_not_a_tools_to_set_are_not_sent(name: str) -> None:
    assert send(tool_for(operation("/x", parameter("header", name))), **{name: "mallory"}).headers == ()


# ── paths of descriptions ──


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/People('{color}')/x", "/People('blue')/x"),
        ("/a b/{color}.json", "/a%20b/blue.json"),
        ("/{color}:cancel", "/blue:cancel"),
        ("/a%2Fb%/{color},{color}", "/a%2Fb%25/blue,blue"),
        ("/", "/"),
        ("/x/", "/x/"),
    ],
)
def test_the_literal_parts_of_a_described_path_are_kept(path: str, sent: str) -> None:
    assert send(tool_for(operation(path, parameter("path"))), color="blue").url == f"https://api.example{sent}"


@pytest.mark.parametrize("path", ["/{missing}", "/a/../b", "/%2e%2e/{color}"])
def test_a_path_that_nothing_fills_or_that_climbs_makes_no_plan(path: str) -> None:
    with pytest.raises(ValueError, match="the path"):
        tool_for(operation(path, parameter("path")))


@given(
    st.sampled_from(
        ["form", "spaceDelimited", "pipeDelimited", "tabDelimited", "deepObject", "simple", "label", "matrix"]
    ),
    st.booleans(),
    st.booleans(),
    st.recursive(
        TEXT | st.none() | st.integers() | st.floats(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    ),
)
def test_any_value_in_any_style_is_sent_or_refused(style: str, explode: bool, reserved: bool, value: Any) -> None:
    for place in PLACES.values():
        try:
            place(value, style=style, explode=explode, allow_reserved=reserved)
        except RequestUnusable:
            continue
