"""Rule: what the agent reads. The one place where errors and answers become words of the protocol.

Of an error the agent sees ``message``, ``code``, the audit id and a fixed sentence of help; ``detail`` and
``hint`` are for the trail and the operator and never pass here. A refusal is a result with ``isError``, which the
model reads; faults of the protocol (an unknown tool, nobody signed in) are JSON-RPC errors, which the host reads.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mcp import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
)

from remit.bridge import CallResult
from remit.downstream.file import File
from remit.errors import (
    ApprovalRequired,
    AuthenticationError,
    DownstreamError,
    DownstreamRefused,
    RateLimited,
    RemitError,
    ScopeInsufficient,
    StepUpRequired,
)

#: The key of a result's ``_meta`` that names the call in the audit trail.
AUDIT_ID: Final = "remit/audit_id"

_MAX_MESSAGE: Final = 2000
_MAX_NAME: Final = 64

_WAIT: Final = "The API refused for now. Wait as long as `retry_after` says (seconds), then call again."
_OPERATOR = "Nothing you can mend: give the operator the audit id."
_MAYBE_DONE = "The API may have acted all the same: look before you repeat it."
_SIGN_IN = "The person has to sign in again."
_CURED_BY_SIGN_IN = (AuthenticationError, ScopeInsufficient, StepUpRequired)

_HELP: Final[Mapping[str, str]] = {
    "access_denied": "Do not repeat it unchanged: ask for less, or tell the person what was refused and why.",
    "policy_failed": "Nothing was called. " + _OPERATOR,
    "rate_limited": "Nothing was called. Wait as long as `retry_after` says (seconds), then call again.",
    "approval_denied": "Nothing was called. Do not repeat it: tell the person that it was not approved.",
    "approval_unusable": "Nothing was called. Make the call again, unchanged, to have its approval asked for anew.",
    "insufficient_user_authentication": "Nothing was called. " + _SIGN_IN,
    "insufficient_scope": "Nothing was called. The person has to sign in again and grant the scopes this tool needs.",
    "invalid_arguments": "Mend the arguments by the tool's input schema and call again.",
    "exchange_refused": "Nothing was called. " + _OPERATOR,
    "exchange_unavailable": "Nothing was called. Try again in a minute.",
    "exchange_invalid": "Nothing was called. " + _OPERATOR,
    "delegation_not_expressed": "Nothing was called. " + _OPERATOR,
    "downstream_refused": "The API refused: check the values before you call again, and do not repeat it unchanged.",
    "downstream_failed": "The API failed. " + _MAYBE_DONE,
    "downstream_unavailable": "The API did not answer. " + _MAYBE_DONE,
    "response_unusable": "The API acted, but its answer cannot be used: ask for less if the tool can.",
    "call_refused": "What it had called before stands: look before you repeat it.",
    "tool_failed": "What it had called before stands: look before you repeat it. Give the operator the audit id.",
    "tool_timeout": "What it had called before stands: look before you repeat it.",
    "sign_in_required": "Nothing was called. Tell the person; once they have signed in, make the call again, unchanged.",
    "sign_in_failed": "Nothing was called. Tell the person, who can try to sign in again.",
    "sign_in_unavailable": "Nothing was called. Try again in a minute.",
    "audit_unavailable": "Nothing was called. Try again in a minute.",
    "keys_unavailable": "Try again in a minute.",
}


def answered(answer: CallResult, *, any_json: bool) -> CallToolResult:
    """A call's result, as text and as structured content; both only say what a file is, which stands beside them.

    ``any_json``: whether this revision lets structured content be any JSON value (2026-07-28); older ones want
    an object, so anything else is wrapped as ``{"result": …}``. No data at all gives no structured content.
    """
    data = answer.result.data
    structured = data if any_json or data is None or isinstance(data, dict) else {"result": data}
    content: list[ContentBlock] = [TextContent(text=answer.result.text)]
    if answer.result.file is not None:
        content.append(_file_content(answer.result.file, answer.call_id))
    return CallToolResult(
        content=content,
        structured_content=structured,
        _meta={AUDIT_ID: answer.call_id},
    )


def _file_content(file: File, call_id: str) -> ContentBlock:
    """An image, a recording, or any other file as a resource. Its URI names the call: the API's own is not shown."""
    data = base64.b64encode(file.content).decode("ascii")
    if file.media_type.startswith("image/"):
        return ImageContent(data=data, mime_type=file.media_type)
    if file.media_type.startswith("audio/"):
        return AudioContent(data=data, mime_type=file.media_type)
    uri = f"remit://calls/{call_id}/file"
    return EmbeddedResource(resource=BlobResourceContents(uri=uri, mime_type=file.media_type, blob=data))


