"""A stdio session without a login: its client has the user sign in, or is told what to run; in both eras."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import (
    INVALID_REQUEST,
    ClientCapabilities,
    ElicitationCapability,
    ElicitRequestURLParams,
    ElicitResult,
    FormElicitationCapability,
    InputRequiredResult,
    UrlElicitationCapability,
)

from remit.doors.mcp.contract import SignInOffer
from remit.doors.mcp.sign_in import offered, shows_urls
from support.mcp_door import ERAS, text_of

pytestmark = pytest.mark.anyio
eras = pytest.mark.parametrize("era", ERAS)
MODERN = ERAS[0]
SCRIPT = Path(__file__).parent / "sign_in_server.py"
SAID = "Nobody is signed in: run `remit login`."


class User:
    """Whose browser it is. ``answers`` are what they say to each offer; ``signs_in``: whether they then do."""

    def __init__(self, file: Path, *answers: str, signs_in: bool = True) -> None:
        self.file = file
        self.answers = list(answers)
        self.signs_in = signs_in
        self.offers: list[str] = []

    async def __call__(self, _context: Any, params: Any) -> ElicitResult:
        if not isinstance(params, ElicitRequestURLParams):
            return ElicitResult(action="accept")
        assert params.message == "Sign in at idp.example.com."
        self.offers.append(params.url)
        answer = self.answers.pop(0)
        if answer == "accept" and self.signs_in:
            self.file.write_text("token-alice", encoding="utf-8")
        return ElicitResult(action=answer)  # type: ignore[arg-type]


@pytest.fixture
def login(tmp_path: Path) -> Path:
    file = tmp_path / "login"
    file.write_text("", encoding="utf-8")
    return file


@asynccontextmanager
async def session(login: Path, era: str, *more: str, **options: Any) -> AsyncIterator[Client]:
    arguments = [str(SCRIPT), str(login), *more]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    async with Client(command, mode=era, **options) as client:
        yield client


@eras
async def test_a_user_who_signs_in_has_their_call_made(login: Path, era: str) -> None:
    """One process for all of it: starting one is what takes the time."""
    user = User(login, "accept", "accept", "decline", "cancel")
    async with session(login, era, elicitation_callback=user) as client:
        with pytest.raises(MCPError) as caught:
            await client.session.list_tools()
        assert caught.value.error.code == INVALID_REQUEST
        assert caught.value.error.message == "nobody is signed in: run `remit login`"
        made = await client.call_tool("whoami", {"x": 1})
        assert made.structured_content == {"token": "token-alice", "arguments": {"x": 1}}
        assert user.offers == ["https://idp.example.com/authorize?n=1"]
        assert [tool.name for tool in (await client.list_tools()).tools] == ["refund", "whoami"]
        await signs_in_again_where_the_token_is_refused(client, login)
        for _ in range(2):  # who does not want to is not asked again, and told what else there is
            login.write_text("", encoding="utf-8")
            refused = await client.call_tool("whoami")
            assert refused.is_error
            assert text_of(refused).startswith(SAID)
            assert refused.structured_content["error"]["code"] == "sign_in_required"
    assert len(user.offers) == 4


async def signs_in_again_where_the_token_is_refused(client: Client, login: Path) -> None:
    login.write_text("expired", encoding="utf-8")
    made = await client.call_tool("refund")  # which also has to be approved
    assert made.structured_content["token"] == "token-alice"


@eras
async def test_a_client_that_opens_no_urls_is_told_what_to_run(login: Path, era: str) -> None:
    async with session(login, era) as client:
        refused = await client.call_tool("whoami")
        assert refused.is_error
        assert text_of(refused).startswith(SAID)
        login.write_text("token-alice", encoding="utf-8")
        assert not (await client.call_tool("whoami")).is_error


@eras
async def test_a_session_that_can_offer_nothing_says_what_to_run(login: Path, era: str) -> None:
    user = User(login)
    async with session(login, era, "nobody", elicitation_callback=user) as client:
        refused = await client.call_tool("whoami")
        assert text_of(refused).startswith(SAID)
        login.write_text("expired", encoding="utf-8")
        with pytest.raises(MCPError) as caught:
            await client.call_tool("whoami")
        assert caught.value.error.data["error"]["code"] == "invalid_token"
    assert user.offers == []


@eras
async def test_calls_that_wait_at_the_same_time_share_one_sign_in(login: Path, era: str) -> None:
    both = asyncio.Event()
    offers: list[str] = []

    async def user(_context: Any, params: Any) -> ElicitResult:
        offers.append(params.url)
        if len(offers) == 2:
            both.set()
        async with asyncio.timeout(10):
            await both.wait()
        login.write_text("token-alice", encoding="utf-8")
        return ElicitResult(action="accept")

    async with session(login, era, elicitation_callback=user) as client:
        made = await asyncio.gather(*(client.call_tool("whoami", {"n": n}) for n in range(2)))
    assert [result.structured_content["arguments"] for result in made] == [{"n": 0}, {"n": 1}]
    assert offers == ["https://idp.example.com/authorize?n=1"] * 2


async def test_an_accepted_offer_proves_nothing_by_itself(login: Path) -> None:
    """A client that says yes and signs nobody in is refused, and waits no longer than it may."""
    user = User(login, "accept", signs_in=False)
    async with session(login, MODERN, elicitation_callback=user) as client:
        refused = await client.call_tool("whoami")
        assert text_of(refused).startswith(SAID)
    assert len(user.offers) == 1


async def test_an_answer_that_nobody_asked_for_changes_nothing(login: Path) -> None:
    async with session(login, MODERN) as client:
        login.write_text("token-alice", encoding="utf-8")
        result = await client.session.call_tool(
            "whoami", input_responses={"sign_in": ElicitResult(action="accept")}, allow_input_required=True
        )
        assert not isinstance(result, InputRequiredResult)
        assert result.structured_content["token"] == "token-alice"


def test_an_offer_has_a_url_and_no_state() -> None:
    wire = offered(SignInOffer("https://idp.example.com/a", "Sign in.")).model_dump(
        by_alias=True, mode="json", exclude_none=True
    )
    assert wire["inputRequests"] == {
        "sign_in": {
            "method": "elicitation/create",
            "params": {"mode": "url", "message": "Sign in.", "url": "https://idp.example.com/a"},
        }
    }
    assert "requestState" not in wire


@pytest.mark.parametrize(
    ("elicitation", "shows"),
    [
        (None, False),
        (ElicitationCapability(), False),
        (ElicitationCapability(form=FormElicitationCapability()), False),
        (ElicitationCapability(url=UrlElicitationCapability()), True),
    ],
)
def test_urls_are_for_clients_that_say_they_open_them(
    elicitation: ElicitationCapability | None, *, shows: bool
) -> None:
    assert shows_urls(ClientCapabilities(elicitation=elicitation)) is shows
    assert not shows_urls(None)
