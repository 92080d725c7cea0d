"""Path: the access token of whoever is signed in, renewed in time and by one process alone.

1. read the login, where it has changed since;
2. an access token that is good for a while is used as it is;
3. else take the lock of the login, so that no other process renews it too;
4. read it again: another process may have renewed it meanwhile;
5. renew it, and keep what came.

Refresh tokens are good once: a server takes a second use for theft and ends the login. So a renewal that has begun is
carried to its end, whatever becomes of the call that needed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, TypeAlias

from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.errors import SignInFailed, SignInRequired, SignInUnavailable
from remit.login.asking import connected
from remit.login.login import Login, LoginClient
from remit.login.store import LoginStore, Version
from remit.login.token_endpoint import TokenEndpoint

#: An access token that is good for fewer seconds is renewed first.
MARGIN: Final = 30
_OTHER_WAYS: Final = (
    "or give a token by REMIT_SUBJECT_TOKEN_FILE or _COMMAND; with `remit call`, name --as USER or --token-file FILE"
)
#: What must be open while the issuer is asked: an embedded one may be served by nobody.
Served: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


class LoginTokens:
    """A source of subject tokens. ``required`` is what is said where nobody is signed in.

    Raises ``SignInRequired``; ``SignInUnavailable`` and ``SignInFailed``, which leave the login as it is; and
    ``StateInvalid``.
    """

    def __init__(
        self, client: LoginClient, store: LoginStore, clock: Clock, *, required: str, served: Served = nullcontext
    ) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._required = required
        self._served = served
        self._login: Login | None = None
        self._version: Version | None = None
        self._renewal: asyncio.Task[Login] | None = None

    async def __call__(self) -> UnverifiedToken | None:
        """The access token, good for ``MARGIN`` seconds or as long as it can be had."""
        login = await self._current()  # 1
        if self._left(login) < MARGIN:  # 2
            login = await self._renewed()
        return login.access_token

    async def aclose(self) -> None:
        """Let a renewal that is under way come to its end. It is bounded."""
        if self._renewal is not None:
            await asyncio.wait({self._renewal})

    async def _current(self) -> Login:
        version = self._store.version(self._client.target)
        if version is None:
            raise self._nobody()
        if version != self._version or self._login is None:
            self._login = await asyncio.to_thread(self._store.read, self._client.target)
            self._version = version
        if self._login is None:
            raise self._nobody()
        return self._login

    async def _renewed(self) -> Login:
        """What the renewal gives that is under way in this process, or a new one."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
            self._renewal.add_done_callback(_looked_at)
        await asyncio.wait({self._renewal})
        return self._renewal.result()

    async def _renew(self) -> Login:
        async with self._store.locked(self._client.target):  # 3
            login = await self._current()  # 4
            left = self._left(login)
            if left >= MARGIN:
                return login
            if login.refresh_token is None:
                return self._while_it_lasts(login, self._nobody())
            try:
                renewed = await self._ask(login)  # 5
            except SignInUnavailable as error:
                return self._while_it_lasts(login, error)
            except SignInFailed as error:
                if error.error != "invalid_grant":
                    raise
                await asyncio.to_thread(self._store.erase, login.target)
                raise self._nobody() from error
            self._login = renewed  # even where it cannot be kept: the old one is used up
            await asyncio.to_thread(self._store.write, renewed)
            self._version = self._store.version(login.target)
            return renewed

    async def _ask(self, login: Login) -> Login:
        async with self._served(), connected() as http:
            return await TokenEndpoint(login.token_endpoint, self._client, http, self._clock).renew(login)

    def _while_it_lasts(self, login: Login, error: SignInRequired | SignInUnavailable) -> Login:
        if self._left(login) > 0:
            return login
        raise error

    def _left(self, login: Login) -> float:
        return login.expires_at - self._clock.now()

    def _nobody(self) -> SignInRequired:
        return SignInRequired(self._required, hint=_OTHER_WAYS)


def _looked_at(task: asyncio.Task[Login]) -> None:
    """Whoever waited for it may be gone, and its error with them."""
    if not task.cancelled():
        task.exception()
