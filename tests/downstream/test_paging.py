"""Pages: fetched within bounds, merged, cut where an item ends, and followed without losing or repeating anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.catalog.tool import Tool
from remit.downstream.mocked import MockAnswer, answer_of
from remit.downstream.request import build_request
from remit.downstream.result import shape
from remit.errors import DownstreamError, RequestUnusable, ResponseUnusable
from support.paged_api import PAGING, PagedApi, call, paged_tool
from support.tools import CONTEXT, tool_of

KINDS = sorted(PAGING)
#: Of these an API says itself that there is no more; of the others only an empty page does.
SAYING = ["cursor", "link", "odata"]
PAGES = [["a", "b"], ["c", "d"], ["e"]]

pytestmark = pytest.mark.anyio


def items_of(data: Any) -> list[Any]:
    items: list[Any] = data["value"] if "value" in data else data["data"]
    return items


async def follow(tool: Tool, api: PagedApi, most: int = 200) -> list[Any]:
    """Every item, by calling again with ``next_cursor`` until there is none."""
    found: list[Any] = []
    arguments: dict[str, Any] = {}
    for _ in range(most):
        tool.validate(arguments)
        result, _ = await call(tool, api, arguments)
        assert result.size <= tool.response.max_bytes
        found += items_of(result.data)
        if result.data.get("next_cursor") is None:
            assert not result.truncated
            return found
        arguments = {"cursor": result.data["next_cursor"]}
    raise AssertionError("it never ends")


# ── one page a call ──


@pytest.mark.parametrize("kind", KINDS)
async def test_the_agent_gets_one_page_and_where_the_next_one_begins(kind: str) -> None:
    api = PagedApi(kind, PAGES)
    result, _ = await call(paged_tool(kind), api)
    assert items_of(result.data) == ["a", "b"]
    assert result.data["next_cursor"]
    assert not result.truncated
    assert len(api.asked) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_following_next_cursor_leads_through_all_pages(kind: str) -> None:
    assert await follow(paged_tool(kind), PagedApi(kind, PAGES)) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("kind", SAYING)
async def test_the_last_page_has_no_next_cursor(kind: str) -> None:
    result, _ = await call(paged_tool(kind), PagedApi(kind, [["a"]]))
    assert "next_cursor" not in result.data


async def test_a_list_that_is_the_whole_answer_stands_in_an_object() -> None:
    tool = paged_tool("link", items="@")
    api = PagedApi("link", [])
    api.instead[0] = lambda: httpx.Response(
        200, json=["a"], headers={"link": '</x?after=7>; rel="prev", </y?after=9>; title="t"; rel="last next"'}
    )
    result, _ = await call(tool, api)
    assert result.data == {"items": ["a"], "next_cursor": "9"}
    assert result.unwrapped == ["a"]


# ── pages in one call ──


@pytest.mark.parametrize("kind", KINDS)
async def test_as_many_pages_are_fetched_as_the_file_says(kind: str) -> None:
    api = PagedApi(kind, PAGES)
    result, _ = await call(paged_tool(kind, maxPages=2), api)
    assert items_of(result.data) == ["a", "b", "c", "d"]
    assert result.data["next_cursor"]
    assert len(api.asked) == 2


@pytest.mark.parametrize("kind", SAYING)
async def test_after_the_last_page_nothing_is_asked_for(kind: str) -> None:
    api = PagedApi(kind, PAGES)
    result, _ = await call(paged_tool(kind, maxPages=50), api)
    assert items_of(result.data) == ["a", "b", "c", "d", "e"]
    assert "next_cursor" not in result.data
    assert len(api.asked) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_every_page_is_asked_of_the_tools_own_api_with_the_same_arguments_and_token(kind: str) -> None:
    """The links of these APIs lead elsewhere, with parameters of their own."""
    response = {"paging": {**PAGING[kind], "maxPages": 3}}
    schema = {"properties": {"q": {"type": "string"}}}
    request = {"method": "GET", "path": "/things", "query": {"q": "$q"}}
    tool, api = tool_of({"input": schema, "request": request, "response": response}), PagedApi(kind, PAGES)
    await call(tool, api, {"q": "x&after=0"})
    position = {"cursor", "link"}
    for asked in api.asked:
        assert str(asked.url).startswith("https://shop.example/api/things?q=x%26after%3D0")
        assert asked.headers["authorization"] == "Bearer the-delegated-token"
        assert set(asked.url.params) <= {"q", "after" if kind in position else tool.response.paging.param}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "again",
    [
        lambda number: {"data": [number], "meta": {"next": "same"}},
        lambda number: {"data": [number], "meta": {"next": f"odd {number % 2}"}},
    ],
    ids=["the same", "in circles"],
)
async def test_pages_that_lead_back_come_to_an_end(again: Callable[[int], Any]) -> None:
    api = PagedApi("cursor", [])
    answers = iter(range(100))

    def answer(request: httpx.Request) -> httpx.Response:
        api.asked.append(request)
        return httpx.Response(200, json=again(next(answers)))

    api.answer = answer  # type: ignore[method-assign]
    result, response = await call(paged_tool("cursor", maxPages=50), api)
    assert len(api.asked) <= 3
    assert "next_cursor" not in result.data
    assert response.broken_off == ""


@pytest.mark.parametrize("said", [0, 1, "1", -1])
async def test_a_page_number_that_is_no_further_on_ends_it(said: Any) -> None:
    api = PagedApi("page", [])
    api.instead[0] = lambda: httpx.Response(200, json={"data": ["a"], "next": said})
    tool = paged_tool("page", next="next", maxPages=9)
    if said == -1:
        with pytest.raises(ResponseUnusable, match="next page"):
            await call(tool, api)
        return
    result, _ = await call(tool, api)
    assert result.data["data"] == ["a"]
    assert "next_cursor" not in result.data
    assert len(api.asked) == 1


@pytest.mark.parametrize(("said", "pages"), [(True, 3), (False, 1), (None, 1), ("", 1)])
async def test_an_api_may_only_say_that_there_is_more(said: Any, pages: int) -> None:
    api = PagedApi("page", [])
    for number in range(2):
        api.instead[number] = lambda: httpx.Response(200, json={"data": ["x"], "more": said})
    await call(paged_tool("page", next="more", maxPages=9), api)
    assert len(api.asked) == pages


# ── pages that cannot be had ──

BROKEN: list[tuple[str, Callable[[], httpx.Response], str]] = [
    ("refused", lambda: httpx.Response(429, json={"message": "secret"}), "downstream_refused"),
    ("failed", lambda: httpx.Response(500, text="<html>secret"), "downstream_failed"),
    ("no json", lambda: httpx.Response(200, html="<html>secret"), "response_unusable"),
    ("half", lambda: httpx.Response(200, content=b'{"da', headers={"content-type": "application/json"}), "response_unusable"),
    ("no list", lambda: httpx.Response(200, json={"data": "secret"}), "response_unusable"),
    ("no cursor", lambda: httpx.Response(200, json={"data": [], "meta": {"next": {"secret": 1}}}), "response_unusable"),
    ("the token", lambda: httpx.Response(200, json={"data": ["the-delegated-token"]}), "response_unusable"),
    ("too deep", lambda: httpx.Response(200, content=b"[" * 100_000, headers={"content-type": "application/json"}), "response_unusable"),
]  # fmt: skip


@pytest.mark.parametrize(("instead", "code"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
async def test_a_page_that_cannot_be_had_leaves_those_before_it_and_where_it_is(
    instead: Callable[[], httpx.Response], code: str
) -> None:
    api = PagedApi("cursor", PAGES, {1: instead})
    tool = paged_tool("cursor", maxPages=3)
    result, response = await call(tool, api)
    assert result.data["data"] == ["a", "b"]
    assert response.broken_off == code
    assert "secret" not in result.text
    with pytest.raises(DownstreamError) as caught:
        await call(tool, api, {"cursor": result.data["next_cursor"]})
    assert caught.value.code == code


async def test_a_page_that_the_connection_broke_off_is_no_different() -> None:
    def broken() -> httpx.Response:
        raise httpx.ReadError("gone")

    result, response = await call(paged_tool("cursor", maxPages=3), PagedApi("cursor", PAGES, {2: broken}))
    assert result.data["data"] == ["a", "b", "c", "d"]
    assert response.broken_off == "downstream_unavailable"


async def test_all_pages_together_take_no_longer_than_one_call_may() -> None:
    tool = tool_of({"response": {"paging": {**PAGING["cursor"], "maxPages": 50}}, "timeout": "200ms"})
    api = PagedApi("cursor", [[number] for number in range(50)])
    answer, forever = api.answer, asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        if len(api.asked) == 2:
            await forever.wait()
        return answer(request)

    api.answer = slow  # type: ignore[method-assign, assignment]
    started = asyncio.get_running_loop().time()
    result, response = await call(tool, api)
    assert asyncio.get_running_loop().time() - started < 2
    assert result.data["data"] == [0, 1]
    assert response.broken_off == "downstream_unavailable"


# ── bounds ──


async def test_no_further_page_is_fetched_once_the_result_is_full() -> None:
    pages = [[{"n": number, "text": "x" * 100}] * 3 for number in range(20)]
    api = PagedApi("cursor", pages)
    result, _ = await call(paged_tool("cursor", response={"maxBytes": "1KiB"}, maxPages=20), api)
    assert len(api.asked) == 3
    assert 900 < result.size <= 1024
    assert result.truncated
    assert result.data["truncated"] is True


async def test_no_further_page_is_fetched_once_there_are_enough_items() -> None:
    api = PagedApi("cursor", PAGES)
    result, _ = await call(paged_tool("cursor", response={"maxItems": 3}, maxPages=20), api)
    assert len(api.asked) == 2
    assert result.data["data"] == ["a", "b", "c"]
    assert result.truncated


async def test_what_all_pages_weigh_together_is_bounded() -> None:
    """``select`` leaves nearly nothing of them, so that the result is never full."""
    pages = [["x" * 900]] * 50
    response = {"paging": {**PAGING["cursor"], "maxPages": 50}, "select": "{n: length(data)}"}
    tool = tool_of({"response": response, "limits": {"maxResponseBytes": "4KiB"}})
    api = PagedApi("cursor", pages)
    result, _ = await call(tool, api)
    assert len(api.asked) == 5
    assert result.data["n"] == 5


async def test_one_item_that_is_too_long_is_said_to_be() -> None:
    with pytest.raises(ResponseUnusable, match="longer than 256 bytes and cannot be cut") as caught:
        await call(paged_tool("cursor", response={"maxBytes": "256B"}), PagedApi("cursor", [["x" * 300]]))
    assert "maxBytes" in caught.value.hint


async def test_where_no_argument_can_say_a_part_of_a_page_whole_ones_are_given() -> None:
    paging = {**PAGING["page"], "maxPages": 3}
    schema = {"properties": {"p": {"type": "integer"}}}
    request = {"method": "GET", "path": "/things", "query": {"page": "$p"}}
    tool = tool_of({"input": schema, "request": request, "response": {"paging": paging, "maxItems": 3}})
    result, _ = await call(tool, PagedApi("page", PAGES))
    assert (result.data["data"], result.data["next_cursor"]) == (["a", "b"], 2)
    result, _ = await call(tool, PagedApi("page", PAGES), {"p": 2})
    assert (result.data["data"], result.data["next_cursor"]) == (["c", "d", "e"], 4)


# ── what is selected and hidden ──


async def test_what_is_selected_of_all_pages_is_selected_of_their_items_together() -> None:
    select = "{names: data[].name, total: meta.next, next_cursor: meta.next, truncated: `false`}"
    pages = [[{"name": "A", "key": "K"}], [{"name": "B"}], [{"name": "C"}]]
    tool = paged_tool("cursor", response={"select": select}, maxPages=2)
    result, _ = await call(tool, PagedApi("cursor", pages))
    assert result.data == {"names": ["A", "B"], "total": "+2:at =2", "next_cursor": "+0:+2:at =2"}
    result, _ = await call(tool, PagedApi("cursor", pages), {"cursor": result.data["next_cursor"]})
    assert result.data == {"names": ["C"], "total": None, "next_cursor": None}


@pytest.mark.parametrize("path", ["data[].key", "data", "*", "data[]", "[].key"])
async def test_what_is_hidden_of_a_page_is_hidden_of_all(path: str) -> None:
    pages = [[{"key": "SECRET"}], [{"key": "SECRET"}], [{"key": "SECRET"}]]
    tool = paged_tool("cursor", response={"redact": [path, "data[].key"]}, maxPages=3)
    result, _ = await call(tool, PagedApi("cursor", pages))
    assert "SECRET" not in result.text


async def test_a_closed_output_schema_lets_a_result_say_where_it_goes_on() -> None:
    schema = {"type": "object", "properties": {"data": {"type": "array"}, "meta": {}}, "additionalProperties": False}
    tool = paged_tool("cursor", response={"schema": schema, "maxItems": 1})
    result, _ = await call(tool, PagedApi("cursor", PAGES))
    assert result.data["truncated"] is True
    assert result.data["next_cursor"] == "+1:"
    assert tool.output_schema is not None
    assert {"next_cursor", "truncated"} <= set(tool.output_schema["properties"])


# ── cursors ──


@pytest.mark.parametrize("kind", ["page", "offset"])
@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30, "+1:x"])
async def test_what_was_never_a_next_cursor_is_refused(kind: str, cursor: str) -> None:
    api = PagedApi(kind, PAGES)
    with pytest.raises(RequestUnusable, match="no next_cursor"):
        await call(paged_tool(kind), api, {"cursor": cursor})
    assert not api.asked


async def test_a_cursor_stays_inside_its_parameter() -> None:
    request = build_request(paged_tool("cursor"), {"cursor": "a&admin=1#/../?x"}, CONTEXT)
    assert request.url == "https://shop.example/api/things?after=a%26admin%3D1%23%2F..%2F%3Fx"


# ── size ──


async def test_the_size_of_a_page_is_the_agents_within_bounds_or_the_files() -> None:
    tool = paged_tool("cursor", size={"param": "limit", "default": 20, "max": 50})
    assert tool.input_schema["properties"]["limit"]["maximum"] == 50
    for arguments, sent in [({}, "20"), ({"limit": 5}, "5")]:
        api = PagedApi("cursor", PAGES)
        await call(tool, api, arguments)
        assert api.asked[0].url.params["limit"] == sent


async def test_of_pages_that_are_fetched_together_the_file_says_the_size() -> None:
    tool, api = paged_tool("cursor", size={"param": "limit", "default": 20}, maxPages=2), PagedApi("cursor", PAGES)
    await call(tool, api)
    assert "limit" not in tool.input_schema["properties"]
    assert [asked.url.params["limit"] for asked in api.asked] == ["20", "20"]


# ── examples ──


async def test_the_pages_of_an_example_are_asked_for_too() -> None:
    tool = paged_tool("cursor", maxPages=3)
    answers = [MockAnswer(200, {}, {"data": [1], "meta": {"next": "b"}}), MockAnswer(200, {}, {"data": [2]})]
    response, used = await answer_of(build_request(tool, {}, CONTEXT), tool, answers)
    assert used == 2
    assert shape(tool, response).data["data"] == [1, 2]


# ── whatever the pages hold ──

ITEM = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.integers(-(2**60), 2**60)
MANY = st.lists(st.lists(ITEM, max_size=8), min_size=1, max_size=8)


@settings(max_examples=60)
@given(kind=st.sampled_from(SAYING), pages=MANY, most=st.integers(1, 5), items=st.none() | st.integers(1, 6))
def test_every_item_is_found_once_and_no_result_is_longer_than_it_may_be(
    kind: str, pages: list[list[Any]], most: int, items: int | None
) -> None:
    response = {"maxBytes": "400B", **({"maxItems": items} if items else {})}
    tool = paged_tool(kind, response=response, maxPages=most)
    found = asyncio.run(follow(tool, PagedApi(kind, pages)))
    assert found == [item for page in pages for item in page]


@settings(max_examples=30)
@given(
    kind=st.sampled_from(["page", "offset"]),
    pages=st.lists(st.lists(ITEM, min_size=3, max_size=3), min_size=1, max_size=8),
    most=st.integers(1, 5),
)
def test_counted_pages_end_where_one_is_empty(kind: str, pages: list[list[Any]], most: int) -> None:
    tool = paged_tool(kind, response={"maxBytes": "400B"}, maxPages=most)
    assert asyncio.run(follow(tool, PagedApi(kind, pages))) == [item for page in pages for item in page]
