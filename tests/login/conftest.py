"""An authorization server on a real port, and a folder to keep logins in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from remit.login.login import LoginClient, LoginTarget
from remit.login.store import LoginStore
from support.clock import FakeClock
from support.login_server import CLIENT, RESOURCE, LoginServer
from support.servers import Listener, serving


@pytest.fixture
async def server() -> AsyncIterator[LoginServer]:
    listener, server = Listener(), LoginServer()
    server.issuer = listener.url
    async with serving(server.app, listener):
        yield server


@pytest.fixture
def client(server: LoginServer) -> LoginClient:
    return LoginClient(LoginTarget(server.issuer, CLIENT, RESOURCE), scopes=("orders:read",))


@pytest.fixture
def store(tmp_path: Path) -> LoginStore:
    return LoginStore(tmp_path / "logins", keep="file")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
