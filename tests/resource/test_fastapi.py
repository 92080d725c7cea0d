"""The dependency an author of a FastAPI application uses."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from remit.resource import BearerMiddleware, Delegation, ResourceServer, delegated, delegation_of
from remit.tokens.jwks import StaticKeys
from remit.tokens.verifier import TrustedIssuer
from support.clock import FakeClock
from support.issuer import NOW, FakeIssuer

API = "https://orders.example"
IDP = FakeIssuer(audience=API)


def client() -> TestClient:
    app = FastAPI()
    issuer = TrustedIssuer(IDP.issuer, frozenset({"ES256"}), StaticKeys(IDP.jwks()))
    app.add_middleware(BearerMiddleware, server=ResourceServer(API, [issuer], FakeClock(NOW)), realm="orders")

    @app.get("/me")
    def me(delegation: Annotated[Delegation, Depends(delegation_of)]) -> dict[str, str]:
        return {"principal": delegation.principal, "current_actor": delegation.current_actor}

    @app.post("/orders/{order_id}/refunds")
    async def refund(
        order_id: str,
        delegation: Annotated[Delegation, Depends(delegated(scopes="orders:refund", actor="agent", max_depth=1))],
    ) -> dict[str, str]:
        return {"order_id": order_id, "by": delegation.principal}

    return TestClient(app)


def bearer(**changes: Any) -> dict[str, str]:
    token = IDP.mint(**{"act": {"sub": "agent"}, "client_id": "agent", "scope": "orders:refund", **changes})
    return {"Authorization": f"Bearer {token}"}


def test_the_delegation_is_a_dependency() -> None:
    assert client().get("/me", headers=bearer()).json() == {"principal": "alice", "current_actor": "agent"}


def test_a_dependency_requires_scope_actor_and_depth() -> None:
    answer = client().post("/orders/O1/refunds", headers=bearer())
    assert answer.json() == {"order_id": "O1", "by": "alice"}


def test_without_a_token_the_answer_is_a_challenge() -> None:
    answer = client().get("/me")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="orders"')


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "orders:read"}, "insufficient_scope"),
        ({"act": {"sub": "other"}, "client_id": "other"}, "access_denied"),
        ({"act": {"sub": "agent", "act": {"sub": "desk"}}}, "access_denied"),
    ],
    ids=str,
)
def test_what_is_missing_is_refused_with_403(changes: dict[str, Any], error: str) -> None:
    answer = client().post("/orders/O1/refunds", headers=bearer(**changes))
    assert (answer.status_code, answer.json()["error"]) == (403, error)
