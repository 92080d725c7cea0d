"""authgent's SDK appends ``/token`` to its base URL, sends no actor token and shows a refusal as text only."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Any

from authgent.client import AgentAuthClient
from authgent.errors import ServerError


async def delegate(case: dict[str, str]) -> dict[str, Any]:
    async with AgentAuthClient(case["token_endpoint"].removesuffix("/token")) as client:
        answer = await client.exchange_token(
            case["subject_token"],
            case["audience"],
            scopes=case["scope"].split(),
            client_id=case["client_id"],
            client_secret=case["client_secret"],
        )
    return asdict(answer)


def exchange(case: dict[str, str]) -> dict[str, Any]:
    try:
        return asyncio.run(delegate(case))
    except ServerError as error:
        text = str(error)
        return {"error": json.loads(text[text.index("{") :])["error"]}
