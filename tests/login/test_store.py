"""Logins are kept whole, for their owner alone, in the keyring or in files."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked, PasswordDeleteError

from remit.credential import Credential, UnverifiedToken
from remit.errors import StateInvalid
from remit.login import keyring_vault
from remit.login.keyring_vault import PART, KeyringVault
from remit.login.login import Login, LoginTarget
from remit.login.store import LoginStore, keep
from remit.login.vault import Vault

TARGET = LoginTarget("https://idp.example.com", "tester", "https://remit.example.com/mcp")
OTHER = replace(TARGET, client_id="other")
posix_only = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


def a_login(name: str = "one", target: LoginTarget = TARGET) -> Login:
    return Login(
        target=target,
        access_token=UnverifiedToken(f"access-{name}"),
        refresh_token=Credential(f"refresh-{name}"),
        expires_at=1_800_000_600,
        scopes=("a", "b"),
        account="alice é",
        token_endpoint="https://idp.example.com/token",
    )


class Keyring(KeyringBackend):
    """One that takes no more than Windows does."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        if len(password.encode("utf-16-le")) > 2560:
            raise ValueError("too long")
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError("not there")

    def _check(self) -> None:
        if self.locked:
            raise KeyringLocked("locked")


@pytest.fixture
def ring() -> Keyring:
    return Keyring()


Make = Callable[..., LoginStore]


@pytest.fixture
def make(tmp_path: Path, ring: Keyring) -> Make:
    def made(how: str, keyring: Callable[[], Vault | None] = lambda: KeyringVault(ring)) -> LoginStore:
        return LoginStore(tmp_path / "logins", keep=how, keyring=keyring)  # type: ignore[arg-type]

    return made


@pytest.mark.parametrize("how", ["auto", "keyring", "file"])
def test_what_was_written_is_read_until_it_is_erased(make: Make, how: str, ring: Keyring, tmp_path: Path) -> None:
    store = make(how)
    assert store.read(TARGET) is None
    assert store.version(TARGET) is None
    assert store.where(TARGET) == ""
    store.write(a_login("one"))
    store.write(a_login("other", OTHER))
    before = store.version(TARGET)
    store.write(a_login("two"))
    assert store.version(TARGET) != before
    assert make(how).read(TARGET) == a_login("two")
    assert store.where(TARGET)
    assert set(store.targets()) == {TARGET, OTHER}
    assert store.erase(TARGET)
    assert not store.erase(TARGET)
    assert store.read(TARGET) is None
    assert store.read(OTHER) == a_login("other", OTHER)
    assert store.erase(OTHER)
    assert ring.entries == {}  # nothing is left behind
    assert not [path for path in (tmp_path / "logins").iterdir() if path.suffix != ".lock"]


def test_in_the_keyring_nothing_secret_is_in_any_file(make: Make, ring: Keyring, tmp_path: Path) -> None:
    long = replace(a_login(), access_token=UnverifiedToken("x" * 3 * PART))
    make("auto").write(long)
    assert make("auto").read(TARGET) == long
    assert len(ring.entries) == 4
    assert {service for service, _ in ring.entries} == {"remit"}
    (label,) = (tmp_path / "logins").iterdir()
    assert set(json.loads(label.read_text())) == {"issuer", "client_id", "resource", "vault", "reference"}


@posix_only
def test_files_are_their_owners_alone(make: Make, tmp_path: Path) -> None:
    make("file").write(a_login())
    folder = tmp_path / "logins"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(make: Make, tmp_path: Path, mode: int) -> None:
    store = make("file")
    store.write(a_login())
    Path(store.where(TARGET)).chmod(mode)
    with pytest.raises(StateInvalid) as caught:
        store.read(TARGET)
    assert "others" in caught.value.detail


@posix_only
def test_a_folder_that_others_may_look_into_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "logins").mkdir(mode=0o755)
    with pytest.raises(StateInvalid):
        make("file").write(a_login())
    assert list((tmp_path / "logins").iterdir()) == []


@posix_only
def test_a_link_in_place_of_a_file_is_refused(make: Make, tmp_path: Path) -> None:
    store = make("file")
    store.write(a_login())
    file = Path(store.where(TARGET))
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateInvalid):
        store.read(TARGET)


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"vault": "file"}', "\x00", '{"issuer": 1}', "x" * 70_000])
def test_a_broken_file_is_said_and_not_repeated(make: Make, tmp_path: Path, text: str) -> None:
    store = make("file")
    store.write(a_login())
    Path(store.where(TARGET)).write_text(text, encoding="utf-8")
    with pytest.raises(StateInvalid) as caught:
        store.read(TARGET)
    assert "refresh" not in str(vars(caught.value))
    label = next((tmp_path / "logins").glob("*.json"))
    label.write_text(text, encoding="utf-8")
    with pytest.raises(StateInvalid):
        store.read(TARGET)


