"""An API that gives a list in pages, each its own way of saying where the next one begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from remit.catalog.tool import Tool
from remit.credential import Credential
from remit.downstream.client import ApiClient
from remit.downstream.paging import fetch
from remit.downstream.request import build_request
from remit.downstream.response import ApiResponse
from remit.downstream.result import ToolResult, shape
from support.tools import CONTEXT, tool_of

#: What a tool file says of an API of each kind.
PAGING: Mapping[str, dict[str, Any]] = {
    "cursor": {"type": "cursor", "param": "after", "next": "meta.next", "items": "data"},
    "page": {"type": "page", "param": "page", "items": "data"},
    "offset": {"type": "offset", "param": "skip", "items": "data"},
    "link": {"type": "link", "param": "after", "items": "data"},
    "odata": {"type": "odata"},
}


def paged_tool(kind: str, *, response: Mapping[str, Any] | None = None, **paging: Any) -> Tool:
    """A tool for such an API. It names no arguments: those that paging needs are made."""
    return tool_of({"response": {"paging": {**PAGING[kind], **paging}, **(response or {})}})


@dataclass
class PagedApi:
    """``pages`` of items. Positions are texts of no meaning, numbers of pages from 1, or of items from 0.

    ``instead``: what is answered in place of a page, by its number.
    """

    kind: str
    pages: Sequence[Sequence[Any]]
    instead: dict[int, Callable[[], httpx.Response]] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        parameters = dict(request.url.params)
        if self.kind == "offset":
            items = [item for page in self.pages for item in page]
            skip = int(parameters.get("skip", "0"))
            size = len(self.pages[0])
            return self._document(0, items[skip : skip + size])
        number = self._number(parameters)
        if number in self.instead:
            return self.instead[number]()
        items = list(self.pages[number]) if number < len(self.pages) else []
        return self._document(number, items)

    def _number(self, parameters: Mapping[str, str]) -> int:
        if self.kind == "page":
            return int(parameters.get("page", "1")) - 1
        position = parameters.get("$skiptoken" if self.kind == "odata" else "after")
        return 0 if position is None else int(position.removeprefix("+2:at ="))

    def _document(self, number: int, items: list[Any]) -> httpx.Response:
        more = number + 1 < len(self.pages)
        position = f"+2:at ={number + 1}"
        if self.kind == "odata":
            link = {"@odata.nextLink": _link("$skiptoken", position)} if more else {}
            return httpx.Response(200, json={"value": items, **link})
        headers = {"link": f'<{_link("after", position)}>; rel="next"'} if more and self.kind == "link" else {}
        meta = {"next": position if more else None} if self.kind == "cursor" else {}
        return httpx.Response(200, json={"data": items, "meta": meta}, headers=headers)


def _link(name: str, value: str) -> str:
    """To another origin, where nothing may go."""
    return str(httpx.URL("https://elsewhere.example/steal", params={"a": "1", name: value, "b": "2"}))


async def call(tool: Tool, api: PagedApi, arguments: Mapping[str, Any] | None = None) -> tuple[ToolResult, ApiResponse]:
    """One call: the result, and the answer it was made of."""
    client = ApiClient(httpx.AsyncClient(transport=httpx.MockTransport(api.answer)))
    try:
        response = await fetch(
            client,
            build_request(tool, arguments or {}, CONTEXT),
            Credential("the-delegated-token"),
            tool,
            call_id="c1",
            seen=lambda _request, _answer: None,
        )
    finally:
        await client.aclose()
    return shape(tool, response), response
