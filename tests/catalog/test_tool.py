"""What a definition becomes: defaults by method, resolved values, closed arguments, a digest of it all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.compile import compile_text
from remit.catalog.plan import RetryPlan
from remit.catalog.tool import Catalog, ToolAnnotations
from remit.errors import ArgumentsInvalid
from support.tools import calling, compiled, tool_of


def with_method(method: str, **request: Any) -> dict[str, Any]:
    return {"request": {"method": method, "path": "/x", **request}}


@pytest.mark.parametrize(
    ("method", "read_only", "destructive", "idempotent"),
    [
        ("GET", True, False, True),
        ("HEAD", True, False, True),
        ("POST", False, False, False),
        ("PUT", False, False, True),
        ("PATCH", False, False, False),
        ("DELETE", False, True, True),
    ],
)
def test_annotations_follow_the_method(method: str, *, read_only: bool, destructive: bool, idempotent: bool) -> None:
    tool = tool_of(with_method(method))
    assert tool.annotations == ToolAnnotations(read_only, destructive, idempotent, open_world=False)
    assert tool.plan.repeatable is idempotent


def test_annotations_can_be_said_but_do_not_make_a_request_repeatable() -> None:
    said = {"annotations": {"readOnly": True, "idempotent": True, "openWorld": True}}
    tool = tool_of({**with_method("POST"), **said})
    assert tool.annotations == ToolAnnotations(read_only=True, destructive=False, idempotent=True, open_world=True)
    assert not tool.plan.repeatable
    assert tool_of(with_method("POST", idempotencyKey="auto")).plan.repeatable


def test_a_tools_scopes_replace_the_upstreams() -> None:
    assert tool_of().auth.scopes == ("shop:read",)
    assert tool_of({"auth": {"scopes": ["shop:write"]}}).auth.scopes == ("shop:write",)
    assert tool_of({"auth": {"scopes": []}}).auth.scopes == ()


def test_lifetime_and_timeout_are_seconds_and_the_tools_own_go_first() -> None:
    tool = tool_of()
    assert (tool.auth.max_lifetime, tool.timeout) == (120, 10.0)
    tool = tool_of({"auth": {"maxTtl": "2m"}, "timeout": "1500ms"}, {"timeout": "3s"})
    assert (tool.auth.max_lifetime, tool.timeout) == (120, 1.5)


def test_the_environment_fills_base_url_and_auth() -> None:
    text = """
version: 1
name: shop
upstream:
  baseUrl: ${SHOP_URL}/v${VERSION:-2}/
  auth: {audience: "${AUD:-shop-api}", scopes: ["${SCOPE}"]}
tools:
  - {name: a, description: A tool for this test alone., request: {method: GET, path: /x}, auth: {scopes: ["${SCOPE}", b]}}
