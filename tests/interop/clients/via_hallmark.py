"""hallmark-identity: client_secret_post, the actor token always of type access_token."""

from __future__ import annotations

from typing import Any

from hallmark_identity.errors import GrantError
from hallmark_identity.grants.token_exchange import token_exchange
from hallmark_identity.idp.types import IdpConfig


def exchange(case: dict[str, str]) -> dict[str, Any]:
    config = IdpConfig(
        token_endpoint=case["token_endpoint"],
        client_id=case["client_id"],
        client_secret=case["client_secret"],
        supports_token_exchange=True,
    )
    try:
        answer = token_exchange(
            config, case["subject_token"], "access_token", case["actor_token"], case["audience"], case["scope"]
        )
    except GrantError as error:
        return {"error": error.oauth_error}
    return dict(vars(answer))
