"""Names of tools and arguments: valid, distinct, the same every time."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.openapi.description import METHODS, Operation
from remit.catalog.openapi.naming import BUDGET, MAX_KEY, Keys, distinct_keys, key_of, tool_names

NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{BUDGET - 1}}}")
KEY = re.compile(rf"[a-zA-Z0-9_.-]{{1,{MAX_KEY}}}")


def operation(identifier: str = "", path: str = "/things", method: Any = "GET", place: str = "") -> Operation:
    return Operation(identifier, method, path, f"api.yaml#{place or path}/{method}")


def name(identifier: str = "", path: str = "/things", prefix: str = "") -> str:
    return tool_names([operation(identifier, path)], prefix)[0]


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("getCustomer", "get_customer"),
        ("GetAPIKeys/list-all", "get_api_keys_list_all"),
        ("HTTPServer.list", "http_server_list"),
        ("users/{id}/posts#list", "users_id_posts_list"),
        ("listV2Items", "list_v2_items"),
        ("Überweisung anlegen", "uberweisung_anlegen"),
        ("顧客を取得", "get_things"),
        ("", "get_things"),
        ("123abc", "get_123_abc"),
        ("___", "get_things"),
    ],
)
def test_a_tool_is_called_by_the_words_of_its_operation_id_or_by_method_and_path(
    identifier: str, expected: str
) -> None:
    assert name(identifier) == expected


def test_a_prefix_stands_before_the_name() -> None:
    assert name("getCustomer", prefix="CRM") == "crm_get_customer"


def test_a_long_name_is_cut_between_words_and_keeps_its_hash_whatever_else_is_there() -> None:
    long = operation("getEachAndEveryLittleThingThatAnybodyHasEverPutIntoTheWarehouse" * 3)
    (alone,) = tool_names([long])
    assert alone == tool_names([operation("other", "/other"), long])[1]
    assert re.fullmatch(r"get_each_and_every_little_thing_that_[a-z_]*[0-9a-f]{8}", alone)
    assert len(alone) <= BUDGET


def test_operations_that_share_an_id_are_named_by_method_and_path() -> None:
    shared = [operation("list", "/a"), operation("list", "/b"), operation("list_", "/c")]
    assert tool_names(shared) == ("get_a", "get_b", "get_c")


def test_names_that_would_be_the_same_get_a_hash_and_never_a_number() -> None:
    same = [operation("", "/a-b"), operation("", "/a/b"), operation("", "/a/{b}")]
    names = tool_names(same)
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"get_a_b_[0-9a-f]{8}", name) for name in names)
    assert names == tuple(reversed(tool_names(same[::-1])))


@given(
    st.lists(
        st.tuples(
            st.text(max_size=80) | st.sampled_from(["list", "List", "getThing"]),
            st.text(max_size=80),
            st.sampled_from(METHODS),
        ),
        max_size=8,
    ),
    st.text(max_size=60),
)
def test_every_name_is_valid_and_there_once(described: list[tuple[str, str, Any]], prefix: str) -> None:
    operations = [
        operation(identifier, f"/{path}", method, f"/{index}")
        for index, (identifier, path, method) in enumerate(described)
    ]
    names = tool_names(operations, prefix)
    assert all(NAME.fullmatch(name) for name in names), names
    assert len(set(names)) == len(operations)
    assert names == tool_names(operations, prefix)


# ── arguments ──


@pytest.mark.parametrize(
    ("wire", "key"),
    [
        ("$filter", "filter"),
        ("x[]", "x"),
        ("filter[name]", "filter_name"),
        ("X-Request-Id", "X-Request-Id"),
        ("@odata.type", "odata.type"),
        ("größe", "gr_e"),
        ("a.b", "a.b"),
    ],
)
def test_a_key_has_the_characters_models_take(wire: str, key: str) -> None:
    assert key_of(wire) == key


def test_arguments_of_one_name_say_where_they_go() -> None:
    places = {"a": ("id", "path"), "b": ("id", "query"), "c": ("name", "query")}
    assert distinct_keys(places) == {"a": "id_path", "b": "id_query", "c": "name"}


def test_an_argument_has_no_name_that_is_taken() -> None:
    assert distinct_keys({"a": ("body", "query")}, ("body",)) == {"a": "body_query"}
    odd = distinct_keys({"a": ("body", "query")}, ("body", "body_query"))["a"]
    assert re.fullmatch(r"body_query_[0-9a-f]{8}", odd)


@given(
    st.lists(
        st.tuples(st.text(max_size=70), st.sampled_from(["path", "query", "header"])),
        unique=True,
        max_size=6,
    ),
    st.lists(st.from_regex(KEY, fullmatch=True), max_size=3),
)
def test_every_key_is_valid_and_there_once(places: list[tuple[str, str]], taken: list[str]) -> None:
    keys = distinct_keys({place: place for place in places}, taken)
    assert all(KEY.fullmatch(key) for key in keys.values())
    assert len({*keys.values(), *taken}) == len(keys) + len(set(taken))


@given(st.sets(st.text(max_size=70) | st.sampled_from(["filter", "$filter", "#filter", "filter[]"]), max_size=6))
def test_members_have_distinct_keys_and_a_way_back(names: set[str]) -> None:
    keys = Keys(names)
    made = {name: keys[name] for name in names}
    assert all(KEY.fullmatch(key) for key in made.values())
    assert len(set(made.values())) == len(names)
    assert {keys.wire.get(key, key) for key in made.values()} == names