"""
    [tool] = compile_text(text, "x.yaml", {"SHOP_URL": "https://SHOP.example:8443", "SCOPE": "s:r"}).tools
    assert tool.plan.base_url == "https://SHOP.example:8443/v2"
    assert tool.plan.origin == "https://shop.example:8443"
    assert (tool.auth.audience, tool.auth.scopes) == ("shop-api", ("s:r", "b"))


def test_an_empty_input_is_an_object_without_members() -> None:
    tool = tool_of()
    assert tool.input_schema == {"type": "object", "properties": {}, "additionalProperties": False}
    tool.validate({})
    with pytest.raises(ArgumentsInvalid, match='no such argument: "x"'):
        tool.validate({"x": 1})


def test_what_policy_and_the_trail_see_is_on_the_tool() -> None:
    tool = tool_of({"policy": {"dataClass": "pii"}, "tags": ["b", "a"]})
    assert (tool.facts, tool.tags, tool.upstream) == ({"dataClass": "pii"}, ("b", "a"), "shop")
    assert (tool.method, tool.path, tool.where) == ("GET", "/things", "shop.yaml:10")


# ── retry ──

RETRY = {"attempts": 2, "when": [503, "connect", "timeout"], "backoff": "50ms"}


def test_without_a_retry_block_nothing_is_sent_twice() -> None:
    assert tool_of().plan.retry == RetryPlan(attempts=1)


def test_an_upstreams_retry_is_cut_to_what_each_method_allows() -> None:
    upstream = {"retry": RETRY}
    assert tool_of(None, upstream).plan.retry == RetryPlan(2, frozenset({503, "connect", "timeout"}), 0.05)
    assert tool_of(with_method("POST"), upstream).plan.retry == RetryPlan(2, frozenset({"connect"}), 0.05)
    assert tool_of(with_method("POST"), {"retry": {"when": [503]}}).plan.retry.attempts == 1
    assert tool_of({"retry": {"attempts": 5}}, upstream).plan.retry.attempts == 5


# ── arguments ──


def test_arguments_that_do_not_fit_are_named_by_place_and_rule_without_their_value() -> None:
    properties = {"n": {"type": "integer", "maximum": 5}, "list": {"type": "array", "items": {"type": "string"}}}
    tool = calling({"query": {"n": "$n", "list": "$list"}}, properties, "n")
    tool.validate({"n": 5, "list": ["a"]})
    with pytest.raises(ArgumentsInvalid) as caught:
        tool.validate({"n": 987654, "list": ["a", 424242], "secret-key": "hunter2"})
    message = caught.value.message
    assert 'list.1: is not of type "string"' in message
    assert "n: is greater than the maximum of 5" in message
    assert 'no such argument: "secret-key"' in message
    assert not any(value in message for value in ("987654", "424242", "hunter2"))


def test_at_most_five_problems_are_named() -> None:
    tool = calling({"query": {"a": "$a"}}, {"a": {"type": "array", "items": {"type": "string"}}})
    with pytest.raises(ArgumentsInvalid) as caught:
        tool.validate({"a": list(range(1000))})
    assert caught.value.message.count("is not of type") == 5
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("arguments", [{"a": "\ud800"}, {"a": float("nan")}, {"\ud800": 1}, {1: 1}])
def test_what_json_does_not_have_is_refused(arguments: Any) -> None:
    tool = calling({"query": {"a": "$a"}}, {"a": {"type": "string"}})
    with pytest.raises(ArgumentsInvalid):
        tool.validate(arguments)


def test_a_pattern_that_would_run_forever_is_cut_short() -> None:
    tool = calling({"query": {"a": "$a"}}, {"a": {"type": "string", "pattern": r"^(a+)+\1$"}})
    with pytest.raises(ArgumentsInvalid):
        tool.validate({"a": "a" * 5000 + "!"})


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), TREES, max_size=4))
def test_any_arguments_fit_or_are_refused(arguments: dict[str, Any]) -> None:
    tool = calling({"query": {"a": "$a"}}, {"a": {"type": "string", "format": "date"}})
    try:
        tool.validate(arguments)
    except ArgumentsInvalid as error:
        assert len(error.message) < 1500  # noqa: PT017  both outcomes are right
    else:
        assert set(arguments) <= {"a"}


# ── digest ──

CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"description": "Looks something else up for a test."}, {}),
    ({"title": "T"}, {}),
    ({"input": {"type": "object", "title": "x"}}, {}),
    (with_method("GET"), {}),
    ({"response": {"select": "a"}}, {}),
    ({"auth": {"scopes": []}}, {}),
    ({"auth": {"maxTtl": "1s"}}, {}),
    ({"annotations": {"openWorld": True}}, {}),
    ({"timeout": "1s"}, {}),
    ({"retry": {"attempts": 2}}, {}),
    ({"policy": {"a": 1}}, {}),
    ({"tags": ["a"]}, {}),
    ({}, {"baseUrl": "https://other.example"}),
    ({}, {"auth": {"audience": "other"}}),
    ({}, {"auth": {"audience": "shop-api", "scopes": ["shop:read"], "actor": "optional"}}),
    ({}, {"headers": {"X-A": "b"}}),
    ({}, {"timeout": "11s"}),
]


@pytest.mark.parametrize(("tool", "upstream"), CHANGES)
def test_the_digest_changes_with_all_that_takes_effect(tool: dict[str, Any], upstream: dict[str, Any]) -> None:
    assert tool_of(tool, upstream).digest != tool_of().digest


def test_the_digest_does_not_change_with_examples_or_places() -> None:
    example = {"examples": [{"name": "one", "args": {}}]}
    assert tool_of(example).digest == tool_of().digest
    [tool] = compiled().tools
    assert len(tool.digest) == 64
    json.loads(json.dumps([tool.input_schema, dict(tool.facts)]))


def test_a_catalog_is_ordered_and_its_revision_depends_on_the_tools_alone() -> None:
    a, b = tool_of({"name": "a"}), tool_of({"name": "b"})
    catalog = Catalog.of([b, a])
    assert list(catalog.tools) == ["a", "b"]
    assert catalog.get("a") is a
    assert catalog.get("c") is None
    assert catalog.revision == Catalog.of([a, b]).revision != Catalog.of([a]).revision
