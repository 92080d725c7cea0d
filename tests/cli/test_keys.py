"""`remit keys`: what signs, and how it is replaced."""

from __future__ import annotations

import pytest

from remit.audit.store.reader import open_reader
from support.terminal import Terminal


@pytest.fixture
def shop(remit: Terminal) -> Terminal:
    """An installation that has never been started."""
    assert remit("init", ".").code == 0
    return remit


def controls(terminal: Terminal) -> list[dict[str, str]]:
    with open_reader(terminal.cwd / ".remit" / "audit.db") as trail:
        return [record.facts["control"] for record in trail.after(0)]


def test_before_the_first_start_there_are_no_keys_and_none_are_made(shop: Terminal) -> None:
    done = shop("keys", "list")
    assert (done.code, done.out) == (0, "")
    assert shop("keys", "list", "--json").document == {"keys": []}


def test_a_rotation_shows_who_signs_when_and_can_be_asked_for_twice(shop: Terminal) -> None:
    first = shop("keys", "rotate", "--json").document["keys"]
    assert [key["state"] for key in first] == ["active", "next"]
    active, following = first
    assert active["until"] == following["until"] == following["since"] + 900
    assert {key["algorithm"] for key in first} == {"ES256"}
    again = shop("keys", "rotate")
    assert again.code == 0
    assert shop("keys", "list", "--json").document["keys"] == first
    table = shop("keys", "list").out
    for key in first:
        assert f"{key['kid']} " in table
    assert [control["action"] for control in controls(shop)] == ["rotate-keys"]


def test_an_emergency_says_what_breaks_and_leaves_one_new_key(shop: Terminal) -> None:
    before = {key["kid"] for key in shop("keys", "rotate", "--json").document["keys"]}
    done = shop("keys", "rotate", "--emergency", "--json")
    [key] = done.document["keys"]
    assert key["state"] == "active"
    assert key["kid"] not in before
    assert "refused from now" in done.err
    assert shop("keys", "list", "--json").document["keys"] == [key]
    last = controls(shop)[-1]
    assert (last["action"], last["kind"], last["value"]) == ("rotate-keys", "emergency", key["kid"])
    assert set(last["dropped"].split()) == before
    assert last["by"].startswith("operator")


def test_damaged_keys_are_an_error_with_a_hint(shop: Terminal) -> None:
    shop("keys", "rotate")
    [file] = (shop.cwd / ".remit" / "keys").glob("*/keys.json")
    file.write_text("{}")
    done = shop("keys", "list")
    assert (done.code, done.out) == (2, "")
    assert "key_ring_invalid" in done.err
    assert shop("check").code == 1


def test_without_the_token_service_there_are_no_keys_to_rotate(shop: Terminal) -> None:
    assert shop("keys", "list", REMIT_STS__ENABLED="false").code == 2
