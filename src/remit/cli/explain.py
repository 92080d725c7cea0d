"""The steps of one call as plain JSON objects, for `remit call --explain` (``remit.cli.story`` prints them)."""

from __future__ import annotations

from typing import Any

import orjson

from remit.bridge import CallResult, Watch
from remit.cli.render import error_document
from remit.downstream.request import ApiRequest
from remit.errors import RemitError
from remit.exchange.exchanger import DelegatedToken
from remit.exchange.messages import Wanted
from remit.policy.decision import Decision
from remit.principal import ActingParty, Principal


class Explanation(Watch):
    """Collects what it is shown. No credential is among it: tokens come as claims, headers without the bearer."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def identified(self, principal: Principal, acting: ActingParty) -> None:
        """Who calls, and who acts for them."""
        self._add(
            "identify",
            subject=principal.subject,
            name=principal.name,
            issuer=principal.issuer,
            client_id=principal.client_id,
            scopes=list(principal.scopes),
            groups=list(principal.groups),
            roles=list(principal.roles),
            actor=acting.actor.sub,
            assurance=acting.assurance.value,
            evidence=acting.evidence,
        )

    def decided(self, decision: Decision) -> None:
        """What policy said, and why."""
        self._add(
            "decide",
            allow=decision.allow,
            rule=decision.rule,
            reasons=[{"code": reason.code, "message": reason.message} for reason in decision.reasons],
            obligations=[{"type": item.type, **item.properties} for item in decision.obligations],
            revision=decision.revision,
            decision_id=decision.decision_id,
            duration_us=decision.duration_us,
        )

    def exchanged(self, wanted: Wanted, token: DelegatedToken) -> None:
        """What was asked of the token service, and the claims of what it gave."""
        request = {
            "audience": wanted.target.audience,
            "resource": wanted.target.resource,
            "scope": " ".join(wanted.scopes),
            "requested_expires_in": wanted.max_lifetime,
        }
        self._add(
            "exchange", request={name: value for name, value in request.items() if value}, answer=dict(token.claims)
        )

    def calling(self, request: ApiRequest) -> None:
        """The HTTP request as it is sent, the bearer token excepted."""
        headers = {**dict(request.headers), "Authorization": "Bearer ***"}
        self._add("call", method=request.method, url=request.url, headers=headers, body=readable(request.body))

    def answered(self, result: CallResult) -> None:
        """What the agent gets."""
        self._add(
            "result", status="ok", data=result.result.data, truncated=result.result.truncated, audit_id=result.call_id
        )

    def failed(self, error: RemitError) -> None:
        """Where it ended instead."""
        self._add("result", error=error_document(error))

    def _add(self, step: str, **members: Any) -> None:
        self.steps.append({"step": step, **members})


def readable(body: bytes | None) -> Any:
    """A request's body to be looked at: JSON as what it says, anything else as text."""
    if body is None:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "backslashreplace")
