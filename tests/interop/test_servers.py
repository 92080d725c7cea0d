"""Whole calls with independent token services: what each does otherwise than the RFCs is declared in the settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from remit.app.wiring import App, running
from remit.audit.store.reader import open_reader
from remit.bridge import ToolCall
from remit.credential import UnverifiedToken
from remit.errors import DelegationMismatch, ExchangeError, ExchangeInvalid, ExchangeRefused
from remit.settings import load_settings
from support.interop import Tools
from support.issuer import FakeIssuer, claims_of
from support.recording_api import RecordingApi, recording_api
from support.servers import Listener, serving_in_thread

RUNNER = "agent-runner"
SETUP = {"client_id": RUNNER, "client_secret": "sixteen-characters-and-more", "scopes": ["orders:read"]}
RESOURCE = "https://orders.example/v1"

#: A tool file: for an API that goes by a name, one that goes by a URI, and one that nobody may have a token for.
TOOL_FILE = """
version: 1
name: {name}
upstream:
  baseUrl: ${{API_URL}}
  auth: {{{target}, scopes: ["orders:read"], maxTtl: {max_ttl}}}
tools:
  - name: get_{name}
    description: Get one thing by its id, with everything that belongs to it.
    input: {{type: object, required: [id], properties: {{id: {{type: string}}}}}}
    request: {{method: GET, path: "/things/{{id}}"}}
"""
TARGETS = {
    "orders": ("audience: orders-api", "300s"),
    "warehouse": (f"resource: '{RESOURCE}'", "120s"),
    "payroll": ("audience: payroll, resource: 'https://payroll.example'", "300s"),
}
#: Policy is told of an actor that somebody vouches for, whether or not the token will name it.
POLICY = """
package remit.authz

import rego.v1

# METADATA
# entrypoint: true
decision := {"allow": allow, "reasons": []}

default allow := false

allow if {
	input.actor.id in {"agent-runner", "sign-in"}
	input.actor.properties.assurance != "self_asserted"
}
"""


@dataclass(frozen=True)
class Peer:
    """A running server: its addresses, a user's token, and what the settings say of it."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    subject_token: str
    user_issuer: str
    user_jwks_uri: str
    subject_typ: str
    tool: str
    agent: dict[str, Any]
    exchange: dict[str, Any]

    def expecting(self, **expect: str) -> Peer:
        """The same with other declarations; none: nothing declared."""
        return replace(self, exchange={**self.exchange, "expect": expect})


@dataclass
class Called:
    """What came of a call."""

    api: RecordingApi
    facts: Mapping[str, Any]

    @property
    def claims(self) -> dict[str, Any]:
        """Of the token that the API got."""
        (authorization,) = self.api.seen[0].values("authorization")
        return claims_of(authorization.removeprefix("Bearer "))


@pytest.fixture(scope="module")
def tools() -> Tools:
    return Tools.installed()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


# ── the peers, each with its settings ────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def oidc_provider(tools: Tools, folder: Path) -> Iterator[Peer]:
    """Does as the RFCs say, with ``resource`` for the target."""
    setup = {**SETUP, "auth": "client_secret_basic", "resource": RESOURCE}
    with tools.server("servers/oidc_provider.mjs", setup, folder) as ready:
        yield peer(
            ready,
            ready["subject_tokens"][RUNNER],
            tool="get_warehouse",
            agent={"auth": "client_secret_basic", "actor": "token"},
            exchange={"algorithms": ["ES256"]},
        )


@pytest.fixture(scope="module")
def jmondi(tools: Tools, folder: Path) -> Iterator[Peer]:
    """Leaves out ``issued_token_type``, calls the client ``cid``; the client is the actor, the user another's."""
    with user_issuer() as (idp, jwks_uri):
        setup = {**SETUP, "audiences": ["orders-api"], "subject_jwks": idp.jwks()}
        with tools.server("servers/jmondi_oauth2_server.mjs", setup, folder) as ready:
            yield replace(
                peer(
                    ready,
                    idp.mint(aud=RUNNER, scope="orders:read"),
                    agent={"auth": "client_secret_post", "actor": "client"},
                    exchange={
                        "algorithms": ["RS256"],
                        "typ": ["jwt"],
                        "expect": {"client_claim": "cid", "issued_token_type": "optional"},
                    },
                ),
                user_issuer=idp.issuer,
                user_jwks_uri=jwks_uri,
            )


