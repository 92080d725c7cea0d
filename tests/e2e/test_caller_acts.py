"""The agent is the client that the user signed in through: what policy, the API and the trail see of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from remit.sts.revocation import Kind, Order
from remit.sts.users import DevelopmentUser, mint_subject_token
from support.company import Company, Document, audit_id_of, company, error_of

pytestmark = pytest.mark.anyio

IDE = "https://ide.example/client.json"
SCOPES = ("orders:read", "refunds:write", "payments:read", "payments:refund")


def caller_acts(document: Document) -> None:
    document["agent"]["acting"] = "caller"


def token_through(running: Company, client_id: str) -> str:
    """Alice's token as if she had signed in through this client."""
    assert running.app.sts is not None
    return mint_subject_token(
        running.app.sts,
        DevelopmentUser("alice", roles=("support-lead",), scopes=SCOPES),
        audience=running.mcp_url,
        client_id=client_id,
        lifetime=600,
        now=running.app.clock.now(),
    ).reveal()


def acting(folder: Path, **agents: Any) -> Callable[[Document], None]:
    """The caller acts, and these agents may beside this installation itself."""

    def change(document: Document) -> None:
        caller_acts(document)
        document["policy"] = {"path": "policy", "tests": "skip"}  # they are about the tables as they were
        file = folder / "policy" / "data.yaml"
        tables = yaml.safe_load(file.read_text(encoding="utf-8"))
        tables["agents"] = {"agent-runner": {}, **agents}
        file.write_text(yaml.safe_dump(tables), encoding="utf-8")

    return change


async def called(running: Company, token: str, tool: str = "get_order", **arguments: Any) -> Any:
    async with running.http_client(token) as client:
        return await client.call_tool(tool, {"order_id": "O1001", **arguments})


async def test_the_api_sees_the_bridge_act_for_the_client(tmp_path: Path) -> None:
    async with company(tmp_path, acting(tmp_path, **{IDE: {}})) as running:
        result = await called(running, token_through(running, IDE))
        (entry,) = running.orders.of(audit_id_of(result))
        facts = running.recorded(audit_id_of(result)).facts
    issuer = running.base
    assert entry.claims["act"] == {"sub": "agent-runner", "iss": issuer, "act": {"sub": IDE, "iss": issuer}}
    assert facts["actor"] == {
        "sub": IDE,
        "iss": issuer,
        "assurance": "registered",
        "evidence": "client_id",
        "via": {"sub": "agent-runner", "iss": issuer},
    }


async def test_a_client_that_nobody_listed_may_not_act(tmp_path: Path) -> None:
    async with company(tmp_path, acting(tmp_path)) as running:
        result = await called(running, token_through(running, IDE))
        facts = running.recorded(audit_id_of(result)).facts
    assert error_of(result)["code"] == "access_denied"
    assert [reason["code"] for reason in facts["decision"]["reasons"]] == ["agent_unknown"]


async def test_an_agent_acts_only_for_those_it_may_act_for(tmp_path: Path) -> None:
    async with company(tmp_path, acting(tmp_path, **{IDE: {"for": {"users": ["bob"]}}})) as running:
        result = await called(running, token_through(running, IDE))
        reasons = running.recorded(audit_id_of(result)).facts["decision"]["reasons"]
    assert [reason["code"] for reason in reasons] == ["agent_not_for_user"]


async def test_the_chain_goes_on_from_the_client_over_two_services(tmp_path: Path) -> None:
    async with company(tmp_path, acting(tmp_path, **{IDE: {}})) as running:
        token = token_through(running, IDE)
        result = await called(running, token, "refund_order", amount=100, reason="late")
        (entry,) = running.payments.of(audit_id_of(result))
    chain, act = [], entry.claims["act"]
    while act:
        chain.append(act["sub"])
        act = act.get("act")
    assert (entry.claims["sub"], chain) == ("alice", ["orders-api", "agent-runner", IDE])


async def test_through_the_installations_own_client_it_acts_itself(tmp_path: Path) -> None:
    async with company(tmp_path, caller_acts) as running:
        result = await called(running, running.token())
        (entry,) = running.orders.of(audit_id_of(result))
    assert entry.claims["act"] == {"sub": "agent-runner", "iss": running.base}


async def test_a_client_that_was_switched_off_acts_no_more(tmp_path: Path) -> None:
    async with company(tmp_path, acting(tmp_path, **{IDE: {}})) as running:
        token = token_through(running, IDE)
        running.app.revocations.add(Order(Kind.ACTOR, IDE))
        assert not (await called(running, running.token())).is_error  # others go on
        async with httpx.AsyncClient(trust_env=False) as http:
            refused = await http.post(running.mcp_url, headers={"Authorization": f"Bearer {token}"}, json={})
    assert refused.status_code == 401
    assert 'error_description="the access token was revoked"' in refused.headers["WWW-Authenticate"]
