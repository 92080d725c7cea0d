"""The keys on disk: who may read them, what a crash leaves, several processes at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from remit.errors import KeyRingInvalid
from remit.sts.keys import KeyDirectory, KeyRing, SigningKey
from support.clock import FakeClock

posix_only = pytest.mark.skipif(os.name != "posix", reason="the file modes of POSIX")


def file_in(directory: Path) -> Path:
    [file] = directory.glob("*/keys.json")
    return file


def kid_of(directory: str) -> str:
    return KeyRing.open(Path(directory)).signing_key.kid


def rotate(directory: str) -> list[str]:
    ring = KeyRing.open(Path(directory))
    ring.rotate()
    return [key.key.kid for key in ring.keys]


def replace(directory: str) -> str:
    ring = KeyRing.open(Path(directory))
    ring.replace()
    return ring.signing_key.kid


def test_a_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    first = KeyRing.open(tmp_path / "state" / "keys")
    assert KeyRing.open(tmp_path / "state" / "keys").jwks() == first.jwks()
    assert [path.name for path in (tmp_path / "state" / "keys").iterdir()] == ["000001"]


def test_reading_makes_nothing(tmp_path: Path) -> None:
    assert KeyDirectory(tmp_path / "keys").read().keys == ()
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("work", [kid_of, rotate])
def test_processes_that_do_the_same_at_once_end_up_with_the_same_keys(tmp_path: Path, work: object) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        kids = set(map(str, pool.map(work, [str(tmp_path / "keys")] * 8)))  # type: ignore[arg-type]
    assert len(kids) == 1
    assert len(list((tmp_path / "keys").iterdir())) == 1


def test_of_emergencies_at_once_each_counts_and_one_key_is_left(tmp_path: Path) -> None:
    first = kid_of(str(tmp_path))
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        kids = set(pool.map(replace, [str(tmp_path)] * 8))
    [left] = KeyDirectory(tmp_path).read().keys
    assert left.key.kid in kids
    assert first not in kids
    assert len(kids) == 8


def test_another_process_follows_within_a_second(tmp_path: Path) -> None:
    clock = FakeClock()
    one, other = (KeyRing.open(tmp_path, clock) for _ in range(2))
    one.replace()
    clock.advance(1)
    assert other.signing_key.kid == one.signing_key.kid


def test_an_emergency_leaves_no_trace_of_the_old_key(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path)
    secret = ring.signing_key.to_pem().decode().splitlines()[1]
    ring.replace()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and secret in file.read_text()]


CHILD = """
import sys
from pathlib import Path
from remit.sts.keys import KeyRing
ring = KeyRing.open(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    ring.replace()
"""


def test_a_process_killed_while_it_changes_the_keys_never_leaves_half_a_file(tmp_path: Path) -> None:
    for attempt in range(6):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(0.005 + 0.011 * attempt)  # at any moment of a change
        child.kill()
        child.wait()
        child.stdout.close()
        assert KeyRing.open(tmp_path).signing_key.kid == KeyRing.open(tmp_path).signing_key.kid


def test_what_a_killed_process_left_is_cleared_away_later(tmp_path: Path) -> None:
    clock = FakeClock(time.time())
    ring = KeyRing.open(tmp_path, clock)
    (tmp_path / "new-abandoned").mkdir()
    ring.replace()
    assert (tmp_path / "new-abandoned").exists()  # it may still be at work
    clock.advance(3601)
    ring.replace()
    assert not (tmp_path / "new-abandoned").exists()


def test_a_change_made_too_late_does_not_count(tmp_path: Path) -> None:
    directory = KeyDirectory(tmp_path)
    KeyRing.open(tmp_path)
    keys = directory.read().keys
    for number in (1, 2):
        assert directory.write(keys, after=number, now=0)
    assert not directory.write(keys, after=1, now=0)  # its place, 2, is free again
    assert not directory.write(keys, after=2, now=0)
    assert [path.name for path in tmp_path.iterdir()] == ["000003"]


# ── what may not be used ─────────────────────────────────────────────────────────────────


@posix_only
def test_new_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    KeyRing.open(tmp_path / "keys").rotate()
    file = file_in(tmp_path / "keys")
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "keys", file.parent, file)] == [0o700, 0o700, 0o600]


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_keys_that_others_may_read_are_refused(tmp_path: Path, mode: int) -> None:
    KeyRing.open(tmp_path)
    file_in(tmp_path).chmod(mode)
    with pytest.raises(KeyRingInvalid) as caught:
        KeyRing.open(tmp_path)
    assert f"chmod 600 '{file_in(tmp_path)}'" in caught.value.hint


def changed(text: str, **members: object) -> str:
    document = json.loads(text)
    document["keys"][0] |= members
    return json.dumps(document)


DAMAGED: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "cut off": lambda text: text[:-20],
    "no JSON": lambda _: "hello",
    "a list": lambda _: "[]",
    "another version": lambda text: text.replace('"version": 1', '"version": 2'),
    "no keys": lambda _: '{"version": 1, "keys": []}',
    "a key twice": lambda text: json.dumps({"version": 1, "keys": json.loads(text)["keys"] * 2}),
    "no time": lambda text: changed(text, signs_from=None),
    "a time that is a text": lambda text: changed(text, published="1"),
    "a time that is a boolean": lambda text: changed(text, kept_until=True),
    "no private key": lambda text: changed(text, private_key="x"),
    "a number for a key": lambda text: changed(text, private_key=7),
    "too long": lambda text: text + " " * 70_000,
    "nested": lambda _: "[" * 60_000,
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_refused_and_not_shown(tmp_path: Path, damage: str) -> None:
    KeyRing.open(tmp_path)
    file = file_in(tmp_path)
    file.write_text(DAMAGED[damage](file.read_text()))
    with pytest.raises(KeyRingInvalid) as caught:
        KeyRing.open(tmp_path)
    assert "PRIVATE" not in f"{caught.value.message}{caught.value.detail}{caught.value.hint}"
    assert [path.name for path in tmp_path.iterdir()] == ["000001"]


def test_a_running_ring_keeps_its_keys_when_the_file_is_damaged(tmp_path: Path) -> None:
    clock = FakeClock()
    ring = KeyRing.open(tmp_path, clock)
    kid = ring.signing_key.kid
    (tmp_path / "000002").mkdir()
    (tmp_path / "000002" / "keys.json").write_text("{")
    clock.advance(1)
    assert ring.signing_key.kid == kid


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(KeyRingInvalid):
        KeyRing.open(tmp_path / "keys")


def test_a_folder_that_lost_its_keys_is_not_filled_in_silence(tmp_path: Path) -> None:
    KeyRing.open(tmp_path)
    file_in(tmp_path).unlink()
    with pytest.raises(KeyRingInvalid):
        KeyRing.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["000001"]


# ── the single key of the first release ──────────────────────────────────────────────────


def write_first_release(directory: Path, pem: bytes) -> Path:
    (directory / "active").mkdir(mode=0o700)
    file = directory / "active" / "key.pem"
    file.touch(mode=0o600)
    file.write_bytes(pem)
    return file


def test_a_single_key_of_before_signs_on_until_it_is_rotated(tmp_path: Path) -> None:
    key = SigningKey.new()
    write_first_release(tmp_path, key.to_pem())
    ring = KeyRing.open(tmp_path)
    assert ring.signing_key.kid == key.kid
    assert [path.name for path in tmp_path.iterdir()] == ["active"]
    ring.rotate()
    assert KeyRing.open(tmp_path).keys[0].key.kid == key.kid
    assert [path.name for path in tmp_path.iterdir()] == ["000001"]


@posix_only
def test_a_single_key_of_before_that_others_may_read_is_refused(tmp_path: Path) -> None:
    write_first_release(tmp_path, SigningKey.new().to_pem()).chmod(0o640)
    with pytest.raises(KeyRingInvalid):
        KeyRing.open(tmp_path)


@pytest.mark.parametrize("kind", ["text", "empty", "P-384", "RSA", "encrypted"])
def test_a_file_that_is_no_plain_p256_key_is_refused(tmp_path: Path, kind: str) -> None:
    encryption = BestAvailableEncryption(b"x") if kind == "encrypted" else NoEncryption()
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(
        ec.SECP256R1() if kind == "encrypted" else ec.SECP384R1()
    )
    if kind == "RSA":
        key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    write_first_release(tmp_path, {"text": b"hello", "empty": b""}.get(kind, pem))
    with pytest.raises(KeyRingInvalid):
        KeyRing.open(tmp_path)


def test_a_first_folder_that_lost_its_key_is_not_filled_in_silence(tmp_path: Path) -> None:
    (tmp_path / "active").mkdir()
    (tmp_path / "active" / "notes.txt").write_text("")
    with pytest.raises(KeyRingInvalid):
        KeyRing.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["active"]
