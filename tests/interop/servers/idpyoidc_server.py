"""idpyoidc as authorization server: its own token endpoint and token exchange helper behind ``http.server``.

Reads its setup as one line of JSON and says where it listens as another. ``python/`` of ``.ci/interop`` runs it.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from idpyoidc.message.oauth2 import AuthorizationRequest
from idpyoidc.server import Server
from idpyoidc.server.authn_event import create_authn_event
from idpyoidc.server.authz import AuthzHandling
from idpyoidc.server.client_authn import verify_client
from idpyoidc.server.configure import ASConfiguration
from idpyoidc.server.oauth2.token_helper import validate_token_exchange_policy

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


def make(issuer: str, setup: dict[str, Any]) -> Server:
    """The server with one client, which also signs users in, and one more, whose users it may be handed."""
    policy = {"function": validate_token_exchange_policy, "kwargs": {"audience": setup["audiences"]}}
    token = {"class": "idpyoidc.server.token.jwt_token.JWTToken", "kwargs": {"lifetime": 300}}
    config = {
        "issuer": issuer,
        "httpc_params": {"timeout": 1},
        "keys": {"uri_path": "jwks.json", "key_defs": [{"type": "EC", "crv": "P-256", "use": ["sig"]}]},
        "preference": {"subject_types_supported": ["public"]},
        "endpoint": {
            "token": {
                "path": "token",
                "class": "idpyoidc.server.oidc.token.Token",
                "kwargs": {
                    "client_authn_method": ["client_secret_basic", "client_secret_post"],
                    "grant_types_helpers": {
                        TOKEN_EXCHANGE: {
                            "class": "idpyoidc.server.oauth2.token_helper.token_exchange.TokenExchangeHelper",
                            "kwargs": {
                                "requested_token_types_supported": [ACCESS_TOKEN],
                                "policy": {"": policy},
                            },
                        }
                    },
                },
            },
        },
        "userinfo": {"class": "idpyoidc.server.user_info.UserInfo", "kwargs": {"db": {"alice": {}}}},
        "client_authn": verify_client,
        "authz": {
            "class": AuthzHandling,
            "kwargs": {
                "grant_config": {
                    "usage_rules": {"access_token": {"supports_minting": ["access_token"], "expires_in": 300}},
                    "expires_in": 3600,
                }
            },
        },
        "token_handler_args": {"token": token},
        "session_params": {"password": "p" * 16, "salt": "s" * 16},
    }
    server = Server(ASConfiguration(conf=config, base_path="."), cwd=".")
    server.context.map_supported_to_preferred()
    for client_id in (setup["client_id"], "sign-in"):
        server.context.cdb[client_id] = {
            "client_secret": setup["client_secret"],
            "redirect_uris": [("https://client.example/callback", None)],
            "client_salt": "salted",
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types_supported": [TOKEN_EXCHANGE],
            "allowed_scopes": setup["scopes"],
        }
    return server


def sign_in(server: Server, user: str, client_id: str, audience: str, scopes: list[str]) -> str:
    """An access token as the authorization endpoint's user would have got it through ``client_id``."""
    asked = AuthorizationRequest(
        client_id=client_id,
        redirect_uri="https://client.example/callback",
        scope=scopes,
        state="state",
        response_type="code",
    )
    sessions = server.context.session_manager
    session = sessions.create_session(create_authn_event(user), asked, user, client_id=client_id)
    grant = server.context.authz(session, asked)
    minted = grant.mint_token(
        session_id=session,
        context=server.context,
        token_class="access_token",
        token_handler=sessions.token_handler["access_token"],
        usage_rules=grant.usage_rules["access_token"],
        resources=[audience],
    )
    value: str = minted.value
    return value


class Handler(BaseHTTPRequestHandler):
    """The token endpoint and the keys."""

    server: Listening

    def do_GET(self) -> None:
        self._answer(200, self.server.oauth.keyjar.export_jwks())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
        endpoint = self.server.oauth.get_endpoint("token")
        http_info = {"headers": {name.lower(): value for name, value in self.headers.items()}}
        request = endpoint.parse_request(body, http_info=http_info)
        if "error" in request:
            self._answer(400, request.to_dict())
            return
        answer = endpoint.process_request(request, http_info=http_info)
        document = answer.get("response_args") or answer.to_dict()
        self._answer(400 if "error" in document else 200, dict(document))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Silent."""

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        if isinstance(document.get("scope"), list):  # idpyoidc leaves the wire form to its caller
            document["scope"] = " ".join(document["scope"])
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Listening(ThreadingHTTPServer):
    """Listens, and knows the authorization server once it is made."""

    oauth: Server


if __name__ == "__main__":
    setup = json.loads(sys.stdin.readline())
    listening = Listening(("127.0.0.1", 0), Handler)
    issuer = f"http://127.0.0.1:{listening.server_port}"
    listening.oauth = make(issuer, setup)
    tokens = {
        client_id: sign_in(listening.oauth, "alice", client_id, setup["client_id"], setup["scopes"])
        for client_id in (setup["client_id"], "sign-in")
    }
    ready = {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks.json",
        "subject_tokens": tokens,
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    listening.serve_forever()
