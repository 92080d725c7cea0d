"""What a person is told before they say yes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.authorization.client import SignInClient, Source
from remit.authorization.consent import Ability, clean, may_be_given, questions
from remit.authorization.person import Person
from support.pages import APP, DESK, DOCUMENT, DYNAMIC, SHELL, Site, authorize, site

NAMES = st.text("abcdef", min_size=1, max_size=2)
SCOPES = st.lists(NAMES, max_size=8).map(tuple)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def asked(shop: Site, client: SignInClient) -> str:
    return shop.browser().consent(authorize(client)).text


def test_the_page_says_who_asks_for_what_until_when_and_who_is_asked(shop: Site) -> None:
    text = asked(shop, DESK)
    assert "Signed in as Alice Adams alice" in text
    assert "Allow “Order Desk” to act for you?" in text
    assert "Whoever runs this service has registered it" in text
    assert "Your answer goes to desk.example.com" in text
    assert "See your orders" in text
    assert "Find an order" in text
    assert "orders.write makes changes" in text
    assert "In any case: Say hello" in text
    assert "until 15 April 2027" in text


def test_the_host_of_a_metadata_document_vouches_for_its_name(shop: Site) -> None:
    assert "It belongs to tool.example.org, which has given it this name" in asked(shop, DOCUMENT)


def test_what_a_client_calls_itself_is_marked_as_unchecked(shop: Site) -> None:
    text = asked(shop, DYNAMIC)
    assert "It calls itself “Helper”. Nobody has checked that." in text
    assert "Whoever runs this service" not in text


@pytest.mark.parametrize(("client", "where"), [(SHELL, "127.0.0.1"), (DYNAMIC, "localhost"), (APP, "com.example.app:")])
def test_a_program_on_this_computer_comes_with_a_warning(shop: Site, client: SignInClient, where: str) -> None:
    assert f"a program on this computer ({where})" in asked(shop, client)


def test_a_client_without_a_name_goes_by_its_id(shop: Site) -> None:
    shop.directory.clients["desk"] = replace(DESK, name=" \u200b ")
    assert "Allow “desk”" in asked(shop, DESK)


@given(SCOPES, SCOPES, SCOPES, SCOPES)
def test_nobody_gives_what_they_do_not_have(
    requested: tuple[str, ...], default: tuple[str, ...], own: tuple[str, ...], clients: tuple[str, ...]
) -> None:
    client = SignInClient("c", "C", Source.SETTINGS, scopes=clients)
    given_ = may_be_given(requested, Person("p", scopes=own), client, default)
    assert set(given_) <= set(own)
    assert not requested or set(given_) <= set(requested)
    assert not clients or set(given_) <= set(clients)
    assert len(given_) == len(set(given_))


@given(st.text(max_size=400), st.integers(1, 100))
def test_clean_text_is_one_short_line_that_shows_all_it_has(text: str, most: int) -> None:
    shown = clean(text, most)
    assert len(shown) <= most
    assert not [each for each in shown if unicodedata.category(each)[0] in "CZ" and each != " "]
    assert shown == clean(shown, most)


def test_the_tools_of_a_scope_are_bounded() -> None:
    many = [Ability("s", f"Tool {number}", writes=number == 99) for number in range(100)]
    [question] = questions(("s",), {}, [*many, *many])
    assert (len(question.tools), question.more, question.writes) == (40, 60, True)
