"""`remit users`: who can sign in."""

from __future__ import annotations

import os
import stat

import pytest

from remit.audit.store.reader import open_reader
from support.terminal import Terminal

PASSWORD = "seven blue horses"


@pytest.fixture
def shop(remit: Terminal) -> Terminal:
    """An installation that has never been started."""
    assert remit("init", ".").code == 0
    return remit


def controls(terminal: Terminal) -> list[dict[str, str]]:
    with open_reader(terminal.cwd / ".remit" / "audit.db") as trail:
        return [record.facts["control"] for record in trail.after(0)]


def test_a_new_installation_has_people_and_no_passwords(shop: Terminal) -> None:
    users = shop("users", "list", "--json").document["users"]
    assert {user["user"] for user in users} >= {"alice", "bob"}
    assert not any(user["has_password"] for user in users)
    assert not (shop.cwd / ".remit" / "passwords").exists()


def test_a_password_is_kept_as_a_hash_that_its_owner_alone_can_read(shop: Terminal) -> None:
    done = shop("users", "password", "alice", "--stdin", stdin=f"{PASSWORD}\n")
    assert (done.code, done.out) == (0, "")
    file = shop.cwd / ".remit" / "passwords"
    text = file.read_text(encoding="ascii")
    assert text.startswith("alice:$argon2id$")
    assert PASSWORD not in text
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [alice] = [user for user in shop("users", "list", "--json").document["users"] if user["user"] == "alice"]
    assert alice["has_password"]
    assert "yes" in shop("users", "list").out
    assert [(each["action"], each["value"]) for each in controls(shop)] == [("set-password", "alice")]
    assert PASSWORD not in str(controls(shop))


def test_a_password_can_be_changed_and_removed(shop: Terminal) -> None:
    file = shop.cwd / ".remit" / "passwords"
    shop("users", "password", "alice", "--stdin", stdin=f"{PASSWORD}\n")
    shop("users", "password", "bob", "--stdin", stdin=f"{PASSWORD}\n")
    first = file.read_text(encoding="ascii").splitlines()
    shop("users", "password", "alice", "--stdin", stdin="eight green horses\n")
    second = file.read_text(encoding="ascii").splitlines()
    assert second[0] != first[0]
    assert second[1] == first[1]
    assert shop("users", "remove", "alice").code == 0
    assert file.read_text(encoding="ascii").splitlines() == second[1:]
    again = shop("users", "remove", "alice")
    assert again.code == 2
    assert "alice has no password" in again.err


def test_nobody_gets_a_password_who_is_not_in_the_settings(shop: Terminal) -> None:
    done = shop("users", "password", "mallory", "--stdin", stdin=f"{PASSWORD}\n")
    assert done.code == 2
    assert "sts.users" in done.err


@pytest.mark.parametrize("password", ["", "short", "x" * 1025, "é" * 600])
def test_a_password_that_is_too_short_or_too_long_is_not_taken(shop: Terminal, password: str) -> None:
    done = shop("users", "password", "alice", "--stdin", stdin=f"{password}\n")
    assert done.code == 2
    assert not (shop.cwd / ".remit" / "passwords").exists()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_file_that_others_can_read_is_not_used(shop: Terminal) -> None:
    shop("users", "password", "alice", "--stdin", stdin=f"{PASSWORD}\n")
    (shop.cwd / ".remit" / "passwords").chmod(0o640)
    done = shop("users", "list")
    assert done.code == 2
    assert "others than its owner" in done.err
