"""keycardai-oauth: finds the endpoint in the metadata, client_secret_basic."""

from __future__ import annotations

from typing import Any

from keycardai.oauth import BasicAuth, Client
from keycardai.oauth.exceptions import OAuthProtocolError

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def exchange(case: dict[str, str]) -> dict[str, Any]:
    with Client(case["issuer"], auth=BasicAuth(case["client_id"], case["client_secret"])) as client:
        try:
            answer = client.exchange_token(
                subject_token=case["subject_token"],
                subject_token_type=ACCESS_TOKEN,
                actor_token=case["actor_token"],
                actor_token_type=ACCESS_TOKEN,
                audience=case["audience"],
                scope=case["scope"],
            )
        except OAuthProtocolError as error:
            return {"error": error.error}
    return dict(answer.raw)
