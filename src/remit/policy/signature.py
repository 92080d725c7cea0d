"""Rule: signed bundles, as Open Policy Agent signs and verifies them (``.signatures.json``).

The file holds one JWT, whose payload lists every file of the bundle with its hash. Its header (``kid``) or its claim
``keyid`` names the key; where neither does, it is the only key that is configured. Everything in the bundle must be
listed, and everything listed must be there. Of ``data.json``, ``data.yaml`` and ``.manifest`` it is hashed what they
say, of any other file its bytes.

As with OPA: a bundle that is signed is refused where no key is configured, and a scope must be the very one that is
configured (none for none). Stricter than OPA: a key has one algorithm and a safe length, a file is listed once, hashes
are SHA-256, SHA-384 or SHA-512. Not looked at, as with OPA: ``iss``, ``iat`` and every other claim, ``exp`` included.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from remit.catalog.document import DocumentInvalid, read_document
from remit.credential import Credential
from remit.errors import PolicyInvalid
from remit.tokens import strict_json

#: Where a bundle's signature is.
SIGNATURES: Final = ".signatures.json"

_ALGORITHMS: Final = frozenset(f"{family}{bits}" for family in ("ES", "HS", "PS", "RS") for bits in (256, 384, 512)) | {
    "EdDSA"
}
_HASHES: Final = {"SHA-256": hashlib.sha256, "SHA-384": hashlib.sha384, "SHA-512": hashlib.sha512}
_STRUCTURED: Final = frozenset({"data.json", "data.yaml", ".manifest"})
_PLUGINS: Final = frozenset({"", "_default"})
_JWS: Final = jwt.PyJWS(options={"enforce_minimum_key_length": True})


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key that bundles are signed with: its public half (PEM), or for HS256 and the like the secret itself."""

    key: Credential
    algorithm: str


