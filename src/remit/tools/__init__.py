"""Tools written in Python: what a file in `tools/` imports. See docs/tools.md, "Tools in Python"."""

from remit.errors import CallRefused
from remit.tools.context import Api, Ctx
from remit.tools.toolset import ToolSet, env
from remit.tools.vocabulary import (
    Approval,
    Arg,
    Body,
    ClientCredentials,
    Cursor,
    From,
    Header,
    Limits,
    PageSize,
    Paging,
    Path,
    Query,
    Retry,
    TokenExchange,
)

__all__ = [
    "Api",
    "Approval",
    "Arg",
    "Body",
    "CallRefused",
    "ClientCredentials",
    "Ctx",
    "Cursor",
    "From",
    "Header",
    "Limits",
    "PageSize",
    "Paging",
    "Path",
    "Query",
    "Retry",
    "TokenExchange",
    "ToolSet",
    "env",
]
