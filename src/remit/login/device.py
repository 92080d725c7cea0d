"""Path: a sign-in by a browser elsewhere, for a machine that has none (RFC 8628).

1. ask the issuer what it says of itself;
2. ask for a code;
3. show it, and where to type it in;
4. ask again and again whether the person has answered, as often as the server allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from remit import oauth
from remit.clock import Clock
from remit.credential import Credential
from remit.errors import SignInFailed, SignInUnavailable
from remit.login.asking import connected, json_object
from remit.login.browser import PATIENCE
from remit.login.login import Login, LoginClient
from remit.login.metadata import ServerMetadata, discover
from remit.login.token_endpoint import TokenEndpoint, refusal_in
from remit.web import is_secure

#: Seconds between two questions where the server does not say, and how many are added when it asks to slow down.
_INTERVAL: Final = 5
_MAX_INTERVAL: Final = 60
_MAX_CODE: Final = 1024
_MAX_USER_CODE: Final = 64


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What the person needs: a ``user_code`` to type in at ``uri``; ``whole_uri`` holds it already, or is empty."""

    user_code: str
    uri: str
    whole_uri: str
    device_code: Credential
    interval: int
    expires_in: int


async def sign_in_by_device(
    client: LoginClient,
    clock: Clock,
    show: Callable[[DeviceCode], None],
    *,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Login:
    """The login of whoever types in the code that ``show`` is given.

    Raises ``SignInFailed`` and ``SignInUnavailable``. ``pause`` waits for that many seconds.
    """
    async with connected() as http:
        server = await discover(client.target.issuer, http)  # 1
        endpoint = TokenEndpoint(server.token_endpoint, client, http, clock)
        code = await _device_code(server, endpoint)  # 2
        show(code)  # 3
        return await _answered(endpoint, code, clock.monotonic, pause)  # 4


async def _device_code(server: ServerMetadata, endpoint: TokenEndpoint) -> DeviceCode:
    if not server.device_authorization_endpoint:
        raise SignInFailed(
            "the authorization server knows no sign-in by a device code", hint="sign in without --device"
        )
    target, scopes = endpoint.client.target, endpoint.client.scopes
    wishes = {"client_id": target.client_id, "resource": target.resource}
    if scopes:
        wishes["scope"] = oauth.format_scope(scopes)
    answer = await endpoint.post(server.device_authorization_endpoint, wishes)
    if answer.status != 200:
        raise refusal_in(answer)
    return read_device_code(json_object(answer))


def read_device_code(document: dict[str, Any]) -> DeviceCode:
    """RFC 8628 §3.2. Raises ``SignInFailed``. A person will be shown it: nothing in it can steer a terminal."""
    uri, whole = document.get("verification_uri"), document.get("verification_uri_complete", "")
    user_code, device_code = document.get("user_code"), document.get("device_code")
    if not isinstance(uri, str) or not is_secure(uri) or not isinstance(whole, str) or (whole and not is_secure(whole)):
        raise SignInFailed("the authorization server names no address where the code can be typed in")
    if not isinstance(user_code, str) or not 0 < len(user_code) <= _MAX_USER_CODE or not user_code.isprintable():
        raise SignInFailed("the authorization server gave no code that a person could type in")
    if not isinstance(device_code, str) or not 0 < len(device_code) <= _MAX_CODE:
        raise SignInFailed("the authorization server gave no device code")
    return DeviceCode(
        user_code=user_code,
        uri=uri,
        whole_uri=whole,
        device_code=Credential(device_code),
        interval=_seconds(document.get("interval", _INTERVAL), _MAX_INTERVAL),
        expires_in=_seconds(document.get("expires_in"), int(PATIENCE) * 6),
    )


async def _answered(
    endpoint: TokenEndpoint,
    code: DeviceCode,
    monotonic: Callable[[], float],
    pause: Callable[[float], Awaitable[None]],
) -> Login:
    interval, end = code.interval, monotonic() + code.expires_in
    while monotonic() < end:
        await pause(interval)
        try:
            return await endpoint.poll(code.device_code)
        except SignInUnavailable:
            interval = min(interval + _INTERVAL, _MAX_INTERVAL)
        except SignInFailed as error:
            if error.error == "slow_down":  # for good, not once (RFC 8628 §3.5)
                interval = min(interval + _INTERVAL, _MAX_INTERVAL)
            elif error.error != "authorization_pending":
                raise
    raise SignInFailed("nobody signed in in time", error="expired_token", detail=f"{code.expires_in} seconds")


def _seconds(value: Any, at_most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SignInFailed("the authorization server's answer cannot be used", detail="a time is no number of seconds")
    return min(value, at_most)
