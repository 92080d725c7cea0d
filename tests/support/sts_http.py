"""The token service asked over HTTP, in process: ``post`` a form as the agent runner, ``check_refusal`` the answer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import httpx

from remit.credential import Credential
from support.sts import ISSUER, SECRET, World

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
#: RFC 6749 §5.2: what ``error`` and ``error_description`` may consist of.
ERROR_TEXT: Final = frozenset(chr(code) for code in range(0x20, 0x7F)) - set('"\\')


def basic(client_id: str, secret: Credential = SECRET) -> dict[str, str]:
    """The header of a client that proves itself by its secret."""
    pair = f"{client_id}:{quote_plus(secret.reveal())}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


BASIC: Final = basic("agent-runner")


def ask(world: World, method: str, path: str, **request: Any) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(world.app(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
            return await http.request(method, path, **request)

    return asyncio.run(main())


def post(
    world: World,
    form: Mapping[str, Any] | bytes,
    headers: Mapping[str, str] | list[tuple[str, str]] = BASIC,
    path: str = "/oauth2/token",
) -> httpx.Response:
    body = form if isinstance(form, bytes) else urlencode(form, doseq=True).encode()
    return ask(world, "POST", path, content=body, headers=[*FORM.items(), *httpx.Headers(headers).multi_items()])


def check_refusal(response: httpx.Response, error: str, status: int = 400) -> None:
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert response.json().keys() <= {"error", "error_description"}
    assert all(ERROR_TEXT.issuperset(text) for text in response.json().values())
