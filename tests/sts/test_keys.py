"""The key ring on a clock that is told the time: states, rotation, what is published when."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import KeyRingInvalid, SettingsInvalid
from remit.sts.keys import KeyRing, KeyState, KeyTiming, state_of, thumbprint
from remit.sts.keys.directory import Change
from support.clock import FakeClock
from support.keys import KeysInMemory

MINUTE, DAY = 60, 86_400


@dataclass
class Ring:
    clock: FakeClock = field(default_factory=FakeClock)
    store: KeysInMemory = field(default_factory=KeysInMemory)

    def __post_init__(self) -> None:
        self.ring = KeyRing(self.store, self.clock)

    def another(self) -> KeyRing:
        """The ring of a second process with the same keys."""
        return KeyRing(self.store, self.clock)

    @property
    def states(self) -> list[str]:
        keys = self.ring.keys
        return [state_of(key, keys, self.clock.now()).value for key in keys]

    @property
    def published(self) -> list[str]:
        return [jwk["kid"] for jwk in self.ring.jwks()["keys"]]

    @property
    def signing(self) -> str:
        return self.ring.signing_key.kid


def test_a_first_key_signs_at_once() -> None:
    ring = Ring()
    assert ring.states == ["active"]
    assert ring.published == [ring.signing]


def test_the_published_key_is_public_and_named_by_its_thumbprint() -> None:
    ring = Ring().ring
    [jwk] = ring.jwks()["keys"]
    assert jwk.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'.encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    assert jwk["kid"] == ring.signing_key.kid == digest
    assert "private" not in repr(ring.signing_key)


def test_the_thumbprint_is_that_of_the_rfcs_example() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
        "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw"
    )  # RFC 7638 §3.1
    assert thumbprint({"e": "AQAB", "kty": "RSA", "n": modulus}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_rotation_publishes_the_next_key_signs_with_it_in_time_and_keeps_the_old_one_until_its_tokens_expired() -> (
    None
):
    ring = Ring()
    old = ring.signing
    ring.ring.rotate()
    assert ring.states == ["active", "next"]
    assert ring.signing == old
    [_, new] = ring.published
    ring.clock.advance(15 * MINUTE - 1)
    assert ring.signing == old
    ring.clock.advance(1)
    assert ring.signing == new
    assert ring.states == ["retiring", "active"]
    ring.clock.advance(20 * MINUTE - 1)
    assert ring.published == [old, new]
    ring.clock.advance(1)
    assert ring.published == [new]
    assert ring.states == ["active"]


def test_a_rotation_that_is_under_way_is_not_begun_again() -> None:
    ring = Ring()
    ring.ring.rotate()
    keys = ring.ring.keys
    ring.clock.advance(5 * MINUTE)
    ring.ring.rotate()
    ring.another().rotate()
    assert ring.ring.keys == keys


def test_a_key_that_has_signed_for_thirty_days_is_followed_by_another_in_time() -> None:
    ring = Ring()
    old = ring.signing
    ring.clock.advance(30 * DAY - 15 * MINUTE - 2)
    assert ring.published == [old]
    ring.clock.advance(2)
    assert ring.states == ["active", "next"]
    ring.clock.advance(15 * MINUTE)
    assert ring.signing != old


def test_a_service_that_slept_through_a_rotation_publishes_the_next_key_before_it_signs() -> None:
    ring = Ring()
    ring.clock.advance(90 * DAY)
    assert ring.states == ["active", "next"]


def test_an_emergency_leaves_no_old_key_at_once() -> None:
    ring = Ring()
    other = ring.another()
    ring.ring.rotate()
    old = set(ring.published)
    ring.ring.replace()
    assert ring.states == ["active"]
    assert not old & {ring.signing, *ring.published}
    ring.clock.advance(1)
    assert other.signing_key == ring.ring.signing_key
    assert other.jwks() == ring.ring.jwks()


def test_the_store_is_asked_at_most_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring()
    asked: list[float] = []

    def newest() -> int:
        asked.append(ring.clock.now())
        return 1

    monkeypatch.setattr(ring.store, "newest", newest)
    document = ring.ring.jwks()
    for _ in range(100):
        assert ring.ring.jwks() is document
        ring.clock.advance(0.0625)
    assert len(asked) == 6


def test_keys_that_can_no_longer_be_read_stay_in_use(caplog: pytest.LogCaptureFixture) -> None:
    ring = Ring()
    kid = ring.signing
    ring.store.change = Change(0, ())
    for _ in range(5):
        ring.clock.advance(1)
        assert ring.signing == kid
    assert [record.message for record in caplog.records] == [
        "signing keys cannot be followed: the signing keys are gone (, )"
    ]


def test_a_store_that_never_takes_a_change_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring()
    monkeypatch.setattr(ring.store, "write", lambda *_, **__: False)
    with pytest.raises(KeyRingInvalid, match="others keep changing"):
        ring.ring.rotate()


def test_a_clock_that_was_ahead_for_a_while_does_not_stop_rotations() -> None:
    ring = Ring()
    ring.clock.advance(400 * DAY)
    assert ring.states == ["active", "next"]
    ring.clock.advance(-400 * DAY)
    ring.clock.advance(2)
    assert ring.states == ["active", "next"]
    ring.ring.rotate()
    ring.clock.advance(15 * MINUTE)
    assert ring.states == ["retiring", "active"]


@pytest.mark.parametrize("times", [(900, 900, 1200), (900, 1000, 1200), (900, 0, 1), (900, 60, 0)])
def test_times_that_cannot_be_kept_are_refused(times: tuple[int, int, int]) -> None:
    with pytest.raises(SettingsInvalid):
        KeyTiming(*times)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["rotate", "replace", "restart"]),
            st.integers(-2 * DAY, 40 * DAY),
            st.integers(1, 40 * MINUTE),
        ),
        max_size=25,
    )
)
def test_whatever_happens_one_published_key_signs_and_no_next_key_signs_too_early(steps: list[str | int]) -> None:
    ring = Ring()
    for step in steps:
        before = ring.ring.keys
        match step:
            case "rotate":
                ring.ring.rotate()
            case "replace":
                ring.ring.replace()
            case "restart":
                ring.ring = ring.another()
            case int():
                ring.clock.advance(step)
        states = ring.states
        assert states.count(KeyState.ACTIVE) == 1
        assert ring.signing in ring.published
        assert KeyState.GONE not in states
        new = {key.key for key in ring.ring.keys} - {key.key for key in before}
        if step != "replace":
            assert all(key.signs_from - key.published >= 15 * MINUTE for key in ring.ring.keys if key.key in new)
