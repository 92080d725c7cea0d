"""The token service of ``support.sts`` with a deny-list in a directory, and its endpoints in process."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from starlette.applications import Starlette

from remit.sts.clients import Client
from remit.sts.endpoints import routes
from remit.sts.revocation import RevocationFile, RevocationList
from support.sts import AGENT, ISSUER, SECRET, World

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def basic(client: Client) -> dict[str, str]:
    """The Authorization header of a client of ``support.sts``."""
    pair = f"{client.client_id}:{SECRET.reveal().replace(' ', '+')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


@dataclass
class Guarded:
    """A token service that knows what was revoked. ``recorded`` is what the trail was told."""

    directory: Path
    world: World = field(default_factory=World)
    recorded: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.revocations = self.another_process()
        self.world.sts.revocations = self.revocations

    def another_process(self) -> RevocationList:
        """The list as another process has it."""
        return RevocationList(RevocationFile(self.directory / "revocations.db"), self.world.clock)

    async def record(self, action: str, what: Mapping[str, str]) -> str:
        self.recorded.append((action, dict(what)))
        return "id"

    def post(self, path: str, form: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> httpx.Response:
        """As ``agent-runner`` unless ``headers`` say otherwise."""
        app = Starlette(routes=routes(self.world.sts, self.world.clock, self.revocations, self.record))

        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
                sent = {**FORM, **(basic(AGENT) if headers is None else headers)}
                return await http.post(path, content=urlencode(form, doseq=True), headers=sent)

        return asyncio.run(main())
