"""google-auth's STS client, as its workload identity federation uses it."""

from __future__ import annotations

from typing import Any

from google.auth.exceptions import OAuthError
from google.auth.transport.requests import Request
from google.oauth2.sts import Client
from google.oauth2.utils import ClientAuthentication, ClientAuthType

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def exchange(case: dict[str, str]) -> dict[str, Any]:
    proof = ClientAuthentication(ClientAuthType.basic, case["client_id"], case["client_secret"])
    try:
        return dict(
            Client(case["token_endpoint"], proof).exchange_token(
                Request(),
                "urn:ietf:params:oauth:grant-type:token-exchange",
                case["subject_token"],
                ACCESS_TOKEN,
                audience=case["audience"],
                scopes=case["scope"].split(),
                requested_token_type=ACCESS_TOKEN,
                actor_token=case["actor_token"],
                actor_token_type=ACCESS_TOKEN,
            )
        )
    except OAuthError as error:
        text = str(error.args[0])  # "Error code invalid_target: …"
        return {"error": text.removeprefix("Error code ").partition(":")[0]}
