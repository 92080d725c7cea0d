"""Door: the token service's signing key, in a directory that only its owner can read.

The directory has one folder per state of a key; so far only ``active`` is used. The folder appears by a rename,
which succeeds once on every file system, so two processes that start at once end up with the same key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

from remit.errors import KeyRingInvalid

_ACTIVE: Final = "active"
_KEY_FILE: Final = "key.pem"
_MAX_KEY_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, its algorithm and its ``kid``, which is the RFC 7638 thumbprint of the public half."""

    kid: str
    algorithm: str
    private_key: EllipticCurvePrivateKey = field(repr=False)
    public_jwk: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, private_key: EllipticCurvePrivateKey) -> Self:
        """An ES256 key with its public JWK."""
        public = ECAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
        members = {name: public[name] for name in ("crv", "kty", "x", "y")}
        kid = thumbprint(members)
        return cls(kid, "ES256", private_key, {**members, "kid": kid, "use": "sig", "alg": "ES256"})


class KeyRing:
    """The keys of one token service."""

    def __init__(self, signing_key: SigningKey) -> None:
        self.signing_key = signing_key
        self._jwks = {"keys": [signing_key.public_jwk]}

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Read the key in ``directory``, making both where there are none. Raises ``KeyRingInvalid``."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = directory / _ACTIVE / _KEY_FILE
            if not file.exists():
                _create(directory)
            return cls(SigningKey.of(_read(file)))
        except OSError as error:
            raise KeyRingInvalid(
                "the signing keys cannot be read or made",
                where=str(directory),
                detail=f"{type(error).__name__}: {error.strerror}",
                hint="make the directory readable and writable for the user that runs remit, and for nobody else",
            ) from error

    def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 7517 §5)."""
        return self._jwks


def thumbprint(members: dict[str, Any]) -> str:
    """RFC 7638 §3: SHA-256 of the required members, in order and without white space."""
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()


def _create(directory: Path) -> None:
    """Write a new key beside, then rename its folder into place: whoever is second finds the place taken."""
    beside = Path(tempfile.mkdtemp(prefix="new-", dir=directory))  # mode 0700
    try:
        _write(beside / _KEY_FILE, generate_private_key(SECP256R1()))
        beside.rename(directory / _ACTIVE)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        if not (directory / _ACTIVE / _KEY_FILE).exists():
            raise


def _write(file: Path, private_key: EllipticCurvePrivateKey) -> None:
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(pem)
        stream.flush()
        os.fsync(stream.fileno())


def _read(file: Path) -> EllipticCurvePrivateKey:
    if os.name == "posix" and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
        raise KeyRingInvalid(
            f"the signing key may be read by others than its owner (mode {mode:04o})",
            where=str(file),
            hint=f"run: chmod 600 '{file}', and replace the key if others may have read it",
        )
    try:
        with file.open("rb") as stream:
            key = load_pem_private_key(stream.read(_MAX_KEY_BYTES), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        raise KeyRingInvalid("the signing key is no unencrypted PEM private key", where=str(file)) from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise KeyRingInvalid("the signing key is no P-256 key", where=str(file))
    return key
