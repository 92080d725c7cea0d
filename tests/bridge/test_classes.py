"""Redaction by class: policy says which data nobody may see here, and each tool's file where it is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from remit.errors import DownstreamRefused, ResultWithheld
from support.path import Path, permit_with
from support.policy import answering, engine
from support.tools import problems_of, tool_of

pytestmark = pytest.mark.anyio

CLASSED = """
version: 1
name: crm
upstream:
  baseUrl: https://orders.example/v1
  auth: {audience: orders, scopes: ["orders:read"]}
tools:
  - name: get_customer
    description: Gets a customer with their orders, and who looked after them.
    request: {method: GET, path: /customer}
    response:
      select: "{id: id, who: name, orders: orders}"
      classes: {pii: [who, "orders[].address"], secret: ["orders[*].margin"]}
      errors: {"409": "In use: {{name}}"}
  - name: get_person
    description: Gets a person, of whom everything is about that person.
    request: {method: GET, path: /person}
    policy: {dataClass: pii}
  - name: list_persons
    description: Lists persons, a page at a time, by their names.
    request: {method: GET, path: /persons}
    response: {classes: {pii: ["[].name"]}, paging: {type: cursor, param: after, next: next, items: people}, select: people}
  - name: get_text
    description: Gets what somebody wrote about a person, as they wrote it.
    request: {method: GET, path: /text}
    response: {classes: {pii: [name]}}
  - name: get_weather
    description: Gets the weather, which is the same for everybody.
    request: {method: GET, path: /weather}
    response: {errors: {"409": "In use: {{name}}"}}
"""
CUSTOMER: dict[str, Any] = {
    "id": 1,
    "name": "Ann",
    "orders": [{"n": 1, "address": "Elm 1", "margin": 5}, {"n": 2, "address": "Elm 1"}],
}


def hiding(properties: str) -> Path:
    return Path(answering(permit_with("redact_result", properties)), files=(CLASSED,), answer=json(CUSTOMER))


def json(data: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=data)


async def result_of(path: Path, name: str = "get_customer") -> Any:
    return (await path.call(name, {})).result.data


async def test_what_is_of_the_class_is_masked_and_nothing_else() -> None:
    assert await result_of(hiding('{"classes": ["pii"], "mode": "mask"}')) == {
        "id": 1,
        "who": "[redacted]",
        "orders": [{"n": 1, "address": "[redacted]", "margin": 5}, {"n": 2, "address": "[redacted]"}],
    }


async def test_what_is_of_several_classes_is_removed_with_what_pointers_find() -> None:
    path = hiding('{"classes": ["pii", "secret"], "pointers": ["/id"], "mode": "remove"}')
    assert await result_of(path) == {"orders": [{"n": 1}, {"n": 2}]}


async def test_equal_values_have_equal_hashes() -> None:
    data = await result_of(hiding('{"classes": ["pii"], "mode": "hash"}'))
    assert data["who"].startswith("hmac:")
    assert data["orders"][0]["address"] == data["orders"][1]["address"] != data["who"]


async def test_a_class_that_is_demanded_of_the_answer_hides_as_well() -> None:
    demand = permit_with("redact_result", '{"classes": ["pii"], "mode": "mask"}')
    policy = engine(
        "package remit.authz\nimport rego.v1\n"
        f'decision := {demand} if input.phase == "result"\ndecision := {{"allow": true}} if input.phase != "result"'
    )
    assert (await result_of(Path(policy, files=(CLASSED,), answer=json(CUSTOMER))))["who"] == "[redacted]"


async def test_a_class_of_which_a_tool_has_nothing_leaves_it_as_it_is() -> None:
    path = hiding('{"classes": ["pii"], "mode": "mask"}')
    assert await result_of(path, "get_weather") == CUSTOMER


async def test_a_tool_that_is_all_of_the_class_and_does_not_say_where_it_is_gives_nothing() -> None:
    with pytest.raises(ResultWithheld, match="policy hides what is pii") as caught:
        await result_of(hiding('{"classes": ["pii"], "mode": "mask"}'), "get_person")
    assert "response.classes" in caught.value.hint


async def test_an_empty_answer_has_nothing_to_hide() -> None:
    path = hiding('{"classes": ["pii"], "mode": "mask"}')
    path.answer = httpx.Response(204)
    assert await result_of(path, "get_person") is None


async def test_a_text_is_withheld_whole() -> None:
    path = hiding('{"classes": ["pii"], "mode": "mask"}')
    path.answer = httpx.Response(200, text="Ann lives in Elm 1")
    with pytest.raises(ResultWithheld, match="is a text"):
        await path.call("get_text", {})


async def test_of_pages_the_items_are_where_select_leaves_them() -> None:
    path = hiding('{"classes": ["pii"], "mode": "mask"}')
    path.answer = json({"people": [{"name": "Ann", "n": 1}], "next": "b"})
    assert await result_of(path, "list_persons") == {"items": [{"name": "[redacted]", "n": 1}], "next_cursor": "b"}


async def test_errors_are_not_quoted_where_something_is_hidden_and_are_elsewhere() -> None:
    path = hiding('{"classes": ["pii"], "mode": "mask"}')
    path.answer = json({"name": "Ann"}, 409)
    with pytest.raises(DownstreamRefused) as caught:
        await path.call("get_customer", {})
    assert "Ann" not in caught.value.message
    with pytest.raises(DownstreamRefused, match="In use: Ann"):
        await path.call("get_weather", {})


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ({"classes": {"pii": ["length(name)"]}}, "cannot be redacted along"),
        ({"classes": {"p i": ["name"]}}, "does not match"),
        ({"classes": {"pii": []}}, "pii is too short"),
        ({"classes": {"pii": ["name"]}, "files": ["image/png"]}, "leave select, schema, redact and classes out"),
        ({"class": {}}, "did you mean classes?"),
    ],
)
def test_what_is_wrong_with_classes_is_said(response: dict[str, Any], said: str) -> None:
    assert said in problems_of({"response": response})


def test_classes_make_another_tool() -> None:
    assert tool_of().digest != tool_of({"response": {"classes": {"pii": ["name"]}}}).digest
