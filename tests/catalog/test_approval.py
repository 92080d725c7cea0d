"""What a tool file demands of people and of tokens: approvals, another sign-in, a token without a user."""

from __future__ import annotations

from typing import Any

import pytest

from remit.catalog.approval import ToolApproval
from remit.catalog.plan import Argument
from support.tools import problems_of, tool_of

REFUND: dict[str, Any] = {
    "input": {"type": "object", "properties": {"amount": {"type": "integer"}, "order_id": {"type": "string"}}},
    "request": {"method": "POST", "path": "/refunds", "body": {"amount": "$amount", "order": "$order_id"}},
}


def approval(**block: Any) -> ToolApproval | None:
    return tool_of({**REFUND, "approval": block}).approval


def problems(**block: Any) -> str:
    return problems_of({**REFUND, "approval": block})


def test_nobody_has_to_approve_unless_the_file_says_so() -> None:
    assert tool_of(REFUND).approval is None
    assert approval(mode="none") is None


def test_the_user_or_others_approve_within_the_time_there_is() -> None:
    assert approval(mode="user") == ToolApproval(("user",), 300)
    others = approval(mode="out-of-band", approvers=["role:lead", "user:carol"], ttl="1h")
    assert others == ToolApproval(("role:lead", "user:carol"), 3600)


def test_a_message_is_text_with_places_for_arguments() -> None:
    found = approval(mode="user", message="Refund {amount} for order {order_id}?")
    assert found is not None
    assert found.message == ("Refund ", Argument("amount"), " for order ", Argument("order_id"), "?")


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"mode": "out-of-band"}, "nobody may approve it"),
        ({"mode": "user", "approvers": ["role:lead"]}, "with mode user nobody else is asked"),
        ({"message": "Really?"}, "message means nothing without an approval"),
        ({"mode": "user", "ttl": "5s"}, "ttl 5s is not between 10s and 24h"),
        ({"mode": "user", "ttl": "25h"}, "ttl 25h is not between 10s and 24h"),
        ({"mode": "user", "ttl": "10500ms"}, "in whole seconds"),
        ({"mode": "user", "message": "Refund {total}?"}, "{total} is no argument of the tool"),
        ({"mode": "user", "message": "Refund {?"}, "a brace that begins no placeholder"),
        ({"mode": "user", "message": "Refund\u202e?"}, "cannot be seen"),
        ({"mode": "ask"}, "mode must be"),
        ({"mode": "out-of-band", "approvers": ["carol"]}, "does not match"),
        ({"mode": "user", "approver": []}, "did you mean approvers?"),
    ],
)
def test_what_is_wrong_with_an_approval_is_said(block: dict[str, Any], said: str) -> None:
    assert said in problems(**block)


def test_an_approval_and_a_step_up_make_another_tool() -> None:
    plain = tool_of(REFUND).digest
    assert tool_of({**REFUND, "approval": {"mode": "user"}}).digest != plain
    assert tool_of({**REFUND, "auth": {"stepUp": "mfa"}}).digest != plain


def test_a_tools_own_step_up_goes_before_its_apis() -> None:
    auth = {"audience": "shop-api", "stepUp": "silver"}
    assert tool_of(upstream={"auth": auth}).auth.step_up == "silver"
    assert tool_of({"auth": {"stepUp": "gold"}}, {"auth": auth}).auth.step_up == "gold"
    assert tool_of().auth.step_up == ""


@pytest.mark.parametrize("acr", ["", "two words", 'a"b', "a\\b", "é"])
def test_a_step_up_is_one_word_of_a_challenge(acr: str) -> None:
    assert "stepUp" in problems_of({"auth": {"stepUp": acr}})


def test_a_token_without_a_user_needs_scopes() -> None:
    auth = {"type": "client-credentials", "audience": "shop-api"}
    assert "needs scopes" in problems_of(upstream={"auth": auth})
    assert "needs scopes" in problems_of({"auth": {"scopes": []}}, {"auth": {**auth, "scopes": ["a"]}})
    tool = tool_of({"auth": {"scopes": ["shop:report"]}}, {"auth": auth})
    assert (tool.auth.type, tool.auth.scopes, tool.auth.user_scopes) == ("client-credentials", ("shop:report",), ())
