"""Tools in Python for tests: from the text of a file, with the head that all of them have."""

from __future__ import annotations

import textwrap
from typing import Any

from remit.catalog.compile import CompiledFile
from remit.catalog.python import compile_python
from remit.catalog.tool import Catalog, Tool
from support.path import Path

FILE = "tools/desk.py"
HEAD = """
import asyncio
from typing import Annotated, Any, Literal
from pydantic import BaseModel, Field
from remit.tools import *

desk = ToolSet("orders", base_url="https://orders.example/v1", auth=TokenExchange(audience="orders", scopes=["orders:read"]))
"""


def compiled(text: str, *, head: str = HEAD, file: str = FILE, **environment: str) -> CompiledFile:
    """What becomes of such a file."""
    return compile_python(head + textwrap.dedent(text), file, environment)


def tools_of(text: str, **options: Any) -> dict[str, Tool]:
    """The tools of such a file, which must have no problem."""
    result = compiled(text, **options)
    assert not result.problems, "\n".join(map(str, result.problems))
    return {tool.name: tool for tool in result.tools}


def problems_of(text: str, **options: Any) -> list[str]:
    """What is wrong with such a file, as the operator reads it; lines count from the first after the head."""
    shift = HEAD.count("\n") if options.get("head", HEAD) == HEAD else 0
    return [
        f"{problem.line - shift}: {problem.message} ({problem.hint})" for problem in compiled(text, **options).problems
    ]


def serving(path: Path, text: str) -> Path:
    """The path, with these tools beside its own."""
    path.catalog = Catalog.of([*path.catalog.tools.values(), *tools_of(text).values()])
    return path
