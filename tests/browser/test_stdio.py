"""`remit login` and stdio sessions: alice signs in by a real browser, once, and everything then speaks for her."""

from __future__ import annotations

import asyncio
import json
import re
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import ElicitRequestURLParams, ElicitResult

from support.browser import Person
from support.command import environment, remit, remit_command
from support.mcp_door import ERAS, text_of
from support.sign_in_shop import SignInShop

pytestmark = pytest.mark.anyio

ORDER = {"order_id": "O1001"}


class Machine:
    """A computer where somebody uses remit: its logins are its own."""

    def __init__(self, shop: SignInShop, folder: Path) -> None:
        self.shop = shop
        self._own = {"REMIT_LOGIN__STORE": "file", "REMIT_LOGIN__FOLDER": str(folder)}

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code and both outputs of a command."""
        done = await asyncio.to_thread(remit, "-c", self.shop.config, *arguments, cwd=self.shop.folder, env=self._own)
        return done.returncode, done.stdout, done.stderr

    @asynccontextmanager
    async def login(self, *arguments: str) -> AsyncIterator[Process]:
        """`remit login` while its person does their part; it must end well."""
        process = await asyncio.create_subprocess_exec(
            *remit_command("-c", self.shop.config, "login", *arguments),
            cwd=self.shop.folder,
            env=environment(**self._own),
            stdout=DEVNULL,
            stderr=PIPE,
        )
        try:
            yield process
            assert process.stderr is not None
            told = (await asyncio.wait_for(process.stderr.read(), 20)).decode()
            assert await process.wait() == 0, told
            assert "signed in as alice" in told
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    @asynccontextmanager
    async def session(self, era: str, **options: Any) -> AsyncIterator[Client]:
        """A stdio session as a client starts it."""
        command, *arguments = remit_command("-c", self.shop.config, "serve", "--stdio", "--client", "my-editor")
        parameters = StdioServerParameters(command=command, args=arguments, env=environment(**self._own))
        async with Client(parameters, mode=era, **options) as client:
            yield client


@pytest.fixture
def machine(shop: SignInShop, tmp_path: Path) -> Machine:
    return Machine(shop, tmp_path / "logins")


async def line_with(process: Process, pattern: str) -> str:
    """What ``pattern`` matches in the first line of standard error that has it."""
    assert process.stderr is not None
    async for line in process.stderr:
        if found := re.search(pattern, line.decode()):
            return found.group()
    raise AssertionError(f"{pattern} was never printed")


async def calls_as_alice(machine: Machine, era: str, **options: Any) -> None:
    async with machine.session(era, **options) as client:
        result = await client.call_tool("get_order", ORDER)
    assert not result.is_error, text_of(result)
    made = machine.shop.made("get_order")
    assert made["principal"]["subject"] == "alice"
    assert made["door"] == "mcp-stdio"
    assert machine.shop.chain()[-1] == "alice"


async def test_a_login_serves_every_session_until_it_is_ended(machine: Machine, alice: Person) -> None:
    async with machine.login("--no-browser") as process:
        await alice.give(await line_with(process, rf"{re.escape(machine.shop.base)}\S+"))
    code, out, _ = await machine.run("whoami", "--json")
    assert code == 0
    assert json.loads(out)["account"] == "alice"
    await calls_as_alice(machine, ERAS[0])
    code, out, err = await machine.run("call", "get_order", "order_id=O1001")
    assert code == 0, out + err
    assert (await machine.run("logout"))[0] == 0
    code, _, err = await machine.run("whoami")
    assert code == 4
    assert "nobody is signed in" in err


async def test_a_code_that_is_typed_in_another_browser_signs_a_device_in(machine: Machine, alice: Person) -> None:
    async with machine.login("--device") as process:
        page = await line_with(process, rf"{re.escape(machine.shop.base)}/oauth2/device\S*")
        code = await line_with(process, r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b")
        await alice.open(page)
        await alice.sign_in()
        await alice.page.get_by_label("Code").fill(code.lower().replace("-", " "))
        await alice.press("Continue")
        await alice.shows(re.compile("^Allow .* to act for you"))
        assert code in await alice.page.locator("main").inner_text()
        await alice.press("Allow")
    _, out, _ = await machine.run("whoami", "--json")
    assert json.loads(out)["account"] == "alice"


@pytest.mark.parametrize("era", ERAS)
async def test_a_session_that_nobody_signed_in_for_opens_the_sign_in_page(
    machine: Machine, alice: Person, era: str
) -> None:
    opened: list[str] = []

    async def user(_context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestURLParams)
        opened.append(params.url)
        await alice.give(params.url)
        return ElicitResult(action="accept")

    await calls_as_alice(machine, era, elicitation_callback=user)
    assert len(opened) == 1
    await calls_as_alice(machine, era)  # and from then on nobody is asked
