"""Pages that were fetched in one call → one result, cut where an item ends, and where the next one begins (rule)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

from remit.catalog.plan import PagingPlan, ResponsePlan
from remit.downstream.position import Position, following, told, within
from remit.downstream.response import ApiResponse, read_content
from remit.downstream.shaping import Shaped, redact
from remit.downstream.wire.text import encode_json
from remit.errors import ResponseUnusable

NEXT_CURSOR: Final = "next_cursor"
TRUNCATED: Final = "truncated"


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its whole answer, the items the agent does not have yet, and where the page after it begins."""

    start: Position
    data: Any
    items: list[Any]
    after: Position | None


def read_page(plan: ResponsePlan, paging: PagingPlan, response: ApiResponse) -> Page:
    """Read one answer of several. Raises ``ResponseUnusable``."""
    data = read_content(response)
    items = paging.items.find(data)
    if items is None:
        raise ResponseUnusable(
            "the API's answer has no list of items where this tool expects one",
            status=response.status,
            detail=f"at {paging.items.text} there is something else",
            hint="compare response.paging.items with what the API answers",
        )
    after = following(paging, response.start, response.headers, data, len(items))
    redact(plan, data)
    return Page(response.start, data, items[response.start.skip :], after)


def merged(plan: ResponsePlan, paging: PagingPlan, response: ApiResponse) -> Shaped:
    """The result of all its pages, cut where an item ends.

    It has ``next_cursor`` where there is more, which begins right behind its last item. Raises ``UNSHAPABLE`` and
    ``ResponseUnusable``.
    """
    pages = [read_page(plan, paging, each) for each in (response, *response.more)]
    total = sum(len(page.items) for page in pages)
    most = min(total, plan.max_items or total)
    shaped = _of_first(plan, paging, pages, most)
    if not _fits(plan, shaped):
        shaped = _of_first(plan, paging, pages, _largest(plan, paging, pages, most))
    return shaped


def _fits(plan: ResponsePlan, shaped: Shaped) -> bool:
    return len(shaped.text.encode()) <= plan.max_bytes


def _largest(plan: ResponsePlan, paging: PagingPlan, pages: list[Page], too_many: int) -> int:
    """How many items fit. Raises ``ValueError`` where not even one does: nobody would ever come past it."""
    fitting = 0
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if _fits(plan, _of_first(plan, paging, pages, middle)):
            fitting = middle
        else:
            too_many = middle
    if not fitting:
        raise ValueError(f"one item makes more than {plan.max_bytes} bytes")
    return fitting


def _of_first(plan: ResponsePlan, paging: PagingPlan, pages: list[Page], count: int) -> Shaped:
    """The result of the first ``count`` items, in the document of the page with the last of them."""
    items = [item for page in pages for item in page.items]
    page, used = _place(pages, count)
    data = paging.items.replaced(page.data, items[:count])
    if plan.select is not None:
        data = plan.select.search(data)
        if plan.redact:  # what was selected may be a part of the page, and that is selected from again
            data = copy.deepcopy(data)
            redact(plan, data)
    after = page.after if used == len(page.items) else within(paging, page.start, page.start.skip + used)
    document = data if isinstance(data, dict) else {"items": data}
    result = {name: value for name, value in document.items() if name not in {NEXT_CURSOR, TRUNCATED}}
    if count < len(items):
        result[TRUNCATED] = True
    if after is not None:
        result[NEXT_CURSOR] = told(paging, after)
    elif NEXT_CURSOR in document:  # by the tool's own selection, which may know less
        result[NEXT_CURSOR] = None
    return Shaped(result, encode_json(result), count < len(items), wrapped=document is not data)


def _place(pages: list[Page], count: int) -> tuple[Page, int]:
    """The page on which the item of that number stands, and how many of its items that are."""
    for page in pages[:-1]:
        if count <= len(page.items):
            return page, count
        count -= len(page.items)
    return pages[-1], count


def shown_size(plan: ResponsePlan, page: Page) -> int:
    """About how many bytes of the result the page will be. Raises ``ExpressionFailed``."""
    data = page.data if plan.select is None else plan.select.search(page.data)
    return len(encode_json(data).encode())
