"""A user whom another issuer proved, at the door and at the embedded token service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from remit.app.wiring import App, running
from remit.audit.store.reader import open_reader
from remit.credential import UnverifiedToken
from remit.demo.workspace import write_workspace
from remit.errors import ExchangeRefused
from remit.exchange.exchanger import DelegatedToken
from remit.exchange.messages import Target, Wanted
from remit.settings import load_settings
from support.issuer import FakeIssuer
from support.servers import serving

CORP = FakeIssuer("https://corp.example", name="corp")


async def keys(_: Request) -> JSONResponse:
    return JSONResponse(CORP.jwks())


@asynccontextmanager
async def federated(folder: Path, *, trusted: bool) -> AsyncIterator[App]:
    """The sample company, whose users sign in at another issuer."""
    write_workspace(folder)
    async with serving(Starlette(routes=[Route("/keys", keys)])) as url:
        file = folder / "remit.yaml"
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        document["identity"] = {"issuers": [{"issuer": CORP.issuer, "jwks_uri": f"{url}/keys"}]}
        document["sts"]["trust_identity_issuers"] = trusted
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        async with running(load_settings(file)) as app:
            yield app


async def exchanged(app: App) -> DelegatedToken:
    """What the bridge does with the user's token."""
    parts = app.bridge._parts
    now = int(app.clock.now())
    token = CORP.mint(aud=app.settings.mcp_resource, iat=now, exp=now + 300, jti="parent")
    caller = await app.bridge.identify(UnverifiedToken(token))
    acting = await parts.actors.resolve(caller.principal)
    wanted = Wanted(Target("orders-api"), ("orders:read",), 60)
    return await parts.exchange.delegated_token(caller, acting, wanted)


@pytest.mark.anyio
async def test_a_trusted_issuers_user_is_delegated_for_under_their_issuers_name(tmp_path: Path) -> None:
    async with federated(tmp_path, trusted=True) as app:
        token = await exchanged(app)
        assert (token.claims["sub"], token.claims["sub_iss"]) == ("alice", CORP.issuer)
        assert token.claims["act"]["sub"] == "agent-runner"


@pytest.mark.anyio
async def test_an_issuer_that_may_only_sign_in_is_not_exchanged_for(tmp_path: Path) -> None:
    async with federated(tmp_path, trusted=False) as app:
        with pytest.raises(ExchangeRefused) as caught:
            await exchanged(app)
        assert caught.value.error == "invalid_request"


@pytest.mark.anyio
async def test_an_exchange_in_this_process_leaves_no_record_of_its_own(tmp_path: Path) -> None:
    async with federated(tmp_path, trusted=True) as app:
        await exchanged(app)
        with open_reader(app.settings.audit_file) as trail:
            assert trail.verify().records == 0
