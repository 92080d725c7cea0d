from __future__ import annotations

import dataclasses
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.credential import Credential
from remit.errors import PolicyFailed
from remit.policy.input import Phase, empty_document
from remit.principal import ActingParty, Actor, Assurance, DelegationChain
from support.policy import NOW, RUNNER, person, question


def shape(value: Any) -> Any:
    """The members of objects, all the way down; free-form ones count as they are."""
    if isinstance(value, dict):
        return {name: {} if name in ("arguments", "facts") else shape(item) for name, item in value.items()}
    return type(value)


def test_the_document_says_who_what_and_with_which_token() -> None:
    principal = person(name="Alice", groups=("sales",), amr=("pwd", "otp"), acr="mfa", auth_time=NOW - 60)
    document = question("refund_orders", principal=principal, client="agent/1.0", request_id="7").document()
    assert document["schema"] == "remit.authz.input/v1"
    assert document["phase"] == "tool_call"
    assert document["subject"] == {
        "type": "user",
        "id": "alice",
        "issuer": "https://idp.example",
        "properties": {
            "name": "Alice",
            "groups": ["sales"],
            "roles": ["support-lead"],
            "acr": "mfa",
            "amr": ["pwd", "otp"],
            "auth_time": NOW - 60,
        },
    }
    assert document["actor"]["id"] == "agent-runner"
    assert document["actor"]["properties"]["assurance"] == "authenticated"
    assert document["action"]["properties"]["effect"] == "write"
    assert document["action"]["properties"]["destructive"] is True
    assert document["resource"]["id"] == "refund_orders"
    assert document["resource"]["properties"]["server"] == "orders"
    assert document["resource"]["properties"]["path"] == "/things/{id}/refunds"
    assert document["resource"]["properties"]["facts"] == {"moneyField": "amount"}
    assert document["arguments"] == {"id": "O77"}
    assert document["token"]["expires_in"] == 900
    assert document["token"]["requested"]["scopes"] == ["orders:write"]
    assert document["token"]["requested"]["lifetime"] == 120
    assert document["context"]["door"] == "mcp"
    assert document["time"] == {
        "ns": NOW * 1_000_000_000,
        "rfc3339": "2027-01-15T08:00:00Z",
        "weekday": "Friday",
        "hour": 8,
    }


@pytest.mark.parametrize("phase", Phase)
def test_the_document_is_total(phase: Phase) -> None:
    assert shape(question(phase=phase).document()) == shape(empty_document(phase)) | {"chain": list}


def test_no_token_is_in_it() -> None:
    acting = dataclasses.replace(RUNNER, token=Credential("runner-secret"))
    assert b"runner-secret" not in orjson.dumps(question(acting=acting).document())


def test_the_chain_begins_with_who_acts_now() -> None:
    inbound = DelegationChain((Actor("orchestrator", "https://idp.example"),))
    chain = question(principal=person(chain=inbound)).document()["chain"]
    assert [(hop["id"], hop["depth"]) for hop in chain] == [("agent-runner", 0), ("orchestrator", 1)]


def test_an_actor_that_the_inbound_token_names_is_not_counted_twice() -> None:
    actor = Actor("agent-runner", "https://idp.example")
    acting = ActingParty(actor, Assurance.ATTESTED, "act")
    chain = question(principal=person(chain=DelegationChain((actor,))), acting=acting).document()["chain"]
    assert [hop["id"] for hop in chain] == ["agent-runner"]


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        2**53,
        -(2**53),
        2**70,
        float("nan"),
        float("inf"),
        "a\0b",
        "\ud800",
        {"\0": 1},
        {"\udfff": 1},
        nested(61),
        nested(100_000),
        "x" * 300_000,
        object(),
        {1: 1},
        b"bytes",
    ],
    ids=lambda value: type(value).__name__,
)
def test_arguments_that_engines_read_differently_are_refused(value: Any) -> None:
    with pytest.raises(PolicyFailed):
        question(arguments={"value": value}).document()


@pytest.mark.parametrize(
    "value",
    [2**53 - 1, -(2**53) + 1, 0.1, True, None, "ä\U0001f600", nested(58), "x" * 200_000],
    ids=lambda value: type(value).__name__,
)
def test_other_arguments_pass_as_they_are(value: Any) -> None:
    assert question(arguments={"value": value}).document()["arguments"] == {"value": value}


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        ),
    )
)
def test_any_arguments_are_either_refused_or_read_back_the_same(arguments: dict[str, Any]) -> None:
    try:
        document = question(arguments=arguments).document()
    except PolicyFailed:
        return
    assert orjson.loads(orjson.dumps(document))["arguments"] == arguments
