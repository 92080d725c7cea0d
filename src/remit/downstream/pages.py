"""Pages that were fetched in one call → one result, cut where an item ends, and where the next one begins (rule)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from remit.catalog.plan import PagingPlan, ResponsePlan
from remit.catalog.response_plan import NEXT_CURSOR, TRUNCATED
from remit.downstream.position import Position, following, told, within
from remit.downstream.response import ApiResponse, read_content
from remit.downstream.shaping import Shaped, TooLong, redact
from remit.downstream.wire.text import encode_json
from remit.errors import ResponseUnusable


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
    items = paging.items.find(data) or []  # nothing, where all of it is hidden
    return Page(response.start, data, items[response.start.skip :], after)


def merged(plan: ResponsePlan, paging: PagingPlan, response: ApiResponse) -> Shaped:
    """The result of all its pages, cut where an item ends.

    It has ``next_cursor`` where there is more, which begins right behind its last item. Raises ``UNSHAPABLE`` and
    ``ResponseUnusable``.
    """
    pages = [read_page(plan, paging, each) for each in (response, *response.more)]
    counts = _counts(plan, paging, pages)
    shaped = _of_first(plan, paging, pages, counts[-1])
    if not _fits(plan, shaped):
        shaped = _of_first(plan, paging, pages, _largest(plan, paging, pages, counts))
    return shaped


def _counts(plan: ResponsePlan, paging: PagingPlan, pages: list[Page]) -> list[int]:
    """How many items the result may have, in order.

    Where no argument can say that the agent has a part of a page, it gets whole ones; of the first one a part, if it
    is too long by itself.
    """
    ends = list(accumulate(len(page.items) for page in pages))
    most = min(ends[-1], plan.max_items or ends[-1])
    if within(paging, pages[0].start, pages[0].start.skip + 1) is not None:
        return list(range(1, most + 1)) or [0]
    first = min(ends[0], most)
    return [*range(1, first + 1), *(end for end in ends if first < end <= most)] or [0]


def _fits(plan: ResponsePlan, shaped: Shaped) -> bool:
    return len(shaped.text.encode()) <= plan.max_bytes


def _largest(plan: ResponsePlan, paging: PagingPlan, pages: list[Page], counts: list[int]) -> int:
    """The largest number of items that fits; the last one is known not to.

    Raises ``TooLong`` where not even one does: nobody would ever come past it.
    """
    fitting, too_many = -1, len(counts) - 1
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if _fits(plan, _of_first(plan, paging, pages, counts[middle])):
            fitting = middle
        else:
            too_many = middle
    if fitting < 0:
        raise TooLong(f"one item makes more than {plan.max_bytes} bytes")
    return counts[fitting]


def _of_first(plan: ResponsePlan, paging: PagingPlan, pages: list[Page], count: int) -> Shaped:
    """The result of the first ``count`` items, in the document of the page with the last of them."""
    items = [item for page in pages for item in page.items]
    last, used = _place(pages, count)
    page = pages[last]
    data = paging.items.replaced(page.data, items[:count])
    if plan.select is not None:
        data = plan.select.search(data)
        if plan.redact:  # what was selected may be a part of the page, and that is selected from again
            data = copy.deepcopy(data)
            redact(plan, data)
    if used < len(page.items):
        after = within(paging, page.start, page.start.skip + used)
    else:
        after = None if page.after and _leads_back(page.after, pages[: last + 1]) else page.after
    document = data if isinstance(data, dict) else {"items": data}
    result = {name: value for name, value in document.items() if name not in {NEXT_CURSOR, TRUNCATED}}
    if count < len(items):
        result[TRUNCATED] = True
    if after is not None:
        result[NEXT_CURSOR] = told(paging, after)
    elif NEXT_CURSOR in document:  # by the tool's own selection, which may know less
        result[NEXT_CURSOR] = None
    return Shaped(result, encode_json(result), count < len(items), wrapped=document is not data)


def _place(pages: list[Page], count: int) -> tuple[int, int]:
    """On which page the item of that number stands, and how many of its items that are.

    Of all items it is the last page: those behind the last item are empty, and have been seen.
    """
    last = len(pages) - 1
    if count == sum(len(page.items) for page in pages):
        return last, len(pages[last].items)
    for index, page in enumerate(pages[:last]):
        if count <= len(page.items):
            return index, count
        count -= len(page.items)
    return last, count


def _leads_back(after: Position, pages: list[Page]) -> bool:
    """An API whose pages go round in circles would never come to an end."""
    return any(after.value == page.start.value for page in pages)


def shown_size(plan: ResponsePlan, page: Page) -> int:
    """About how many bytes of the result the page will be. Raises ``ExpressionFailed``."""
    data = page.data if plan.select is None else plan.select.search(page.data)
    return len(encode_json(data).encode())
