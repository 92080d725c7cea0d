"""Path: the device grant (RFC 8628): a device shows a code, somebody answers elsewhere, the device gets its tokens."""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from remit.authorization.authorizations import Authorizations, Issued, UnknownGrant, digest_of
from remit.authorization.client import SignInClient
from remit.authorization.person import SignIn
from remit.authorization.rows import read_sign_in, sign_in_document
from remit.errors import (
    AccessDenied,
    AuthorizationPending,
    ExpiredDeviceCode,
    GrantUnavailable,
    InvalidRequest,
    SlowDown,
)
from remit.oauth import GRANT_REFRESH_TOKEN
from remit.sts.form import Form, single

#: Seconds for the person to answer, and between two questions of the device.
DEVICE_SECONDS: Final = 600
INTERVAL: Final = 5
_MAX_OF_CLIENT: Final = 1000
_MAX_IN_ALL: Final = 10_000
_ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 §6.1: no vowels, so no words; 20^8 is 34 bits
_HALF: Final = 4
_SLACK: Final = 1  # seconds that a question may take longer to come than the one after it


class _State(StrEnum):
    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class DeviceStart:
    """What a device is told (RFC 8628 §3.2). Times in seconds."""

    device_code: str = field(repr=False)
    user_code: str
    expires_in: int = DEVICE_SECONDS
    interval: int = INTERVAL


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """What a device waits for. ``scopes`` as it asked for them."""

    user_code: str
    client_id: str
    audience: str
    scopes: tuple[str, ...]


class Devices:
    """The devices that wait, in the file of ``authorizations``. All methods raise ``StateInvalid``."""

    def __init__(self, authorizations: Authorizations) -> None:
        self._authorizations = authorizations
        self._file = authorizations.file

    async def begin(self, client: SignInClient, audience: str, scopes: tuple[str, ...]) -> DeviceStart:
        """A device of ``client`` waits from now on. Raises ``GrantUnavailable`` where too many do already."""
        start = DeviceStart(secrets.token_urlsafe(32), _new_user_code())
        document = json.dumps({"audience": audience, "scopes": scopes})

        def write(connection: sqlite3.Connection, now: int) -> None:
            _check_room(connection, client.client_id, now)
            row = (digest_of(start.device_code), start.user_code, client.client_id, document, _State.WAITING)
            insert = "INSERT INTO devices (digest, user_code, client_id, document, state, polled_at, pause, expires_at)"
            connection.execute(f"{insert} VALUES (?, ?, ?, ?, ?, 0, ?, ?)", (*row, INTERVAL, now + DEVICE_SECONDS))

        await self._file.run(write)
        return start

    async def waiting(self, user_code: str) -> DeviceRequest | None:
        """The device that shows this code and has no answer yet. Guessing is for the caller to slow down."""
        code = normal_user_code(user_code)

        def read(connection: sqlite3.Connection, now: int) -> DeviceRequest | None:
            select = "SELECT client_id, document FROM devices WHERE user_code = ? AND state = ? AND expires_at > ?"
            row = connection.execute(select, (code, _State.WAITING, now)).fetchone()
            if row is None:
                return None
            asked = json.loads(row[1])
            return DeviceRequest(code, row[0], asked["audience"], tuple(asked["scopes"]))

        return await self._file.run(read)

    async def approve(self, user_code: str, sign_in: SignIn, scopes: tuple[str, ...]) -> None:
        """Let the device have these scopes. Raises ``InvalidRequest`` where it waits no more."""
        await self._answer(user_code, _State.APPROVED, {"sign_in": sign_in_document(sign_in), "given": scopes})

    async def deny(self, user_code: str) -> None:
        """Let the device have nothing. Raises ``InvalidRequest`` where it waits no more."""
        await self._answer(user_code, _State.DENIED, {})

    async def grant(self, client: SignInClient, form: Form, thumbprint: str) -> Issued:
        """Answer a device that asks whether it has been answered (RFC 8628 §3.4, §3.5)."""
        device_code = single(form, "device_code")
        if not device_code:
            raise InvalidRequest("device_code is missing")
        digest = digest_of(device_code)
        approved = await self._file.run(lambda connection, now: _poll(connection, digest, client.client_id, now))
        if isinstance(approved, Exception):
            raise approved
        sign_in = read_sign_in(approved["sign_in"])
        asked, given = tuple(approved["scopes"]), tuple(approved["given"])
        scopes = tuple(each for each in given if not asked or each in asked)
        authorization = await self._authorizations.start(
            client, sign_in, approved["audience"], scopes, given_at=approved["answered_at"]
        )
        refresh = GRANT_REFRESH_TOKEN in client.grants
        return await self._authorizations.issue(authorization, scopes=scopes, thumbprint=thumbprint, refresh=refresh)

    async def _answer(self, user_code: str, state: _State, what: dict[str, Any]) -> None:
        code = normal_user_code(user_code)

        def write(connection: sqlite3.Connection, now: int) -> bool:
            update = (
                "UPDATE devices SET state = ?, document = json_patch(document, ?)"
                " WHERE user_code = ? AND state = ? AND expires_at > ?"
            )
            row = (state, json.dumps({**what, "answered_at": now}), code, _State.WAITING, now)
            return connection.execute(update, row).rowcount == 1

        if not await self._file.run(write):
            raise InvalidRequest("the device does not wait for an answer any more")


