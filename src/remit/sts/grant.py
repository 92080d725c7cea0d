"""Path: the two grants of the token endpoint.

Both take an authenticated client and a form, and return the JSON document of RFC 6749 §5.1 and RFC 8693 §2.2.1,
so the endpoint and a caller in this process use the same code.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from remit import oauth
from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.errors import InvalidRequest, InvalidScope, TokenInvalid, UnauthorizedClient, UnsupportedGrantType
from remit.principal import Actor
from remit.sts.clients import Client
from remit.sts.delegation import (
    check_actor_token,
    check_bearer,
    check_direct,
    check_may_act,
    check_not_self,
    check_target,
    direct_scope,
    extend_chain,
    lifetime,
    narrow_scope,
)
from remit.sts.form import Form, single
from remit.sts.keys import KeyRing
from remit.sts.minting import Grant, access_token_claims, sign
from remit.sts.parameters import ExchangeParameters, read_scopes, read_targets
from remit.tokens.jwks import LiveKeys
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken

_MAX_TOKEN_BYTES: Final = 16 * 1024
_SERVED: Final = frozenset({oauth.GRANT_CLIENT_CREDENTIALS, oauth.GRANT_TOKEN_EXCHANGE})


class SecurityTokenService:
    """Issues access tokens under the name ``issuer`` to ``clients`` (by client id).

    Its own tokens are the only subject and actor tokens it takes.
    """

    def __init__(self, issuer: str, keys: KeyRing, clock: Clock, clients: Mapping[str, Client]) -> None:
        self.issuer = issuer
        self.keys = keys
        self.clients = clients
        self._clock = clock
        own = TrustedIssuer(issuer, frozenset({keys.signing_key.algorithm}), LiveKeys(keys.jwks))
        self._verifier = TokenVerifier([own], max_bytes=_MAX_TOKEN_BYTES)

    async def grant(self, client: Client, form: Form) -> dict[str, Any]:
        """Answer a token request of ``client``, who has been authenticated. Raises leaves of ``GrantError``."""
        grant_type = single(form, "grant_type")
        if not grant_type:
            raise InvalidRequest("grant_type is missing")
        if grant_type not in _SERVED:
            raise UnsupportedGrantType("only client_credentials and token-exchange are served here")
        if grant_type not in client.grants:
            raise UnauthorizedClient("this client may not use this grant")
        if grant_type == oauth.GRANT_TOKEN_EXCHANGE:
            return await self._exchange(client, ExchangeParameters.from_form(form))
        return self._client_credentials(client, form)

    async def _exchange(self, client: Client, asked: ExchangeParameters) -> dict[str, Any]:
        """A token exchange (RFC 8693 §2), one check after the other; what comes first is cheapest.

        The transport, the client, its grants and the parameters' grammar have been checked.

        1. **Target**: the client has a rule for it, before any cryptography.
        2. **Subject token**: sound, and issued for this client: nobody exchanges a token that is somebody else's.
        3. **Actor token**, if any: sound, issued for this service, and the client's own.
        4. **Actor**: the authenticated client, who is not the subject.
        5. **may_act** in the subject token names the actor.
        6. **Scope**: asked for, allowed here and held by the subject token.
        7. **Chain**: the actor goes before those that were there; not too long, no loop.
        8. **Lifetime**: the least of all limits; no longer than either token.
        9. **Mint.**

        This does NOT ask whether a token was revoked.
        """
        now = self._clock.now()
        rule = check_target(client, asked.targets)  # 1
        subject = await self._verify("subject_token", asked.subject_token, client.accepted_audiences, now)  # 2
        parents = [subject]
        if asked.actor_token is not None:  # 3
            actor_token = await self._verify("actor_token", asked.actor_token, frozenset({self.issuer}), now)
            check_actor_token(actor_token, subject, client)
            parents.append(actor_token)
        actor = Actor(client.client_id, self.issuer)  # 4
        check_not_self(actor, subject)
        check_may_act(subject.claims, actor)  # 5
        scopes = narrow_scope(asked.scopes, rule, subject)  # 6
        chain = extend_chain(subject, actor, client.max_depth)  # 7
        limits = (rule.max_lifetime, client.max_lifetime, asked.requested_expires_in)
        grant = Grant(
            issuer=self.issuer,
            subject=subject.subject,
            client_id=client.client_id,
            audience=rule.aud,
            scopes=scopes,
            issued_at=int(now),
            lifetime=lifetime(limits, tuple(parents), now=int(now)),  # 8
            jti=random_id(),
            txn=subject.txn or random_id(),
            chain=chain,
        )
        return self._answer(grant, subject) | {"issued_token_type": oauth.TOKEN_TYPE_ACCESS_TOKEN}  # 9

    def _client_credentials(self, client: Client, form: Form) -> dict[str, Any]:
        """A token of the client's own (RFC 6749 §4.4), with no user behind it.

        Without a target it is for this service, where it serves as actor token and holds no scope. For an API the
        client needs a rule that says ``direct``.
        """
        targets, requested = read_targets(form), read_scopes(form)
        scopes: tuple[str, ...] = ()
        if targets <= {self.issuer}:
            if requested:
                raise InvalidScope("a token for this service itself holds no scope")
            audience, limit = self.issuer, client.max_lifetime
        else:
            rule = check_direct(check_target(client, targets))
            audience, scopes, limit = rule.aud, direct_scope(requested, rule), rule.max_lifetime
        grant = Grant(
            issuer=self.issuer,
            subject=client.client_id,
            client_id=client.client_id,
            audience=audience,
            scopes=scopes,
            issued_at=int(self._clock.now()),
            lifetime=min(limit, client.max_lifetime),
            jti=random_id(),
        )
        return self._answer(grant)

    def _answer(self, grant: Grant, subject: VerifiedToken | None = None) -> dict[str, Any]:
        token = sign(access_token_claims(grant, subject.claims if subject else None), self.keys.signing_key)
        answer = {"access_token": token.reveal(), "token_type": "Bearer", "expires_in": grant.lifetime}
        return answer | ({"scope": oauth.format_scope(grant.scopes)} if grant.scopes else {})

    async def _verify(
        self, parameter: str, token: UnverifiedToken, audiences: frozenset[str], now: float
    ) -> VerifiedToken:
        """Every fault of a token is ``invalid_request`` (RFC 8693 §2.2.2, MUST), never ``invalid_grant``."""
        try:
            verified = await self._verifier.verify(token, Expectation(audiences=audiences), now=now)
        except TokenInvalid as error:
            raise InvalidRequest(f"{parameter} is not acceptable: {error.code}", detail=error.message) from error
        check_bearer(verified, parameter)
        return verified


def random_id() -> str:
    """128 random bits, for ``jti`` and ``txn``."""
    return secrets.token_urlsafe(16)
