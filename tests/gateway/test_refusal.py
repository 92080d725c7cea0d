"""What a refused request is answered, by the rule itself."""

from __future__ import annotations

import json

import pytest

from remit.doors.gateway.refusal import refused
from remit.errors import (
    ApprovalDenied,
    ApprovalRequired,
    ApprovalUnusable,
    RemitError,
    ResultWithheld,
    ScopeInsufficient,
    StepUpRequired,
)

METADATA = "https://gateway.example.com/meta"
WAITING = ApprovalRequired(
    "this call needs the approval of role:lead", approval_id="01K", by_user=False, expires_at=1, question="O1 for 3?"
)


@pytest.mark.parametrize(
    "error",
    [WAITING, ApprovalDenied("they said no"), ApprovalUnusable("it is used"), ResultWithheld("not for you")],
    ids=lambda error: error.code,
)
def test_what_no_sign_in_cures_is_forbidden_without_a_challenge(error: RemitError) -> None:
    answer = refused(error, METADATA)
    assert answer.status == 403
    assert "WWW-Authenticate" not in answer.headers
    assert json.loads(answer.body()) == {"error": error.code, "message": error.message}


def test_missing_scopes_are_named() -> None:
    error = ScopeInsufficient("the user's token lacks the scope b", scope="a b")
    error.call_id = "01J"
    answer = refused(error, METADATA)
    assert answer.status == 403
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer error="insufficient_scope", '
        'error_description="the access token lacks scopes this needs (audit id 01J)", '
        f'scope="a b", resource_metadata="{METADATA}"'
    )


def test_a_better_sign_in_is_asked_for_as_rfc_9470_says() -> None:
    error = StepUpRequired("policy wants the user to sign in again", acr_values=("mfa", "hw"), max_age=60)
    error.call_id = "01J"
    answer = refused(error, METADATA)
    assert (answer.status, json.loads(answer.body())["error"]) == (401, "insufficient_user_authentication")
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer error="insufficient_user_authentication", '
        'error_description="the user has to sign in again for this (audit id 01J)", '
        f'acr_values="mfa hw", max_age="60", resource_metadata="{METADATA}"'
    )
