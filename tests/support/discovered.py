"""A tool file whose operations are found, and the description behind it."""

from __future__ import annotations

import json
from pathlib import Path as Folder
from typing import Any

from remit.catalog.compile import compile_text
from remit.catalog.tool import Catalog, Tool
from support.path import Path

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 20}}


def _needs(*scopes: str) -> dict[str, Any]:
    return {"security": [{"oauth": list(scopes)}]}


DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Billing", "version": "1"},
    "components": {"securitySchemes": {"oauth": {"type": "oauth2", "flows": {}}}},
    "paths": {
        "/invoices": {
            "get": {
                "operationId": "listInvoices",
                "summary": "List all invoices of a customer",
                **_needs("orders:read"),
            },
            "post": {
                "operationId": "createInvoice",
                "summary": "Write an invoice for an order",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"type": "object", "properties": {"order": {"type": "string"}}}}
                    }
                },
                **_needs("refunds:write"),
            },
        },
        "/invoices/{id}": {
            "get": {"operationId": "getInvoice", "summary": "Get one invoice by its number", "parameters": [_ID]},
            "delete": {"operationId": "voidInvoice", "summary": "Make an invoice void", "parameters": [_ID]},
        },
        "/ledger": {"get": {"operationId": "getLedger", "summary": "Get the whole ledger", **_needs("ledger:read")}},
        "/old": {"get": {"operationId": "oldList", "summary": "List what was there before", "deprecated": True}},
    },
}
FILE = """
version: 1
name: billing
upstream:
  baseUrl: https://orders.example/v1
  openapi: ./billing.json
  auth: {audience: orders, scopes: ["orders:read", "refunds:write"]}
discover: {exclude: ["PATCH *"], scopes: ["orders:read"]}
"""
NAMES = ["billing_create_invoice", "billing_get_invoice", "billing_list_invoices", "billing_void_invoice"]


def tools_of(folder: Folder, text: str = FILE, description: dict[str, Any] = DESCRIPTION) -> dict[str, Tool]:
    """The tools of such a file in ``folder``, which must have no problem."""
    (folder / "billing.json").write_text(json.dumps(description), encoding="utf-8")
    compiled = compile_text(text, (folder / "billing.yaml").as_posix(), {})
    assert not compiled.problems, "\n".join(map(str, compiled.problems))
    return {tool.name: tool for tool in compiled.tools}


def finding(path: Path, folder: Folder) -> Path:
    """The path, with these tools beside its own."""
    path.catalog = Catalog.of([*path.catalog.tools.values(), *tools_of(folder).values()])
    return path