@pytest.fixture(scope="module")
def idpyoidc(tools: Tools, folder: Path) -> Iterator[tuple[Peer, Peer]]:
    """Names no actor and takes no actor token. One user signed in through the runner, one through another client."""
    setup = {**SETUP, "audiences": ["orders-api"]}
    with tools.server("servers/idpyoidc_server.py", setup, folder) as ready:
        agent = {"auth": "client_secret_basic", "actor": "client"}
        exchange = {"algorithms": ["ES256"], "typ": [""]}
        own, other = (
            peer(ready, ready["subject_tokens"][client], agent=agent, exchange=exchange, subject_typ="")
            for client in (RUNNER, "sign-in")
        )
        yield own.expecting(act="none", exp="own"), other.expecting(act="none", aud="optional")


def peer(
    ready: Mapping[str, Any],
    subject_token: str,
    *,
    agent: dict[str, Any],
    exchange: dict[str, Any],
    tool: str = "get_orders",
    subject_typ: str = "at+jwt",
) -> Peer:
    addresses = {name: ready[name] for name in ("issuer", "token_endpoint", "jwks_uri")}
    return Peer(
        **addresses,
        subject_token=subject_token,
        user_issuer=ready["issuer"],
        user_jwks_uri=ready["jwks_uri"],
        subject_typ=subject_typ,
        tool=tool,
        agent=agent,
        exchange=exchange,
    )


@contextmanager
def user_issuer() -> Iterator[tuple[FakeIssuer, str]]:
    """A provider where users sign in and nothing is exchanged."""
    listener = Listener()
    idp = FakeIssuer(issuer=listener.url, now=time.time())

    async def jwks(_: object) -> JSONResponse:
        return JSONResponse(idp.jwks())

    with serving_in_thread(Starlette(routes=[Route("/jwks", jwks)]), listener):
        yield idp, f"{listener.url}/jwks"


# ── calls ────────────────────────────────────────────────────────────────────────────────


def settings_of(peer: Peer, api_url: str) -> dict[str, Any]:
    """The settings file of an installation that uses the peer."""
    user = {"issuer": peer.user_issuer, "jwks_uri": peer.user_jwks_uri, "algorithms": ["ES256"]}
    service = {"issuer": peer.issuer, "token_endpoint": peer.token_endpoint, "jwks_uri": peer.jwks_uri}
    return {
        "version": 1,
        "tools": ["tools"],
        "policy": "policy",
        "variables": {"API_URL": api_url},
        "identity": {"audiences": [RUNNER], "typ": [peer.subject_typ], "issuers": [user]},
        "agent": {"client_id": RUNNER, "client_secret": {"file": "secret"}, **peer.agent},
        "exchange": {"service": "remote", **service, **peer.exchange},
        "sts": {"enabled": False},
    }


@asynccontextmanager
async def installation(peer: Peer, folder: Path) -> AsyncIterator[tuple[App, RecordingApi]]:
    """Everything behind the doors, and the API it calls."""
    async with recording_api() as api:
        files = {
            "remit.yaml": yaml.safe_dump(settings_of(peer, api.url)),
            "secret": SETUP["client_secret"],
            "policy/authz.rego": POLICY,
        }
        for name, (target, max_ttl) in TARGETS.items():
            files[f"tools/{name}.yaml"] = TOOL_FILE.format(name=name, target=target, max_ttl=max_ttl)
        for name, text in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(str(text), encoding="utf-8")
        async with running(load_settings(folder / "remit.yaml")) as app:
            yield app, api


