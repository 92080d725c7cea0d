"""Overlays 1.0 and 1.1: what they change, and what they cannot."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.openapi.files import read_description, read_overlays
from remit.catalog.openapi.overlay import Applied, apply, read_overlay
from remit.errors import DescriptionInvalid

SHOP: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/orders": {
            "get": {
                "operationId": "listOrders",
                "tags": ["orders", "old"],
                "parameters": [{"name": "a", "in": "query"}],
            },
            "post": {"operationId": "makeOrder", "deprecated": True},
        },
        "/customers": {"get": {"operationId": "listCustomers", "tags": ["customers"]}},
    },
}


def applied(*actions: dict[str, Any], version: str = "1.1.0", to: Any = SHOP) -> Applied:
    before = copy.deepcopy(to)
    overlay = read_overlay({"overlay": version, "info": {"title": "t", "version": "1"}, "actions": list(actions)}, "o")
    done = apply(to, [overlay])
    assert to == before  # whatever is done, the document that was given stays as it is
    return done


def changed(*actions: dict[str, Any], version: str = "1.1.0", to: Any = SHOP) -> Any:
    done = applied(*actions, version=version, to=to)
    assert done.notes == ()
    return done.document


def refused(*actions: dict[str, Any], to: Any = SHOP) -> DescriptionInvalid:
    with pytest.raises(DescriptionInvalid) as error:
        applied(*actions, to=to)
    return error.value


# ── what changes ─────────────────────────────────────────────────────────────────────────


def test_an_update_is_merged_member_by_member() -> None:
    new = changed({"target": "$", "update": {"info": {"title": "New", "x-a": {"b": 1}}, "paths": {"/new": {}}}})
    assert new["info"] == {"title": "New", "version": "1", "x-a": {"b": 1}}
    assert list(new["paths"]) == ["/orders", "/customers", "/new"]


def test_a_wildcard_changes_all_it_selects_and_each_apart() -> None:
    new = changed(
        {"target": "$.paths.*.get", "update": {"x-safe": {"yes": True}}},
        {"target": "$.paths['/orders'].get['x-safe']", "update": {"yes": False}},
    )
    assert new["paths"]["/orders"]["get"]["x-safe"] == {"yes": False}
    assert new["paths"]["/customers"]["get"]["x-safe"] == {"yes": True}


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_a_list_gets_one_entry_more(version: str) -> None:
    new = changed(
        {"target": "$.paths['/orders'].get.parameters", "update": {"name": "b", "in": "query"}}, version=version
    )
    assert [each["name"] for each in new["paths"]["/orders"]["get"]["parameters"]] == ["a", "b"]


def test_a_list_is_added_to_a_list() -> None:
    new = changed({"target": "$..get.tags", "update": ["x", "y"]})
    assert new["paths"]["/orders"]["get"]["tags"] == ["orders", "old", "x", "y"]
    assert new["paths"]["/customers"]["get"]["tags"] == ["customers", "x", "y"]


def test_a_single_value_is_replaced() -> None:
    assert changed({"target": "$.info.title", "update": "Other"})["info"]["title"] == "Other"


def test_what_a_filter_selects_is_removed() -> None:
    new = changed({"target": "$.paths.*[?@.deprecated == true]", "remove": True})
    assert list(new["paths"]["/orders"]) == ["get"]


def test_items_of_one_list_are_removed_together() -> None:
    new = changed({"target": "$.a[?@ > 1]", "remove": True}, to={"a": [0, 2, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11]})
    assert new == {"a": [0, 1]}


def test_what_is_inside_something_else_that_goes_may_go_too() -> None:
    assert changed({"target": "$..*", "remove": True}, to={"a": [{"b": 1}, [2]], "c": 3}) == {}


def test_remove_wins_over_update() -> None:
    assert "info" not in changed({"target": "$.info", "remove": True, "update": {"title": "x"}})


def test_each_action_sees_what_the_one_before_it_left() -> None:
    new = changed(
        {"target": "$.paths['/orders']", "remove": True},
        {"target": "$.paths", "update": {"/orders": {"put": {}}}},
    )
    assert new["paths"]["/orders"] == {"put": {}}


def test_a_copy_is_merged_and_leads_a_life_of_its_own() -> None:
    new = changed(
        {"target": "$.paths", "update": {"/all": {}}},
        {"target": "$.paths['/all']", "copy": "$.paths['/orders']"},
        {"target": "$.paths['/orders'].get.operationId", "update": "other"},
        {"target": "$.paths['/orders']", "remove": True},
        version="1.1.0",
    )
    assert new["paths"]["/all"] == SHOP["paths"]["/orders"]
    assert "/orders" not in new["paths"]


def test_a_copy_of_what_was_just_written_is_apart_from_it() -> None:
    new = changed(
        {"target": "$.a.b", "update": {"c": 1}},
        {"target": "$.d", "copy": "$.a"},
        {"target": "$.a.b", "update": {"c": 2}},
        to={"a": {"b": {}}, "d": {}},
    )
    assert new == {"a": {"b": {"c": 2}}, "d": {"b": {"c": 1}}}


def test_something_is_copied_into_itself_as_it_was() -> None:
    new = changed({"target": "$.a", "update": {"b": 1}}, {"target": "$.a", "copy": "$"}, to={"a": {}})
    assert new == {"a": {"b": 1, "a": {"b": 1}}}


def test_a_target_that_is_nowhere_is_noted() -> None:
    done = applied({"target": "$.nowhere", "update": {}}, {"target": "$.info.title", "update": "New"})
    assert [(note.pointer, note.message) for note in done.notes] == [
        ("o#/actions/0", "the target $.nowhere is nowhere in the description")
    ]
    assert done.document["info"]["title"] == "New"


# ── what does not ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"target": "$.info", "update": "text"}, "a single value cannot be merged"),
        ({"target": "$.info.title", "update": {"a": 1}}, "a mapping cannot be merged"),
        ({"target": "$.info", "update": {"title": ["a"]}}, 'at "title" is a single value'),
        ({"target": "$.info.*", "update": {"title": {}}}, "cannot be merged"),
        ({"target": "$.paths['/orders'].get.*", "update": "x"}, "things of several kinds"),
        ({"target": "$", "remove": True}, "the whole description"),
        ({"target": "$.info", "copy": "$.paths.*"}, "is 2 things"),
        ({"target": "$.info", "copy": "$.nowhere"}, "is 0 things"),
        ({"target": "info", "remove": True}, "not JSONPath"),
        ({"target": "$[", "remove": True}, "not JSONPath"),
        ({"target": "$..a..b..c", "remove": True}, "more than 2 times"),
        ({"target": "$.paths[?@..tags]", "remove": True}, ".. in a filter"),
        ({"target": "$.paths[?@.a == 1 && !($.*.b)]", "remove": True}, "searches from the root"),
        ({"target": "$.paths[?match(@.a, @.b)]", "remove": True}, "a pattern that is no text"),
        ({"target": "$.paths[?search(@.a, '(a+)+b')]", "remove": True}, "repeats a group"),
        ({"target": "$.a" + ".a" * 600, "remove": True}, "longer than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_refused_with_the_action(action: dict[str, Any], said: str) -> None:
    error = refused({"target": "$.info", "update": {}}, action)
    assert said in error.message
    assert error.where == "o#/actions/1"


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {"overlay": "2.0.0", "actions": [{"target": "$", "remove": True}]},
        {"overlay": "1.1.0"},
        {"overlay": "1.1.0", "actions": []},
        {"overlay": "1.1.0", "actions": {}},
        {"overlay": "1.1.0", "actions": ["text"]},
        {"overlay": "1.1.0", "actions": [{"target": 5, "remove": True}]},
        {"overlay": "1.1.0", "actions": [{"target": "$"}]},
        {"overlay": "1.1.0", "actions": [{"target": "$", "update": {}, "copy": "$"}]},
        {"overlay": "1.1.0", "actions": [{"target": "$", "copy": {}}]},
    ],
    ids=lambda document: json.dumps(document)[:60],
)
def test_what_is_no_overlay_is_refused(document: Any) -> None:
    with pytest.raises(DescriptionInvalid):
        read_overlay(document, "o")


def test_a_document_cannot_be_doubled_without_end() -> None:
    doubling = [
        {"target": "$", "update": {f"a{index}": {}}} if not turn else {"target": f"$.a{index}", "copy": "$"}
        for index in range(40)
        for turn in range(2)
    ]
    assert "too" in refused(*doubling, to={"a": {"b": 1}}).message


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
PATHS = st.sampled_from(["$", "$.a", "$.b.c", "$.*", "$..a", "$..*", "$.a[0]", "$..[?@.a]", "$.a[-1:]", "$['b']['a']"])
ACTIONS = st.one_of(
    st.fixed_dictionaries({"target": PATHS, "update": VALUES}),
    st.fixed_dictionaries({"target": PATHS, "copy": PATHS}),
    st.fixed_dictionaries({"target": PATHS, "remove": st.just(value=True)}),
)


@given(VALUES, st.lists(ACTIONS, min_size=1, max_size=4))
def test_any_overlay_is_applied_or_refused_and_leaves_what_it_was_given(document: Any, actions: list[Any]) -> None:
    try:
        new = applied(*actions, to=document).document
    except DescriptionInvalid:
        return
    json.dumps(new)  # nothing in it holds itself


# ── files ────────────────────────────────────────────────────────────────────────────────


def test_a_description_is_read_as_its_overlays_make_it(tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(SHOP), encoding="utf-8")
    (tmp_path / "ours.yaml").write_text(
        "overlay: 1.1\ninfo: {title: Ours, version: '1'}\nextends: https://elsewhere.example/api.json\nactions:\n"
        "  - {target: '$.paths.*[?@.deprecated == true]', remove: true}\n"
        "  - {target: $.nothing, remove: true}\n",
        encoding="utf-8",
    )
    plain = read_description(tmp_path / "shop.json")
    overlays = read_overlays([tmp_path / "ours.yaml"], folder=tmp_path)
    overlaid = read_description(tmp_path / "shop.json", overlays=overlays)
    assert [each.id for each in plain.operations] == ["listOrders", "makeOrder", "listCustomers"]
    assert [each.id for each in overlaid.operations] == ["listOrders", "listCustomers"]
    assert [note.message for note in overlaid.notes] == ["the target $.nothing is nowhere in the description"]
    assert overlaid.digest != plain.digest
    assert read_description(tmp_path / "shop.json", overlays=()).digest == plain.digest


def test_an_overlay_outside_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.yaml").write_text("overlay: 1.1.0", encoding="utf-8")
    with pytest.raises(DescriptionInvalid, match="outside"):
        read_overlays([tmp_path / "out.yaml"], folder=tmp_path / "in")
    with pytest.raises(DescriptionInvalid, match="does not exist"):
        read_overlays([tmp_path / "none.yaml"])


def test_an_overlay_that_does_not_fit_says_which_action_does_not(tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(SHOP), encoding="utf-8")
    overlay = read_overlay({"overlay": "1.1.0", "actions": [{"target": "$.info", "update": 5}]}, "ours.yaml")
    with pytest.raises(DescriptionInvalid) as error:
        read_description(tmp_path / "shop.json", overlays=[overlay])
    assert error.value.where == "ours.yaml#/actions/0"
