"""Workspaces for tests of the command line: the sample company's settings and policy, and tool files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from remit.demo.workspace import write_workspace

UPSTREAM: dict[str, Any] = {
    "baseUrl": "https://orders.example.com/v1",
    "auth": {"audience": "orders-api", "scopes": ["orders:read"]},
}


def a_tool(**changes: Any) -> dict[str, Any]:
    """A tool that nothing is to be said against."""
    return {
        "name": "get_order",
        "title": "Get an order",
        "description": "Get one order by its id. Use it when the user names an order.",
        "input": {
            "type": "object",
            "required": ["order_id"],
            "properties": {"order_id": {"type": "string", "pattern": "^O[0-9]+$", "description": "Order id"}},
        },
        "request": {"method": "GET", "path": "/orders/{order_id}"},
        "examples": [an_example()],
        **changes,
    }


def an_example(**changes: Any) -> dict[str, Any]:
    """An example of that tool that passes."""
    return {
        "name": "one order",
        "args": {"order_id": "O1"},
        "upstream": {"body": {"id": "O1"}},
        "expect": {"request": {"method": "GET", "path": "/orders/O1"}, "result": {"id": "O1"}},
        **changes,
    }


def write_tools(folder: Path, *tools: dict[str, Any], upstream: dict[str, Any] | None = None) -> Path:
    """One file of these tools in ``folder/tools``."""
    file = folder / "tools" / "shop.yaml"
    file.parent.mkdir(exist_ok=True, parents=True)
    document = {"version": 1, "name": "orders", "upstream": {**UPSTREAM, **(upstream or {})}, "tools": list(tools)}
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return file


def company(folder: Path, *tools: dict[str, Any], upstream: dict[str, Any] | None = None) -> Path:
    """A workspace with the sample company's settings and policy, and one file of tools in place of its own."""
    write_workspace(folder)
    for file in (folder / "tools").glob("*.yaml"):
        file.unlink()
    return write_tools(folder, *tools, upstream=upstream)
