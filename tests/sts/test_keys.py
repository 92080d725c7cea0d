from __future__ import annotations

import base64
import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from remit.errors import KeyRingInvalid
from remit.sts.keys import KeyRing, thumbprint

posix_only = pytest.mark.skipif(os.name != "posix", reason="the file modes of POSIX")


def kid_of(directory: str) -> str:
    return KeyRing.open(Path(directory)).signing_key.kid


def test_a_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    first = KeyRing.open(tmp_path / "state" / "keys")
    assert KeyRing.open(tmp_path / "state" / "keys").jwks() == first.jwks()
    assert [path.name for path in (tmp_path / "state" / "keys").iterdir()] == ["active"]


def test_processes_that_start_at_once_end_up_with_one_key(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        kids = set(pool.map(kid_of, [str(tmp_path / "keys")] * 8))
    assert len(kids) == 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["active"]


def test_the_published_key_is_public_and_named_by_its_thumbprint(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path)
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


@posix_only
def test_a_new_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    KeyRing.open(tmp_path / "keys")
    file = tmp_path / "keys" / "active" / "key.pem"
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "keys", file.parent, file)] == [0o700, 0o700, 0o600]


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    KeyRing.open(tmp_path)
    file = tmp_path / "active" / "key.pem"
    file.chmod(mode)
    with pytest.raises(KeyRingInvalid) as caught:
        KeyRing.open(tmp_path)
    assert caught.value.hint == f"run: chmod 600 '{file}', and replace the key if others may have read it"


@pytest.mark.parametrize("kind", ["text", "empty", "P-384", "RSA", "encrypted"])
def test_a_file_that_is_no_plain_p256_key_is_refused(tmp_path: Path, kind: str) -> None:
    KeyRing.open(tmp_path)
    encryption = BestAvailableEncryption(b"x") if kind == "encrypted" else NoEncryption()
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(
        ec.SECP256R1() if kind == "encrypted" else ec.SECP384R1()
    )
    if kind == "RSA":
        key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    content = {"text": b"hello", "empty": b""}.get(kind, pem)
    (tmp_path / "active" / "key.pem").write_bytes(content)
    with pytest.raises(KeyRingInvalid):
        KeyRing.open(tmp_path)


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(KeyRingInvalid):
        KeyRing.open(tmp_path / "keys")


def test_a_key_folder_that_lost_its_key_is_not_filled_in_silence(tmp_path: Path) -> None:
    (tmp_path / "active").mkdir()
    (tmp_path / "active" / "notes.txt").write_text("")
    with pytest.raises(KeyRingInvalid):
        KeyRing.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["active"]
