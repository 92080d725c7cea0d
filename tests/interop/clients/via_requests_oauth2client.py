"""requests-oauth2client: finds the endpoint in the metadata; here with private_key_jwt.

Its assertion is for the token endpoint's address, not for the issuer.
"""

from __future__ import annotations

import json
from typing import Any

from requests_oauth2client import InvalidTarget, OAuth2Client, PrivateKeyJwt

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def exchange(case: dict[str, str]) -> dict[str, Any]:
    client = OAuth2Client.from_discovery_endpoint(
        f"{case['issuer']}/.well-known/openid-configuration",
        issuer=case["issuer"],
        auth=PrivateKeyJwt(case["key_client_id"], json.loads(case["private_jwk"]), alg="ES256"),
        testing=True,
    )
    try:
        answer = client.token_exchange(
            subject_token=case["subject_token"],
            subject_token_type=ACCESS_TOKEN,
            actor_token=case["key_actor_token"],
            actor_token_type=ACCESS_TOKEN,
            audience=case["audience"],
            scope=case["scope"],
        )
    except InvalidTarget as error:
        return {"error": error.error}
    return dict(answer.as_dict())
