"""Door: the token service over HTTP: tokens, introspection, revocation, the public keys and the metadata.

RFC 6749 §3.2 and §5, RFC 8693 §2, RFC 7662, RFC 7009, RFC 7517 §5, RFC 8414 §3. Every answer is JSON, none repeats
what was sent, and none but the keys may be stored. Where people can sign in, the clients that they sign in through use
the same endpoints: which of the two a request is for, its grant type or its client says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.routing import Route

from remit import oauth
from remit.clock import Clock
from remit.sts import form_endpoint
from remit.sts.client_authentication import ASSERTION_ALGORITHMS, ClientAuthenticator
from remit.sts.client_proof import read_proof
from remit.sts.clients import Client
from remit.sts.form import Form, single
from remit.sts.form_endpoint import NO_STORE, Answer, Document, FormEndpoint
from remit.sts.grant import SecurityTokenService
from remit.sts.introspection import Introspection
from remit.sts.issued import IssuedTokens
from remit.sts.recording import OpenRecord, RecordedGrants
from remit.sts.returning import RecordControl, Returning
from remit.sts.revocation import RevocationList

TOKEN_PATH: Final = "/oauth2/token"
INTROSPECTION_PATH: Final = "/oauth2/introspect"
REVOCATION_PATH: Final = "/oauth2/revoke"
JWKS_PATH: Final = "/oauth2/jwks"

_JWKS_CACHE: Final = {"Cache-Control": "public, max-age=300"}
_AUTH_METHODS: Final = (oauth.CLIENT_SECRET_BASIC, oauth.CLIENT_SECRET_POST, oauth.PRIVATE_KEY_JWT)


class SignInService(Protocol):
    """The authorization server, as the endpoints that it shares with the token service see it."""

    @property
    def grant_types(self) -> frozenset[str]:
        """The grants of clients that people sign in through."""
        ...

    async def answer(self, authorization: Sequence[str], form: Form, dpop: Sequence[str]) -> Mapping[str, Any]:
        """A request for one of these; the values of two headers, and the form. Raises leaves of ``GrantError``."""
        ...

    async def revoke(self, authorization: Sequence[str], form: Form) -> Mapping[str, Any]:
        """A token that such a client gives back. Raises leaves of ``GrantError``."""
        ...

    def metadata(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """What more the token service's ``document`` says."""
        ...


def routes(
    sts: SecurityTokenService,
    clock: Clock,
    revocations: RevocationList | None = None,
    record: RecordControl | None = None,
    issuance: OpenRecord | None = None,
    sign_in: SignInService | None = None,
) -> list[Route]:
    """All routes of the token service, at the paths that its issuer's own path asks for.

    Clients can revoke their tokens where there is a list of ``revocations``; ``record`` tells the trail of it, and
    ``issuance`` of every token that is issued or refused. With ``sign_in`` people can sign in, and pages of any origin
    may ask for tokens.
    """
    path = urlsplit(sts.issuer).path.rstrip("/")
    metadata = partial(metadata_document, sts.issuer, sts.clients, revocation=revocations is not None)
    known = {value for name, value in metadata().items() if name.endswith("_endpoint")}
    clients = ClientAuthenticator(sts.clients, frozenset({sts.issuer, *known}), clock)
    issued = IssuedTokens(sts.issuer, sts.keys, clock)
    grant = RecordedGrants(sts, issuance).answer if issuance else sts.grant
    answers: dict[str, Answer] = {
        TOKEN_PATH: _Token(_Registered(clients, grant), sign_in),
        INTROSPECTION_PATH: _Registered(clients, Introspection(issued, sts.revocations).answer),
    }
    if revocations is not None:
        returning = _Registered(clients, Returning(issued, revocations, record).answer)
        answers[REVOCATION_PATH] = _Revocation(returning, sts.clients, sign_in)
    endpoint = partial(form_endpoint.endpoint, cross_origin=sign_in is not None)
    document = Document(lambda: sign_in.metadata(metadata()) if sign_in else metadata(), NO_STORE)
    well_known = {
        oauth.WELL_KNOWN_AUTHORIZATION_SERVER + path,  # RFC 8414 §3.1
        oauth.WELL_KNOWN_OPENID_CONFIGURATION + path,
        path + oauth.WELL_KNOWN_OPENID_CONFIGURATION,  # OpenID Connect Discovery §4, for older clients
    }
    return [
        *(endpoint(path + place, ("POST",), FormEndpoint(answer)) for place, answer in answers.items()),
        endpoint(path + JWKS_PATH, ("GET", "HEAD"), Document(sts.keys.jwks, _JWKS_CACHE)),
        *(endpoint(place, ("GET", "HEAD"), document) for place in sorted(well_known)),
    ]


def metadata_document(issuer: str, clients: Mapping[str, Client], *, revocation: bool = False) -> dict[str, Any]:
    """RFC 8414 §2. ``revocation``: clients can revoke their tokens here."""
    base = issuer.rstrip("/")
    scopes = {scope for client in clients.values() for rule in client.targets for scope in rule.scopes}
    served = {"token": TOKEN_PATH, "introspection": INTROSPECTION_PATH}
    if revocation:
        served["revocation"] = REVOCATION_PATH
    document: dict[str, Any] = {
        "issuer": issuer,
        "jwks_uri": base + JWKS_PATH,
        "grant_types_supported": [oauth.GRANT_CLIENT_CREDENTIALS, oauth.GRANT_TOKEN_EXCHANGE],
        "response_types_supported": [],  # REQUIRED, though there is no authorization endpoint
        "scopes_supported": sorted(scopes),
    }
    for name, path in served.items():
        document[f"{name}_endpoint"] = base + path
        document[f"{name}_endpoint_auth_methods_supported"] = list(_AUTH_METHODS)
        document[f"{name}_endpoint_auth_signing_alg_values_supported"] = list(ASSERTION_ALGORITHMS)
    return document


#: What is done with the form of a client that proved itself. Raises leaves of ``GrantError``.
_ClientAnswer = Callable[[Client, Form], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class _Registered:
    """For the clients of the token service."""

    clients: ClientAuthenticator
    answer: _ClientAnswer

    async def __call__(self, headers: Headers, form: Form) -> Mapping[str, Any]:
        client = await self.clients.authenticate(headers.getlist("authorization"), form)
        return await self.answer(client, form)


@dataclass(frozen=True, slots=True)
class _Token:
    """The token endpoint: each grant is one of the token service, or one of clients that people sign in through."""

    registered: Answer
    sign_in: SignInService | None

    async def __call__(self, headers: Headers, form: Form) -> Mapping[str, Any]:
        if self.sign_in is None or single(form, "grant_type") not in self.sign_in.grant_types:
            return await self.registered(headers, form)
        return await self.sign_in.answer(headers.getlist("authorization"), form, headers.getlist("dpop"))


@dataclass(frozen=True, slots=True)
class _Revocation:
    """The revocation endpoint: a name that the token service does not know is that of the other kind of client."""

    registered: Answer
    clients: Mapping[str, Client]
    sign_in: SignInService | None

    async def __call__(self, headers: Headers, form: Form) -> Mapping[str, Any]:
        authorization = headers.getlist("authorization")
        if self.sign_in is None or read_proof(authorization, form).client_id in self.clients:
            return await self.registered(headers, form)
        return await self.sign_in.revoke(authorization, form)