def refusal(error: RemitError) -> CallToolResult:
    """An error as a result the model reads: why, which code, which audit id, what would help."""
    facts = _facts(error)
    lines = [f"{_sentence(facts['message'])} {facts['help']}", f"code: {facts['code']}"]
    lines += [f"{name.replace('_', ' ')}: {facts[name]}" for name in ("status", "retry_after") if name in facts]
    if error.call_id:
        lines.append(f"audit id: {error.call_id}")
    return CallToolResult(
        content=[TextContent(type="text", text="\n".join(lines))],
        structured_content={"error": facts},
        is_error=True,
        _meta={AUDIT_ID: error.call_id} if error.call_id else None,
    )


def unknown_tool(name: str) -> MCPError:
    """Unknown and hidden tools give this, to the byte: no audit id, no code."""
    shown = name if len(name) <= _MAX_NAME else name[:_MAX_NAME] + "…"
    return MCPError(code=INVALID_PARAMS, message=f"Unknown tool: {_printable(shown)}")


def protocol_fault(error: RemitError) -> MCPError:
    """An error where no result can be given: the user has to sign in, or a list cannot be made."""
    code = INVALID_REQUEST if isinstance(error, _CURED_BY_SIGN_IN) else INTERNAL_ERROR
    facts = _facts(error)
    return MCPError(code=code, message=facts["message"], data={"error": facts})


def fault_message(error: RemitError, request_id: str | int | None) -> dict[str, Any]:
    """The same as a whole message, for the body of a challenge: a client that cannot sign anybody in shows it."""
    return {"jsonrpc": "2.0", "id": request_id, "error": protocol_fault(error).error.model_dump(exclude_none=True)}


def _facts(error: RemitError) -> dict[str, Any]:
    fallback = _SIGN_IN if isinstance(error, AuthenticationError) else _OPERATOR
    facts: dict[str, Any] = {
        "code": error.code,
        "message": _printable(error.message[:_MAX_MESSAGE]),
        "help": _HELP.get(error.code, fallback),
    }
    if isinstance(error, ApprovalRequired):
        facts |= {"help": _how_to_approve(error), "approval_id": error.approval_id, "expires_at": error.expires_at}
    if isinstance(error, DownstreamError) and error.status:
        facts["status"] = error.status
    if isinstance(error, DownstreamError | RateLimited) and error.retry_after:
        facts["retry_after"] = error.retry_after
        if isinstance(error, DownstreamRefused):
            facts["help"] = _WAIT
    return {**facts, "audit_id": error.call_id} if error.call_id else facts


def _how_to_approve(error: ApprovalRequired) -> str:
    until = datetime.fromtimestamp(error.expires_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"Nothing was called. It waits for approval as {error.approval_id} until {until}: tell the person, who can have "
        f"it approved with `remit approvals grant {error.approval_id}`. Call it again, unchanged, once it is approved."
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _printable(text: str) -> str:
    """No control or invisible formatting characters reach the reader, whoever wrote the text."""
    return "".join(character if character.isprintable() else " " for character in text)
