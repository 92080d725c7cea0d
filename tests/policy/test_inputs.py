"""What is kept of the questions policy was asked, and that no value is kept that should not be."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.audit import chain
from remit.audit.store.reader import open_reader
from remit.audit.store.sqlite import SqliteStore
from remit.audit.trail import Trail
from remit.catalog.tool import ToolAnnotations, ToolAuth
from remit.credential import Credential
from remit.errors import SettingsInvalid
from remit.policy.input import ExchangeTarget, Phase, Question, ResultFacts
from remit.policy.inputs import InputKeeper, KeptUnreadable, open_kept
from support.clock import FakeClock
from support.policy import person, question
from support.trail import ALICE, RUNNER, Decision, MemoryStore, Tool, Wanted

KEY = Credential("a secret that is long enough, 40 bytes ..")
OTHER = Credential("another secret, which is long enough too")
DIGEST = "e" * 64

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
)
names = st.text(st.characters(codec="ascii", categories=["Lu", "Ll"]), min_size=1, max_size=12)
#: Values that occur nowhere by chance.
markers = st.uuids().map(lambda value: f"marker-{value}") | st.integers(10**14, 2**53 - 1)
marked = st.recursive(
    markers, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=12
)


def kept_as(mode: Any, asked: Question, key: Credential | None = KEY) -> dict[str, str]:
    kept = InputKeeper(mode, key).keep(asked.document(), DIGEST)
    assert kept is not None
    return kept


def redacted(asked: Question) -> dict[str, Any]:
    opened = open_kept(kept_as("redacted", asked), (), DIGEST)
    assert not opened.exact
    return opened.document


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [str(value)]


# ── redacted ─────────────────────────────────────────────────────────────────────────────


@settings(max_examples=60, deadline=None)
@given(arguments=st.dictionaries(names, marked, min_size=1, max_size=5))
def test_no_value_of_an_argument_is_anywhere_in_the_trail(
    arguments: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("trail") / "audit.db"
    asked = question(arguments=arguments, request_id="7")

    async def main() -> None:
        store = SqliteStore(file)
        async with Trail(store, FakeClock()).record(door="mcp", tool="refund", arguments=arguments) as record:
            record.identified(ALICE, RUNNER)
            record.found(Tool())
            record.decided(Decision(), InputKeeper("redacted").keep(asked.document(), DIGEST))
            await record.intend(Wanted())
        store.close()

    asyncio.run(main())
    written = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert b"decision" in written
    for leaf in leaves(arguments):
        assert leaf.encode() not in written


def test_of_the_arguments_there_are_names_and_types() -> None:
    arguments = {
        "id": "O77",
        "amount": 12.5,
        "notify": True,
        "note": None,
        "lines": [1],
        "to": {"iban": "DE1", "x": {}},
    }
    assert redacted(question(arguments=arguments))["arguments"] == {
        "id": "string",
        "amount": "number",
        "notify": "boolean",
        "note": "null",
        "lines": "array",
        "to": {"iban": "string", "x": {}},
    }


def test_deep_and_wide_arguments_are_cut() -> None:
    deep = {"a": {"b": {"c": {"d": 1}}}}
    assert redacted(question(arguments=deep))["arguments"] == {"a": {"b": {"c": "object"}}}
    wide = {f"name{number}": number for number in range(500)}
    assert len(redacted(question(arguments=wide))["arguments"]) == 32


def test_a_key_that_is_not_written_like_a_name_counts_as_a_value() -> None:
    arguments = {"limits": {"alice@example.com": 5, "Müller": 6, "ok": 7}}
    assert redacted(question(arguments=arguments))["arguments"] == {"limits": {"*": "number", "ok": "number"}}


def test_of_a_result_there_is_no_data() -> None:
    asked = replace(question(), phase=Phase.RESULT, result=ResultFacts(200, 33, data={"iban": "DE99"}))
    assert redacted(asked)["result"] == {"status": 200, "bytes": 33, "truncated": False, "data": None}


def test_of_a_route_there_is_no_path() -> None:
    auth = ToolAuth("token-exchange", "orders", "", ("orders:read",), "optional", 60)
    effect = ToolAnnotations(read_only=True, destructive=False, idempotent=True, open_world=False)
    route = ExchangeTarget(auth, kind="route", method="GET", path="/orders/O77", annotations=effect)
    document = redacted(question(tool=route))
    assert document["resource"]["properties"]["path"] == ""
    assert redacted(question())["resource"]["properties"]["path"] == "/things/{id}"


def test_all_else_that_policy_needs_is_there() -> None:
    asked = question(principal=person(groups=("support",)), client="Some Client/1.0")
    whole, kept = asked.document(), redacted(asked)
    for name in ("schema", "phase", "subject", "actor", "chain", "action", "resource", "token", "time"):
        assert kept[name] == whole[name]
    assert kept["context"] == whole["context"] | {"request_id": ""}


def test_the_document_that_is_decided_about_stays_as_it_was() -> None:
    document = question(arguments={"id": "O77"}, request_id="7").document()
    before = orjson.dumps(document)
    InputKeeper("redacted").keep(document, DIGEST)
    assert orjson.dumps(document) == before


def test_what_is_kept_is_bounded() -> None:
    many = {
        f"name_{number}_{'x' * 40}": {f"inner_{inner}_{'y' * 40}": 1 for inner in range(32)} for number in range(32)
    }
    assert redacted(question(arguments=many))["arguments"] == {}
    groups = tuple(f"group-{number}-{'z' * 200}" for number in range(200))
    assert InputKeeper("redacted").keep(question(principal=person(groups=groups)).document(), DIGEST) is None


@pytest.mark.parametrize("mode", ["redacted", "encrypted"])
def test_a_document_without_json_form_is_not_kept(mode: Any) -> None:
    document = question().document()
    document["resource"]["properties"]["facts"] = {"limit": 2**70}
    assert InputKeeper(mode, KEY).keep(document, DIGEST) is None


def test_a_token_in_a_redacted_document_is_struck_out_before_it_is_written() -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    store = MemoryStore()

    async def main() -> None:
        async with Trail(store, FakeClock()).record(door="mcp", tool="t") as record:
            record.decided(Decision(), kept_as("redacted", question(client=f"Client {token}")))

    asyncio.run(main())
    assert token not in str(store.records)
    assert "Client [token]" in store.records[0]["decision"]["input"]["text"]


# ── encrypted ────────────────────────────────────────────────────────────────────────────


@given(st.dictionaries(st.text(), documents), st.text(st.characters(codec="ascii")))
def test_what_was_encrypted_opens_as_it_was(document: dict[str, Any], digest: str) -> None:
    kept = InputKeeper("encrypted", KEY).keep(document, digest)
    assert kept is not None
    opened = open_kept(kept, (OTHER, KEY), digest)
    assert opened.exact
    assert opened.document == document


def test_what_was_encrypted_shows_nothing_and_never_looks_the_same() -> None:
    asked = question(arguments={"id": "marker-O77"})
    one, two = kept_as("encrypted", asked), kept_as("encrypted", asked)
    assert one["text"] != two["text"]
    assert b"marker" not in base64.b64decode(one["text"])
    assert one["key"] == two["key"] != kept_as("encrypted", asked, OTHER)["key"]
    assert "marker" not in repr(open_kept(one, (KEY,), DIGEST))


@given(st.data())
def test_what_was_changed_does_not_open(data: st.DataObject) -> None:
    kept = kept_as("encrypted", question())
    sealed = bytearray(base64.b64decode(kept["text"]))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(KeptUnreadable, match="changed"):
        open_kept(kept | {"text": base64.b64encode(sealed).decode()}, (KEY,), DIGEST)


@pytest.mark.parametrize(
    ("changes", "digest", "why"),
    [
        ({}, "f" * 64, "belongs to another decision"),
        ({"key": "0" * 16}, DIGEST, "not at hand"),
        ({"key": None}, DIGEST, "not at hand"),
        ({"text": ""}, DIGEST, "changed"),
        ({"text": "AAAA"}, DIGEST, "changed"),
        ({"text": "no base64"}, DIGEST, "base64"),
        ({"text": "é"}, DIGEST, "base64"),
        ({"text": None}, DIGEST, "nothing was kept"),
        ({"mode": "other"}, DIGEST, "not known"),
        ({"mode": "redacted", "text": "["}, DIGEST, "no JSON"),
        ({"mode": "redacted", "text": "\ud800"}, DIGEST, "no JSON"),
        ({"mode": "redacted", "text": "[]"}, DIGEST, "no input document"),
    ],
)
def test_what_cannot_be_read_says_why(changes: dict[str, Any], digest: str, why: str) -> None:
    kept: dict[str, Any] = {**kept_as("encrypted", question()), **changes}
    with pytest.raises(KeptUnreadable, match=why):
        open_kept(kept, (KEY,), digest)


def test_a_sealed_document_goes_through_the_trail(tmp_path: Path) -> None:
    asked = question(arguments={"id": "O77", "amount": 12.5}).document()

    async def main() -> None:
        store = SqliteStore(tmp_path / "audit.db")
        async with Trail(store, FakeClock()).record(door="mcp", tool="refund", arguments={}) as record:
            record.decided(Decision(input_digest=DIGEST), InputKeeper("encrypted", KEY).keep(asked, DIGEST))
        store.close()

    asyncio.run(main())
    with open_reader(tmp_path / "audit.db") as trail:
        assert trail.verify().sound
        decision = trail.last(1)[0].facts["decision"]
    assert open_kept(decision["input"], (KEY,), decision["input_digest"]).document == asked


@pytest.mark.parametrize("secret", ["", "x" * 31, "ä" * 15])
def test_a_short_secret_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(SettingsInvalid, match="shorter than 32 bytes") as refused:
        InputKeeper("encrypted", Credential(secret))
    assert not secret or secret not in f"{refused.value} {refused.value.hint}"


def test_encryption_needs_a_key() -> None:
    with pytest.raises(SettingsInvalid, match="needs a key"):
        InputKeeper("encrypted")


def test_a_key_that_is_too_short_to_have_been_used_opens_nothing() -> None:
    with pytest.raises(SettingsInvalid):
        open_kept(kept_as("encrypted", question()), (Credential("short"),), DIGEST)


# ── none ─────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_kept_where_nothing_is_to_be_kept() -> None:
    assert InputKeeper("none").keep(question().document(), DIGEST) is None


def test_a_record_takes_what_is_kept() -> None:
    chain.check({"input": kept_as("redacted", question(arguments={"amount": 1.5}))})
