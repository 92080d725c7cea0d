"""Operations of a large API are found, described and called: each is decided about and recorded by itself."""

from __future__ import annotations

import json
from pathlib import Path as Folder
from typing import Any

import pytest

from remit.call import ToolCall
from remit.errors import ArgumentsInvalid, PolicyDenied, RequestUnusable, ToolUnknown
from support.discovered import NAMES, finding
from support.path import Path
from support.policy import engine

pytestmark = pytest.mark.anyio

ONLY_READING = """package remit.authz
import rego.v1
decision := {"allow": true} if input.action.properties.effect == "read"
decision := {"allow": false, "reasons": [{"code": "no", "message": "for admins"}]} if {
    input.action.properties.effect != "read"
}
"""
BUT_NOT_VOID = """package remit.authz
import rego.v1
denied if { input.resource.id == "billing_void_invoice"; input.action.name == "tools/call" }
decision := {"allow": true} if not denied
decision := {"allow": false, "reasons": [{"code": "no", "message": "not today", "audience": "user"}]} if denied
"""


def called(operation: str, **arguments: Any) -> dict[str, Any]:
    return {"operation": operation, "arguments": arguments}


async def listed(path: Path) -> list[str]:
    return [tool.name for tool in await path.bridge.visible_tools("test", path.token()) if "billing" in tool.name]


async def found(path: Path, **arguments: Any) -> list[str]:
    answer = (await path.call("billing_find", arguments)).result.data
    return [each["operation"] for each in answer["operations"]]


async def test_the_list_has_three_tools_for_all_operations(tmp_path: Folder) -> None:
    assert await listed(finding(Path(), tmp_path)) == ["billing_call", "billing_describe", "billing_find"]


async def test_an_operation_is_found_described_and_called(tmp_path: Folder) -> None:
    path = finding(Path(), tmp_path)
    assert (await found(path, query="get invoice"))[0] == "billing_get_invoice"
    described = (await path.call("billing_describe", {"operation": "billing_get_invoice"})).result.data
    assert described["input_schema"]["properties"].keys() == {"id"}
    assert described["effect"] == "reads"
    assert path.sent == []
    result = await path.call("billing_call", called("billing_get_invoice", id="a/7"))
    assert result.result.data == {"id": "O1"}
    (request,) = path.sent
    assert (request.method, request.url.raw_path) == ("GET", b"/v1/invoices/a%2F7")


async def test_the_trail_names_the_operation_and_what_was_looked_up(tmp_path: Folder) -> None:
    path = finding(Path(), tmp_path)
    await found(path, query="void")
    assert (path.store.records[-2]["tool"]["name"], path.outcome["outcome"]) == ("billing_find", "success")
    await path.call("billing_call", called("billing_void_invoice", id="7"))
    assert path.store.records[-2]["tool"]["name"] == "billing_void_invoice"
    assert path.order[-4:] == ["intent", "exchange", "call", "outcome"]


async def test_the_token_has_the_scopes_of_the_operation(tmp_path: Folder) -> None:
    path = finding(Path(), tmp_path)
    await path.call("billing_call", called("billing_list_invoices"))
    assert path.service.asked[-1].scopes == ("orders:read",)


async def test_policy_decides_about_the_operation(tmp_path: Folder) -> None:
    path = finding(Path(engine(BUT_NOT_VOID)), tmp_path)
    await path.call("billing_call", called("billing_get_invoice", id="7"))
    with pytest.raises(PolicyDenied, match="not today"):
        await path.call("billing_call", called("billing_void_invoice", id="7"))
    assert path.outcome["decision"]["allow"] is False
    assert [request.method for request in path.sent] == ["GET"]


async def test_what_policy_hides_is_neither_found_nor_described_nor_called(tmp_path: Folder) -> None:
    path = finding(Path(engine(ONLY_READING)), tmp_path)
    assert await found(path) == ["billing_get_invoice", "billing_list_invoices"]
    assert await listed(path) == ["billing_call", "billing_describe", "billing_find"]
    said = []
    for name in ("billing_void_invoice", "billing_no_such_thing"):
        with pytest.raises(ArgumentsInvalid) as described:
            await path.call("billing_describe", {"operation": name})
        with pytest.raises(ToolUnknown) as refused:
            await path.call("billing_call", called(name, id="7"))
        said.append((described.value.message, refused.value.message))
    assert said[0] == said[1]
    assert path.sent == []


async def test_a_tool_of_another_api_is_no_operation_of_this_one(tmp_path: Folder) -> None:
    path = finding(Path(), tmp_path)
    for name in ("get_order", "billing_find", "billing_call"):
        with pytest.raises(ToolUnknown):
            await path.call("billing_call", called(name, id="O1"))
        with pytest.raises(ArgumentsInvalid):
            await path.call("billing_describe", {"operation": name})


@pytest.mark.parametrize(
    "arguments",
    [{}, {"operation": 7}, {"operation": NAMES[0], "arguments": []}, {"operation": NAMES[0], "more": 1}],
    ids=json.dumps,
)
async def test_arguments_that_do_not_fit_are_told(tmp_path: Folder, arguments: dict[str, Any]) -> None:
    path = finding(Path(), tmp_path)
    with pytest.raises(ArgumentsInvalid, match="billing_call"):
        await path.call("billing_call", arguments)


async def test_arguments_of_the_operation_are_checked_by_its_own_schema(tmp_path: Folder) -> None:
    path = finding(Path(), tmp_path)
    with pytest.raises(ArgumentsInvalid, match="billing_get_invoice"):
        await path.call("billing_call", called("billing_get_invoice"))


async def test_no_more_is_found_than_is_asked_for_and_told_how_many_there_are(tmp_path: Folder) -> None:
    path = finding(Path(), tmp_path)
    answer = (await path.call("billing_find", {"limit": 1})).result.data
    assert (len(answer["operations"]), answer["found"]) == (1, len(NAMES))


async def test_a_dry_run_shows_the_operations_request(tmp_path: Folder) -> None:
    path = finding(Path(), tmp_path)
    made = ToolCall("test", path.token(), "billing_call", called("billing_get_invoice", id="7"))
    assert (await path.bridge.rehearse(made)).request.url.endswith("/invoices/7")
    with pytest.raises(RequestUnusable):
        await path.bridge.rehearse(ToolCall("test", path.token(), "billing_find", {}))
