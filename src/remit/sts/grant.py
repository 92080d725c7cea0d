"""Path: the two grants of the token endpoint.

Both take an authenticated client and a form, and return the JSON document of RFC 6749 §5.1 and RFC 8693 §2.2.1,
so the endpoint and a caller in this process use the same code.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from remit import oauth
from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.errors import (
    GrantUnavailable,
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    KeysUnavailable,
    TokenInvalid,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from remit.principal import Actor, Parties
from remit.sts.clients import Client, Clients
from remit.sts.delegation import (
    check_actor_sent,
    check_actor_token,
    check_bearer,
    check_direct,
    check_may_act,
    check_not_self,
    check_profile,
    check_target,
    direct_scope,
    extend_chain,
    lifetime,
    narrow_scope,
)
from remit.sts.form import Form, single
from remit.sts.keys import KeyRing
from remit.sts.minting import Grant, access_token_claims, sign
from remit.sts.parameters import ExchangeParameters, read_lifetime, read_scopes, read_targets
from remit.sts.policy import NOT_ASKED, ExchangePolicy, Proposal, within
from remit.sts.revocation import NothingRevoked, Revocations
from remit.sts.subject import MAX_TOKEN_BYTES, Subject, SubjectIssuer, SubjectTokens
from remit.sts.watch import NOBODY, Watch
from remit.tokens.jwks import LiveKeys
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken

_SERVED: Final = frozenset({oauth.GRANT_CLIENT_CREDENTIALS, oauth.GRANT_TOKEN_EXCHANGE})


class SecurityTokenService:
    """Issues access tokens under the name ``issuer`` to ``clients`` (by client id).

    The subject tokens it takes are its own and those of ``subject_issuers``; actor tokens are its own.
    """

    def __init__(
        self,
        issuer: str,
        keys: KeyRing,
        clock: Clock,
        clients: Mapping[str, Client],
        subject_issuers: Iterable[SubjectIssuer] = (),
    ) -> None:
        self.issuer = issuer
        self.keys = keys
        self.clients = Clients(clients)
        #: Whether a client, a subject token or an actor token has been revoked; asked every time.
        self.revocations: Revocations = NothingRevoked()
        #: Whether a token for an API may be issued, and what is left of it; asked last, every time.
        self.policy: ExchangePolicy = NOT_ASKED
        self._clock = clock
        own = TrustedIssuer(issuer, frozenset({keys.signing_key.algorithm}), LiveKeys(keys.jwks))
        self._subjects = SubjectTokens(own, subject_issuers)
        self._actors = TokenVerifier([own], max_bytes=MAX_TOKEN_BYTES)

    def replace_clients(self, clients: Mapping[str, Client]) -> None:
        """Other rules from now on; what was issued under the old ones stays good until it expires."""
        self.clients.replace(clients)

    async def grant_in_process(self, client_id: str, form: Form) -> dict[str, Any]:
        """``grant`` for a caller in this process that needs no proof, under the rules it has now."""
        client = self.clients.get(client_id)
        if client is None:
            raise InvalidClient("the client is not registered any more")
        return await self.grant(client, form)

    async def grant(self, client: Client, form: Form, watch: Watch = NOBODY) -> dict[str, Any]:
        """Answer a token request of ``client``, who has been authenticated. Raises leaves of ``GrantError``."""
        grant_type = single(form, "grant_type")
        if not grant_type:
            raise InvalidRequest("grant_type is missing")
        if grant_type not in _SERVED:
            raise UnsupportedGrantType("only client_credentials and token-exchange are served here")
        if grant_type not in client.grants:
            raise UnauthorizedClient("this client may not use this grant")
        self._check_client(client)
        watch.asked(grant_type)
        if grant_type == oauth.GRANT_TOKEN_EXCHANGE:
            return await self._exchange(client, ExchangeParameters.from_form(form), watch)
        return await self._client_credentials(client, form, watch)

    async def _exchange(self, client: Client, asked: ExchangeParameters, watch: Watch) -> dict[str, Any]:
        """A token exchange (RFC 8693 §2), one check after the other; what comes first is cheapest.

        The transport, the client, its grants and the parameters' grammar have been checked.

        1. **Target**: the client has a rule for it, before any cryptography.
        2. **Subject token**: sound, not revoked, and issued for this client: nobody exchanges somebody else's.
        3. **Actor token**, if any: sound, not revoked, issued for this service, and the client's own.
        4. **Profile**: the subject token is of the one the target takes.
        5. **Actor**: the authenticated client, who is not the principal.
        6. **may_act** in the subject token names the actor.
        7. **Scope**: asked for, allowed here and held by the subject token.
        8. **Chain**: the actor goes before those that were there; not too long, no loop.
        9. **Lifetime**: the least of all limits; no longer than either token.
        10. **Policy**, which may narrow scope and lifetime.
        11. **Mint.**
        """
        now = self._clock.now()
        watch.wanted(asked.targets, asked.scopes)
        rule = check_target(client, asked.targets)  # 1
        watch.ruled(rule)
        check_actor_sent(asked.actor_token, rule)
        subject = await self._subject(asked.subject_token, client, now)  # 2
        watch.proved(subject)
        parents: tuple[VerifiedToken, ...] = (subject.token,)
        if asked.actor_token is not None:  # 3
            parents = (subject.token, await self._actor(asked.actor_token, subject, client, now))
        check_profile(subject.token.profile, rule)  # 4
        actor = Actor(client.client_id, self.issuer)  # 5
        check_not_self(actor, subject.parties)
        check_may_act(subject.token.claims, actor, required=client.require_may_act)  # 6
        scopes = narrow_scope(asked.scopes, rule, subject.scopes)  # 7
        parties = extend_chain(subject.parties, actor, min(rule.max_depth, client.max_depth))  # 8
        limits = (rule.max_lifetime, client.max_lifetime, asked.requested_expires_in)
        grant = Grant(
            issuer=self.issuer,
            parties=parties,
            client_id=client.client_id,
            audience=rule.aud,
            scopes=scopes,
            issued_at=int(now),
            lifetime=lifetime(limits, parents, now=int(now)),  # 9
            jti=random_id(),
            txn=subject.token.txn or random_id(),
            profile=rule.profile,
            sub_id=subject.sub_id,
        )
        proposal = Proposal(grant, rule, subject, actor_token=asked.actor_token is not None)
        grant = await self._permitted(proposal, watch)  # 10
        watch.granted(grant)
        return self._answer(grant, subject) | {"issued_token_type": oauth.TOKEN_TYPE_ACCESS_TOKEN}  # 11

    async def _client_credentials(self, client: Client, form: Form, watch: Watch) -> dict[str, Any]:
        """A token of the client's own (RFC 6749 §4.4), with no user behind it.

        Without a target it is for this service, where it serves as actor token and holds no scope; policy has no say
        in that, because whatever it will be used for is asked about. For an API the client needs a rule that says
        ``direct``, and policy is asked with the client as subject.
        """
        targets, requested = read_targets(form), read_scopes(form)
        watch.wanted(targets, requested)
        if targets <= {self.issuer}:
            if requested:
                raise InvalidScope("a token for this service itself holds no scope")
            grant = self._own_grant(client, self.issuer, (), client.max_lifetime)
        else:
            rule = check_direct(client, targets)
            watch.ruled(rule)
            scopes = direct_scope(requested, rule)
            limits = (rule.max_lifetime, client.max_lifetime, read_lifetime(form))
            grant = self._own_grant(client, rule.aud, scopes, min(filter(None, limits)))
            grant = await self._permitted(Proposal(grant, rule), watch)
        watch.granted(grant)
        return self._answer(grant)

    def _own_grant(self, client: Client, audience: str, scopes: tuple[str, ...], seconds: int) -> Grant:
        return Grant(
            issuer=self.issuer,
            parties=Parties(Actor(client.client_id, self.issuer)),
            client_id=client.client_id,
            audience=audience,
            scopes=scopes,
            issued_at=int(self._clock.now()),
            lifetime=seconds,
            jti=random_id(),
        )

    async def _permitted(self, proposal: Proposal, watch: Watch) -> Grant:
        return within(proposal.grant, await self.policy.terms(proposal, watch))

    def _answer(self, grant: Grant, subject: Subject | None = None) -> dict[str, Any]:
        token = sign(access_token_claims(grant, subject.token.claims if subject else None), self.keys.signing_key)
        answer = {"access_token": token.reveal(), "token_type": "Bearer", "expires_in": grant.lifetime}
        return answer | ({"scope": oauth.format_scope(grant.scopes)} if grant.scopes else {})

    async def _subject(self, token: UnverifiedToken, client: Client, now: float) -> Subject:
        with _refusals_of("subject_token"):
            subject = await self._subjects.read(token, client.accepted_audiences, now=now)
            if not client.takes_bound:
                check_bearer(subject.token, "subject_token")
            self._check_revoked("subject_token", subject.token, subject.parties.principal.sub)
        return subject.signed_in_through(client.own_clients)

    async def _actor(self, token: UnverifiedToken, subject: Subject, client: Client, now: float) -> VerifiedToken:
        with _refusals_of("actor_token"):
            actor = await self._actors.verify(token, Expectation(frozenset({self.issuer})), now=now)
            check_bearer(actor, "actor_token")
            self._check_revoked("actor_token", actor)
        check_actor_token(actor, subject.token, client)
        return actor

    def _check_client(self, client: Client) -> None:
        try:
            revoked = self.revocations.is_actor_revoked(client.client_id)
        except KeysUnavailable as error:
            raise GrantUnavailable("no token can be issued now", detail=error.message) from error
        if revoked:
            raise UnauthorizedClient("this client has been revoked")

    def _check_revoked(self, parameter: str, token: VerifiedToken, principal: str = "") -> None:
        if self.revocations.is_revoked(token, principal):
            raise InvalidRequest(f"{parameter} is not acceptable: revoked")


@contextmanager
def _refusals_of(parameter: str) -> Iterator[None]:
    """Every fault of a token is ``invalid_request`` (RFC 8693 §2.2.2, MUST), never ``invalid_grant``."""
    try:
        yield
    except TokenInvalid as error:
        raise InvalidRequest(f"{parameter} is not acceptable: {error.code}", detail=error.message) from error
    except KeysUnavailable as error:
        raise GrantUnavailable(f"{parameter} cannot be verified now", detail=error.message) from error


def random_id() -> str:
    """128 random bits, for ``jti`` and ``txn``."""
    return secrets.token_urlsafe(16)