def call(peer: Peer, folder: Path, tool: str = "") -> Called:
    async def main() -> Called:
        async with installation(peer, folder) as (app, api):
            await app.bridge.call(ToolCall("test", UnverifiedToken(peer.subject_token), tool or peer.tool, {"id": "1"}))
            file = app.settings.audit_file
        with open_reader(file) as trail:
            (recorded,) = {record.call_id: trail.call_of(record) for record in trail.after(0)}.values()
        return Called(api, recorded.facts)

    return asyncio.run(main())


def refusal(peer: Peer, folder: Path, tool: str = "") -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        call(peer, folder, tool)
    return caught.value


def test_oidc_provider_delegates_with_an_actor_token(oidc_provider: Peer, tmp_path: Path) -> None:
    called = call(oidc_provider, tmp_path)

    assert called.claims["sub"] == "alice"
    assert called.claims["aud"] == RESOURCE
    assert called.claims["scope"] == "orders:read"
    assert called.claims["act"] == {"sub": RUNNER, "iss": oidc_provider.issuer}
    assert called.facts["exchange"]["kind"] == "delegated"


def test_jmondi_delegates_with_its_client_as_the_actor(jmondi: Peer, tmp_path: Path) -> None:
    called = call(jmondi, tmp_path)

    assert called.claims["sub"] == "alice"
    assert called.claims["aud"] == "orders-api"
    assert called.claims["cid"] == RUNNER
    assert called.claims["act"] == {"sub": RUNNER, "iss": jmondi.issuer}
    assert called.facts["exchange"]["kind"] == "delegated"


def test_idpyoidc_names_no_actor_and_that_is_recorded_as_impersonation(
    idpyoidc: tuple[Peer, Peer], tmp_path: Path
) -> None:
    called = call(idpyoidc[0], tmp_path)

    assert called.claims["aud"] == ["orders-api"]
    assert called.claims["client_id"] == RUNNER
    assert "act" not in called.claims
    assert called.facts["exchange"]["kind"] == "impersonated"
    assert called.facts["actor"]["sub"] == RUNNER


def test_idpyoidc_names_no_audience_for_a_user_of_another_client(idpyoidc: tuple[Peer, Peer], tmp_path: Path) -> None:
    called = call(idpyoidc[1], tmp_path)

    assert "aud" not in called.claims
    assert called.claims["exp"] - called.claims["iat"] == 60


def test_jmondi_is_refused_where_nothing_is_declared(jmondi: Peer, tmp_path: Path) -> None:
    without_type = refusal(jmondi.expecting(client_claim="cid"), tmp_path)
    assert isinstance(without_type, ExchangeInvalid)
    assert "issued_token_type" in without_type.message
    without_client = refusal(jmondi.expecting(issued_token_type="optional"), tmp_path)
    assert "client_id is missing" in without_client.detail


def test_idpyoidc_is_refused_where_nothing_is_declared(idpyoidc: tuple[Peer, Peer], tmp_path: Path) -> None:
    own, other = idpyoidc
    without_act = refusal(own.expecting(exp="own"), tmp_path)
    assert isinstance(without_act, DelegationMismatch)
    assert without_act.claim == "act"
    assert "aud is missing" in refusal(other.expecting(act="none"), tmp_path).detail


def test_idpyoidc_takes_no_actor_token(idpyoidc: tuple[Peer, Peer], tmp_path: Path) -> None:
    """It has no tokens for clients either, so the runner fails to get one of its own."""
    with_token = replace(idpyoidc[0], agent={**idpyoidc[0].agent, "actor": "token"})
    refused = refusal(with_token, tmp_path)
    assert isinstance(refused, ExchangeRefused)
    assert refused.error == "invalid_request"


@pytest.mark.parametrize("name", ["oidc_provider", "jmondi", "idpyoidc"])
def test_an_api_that_the_service_gives_no_token_for(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    found = request.getfixturevalue(name)
    refused = refusal(found if isinstance(found, Peer) else found[0], tmp_path, "get_payroll")

    assert isinstance(refused, ExchangeRefused)
    assert refused.error == "invalid_target"
