"""Authlib has no token exchange of its own; its OAuth2 client sends any grant."""

from __future__ import annotations

from typing import Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def exchange(case: dict[str, str]) -> dict[str, Any]:
    session = OAuth2Session(case["client_id"], case["client_secret"], token_endpoint_auth_method="client_secret_basic")
    try:
        return dict(
            session.fetch_token(
                case["token_endpoint"],
                grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
                subject_token=case["subject_token"],
                subject_token_type=ACCESS_TOKEN,
                actor_token=case["actor_token"],
                actor_token_type=ACCESS_TOKEN,
                audience=case["audience"],
                scope=case["scope"],
            )
        )
    except OAuthError as error:
        return {"error": error.error}
