"""Which operations of a description become tools, and how a tool file refers to them."""

from __future__ import annotations

from typing import Any

import pytest

from remit.catalog.openapi.reader import describe
from remit.catalog.openapi.selection import Candidate, Selection, by_reference, candidates, globs_of, select, tags_of
from support.described import operation, shop


def all_of(document: dict[str, Any], prefix: str = "") -> tuple[Candidate, ...]:
    return candidates(describe({"shop.json": document}), prefix)[0]


SHOP = all_of(shop())


def taken(**said: Any) -> list[str]:
    return [each.name for each in select(SHOP, Selection(**said)).taken]


def test_all_but_the_deprecated_is_taken_where_nothing_is_said() -> None:
    assert taken() == ["list_orders", "make_order", "get_order", "get_customers"]
    assert {(each.id, each.reason) for each in select(SHOP, Selection()).left_out} == {("oldWay", "deprecated")}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"deprecated": True}, ["list_orders", "make_order", "get_order", "get_customers", "old_way"]),
        ({"tags": ("Orders",)}, ["list_orders", "make_order", "get_order"]),
        ({"tags": ("orders", "customers")}, ["list_orders", "make_order", "get_order", "get_customers"]),
        ({"include": ("list*",)}, ["list_orders"]),
        ({"include": ("GET /orders*",)}, ["list_orders", "get_order"]),
        ({"include": ("get_*",)}, ["get_order", "get_customers"]),
        ({"include": ("get *",), "tags": ("customers",)}, ["get_customers"]),
        ({"exclude": ("*order*",)}, ["get_customers"]),
        ({"only_read": True}, ["list_orders", "get_order", "get_customers"]),
        ({"operations": ("getOrder",)}, ["get_order"]),
        ({"operations": ("get /customers", "oldWay")}, ["get_customers", "old_way"]),
        ({"operations": ("getOrder",), "tags": ("customers",)}, ["get_order", "get_customers"]),
        ({"operations": ("makeOrder",), "only_read": True}, []),
        ({"operations": ("getOrder",), "exclude": ("getOrder",)}, []),
        ({"tags": ("orders",), "deprecated": True, "include": ("old*",)}, ["old_way"]),
    ],
    ids=str,
)
def test_what_is_said_narrows(said: dict[str, Any], names: list[str]) -> None:
    assert taken(**said) == names


def test_each_operation_is_taken_or_left_out_with_a_reason() -> None:
    for said in (Selection(), Selection(tags=("orders",)), Selection(include=("x",)), Selection(operations=("x",))):
        done = select(SHOP, said)
        assert len(done.taken) + len(done.left_out) == len(SHOP)
        assert all(each.reason for each in done.left_out)


def test_what_is_asked_for_and_not_there_is_said() -> None:
    done = select(SHOP, Selection(("oders",), ("list*", "nothing*"), ("none",), ("getOrdr",)))
    assert done.missing == ("oders", "getOrdr")
    assert done.idle == ("nothing*", "none")


def test_a_pattern_of_brackets_and_braces_is_taken_as_it_is() -> None:
    assert taken(include=("GET /orders/{order_id}",)) == ["get_order"]
    assert taken(include=("[",)) == []


def test_names_are_the_same_whatever_is_selected_and_have_the_prefix() -> None:
    assert [each.name for each in all_of(shop(), "crm")][:2] == ["crm_list_orders", "crm_make_order"]


# ── references ───────────────────────────────────────────────────────────────────────────


def references(**paths: Any) -> list[str]:
    return [each.reference for each in all_of({**shop(), "paths": paths})]


def test_an_operation_is_referred_to_by_its_id_where_that_is_its_own() -> None:
    assert [each.reference for each in SHOP] == ["listOrders", "makeOrder", "getOrder", "GET /customers", "oldWay"]
    several = {"get": operation("same"), "put": operation("same"), "post": operation("other")}
    assert sorted(references(**{"/a": several})) == ["GET /a", "PUT /a", "other"]


@pytest.mark.parametrize("odd", ["GET /b", "a\nb", "x" * 2000], ids=repr)
def test_an_id_that_would_mislead_is_not_used(odd: str) -> None:
    assert references(**{"/a": {"get": operation(odd)}}) == ["GET /a"]


def test_what_can_be_named_in_no_way_is_left_out() -> None:
    found = describe({"a.json": {**shop(), "paths": {"/a?x=1": {"get": operation()}, "/a?x=2": {"get": operation()}}}})
    known, others = candidates(found)
    assert known == ()
    assert [(each.path, each.is_fault) for each in others] == [("/a", True), ("/a", True)]


def test_a_file_may_call_an_operation_by_id_or_by_request() -> None:
    known = by_reference(SHOP)
    assert known["getOrder"] is known["GET /orders/{order_id}"]


def test_tags_are_listed_with_a_place_for_those_without() -> None:
    assert tags_of(all_of(shop(**{"/x": {"get": operation()}}))) == ("orders", "customers", "")


def test_patterns_for_later_are_those_that_were_given_or_name_each_operation() -> None:
    assert globs_of(Selection(), SHOP) == (("*",), ())
    assert globs_of(Selection(include=("get*",), exclude=("old*",)), SHOP) == (("get*",), ("old*",))
    assert globs_of(Selection(tags=("customers",)), SHOP[3:4]) == (("GET /customers",), ())
