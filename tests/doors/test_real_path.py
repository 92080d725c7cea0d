"""The HTTP door in front of the real bridge: what the user says and lacks, from the wire to the trail."""

from __future__ import annotations

import re
from typing import Any

import pytest
from mcp_types import ElicitResult

from support.mcp_door import ERAS, call_message, challenge_of, served, text_of
from support.path import DENY_SILENTLY, Path, permit_with
from support.policy import answering

pytestmark = pytest.mark.anyio
eras = pytest.mark.parametrize("era", ERAS)
BY_USER = permit_with("require_approval", '{"approvers": ["user"]}')
BY_LEAD = permit_with("require_approval", '{"approvers": ["role:lead"]}')


async def yes(_context: Any, _params: Any) -> ElicitResult:
    return ElicitResult(action="accept")


async def posted(path: Path, name: str, era: str, arguments: Any = None) -> Any:
    async with served(path.bridge) as at, at.http() as http:
        headers, body = call_message(name, era, arguments)
        headers["Authorization"] = f"Bearer {path.token().reveal()}"
        return await http.post("/mcp", headers=headers, json=body)


@eras
async def test_a_call_that_its_user_approves_is_made_once_and_the_trail_names_them(era: str) -> None:
    path = Path(policy=answering(BY_USER))
    async with (
        served(path.bridge) as at,
        at.client(path.token().reveal(), era, elicitation_callback=yes) as client,
    ):
        result = await client.call_tool("get_order", {"id": "O1"})
    assert result.structured_content == {"id": "O1"}
    assert len(path.sent) == 1
    (intent,) = [record for record in path.store.records if record["kind"] == "intent"]
    assert intent["approval"]["approver"]["sub"] == "alice"
    assert intent["approval"]["method"] == "elicitation"


@eras
async def test_what_the_lead_has_to_approve_is_refused_with_all_they_need(era: str) -> None:
    path = Path(policy=answering(BY_LEAD))
    async with (
        served(path.bridge) as at,
        at.client(path.token().reveal(), era, elicitation_callback=yes) as client,
    ):
        result = await client.call_tool("get_order", {"id": "O1"})
    (waiting,) = await path.approvals.listed()
    assert "role:lead" in text_of(result)
    assert f"`remit approvals grant {waiting.id}`" in text_of(result)
    assert result.structured_content["error"]["expires_at"] == waiting.expires_at
    assert path.sent == []


@eras
async def test_a_scope_that_the_token_lacks_is_a_challenge_and_a_record(era: str) -> None:
    path = Path()
    response = await posted(path, "admin_orders", era)
    assert response.status_code == 403
    challenge = challenge_of(response)
    assert (challenge["error"], challenge["scope"]) == ("insufficient_scope", "orders:admin")
    told = re.search(r"audit id (\w+)\)", challenge["error_description"])
    assert told is not None
    assert path.outcome["call_id"] == told[1]
    assert path.sent == []


@eras
async def test_a_better_sign_in_that_policy_demands_is_a_challenge(era: str) -> None:
    path = Path(policy=answering(permit_with("step_up", '{"acr_values": ["urn:mfa"], "max_age": 60}')))
    response = await posted(path, "get_order", era, {"id": "O1"})
    assert response.status_code == 401
    challenge = challenge_of(response)
    assert challenge["error"] == "insufficient_user_authentication"
    assert (challenge["acr_values"], challenge["max_age"]) == ("urn:mfa", "60")
    assert path.sent == []


@eras
async def test_a_hidden_tool_whose_scope_is_missing_is_an_unknown_one(era: str) -> None:
    path = Path(policy=answering(DENY_SILENTLY))
    answers = [await posted(path, name, era) for name in ("admin_orders", "no_such_tool")]
    told = [
        (answer.status_code, dict(answer.headers) | {"date": "", "content-length": ""}, answer.text)
        for answer in answers
    ]
    assert told[0][:2] == told[1][:2]
    assert told[0][2].replace("admin_orders", "N") == told[1][2].replace("no_such_tool", "N")
