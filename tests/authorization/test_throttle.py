"""Guessing: it gets slower, and tells nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.authorization.file import AuthorizationsFile
from remit.authorization.throttle import Attempt, Limit, Throttle, password_counters, penalty, user_code_counters
from support.clock import FakeClock
from support.pages import PASSWORD, Page, Site, authorize, site

WRONG = "eight green horses"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def file(tmp_path: Path, clock: FakeClock) -> Iterator[AuthorizationsFile]:
    made = AuthorizationsFile(tmp_path / "authorizations.db", clock)
    yield made
    made.close()


@pytest.fixture
def throttle(file: AuthorizationsFile) -> Throttle:
    return Throttle(file)


def begin(throttle: Throttle, user: str = "alice", address: str = "192.0.2.1") -> Attempt:
    return asyncio.run(throttle.begin(password_counters(user, address)))


def succeed(throttle: Throttle, user: str = "alice", address: str = "192.0.2.1") -> None:
    asyncio.run(throttle.succeeded(password_counters(user, address)))


def test_four_mistakes_are_free_and_each_further_one_doubles_the_wait(throttle: Throttle, clock: FakeClock) -> None:
    waits = []
    for _ in range(16):
        attempt = begin(throttle)
        if attempt.wait:
            waits.append(attempt.wait)
            clock.advance(attempt.wait)
            assert begin(throttle).wait == 0
    assert waits[:6] == [1, 2, 4, 8, 16, 32]
    for _ in range(8):
        waits.append(begin(throttle).wait)
        clock.advance(waits[-1])
        begin(throttle)
    assert max(waits) <= 900


def test_waiting_costs_nothing_more(throttle: Throttle) -> None:
    for _ in range(5):
        begin(throttle)
    assert [begin(throttle).wait for _ in range(5)] == [1] * 5


def test_of_many_at_once_only_a_few_get_through(throttle: Throttle) -> None:
    async def main() -> list[Attempt]:
        counters = password_counters("alice", "192.0.2.1")
        return await asyncio.gather(*(throttle.begin(counters) for _ in range(50)))

    assert sum(not attempt.wait for attempt in asyncio.run(main())) == 5


def test_a_success_forgets_the_users_failures_and_only_itself_of_the_address(
    throttle: Throttle, clock: FakeClock
) -> None:
    for _ in range(4):
        begin(throttle)
    begin(throttle)
    succeed(throttle)
    assert begin(throttle).wait == 0
    for number in range(25):
        begin(throttle, f"u{number}")
    assert begin(throttle, "somebody").wait == 1
    succeed(throttle, "somebody")  # begun before: it does not wipe what others did from there
    assert begin(throttle, "somebody").wait == 0
    assert begin(throttle, "somebody").wait > 0
    assert begin(throttle, "somebody", "198.51.100.7").wait == 0


def test_failures_are_forgotten_in_time(throttle: Throttle, clock: FakeClock) -> None:
    for _ in range(5):
        begin(throttle)
    clock.advance(5 * 900)
    assert [begin(throttle).wait for _ in range(5)] == [0] * 5
    assert begin(throttle).wait == 1


def test_everything_together_is_held_to_a_pace_too(throttle: Throttle) -> None:
    for number in range(200):
        assert begin(throttle, f"u{number}", f"10.0.{number}.1").wait == 0
    assert begin(throttle, "another", "198.51.100.7").wait == 1


def test_addresses_of_one_network_count_as_one() -> None:
    def key(address: str) -> str:
        return password_counters("alice", address)[1].key

    assert key("2001:db8::1") == key("2001:db8::ffff:2") != key("2001:db8:0:1::1")
    assert key("::ffff:192.0.2.1") == key("192.0.2.1") != key("192.0.2.2")
    assert key("fe80::1%eth0") == key("fe80::1")
    assert key("") == key("testclient") == "address:unknown"


def test_what_was_typed_does_not_stand_in_the_file(tmp_path: Path, throttle: Throttle) -> None:
    begin(throttle, PASSWORD)
    assert PASSWORD.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_user_codes_are_not_guessed_faster_by_somebody_who_has_one(throttle: Throttle) -> None:
    counters = user_code_counters("alice", "", "192.0.2.1")

    async def main() -> list[int]:
        waits = []
        for _ in range(6):
            waits.append((await throttle.begin(counters)).wait)
        await throttle.succeeded(counters)
        return waits

    assert asyncio.run(main()) == [0, 0, 0, 0, 0, 1]


@given(st.integers(0, 10**6), st.integers(1, 100), st.integers(1, 10_000))
def test_the_wait_only_grows_and_has_an_end(failures: int, free: int, longest: int) -> None:
    limit = Limit(free, leak=60, longest=longest)
    assert 0 <= penalty(failures, limit) <= penalty(failures + 1, limit) <= longest


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path / "site") as made:
        yield made


def refused(shop: Site, user: str, password: str = WRONG) -> Page:
    return Page(shop.browser().sign_in(authorize(), user, password))


@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_who_guesses_is_told_to_wait_whether_there_is_such_a_user_or_not(shop: Site, user: str) -> None:
    pages = [refused(shop, user) for _ in range(5)]
    assert {page.status for page in pages} == {403}
    assert {page.text for page in pages} == {pages[0].text}
    locked = refused(shop, user)
    assert (locked.status, locked.response.headers["retry-after"]) == (429, "1")
    assert "Wait 1 second" in locked.text
    right = refused(shop, user, PASSWORD)
    assert (right.status, right.text) == (locked.status, locked.text)
    shop.clock.advance(1)
    last = refused(shop, user, PASSWORD)
    assert last.status == (303 if user == "alice" else 403)


def test_a_wrong_user_and_a_wrong_password_look_the_same(shop: Site) -> None:
    pages = {refused(shop, user).text for user in ("alice", "nobody", "a" * 128)}
    assert len(pages) == 1


def test_the_trail_is_told_once_a_minute_and_never_what_nobody_is_called(shop: Site) -> None:
    for _ in range(4):
        refused(shop, "alice")
        refused(shop, PASSWORD)
    told = [what for action, what in shop.trail.told if action == "sign_in_failed"]
    assert [what["value"] for what in told] == ["alice", ""]
    shop.clock.advance(60)
    refused(shop, PASSWORD)
    refused(shop, "alice")
    told = [what for action, what in shop.trail.told if action == "sign_in_failed"]
    assert [what["value"] for what in told] == ["alice", "", "", "alice"]
    assert PASSWORD not in str(shop.trail.told)
