from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import quote_plus

import pytest

from remit import oauth
from remit.credential import Credential
from remit.errors import GrantError, InvalidClient, InvalidRequest, SettingsInvalid
from remit.sts.client_authentication import ClientAuthenticator
from remit.sts.clients import Client, Clients, TargetRule
from support.clock import FakeClock
from support.issuer import RS256, FakeIssuer

ISSUER = "https://sts.example"
ENDPOINT = f"{ISSUER}/oauth2/token"
SECRET = "p%ss w:rd+ é with all sorts"
KEYED = FakeIssuer(issuer="keyed", audience=ISSUER, name="keyed")
CLIENTS = {
    client.client_id: client
    for client in (
        Client("plain").with_secret(Credential(SECRET)),
        Client("basic only", auth_methods=frozenset({oauth.CLIENT_SECRET_BASIC})).with_secret(Credential(SECRET)),
        Client("keyed", jwks=KEYED.jwks("ES256", RS256)),
        Client("keyless", auth_methods=frozenset({oauth.CLIENT_SECRET_POST}), jwks=KEYED.jwks("ES256", RS256)),
        Client("bare"),
    )
}


def authenticator(clock: FakeClock | None = None) -> ClientAuthenticator:
    return ClientAuthenticator(CLIENTS, frozenset({ISSUER, ENDPOINT}), clock or FakeClock())


def authenticate(*authorization: str, by: ClientAuthenticator | None = None, **form: str) -> str:
    fields = {name: [value] for name, value in form.items()}
    return asyncio.run((by or authenticator()).authenticate(authorization, fields)).client_id


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def assertion(*, key: str = "ES256", header: dict[str, Any] | None = None, **claims: Any) -> dict[str, Any]:
    text = KEYED.mint(key=key, header={"typ": "JWT", **(header or {})}, **{"sub": "keyed", "aud": ISSUER, **claims})
    return {"client_assertion_type": oauth.CLIENT_ASSERTION_TYPE_JWT_BEARER, "client_assertion": text}


@pytest.mark.parametrize("client_id", ["plain", "basic only"])
def test_a_client_proves_itself_with_basic(client_id: str) -> None:
    assert authenticate(basic(client_id, SECRET)) == client_id
    assert authenticate(basic(client_id, SECRET).replace("Basic", "basic"), client_id=client_id) == client_id


def test_a_client_proves_itself_in_the_form() -> None:
    assert authenticate(client_id="plain", client_secret=SECRET) == "plain"


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"client_id": "plain"},
        {"client_id": "bare"},
        {"client_id": "plain", "client_secret": "wrong"},
        {"client_id": "nobody", "client_secret": SECRET},
        {"client_secret": SECRET},
        {"client_id": "bare", "client_secret": "\0" * 32},
        {"client_id": "basic only", "client_secret": SECRET},
        {"client_id": "keyed", "client_secret": SECRET},
    ],
    ids=str,
)
def test_a_client_that_proves_nothing_never_passes(form: dict[str, Any]) -> None:
    with pytest.raises(InvalidClient):
        authenticate(**form)


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + base64.b64encode(b"plain").decode(),
        "Basic " + base64.b64encode(b"\xff:x").decode(),
        "Basic " + base64.b64encode(b"plain:%zz").decode(),
        "Bearer abc",
        basic("plain", ""),
        basic("plain", SECRET.swapcase()),
        basic("", SECRET),
        basic("bare", ""),
    ],
)
def test_a_basic_header_that_proves_nothing_never_passes(header: str) -> None:
    with pytest.raises(InvalidClient):
        authenticate(header)


def test_two_kinds_of_proof_are_an_invalid_request() -> None:
    cases: list[tuple[list[str], dict[str, Any]]] = [
        ([basic("plain", SECRET)], {"client_id": "plain", "client_secret": SECRET}),
        ([basic("plain", SECRET)], assertion()),
        ([], {"client_id": "keyed", "client_secret": SECRET, **assertion()}),
        ([basic("plain", SECRET)] * 2, {}),
    ]
    for authorization, form in cases:
        with pytest.raises(InvalidRequest):
            authenticate(*authorization, **form)


