"""One login for all processes: used while it is good, renewed once, and forgotten when its server says so."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from remit.credential import Credential, UnverifiedToken
from remit.errors import SignInFailed, SignInRequired, SignInUnavailable, StateInvalid
from remit.login.ending import revoke
from remit.login.login import Login, LoginClient, LoginTarget
from remit.login.store import LoginStore
from remit.login.tokens import LoginTokens
from support.clock import FakeClock
from support.login_server import CLIENT, RESOURCE, LoginServer, an_access_token
from support.servers import Listener, serving_in_thread

pytestmark = pytest.mark.anyio
SCRIPT = Path(__file__).parent / "renewing.py"


def a_login(server: LoginServer, *, expires_at: int, refresh: str = "refresh-first") -> Login:
    server.families[refresh] = 0
    return Login(
        target=LoginTarget(server.issuer, CLIENT, RESOURCE),
        access_token=UnverifiedToken(an_access_token("alice", -1)),
        refresh_token=Credential(refresh) if refresh else None,
        expires_at=expires_at,
        scopes=("orders:read",),
        account="alice",
        token_endpoint=f"{server.issuer}/token",
    )


class Session:
    """A process that speaks for whoever is signed in."""

    def __init__(self, client: LoginClient, store: LoginStore, clock: FakeClock) -> None:
        self.served = 0
        self.tokens = LoginTokens(client, store, clock, required="run this", served=self._served)

    @asynccontextmanager
    async def _served(self) -> AsyncIterator[None]:
        self.served += 1
        yield

    async def token(self) -> str:
        token = await self.tokens()
        assert token is not None
        return token.reveal()


@pytest.fixture
def session(client: LoginClient, store: LoginStore, clock: FakeClock) -> Session:
    return Session(client, store, clock)


async def test_nobody_signed_in_is_told_what_to_run(session: Session) -> None:
    with pytest.raises(SignInRequired) as caught:
        await session.token()
    assert caught.value.message == "run this"


async def test_a_good_token_is_used_as_it_is_and_noticed_when_it_changes(
    session: Session, server: LoginServer, store: LoginStore, clock: FakeClock
) -> None:
    login = a_login(server, expires_at=int(clock.now()) + 30)
    store.write(login)
    assert [await session.token() for _ in range(3)] == [login.access_token.reveal()] * 3
    store.write(replace(login, access_token=UnverifiedToken("of-bob")))  # another process
    assert await session.token() == "of-bob"
    store.erase(login.target)
    with pytest.raises(SignInRequired):
        await session.token()
    assert (server.forms, session.served) == ([], 0)


async def test_a_token_that_is_nearly_over_is_renewed_and_kept(
    session: Session, server: LoginServer, store: LoginStore, clock: FakeClock
) -> None:
    login = a_login(server, expires_at=int(clock.now()) + 29)
    store.write(login)
    token = await session.token()
    assert token != login.access_token.reveal()
    assert server.forms == [
        {
            "grant_type": "refresh_token",
            "refresh_token": "refresh-first",
            "resource": RESOURCE,
            "client_id": CLIENT,
        }
    ]
    kept = store.read(login.target)
    assert kept is not None
    assert (kept.access_token.reveal(), kept.scopes, kept.expires_at) == (token, ("orders:read",), clock.now() + 600)
    clock.advance(600)
    assert await session.token() != token
    assert (server.refreshes, session.served) == (2, 2)


async def test_a_server_that_does_not_rotate_keeps_its_refresh_token_good(
    session: Session, server: LoginServer, store: LoginStore, clock: FakeClock
) -> None:
    server.rotates, server.answer = False, {"refresh_token": None}
    store.write(a_login(server, expires_at=0))
    await session.token()
    clock.advance(600)
    await session.token()
    assert [form["refresh_token"] for form in server.forms] == ["refresh-first"] * 2


async def test_a_refused_renewal_is_the_end_of_the_login(
    session: Session, server: LoginServer, store: LoginStore
) -> None:
    login = a_login(server, expires_at=0)
    server.ended.add(0)
    store.write(login)
    for _ in range(2):
        with pytest.raises(SignInRequired):
            await session.token()
    assert store.read(login.target) is None
    assert server.refreshes == 1


async def test_trouble_with_the_server_leaves_the_login_alone(
    session: Session, server: LoginServer, store: LoginStore, clock: FakeClock
) -> None:
    login = a_login(server, expires_at=int(clock.now()) + 10)
    store.write(login)
    server.status = 503
    assert await session.token() == login.access_token.reveal()  # while it lasts
    clock.advance(10)
    with pytest.raises(SignInUnavailable):
        await session.token()
    server.status = 401  # something is wrong with the client, not with the login
    with pytest.raises(SignInFailed):
        await session.token()
    assert store.read(login.target) == login
    server.status = 0
    await session.token()


async def test_a_login_that_cannot_be_renewed_lasts_as_long_as_its_token(
    session: Session, server: LoginServer, store: LoginStore, clock: FakeClock
) -> None:
    login = a_login(server, expires_at=int(clock.now()) + 1, refresh="")
    store.write(login)
    assert await session.token() == login.access_token.reveal()
    clock.advance(1)
    with pytest.raises(SignInRequired):
        await session.token()


async def test_many_calls_of_one_process_renew_once(
    session: Session, server: LoginServer, store: LoginStore, clock: FakeClock
) -> None:
    store.write(a_login(server, expires_at=0))
    tokens = await asyncio.gather(*(session.token() for _ in range(20)))
    assert len(set(tokens)) == 1
    assert server.refreshes == 1


async def test_a_call_that_is_given_up_does_not_break_off_the_renewal(
    session: Session, server: LoginServer, store: LoginStore
) -> None:
    """What the server has rotated must not be lost."""
    server.hold = asyncio.Event()
    login = a_login(server, expires_at=0)
    store.write(login)
    calling = asyncio.create_task(session.token())
    await server.renewing.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    server.hold.set()
    await session.tokens.aclose()
    kept = store.read(login.target)
    assert kept is not None
    assert kept.refresh_token != login.refresh_token
    await session.token()
    assert server.refreshes == 1


class Full(LoginStore):
    """One that takes nothing new."""

    def write(self, login: Login) -> None:
        raise StateInvalid("the disk is full")


async def test_a_login_that_cannot_be_kept_is_used_all_the_same_by_this_process(
    server: LoginServer, client: LoginClient, store: LoginStore, clock: FakeClock, tmp_path: Path
) -> None:
    store.write(a_login(server, expires_at=0))
    session = Session(client, Full(tmp_path / "logins", keep="file"), clock)
    with pytest.raises(StateInvalid):
        await session.token()
    await session.token()
    assert server.refreshes == 1


def test_many_processes_share_one_login_and_renew_it_once(tmp_path: Path) -> None:
    listener, server = Listener(), LoginServer()
    server.issuer = listener.url
    folder = tmp_path / "logins"
    LoginStore(folder, keep="file").write(a_login(server, expires_at=int(time.time()) - 1))
    with serving_in_thread(server.app, listener):
        command = [sys.executable, str(SCRIPT), str(folder), server.issuer, "5"]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        printed = [process.communicate(timeout=30)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert {len(lines) for lines in printed} == {5}
    assert len({line for lines in printed for line in lines}) == 1
    assert server.refreshes == 1
    assert server.ended == set()


async def test_a_login_is_ended_at_its_server(server: LoginServer, client: LoginClient, clock: FakeClock) -> None:
    await revoke(a_login(server, expires_at=0), client, clock)
    await revoke(a_login(server, expires_at=0, refresh=""), client, clock)
    assert [form["token_type_hint"] for form in server.revoked] == ["refresh_token", "access_token"]
    assert server.revoked[0]["token"] == "refresh-first"
    assert server.ended == {0}
    server.metadata = {"revocation_endpoint": None}
    with pytest.raises(SignInFailed):
        await revoke(a_login(server, expires_at=0), client, clock)
