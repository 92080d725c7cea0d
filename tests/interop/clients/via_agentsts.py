"""agentsts-core has no client authentication: its id and secret go along as additional parameters."""

from __future__ import annotations

import asyncio
from typing import Any

from agentsts.core.client import STSClient, STSConfig, TokenExchangeError, TokenType


async def delegate(case: dict[str, str]) -> dict[str, Any]:
    config = STSConfig(well_known_uri=f"{case['issuer']}/.well-known/oauth-authorization-server")
    async with STSClient(config) as client:
        answer = await client.delegate(
            case["subject_token"],
            TokenType.ACCESS_TOKEN,
            case["actor_token"],
            TokenType.ACCESS_TOKEN,
            audience=case["audience"],
            scope=case["scope"],
            additional_parameters={"client_id": case["client_id"], "client_secret": case["client_secret"]},
        )
    document: dict[str, Any] = answer.model_dump(mode="json")
    return document


def exchange(case: dict[str, str]) -> dict[str, Any]:
    try:
        return asyncio.run(delegate(case))
    except TokenExchangeError as error:
        return {"error": error.error}
