"""Rule: how a client is asked to let its user sign in, and what it answers.

By a URL that its user opens (URL elicitation): in 2026-07-28 as the result of the call, which the client then makes
again; in the handshake era as a request on the way. No state goes with it: whether somebody has signed in is known
here, and the answer of the client proves nothing.
"""

from __future__ import annotations

from typing import Final

from mcp_types import (
    CallToolRequestParams,
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
)

from remit.doors.mcp.contract import SignInOffer

#: How long a call waits for its user, in seconds.
PATIENCE: Final = 300.0
_KEY: Final = "sign_in"


def shows_urls(capabilities: ClientCapabilities | None) -> bool:
    """Whether a client of these capabilities has its user open a URL."""
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and elicitation.url is not None


def offered(offer: SignInOffer) -> InputRequiredResult:
    """The offer as the result of a call (2026-07-28)."""
    params = ElicitRequestURLParams(message=offer.message, url=offer.url)
    return InputRequiredResult(input_requests={_KEY: ElicitRequest(params=params)})


def reply_in(params: CallToolRequestParams) -> bool | None:
    """What a call says that is made again: whether its user went to sign in; ``None`` where it is not one."""
    reply = (params.input_responses or {}).get(_KEY)
    return reply.action == "accept" if isinstance(reply, ElicitResult) else None
