"""Operations are found by words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.search import Entry, Search

ENTRIES = [
    Entry("billing_list_invoices", "List invoices", "Invoices of a customer, newest first. GET /invoices customer_id"),
    Entry("billing_get_invoice", "Get an invoice", "One invoice by its number. GET /invoices/{id} id"),
    Entry("billing_void_invoice", "Void an invoice", "Makes an invoice void. POST /invoices/{id}/void id reason"),
    Entry("billing_list_currencies", "List currencies", "Which currencies prices may have. GET /currencies"),
    Entry("billing_add_address", "Add an address", "A further address of a customer. POST /addresses"),
]
NAMES = {entry.name for entry in ENTRIES}
SEARCH = Search(ENTRIES)


def test_the_name_counts_for_most() -> None:
    assert SEARCH.find("void", NAMES) == ["billing_void_invoice"]
    assert SEARCH.find("list invoices", NAMES)[0] == "billing_list_invoices"
    assert SEARCH.find("get invoice", NAMES)[0] == "billing_get_invoice"


def test_one_and_many_case_and_accents_are_the_same() -> None:
    assert SEARCH.find("Currency", NAMES) == ["billing_list_currencies"]
    assert SEARCH.find("ADDRESSES", NAMES)[0] == "billing_add_address"
    assert SEARCH.find("invóices", NAMES) == SEARCH.find("invoice", NAMES)
    assert SEARCH.find("listInvoices", NAMES) == SEARCH.find("list invoices", NAMES)


def test_words_that_say_nothing_are_passed_over() -> None:
    assert SEARCH.find("which of the currencies", NAMES) == SEARCH.find("currencies", NAMES)


def test_nothing_is_found_for_words_that_stand_nowhere() -> None:
    assert SEARCH.find("weather", NAMES) == []


def test_without_words_everything_is_found_by_name() -> None:
    assert SEARCH.find(" ?! ", NAMES) == sorted(NAMES)


def test_only_what_may_be_seen_is_found() -> None:
    assert SEARCH.find("invoice", {"billing_get_invoice", "other"}) == ["billing_get_invoice"]
    assert Search([]).find("invoice", NAMES) == []


@given(st.text(max_size=1000), st.sets(st.sampled_from(sorted(NAMES))))
def test_whatever_is_asked_the_answer_is_the_same_twice_and_only_of_what_may_be_seen(
    query: str, among: set[str]
) -> None:
    found = SEARCH.find(query, among)
    assert found == SEARCH.find(query, among)
    assert set(found) <= among
    assert len(found) == len(set(found))
