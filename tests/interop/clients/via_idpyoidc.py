"""idpyoidc's client with its token exchange service."""

from __future__ import annotations

from typing import Any

from idpyoidc.client.oauth2 import Client

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def exchange(case: dict[str, str]) -> dict[str, Any]:
    client = Client(
        config={
            "issuer": case["issuer"],
            "client_id": case["client_id"],
            "client_secret": case["client_secret"],
            "redirect_uris": ["https://client.example/callback"],
            "provider_info": {"issuer": case["issuer"], "token_endpoint": case["token_endpoint"]},
        },
        services={"token_exchange": {"class": "idpyoidc.client.oauth2.token_exchange.TokenExchange"}},
    )
    answer = client.do_request(
        "token_exchange",
        request_args={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": case["subject_token"],
            "subject_token_type": ACCESS_TOKEN,
            "actor_token": case["actor_token"],
            "actor_token_type": ACCESS_TOKEN,
            "audience": [case["audience"]],
            "scope": case["scope"].split(),
        },
        state="state",
    )
    document: dict[str, Any] = answer.to_dict()
    return document
