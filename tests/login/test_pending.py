"""A sign-in that is offered while other things go on: one at a time, for everybody who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from remit.errors import SignInFailed, SignInUnavailable
from remit.login.pending import PendingSignIn

pytestmark = pytest.mark.anyio


class SigningIn:
    """Waits for the person, who may also be refused."""

    def __init__(self) -> None:
        self.begun = 0
        self.answered = asyncio.Event()
        self.error: Exception | None = None
        self.unreachable = False
        self.pending = PendingSignIn(self)

    async def __call__(self, show: Callable[[str], None]) -> None:
        self.begun += 1
        if self.unreachable:
            raise SignInUnavailable("nothing there")
        show(f"https://idp.example.com/{self.begun}")
        await self.answered.wait()
        if self.error is not None:
            raise self.error


async def test_all_who_ask_meanwhile_are_shown_the_same() -> None:
    signing_in = SigningIn()
    urls = await asyncio.gather(*(signing_in.pending.url() for _ in range(5)))
    assert set(urls) == {"https://idp.example.com/1"}
    assert not await signing_in.pending.finished(0.01)
    signing_in.answered.set()
    assert await asyncio.gather(*(signing_in.pending.finished(5) for _ in range(3))) == [True] * 3
    assert await signing_in.pending.url() == "https://idp.example.com/2"
    await signing_in.pending.aclose()


async def test_nothing_has_finished_that_was_not_begun() -> None:
    assert not await SigningIn().pending.finished(5)
    await SigningIn().pending.aclose()


async def test_one_that_fails_is_over_and_another_can_begin() -> None:
    signing_in = SigningIn()
    signing_in.error = SignInFailed("no")
    await signing_in.pending.url()
    signing_in.answered.set()
    assert not await signing_in.pending.finished(5)
    assert await signing_in.pending.url() == "https://idp.example.com/2"
    await signing_in.pending.aclose()


async def test_one_that_cannot_begin_says_why() -> None:
    signing_in = SigningIn()
    signing_in.unreachable = True
    for _ in range(2):
        with pytest.raises(SignInUnavailable):
            await signing_in.pending.url()
    assert signing_in.begun == 2


async def test_who_gives_up_asking_does_not_take_it_from_the_others() -> None:
    signing_in = SigningIn()
    await signing_in.pending.url()
    waiting = asyncio.create_task(signing_in.pending.finished(5))
    await asyncio.sleep(0)
    waiting.cancel()
    signing_in.answered.set()
    assert await signing_in.pending.finished(5)


async def test_it_ends_with_its_process() -> None:
    signing_in = SigningIn()
    await signing_in.pending.url()
    await signing_in.pending.aclose()
    assert not await signing_in.pending.finished(5)
