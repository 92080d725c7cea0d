"""The forward-auth door: which proxies are believed, what they are told, in each proxy's own way of asking."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from remit.credential import Credential
from remit.doors.gateway.forward_auth import TrustedProxies, _visible
from support.company import Document
from support.gateway import Gateway, Scripted, gateway
from support.issuer import claims_of

SECRET = "a-secret-of-the-proxy"


def asked_by(style: str, folder: Path, **values: Any) -> Any:
    """Settings with the door open for a proxy on this machine that knows the secret."""

    def change(document: Document) -> None:
        (folder / "proxy-secret").write_text(SECRET, "ascii")
        document["gateway"]["forward_auth"] = {
            "enabled": True,
            "style": style,
            "trusted_proxies": ["127.0.0.1"],
            "secret": {"file": "proxy-secret"},
            **values,
        }

    return change


def nginx(method: str, uri: str, **more: str) -> dict[str, str]:
    return {"X-Original-Method": method, "X-Original-URI": uri, "X-Remit-Proxy-Secret": SECRET, **more}


async def ask(gate: Gateway, headers: dict[str, str], *, path: str = "/forward-auth", method: str = "GET") -> Any:
    return await gate.request(method, path, headers=headers)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("style", "method", "path", "headers"),
    [
        ("nginx", "GET", "/forward-auth", {"X-Original-Method": "POST", "X-Original-URI": "/orders/O1?a=1"}),
        ("traefik", "GET", "/forward-auth", {"X-Forwarded-Method": "POST", "X-Forwarded-Uri": "/orders/O1?a=1"}),
        ("envoy", "POST", "/forward-auth/orders/O1?a=1", {}),
    ],
)
async def test_a_proxy_gets_the_delegated_token_and_who_it_is_about(
    tmp_path: Path, style: str, method: str, path: str, headers: dict[str, str]
) -> None:
    async with gateway(tmp_path, api=(api := Scripted()), change=asked_by(style, tmp_path)) as gate:
        secret = {"X-Remit-Proxy-Secret": SECRET, "X-Forwarded-Host": "shop.example"}
        answer = await ask(gate, {**headers, **secret}, path=path, method=method)
        recorded = await gate.last()
    assert (answer.status_code, answer.content) == (200, b"")
    token = claims_of(answer.headers["authorization"].removeprefix("Bearer "))
    assert (token["sub"], token["aud"], token["act"]["sub"]) == ("alice", "orders-api", "agent-runner")
    assert answer.headers["x-remit-subject"] == "alice"
    assert answer.headers["x-remit-actor"] == "agent-runner"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"] == recorded["call_id"]
    assert (recorded["door"], recorded["outcome"]) == ("forward-auth", "success")
    assert recorded["downstream"] == {"method": "POST", "path": "/orders/*", "carried_by": "proxy"}
    assert not api.seen


@pytest.mark.anyio
async def test_the_header_of_the_token_can_be_named(tmp_path: Path) -> None:
    change = asked_by("nginx", tmp_path, token_header="X-Remit-Authorization", uri_header="X-Uri")
    async with gateway(tmp_path, change=change) as gate:
        answer = await ask(gate, {**nginx("GET", "/nothing"), "X-Uri": "/orders/1"})
    assert answer.headers["x-remit-authorization"].startswith("Bearer ey")
    assert "authorization" not in answer.headers


@pytest.mark.anyio
async def test_who_does_not_know_the_secret_is_no_proxy(tmp_path: Path) -> None:
    async with gateway(tmp_path, change=asked_by("nginx", tmp_path)) as gate:
        headers = nginx("GET", "/orders/1")
        del headers["X-Remit-Proxy-Secret"]
        for shown in ({}, *({"X-Remit-Proxy-Secret": secret} for secret in ("", "wrong", f"{SECRET}x"))):
            answer = await ask(gate, {**headers, **shown})
            assert (answer.status_code, answer.headers["x-remit-error"]) == (403, "proxy_untrusted")
            assert "authorization" not in answer.headers


@pytest.mark.anyio
async def test_an_address_that_is_not_trusted_is_no_proxy_whatever_it_says_of_itself(tmp_path: Path) -> None:
    change = asked_by("nginx", tmp_path, trusted_proxies=["10.0.0.0/8"])
    async with gateway(tmp_path, change=change) as gate:
        answer = await ask(gate, nginx("GET", "/orders/1", **{"X-Forwarded-For": "10.0.0.1"}))
    assert (answer.status_code, answer.json()["error"]) == (403, "proxy_untrusted")


@pytest.mark.anyio
async def test_the_other_proxies_ways_of_asking_are_not_believed(tmp_path: Path) -> None:
    """A caller may send any of these headers through a proxy that does not know them."""
    async with gateway(tmp_path, change=asked_by("traefik", tmp_path)) as gate:
        real = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/hidden/1", "X-Remit-Proxy-Secret": SECRET}
        answer = await ask(gate, {**real, "X-Original-URI": "/orders/1", "X-Original-Method": "GET"})
        below = await ask(gate, real, path="/forward-auth/orders/1")
    assert (answer.status_code, answer.json()["error"]) == (403, "not_found")
    assert below.status_code == 404


@pytest.mark.anyio
async def test_refusals_are_what_proxies_understand(tmp_path: Path) -> None:
    async with gateway(tmp_path, change=asked_by("nginx", tmp_path)) as gate:
        anonymous = await gate.http.get("/forward-auth", headers=nginx("GET", "/orders/1"))
        denied = await gate.request("GET", "/forward-auth", user="bob", headers=nginx("POST", "/orders/1"))
        hidden = await ask(gate, nginx("GET", "/hidden/1"))
        unknown = await ask(gate, nginx("GET", "/nothing"))
        ambiguous = await ask(gate, nginx("GET", "/orders/../hidden/1"))
        silent = await ask(gate, {"X-Remit-Proxy-Secret": SECRET})
        method = await ask(gate, nginx("TRACE", "/orders/1"))
    assert anonymous.status_code == 401
    assert "resource_metadata=" in anonymous.headers["www-authenticate"]
    assert (denied.status_code, denied.headers["x-remit-error"]) == (403, "access_denied")
    assert "your role does not allow" in denied.json()["message"]
    assert len(denied.headers["x-request-id"]) == 26
    for answer in (hidden, unknown, method):
        assert (answer.status_code, answer.headers["x-remit-error"]) == (403, "not_found")
    for answer in (ambiguous, silent):
        assert (answer.status_code, answer.headers["x-remit-error"]) == (403, "invalid_request")


@pytest.mark.anyio
async def test_two_targets_are_none(tmp_path: Path) -> None:
    async with gateway(tmp_path, change=asked_by("nginx", tmp_path)) as gate:
        lines = (f"{name}: {value}" for name, value in nginx("GET", "/hidden/1").items())
        raw = await gate.raw("GET /forward-auth HTTP/1.1", "Host: 127.0.0.1", *lines, "X-Original-URI: /orders/1")
    assert raw.startswith(b"HTTP/1.1 403")


@pytest.mark.anyio
async def test_no_spelling_of_a_host_passes_by_its_route(tmp_path: Path) -> None:
    opened = asked_by("nginx", tmp_path)

    def change(document: Document) -> None:
        opened(document)
        routes = document["gateway"]["routes"]
        orders, payments = (next(route for route in routes if route["name"] == name) for name in ("orders", "payments"))
        orders["hosts"] = ["orders.example"]
        routes[:] = [orders, {**payments, "prefix": orders["prefix"]}]

    async def audience(gate: Gateway, **host: str) -> str:
        answer = await ask(gate, nginx("GET", "/orders/1", **host))
        assert answer.status_code == 200
        return str(claims_of(answer.headers["authorization"].removeprefix("Bearer "))["aud"])

    async with gateway(tmp_path, change=change) as gate:
        for host in ("orders.example", "ORDERS.example.", "orders.example:443", "orders.example.:443"):
            assert await audience(gate, **{"X-Original-Host": host}) == "orders-api"
        assert await audience(gate, **{"X-Original-Host": "other.example"}) == "payments-api"
        assert await audience(gate) == "payments-api"
        for host in ("orders.example, a", "orders.example..", "orders.example:", "a@orders.example", "."):
            answer = await ask(gate, nginx("GET", "/orders/1", **{"X-Original-Host": host}))
            assert (answer.status_code, answer.headers["x-remit-error"]) == (403, "invalid_request")
        lines = (f"{name}: {value}" for name, value in nginx("GET", "/orders/1").items())
        twice = ("X-Original-Host: other.example", "X-Original-Host: orders.example")
        raw = await gate.raw("GET /forward-auth HTTP/1.1", "Host: 127.0.0.1", *lines, *twice)
    assert raw.startswith(b"HTTP/1.1 403")


@pytest.mark.anyio
async def test_the_door_is_closed_unless_it_is_opened(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        answer = await ask(gate, nginx("GET", "/orders/1"))
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


# ── who is trusted ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("networks", "address", "trusted"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["::1"], "::1", True),
        (["::1"], "127.0.0.1", False),
        (["127.0.0.1"], "", False),
        (["127.0.0.1"], "unix:", False),
        ([], "127.0.0.1", False),
    ],
)
def test_a_proxy_is_known_by_its_address(networks: list[str], address: str, trusted: bool) -> None:
    assert TrustedProxies.of(networks, None, "X-Secret").admit(address, Headers({})) is trusted


def test_a_secret_counts_once_and_with_the_address() -> None:
    proxies = TrustedProxies.of(["127.0.0.1"], Credential("s"), "X-Secret")
    assert proxies.admit("127.0.0.1", Headers({"X-Secret": "s"}))
    assert not proxies.admit("127.0.0.2", Headers({"X-Secret": "s"}))
    assert not proxies.admit("127.0.0.1", Headers(raw=[(b"x-secret", b"s"), (b"x-secret", b"s")]))


@given(st.text())
def test_any_name_fits_into_a_header_and_can_be_read_back(name: str) -> None:
    shown = _visible(name.encode("utf-8", "replace").decode())
    assert all(0x21 <= byte <= 0x7E for byte in shown)
    assert unquote(shown.decode()) == name.encode("utf-8", "replace").decode()
