from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from remit.credential import Credential
from remit.errors import ExchangeUnavailable
from remit.exchange.actor_token import ActorTokens
from remit.exchange.messages import IssuedToken, Target, TokenRequest
from support.clock import FakeClock
from support.issuer import claims_of
from support.sts import ISSUER, World


@dataclass
class Counting:
    """Issues numbered tokens, once it is let."""

    client_id: str = "agent-runner"
    expires_in: int | None = 300
    fails: bool = False
    asked: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def issue(self, request: TokenRequest) -> IssuedToken:
        self.asked += 1
        await self.gate.wait()
        if self.fails:
            raise ExchangeUnavailable("down")
        return IssuedToken(Credential(f"token-{self.asked}"), "", "Bearer", self.expires_in, None)


def tokens(service: Counting, clock: FakeClock | None = None) -> ActorTokens:
    return ActorTokens(service, Target(), clock or FakeClock())


def test_the_token_service_gives_a_token_for_itself() -> None:
    world = World()
    credential = asyncio.run(ActorTokens(world.embedded(), Target(), world.clock)())
    assert claims_of(credential.reveal())["aud"] == ISSUER


@pytest.mark.parametrize(("lifetime", "reused"), [(300, 240), (30, 20), (3600, 2880)])
def test_a_token_is_reused_until_shortly_before_its_end(lifetime: int, reused: int) -> None:
    async def main() -> list[str]:
        service, clock = Counting(expires_in=lifetime), FakeClock()
        service.gate.set()
        source = tokens(service, clock)
        seen = [await source()]
        clock.advance(reused - 1)
        seen.append(await source())
        clock.advance(1)
        seen.append(await source())
        return [credential.reveal() for credential in seen]

    assert asyncio.run(main()) == ["token-1", "token-1", "token-2"]


def test_a_token_of_unknown_life_is_not_reused() -> None:
    async def main() -> int:
        service = Counting(expires_in=None)
        service.gate.set()
        source = tokens(service)
        await source()
        await source()
        return service.asked

    assert asyncio.run(main()) == 2


def test_many_who_wait_share_one_request() -> None:
    async def main() -> tuple[int, int]:
        service = Counting()
        source = tokens(service)
        waiting = [asyncio.create_task(source()) for _ in range(20)]
        await asyncio.sleep(0)
        service.gate.set()
        distinct = len(set(await asyncio.gather(*waiting)))
        return service.asked, distinct

    assert asyncio.run(main()) == (1, 1)


def test_a_caller_that_gives_up_leaves_the_request_to_the_others() -> None:
    async def main() -> tuple[str, int]:
        service = Counting()
        source = tokens(service)
        first, second = asyncio.create_task(source()), asyncio.create_task(source())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        service.gate.set()
        return (await second).reveal(), service.asked

    assert asyncio.run(main()) == ("token-1", 1)


def test_a_failure_is_everybodys_and_the_next_caller_asks_again() -> None:
    async def main() -> list[object]:
        service = Counting(fails=True)
        service.gate.set()
        source = tokens(service)
        outcomes: list[object] = list(await asyncio.gather(source(), source(), return_exceptions=True))
        service.fails = False
        return [*map(type, outcomes), (await source()).reveal()]

    assert asyncio.run(main()) == [ExchangeUnavailable, ExchangeUnavailable, "token-2"]


def test_a_failure_nobody_waits_for_any_more_disturbs_nobody() -> None:
    async def main() -> list[str]:
        complaints: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
        service = Counting(fails=True)
        waiting = asyncio.create_task(tokens(service)())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        service.gate.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return complaints

    assert asyncio.run(main()) == []
