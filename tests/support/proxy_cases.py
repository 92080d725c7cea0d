"""What holds behind every proxy, whichever asks."""

from __future__ import annotations

import asyncio

from support.issuer import claims_of
from support.proxies import SECRET, Proxied

FORGED = {
    "X-Remit-Subject": "mallory",
    "X-Remit-Actor": "mallory",
    "X-Remit-Authorization": "Bearer mallory",
    "X-Remit-Proxy-Secret": "mallory",
    "X-Original-URI": "/orders/mallory",
    "X-Original-Method": "MALLORY",
    "X-Forwarded-For": "203.0.113.66",
    "X-Forwarded-Uri": "/orders/mallory",
    "X-Forwarded-Method": "MALLORY",
    "X-Http-Method-Override": "MALLORY",
    "X-Request-Id": "mallory",
    "Forwarded": "for=203.0.113.66",
    "Cookie": "session=mallory",
}


async def check_allowed(proxy: Proxied) -> None:
    """The API gets a delegated token in place of the caller's, and the trail knows who carried the traffic."""
    answer = await proxy.request("POST", "/orders/O1?page=2", content=b"x" * 200_000)
    assert (answer.status_code, answer.json()) == (
        200,
        {"user": "alice", "actor": "agent-runner", "path": "/orders/O1", "size": 200_000},
    ), answer.text
    fields = dict(proxy.seen[-1]["fields"])
    claims = claims_of(fields["authorization"].removeprefix("Bearer "))
    recorded = await proxy.gate.facts(fields["x-request-id"])
    assert (claims["aud"], claims["sub"]) == ("orders-api", "alice")
    assert (fields["x-remit-subject"], fields["x-remit-actor"]) == ("alice", "agent-runner")
    assert (recorded["door"], recorded["exchange"]["jti"]) == ("forward-auth", claims["jti"])
    assert recorded["downstream"] == {"method": "POST", "path": "/orders/*", "carried_by": "proxy"}
    assert answer.headers["x-request-id"] == fields["x-request-id"]
    assert "set-cookie" not in answer.headers


async def check_refused(proxy: Proxied) -> None:
    """Nobody, a denied user, a path without a route: none of it reaches the API."""
    anonymous = await proxy.http.get("/orders/1")
    nonsense = await proxy.http.get("/orders/1", headers={"Authorization": "Bearer nonsense"})
    denied = await proxy.request("POST", "/orders/1", user="bob")
    assert anonymous.status_code == nonsense.status_code == 401
    assert "resource_metadata=" in anonymous.headers["www-authenticate"]
    assert 'error="invalid_token"' in nonsense.headers["www-authenticate"]
    assert (denied.status_code, denied.json()["error"]) == (403, "access_denied")
    assert (await proxy.gate.facts(denied.json()["audit_id"]))["outcome"] == "denied"
    assert not proxy.seen


async def check_forgery(proxy: Proxied) -> None:
    """What only remit and the proxy may say does not come from the client."""
    answer = await proxy.request("GET", "/orders/O1", headers=FORGED)
    assert answer.status_code == 200, answer.text
    (seen,) = proxy.seen
    assert (seen["path"], answer.json()["user"]) == ("/orders/O1", "alice")
    for name, value in seen["fields"]:
        for forged in ("mallory", "203.0.113.66", SECRET):
            assert forged not in value.lower(), f"{name}: {value}"


async def check_door_is_not_reached_from_outside(proxy: Proxied) -> None:
    """The client cannot ask remit itself through the proxy."""
    for path in ("/_remit", "/forward-auth", "/forward-auth/orders/1"):
        answer = await proxy.request("GET", path)
        assert answer.status_code in (403, 404)
        assert "authorization" not in answer.headers


async def check_paths(proxy: Proxied) -> None:
    """Whatever way a path is spelled, the API gets only what was decided about: policy closes ``/orders/C…``."""
    spellings = [
        "/orders/../hidden/1",
        "/orders/%2e%2e/hidden/1",
        "/orders/%2fhidden",
        "/orders/a%2f..%2f..%2fhidden",
        "/orders/..;/hidden",
        "/orders/%252e%252e/hidden",
        "/orders/\\..\\..\\hidden",
        "//hidden/1",
        "/hidden/1",
        "/orders/C1",
        "/orders//C1",
        "/orders/./C1",
        "/orders/%2e/C1",
        "/orders/x/../C1",
        "/orders/x/%2e%2e/C1",
        "/orders/%43%31",
        "/orders\\C1",
        "/orders/;/C1",
        "/orders/x/..;/C1",
        "/orders/%2fC1",
        "/orders/%5cC1",
        "/hidden/../orders/C1",
        "http://shop.example/orders/C1",
    ]
    for spelling in spellings:
        answer = await proxy.raw(f"GET {spelling} HTTP/1.1", "Host: shop.example")
        assert int(answer.split()[1]) in (307, 400, 403, 404), (spelling, answer[:200])
    assert not proxy.seen


async def check_fails_closed(proxy: Proxied) -> None:
    """Where remit cannot decide, nothing passes."""
    proxy.gate.app.store.close()
    answer = await proxy.request("GET", "/orders/1")
    assert answer.status_code in (403, 500, 503)
    assert not proxy.seen


async def check_many_at_once(proxy: Proxied) -> None:
    """Concurrent callers keep their own names."""
    users = ["alice", "bob"] * 10
    answers = await asyncio.gather(*(proxy.request("GET", f"/orders/{user}", user=user) for user in users))
    assert [answer.json()["user"] for answer in answers] == users


ALL = {
    "an allowed request": check_allowed,
    "refusals": check_refused,
    "forged fields": check_forgery,
    "the door from outside": check_door_is_not_reached_from_outside,
    "spellings of a path": check_paths,
    "no decision": check_fails_closed,
    "many at once": check_many_at_once,
}
