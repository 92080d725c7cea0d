"""Who is let in over HTTP, and what those who are not are told. Raw requests on a real socket."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from remit.app import registry
from remit.sts.minting import sign
from remit.sts.users import mint_subject_token
from support.company import Company, Document, company_in_thread
from support.issuer import FakeIssuer
from support.mcp_door import ERAS, call_message

eras = pytest.mark.parametrize("era", ERAS)


def without_scopes(document: Document) -> None:
    """Carol has alice's role and dave has bob's, but they signed in without any scope."""
    document["sts"]["users"] |= {"carol": {"roles": ["support-lead"]}, "dave": {"roles": ["intern"]}}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company_in_thread(tmp_path_factory.mktemp("company"), without_scopes) as running:
        yield running


def call(
    company: Company,
    token: str | None,
    tool: str = "get_order",
    era: str = ERAS[0],
    *,
    order: str = "O1001",
    **changes: str,
) -> httpx.Response:
    headers, body = call_message(tool, era, {"order_id": order})
    sent = {**headers, "Authorization": f"Bearer {token}", **changes}
    if token is None:
        del sent["Authorization"]
    return httpx.post(company.mcp_url, headers=sent, json=body, trust_env=False)


def challenge(answer: httpx.Response) -> dict[str, str]:
    """The parameters of the one challenge."""
    scheme, _, parameters = answer.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    return dict(re.findall(r'(\w+)="([^"]*)"', parameters))


def minted(company: Company, *, audience: str = "", age: int = 0, lifetime: int = 600) -> str:
    sts = company.app.sts
    assert sts is not None
    return mint_subject_token(
        sts,
        registry.development_user(company.app.settings, "alice"),
        audience=audience or company.mcp_url,
        client_id="somebody",
        lifetime=lifetime,
        now=company.app.clock.now() - age,
    ).reveal()


def altered(company: Company, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """The sample claims, as an impostor who calls itself by the token service's name would sign them."""
    impostor = FakeIssuer(issuer=company.base, audience=company.mcp_url, now=company.app.clock.now())
    return impostor.mint(header=header, scope="orders:read", **changes)


@eras
def test_a_sound_token_is_served(company: Company, era: str) -> None:
    answer = call(company, company.token(), era=era)
    assert answer.status_code == 200
    assert "O1001" in answer.text


@eras
def test_no_token_is_asked_for_one_and_told_where_to_get_it(company: Company, era: str) -> None:
    answer = call(company, None, era=era)
    assert answer.status_code == 401
    told = challenge(answer)
    assert "error" not in told  # RFC 6750 §3.1
    metadata = httpx.get(told["resource_metadata"], trust_env=False)
    assert metadata.status_code == 200
    assert metadata.json()["resource"] == company.mcp_url
    (issuer,) = metadata.json()["authorization_servers"]
    assert issuer == company.base
    server = httpx.get(f"{issuer}/.well-known/oauth-authorization-server", trust_env=False).json()
    assert server["issuer"] == issuer
    keys = httpx.get(server["jwks_uri"], trust_env=False).json()["keys"]
    assert [key["alg"] for key in keys] == ["ES256"]
    assert all("d" not in key for key in keys)