def test_a_login_put_in_place_of_another_is_not_taken_for_it(make: Make) -> None:
    store = make("file")
    store.write(a_login())
    Path(store.where(TARGET)).write_text(a_login("x", OTHER).to_text(), encoding="ascii")
    with pytest.raises(StateInvalid):
        store.read(TARGET)


# ── the keyring ──────────────────────────────────────────────────────────────────────────


class Forgetful(Keyring):
    def get_password(self, service: str, username: str) -> str | None:
        return None


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring, Forgetful])
def test_a_keyring_that_keeps_nothing_gives_way_to_a_file(make: Make, backend: type[KeyringBackend]) -> None:
    store = make("auto", lambda: KeyringVault(backend()))
    store.write(a_login())
    assert Path(store.where(TARGET)).is_file()
    assert store.read(TARGET) == a_login()
    with pytest.raises(StateInvalid):
        make("keyring", lambda: KeyringVault(backend())).write(a_login())


def test_without_a_keyring_auto_is_a_file_and_keyring_is_an_error(make: Make) -> None:
    make("auto", lambda: None).write(a_login())
    assert make("file").read(TARGET) == a_login()
    with pytest.raises(StateInvalid):
        make("keyring", lambda: None).write(a_login())


@pytest.mark.parametrize(("backend", "usable"), [(fail.Keyring, False), (null.Keyring, False), (Keyring, True)])
def test_stand_ins_are_no_keyring(
    monkeypatch: pytest.MonkeyPatch, backend: type[KeyringBackend], *, usable: bool
) -> None:
    monkeypatch.setattr("keyring.get_keyring", backend)
    assert (keyring_vault.usable_keyring() is not None) is usable


def test_a_session_without_the_keyring_that_has_the_login_says_so(make: Make, ring: Keyring) -> None:
    make("auto").write(a_login())
    with pytest.raises(StateInvalid) as caught:
        make("auto", lambda: None).read(TARGET)
    assert "login.store: file" in caught.value.hint
    ring.locked = True
    with pytest.raises(StateInvalid):
        make("auto").read(TARGET)
    assert make("auto").erase(TARGET)  # it is forgotten, though its text cannot be removed


def test_a_login_moves_when_the_setting_does(make: Make, ring: Keyring) -> None:
    make("keyring").write(a_login("one"))
    assert make("file").read(TARGET) == a_login("one")
    make("file").write(a_login("two"))
    assert ring.entries == {}
    assert make("keyring").read(TARGET) == a_login("two")


# ── together ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["keyring", "file"])
def test_who_reads_while_others_write_finds_a_whole_login(make: Make, how: str) -> None:
    store, names = make(how), [f"{number:04}" * 1000 for number in range(60)]
    store.write(a_login(names[0]))
    seen: list[Login | None] = []
    ended = threading.Event()

    def read() -> None:
        reader = make(how)
        while not ended.is_set():
            seen.append(reader.read(TARGET))

    reading = threading.Thread(target=read)
    reading.start()
    for name in names:
        store.write(a_login(name))
    ended.set()
    reading.join()
    whole = [a_login(name) for name in names]
    assert seen
    assert all(login in whole for login in seen)


def test_a_login_is_not_changed_while_its_lock_is_held(make: Make) -> None:
    store = make("file")

    async def main() -> list[str]:
        order: list[str] = []
        held = asyncio.Event()

        async def other() -> None:
            await held.wait()
            await keep(make("file"), a_login("two"))
            order.append("written")

        writing = asyncio.create_task(other())
        async with store.locked(TARGET):
            held.set()
            await asyncio.sleep(0.1)  # long enough for it to be written, if nothing held it back
            order.append("released")
        await writing
        return order

    assert asyncio.run(main()) == ["released", "written"]


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.booleans(),
)
def test_a_login_is_read_as_it_was_written_and_its_text_is_ascii(token: str, account: str, renewable: bool) -> None:
    login = replace(
        a_login(),
        access_token=UnverifiedToken(token),
        refresh_token=Credential(token) if renewable else None,
        account=account,
    )
    assert login.to_text().isascii()
    assert Login.from_text(login.to_text()) == login


@given(st.text())
def test_text_that_is_no_login_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        Login.from_text(text)
