"""Path: how the orders API asks the payments API for a refund, on behalf of the same user.

1. **exchange** the delegated token that came with the request for one for payments: the user stays its subject,
   this API becomes the current actor, and whoever acted before stays visible below it (RFC 8693 §4.1);
2. **call** payments with it. The token that came never leaves for payments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson

from remit.demo.api import ApiProblem
from remit.errors import ExchangeError
from remit.exchange.exchanger import DelegatedToken, Exchanger
from remit.exchange.messages import Target, Wanted
from remit.principal import ActingParty, Actor, Assurance, Caller
from remit.tokens import strict_json
from remit.web import Answer, AnswerTooLarge, send_bounded

_WANTED: Final = Wanted(target=Target(audience="payments-api"), scopes=("payments:refund",), max_lifetime=60)
_SECONDS: Final = 10.0
_MAX_BYTES: Final = 64 * 1024


class PaymentNotMade(ApiProblem):
    """The refund was certainly not paid."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(502, code, message)


class PaymentUncertain(ApiProblem):
    """Nobody here knows whether the refund was paid; repeating it under the same key tells, and pays at most once."""

    def __init__(self, message: str) -> None:
        super().__init__(502, "payment_uncertain", f"{message}; repeat the request with the same Idempotency-Key")


@dataclass(frozen=True, slots=True)
class PaymentRefund:
    """What payments is asked to give back. ``key`` goes along as ``Idempotency-Key``."""

    payment_id: str
    amount: int
    reason: str
    key: str


class PaymentsClient:
    """Speaks to the payments API at ``url`` as the client of ``exchanger``."""

    def __init__(self, url: str, exchanger: Exchanger, http: httpx.AsyncClient) -> None:
        self._url = url.rstrip("/")
        self._exchanger = exchanger
        self._http = http

    async def refund(self, refund: PaymentRefund, caller: Caller, request_id: str) -> dict[str, Any]:
        """Give money back on behalf of ``caller``; returns what payments says of it.

        Raises ``PaymentNotMade`` or ``PaymentUncertain``.
        """
        token = await self._token(caller)  # 1
        return _read(await self._send(refund, token, request_id))  # 2

    async def _token(self, caller: Caller) -> DelegatedToken:
        """The actor is this client, which proves itself at the token service: no actor token is sent."""
        acting = ActingParty(Actor(self._exchanger.service.client_id), Assurance.AUTHENTICATED, "workload")
        try:
            return await self._exchanger.delegated_token(caller, acting, _WANTED)
        except ExchangeError as error:
            message = f"no token for the payments API could be had: {error.message}"
            raise PaymentNotMade("payment_not_delegated", message) from error

    async def _send(self, refund: PaymentRefund, token: DelegatedToken, request_id: str) -> Answer:
        request = self._http.build_request(
            "POST",
            f"{self._url}/payments/{refund.payment_id}/refunds",
            content=orjson.dumps({"amount": refund.amount, "reason": refund.reason}),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {token.credential.reveal()}",  # to payments, whom it is for
                "Idempotency-Key": refund.key,
                **({"X-Request-ID": request_id} if request_id else {}),
            },
        )
        try:
            return await send_bounded(self._http, request, seconds=_SECONDS, max_bytes=_MAX_BYTES)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise PaymentNotMade("payment_unavailable", "the payments API cannot be reached") from error
        except (httpx.HTTPError, TimeoutError, AnswerTooLarge) as error:
            raise PaymentUncertain("the payments API did not answer as it should") from error


def _read(answer: Answer) -> dict[str, Any]:
    try:
        document = strict_json.loads(answer.body)
    except strict_json.NotStrict:
        document = None
    if 400 <= answer.status < 500:
        said = document.get("message") if isinstance(document, Mapping) else None
        reason = said if isinstance(said, str) and len(said) <= 200 and said.isprintable() else f"HTTP {answer.status}"
        raise PaymentNotMade("payment_refused", f"the payments API refused: {reason}")
    if answer.status != 201 or not isinstance(document, dict) or not isinstance(document.get("id"), str):
        raise PaymentUncertain("the payments API failed")
    return document