@dataclass(frozen=True, slots=True)
class Signatures:
    """Whose signatures are believed. ``required``: what is not signed is refused, and so is a folder.

    ``scope`` is what a signature must say it is for. Raises ``PolicyInvalid`` for a key that cannot be used.
    """

    required: bool = False
    scope: str = ""
    keys: Mapping[str, VerificationKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, key in self.keys.items():
            _prepared(key.key, key.algorithm, f"policy.signatures.keys.{name}", private=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs a bundle: the private key (PEM) or secret, its name, and the scope to sign for."""

    id: str
    key: Credential
    algorithm: str
    scope: str = ""


def sign(files: Mapping[str, bytes], signing: SigningKey) -> bytes:
    """What ``.signatures.json`` must say of these files. Raises ``PolicyInvalid`` for a key that cannot sign.

    ES and PS signatures differ each time; all else depends on the arguments alone.
    """
    listed = [
        {"name": name, "hash": _digest(name, content, "SHA-256"), "algorithm": "SHA-256"}
        for name, content in sorted(files.items())
    ]
    payload = {"files": listed, "keyid": signing.id, **({"scope": signing.scope} if signing.scope else {})}
    token = _JWS.encode(
        json.dumps(payload, separators=(",", ":")).encode(),
        _prepared(signing.key, signing.algorithm, f"the key {signing.id}", private=True),
        signing.algorithm,
        headers={"kid": signing.id},
    )
    return json.dumps({"signatures": [token]}, indent=1).encode()


def verify(files: Mapping[str, bytes], signatures: Signatures) -> None:
    """Raises ``PolicyInvalid`` unless a known key signed exactly these files, of which one is ``.signatures.json``."""
    if not signatures.keys:
        raise _refused(
            "the bundle is signed, and no key is known to verify it with",
            hint="name the key under policy.signatures.keys, or build the bundle without a signature",
        )
    payload = _payload(_token(files[SIGNATURES]), signatures)
    listed = _listed(payload)
    for name, content in files.items():
        if name != SIGNATURES:
            _check_file(name, content, listed.pop(name, None))
    if listed:
        raise _refused("the signature lists a file that the bundle does not have", detail=ascii(min(listed)[:200]))


# ── who signed ───────────────────────────────────────────────────────────────────────────


def _token(content: bytes) -> str:
    match _object(content, SIGNATURES):
        case {"signatures": [str(token)], **rest} if rest.keys() <= {"plugin"} and rest.get("plugin", "") in _PLUGINS:
            return token
        case _:
            raise _refused(f"{SIGNATURES} does not hold exactly one signature of the usual kind")


def _payload(token: str, signatures: Signatures) -> dict[str, Any]:
    """What the token says, once one of the keys has proven to have signed it."""
    try:
        unproven = _JWS.decode_complete(token, options={"verify_signature": False})
        claimed = unproven["header"].get("kid") or _object(unproven["payload"], "the signature").get("keyid")
        name, key = _key(claimed, signatures)
        prepared = _prepared(key.key, key.algorithm, f"policy.signatures.keys.{name}", private=False)
        payload = _object(_JWS.decode(token, prepared, algorithms=[key.algorithm]), "the signature")
    except jwt.InvalidTokenError as error:
        raise _refused("the bundle's signature is not valid", detail=str(error)) from error
    scope = payload.get("scope", "")
    if scope != signatures.scope:
        detail = f"the signature's scope is {ascii(scope)[:200]}, not {signatures.scope!r}"
        raise _refused("the bundle was signed for something else", detail=detail, hint="see policy.signatures.scope")
    return payload


def _key(claimed: Any, signatures: Signatures) -> tuple[str, VerificationKey]:
    """The key that a signature names; ``opa sign`` names none, and then it must be the only one."""
    if not claimed and len(signatures.keys) == 1:
        return next(iter(signatures.keys.items()))
    if not isinstance(claimed, str) or claimed not in signatures.keys:
        raise _refused("the bundle is signed with a key that is not known here", detail=ascii(claimed)[:200])
    return claimed, signatures.keys[claimed]


def _prepared(key: Credential, algorithm: str, where: str, *, private: bool) -> Any:
    """The key as PyJWT takes it."""
    if algorithm not in _ALGORITHMS:
        raise PolicyInvalid("bundles are not signed by this algorithm", where=where, detail=ascii(algorithm)[:40])
    method, text = _JWS.get_algorithm_by_name(algorithm), key.reveal().encode()
    try:
        if algorithm.startswith("HS"):
            prepared = method.prepare_key(text)
        else:
            prepared = method.prepare_key(load_pem_private_key(text, None) if private else load_pem_public_key(text))
        problem = method.check_key_length(prepared)
    except (ValueError, TypeError, UnsupportedAlgorithm, jwt.PyJWTError):
        problem = "it is not what the algorithm needs"  # the libraries' own words may quote the key
    if problem:
        hint = f"{algorithm} needs {_wanted(algorithm, private=private)}"
        raise PolicyInvalid("a key for bundles cannot be used", where=where, detail=problem, hint=hint)
    return prepared


def _wanted(algorithm: str, *, private: bool) -> str:
    if algorithm.startswith("HS"):
        return f"a secret of at least {int(algorithm[2:]) // 8} bytes"
    return f"a {'private' if private else 'public'} key in PEM, of its own kind and at least 2048 bits for RSA"


# ── what was signed ──────────────────────────────────────────────────────────────────────


def _listed(payload: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """File → its algorithm and hash."""
    items = payload.get("files")
    listed: dict[str, tuple[str, str]] = {}
    for item in items if isinstance(items, list) else ():
        match item:
            case {"name": str(name), "hash": str(digest), "algorithm": str(algorithm)} if name not in listed:
                listed[name] = algorithm, digest
            case _:
                raise _refused("the signature's list of files is not well formed", detail=ascii(item)[:200])
    return listed


def _check_file(name: str, content: bytes, entry: tuple[str, str] | None) -> None:
    if entry is None:
        raise _refused("the bundle has a file that its signature does not list", detail=ascii(name))
    algorithm, digest = entry
    if algorithm not in _HASHES:
        raise _refused("the signature uses a hash that is not accepted", detail=ascii(algorithm)[:40])
    if not hmac.compare_digest(_digest(name, content, algorithm).encode(), digest.lower().encode()):
        raise _refused("a file of the bundle is not the one that was signed", detail=ascii(name))


def _digest(name: str, content: bytes, algorithm: str) -> str:
    base = name.rpartition("/")[2]
    if base in _STRUCTURED:
        try:
            content = "".join(_canonical(_said(content.decode(), base))).encode()
        except (ValueError, RecursionError, DocumentInvalid) as error:
            raise _refused("a file of the bundle cannot be read", detail=f"{name!a}: {error}") from error
    return _HASHES[algorithm](content).hexdigest()


class _Number(str):
    """A number as JSON has it: ``1.50`` and ``1.5`` are not the same to a hash."""

    __slots__ = ()


def _said(text: str, base: str) -> Any:
    if base == "data.yaml":
        return read_document(text).data
    return json.loads(text, parse_int=_Number, parse_float=_Number, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice in one object")
    return members


def _canonical(value: Any) -> Iterator[str]:
    """JSON without spaces and with sorted members, its texts and numbers as Go writes them."""
    if isinstance(value, dict):
        yield "{"
        for count, name in enumerate(sorted(value)):
            yield f"{',' if count else ''}{_text(name)}:"
            yield from _canonical(value[name])
        yield "}"
    elif isinstance(value, list):
        yield "["
        for count, each in enumerate(value):
            if count:
                yield ","
            yield from _canonical(each)
        yield "]"
    else:
        yield _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    return _decimal(value) if isinstance(value, float) else json.dumps(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _decimal(number: float) -> str:
    if number and not 1e-6 <= math.fabs(number) < 1e21:
        return re.sub(r"e-0(\d)\Z", r"e-\1", repr(number))
    return format(Decimal(repr(number)), "f").removesuffix(".0")


def _object(content: bytes, name: str) -> dict[str, Any]:
    try:
        value = strict_json.loads(content)
    except strict_json.NotStrict as error:
        raise _refused(f"{name} cannot be read", detail=str(error)) from error
    if not isinstance(value, dict):
        raise _refused(f"{name} is not an object")
    return value


def _refused(message: str, *, detail: str = "", hint: str = "have the bundle signed anew") -> PolicyInvalid:
    return PolicyInvalid(message, detail=detail, hint=hint)
