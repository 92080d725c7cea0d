"""The users' passwords: how they are kept and checked."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from remit.authorization.passwords import PasswordFile, Passwords, hash_password, normalised
from remit.credential import Credential
from remit.errors import GrantUnavailable, StateInvalid
from support.pages import HASHER, PASSWORD


@pytest.fixture
def file(tmp_path: Path) -> PasswordFile:
    made = PasswordFile(tmp_path / "passwords")
    made.change(lambda hashes: hashes.update(alice=HASHER.hash(PASSWORD)))
    return made


@pytest.fixture
def passwords(file: PasswordFile) -> Iterator[Passwords]:
    made = Passwords(file, HASHER)
    yield made
    made.close()


def check(passwords: Passwords, user: str, password: str) -> bool:
    return asyncio.run(passwords.verify(user, Credential(password)))


def test_the_right_password_is_right_and_all_others_are_wrong(passwords: Passwords) -> None:
    assert check(passwords, "alice", PASSWORD)
    for user, password in (
        ("alice", PASSWORD + " "),
        ("alice", PASSWORD.upper()),
        ("alice", ""),
        ("alice", "x" * 5000),
        ("Alice", PASSWORD),
        ("bob", PASSWORD),
        ("", PASSWORD),
        ("", ""),
        ("nobody", "nobody's"),
    ):
        assert not check(passwords, user, password)


def test_a_composed_and_a_decomposed_letter_are_the_same(file: PasswordFile, passwords: Passwords) -> None:
    file.change(lambda hashes: hashes.update(alice=HASHER.hash("caf\u00e9 au lait")))
    assert check(passwords, "alice", "cafe\u0301 au lait")


def test_who_is_not_there_takes_the_same_work_as_who_is(file: PasswordFile) -> None:
    class Counting(PasswordHasher):
        checked: list[str]

        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  its name there
            self.checked.append(str(hash).rsplit("$", 2)[0])
            return super().verify(hash, password)

    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    hasher.checked = []
    passwords = Passwords(file, hasher)
    for user, password in (("alice", "wrong"), ("nobody", "wrong"), ("alice", ""), ("nobody", "x" * 5000)):
        assert not check(passwords, user, password)
    passwords.close()
    assert len(hasher.checked) == 4
    assert len(set(hasher.checked)) == 1  # the same algorithm with the same parameters


def test_no_more_than_two_are_checked_at_once_and_the_rest_do_not_wait_for_ever(file: PasswordFile) -> None:
    go, lock = threading.Event(), threading.Lock()
    now: list[int] = [0, 0]

    class Slow(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  its name there
            with lock:
                now[0] += 1
                now[1] = max(now)
            go.wait(10)
            with lock:
                now[0] -= 1
            return super().verify(hash, password)

    passwords = Passwords(file, Slow(time_cost=1, memory_cost=8, parallelism=1))

    async def main() -> None:
        doing = [asyncio.create_task(passwords.verify("alice", Credential(PASSWORD))) for _ in range(32)]
        await asyncio.sleep(0)
        with pytest.raises(GrantUnavailable):
            await passwords.verify("alice", Credential(PASSWORD))
        go.set()
        assert all(await asyncio.gather(*doing))

    asyncio.run(main())
    passwords.close()
    assert now == [0, 2]


def test_a_changed_file_counts_at_once(file: PasswordFile, passwords: Passwords) -> None:
    before = passwords.mark("alice")
    file.change(lambda hashes: hashes.update(alice=HASHER.hash("eight green horses")))
    assert not check(passwords, "alice", PASSWORD)
    assert check(passwords, "alice", "eight green horses")
    assert passwords.mark("alice") not in {"", before}
    file.change(lambda hashes: hashes.clear())
    assert not check(passwords, "alice", "eight green horses")
    assert passwords.mark("alice") == ""


def test_an_old_hash_is_renewed_when_its_user_signs_in(file: PasswordFile) -> None:
    before = file.read()["alice"]
    passwords = Passwords(file, PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert check(passwords, "alice", PASSWORD)
    passwords.close()
    after = file.read()["alice"]
    assert after != before
    assert "m=16,t=2" in after


def test_whoever_signs_in_stays_signed_in_while_their_hash_is_renewed(file: PasswordFile) -> None:
    passwords = Passwords(file, PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    before = passwords.mark("alice")
    assert check(passwords, "alice", PASSWORD)
    signed_in = passwords.mark("alice")
    passwords.close()
    assert before != signed_in == passwords.mark("alice")


def test_without_a_file_nobody_has_a_password(tmp_path: Path) -> None:
    passwords = Passwords(PasswordFile(tmp_path / "none"), HASHER)
    assert not check(passwords, "alice", PASSWORD)
    passwords.close()


@pytest.mark.parametrize(
    "text",
    [
        "alice\n",
        "alice:plain\n",
        "alice:$2b$12$abcdefghijklmnopqrstuv\n",
        "alice:$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA\n",
        "al ice:$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA\n",
        "alice:$argon2id$x\nalice:$argon2id$y\n",
        "\n",
        "é:$argon2id$x\n",
    ],
)
def test_a_file_that_is_not_understood_lets_nobody_in(tmp_path: Path, text: str) -> None:
    path = tmp_path / "passwords"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(StateInvalid) as refused:
        PasswordFile(path).read()
    assert "argon2" not in refused.value.message


def test_a_broken_hash_is_a_wrong_password(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.write_text("alice:$argon2id$v=19$m=8,t=1,p=1$c2Fs\n", encoding="ascii")
    path.chmod(0o600)
    passwords = Passwords(PasswordFile(path), HASHER)
    assert not check(passwords, "alice", PASSWORD)
    passwords.close()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_lets_nobody_in(tmp_path: Path, file: PasswordFile, mode: int) -> None:
    file.read()
    (tmp_path / "passwords").chmod(mode)
    with pytest.raises(StateInvalid):
        file.read()


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path, file: PasswordFile) -> None:
    before = (tmp_path / "passwords").read_bytes()

    def edit(hashes: dict[str, str]) -> None:
        hashes.clear()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        file.change(edit)
    assert (tmp_path / "passwords").read_bytes() == before
    assert not (tmp_path / "passwords.new").exists()


def test_two_who_change_it_at_once_lose_nothing(tmp_path: Path) -> None:
    def merge(more: dict[str, str], hashes: dict[str, str]) -> None:
        hashes.update(more)

    def add(number: int) -> None:
        for each in range(10):
            line = {f"u{number}-{each}": "$argon2id$x"}
            PasswordFile(tmp_path / "passwords").change(partial(merge, line))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(PasswordFile(tmp_path / "passwords").read()) == 40


def test_a_new_password_is_neither_short_nor_endless() -> None:
    assert hash_password(Credential("twelve chars")).startswith("$argon2id$")
    for bad in ("", "eleven char", "x" * 1025, "é" * 513):
        with pytest.raises(ValueError):
            hash_password(Credential(bad))


@given(st.text(max_size=1100))
def test_what_is_hashed_is_bounded_and_never_empty(text: str) -> None:
    encoded = normalised(Credential(text))
    assert encoded is None or 0 < len(encoded) <= 1024