def test_a_client_id_beside_the_proof_must_be_the_same() -> None:
    cases: list[tuple[list[str], dict[str, Any]]] = [([basic("plain", SECRET)], {}), ([], assertion())]
    for authorization, form in cases:
        with pytest.raises(InvalidClient):
            authenticate(*authorization, **form, client_id="basic only")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"key": RS256},
        {"aud": ENDPOINT},
        {"aud": [ISSUER]},
        {"header": {"typ": "client-authentication+jwt"}},
        {"exp": 1_800_000_600},
    ],
    ids=str,
)
def test_a_client_proves_itself_with_its_key(changes: dict[str, Any]) -> None:
    assert authenticate(**assertion(**changes)) == "keyed"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example"},
        {"aud": [ISSUER, "https://other.example"]},
        {"sub": "plain"},
        {"iss": "plain"},
        {"iss": "keyless", "sub": "keyless"},
        {"exp": 1_800_000_601},
        {"exp": 1_799_999_000},
        {"jti": ""},
        {"header": {"typ": "at+jwt"}},
        {"header": {"kid": "another"}},
    ],
    ids=str,
)
def test_an_assertion_that_proves_something_else_never_passes(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidClient):
        authenticate(**assertion(**changes))


def test_an_assertion_of_an_unknown_type_never_passes() -> None:
    with pytest.raises(InvalidClient):
        authenticate(
            **{**assertion(), "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}
        )


def test_ten_uses_of_one_assertion_give_one_success() -> None:
    by = authenticator()
    form = {name: [value] for name, value in assertion().items()}

    async def main() -> list[Any]:
        return await asyncio.gather(*(by.authenticate((), form) for _ in range(10)), return_exceptions=True)

    outcomes = asyncio.run(main())
    assert [type(outcome) for outcome in outcomes].count(Client) == 1
    assert [type(outcome) for outcome in outcomes].count(InvalidClient) == 9


def test_an_assertion_is_remembered_until_nobody_would_take_it() -> None:
    clock = FakeClock()
    by = authenticator(clock)
    form = assertion(exp=int(clock.now()) + 60)
    authenticate(by=by, **form)
    for _ in range(9):
        clock.advance(10)
        with pytest.raises(InvalidClient):
            authenticate(by=by, **form)


def test_no_refusal_shows_the_secret() -> None:
    cases: list[tuple[list[str], dict[str, Any]]] = [
        ([basic("plain", "hunter2hunter2")], {}),
        ([], {"client_id": "x", "client_secret": "hunter2"}),
    ]
    for authorization, form in cases:
        with pytest.raises(GrantError) as caught:
            authenticate(*authorization, **form)
        assert "hunter2" not in repr((caught.value, caught.value.detail, caught.value.hint))


def test_a_client_prints_without_its_secret() -> None:
    assert CLIENTS["plain"].secret_digest.hex() not in repr(CLIENTS["plain"])
    assert "digest" not in repr(CLIENTS["plain"])


def test_a_short_secret_is_not_taken() -> None:
    with pytest.raises(SettingsInvalid):
        Client("x").with_secret(Credential("0123456789abcde"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: TargetRule(scopes=("a",)),
        lambda: TargetRule("api"),
        lambda: TargetRule("api", scopes=("a",), max_lifetime=0),
        lambda: Client("x", targets=(TargetRule("api", scopes=("a",)), TargetRule("b", "api", scopes=("b",)))),
        lambda: Client("x", max_depth=0),
        lambda: Client("x", max_depth=9),
        lambda: Client("x", grants=frozenset({"password"})),
        lambda: Client("x", auth_methods=frozenset({"none"})),
    ],
)
def test_a_registration_that_means_nothing_is_refused(make: Any) -> None:
    with pytest.raises(SettingsInvalid):
        make()


def test_a_client_whose_keys_were_replaced_proves_itself_with_the_new_ones_alone() -> None:
    other = FakeIssuer(issuer="keyed", audience=ISSUER, name="other")
    clients = Clients(CLIENTS)
    by = ClientAuthenticator(clients, frozenset({ISSUER}), FakeClock())
    assert authenticate(by=by, **assertion()) == "keyed"
    clients.replace({"keyed": Client("keyed", jwks=other.jwks())})
    with pytest.raises(InvalidClient):
        authenticate(by=by, **assertion())
    with pytest.raises(InvalidClient):
        authenticate(basic("plain", SECRET), by=by)
    new = other.mint(header={"typ": "JWT"}, sub="keyed")
    assert authenticate(by=by, **{**assertion(), "client_assertion": new}) == "keyed"


def test_an_assertion_is_used_once_even_when_the_clients_were_replaced_in_between() -> None:
    clients = Clients(CLIENTS)
    by = ClientAuthenticator(clients, frozenset({ISSUER}), FakeClock())
    form = assertion()
    assert authenticate(by=by, **form) == "keyed"
    clients.replace(dict(CLIENTS))
    with pytest.raises(InvalidClient, match="used before"):
        authenticate(by=by, **form)
