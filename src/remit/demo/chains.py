"""Path: delegation chains of three hops, made at the token endpoint by the clients of the sample company.

In the ``workload`` profile: client-frontend gets a token of its own, api-gateway exchanges it to call
orders-service, which exchanges that to call payments-service. Each asks over HTTP and proves itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from remit.clock import Clock
from remit.credential import Credential, UnverifiedToken
from remit.exchange.client_auth import ClientSecretBasic
from remit.exchange.messages import ClientCredentialsRequest, Target, TokenExchangeRequest, TokenRequest
from remit.exchange.service import RemoteTokenService, TokenEndpoint
from remit.principal import Profile
from remit.tokens.jwks import JwksClient
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer
from remit.web import HttpClient

SecretOf = Callable[[str], Credential]

#: client, audience, scope: who asks for what at each hop.
_WORKLOAD: Final = (
    ("client-frontend", "orchestrator-api", "orders:read"),
    ("api-gateway", "orders-service", "orders:read"),
    ("orders-service", "payments-service", "payments:charge"),
)


@dataclass(frozen=True, slots=True)
class Chain:
    """The decoded, verified tokens of a chain, the initial one first."""

    profile: str
    hops: tuple[dict[str, Any], ...]

    def document(self) -> dict[str, Any]:
        """For programs."""
        first, *further = self.hops
        return {"profile": self.profile, "claims": first, "downstream_claims": further}


class Chains:
    """Makes and reads chains at one token service, over HTTP."""

    def __init__(self, issuer: str, secret_of: SecretOf, clock: Clock, http: HttpClient) -> None:
        self._issuer = issuer
        self._secret_of = secret_of
        self._clock = clock
        self._http = http
        keys = JwksClient(f"{issuer}/oauth2/jwks", client=http)
        self._verifier = TokenVerifier([TrustedIssuer(issuer, frozenset({"ES256"}), keys)])

    async def of_user(self, token: Credential, audience: str, further: Sequence[dict[str, Any]]) -> Chain:
        """The chain that begins with a user's ``token`` for ``audience`` and went on to ``further`` services."""
        return Chain("rfc8693", (await self._claims(token, audience), *further))

    async def of_services(self) -> Chain:
        """Three hops of services that call services. Raises leaves of ``ExchangeError``."""
        token: Credential | None = None
        hops = []
        for client, audience, scope in _WORKLOAD:
            proof = ClientSecretBasic(client, self._secret_of(client))
            service = RemoteTokenService(TokenEndpoint(self._issuer), proof, self._http, self._clock)
            token = (await service.issue(_request(token, audience, scope))).access_token
            hops.append(await self._claims(token, audience))
        return Chain("workload", tuple(hops))

    async def _claims(self, token: Credential, audience: str) -> dict[str, Any]:
        expect = Expectation(frozenset({audience}), profiles=frozenset(Profile))
        verified = await self._verifier.verify(UnverifiedToken(token.reveal()), expect, now=self._clock.now())
        return dict(verified.claims)


def _request(subject_token: Credential | None, audience: str, scope: str) -> TokenRequest:
    """The first hop is the client's own token (RFC 6749 §4.4), each further one an exchange (RFC 8693 §2.1)."""
    target = Target(audience=audience)
    if subject_token is None:
        return ClientCredentialsRequest(target, (scope,))
    return TokenExchangeRequest(subject_token, target, (scope,))
