"""The sample company's orders and payments APIs: who is let in, what they answer, how money is given back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from remit.demo.api import Journal
from remit.demo.orders import orders_app
from remit.sts.endpoints import routes
from remit.sts.grant import SecurityTokenService
from remit.sts.keys import KeyRing
from remit.sts.users import DevelopmentUser, mint_subject_token
from support.clock import FakeClock
from support.issuer import FakeIssuer
from support.sample_apis import REFUND, REFUND_SCOPES, SCOPES, SECRETS, Company, clients, problem, running
from support.servers import Listener, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    async with running(tmp_path) as company:
        yield company


# ── who is let in ──────────────────────────────────────────────────────────────────────


async def test_without_a_token_nothing_is_served(company: Company) -> None:
    for url in (f"{company.orders}/orders/O1001", f"{company.payments}/payments/P2001", f"{company.orders}/nothing"):
        answer = await company.http.get(url)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer realm=")
    assert not company.orders_journal.entries


async def test_a_token_for_another_audience_is_refused(company: Company) -> None:
    answer = await company.get(f"{company.orders}/orders/O1001", await company.token("payments-api", "payments:read"))
    assert problem(answer) == (401, "invalid_token")


async def test_an_expired_token_is_refused(company: Company) -> None:
    token = await company.token("orders-api", "orders:read")
    company.clock.advance(400)
    assert problem(await company.get(f"{company.orders}/orders/O1001", token)) == (401, "invalid_token")


async def test_a_token_of_another_issuer_is_refused(company: Company) -> None:
    stranger = FakeIssuer(issuer=company.sts.issuer, audience="orders-api")
    token = stranger.mint(act={"sub": "agent-runner"})
    assert problem(await company.get(f"{company.orders}/orders/O1001", token)) == (401, "invalid_token")


async def test_a_user_cannot_call_without_an_agent(company: Company) -> None:
    direct = mint_subject_token(
        company.sts,
        DevelopmentUser("alice", scopes=SCOPES),
        audience="orders-api",
        client_id="mcp-client",
        lifetime=300,
        now=company.clock.now(),
    )
    answer = await company.get(f"{company.orders}/orders/O1001", direct.reveal())
    assert problem(answer) == (401, "invalid_token")


async def test_an_unknown_agent_is_refused(company: Company) -> None:
    token = await company.token("orders-api", "orders:read", client="stranger")
    assert problem(await company.get(f"{company.orders}/orders/O1001", token)) == (403, "access_denied")


async def test_a_missing_scope_is_a_challenge(company: Company) -> None:
    answer = await company.refund(token=await company.token("orders-api", "orders:read"))
    assert problem(answer) == (403, "insufficient_scope")
    assert 'scope="refunds:write"' in answer.headers["www-authenticate"]


async def test_an_agent_cannot_give_money_back_past_the_orders_api(company: Company) -> None:
    token = await company.token("payments-api", "payments:refund")
    answer = await company.http.post(
        f"{company.payments}/payments/P2001/refunds",
        json={"amount": 1, "reason": "late"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert problem(answer) == (403, "access_denied")


# ── reading ────────────────────────────────────────────────────────────────────────────


async def test_an_order_shows_customer_total_and_payment(company: Company) -> None:
    order = await company.order()
    assert order["id"] == "O1001"
    assert set(order["customer"]) == {"name", "email", "tax_id"}
    assert order["total"] == {"amount": 7890, "currency": "EUR"}
    assert (order["refunded"], order["payment_id"], order["status"]) == (0, "P2001", "delivered")


async def test_orders_are_listed_by_status_up_to_a_limit(company: Company) -> None:
    token = await company.token("orders-api", "orders:read")
    listed = await company.get(f"{company.orders}/orders?status=delivered&limit=2", token)
    assert [order["id"] for order in listed.json()["orders"]] == ["O1001", "O1003"]
    for wrong in ("status=lost", "limit=0", "limit=51", "limit=²", "limit=-1"):
        assert problem(await company.get(f"{company.orders}/orders?{wrong}", token)) == (422, "value_invalid")


async def test_payments_are_found_by_order(company: Company) -> None:
    token = await company.token("payments-api", "payments:read")
    found = (await company.get(f"{company.payments}/payments?order_id=O1003", token)).json()["payments"]
    assert [(payment["id"], payment["status"]) for payment in found] == [("P2003", "captured")]
    one = (await company.get(f"{company.payments}/payments/P2003", token)).json()
    assert one == found[0]


async def test_what_is_not_there_is_a_json_problem(company: Company) -> None:
    token = await company.token("orders-api", "orders:read")
    assert problem(await company.get(f"{company.orders}/orders/O9", token)) == (404, "order_unknown")
    assert problem(await company.get(f"{company.orders}/nothing", token)) == (404, "not_found")
    headers = {"Authorization": f"Bearer {token}"}
    assert problem(await company.http.delete(f"{company.orders}/orders", headers=headers)) == (
        405,
        "method_not_allowed",
    )


# ── the refund ─────────────────────────────────────────────────────────────────────────


async def test_a_refund_is_paid_by_a_second_hop_that_shows_the_whole_chain(company: Company) -> None:
    answer = await company.refund(request_id="call-1")
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "paid"
    assert (await company.order())["refunded"] == 1000

    (first,) = company.orders_journal.of("call-1")
    (second,) = company.payments_journal.of("call-1")
    assert (first.method, first.path) == ("POST", "/orders/O1001/refunds")
    assert (second.method, second.path) == ("POST", "/payments/P2001/refunds")
    assert (first.claims["sub"], first.claims["aud"]) == ("alice", "orders-api")
    assert first.claims["act"]["sub"] == "agent-runner"
    assert (second.claims["sub"], second.claims["aud"]) == ("alice", "payments-api")
    assert second.claims["act"]["sub"] == "orders-api"
    assert second.claims["act"]["act"]["sub"] == "agent-runner"
    assert second.claims["scope"] == "payments:refund"
    assert second.claims["exp"] - second.claims["iat"] <= 60


@pytest.mark.parametrize(
    ("order", "body", "expected"),
    [
        ("O9", REFUND, (404, "order_unknown")),
        ("O1004", REFUND, (409, "order_not_refundable")),
        ("O1001", {**REFUND, "amount": 7891}, (422, "amount_too_large")),
        ("O1001", {**REFUND, "amount": 0}, (422, "body_invalid")),
        ("O1001", {**REFUND, "amount": True}, (422, "body_invalid")),
        ("O1001", {**REFUND, "amount": 10.5}, (422, "body_invalid")),
        ("O1001", {**REFUND, "amount": "10"}, (422, "body_invalid")),
        ("O1001", {**REFUND, "note": "x"}, (422, "body_invalid")),
        ("O1001", {"amount": 1}, (422, "body_invalid")),
        ("O1001", {**REFUND, "reason": "fun"}, (422, "value_invalid")),
        ("O1001", {**REFUND, "requested_by": "bob"}, (403, "requester_mismatch")),
        ("O1001", [REFUND], (400, "body_malformed")),
    ],
)
async def test_a_refund_that_makes_no_sense_is_refused_and_nothing_is_paid(
    company: Company, order: str, body: Any, expected: tuple[int, str]
) -> None:
    assert problem(await company.refund(order, body=body)) == expected
    assert not company.payments_journal.entries


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b'{"amount":1,"amount":2}', "application/json", 400),
        (b"\xff", "application/json; charset=utf-8", 400),
        (b"[" * 10_000, "application/json", 400),
        (b'"' + b"x" * 20_000 + b'"', "application/json", 413),
        (json.dumps(REFUND).encode(), "text/plain", 415),
    ],
)
async def test_a_body_that_is_no_bounded_json_is_refused(
    company: Company, content: bytes, media_type: str, status: int
) -> None:
    token = await company.token("orders-api", REFUND_SCOPES)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": media_type}
    answer = await company.http.post(f"{company.orders}/orders/O1001/refunds", content=content, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "message"}


async def test_refunds_end_when_nothing_is_left(company: Company) -> None:
    assert (await company.refund(body={**REFUND, "amount": 7000})).status_code == 201
    assert problem(await company.refund()) == (422, "amount_too_large")
    assert (await company.refund(body={**REFUND, "amount": 890})).status_code == 201
    assert problem(await company.refund()) == (409, "order_already_refunded")


async def test_the_same_key_and_body_refund_once(company: Company) -> None:
    first = await company.refund(key="k1")
    again = await company.refund(key="k1")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert len(company.payments_journal.entries) == 1
    assert (await company.order())["refunded"] == 1000


async def test_the_same_key_with_another_body_is_refused(company: Company) -> None:
    assert (await company.refund(key="k1")).status_code == 201
    assert problem(await company.refund(key="k1", body={**REFUND, "amount": 1})) == (409, "idempotency_key_reused")


async def test_without_a_key_the_same_body_is_another_refund(company: Company) -> None:
    await company.refund()
    await company.refund()
    assert (await company.order())["refunded"] == 2000


async def test_a_key_belongs_to_one_user_and_order(company: Company) -> None:
    bob = await company.token("orders-api", REFUND_SCOPES, user="bob")
    assert (await company.refund(key="k1")).status_code == 201
    assert (await company.refund(key="k1", token=bob, body={**REFUND, "requested_by": "bob"})).status_code == 201
    assert (await company.refund("O1002", key="k1")).status_code == 201


async def test_concurrent_refunds_never_give_back_more_than_was_paid(company: Company) -> None:
    token = await company.token("orders-api", REFUND_SCOPES)
    body = {**REFUND, "amount": 3000}
    answers = await asyncio.gather(*(company.refund(token=token, body=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, *[422] * 6]
    assert (await company.order())["refunded"] == 6000


# ── when payments fails ────────────────────────────────────────────────────────────────


async def test_a_token_without_the_scope_for_the_second_hop_ends_there(company: Company) -> None:
    answer = await company.refund(token=await company.token("orders-api", "refunds:write"))
    assert problem(answer) == (502, "payment_not_delegated")
    assert (await company.order())["refunded"] == 0


class _FailingPayments:
    """Does what a refund asks, or not, and answers otherwise than it should."""

    def __init__(self, *answers: Response) -> None:
        self.keys: list[str] = []
        self._answers = list(answers)
        self.app = Starlette(routes=[Route("/payments/{id}/refunds", self.refund, methods=["POST"])])

    async def refund(self, request: Request) -> Response:
        self.keys.append(request.headers["idempotency-key"])
        return self._answers.pop(0)


async def test_a_refusal_of_payments_frees_the_money(tmp_path: Path) -> None:
    payments = _FailingPayments(Response(b'{"error":"x","message":"the payment is frozen"}', 409))
    async with running(tmp_path, payments.app) as company:
        answer = await company.refund()
        assert problem(answer) == (502, "payment_refused")
        assert "the payment is frozen" in answer.json()["message"]
        assert (await company.order())["refunded"] == 0


@pytest.mark.parametrize(
    "failure",
    [Response(status_code=500), Response(b"[]", 201), Response(b"x" * 70_000, 201), Response(status_code=307)],
)
async def test_an_unclear_answer_of_payments_keeps_the_money_aside_until_a_repeat_settles_it(
    tmp_path: Path, failure: Response
) -> None:
    payments = _FailingPayments(failure, Response(b'{"id":"T1"}', 201))
    async with running(tmp_path, payments.app) as company:
        assert problem(await company.refund(key="k1")) == (502, "payment_uncertain")
        assert (await company.order())["refunded"] == 1000
        assert (await company.refund(key="k1")).status_code == 201
        assert (await company.order())["refunded"] == 1000
    assert payments.keys[0] == payments.keys[1]


async def test_payments_that_cannot_be_reached_is_a_clear_problem(tmp_path: Path) -> None:
    clock, at, nowhere = FakeClock(), Listener(), Listener()
    nowhere.socket.close()
    sts = SecurityTokenService(at.url, KeyRing.open(tmp_path), clock, clients())
    orders = orders_app(issuer=at.url, client_secret=SECRETS["orders-api"], payments_url=nowhere.url, clock=clock)
    async with (
        serving(Starlette(routes=routes(sts, clock)), at),
        serving(orders) as url,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        company = Company(sts, clock, http, url, nowhere.url, "", orders.state.journal, Journal(), Journal())
        assert problem(await company.refund()) == (502, "payment_unavailable")
        assert (await company.order())["refunded"] == 0
