"""References between places of a description: local, by position, never out of the folder."""

from __future__ import annotations

from typing import Any

import pytest

from remit.catalog.openapi.references import Dangling, Place, References


def references(root: dict[str, Any], **others: Any) -> References:
    files = {name.replace("__", "/").replace("_", "."): data for name, data in others.items()}
    return References({"api.yaml": root, **files}, "api.yaml")


def resolve(reference: str, root: dict[str, Any], **others: Any) -> Any:
    return references(root, **others).resolve("api.yaml", reference).value


def refusal(reference: str, root: dict[str, Any], **others: Any) -> str:
    with pytest.raises(Dangling) as caught:
        resolve(reference, root, **others)
    return caught.value.reason


@pytest.mark.parametrize(
    "reference",
    [
        "#/paths/~1a~1{id}/x~0y",
        "#/paths/%2Fa%2F{id}".replace("%2F", "~1") + "/x~0y",
        "#/paths/~1a~1%7Bid%7D/x%7E0y",
        "api.yaml#/paths/~1a~1%7Bid%7D/x~0y",
        "./api.yaml#/paths/~1a~1{id}/x~0y",
    ],
)
def test_pointers_are_unescaped_and_percent_decoded(reference: str) -> None:
    assert resolve(reference, {"paths": {"/a/{id}": {"x~y": 1}}}) == 1


def test_a_key_with_a_percent_sign_is_found_though_it_is_not_encoded() -> None:
    assert resolve("#/x/50%25off", {"x": {"50%off": 1}}) == 1
    assert resolve("#/x/a%20b", {"x": {"a%20b": 1}}) == 1


def test_lists_are_stepped_into_by_index() -> None:
    assert resolve("#/a/1", {"a": ["x", "y"]}) == "y"
    assert "nothing at /a/2" in refusal("#/a/2", {"a": ["x", "y"]})
    assert "nothing at /a/-1" in refusal("#/a/-1", {"a": ["x", "y"]})


def test_a_file_counts_from_the_file_that_names_it() -> None:
    found = references({}, parts__a_yaml={"x": 1}, parts__b_yaml={})
    assert found.resolve("parts/b.yaml", "a.yaml#/x").value == 1
    assert found.resolve("parts/b.yaml", "../api.yaml").value == {}
    assert found.resolve("api.yaml", "parts\\a.yaml#/x").value == 1


@pytest.mark.parametrize(
    "reference",
    ["../other.yaml", "parts/../../other.yaml", "/etc/passwd", "..", "%2e%2e/other.yaml", "..\\other.yaml", "a\0b"],
)
def test_no_file_outside_the_folder_is_asked_for(reference: str) -> None:
    assert "outside the description's folder" in refusal(reference, {})


@pytest.mark.parametrize(
    "reference",
    ["https://example.com/a.yaml#/x", "//example.com/a.yaml", "file:///etc/passwd", "C:/a.yaml", "urn:x:y"],
)
def test_the_network_is_never_asked(reference: str) -> None:
    assert "never followed" in refusal(reference, {})


def test_a_document_knows_the_address_it_calls_itself() -> None:
    root = {"$self": "https://example.com/apis/pets.yaml", "x": 1}
    assert resolve("https://example.com/apis/pets.yaml#/x", root) == 1
    assert resolve("pets.yaml#/x", root) == 1
    assert resolve("https://example.com/apis/common.yaml#/y", root, common_yaml={"y": 2}) == 2
    assert resolve("common.yaml#/y", root, common_yaml={"y": 2}) == 2
    assert "never followed" in refusal("https://example.com/else/common.yaml", root)


def test_anchors_and_identifiers_of_named_schemas_are_known() -> None:
    schemas = {"Pet": {"$anchor": "pet", "$id": "https://example.com/pet", "type": "object"}}
    root = {"components": {"schemas": schemas}}
    assert resolve("#pet", root) == schemas["Pet"]
    assert resolve("https://example.com/pet", root) == schemas["Pet"]
    assert "no schema has the anchor" in refusal("#cat", root)


def test_a_reference_on_the_way_is_followed() -> None:
    root = {"a": {"$ref": "#/b"}, "b": {"c": {"d": 1}}}
    place = references(root).resolve("api.yaml", "#/a/c/d")
    assert (place.value, place.pointer) == (1, "/b/c/d")


def test_references_to_references_are_followed_and_plain_values_beside_them_kept() -> None:
    root = {
        "a": {"$ref": "#/b", "description": "mine"},
        "b": {"$ref": "#/c", "description": "yours", "summary": "s"},
        "c": {"name": "x", "description": "theirs", "in": "query"},
    }
    place = references(root).follow(Place("api.yaml", "/a", root["a"]))
    assert place.value == {"name": "x", "description": "mine", "summary": "s", "in": "query"}
    assert place.pointer == "/c"


def test_a_loop_of_references_leads_nowhere() -> None:
    root = {"a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}, "c": {"$ref": "#/c/d"}}
    for name in ("a", "c"):
        with pytest.raises(Dangling, match="leads back to itself"):
            references(root).follow(Place("api.yaml", f"/{name}", root[name]))


def test_a_loop_on_the_way_ends_soon() -> None:
    root = {"a": {"$ref": "#/b/x%20y/z"}, "b": {"$ref": "#/a/x%20y"}}
    assert "leads back to itself" in refusal("#/a/x%20y", root)


def test_a_property_named_ref_is_no_reference() -> None:
    value = {"$ref": {"type": "string"}}
    assert references({}).follow(Place("api.yaml", "/x", value)).value is value


def test_a_missing_file_has_its_reason_without_control_characters() -> None:
    assert refusal("no\nsuch.yaml", {}) == "there is no file no?such.yaml"
