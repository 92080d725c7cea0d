"""Rule: what the trail keeps of an input document, so that past calls can be put to another policy later.

``redacted``: the document without what the agent sent and the API answered. Of the arguments there are names and
JSON types, of a route's request no path, of a result no data. What is kept is what policy needs to know about
subject, actor, tool and token. A policy that looks at values decides about it otherwise than it did.

``encrypted``: the whole document, for whoever has the key: AES-256-GCM over its canonical JSON, a fresh nonce each
time, bound to the document's digest. The key and its name are derived from the secret (HKDF-SHA-256). One secret is
good for 2^32 documents (NIST SP 800-38D §8.3), after that take another; old ones still open what they sealed.

Both stand in the trail as text, because a record holds no fractions.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from remit.credential import Credential
from remit.errors import SettingsInvalid

Mode = Literal["none", "redacted", "encrypted"]

_MIN_SECRET_BYTES: Final = 32
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_NAME_BYTES: Final = 8
_MAX_REDACTED: Final = 16 * 1024
_MAX_DEPTH: Final = 3
_MAX_MEMBERS: Final = 32
_MAX_CLIENT: Final = 128
#: What is written like the name of a parameter; any other key may be a value itself, in a map from users to amounts.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_OTHER: Final = "*"


class KeptUnreadable(ValueError):
    """What was kept cannot be read. The message says why and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class KeptInput:
    """An input document out of the trail. ``exact``: it is the very one that was decided about."""

    document: dict[str, Any] = field(repr=False)
    exact: bool


class InputKeeper:
    """Keeps input documents as ``mode`` says. ``key``: the secret for ``encrypted``, at least 32 bytes.

    Raises ``SettingsInvalid``.
    """

    def __init__(self, mode: Mode, key: Credential | None = None) -> None:
        self._keep: Callable[[Mapping[str, Any], str], dict[str, str] | None] = _kept_redacted
        if mode == "none":
            self._keep = _kept_not
        elif mode == "encrypted":
            if key is None:
                raise SettingsInvalid("keep_inputs: encrypted needs a key", where="policy.inputs_key")
            self._keep = _Sealed(key).seal

    def keep(self, document: Mapping[str, Any], input_digest: str) -> dict[str, str] | None:
        """What the trail is to hold of ``document``: ``mode``, ``text``, for a sealed one ``key`` (its key's name).

        ``None`` where nothing is kept: by choice, or because it has no JSON form (such a one was denied), or because
        16 KB do not hold it redacted.
        """
        try:
            return self._keep(document, input_digest)
        except TypeError:  # orjson: what JSON cannot hold
            return None


def open_kept(kept: Mapping[str, Any], keys: Iterable[Credential], input_digest: str) -> KeptInput:
    """What ``InputKeeper.keep`` kept: ``decision.input`` of a record, and ``decision.input_digest`` beside it.

    ``keys`` are all secrets that were ever used. Raises ``KeptUnreadable``. This does NOT check the record itself
    (``remit.audit.chain``); a sealed document that opens is the one that was decided about.
    """
    text = kept.get("text")
    if not isinstance(text, str):
        raise KeptUnreadable("nothing was kept")
    match kept.get("mode"):
        case "redacted":
            return KeptInput(_document(text), exact=False)
        case "encrypted":
            return KeptInput(_document(_opened(text, kept.get("key"), keys, input_digest)), exact=True)
        case _:
            raise KeptUnreadable("it was kept in a way that is not known here")


# ── redacted ─────────────────────────────────────────────────────────────────────────────


def redacted(document: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``document`` with ``arguments`` in the place of its own, and without the other values from outside."""
    kept = {**document, "arguments": arguments, "result": {**document["result"], "data": None}}
    context, resource = document["context"], document["resource"]
    # The client's id of the request tells policy nothing, and the record has it.
    kept["context"] = {**context, "request_id": "", "client": context["client"][:_MAX_CLIENT]}
    if resource["type"] != "tool":  # a route's path is the one that was asked for
        kept["resource"] = {**resource, "properties": {**resource["properties"], "path": ""}}
    return kept


def types_of(value: Any, depth: int = 0) -> Any:
    """The JSON type of a value; of an object its members' types, three levels deep and 32 members wide."""
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        members = zip(value.items(), range(_MAX_MEMBERS), strict=False)
        return {_name(name): types_of(member, depth + 1) for (name, member), _ in members}
    return _TYPES.get(type(value), "object" if isinstance(value, Mapping) else "array")


_TYPES: Final[Mapping[type, str]] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def _name(name: Any) -> str:
    return name if isinstance(name, str) and _NAME.fullmatch(name) else _OTHER


def _kept_redacted(document: Mapping[str, Any], _: str) -> dict[str, str] | None:
    text = _canonical(redacted(document, types_of(document["arguments"])))
    if len(text) > _MAX_REDACTED:
        text = _canonical(redacted(document, {}))
    return {"mode": "redacted", "text": text.decode()} if len(text) <= _MAX_REDACTED else None


def _kept_not(_: Mapping[str, Any], __: str) -> None:
    return None


# ── encrypted ────────────────────────────────────────────────────────────────────────────


class _Sealed:
    """What a secret seals and opens. Making one takes as long as a few documents do, so it is made once."""

    def __init__(self, secret: Credential) -> None:
        material = secret.reveal().encode()  # the derivation below, and nobody else, reads the secret
        if len(material) < _MIN_SECRET_BYTES:
            raise SettingsInvalid(
                f"the key for kept inputs is shorter than {_MIN_SECRET_BYTES} bytes",
                where="policy.inputs_key",
                hint="make one with: openssl rand -base64 48",
            )
        self._cipher = AESGCM(_derived(material, b"remit policy inputs key", _KEY_BYTES))
        self.name = _derived(material, b"remit policy inputs key name", _NAME_BYTES).hex()

    def seal(self, document: Mapping[str, Any], input_digest: str) -> dict[str, str]:
        """Raises ``TypeError`` for what JSON cannot hold."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, _canonical(document), input_digest.encode())
        return {"mode": "encrypted", "key": self.name, "text": base64.b64encode(nonce + sealed).decode()}

    def open(self, sealed: bytes, input_digest: str) -> bytes:
        """Raises ``InvalidTag``, or ``ValueError`` for what is too short."""
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], input_digest.encode())


def _opened(text: str, name: object, keys: Iterable[Credential], input_digest: str) -> bytes:
    sealed = next((sealed for sealed in map(_Sealed, keys) if sealed.name == name), None)
    if sealed is None:
        raise KeptUnreadable("it was encrypted with a key that is not at hand")
    try:
        encrypted = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise KeptUnreadable("what was encrypted is no base64") from error
    try:
        return sealed.open(encrypted, input_digest)
    except (InvalidTag, ValueError) as error:
        raise KeptUnreadable("what was encrypted was changed, or belongs to another decision") from error


def _derived(secret: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=purpose).derive(secret)


# ── both ─────────────────────────────────────────────────────────────────────────────────


def _canonical(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _document(text: str | bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except ValueError as error:
        raise KeptUnreadable("what was kept is no JSON") from error
    if not isinstance(document, dict):
        raise KeptUnreadable("what was kept is no input document")
    return document
