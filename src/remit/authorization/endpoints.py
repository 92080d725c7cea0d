"""Door: the authorization server over HTTP: what it adds to the token service's endpoints, and its own.

RFC 8414 §2, RFC 8628 §3.1, RFC 7009. The endpoints of people are in ``page_routes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.routing import Route

from remit import oauth
from remit.authorization.authorizations import Authorizations, RefreshToken
from remit.authorization.client_authentication import SignInClients
from remit.authorization.devices import Devices
from remit.authorization.page_routes import AUTHORIZE_PATH, DEVICE_PATH
from remit.authorization.refresh import Refreshing
from remit.authorization.registration import REGISTRATION_PATH
from remit.authorization.request import PROMPTS, check_scopes
from remit.authorization.token_endpoint import SignInGrants
from remit.errors import GrantUnavailable, InvalidTarget, StateInvalid, UnauthorizedClient
from remit.sts.form import Form, single
from remit.sts.form_endpoint import FormEndpoint, endpoint
from remit.sts.parameters import read_scopes, read_targets
from remit.sts.returning import Returning
from remit.tokens.dpop import PROOF_ALGORITHMS

DEVICE_AUTHORIZATION_PATH: Final = "/oauth2/device_authorization"
_ID_JAG: Final = "urn:ietf:params:oauth:grant-profile:id-jag"


@dataclass(frozen=True, slots=True)
class Offered:
    """What the metadata say of what is switched on. ``scopes``: all that people may be asked for here."""

    audiences: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    registration: bool = False
    client_documents: bool = False


class SignInEndpoints:
    """What clients ask that people sign in through; ``sts.endpoints.SignInService`` for those shared endpoints."""

    def __init__(
        self,
        clients: SignInClients,
        authorizations: Authorizations,
        grants: SignInGrants,
        returning: Returning,
        offered: Offered,
    ) -> None:
        self._clients = clients
        self._authorizations = authorizations
        self._devices = Devices(authorizations)
        self._refreshing = Refreshing(authorizations)
        self._grants = grants
        self._returning = returning
        self._offered = offered
        self._base = authorizations.sts.issuer.rstrip("/")
        self.grant_types = grants.grant_types
        self.answer = grants.answer

    def routes(self) -> list[Route]:
        """The endpoints that the token service does not have, at the paths that the issuer's own path asks for."""
        path = urlsplit(self._base).path + DEVICE_AUTHORIZATION_PATH
        return [endpoint(path, ("POST",), FormEndpoint(self._begin_device), cross_origin=True)]

    async def revoke(self, authorization: Sequence[str], form: Form) -> Mapping[str, Any]:
        """RFC 7009 §2.1. A refresh token takes along everything of its authorization, an access token only itself."""
        try:
            client = await self._clients.authenticate(authorization, form)
            held = await self._refreshing.find(RefreshToken(single(form, "token")))
            if held is None:
                return await self._returning.answer(client, form)
            if held.authorization.client_id != client.client_id:
                raise UnauthorizedClient("the token was issued to another client")
            await self._authorizations.revoke(held.authorization.id)
        except StateInvalid as error:
            raise GrantUnavailable("no token can be revoked now", detail=error.detail) from error
        reason = "the client gave the refresh token back"
        await self._authorizations.ending.told("authorization_revoked", held.authorization, reason=reason)
        return {}

    def metadata(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The token service's ``document`` with what clients need to have people sign in (RFC 8414 §2)."""
        scopes = {*document["scopes_supported"], *self._offered.scopes}
        own: dict[str, Any] = {
            "authorization_endpoint": self._base + AUTHORIZE_PATH,
            "device_authorization_endpoint": self._base + DEVICE_AUTHORIZATION_PATH,
            "grant_types_supported": [*document["grant_types_supported"], *sorted(self.grant_types)],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "client_id_metadata_document_supported": self._offered.client_documents,
            "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
            "prompt_values_supported": sorted(PROMPTS),
            "scopes_supported": sorted(scopes),
        }
        for name in ("token", "revocation"):
            methods = f"{name}_endpoint_auth_methods_supported"
            if methods in document:
                own[methods] = [*document[methods], oauth.NO_CLIENT_AUTHENTICATION]
        if self._offered.registration:
            own["registration_endpoint"] = self._base + REGISTRATION_PATH
        if oauth.GRANT_JWT_BEARER in self.grant_types:
            own["authorization_grant_profiles_supported"] = [_ID_JAG]
        return {**document, **own}

    async def _begin_device(self, headers: Headers, form: Form) -> Mapping[str, Any]:
        """RFC 8628 §3.1, §3.2."""
        try:
            client = await self._clients.authenticate(headers.getlist("authorization"), form)
            if oauth.GRANT_DEVICE_CODE not in client.grants:
                raise UnauthorizedClient("this client may not use the device grant")
            scopes = read_scopes(form)
            check_scopes(scopes)
            start = await self._devices.begin(client, self._audience(form), scopes)
        except StateInvalid as error:
            raise GrantUnavailable("no device can be signed in now", detail=error.detail) from error
        page = self._base + DEVICE_PATH
        return {
            "device_code": start.device_code,
            "user_code": start.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={start.user_code}",
            "expires_in": start.expires_in,
            "interval": start.interval,
        }

    def _audience(self, form: Form) -> str:
        """RFC 8707 §2. One token is for one resource."""
        targets = read_targets(form)
        if len(targets) > 1 or not targets <= set(self._offered.audiences):
            raise InvalidTarget("no tokens are issued here for that resource, or for several at once")
        return next(iter(targets), self._offered.audiences[0])
