"""What a tool file demands whatever policy says: policy may ask for more, and never for less."""

from __future__ import annotations

import pytest

from remit.approvals.approval import ApprovalAnswer, Approver
from remit.credential import UnverifiedToken
from remit.errors import ApprovalRequired, PolicyDenied, StepUpRequired
from support.mcp_door import ERAS, call_message, challenge_of, served
from support.path import DENY, PERMIT, Path, permit_with
from support.policy import answering, engine
from support.sts import ISSUER

pytestmark = pytest.mark.anyio

FLOORED = """
version: 1
name: money
upstream:
  baseUrl: https://orders.example/v1
  auth: {audience: orders, scopes: ["orders:read"]}
tools:
  - name: refund
    description: Refunds an order, once the user has said that they mean it.
    input: {type: object, properties: {amount: {type: integer}, note: {type: string}}}
    request: {method: POST, path: /refunds, body: {amount: $amount, note: $note}}
    approval: {mode: user, message: "Refund {amount} with the note {note}?", ttl: 60s}
  - name: pay_out
    description: Pays money out, once somebody else has agreed to it.
    request: {method: POST, path: /payouts, body: {}}
    approval: {mode: out-of-band, approvers: ["role:lead"]}
  - name: close_account
    description: Closes an account, for whoever has just proved themself well.
    request: {method: POST, path: /closed, body: {}}
    auth: {stepUp: "urn:acr:mfa"}
"""
LEAD = Approver(ISSUER, "carol", ("lead",))
BY_LEAD = permit_with("require_approval", '{"approvers": ["role:lead"], "expires_in": 3600}')
BY_USER = permit_with("require_approval", '{"approvers": ["user"], "expires_in": 3600}')


def path_with(policy: str = PERMIT) -> Path:
    return Path(answering(policy), files=(FLOORED,))


async def asked(path: Path, name: str, arguments: dict[str, object] | None = None) -> ApprovalRequired:
    with pytest.raises(ApprovalRequired) as caught:
        await path.call(name, arguments or {})
    return caught.value


async def granted(path: Path, approval_id: str) -> None:
    await path.approvals.decide(approval_id, LEAD, grant=True, method="operator")


# ── approval ──


async def test_a_permit_without_approval_does_not_lower_it() -> None:
    path = path_with()
    pending = await asked(path, "refund", {"amount": 5})
    assert pending.by_user
    assert path.order == ["outcome"]
    assert path.outcome["outcome"] == "pending"
    assert path.sent == []


async def test_the_users_yes_lets_the_call_through_once() -> None:
    path = path_with()
    pending = await asked(path, "refund", {"amount": 5})
    await path.call("refund", {"amount": 5}, answer=ApprovalAnswer(pending.approval_id, accepted=True))
    assert len(path.sent) == 1
    assert (await asked(path, "refund", {"amount": 5})).approval_id != pending.approval_id
    assert len(path.sent) == 1


async def test_the_message_stands_above_the_arguments_and_no_value_makes_up_a_line_of_it() -> None:
    pending = await asked(path_with(), "refund", {"amount": 5, "note": 'x"?\nAllowed already. {amount}'})
    first, second, *_ = pending.question.split("\n")
    assert first == 'Refund 5 with the note "x\\"?\\nAllowed already. {amount}"?'
    assert second.startswith("agent-runner wants to call refund as alice")
    assert (await asked(path_with(), "refund", {"amount": 5})).question.startswith(
        "Refund 5 with the note (not given)?"
    )


async def test_the_time_is_the_files_or_policys_whichever_is_shorter() -> None:
    path = path_with()
    now = path.world.now
    assert (await asked(path, "refund")).expires_at == now + 60
    raised = path_with(BY_LEAD)
    assert (await asked(raised, "refund")).expires_at == raised.world.now + 60


async def test_a_policy_that_demands_more_raises_it() -> None:
    path = path_with(BY_LEAD)
    pending = await asked(path, "refund")
    assert not pending.by_user
    await granted(path, pending.approval_id)
    await path.call("refund", {})
    assert len(path.sent) == 1


async def test_a_policy_that_is_content_with_the_approval_it_demanded_may_end_it() -> None:
    """Once it is there, policy demands none any more; the file's own demand was met by it."""
    policy = engine(
        f"package remit.authz\nimport rego.v1\n"
        f'decision := {BY_LEAD} if input.context.approval.state != "approved"\n'
        f'decision := {PERMIT} if input.context.approval.state == "approved"\n'
    )
    path = Path(policy, files=(FLOORED,))
    await granted(path, (await asked(path, "refund")).approval_id)
    await path.call("refund", {})
    assert len(path.sent) == 1


async def test_the_user_does_not_approve_what_others_have_to() -> None:
    path = path_with()
    pending = await asked(path, "pay_out")
    assert not pending.by_user
    await granted(path, pending.approval_id)
    await path.call("pay_out", {})
    assert len(path.sent) == 1


async def test_a_policy_that_asks_the_user_does_not_lower_what_others_have_to_approve() -> None:
    """Nobody is the user and somebody else: it stays refused, which is for the two authors to settle."""
    pending = await asked(path_with(BY_USER), "pay_out")
    assert not pending.by_user


async def test_what_policy_denies_nobody_is_asked_about() -> None:
    path = path_with(DENY)
    with pytest.raises(PolicyDenied):
        await path.call("refund", {})
    assert await path.approvals.listed() == []


# ── sign-in ──


def token(path: Path, **claims: str) -> UnverifiedToken:
    return UnverifiedToken(path.world.forge(**claims))


async def test_a_token_without_the_acr_is_asked_to_step_up_before_anything_leaves() -> None:
    path = path_with()
    for claims in ({}, {"acr": "urn:acr:pwd"}):
        with pytest.raises(StepUpRequired) as caught:
            await path.call("close_account", {}, token=token(path, **claims))
        assert caught.value.acr_values == ("urn:acr:mfa",)
    assert path.sent == []
    await path.call("close_account", {}, token=token(path, acr="urn:acr:mfa", jti="other"))
    assert len(path.sent) == 1


async def test_policys_own_step_up_holds_besides() -> None:
    path = path_with(permit_with("step_up", '{"max_age": 60}'))
    with pytest.raises(StepUpRequired) as caught:
        await path.call("close_account", {}, token=token(path, acr="urn:acr:mfa"))
    assert caught.value.max_age == 60


@pytest.mark.parametrize("era", ERAS)
async def test_over_http_the_client_is_told_how_the_user_has_to_sign_in(era: str) -> None:
    path = path_with()
    headers, message = call_message("close_account", era)
    headers["Authorization"] = f"Bearer {path.token().reveal()}"
    async with served(path.bridge, path.world.clock) as at, at.http() as http:
        response = await http.post("/mcp", headers=headers, json=message)
    assert response.status_code == 401
    challenge = challenge_of(response)
    assert challenge["error"] == "insufficient_user_authentication"
    assert challenge["acr_values"] == "urn:acr:mfa"
