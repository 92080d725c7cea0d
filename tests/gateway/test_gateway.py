"""The gateway from end to end: whose token goes where, who is told what, what the trail says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from remit.resource import ResourceServer
from remit.tokens.jwks import LiveKeys
from remit.tokens.verifier import TrustedIssuer
from support.company import Document
from support.gateway import Scripted, gateway, values
from support.policy import edit_tables

pytestmark = pytest.mark.anyio


def claims(answer: httpx.Response) -> dict[str, Any]:
    """The claims of the token that the echoing API got."""
    (seen,) = values(answer.json(), "authorization")
    found: dict[str, Any] = json.loads(seen)
    return found


async def test_the_api_gets_a_token_of_its_own_that_names_user_and_runner(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        answer = await gate.request("GET", "/orders/O1?page=2")
        assert answer.status_code == 200
        assert (answer.json()["path"], answer.json()["query"]) == ("/orders/O1", "page=2")
        token = claims(answer)
    assert (token["sub"], token["aud"], token["scope"]) == ("alice", "orders-api", "orders:read")
    assert token["act"]["sub"] == "agent-runner"
    assert token["exp"] - token["iat"] <= 120


async def test_an_api_can_verify_the_token(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        await gate.request("GET", "/orders/O1")
        assert gate.app.sts is not None
        issuer = TrustedIssuer(gate.app.settings.issuer, frozenset({"ES256"}), LiveKeys(gate.app.sts.keys.jwks))
        delegation = await ResourceServer("orders-api", [issuer], gate.app.clock).authenticate(api.seen[0]["headers"])
    assert (delegation.principal, delegation.current_actor) == ("alice", "agent-runner")


async def test_each_route_has_its_own_audience_and_scopes(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        tokens = [claims(await gate.request("GET", path)) for path in ("/orders/1", "/payments/1")]
    assert [(token["aud"], token["scope"]) for token in tokens] == [
        ("orders-api", "orders:read"),
        ("payments-api", "payments:read"),
    ]


async def test_a_delegated_token_keeps_its_chain_as_history(tmp_path: Path) -> None:
    def add_frontend(document: Document) -> None:
        document["sts"]["clients"]["frontend"] = {
            "secret": {"file": ".remit/secrets/orders-api"},
            "targets": [{"audience": f"http://{document['listen']}/gateway", "scopes": ["orders:read"]}],
        }
        # An exchanged token says no roles.
        edit_tables(tmp_path, lambda tables: tables.update(users={"alice": {"may": {"orders": ["read"]}}}))

    async with gateway(tmp_path, change=add_frontend) as gate:
        users_token = gate.token("alice", audience="frontend")
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": users_token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "audience": f"{gate.url}/gateway",
        }
        secret = (tmp_path / ".remit" / "secrets" / "orders-api").read_text("ascii")
        exchanged = await gate.http.post("/oauth2/token", data=form, auth=("frontend", secret))
        bearer = {"Authorization": f"Bearer {exchanged.json()['access_token']}"}
        answer = await gate.http.get("/orders/1", headers=bearer)
        recorded = await gate.facts(answer.headers["x-request-id"])
    token = claims(answer)
    assert (token["sub"], token["act"]["sub"], token["act"]["act"]["sub"]) == ("alice", "agent-runner", "frontend")
    assert [link["sub"] for link in recorded["exchange"]["chain"]] == ["agent-runner", "frontend"]
    assert [link["sub"] for link in recorded["principal"]["chain"]] == ["frontend"]


async def test_a_token_for_the_mcp_door_is_not_good_here_nor_the_other_way_round(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for_mcp = gate.token(audience=f"{gate.url}/mcp")
        answer = await gate.http.get("/orders/1", headers={"Authorization": f"Bearer {for_mcp}"})
        mcp = await gate.http.post("/mcp", json={}, headers={"Authorization": f"Bearer {gate.token()}"})
    assert answer.status_code == mcp.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_without_a_token_every_path_is_a_challenge_that_says_where_to_get_one(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for path in ("/orders/1", "/hidden/1", "/nothing"):
            answer = await gate.http.get(path)
            assert (answer.status_code, answer.json()["error"]) == (401, "token_missing")
            where = answer.headers["www-authenticate"].split('resource_metadata="')[1].split('"')[0]
        metadata = await gate.http.get(where)
    assert metadata.json()["resource"] == f"{gate.url}/gateway"
    assert metadata.json()["authorization_servers"] == [gate.url]


async def test_a_token_that_is_none_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        for authorization in ("Bearer nonsense", "Basic YTpi", "Bearer a b"):
            answer = await gate.http.get("/orders/1", headers={"Authorization": authorization})
            assert answer.status_code == 401
        asked = await gate.http.get(f"/orders/1?access_token={gate.token()}")
        assert (asked.status_code, asked.json()["error"]) == (400, "invalid_request")
    assert not api.seen


async def test_a_denial_says_why_and_is_in_the_trail(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        answer = await gate.request("POST", "/orders/1/refunds", user="bob", content=b"x")
        said = answer.json()
        recorded = await gate.facts(said["audit_id"])
    assert (answer.status_code, said["error"]) == (403, "access_denied")
    assert "your role does not allow" in said["message"]
    assert answer.headers["x-request-id"] == said["audit_id"]
    assert (recorded["outcome"], recorded["door"], recorded["principal"]["subject"]) == ("denied", "gateway", "bob")
    assert not api.seen


async def test_a_hidden_route_looks_like_none(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        hidden, unknown = [await gate.request("GET", path) for path in ("/hidden/1", "/nothing/1")]
        outcomes = [await gate.facts(answer.json()["audit_id"]) for answer in (hidden, unknown)]
    assert hidden.status_code == unknown.status_code == 404
    assert [{**answer.json(), "audit_id": ""} for answer in (hidden, unknown)] == [
        {"error": "not_found", "message": "nothing here takes this method and path", "audit_id": ""}
    ] * 2
    assert hidden.headers.keys() == unknown.headers.keys()
    assert [(facts["outcome"], facts["error"]["code"]) for facts in outcomes] == [
        ("denied", "tool_hidden"),
        ("failure", "tool_unknown"),
    ]
    assert not api.seen


async def test_a_missing_scope_is_a_challenge_with_its_name(tmp_path: Path) -> None:
    def other_scope(document: Document) -> None:
        document["gateway"]["routes"][0]["scopes"] = ["refunds:large"]
        document["sts"]["clients"]["agent-runner"]["targets"][0]["scopes"].append("refunds:large")

    async with gateway(tmp_path, change=other_scope) as gate:
        answer = await gate.request("GET", "/orders/1")
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="refunds:large"' in answer.headers["www-authenticate"]


async def test_each_method_has_its_scopes_and_the_others_are_none(tmp_path: Path) -> None:
    def methods(document: Document) -> None:
        document["gateway"]["routes"][0]["methods"] = {"GET": [], "POST": ["refunds:write"]}

    async with gateway(tmp_path, change=methods) as gate:
        scopes = [claims(await gate.request(method, "/orders/1"))["scope"] for method in ("GET", "POST")]
        head = await gate.request("HEAD", "/orders/1")
        refused = [(await gate.request(method, "/orders/1")).status_code for method in ("DELETE", "TRACE", "BREW")]
    assert scopes == ["orders:read", "refunds:write"]
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0
    assert refused == [404, 404, 404]


async def test_trace_is_never_passed_on_because_it_would_show_the_token(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        assert (await gate.request("TRACE", "/orders/1")).status_code == 404
    assert not api.seen


async def test_the_longest_prefix_wins_on_segment_borders(tmp_path: Path) -> None:
    def more(document: Document) -> None:
        first = document["gateway"]["routes"][0]
        special = {**first, "name": "payments", "prefix": "/orders/special", "audience": "payments-api"}
        document["gateway"]["routes"][1] = {**special, "scopes": ["payments:read"], "strip_prefix": True}

    async with gateway(tmp_path, change=more) as gate:
        paths = ("/orders", "/orders/", "/orders/specials", "/orders/special", "/orders/special/1", "/ordersx")
        answers = [await gate.request("GET", path) for path in paths]
    found = [(claims(answer)["aud"], answer.json()["path"]) for answer in answers[:-1]]
    assert found == [
        ("orders-api", "/orders"),
        ("orders-api", "/orders/"),
        ("orders-api", "/orders/specials"),
        ("payments-api", "/"),
        ("payments-api", "/1"),
    ]
    assert answers[-1].status_code == 404


async def test_a_route_may_be_for_one_host_only(tmp_path: Path) -> None:
    def for_host(document: Document) -> None:
        document["gateway"]["routes"][0]["hosts"] = ["orders.example"]

    async with gateway(tmp_path, change=for_host) as gate:
        hosts = ("orders.example", "orders.example:8443", f"127.0.0.1:{gate.port}", "evil.example")
        found = [(await gate.request("GET", "/orders/1", headers={"Host": host})).status_code for host in hosts]
    assert found == [200, 200, 404, 421]


async def test_nobody_is_redirected_to_the_host_they_name(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for path in ("/mcp/", "/oauth2/token/", "/healthz/"):
            named = await gate.request("POST", path, headers={"Host": "evil.example"})
            assert (named.status_code, named.headers.get("location")) == (421, None)
            assert (await gate.request("POST", path)).status_code == 404


async def test_the_trail_tells_where_it_went_but_not_the_path(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        answer = await gate.request("POST", "/orders/alice@example.com?secret=1", content=b"x" * 1000)
        recorded = await gate.facts(answer.headers["x-request-id"])
    downstream = recorded["downstream"]
    assert (recorded["door"], recorded["outcome"], recorded["tool"]["name"]) == ("gateway", "success", "orders")
    assert (downstream["method"], downstream["path"], downstream["status"]) == ("POST", "/orders/*", 200)
    assert (downstream["request_bytes"], downstream["bytes"]) == (1000, len(answer.content))
    assert downstream["duration_us"] > 0
    assert len(recorded["tool"]["digest"]) == 64
    assert "example.com" not in json.dumps(recorded)
    assert "secret" not in json.dumps(recorded)


@pytest.mark.parametrize(
    ("status", "outcome"), [(204, "success"), (304, "success"), (404, "failure"), (500, "failure")]
)
async def test_the_apis_own_words_are_passed_on_and_its_failure_is_recorded(
    tmp_path: Path, status: int, outcome: str
) -> None:
    body = b"" if status in (204, 304) else b"its own words"
    async with gateway(tmp_path, api=Scripted(status, body=body)) as gate:
        answer = await gate.request("GET", "/orders/1")
        recorded = await gate.facts(answer.headers["x-request-id"])
    assert (answer.status_code, answer.content) == (status, body)
    assert (recorded["outcome"], recorded["downstream"]["status"]) == (outcome, status)


async def test_a_redirect_is_passed_on_and_not_followed(tmp_path: Path) -> None:
    api = Scripted(302, [(b"location", b"http://elsewhere.example/x")])
    async with gateway(tmp_path, api=api) as gate:
        answer = await gate.request("GET", "/orders/1")
    assert (answer.status_code, answer.headers["location"]) == (302, "http://elsewhere.example/x")
    assert len(api.seen) == 1


async def test_an_api_that_refuses_the_token_made_for_it_does_not_send_the_caller_to_sign_in(tmp_path: Path) -> None:
    api = Scripted(401, [(b"www-authenticate", b'Bearer resource_metadata="https://api.example/"')])
    async with gateway(tmp_path, api=api) as gate:
        answer = await gate.request("GET", "/orders/1")
    assert (answer.status_code, answer.json()["error"]) == (502, "downstream_refused")
    assert "www-authenticate" not in answer.headers


async def test_an_unreachable_api_is_a_502_with_an_audit_id(tmp_path: Path) -> None:
    async with gateway(tmp_path, upstream="http://127.0.0.1:1") as gate:
        answer = await gate.request("GET", "/orders/1")
        recorded = await gate.facts(answer.json()["audit_id"])
    assert (answer.status_code, answer.json()["error"]) == (502, "downstream_unavailable")
    assert "127.0.0.1:1" not in answer.text
    assert (recorded["outcome"], recorded["downstream"]["status"]) == ("failure", 0)


async def test_nothing_is_passed_on_when_the_trail_cannot_be_written(tmp_path: Path) -> None:
    async with gateway(tmp_path, api=(api := Scripted())) as gate:
        gate.app.store.close()
        answer = await gate.request("GET", "/orders/1")
    assert answer.status_code in (500, 503)
    assert not api.seen


async def test_a_rule_of_policy_can_look_at_method_and_path(tmp_path: Path) -> None:
    def only_open(gate_folder: Path) -> None:
        (gate_folder / "policy" / "closed.rego").write_text(
            "package remit.rules\nimport rego.v1\n"
            'deny contains {"code": "closed", "message": "this order is closed", "audience": "user"} if {\n'
            '\tinput.resource.type == "route"\n\tstartswith(input.resource.properties.path, "/orders/C")\n}\n',
            "utf-8",
        )

    def change(_document: Document) -> None:
        only_open(tmp_path)

    async with gateway(tmp_path, change=change) as gate:
        opened, closed = [await gate.request("GET", path) for path in ("/orders/O1", "/orders/C1")]
    assert opened.status_code == 200
    assert (closed.status_code, closed.json()["message"]) == (403, "this order is closed")


async def test_other_doors_stay_where_they_are(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        assert (await gate.http.get("/healthz")).json() == {"status": "ok"}
        assert (await gate.http.get("/oauth2/jwks")).status_code == 200


async def test_without_routes_there_is_no_gateway(tmp_path: Path) -> None:
    def none(document: Document) -> None:
        del document["gateway"]

    async with gateway(tmp_path, change=none) as gate:
        answers = [await gate.request("GET", path) for path in ("/orders/1", "/forward-auth")]
    assert [answer.status_code for answer in answers] == [404, 404]
