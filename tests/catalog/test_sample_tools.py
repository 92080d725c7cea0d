"""The sample company's tools load, ask for what they should, and their schema for editors is current."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from remit.catalog.definition import SCHEMA_FILE, tool_file_schema
from remit.catalog.loader import load_catalog
from remit.catalog.tool import Tool
from remit.downstream.request import CallContext, build_request
from remit.downstream.response import ApiResponse
from remit.downstream.result import shape

TOOLS = Path(__file__).parents[2] / "tools"
REPORT = load_catalog([TOOLS], {})
CONTEXT = CallContext({"sub": "alice"}, {"sub": "agent-runner"}, {"id": "01J"})


def tool(name: str) -> Tool:
    found = REPORT.catalog.get(name)
    assert found is not None
    return found


def test_all_of_them_load() -> None:
    assert REPORT.problems == ()
    assert list(REPORT.catalog.tools) == ["get_order", "get_payment", "list_orders", "list_payments", "refund_order"]


def test_a_refund_names_the_user_and_may_be_repeated_safely() -> None:
    refund = tool("refund_order")
    arguments = {"order_id": "O1001", "amount": 50000, "reason": "late"}
    refund.validate(arguments)
    request = build_request(refund, arguments, CONTEXT)
    assert request.url == "http://127.0.0.1:8701/orders/O1001/refunds"
    assert request.body == b'{"amount":50000,"reason":"late","requested_by":"alice"}'
    assert "Idempotency-Key" in dict(request.headers)
    assert refund.annotations.destructive
    assert refund.facts == {"dataClass": "financial", "moneyField": "amount"}
    assert refund.auth.audience == "orders-api"
    assert {"orders:read", "refunds:write"} <= set(refund.auth.scopes)


def test_an_order_is_shown_without_the_tax_id() -> None:
    order: dict[str, Any] = {
        "id": "O1",
        "customer": {"name": "A", "email": "a@example.com", "tax_id": "T1"},
        "status": "shipped",
        "total": {"amount": 1, "currency": "EUR"},
        "items": [],
        "payment_id": "P1",
    }
    for name, body in (("get_order", order), ("list_orders", {"orders": [order]})):
        result = shape(tool(name), ApiResponse(200, {"content-type": "application/json"}, json.dumps(body).encode()))
        assert "T1" not in result.text
        assert '"O1"' in result.text


def test_the_schema_for_editors_is_the_one_the_models_give() -> None:
    assert json.loads((TOOLS / SCHEMA_FILE).read_text(encoding="utf-8")) == tool_file_schema()


@pytest.mark.parametrize("file", sorted(TOOLS.glob("*.yaml")), ids=lambda file: file.name)
def test_another_validator_accepts_the_files_by_that_schema(file: Path) -> None:
    schema = tool_file_schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(yaml.safe_load(file.read_text(encoding="utf-8")))