@pytest.mark.parametrize(
    "why",
    [
        "for another audience",
        "expired",
        "from the future",
        "of another issuer",
        "forged",
        "of another kind",
        "unsigned",
        "tampered with",
        "a delegated token for an API",
        "the runner's own",
    ],
)
def test_a_token_is_refused_that_is(company: Company, why: str) -> None:
    good = company.token()
    body, _, signature = good.rpartition(".")
    sts = company.app.sts
    assert sts is not None
    now = int(company.app.clock.now())
    delegated = {
        "iss": company.base,
        "sub": "alice",
        "aud": "orders-api",
        "client_id": "agent-runner",
        "scope": "orders:read",
        "iat": now,
        "exp": now + 60,
        "jti": "1",
        "act": {"sub": "agent-runner"},
    }
    runner = {**delegated, "sub": "agent-runner", "aud": company.base}
    del runner["act"]
    tokens = {
        "for another audience": minted(company, audience="http://127.0.0.1:1/mcp"),
        "expired": minted(company, age=3600),
        "from the future": minted(company, age=-3600),
        "of another issuer": FakeIssuer(audience=company.mcp_url, now=now).mint(),
        "forged": altered(company),
        "of another kind": altered(company, {"typ": "JWT"}),
        "unsigned": f"{body}.",
        "tampered with": f"{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
        "a delegated token for an API": sign(delegated, sts.keys.signing_key).reveal(),
        "the runner's own": sign(runner, sts.keys.signing_key).reveal(),
    }
    before = len(company.orders.entries)
    answer = call(company, tokens[why])
    assert answer.status_code == 401
    told = challenge(answer)
    assert told["error"] == "invalid_token"
    assert told["resource_metadata"].startswith(company.base)
    assert tokens[why] not in answer.text + str(answer.headers)
    assert len(company.orders.entries) == before


@eras
def test_a_missing_scope_is_named(company: Company, era: str) -> None:
    answer = call(company, company.token("carol"), era=era)
    assert answer.status_code == 403
    assert challenge(answer)["error"] == "insufficient_scope"
    assert challenge(answer)["scope"] == "orders:read"
    audit_id = challenge(answer)["error_description"].rpartition("audit id ")[2].rstrip(")")
    recorded = company.recorded(audit_id).facts
    assert recorded["outcome"] == "denied"
    assert recorded["error"]["code"] == "insufficient_scope"
    assert recorded["principal"]["subject"] == "carol"


def test_a_token_in_the_query_is_refused(company: Company) -> None:
    headers, body = call_message("get_order", ERAS[0], {"order_id": "O1001"})
    del headers["Authorization"]
    url = f"{company.mcp_url}?access_token={company.token()}"
    answer = httpx.post(url, headers=headers, json=body, trust_env=False)
    assert answer.status_code == 400
    assert challenge(answer)["error"] == "invalid_request"


def test_a_page_of_a_strange_origin_or_host_is_refused(company: Company) -> None:
    token = company.token()
    assert call(company, token, Origin="https://evil.example").status_code == 403
    assert call(company, token, Host="evil.example").status_code == 421


@eras
@pytest.mark.parametrize("user", ["bob", "dave"])
def test_an_unknown_tool_and_a_hidden_one_look_the_same_to_the_byte(
    company_that_hides: Company, user: str, era: str
) -> None:
    """Whether the arguments fit or not, and whether the token holds the scopes of the hidden one or not."""
    company = company_that_hides
    token = company.token(user)
    unknown = call(company, token, "list_parrots", era)
    for order in ("O1001", "not an order"):
        hidden = call(company, token, "list_payments", era, order=order)
        assert hidden.status_code == unknown.status_code
        assert hidden.content == unknown.content.replace(b"list_parrots", b"list_payments")
        assert names_and_values(hidden) == names_and_values(unknown)
    facts = [each for each in company.facts() if each["principal"]["subject"] == user]
    told = {(each["tool"]["name"], each["outcome"], each["error"]["code"]) for each in facts}
    assert told == {("list_payments", "denied", "tool_hidden"), ("list_parrots", "failure", "tool_unknown")}


def names_and_values(answer: httpx.Response) -> list[tuple[str, str]]:
    """The headers, without what the time and the length of a name make different."""
    return [(name, value) for name, value in answer.headers.multi_items() if name not in {"date", "content-length"}]


@pytest.fixture(scope="module")
def company_that_hides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The sample policy tells interns nothing of payments, so to them its tools are not there."""
    with company_in_thread(tmp_path_factory.mktemp("hiding"), without_scopes) as running:
        yield running
