"""The paging block: the arguments it gives a tool, and what is wrong with one."""

from __future__ import annotations

from typing import Any

import pytest

from support.paged_api import PAGING, paged_tool
from support.tools import problems_of, tool_of


def problems(kind: str = "cursor", tool: dict[str, Any] | None = None, **paging: Any) -> str:
    return problems_of({**(tool or {}), "response": {"paging": {**PAGING[kind], **paging}}})


def test_a_tool_without_arguments_gets_those_that_paging_needs() -> None:
    tool = paged_tool("cursor", size={"param": "limit", "default": 20, "max": 50})
    assert tool.input_schema == {
        "type": "object",
        "properties": {
            "cursor": {"type": "string", "maxLength": 4096, "description": "next_cursor of the page before"},
            "limit": {"minimum": 1, "default": 20, "type": "integer", "description": "How many on one page", "maximum": 50},
        },
        "additionalProperties": False,
    }  # fmt: skip


def test_a_tools_own_arguments_are_left_as_they_are_but_for_the_bounds_of_a_page() -> None:
    schema = {"properties": {"token": {"type": "string"}, "n": {"type": "integer", "maximum": 5000, "minimum": 3}}}
    request = {"method": "POST", "path": "/search", "body": {"after": "$token", "size": "$n"}}
    paging = {**PAGING["cursor"], "size": {"param": "size", "max": 50}}
    tool = tool_of({"input": schema, "request": request, "response": {"paging": paging}})
    assert tool.input_schema["properties"] == {
        "token": {"type": "string"},
        "n": {"minimum": 3, "default": 20, "type": "integer", "maximum": 50},
    }


def test_a_tighter_bound_of_its_own_stays() -> None:
    schema = {"properties": {"n": {"type": "integer", "maximum": 10, "default": 5}}}
    request = {"method": "GET", "path": "/things", "query": {"limit": "$n"}}
    paging = {**PAGING["cursor"], "size": {"param": "limit"}}
    tool = tool_of({"input": schema, "request": request, "response": {"paging": paging}})
    assert tool.input_schema["properties"]["n"] == {"minimum": 1, "default": 5, "type": "integer", "maximum": 10}


@pytest.mark.parametrize(
    ("kind", "paging", "said"),
    [
        ("cursor", {"next": None}, "nothing says where the next page begins"),
        ("cursor", {"param": None}, "no argument says where a page begins"),
        ("cursor", {"items": "data[]"}, "cannot lead to the page's list"),
        ("cursor", {"next": "a b"}, "not JMESPath: Unexpected token"),
        ("cursor", {"start": 0}, "only pages have numbers"),
        ("page", {"size": {"param": "n", "default": 50, "max": 20}}, "default is larger than max"),
        ("cursor", {"maxPages": 51}, "maxPages must be less than or equal to 50"),
        ("cursor", {"maxPages": 0}, "maxPages must be greater than or equal to 1"),
        ("cursor", {"maxPage": 2}, "did you mean maxPages?"),
        ("cursor", {"type": "cursors"}, "type must be"),
    ],
)
def test_what_is_wrong_with_a_block_is_said(kind: str, paging: dict[str, Any], said: str) -> None:
    assert said in problems(kind, **paging)


def test_what_changes_something_is_not_sent_for_each_page() -> None:
    request = {"method": "POST", "path": "/things", "body": {"x": 1}}
    assert "is not sent again" in problems(tool={"request": request}, maxPages=2)
    assert not problems(tool={"request": request})
    assert not problems(tool={"request": request, "annotations": {"readOnly": True}}, maxPages=2)


def test_pages_that_are_fetched_together_have_no_one_key() -> None:
    request = {"method": "POST", "path": "/things", "body": {"x": 1}, "idempotencyKey": "auto"}
    tool = {"request": request, "annotations": {"readOnly": True}}
    assert "leave idempotencyKey out" in problems(tool=tool, maxPages=2)
    assert not problems(tool=tool)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"properties": {"after": {"type": "string"}}, "required": ["after"]}, "after is required"),
        ({"properties": {"after": {"type": "string", "pattern": "^[a-z]+$"}}}, "its pattern lets few through"),
        ({"properties": {"after": {"enum": ["a"]}}}, "its enum lets few through"),
    ],
)
def test_the_argument_has_to_take_what_next_cursor_says(schema: dict[str, Any], said: str) -> None:
    request = {"method": "GET", "path": "/things", "query": {"after": "$after"}}
    assert said in problems(tool={"input": schema, "request": request})


def test_a_parameter_that_no_argument_fills_is_no_place_for_a_position() -> None:
    request = {"method": "GET", "path": "/things", "query": {"after": "first"}}
    assert "no argument says after" in problems(tool={"request": request})


def test_files_have_no_pages() -> None:
    tool = {"response": {"paging": PAGING["cursor"], "files": ["image/png"]}}
    assert "a file has no pages" in problems_of(tool)


def test_pages_make_another_tool() -> None:
    assert paged_tool("cursor").digest != paged_tool("cursor", maxPages=2).digest
