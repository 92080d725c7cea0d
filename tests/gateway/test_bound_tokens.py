"""Tokens that are bound to a key (RFC 9449) at the gateway and for a proxy, up to the exchange in this process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from remit.sts.minting import sign
from support.company import Document
from support.dpop import KeyHolder
from support.gateway import Gateway, Scripted, gateway
from support.issuer import claims_of

pytestmark = pytest.mark.anyio

HOLDER = KeyHolder()


def bound(gate: Gateway, **changes: Any) -> str:
    """A token of the embedded service for alice that is bound to the holder's key."""
    assert gate.app.sts is not None
    claims = {**claims_of(gate.token()), "cnf": {"jkt": HOLDER.thumbprint}, **changes}
    return sign(claims, gate.app.sts.keys.signing_key).reveal()


def shown(method: str, url: str, token: str, **changes: Any) -> dict[str, str]:
    holder = KeyHolder(now=time.time())
    return {"Authorization": f"DPoP {token}", "DPoP": holder.proof(method, url, token, **changes)}


async def test_a_bound_token_is_exchanged_for_the_apis_own(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = bound(gate)
        headers = shown("GET", f"{gate.url}/orders/O1", token)
        answer = await gate.http.get("/orders/O1?a=1", headers=headers)
        assert answer.status_code == 200
        seen = dict(answer.json()["headers"])
        assert "dpop" not in seen
        replayed = await gate.http.get("/orders/O1?a=1", headers=headers)
    assert replayed.status_code == 401
    assert 'DPoP error="invalid_dpop_proof"' in replayed.headers["WWW-Authenticate"]


async def test_a_proof_for_another_path_method_or_host_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = bound(gate)
        for method, url in (
            ("GET", f"{gate.url}/orders/O2"),
            ("POST", f"{gate.url}/orders/O1"),
            ("GET", "http://evil.example/orders/O1"),
        ):
            answer = await gate.http.get("/orders/O1", headers=shown(method, url, token))
            assert answer.status_code == 401
            assert answer.json()["error"] == "proof_invalid"
            assert 'DPoP error="invalid_dpop_proof"' in answer.headers["WWW-Authenticate"]


async def test_a_bound_token_without_proof_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for scheme in ("Bearer", "DPoP"):
            answer = await gate.http.get("/orders/O1", headers={"Authorization": f"{scheme} {bound(gate)}"})
            assert answer.status_code == 401
            assert "algs=" in answer.headers["WWW-Authenticate"]


async def test_nobody_exchanges_a_bound_token_over_http_but_the_client_of_the_doors(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        sts = gate.app.sts
        assert sts is not None
        takers = {client_id for client_id, client in sts.clients.items() if client.takes_bound}
        assert takers == {gate.app.settings.agent.client_id}


async def test_the_metadata_name_the_algorithms(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        documents = [
            (await gate.http.get(f"/.well-known/oauth-protected-resource{path}")).json()
            for path in ("/mcp", "/gateway")
        ]
    assert all("ES256" in document["dpop_signing_alg_values_supported"] for document in documents)


async def ask(gate: Gateway, token: str, proof_for: str, **told: str) -> httpx.Response:
    asked = {"X-Original-Method": "GET", "X-Original-URI": "/orders/O1?a=1", **told}
    return await gate.http.get("/forward-auth", headers={**shown("GET", proof_for, token), **asked})


async def test_a_proxy_hands_on_a_proof_for_the_url_that_the_client_called(tmp_path: Path) -> None:
    def change(document: Document) -> None:
        document["gateway"]["forward_auth"] = {"enabled": True, "style": "nginx", "trusted_proxies": ["127.0.0.1"]}

    async with gateway(tmp_path, api=Scripted(), change=change) as gate:
        token = bound(gate)
        host = {"X-Original-Host": "shop.example"}
        good = await ask(gate, token, "https://shop.example/orders/O1", **host)
        assert good.status_code == 200
        assert "cnf" not in claims_of(good.headers["Authorization"].removeprefix("Bearer "))
        for url, told in (
            ("http://shop.example/orders/O1", host),
            ("https://shop.example/forward-auth", host),
            (f"{gate.url}/forward-auth", host),
            ("https://shop.example/orders/O1", {}),
        ):
            assert (await ask(gate, token, url, **told)).status_code == 401
        here = {"X-Original-Host": "127.0.0.1:8080"}
        assert (await ask(gate, token, "http://127.0.0.1:8080/orders/O1", **here)).status_code == 200