def normal_user_code(text: str) -> str:
    """As it is shown, ``XXXX-XXXX``, however it was typed (RFC 8628 §6.1)."""
    letters = "".join(each for each in text.upper() if each in _ALPHABET)
    return f"{letters[:_HALF]}-{letters[_HALF:]}"


def _new_user_code() -> str:
    return normal_user_code("".join(secrets.choice(_ALPHABET) for _ in range(2 * _HALF)))


def _check_room(connection: sqlite3.Connection, client_id: str, now: int) -> None:
    count = "SELECT count(*) FROM devices WHERE expires_at > ?"
    (in_all,) = connection.execute(count, (now,)).fetchone()
    (of_client,) = connection.execute(f"{count} AND client_id = ?", (now, client_id)).fetchone()
    if in_all >= _MAX_IN_ALL or of_client >= _MAX_OF_CLIENT:
        raise GrantUnavailable("too many devices wait for an answer, try again later")


def _poll(connection: sqlite3.Connection, digest: bytes, client_id: str, now: int) -> dict[str, Any] | Exception:
    """What was answered, once; or why there is nothing yet, which is returned because the row remembers the question."""
    select = "SELECT document, state, polled_at, pause, expires_at FROM devices WHERE digest = ? AND client_id = ?"
    row = connection.execute(select, (digest, client_id)).fetchone()
    if row is None:
        return UnknownGrant("the device code is not known here")
    document, state, polled_at, pause, expires_at = row
    if state == _State.WAITING and now < expires_at:
        return _asked_again(connection, digest, now, (polled_at, pause))
    connection.execute("DELETE FROM devices WHERE digest = ?", (digest,))
    if expires_at <= now:
        return ExpiredDeviceCode("nobody answered in time")
    if state == _State.DENIED:
        return AccessDenied("the person said no")
    found: dict[str, Any] = json.loads(document)
    return found


def _asked_again(connection: sqlite3.Connection, digest: bytes, now: int, last: tuple[int, int]) -> Exception:
    """RFC 8628 §3.5: who asks too early has to wait five seconds longer, "for this and all subsequent requests"."""
    polled_at, pause = last
    early = now < polled_at + pause - _SLACK
    pause += INTERVAL if early else 0
    connection.execute("UPDATE devices SET polled_at = ?, pause = ? WHERE digest = ?", (now, pause, digest))
    if early:
        return SlowDown(f"ask every {pause} seconds at most")
    return AuthorizationPending("nobody has answered yet")
