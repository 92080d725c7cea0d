"""A small API description for tests of the import, in parts that a test can change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SERVER = "https://shop.example.com/v2"


def operation(id_: str = "", **more: Any) -> dict[str, Any]:
    """An operation that has nothing but an id, and what is said."""
    named = {"operationId": id_} if id_ else {}
    return {**named, "responses": {"200": {"description": "Done"}}, **more}


def shop(**paths: Any) -> dict[str, Any]:
    """A shop of five operations, one of them deprecated; ``paths`` come in or take the place of what is there."""
    order_id = {"name": "order_id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Corner Shop", "version": "1.4"},
        "servers": [{"url": SERVER}],
        "components": {
            "securitySchemes": {
                "login": {
                    "type": "oauth2",
                    "flows": {"clientCredentials": {"tokenUrl": "https://evil.example", "scopes": {}}},
                }
            }
        },
        "paths": {
            "/orders": {
                "get": operation(
                    "listOrders",
                    tags=["orders"],
                    summary="List the orders of the user.",
                    security=[{"login": ["orders:read"]}],
                ),
                "post": operation(
                    "makeOrder",
                    tags=["orders"],
                    summary="Make an order of some articles.",
                    security=[{"login": ["orders:write"]}],
                ),
            },
            "/orders/{order_id}": {
                "parameters": [order_id],
                "get": operation(
                    "getOrder",
                    tags=["orders"],
                    summary="Get one order by its number.",
                    security=[{"login": ["orders:read"]}],
                ),
            },
            "/customers": {"get": operation(tags=["customers"], summary="List all customers there are.")},
            "/old": {"get": operation("oldWay", tags=["orders"], deprecated=True)},
            **paths,
        },
    }


def write_json(path: Path, document: Any) -> Path:
    """The document in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
