"""The paging block: the arguments it needs of a tool, and its plan (rule)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from remit.catalog.definition import PageSizeBlock, PagingBlock, RequestBlock, ToolBlock
from remit.catalog.expression import Expression, ExpressionInvalid, ListPath
from remit.catalog.plan import Argument, Binding, Members, PagingPlan, RequestPlan
from remit.catalog.problem import Flaws, Path

#: What the arguments are called that a tool does not declare itself.
CURSOR: Final = "cursor"
LIMIT: Final = "limit"

_KINDS: Final[Mapping[str, Literal["cursor", "link", "page", "offset"]]] = {
    "cursor": "cursor",
    "page": "page",
    "offset": "offset",
    "link": "link",
    "odata": "link",
}
#: Of OData 4 (JSON Format §4.5): where its list stands, and its link.
_ODATA_ITEMS: Final = "value"
_ODATA_NEXT: Final = '"@odata.nextLink"'
_ODATA_PARAM: Final = "$skiptoken"
_CURSOR_SCHEMA: Final = {"type": "string", "maxLength": 4096, "description": "next_cursor of the page before"}
_LIMIT_SCHEMA: Final = {"type": "integer", "description": "How many on one page"}
#: Of a schema: lets few texts through.
_NARROWING: Final = frozenset({"const", "enum", "format", "pattern"})
_READING: Final = frozenset({"GET", "HEAD"})


def with_paging(block: ToolBlock) -> ToolBlock:
    """The block with the arguments that its paging needs and the request does not place: ``cursor``, and ``limit``
    where the agent asks for each page.
    """
    paging, request = block.response.paging, block.request
    declared = block.input.get("properties", {})
    if paging is None or request is None or not isinstance(declared, dict):  # the schema's own check says what is wrong
        return block
    query, properties, size = dict(request.query), dict(declared), paging.size
    param = parameter_of(paging)
    if param and not _places_it(request, param):
        query[param] = f"${CURSOR}"
        properties.setdefault(CURSOR, _CURSOR_SCHEMA)
    if size is not None and not _places_it(request, size.param):
        query[size.param] = f"${LIMIT}" if paging.max_pages == 1 else size.default
        if paging.max_pages == 1:
            properties.setdefault(LIMIT, _LIMIT_SCHEMA)
    if size is not None:
        body = request.body if isinstance(request.body, dict) else {}
        binding = query.get(size.param, body.get(size.param))
        _bound_size(properties, binding[1:] if isinstance(binding, str) else "", size)
    schema = {**block.input, "type": block.input.get("type", "object"), "properties": properties}
    return block.model_copy(update={"input": schema, "request": request.model_copy(update={"query": query})})


def fit_for_paging(schema: dict[str, Any], plan: RequestPlan, block: PagingBlock) -> dict[str, Any]:
    """The input schema of a described operation: the argument for the page takes any ``next_cursor``, the one for its
    size keeps to the block's bounds. What the description says of them is not the tool file's to change.
    """
    properties: dict[str, Any] = dict(schema["properties"])
    cursor = _argument_for(plan, parameter_of(block))
    if cursor is not None and _takes_text(schema, cursor):
        properties[cursor] = {key: value for key, value in properties[cursor].items() if key not in _NARROWING}
    if block.size is not None:
        _bound_size(properties, _argument_for(plan, block.size.param) or "", block.size)
    return {**schema, "properties": properties}


def compile_paging(
    block: PagingBlock, plan: RequestPlan, schema: Mapping[str, Any], *, read_only: bool, path: Path, flaws: Flaws
) -> PagingPlan | None:
    """The plan for a request that was compiled; ``path`` leads to the block. ``None`` where a flaw was added."""
    found = len(flaws)
    param = parameter_of(block)
    argument = _argument_for(plan, param)
    if argument is None:
        flaws.add(
            (*path, "param"), f"no argument says {param or 'where a page begins'}", "name a parameter of the query"
        )
    else:
        _check_argument(argument, schema, (*path, "param"), flaws)
    if block.max_pages > 1 and not (read_only or plan.method in _READING):
        flaws.add((*path, "maxPages"), "what changes something is not sent again", "leave maxPages out", at_key=True)
    if block.max_pages > 1 and plan.idempotency_header:
        message = "with an idempotency key every page would be the first one again"
        flaws.add((*path, "maxPages"), message, "leave idempotencyKey out", at_key=True)
    if block.start is not None and block.type != "page":
        flaws.add((*path, "start"), "only pages have numbers", "leave start out", at_key=True)
    if block.size is not None and block.size.default > block.size.max:
        flaws.add((*path, "size"), "default is larger than max")
    next_ = _next(block, path, flaws)
    items = _items(block, path, flaws)
    if argument is None or items is None or len(flaws) > found:
        return None
    return PagingPlan(
        kind=_KINDS[block.type],
        param=param,
        argument=argument,
        as_text=_takes_text(schema, argument),
        items=items,
        next=next_,
        start=1 if block.start is None else block.start,
        size_argument=(_argument_for(plan, block.size.param) or "") if block.size else "",
        size=block.size.default if block.size else 0,
        max_pages=block.max_pages,
    )


def parameter_of(block: PagingBlock) -> str:
    """The parameter that says where a page begins; empty where none does."""
    return block.param or (_ODATA_PARAM if block.type == "odata" else "")


def _places_it(request: RequestBlock, param: str) -> bool:
    return param in request.query or (isinstance(request.body, dict) and param in request.body)


def _bound_size(properties: dict[str, Any], name: str, size: PageSizeBlock) -> None:
    """The argument for the page's size keeps to the block's bounds; its own may be narrower."""
    if isinstance(declared := properties.get(name), dict):
        largest = declared.get("maximum", size.max)
        most = min(largest, size.max) if isinstance(largest, int) else size.max
        properties[name] = {"minimum": 1, "default": size.default, **declared, "maximum": most}


def _argument_for(plan: RequestPlan, param: str) -> str | None:
    """The argument that stands in the query, or on top of the body, under that name."""
    for name, binding in _places(plan):
        if name == param and isinstance(binding, Argument):
            return binding.name
    return None


def _places(plan: RequestPlan) -> Iterator[tuple[str, Binding]]:
    for bound in plan.query:
        yield bound.field.name, bound.binding
    if plan.body is not None and isinstance(plan.body.binding, Members):
        yield from plan.body.binding.members


def _check_argument(argument: str, schema: Mapping[str, Any], path: Path, flaws: Flaws) -> None:
    """Whether a call may come without the argument, and with whatever ``next_cursor`` says."""
    if argument in schema.get("required", []):
        flaws.add(path, f"{argument} is required, and the first page has none", "make it optional")
    declared = schema.get("properties", {}).get(argument)
    narrowed = sorted(_NARROWING.intersection(declared)) if isinstance(declared, dict) else []
    if narrowed and _takes_text(schema, argument):
        message = f"{argument} has to take any next_cursor there is, and its {narrowed[0]} lets few through"
        flaws.add(path, message, f"leave {narrowed[0]} out of its schema")


def _takes_text(schema: Mapping[str, Any], argument: str) -> bool:
    declared = schema.get("properties", {}).get(argument, {})
    kinds = declared.get("type", "string") if isinstance(declared, dict) else "string"
    return kinds == "string" or (isinstance(kinds, list) and "string" in kinds)


def _next(block: PagingBlock, path: Path, flaws: Flaws) -> Expression | None:
    text = block.next or (_ODATA_NEXT if block.type == "odata" else None)
    if text is None:
        if block.type == "cursor":
            flaws.add(path, "nothing says where the next page begins", "write next: a JMESPath to the cursor")
        return None
    try:
        return Expression(text)
    except ExpressionInvalid as error:
        flaws.add((*path, "next"), f"not JMESPath: {error}", "see jmespath.org")
        return None


def _items(block: PagingBlock, path: Path, flaws: Flaws) -> ListPath | None:
    try:
        return ListPath(block.items or (_ODATA_ITEMS if block.type == "odata" else "@"))
    except ExpressionInvalid as error:
        flaws.add((*path, "items"), f"cannot lead to the page's list: {error}", "write a path like data.customers")
        return None
