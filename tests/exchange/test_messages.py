from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit import oauth
from remit.credential import Credential
from remit.errors import ExchangeInvalid
from remit.exchange.messages import ClientCredentialsRequest, IssuedToken, Target, TokenExchangeRequest

AT = oauth.TOKEN_TYPE_ACCESS_TOKEN
SOUND = {
    "access_token": "a.b.c",
    "issued_token_type": AT,
    "token_type": "Bearer",
    "expires_in": 60,
    "scope": "orders:read",
}
names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters='"\\'), min_size=1, max_size=12)


def read(**changes: Any) -> IssuedToken:
    document = {name: value for name, value in {**SOUND, **changes}.items() if value is not None}
    return IssuedToken.from_json(document, issued_token_type_required=True)


def test_an_exchange_is_written_as_the_rfc_spells_it() -> None:
    request = TokenExchangeRequest(
        Credential("subject"), Target("orders", "https://orders.example"), ("a", "b"), Credential("actor"), 60
    )
    assert request.to_form() == [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "subject"),
        ("subject_token_type", AT),
        ("actor_token", "actor"),
        ("actor_token_type", AT),
        ("audience", "orders"),
        ("resource", "https://orders.example"),
        ("scope", "a b"),
        ("requested_token_type", AT),
        ("requested_expires_in", "60"),
    ]


def test_what_is_not_wanted_is_not_sent() -> None:
    form = TokenExchangeRequest(Credential("s"), Target("orders"), ()).to_form()
    assert [name for name, _ in form] == [
        "grant_type",
        "subject_token",
        "subject_token_type",
        "audience",
        "requested_token_type",
    ]
    assert ClientCredentialsRequest().to_form() == [("grant_type", "client_credentials")]


def test_an_exchange_without_a_target_is_not_made() -> None:
    with pytest.raises(ValueError, match="target"):
        TokenExchangeRequest(Credential("s"), Target(), ())


@given(names, names, st.lists(names.filter(str.isascii), max_size=4, unique=True), st.booleans())
def test_a_request_is_shown_without_any_token(audience: str, resource: str, scopes: list[str], acted: bool) -> None:
    actor = Credential("the-actor-token-text") if acted else None
    request = TokenExchangeRequest(
        Credential("the-subject-token-text"), Target(audience, resource), tuple(scopes), actor
    )
    shown = request.describe()
    form = dict(parse_qsl(urlencode(request.to_form())))
    assert "token-text" not in repr((request, shown))
    assert {n: v for n, v in shown.items() if not n.endswith("_token")} == {
        n: v for n, v in form.items() if not n.endswith("_token")
    }
    assert shown.keys() == form.keys()


def test_a_sound_answer_is_read() -> None:
    issued = read(token_type="bEaReR", refresh_token="never kept", scope="a b a")
    assert issued == IssuedToken(Credential("a.b.c"), AT, "Bearer", 60, "a b")
    assert "a.b.c" not in repr(issued)
    assert "never kept" not in repr(issued)


def test_what_an_answer_may_leave_out_is_none() -> None:
    issued = read(expires_in=None, scope=None)
    assert (issued.expires_in, issued.scope) == (None, None)


def test_a_service_may_be_declared_to_leave_out_the_issued_token_type() -> None:
    document = {name: value for name, value in SOUND.items() if name != "issued_token_type"}
    assert IssuedToken.from_json(document, issued_token_type_required=False).issued_token_type == ""
    with pytest.raises(ExchangeInvalid):
        IssuedToken.from_json(document, issued_token_type_required=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": ["a"]},
        {"access_token": "a" * 16385},
        {"access_token": "a b"},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "é"},
        {"issued_token_type": ""},
        {"issued_token_type": 1},
        {"token_type": None},
        {"token_type": "N_A"},
        {"token_type": "DPoP"},
        {"token_type": True},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": True},
        {"expires_in": "60"},
        {"expires_in": 60.5},
        {"expires_in": 2**31 + 1},
        {"scope": 7},
        {"scope": ["a"]},
        {"scope": "a  b"},
        {"scope": 'a"b'},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_an_answer_that_breaks_the_rfc_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ExchangeInvalid):
        read(**changes)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(SOUND, json_values)))
def test_any_document_is_read_or_refused(document: Any) -> None:
    try:
        issued = IssuedToken.from_json(document, issued_token_type_required=True)
    except ExchangeInvalid:
        return
    assert issued.token_type == "Bearer"
    assert issued.access_token.reveal()
