"""What somebody would try with a code, a token or a session that is not theirs, and how it ends."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from support.attacked import CORP, Shop
from support.browsing import call, error_of, post
from support.dpop import KeyHolder
from support.issuer import claims_of, es256_key
from support.mcp_door import TLS, call_message
from support.pages import VERIFIER, Browser

REFUND = {"order_id": "O1003", "amount": 20_000, "reason": "late"}
TOKEN = "token"


@pytest.fixture(scope="module")
def alice(shop: Shop) -> Browser:
    """Hers, for those who only need somebody to be signed in."""
    return shop.browser()


def is_good(shop: Shop, token: str) -> bool:
    """Whether the MCP door takes it."""
    return call(shop.company.mcp_url, token).status_code == 200


# ── codes ──


def test_a_code_in_another_clients_hands_is_worth_nothing_and_used_up(shop: Shop) -> None:
    desk, server, alice = shop.client("desk"), shop.client("server"), shop.browser()
    with shop.nothing_given():
        for thief in (server, shop.client("shell")):
            code = desk.code(alice)
            assert error_of(thief.redeem(code)) == "invalid_grant"
            assert error_of(thief.redeem(code, redirect_uri=desk.redirect_uri)) == "invalid_grant"
            assert error_of(desk.redeem(code)) == "invalid_grant"
        confidential = server.code(alice)
        assert error_of(server.redeem(confidential, client_secret=None), 401) == "invalid_client"
        assert error_of(server.redeem(confidential, client_secret="x" * 20), 401) == "invalid_client"
    assert server.redeem(confidential).status_code == 200  # who proved nothing has used nothing up


def test_a_code_that_is_replayed_ends_what_came_of_it(shop: Shop) -> None:
    desk, alice = shop.client("desk"), shop.browser()
    code = desk.code(alice)
    tokens = desk.redeem(code).json()
    assert is_good(shop, tokens["access_token"])
    with shop.nothing_given(), shop.told("authorization_revoked"):
        assert error_of(shop.client("shell").redeem(code)) == "invalid_grant"
        assert error_of(desk.refresh(tokens["refresh_token"])) == "invalid_grant"
        assert not is_good(shop, tokens["access_token"])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": VERIFIER[:-1]}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"redirect_uri": "https://evil.example/callback"}, "invalid_grant"),
        ({"resource": "https://evil.example/mcp"}, "invalid_target"),
    ],
    ids=str,
)
def test_a_stolen_code_has_one_chance(shop: Shop, alice: Browser, changes: dict[str, Any], error: str) -> None:
    desk = shop.client("desk")
    code = desk.code(alice)
    with shop.nothing_given():
        assert error_of(desk.redeem(code, **changes)) == error
        assert error_of(desk.redeem(code)) == "invalid_grant"


def test_a_challenge_is_no_verifier(shop: Shop) -> None:
    desk = shop.client("desk")
    code = desk.code(shop.browser(), code_challenge=VERIFIER)  # as if the method were plain
    with shop.nothing_given():
        assert error_of(desk.redeem(code)) == "invalid_grant"


@pytest.mark.parametrize(
    "body",
    [
        "grant_type=authorization_code&grant_type=refresh_token&client_id=desk&code=x",
        "grant_type=authorization_code&client_id=desk&client_id=shell&code=x",
        "grant_type=authorization_code&client_id=desk&code=x&code=y",
        "grant_type=authorization_code&client_id=desk&code=x&code=",
        "grant_type=refresh_token&client_id=desk&refresh_token=x&%72efresh_token=y",
        "grant_type=refresh_token&client_id=desk&refresh_token=x&scope=a&scope=b",
        "grant_type=refresh_token&client_id=desk&refresh_token=x%00",
        "grant_type=refresh_token&client_id=desk&refresh_token=%ff",
    ],
)
def test_a_token_request_has_one_reading(shop: Shop, body: str) -> None:
    assert error_of(post(shop.base, TOKEN, body)) == "invalid_request"
    with shop.nothing_given():
        assert error_of(post(shop.base, f"{TOKEN}?client_id=desk", body)) == "invalid_request"


def test_two_proofs_of_a_client_are_none(shop: Shop) -> None:
    server = shop.client("server")
    code = server.code(shop.browser())
    basic = base64.b64encode(f"server:{server.secret}".encode()).decode()
    form = {"grant_type": "authorization_code", "code": code, "client_id": "server", "client_secret": server.secret}
    with shop.nothing_given():
        assert error_of(post(shop.base, TOKEN, form, Authorization=f"Basic {basic}")) == "invalid_request"
        other = {**form, "client_id": "desk", "client_secret": None}
        assert error_of(post(shop.base, TOKEN, other, Authorization=f"Basic {basic}"), 401) == "invalid_client"
        unasked = {**form, "client_id": "desk"}  # a secret that a public client does not have
        assert error_of(post(shop.base, TOKEN, unasked), 401) == "invalid_client"


# ── refresh tokens ──


def test_a_refresh_token_in_another_clients_hands_ends_its_family(shop: Shop) -> None:
    desk, alice = shop.client("desk"), shop.browser()
    for thief in (shop.client("shell"), shop.client("server")):
        tokens = desk.signed_in(alice)
        with shop.nothing_given(), shop.told("refresh_reused"):
            assert error_of(thief.refresh(tokens["refresh_token"])) == "invalid_grant"
            assert error_of(desk.refresh(tokens["refresh_token"])) == "invalid_grant"
            assert not is_good(shop, tokens["access_token"])


def test_a_refresh_token_that_thief_and_client_both_use_ends_its_family(shop: Shop) -> None:
    desk = shop.client("desk")
    first = desk.signed_in(shop.browser())
    stolen = desk.refresh(first["refresh_token"]).json()
    assert is_good(shop, stolen["access_token"])
    with shop.nothing_given(), shop.told("refresh_reused"):
        assert error_of(desk.refresh(first["refresh_token"])) == "invalid_grant"
        assert error_of(desk.refresh(stolen["refresh_token"])) == "invalid_grant"
        assert not is_good(shop, stolen["access_token"])


def test_of_many_that_use_a_refresh_token_at_once_nobody_keeps_anything(shop: Shop) -> None:
    desk = shop.client("desk")
    token = desk.signed_in(shop.browser())["refresh_token"]
    answers: list[httpx2.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(desk.refresh(token))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    given = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(given) <= 1
    for tokens in given:
        assert error_of(desk.refresh(tokens["refresh_token"])) == "invalid_grant"
        assert not is_good(shop, tokens["access_token"])


def test_a_bound_refresh_token_is_worth_nothing_without_its_key(shop: Shop) -> None:
    desk, url = shop.client("desk"), f"{shop.base}/oauth2/token"
    holder, thief = KeyHolder(now=time.time()), KeyHolder(es256_key("thief"), now=time.time())
    tokens = desk.redeem(desk.code(shop.browser()), holder.proof("POST", url)).json()
    assert tokens["token_type"] == "DPoP"
    with shop.nothing_given():
        for proof in ("", thief.proof("POST", url), holder.proof("GET", url), holder.proof("POST", shop.base)):
            assert error_of(desk.refresh(tokens["refresh_token"], proof)) == "invalid_dpop_proof"
        assert not is_good(shop, tokens["access_token"])
        stolen = {"Authorization": f"DPoP {tokens['access_token']}"}
        for proof in (
            thief.proof("POST", shop.company.mcp_url, tokens["access_token"]),
            holder.proof("POST", f"{shop.base}/orders", tokens["access_token"]),
            holder.proof("POST", shop.company.mcp_url, "another token"),
        ):
            assert call(shop.company.mcp_url, "", headers={**stolen, "DPoP": proof}).status_code == 401
    proof = holder.proof("POST", shop.company.mcp_url, tokens["access_token"])
    assert call(shop.company.mcp_url, "", headers={**stolen, "DPoP": proof}).status_code == 200
    assert (
        call(shop.company.mcp_url, "", headers={**stolen, "DPoP": proof}).status_code == 401
    )  # the same request again


# ── tokens for somebody else ──


def test_a_token_for_one_door_is_none_for_the_other(shop: Shop) -> None:
    alice = shop.browser()
    for_tools = shop.client("desk").signed_in(alice)["access_token"]
    for_gateway = shop.client("desk", resource=f"{shop.base}/gateway").signed_in(alice)["access_token"]
    assert is_good(shop, for_tools)
    with shop.nothing_given():
        assert call(shop.company.mcp_url, for_gateway).status_code == 401
        assert _through_the_gateway(shop, for_tools).status_code == 401
    assert _through_the_gateway(shop, for_gateway).status_code == 200


def _through_the_gateway(shop: Shop, token: str) -> httpx2.Response:
    url, headers = f"{shop.base}/orders/O1001", {"Authorization": f"Bearer {token}"}
    return httpx2.get(url, headers=headers, trust_env=False, verify=TLS)


def test_a_refresh_token_gives_nothing_for_another_door(shop: Shop) -> None:
    desk = shop.client("desk")
    tokens = desk.signed_in(shop.browser())
    with shop.nothing_given():
        for resource in (f"{shop.base}/gateway", "https://evil.example", [f"{shop.base}/mcp", f"{shop.base}/gateway"]):
            assert error_of(desk.refresh(tokens["refresh_token"], resource=resource)) == "invalid_target"


def test_nobody_exchanges_somebody_elses_access_token(shop: Shop) -> None:
    token = shop.client("desk").signed_in(shop.browser())["access_token"]
    exchange = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "payments-api",
    }
    secret = shop.company.secrets["orders-api"]
    with shop.nothing_given():
        named = {**exchange, "client_id": "orders-api", "client_secret": secret}
        assert post(shop.base, TOKEN, named).status_code == 400
        for client_id in ("desk", "server", "orders-api"):
            assert error_of(post(shop.base, TOKEN, {**exchange, "client_id": client_id}), 401) == "invalid_client"


def test_a_token_that_says_too_much_of_its_client_is_not_believed(shop: Shop) -> None:
    good = shop.client("desk").signed_in(shop.browser())["access_token"]
    head, _, signature = good.split(".")
    said = {**claims_of(good), "client_assurance": "authenticated", "client_id": "agent-runner"}
    forged = base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()
    own = CORP.mint(**{**said, "iss": shop.base}, header={"kid": json.loads(_decoded(head))["kid"]})
    with shop.nothing_given():
        for token in (f"{head}.{forged}.{signature}", f"{head}.{forged}.", own):
            assert call(shop.company.mcp_url, token).status_code == 401
    now = int(time.time())
    foreign = CORP.mint(
        aud=shop.company.mcp_url, client_id="ide", client_assurance="authenticated", iat=now, exp=now + 60
    )
    call(shop.company.mcp_url, foreign)
    actor = next(facts["actor"] for _, facts in reversed(shop.records()) if "actor" in facts)
    assert (actor["sub"], actor["iss"], actor["assurance"]) == ("ide", CORP.issuer, "registered")


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize(
    "headers",
    [
        {"Mcp-Method": "tools/list"},
        {"Mcp-Name": "list_orders"},
        {"MCP-Protocol-Version": "1999-01-01"},
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
    ],
    ids=str,
)
def test_forged_headers_call_nothing(shop: Shop, alice: Browser, headers: dict[str, str]) -> None:
    token = shop.client("desk").signed_in(alice)["access_token"]
    with shop.nothing_given():
        assert call(shop.company.mcp_url, token, headers=headers).status_code in {400, 403, 421}


# ── two clients of one person, and two people ──


def test_what_one_client_was_given_is_nothing_to_another(shop: Shop) -> None:
    desk, shell, alice = shop.client("desk"), shop.client("shell"), shop.browser()
    narrow = desk.signed_in(alice)
    wide = shell.signed_in(alice, scope="orders:read refunds:write")
    assert wide["scope"] == "orders:read refunds:write"
    again = desk.refresh(narrow["refresh_token"]).json()
    assert again["scope"] == "orders:read"
    assert error_of(desk.refresh(again["refresh_token"], scope="orders:read refunds:write")) == "invalid_scope"
    refused = call(shop.company.mcp_url, again["access_token"], "refund_order", {**REFUND, "amount": 1})
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


def test_a_client_gives_nothing_of_anothers_back(shop: Shop) -> None:
    desk, shell, alice = shop.client("desk"), shop.client("shell"), shop.browser()
    tokens = desk.signed_in(alice)
    for name in ("access_token", "refresh_token"):
        refused = shell.post({"token": tokens[name]}, place="revoke")
        assert refused.status_code == 400
        assert refused.json()["error"] == "unauthorized_client"
    assert is_good(shop, tokens["access_token"])
    taken = desk.post({"token": tokens["refresh_token"]}, place="revoke")
    assert taken.status_code == 200
    assert not is_good(shop, tokens["access_token"])


def test_the_state_of_one_clients_call_is_none_of_anothers(shop: Shop) -> None:
    """A call that alice is asked about at one client, answered by another client of hers, and by bob."""
    alice, bob, scope = shop.browser(), shop.browser(), "orders:read refunds:write payments:refund"
    tokens = {
        "desk": shop.client("desk").signed_in(alice, scope=scope)["access_token"],
        "shell": shop.client("shell").signed_in(alice, scope=scope)["access_token"],
        "bob": shop.client("desk").signed_in(bob, "bob", scope=scope)["access_token"],
    }
    asked = _refund(shop, tokens["desk"])
    [[question]] = [list(asked["result"]["inputRequests"])]
    answered = {
        "requestState": asked["result"]["requestState"],
        "inputResponses": {question: {"action": "accept", "content": {}}},
    }
    refunded = len(shop.company.payments.entries)
    for thief in ("shell", "bob"):
        assert _refund(shop, tokens[thief], **answered)["error"]["message"] == "Invalid or expired requestState"
    assert len(shop.company.payments.entries) == refunded
    made = _refund(shop, tokens["desk"], **answered)["result"]
    assert not made.get("isError", False), made


def _refund(shop: Shop, token: str, **more: Any) -> dict[str, Any]:
    headers, body = call_message("refund_order", "2026-07-28", REFUND)
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {"form": {}}}
    body["params"] |= more
    sent = {**headers, "Authorization": f"Bearer {token}"}
    answer = httpx2.post(shop.company.mcp_url, json=body, headers=sent, verify=TLS, trust_env=False, timeout=20)
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        text = next(line for line in text.splitlines() if line.startswith("data: ")).removeprefix("data: ")
    document: dict[str, Any] = json.loads(text)
    return document


def test_a_handshake_era_label_in_anothers_hands_answers_nothing(shop: Shop) -> None:
    alice, bob, scope = shop.browser(), shop.browser(), "orders:read refunds:write payments:refund"
    hers = shop.client("desk").signed_in(alice, scope=scope)["access_token"]
    thieves = (
        shop.client("shell").signed_in(alice, scope=scope)["access_token"],
        shop.client("desk").signed_in(bob, "bob", scope=scope)["access_token"],
    )
    refunded = len(shop.company.payments.entries)
    with _asked(shop, hers, "0123-asks") as (question, rest):
        for thief in thieves:
            _say(shop, thief, {"id": question, "result": {"action": "accept", "content": {}}})
            _say(shop, thief, {"method": "notifications/cancelled", "params": {"requestId": 1}})
        _say(shop, hers, {"id": question, "result": {"action": "decline"}})
        result = json.loads(next(rest))["result"]
    assert result["structuredContent"]["error"]["code"] == "approval_denied"
    assert len(shop.company.payments.entries) == refunded


@contextmanager
def _asked(shop: Shop, token: str, label: str) -> Iterator[tuple[str, Iterator[str]]]:
    """A call on whose open response its user is asked: the question's id, and what comes after it."""
    headers, body = call_message("refund_order", "legacy", {**REFUND, "amount": 20_001})
    sent = {**headers, "Authorization": f"Bearer {token}", "Mcp-Session-Id": label}
    with (
        httpx2.Client(verify=TLS, trust_env=False, timeout=20) as http,
        http.stream("POST", shop.company.mcp_url, json=body, headers=sent) as answer,
    ):
        events = (line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: "))
        question = json.loads(next(events))
        assert question["method"] == "elicitation/create"
        yield question["id"], events


def _say(shop: Shop, token: str, message: dict[str, Any]) -> None:
    headers, _ = call_message("refund_order", "legacy")
    sent = {**headers, "Authorization": f"Bearer {token}", "Mcp-Session-Id": "0123-asks"}
    said = httpx2.post(
        shop.company.mcp_url, json={"jsonrpc": "2.0", **message}, headers=sent, verify=TLS, trust_env=False
    )
    assert said.status_code == 202
