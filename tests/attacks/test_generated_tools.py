"""Every tool of the sample company, called with whatever its input schema allows, and with what it does not."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from mcp import Client

from remit import demo
from remit.audit.store.reader import open_reader
from support.company import Workspace
from support.described_requests import Described, Seen
from support.mcp_door import ERAS
from support.shell import run_remit
from support.tool_arguments import Arguments, some_arguments
from support.watched_apis import WatchedCompany, watched_company

APIS: Final = Path(demo.__file__).parent / "apis"
#: Of each tool in each of the two eras: arguments that its schema allows, and arguments that it does not.
VALID, INVALID = 16, 4
AT_A_TIME: Final = 4

#: What there is at the sample company, so that not every call ends with "there is no such thing".
KNOWN: Final[Mapping[str, list[Any]]] = {
    "order_id": ["O1001", "O1002", "O1003"],
    "payment_id": ["P2001", "P2004"],
    "amount": [1, 25],
    "requested_by": ["alice"],
    "sku": ["CBL-02", "LMP-21", ["CBL-02", "LMP-21"]],
    "quantity": [1, 2],
    "reservation_id": ["V5001", "V5002", "V5003"],
    "cursor": ["CBL-02.lyon"],
    "counts": [{"text": "sku,quantity\r\nMAT-40,300\r\n", "filename": "counts.csv", "mediaType": "text/csv"}],
}

#: How a call may end. Nothing of it says that a part of remit or an API has failed.
ENDINGS: Final = frozenset({"", "invalid_arguments", "downstream_refused", "access_denied", "approval_required"})
#: Money is given back by the orders API alone: the token service has no such token for anybody else.
NOT_FOR_AGENTS: Final = {"refund_payment": "exchange_refused"}


@dataclass(frozen=True)
class Ending:
    """What came of one call. ``code`` is empty where it succeeded."""

    tool: str
    arguments: Arguments
    valid: bool
    result: Any

    @property
    def code(self) -> str:
        return self.result.structured_content["error"]["code"] if self.result.is_error else ""


@dataclass(frozen=True)
class Driven:
    """The company after all those calls."""

    company: WatchedCompany
    endings: list[Ending]

    def counted(self, *, valid: bool) -> dict[str, Counter[str]]:
        """How often the calls of each tool ended how."""
        found: dict[str, Counter[str]] = {}
        for ending in self.endings:
            if ending.valid is valid:
                found.setdefault(ending.tool, Counter())[ending.code] += 1
        return found


def imported(workspace: Workspace) -> None:
    """In place of the tools that somebody wrote, those that the descriptions give."""
    for description in sorted((workspace.folder / "apis").glob("*.yaml")):
        api = description.stem
        (workspace.folder / "tools" / description.name).unlink(missing_ok=True)
        code, printed = run_remit(f"remit import openapi apis/{api}.yaml --audience {api}-api", workspace.folder)
        assert code == 0, printed


@pytest.fixture(scope="module", params=[None, imported], ids=["written", "imported"])
def driven(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Driven]:
    with watched_company(tmp_path_factory.mktemp("driven"), request.param) as company:
        endings: list[Ending] = []
        tools = company.tools()
        for era in ERAS:
            planned = [
                (name, arguments, valid)
                for name, tool in tools.items()
                for valid, count in ((True, VALID), (False, INVALID))
                for arguments in some_arguments(tool.input_schema, count, KNOWN, valid=valid)
            ]
            endings += company.portal.call(_drive, company, era, planned)
        yield Driven(company, endings)


async def _drive(company: WatchedCompany, era: str, planned: list[tuple[str, Arguments, bool]]) -> list[Ending]:
    """All the calls, a few at a time."""
    free = asyncio.Semaphore(AT_A_TIME)

    async def call(client: Client, name: str, arguments: Arguments, valid: bool) -> Ending:
        async with free:
            return Ending(name, arguments, valid, await client.call_tool(name, arguments))

    async with company.http_client(company.token, era) as client:
        return list(await asyncio.gather(*(call(client, *each) for each in planned)))


def _unaskable(ending: Ending) -> bool:
    """Whether policy engines would not agree on the arguments, so that policy is not asked and the call refused."""
    return ending.code == "policy_failed" and "\\u0000" in json.dumps(ending.arguments)


def test_no_call_ends_with_a_fault_of_ours_or_of_the_api(driven: Driven) -> None:
    expected = {each.tool: ENDINGS | {NOT_FOR_AGENTS.get(each.tool, "")} for each in driven.endings}
    failed = [each for each in driven.endings if each.code not in expected[each.tool] and not _unaskable(each)]
    wrong = [(each.tool, each.arguments, each.result.content) for each in failed]
    assert not wrong, wrong[:3]


def test_each_tool_succeeds_with_some_arguments_that_its_schema_allows(driven: Driven) -> None:
    counted = driven.counted(valid=True)
    assert set(counted) == set(driven.company.tools())
    assert all(endings[NOT_FOR_AGENTS.get(tool, "")] for tool, endings in counted.items()), counted


def test_arguments_that_a_schema_does_not_allow_never_reach_an_api(driven: Driven) -> None:
    for tool, endings in driven.counted(valid=False).items():
        assert set(endings) == {"invalid_arguments"}, tool


def test_no_api_answers_that_it_has_failed(driven: Driven) -> None:
    assert driven.company.seen
    assert not [(api, seen) for api, seen in driven.company.seen if not 200 <= seen.status < 500]


def test_every_request_is_as_the_description_of_its_api_says(driven: Driven) -> None:
    for api in driven.company.apis:
        described = Described(APIS / f"{api}.yaml")
        wrong = [(fault, seen) for seen in driven.company.apis[api].seen for fault in described.faults(seen)]
        assert not wrong, wrong[:3]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"path": "/stock/lmp"}, "path sku: 'lmp' does not match"),
        ({"path": "/stocks"}, "no operation"),
        ({"method": "DELETE"}, "no operation"),
        ({"path": "/stock", "query": "below=5.0"}, "query below: '5.0' is not of type 'integer'"),
        ({"path": "/stock", "query": "sku=LMP-21&sku=CBL-02"}, "sku stands there twice"),
        ({"path": "/stock", "query": "sku=LMP-21%2Clmp"}, "query sku: 'lmp' does not match"),
        ({"path": "/stock", "query": "page=1"}, "query page is not described"),
        ({"headers": {"x-other": "1"}}, "header x-other is not described"),
        ({"headers": {"content-type": "application/json"}}, "a body is not described"),
        ({"status": 201}, "answered 201"),
        ({"path": "/counts", "method": "POST", "headers": {"content-type": "text/csv"}}, "text/csv is not described"),
    ],
)
def test_what_a_description_does_not_know_is_found(changes: dict[str, Any], fault: str) -> None:
    seen = Seen("GET", "/stock/LMP-21", "", {"authorization": "Bearer x"}, b"", 200)
    described = Described(APIS / "stock.yaml")
    assert described.faults(seen) == []
    assert any(found.startswith(fault) for found in described.faults(replace(seen, **changes)))


def test_no_result_and_no_log_holds_a_token(driven: Driven) -> None:
    sent = {seen.headers["authorization"].removeprefix("Bearer ") for _, seen in driven.company.seen}
    tokens = sent | {driven.company.token}
    assert len(sent) > 100
    told = json.dumps([each.result.model_dump(mode="json") for each in driven.endings]) + driven.company.log
    for token in tokens:
        assert token not in told
        assert token.rpartition(".")[2] not in told


def test_nothing_unforeseen_is_in_the_log(driven: Driven) -> None:
    assert "Traceback" not in driven.company.log
    assert "internal_error" not in driven.company.log


def test_the_trail_is_whole_and_has_every_call(driven: Driven) -> None:
    with open_reader(driven.company.trail_file) as trail:
        report = trail.verify()
    assert report.sound
    assert not report.unfinished
    assert len(driven.company.facts()) >= len(driven.endings)
