"""Tokens that are bound to a key, at the MCP door (RFC 9449 §7): good with a proof, worth nothing without."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from remit.credential import UnverifiedToken
from remit.identity.subject import SubjectIdentifier
from remit.principal import Caller
from remit.tokens.dpop import PROOF_ALGORITHMS
from remit.tokens.jwks import StaticKeys
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer
from support.clock import FakeClock
from support.dpop import KeyHolder
from support.issuer import AUDIENCE, NOW, FakeIssuer, rs256_key
from support.mcp_door import FakeBridge, a_tool, call_message, served

pytestmark = pytest.mark.anyio

IDP = FakeIssuer()
HOLDER = KeyHolder()
BOUND: dict[str, Any] = {"cnf": {"jkt": HOLDER.thumbprint}}


@dataclass
class VerifyingBridge(FakeBridge):
    """Callers are who a verified token proves."""

    identifier: SubjectIdentifier = field(
        default_factory=lambda: SubjectIdentifier(
            TokenVerifier([TrustedIssuer(IDP.issuer, frozenset({"ES256"}), StaticKeys(IDP.jwks("ES256")))]),
            Expectation(frozenset({AUDIENCE})),
            FakeClock(),
        )
    )

    async def identify(self, token: UnverifiedToken | None) -> Caller:
        return await self.identifier.identify(token)


@dataclass
class Client:
    """A client at the door, which is the public ``AUDIENCE``, wherever it listens."""

    http: httpx2.AsyncClient

    async def post(self, token: str, *proofs: str, scheme: str = "DPoP") -> httpx2.Response:
        headers, body = call_message("orders", "2026-07-28")
        headers["Authorization"] = f"{scheme} {token}"
        sent = [*headers.items(), *(("DPoP", proof) for proof in proofs)]
        return await self.http.post("/mcp", headers=sent, json=body)

    def proof(self, token: str, **changes: Any) -> str:
        values: Mapping[str, Any] = {"method": "POST", "url": AUDIENCE, **changes}
        return HOLDER.proof(token=token, **values)


@asynccontextmanager
async def door() -> AsyncIterator[Client]:
    bridge = VerifyingBridge()

    async def answer(_call: Any) -> dict[str, Any]:
        return {"id": "O1"}

    bridge.add(a_tool("orders"), answer)
    async with served(bridge, FakeClock(), resource=AUDIENCE) as at, at.http() as http:
        yield Client(http)


def challenges(response: httpx2.Response) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters of the Bearer challenge and of the DPoP challenge."""
    match = re.fullmatch(r"Bearer (.*), DPoP (.*)", response.headers["WWW-Authenticate"])
    assert match is not None
    bearer, dpop = (dict(re.findall(r'(\w+)="([^"]*)"', part)) for part in match.groups())
    return bearer, dpop


async def test_a_bound_token_with_a_proof_is_served() -> None:
    token = IDP.mint(**BOUND)
    async with door() as client:
        response = await client.post(token, client.proof(token))
        lower = await client.post(token, client.proof(token), scheme="dpop")
    assert (response.status_code, lower.status_code) == (200, 200)
    assert "O1" in response.text


async def test_a_bound_token_as_a_bearer_token_is_worth_nothing() -> None:
    token = IDP.mint(**BOUND)
    async with door() as client:
        plain = await client.post(token, scheme="Bearer")
        with_proof = await client.post(token, client.proof(token), scheme="Bearer")
    for response in (plain, with_proof):
        assert response.status_code == 401
        bearer, dpop = challenges(response)
        assert bearer["error"] == dpop["error"] == "invalid_token"
        assert bearer["resource_metadata"] == "https://bridge.example/.well-known/oauth-protected-resource/mcp"
        assert dpop["algs"].split() == list(PROOF_ALGORITHMS)


async def test_the_scheme_dpop_needs_exactly_one_proof() -> None:
    token = IDP.mint(**BOUND)
    async with door() as client:
        for proofs in ([], [client.proof(token), client.proof(token)]):
            response = await client.post(token, *proofs)
            assert response.status_code == 401
            bearer, dpop = challenges(response)
            assert dpop["error"] == response.json()["error"] == "invalid_dpop_proof"
            assert "error" not in bearer


async def test_a_proof_that_came_before_is_refused() -> None:
    token = IDP.mint(**BOUND)
    async with door() as client:
        proof = client.proof(token)
        assert (await client.post(token, proof)).status_code == 200
        replayed = await client.post(token, proof)
    assert replayed.status_code == 401
    assert challenges(replayed)[1]["error"] == "invalid_dpop_proof"


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "https://bridge.example/other"},
        {"url": "http://127.0.0.1/mcp"},
        {"method": "GET"},
        {"iat": NOW - 61},
        {"ath": "of-another-token"},
        {"header": {"alg": "HS256"}},
        {"header": {"typ": "JWT"}},
    ],
)
async def test_a_proof_for_something_else_is_refused(changes: dict[str, Any]) -> None:
    token = IDP.mint(**BOUND)
    async with door() as client:
        response = await client.post(token, client.proof(token, **changes))
    assert response.status_code == 401
    assert challenges(response)[1]["error"] == "invalid_dpop_proof"


async def test_a_proof_of_another_key_than_the_tokens_is_refused() -> None:
    token = IDP.mint(**BOUND)
    thief = KeyHolder(rs256_key())
    async with door() as client:
        response = await client.post(token, thief.proof("POST", AUDIENCE, token))
    assert response.status_code == 401
    assert challenges(response)[1]["error"] == "invalid_token"


async def test_a_bearer_token_with_a_proof_is_refused_because_its_client_believes_it_bound() -> None:
    token = IDP.mint()
    async with door() as client:
        response = await client.post(token, client.proof(token))
        assert response.status_code == 401
        assert challenges(response)[1]["error"] == "invalid_token"
        assert (await client.post(token, scheme="Bearer")).status_code == 200


async def test_a_binding_of_another_kind_is_refused() -> None:
    async with door() as client:
        for cnf in ({"x5t#S256": "AAAA"}, {"jkt": HOLDER.thumbprint, "x5t#S256": "AAAA"}, {}, {"jkt": 5}, None, "AAAA"):
            token = IDP.mint(cnf=cnf)
            assert (await client.post(token, client.proof(token))).status_code == 401
            assert (await client.post(token, scheme="Bearer")).status_code == 401


async def test_an_expired_bound_token_is_told_in_both_schemes() -> None:
    token = IDP.mint(**BOUND, exp=NOW - 100)
    async with door() as client:
        response = await client.post(token, client.proof(token))
    bearer, dpop = challenges(response)
    assert bearer["error"] == dpop["error"] == "invalid_token"
    assert dpop["error_description"] == "the access token has expired"


async def test_whoever_has_no_sound_token_cannot_fill_the_memory_of_proofs() -> None:
    forged = IDP.mint(**BOUND, exp=NOW - 100)
    token = IDP.mint(**BOUND)
    async with door() as client:
        proof = client.proof(forged, jti="1")
        assert (await client.post(forged, proof)).status_code == 401
        # The same id with a sound token still counts: nothing was remembered of the first.
        assert (await client.post(token, client.proof(token, jti="1"))).status_code == 200
