"""Rule: how the user's client is asked whether they approve a call, and what its answer means.

They are asked by a form without fields: to accept it is to approve, to decline it is to refuse; whatever else the
client says is no answer, and the approval goes on waiting. In 2026-07-28 the question is the call's result, and the
answer comes with the same call made again, beside a state that only this installation can have written.
"""

from __future__ import annotations

import json
from typing import Any, Final

from mcp_types import (
    CallToolRequestParams,
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)

from remit.approvals.approval import ApprovalAnswer
from remit.doors.mcp.rendering import AUDIT_ID
from remit.errors import ApprovalRequired

#: A form without fields.
FORM: Final[dict[str, Any]] = {"type": "object", "properties": {}}
_KEY: Final = "approval"
_MEANINGS: Final = {"accept": True, "decline": False}


def takes_forms(capability: object) -> bool:
    """Whether a client that declares this capability for elicitation shows forms; an empty one says so too."""
    return isinstance(capability, dict) and ("form" in capability or "url" not in capability)


def shows_forms(capabilities: ClientCapabilities | None) -> bool:
    """Whether a client of these capabilities shows forms."""
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and takes_forms(elicitation.model_dump(exclude_none=True))


def meaning_of(answer: object) -> bool | None:
    """Yes, no, or ``None`` where a result of ``elicitation/create`` is no answer."""
    action = answer.get("action") if isinstance(answer, dict) else None
    return _MEANINGS.get(action) if isinstance(action, str) else None


def elicitation(question: str) -> dict[str, Any]:
    """Method and parameters of the request to the client."""
    return _request(question).model_dump(by_alias=True, mode="json", exclude_none=True)


def asked(error: ApprovalRequired) -> InputRequiredResult:
    """The question as the result of the call. Its state is in the clear: it has to be sealed on its way out."""
    state = {
        "approval_id": error.approval_id,
        "expires_at": error.expires_at,
        "message": error.message,
        "call_id": error.call_id,
    }
    return InputRequiredResult(
        input_requests={_KEY: _request(error.question)},
        request_state=json.dumps(state),
        _meta={AUDIT_ID: error.call_id},
    )


def reply_in(params: CallToolRequestParams) -> ApprovalAnswer | ApprovalRequired | None:
    """What a call that is made again brings along; its state has been unsealed.

    ``ApprovalRequired``: they were asked and gave no answer. ``None``: it brings nothing, or not both of state and
    answer, and is a call like any other.
    """
    reply = (params.input_responses or {}).get(_KEY)
    if params.request_state is None or not isinstance(reply, ElicitResult):
        return None
    state = json.loads(params.request_state)
    accepted = _MEANINGS.get(reply.action)
    if accepted is not None:
        return ApprovalAnswer(state["approval_id"], accepted)
    error = ApprovalRequired(
        state["message"],
        approval_id=state["approval_id"],
        by_user=True,
        expires_at=state["expires_at"],
        question="",
    )
    error.call_id = state["call_id"]
    return error


def _request(question: str) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=question, requested_schema=FORM))
