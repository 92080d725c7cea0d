"""Path: one call's answer, and where the tool file says so the pages that follow it, with the same token.

A page that cannot be had ends the walk: the agent gets those before it, and where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from remit.catalog.plan import PagingPlan
from remit.catalog.tool import Tool
from remit.credential import Credential
from remit.downstream.client import ApiClient
from remit.downstream.pages import read_page, shown_size
from remit.downstream.position import Position
from remit.downstream.refusal import refusal
from remit.downstream.request import ApiRequest
from remit.downstream.response import ApiResponse
from remit.downstream.shaping import UNSHAPABLE
from remit.errors import DownstreamError, DownstreamUnavailable, RequestUnusable, ResponseUnusable

#: Is told of a request and its answer.
Seen = Callable[[ApiRequest, ApiResponse], None]
Pages = Callable[[Position], ApiRequest]


@dataclass(frozen=True, slots=True)
class _Walk:
    """Pages being fetched, one after the other."""

    apis: ApiClient
    token: Credential | None
    tool: Tool
    call_id: str
    seen: Seen

    async def answer(self, request: ApiRequest) -> ApiResponse:
        response = await self.apis.send(request, self.token, self.tool, call_id=self.call_id)
        self.seen(request, response)
        return response

    async def follow(self, page: Pages, paging: PagingPlan, first: ApiResponse, found: list[ApiResponse]) -> None:
        """Add the pages behind ``first`` to ``found`` until one of the bounds is reached or there are no more.

        Raises what makes the next one impossible, or the refusal it is.
        """
        plan = self.tool.response
        read, been = read_page(plan, paging, first), {first.start.value}
        items, shown, received = len(read.items), shown_size(plan, read), len(first.body)
        while read.after is not None and read.after.value not in been and len(found) + 1 < paging.max_pages:
            enough = items >= (plan.max_items or items + 1) or shown >= plan.max_bytes
            if enough or received >= self.tool.limits.max_response_bytes:
                return
            been.add(read.after.value)
            answer = replace(await self.answer(page(read.after)), start=read.after)
            if not answer.ok:
                raise refusal(self.tool, answer, quote=False)
            read = read_page(plan, paging, answer)
            items, shown, received = (
                items + len(read.items),
                shown + shown_size(plan, read),
                received + len(answer.body),
            )
            found.append(answer)


async def fetch(
    apis: ApiClient, request: ApiRequest, token: Credential | None, tool: Tool, *, call_id: str, seen: Seen
) -> ApiResponse:
    """The answer, with the pages that follow in ``more``. ``seen`` is told of each request that was answered.

    All of it together takes no longer than the tool's timeout. Raises what ``ApiClient.send`` raises for the first.
    """
    walk, paging = _Walk(apis, token, tool, call_id, seen), tool.response.paging
    if paging is None or request.page is None:
        return await walk.answer(request)
    deadline = asyncio.get_running_loop().time() + tool.timeout
    first, more = replace(await walk.answer(request), start=request.start), list[ApiResponse]()
    broken_off = ""
    if paging.max_pages > 1 and first.ok:
        try:
            async with asyncio.timeout_at(deadline):
                await walk.follow(request.page, paging, first, more)
        except (DownstreamError, RequestUnusable) as error:
            broken_off = error.code
        except TimeoutError:
            broken_off = DownstreamUnavailable.code
        except UNSHAPABLE:
            broken_off = ResponseUnusable.code
    return replace(first, more=tuple(more), broken_off=broken_off)
