"""Tokens that only their issuer can read, from the door to the API: its token names the user and who acts for them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.company import Document
from support.dpop import KeyHolder
from support.gateway import Gateway, gateway
from support.introspection import ASKED_ISSUER, AskedIssuer
from support.servers import serving

pytestmark = pytest.mark.anyio


def asking(folder: Path, url: str) -> Callable[[Document], None]:
    """Settings that believe the issuer at ``url``, and let its users' tokens be exchanged."""

    def change(document: Document) -> None:
        (folder / "asking-secret").write_text("a-secret-of-this-server", "ascii")
        introspection = {
            "endpoint": f"{url}/introspect",
            "client_id": "remit",
            "client_secret": {"file": "asking-secret"},
            "auth": "client_secret_post",
        }
        document.setdefault("identity", {})["issuers"] = [{"issuer": ASKED_ISSUER, "introspection": introspection}]
        document["sts"]["trust_identity_issuers"] = True

    return change


@asynccontextmanager
async def asked_gateway(folder: Path) -> AsyncIterator[tuple[Gateway, AskedIssuer]]:
    issuer = AskedIssuer(now=time.time())
    async with serving(issuer.app) as url, gateway(folder, change=asking(folder, url)) as gate:
        issuer.audience = gate.app.settings.gateway_audiences[0]
        issuer.tokens["opaque"] = issuer.described(client_id="frontend", roles=["support-lead"])
        yield gate, issuer


async def test_an_opaque_token_is_exchanged_in_this_process(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as (gate, issuer):
        answer = await gate.http.get("/orders/O1", headers={"Authorization": "Bearer opaque"})
        assert answer.status_code == 200, answer.text
        facts = await gate.last()
    assert (facts["principal"]["subject"], facts["principal"]["issuer"]) == ("alice", ASKED_ISSUER)
    # Asked once, by the door and by the token service together.
    (form,) = issuer.asked
    assert (form["client_id"], form["client_secret"]) == ("remit", "a-secret-of-this-server")


async def test_a_bound_opaque_token_needs_its_proof(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as (gate, issuer):
        holder = KeyHolder(now=time.time())
        issuer.tokens["opaque"] |= {"cnf": {"jkt": holder.thumbprint}, "token_type": "DPoP"}
        bare = await gate.http.get("/orders/O1", headers={"Authorization": "Bearer opaque"})
        proof = holder.proof("GET", f"{gate.url}/orders/O1", "opaque")
        proven = await gate.http.get("/orders/O1", headers={"Authorization": "DPoP opaque", "DPoP": proof})
    assert (bare.status_code, proven.status_code) == (401, 200)


async def test_an_issuer_that_cannot_be_asked_is_no_fault_of_the_caller(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as (gate, issuer):
        issuer.status = 500
        answer = await gate.http.get("/orders/O1", headers={"Authorization": "Bearer opaque"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "127.0.0.1" not in answer.text


async def test_a_token_that_the_issuer_does_not_know_is_refused(tmp_path: Path) -> None:
    async with asked_gateway(tmp_path) as (gate, _issuer):
        answer = await gate.http.get("/orders/O1", headers={"Authorization": "Bearer unknown"})
    assert answer.status_code == 401
    assert 'error_description="the access token is not active"' in answer.headers["WWW-Authenticate"]
