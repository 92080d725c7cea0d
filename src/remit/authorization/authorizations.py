"""Path: what people gave to clients, and the tokens of it.

Every token of an authorization is issued here, whatever grant it is asked for by: so in one place the person is looked
up as they are now, what was revoked counts, and no token lives longer than its authorization.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from remit import oauth
from remit.authorization.authorization import Authorization, AuthorizationRequest
from remit.authorization.client import SignInClient
from remit.authorization.file import AuthorizationsFile
from remit.authorization.minting import access_claims, access_grant
from remit.authorization.person import People, Person, SignIn
from remit.authorization.revoking import Ending
from remit.authorization.rows import (
    authorizations_of,
    delete_authorization,
    extend_authorization,
    find_authorization,
    insert_authorization,
    insert_code,
)
from remit.clock import Clock
from remit.credential import Credential
from remit.errors import GrantUnavailable, InvalidGrant, KeysUnavailable
from remit.principal import Assurance
from remit.sts.grant import SecurityTokenService, random_id
from remit.sts.minting import Grant, sign
from remit.tokens.verified import VerifiedToken

#: Seconds a code is good for (RFC 6749 §4.1.2 recommends at most ten minutes).
CODE_SECONDS: Final = 60
_MAX_CODES: Final = 100_000


class UnknownGrant(InvalidGrant):
    """Nothing that was ever issued, or nothing that is remembered: anybody can make that up."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds: of an access token, of a refresh token that nobody uses, and of an authorization whatever is done."""

    access: int = 600
    idle: int = 14 * 86_400
    absolute: int = 90 * 86_400


@dataclass(frozen=True, slots=True)
class Issued:
    """What was granted, and the answer that says so (RFC 6749 §5.1), which has the tokens in it.

    ``undo``: what to do where the answer cannot leave, so that the client can ask again.
    """

    grant: Grant
    document: Mapping[str, Any] = field(repr=False)
    undo: Callable[[], Awaitable[object]] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token: 128 random bits that name its family, and 256 that prove it. The file has only digests.

    Whoever shows the family with anything else than its present token shows one that was used before.
    """

    text: str = field(repr=False)

    @classmethod
    def fresh(cls, family: str = "") -> RefreshToken:
        """A new one; ``family``: the text of one whose place it takes."""
        return cls((family[:22] or secrets.token_urlsafe(16)) + secrets.token_urlsafe(32))

    @property
    def family(self) -> bytes:
        """SHA-256 of what all tokens of the family begin with."""
        return hashlib.sha256(self.text[:22].encode()).digest()

    @property
    def digest(self) -> bytes:
        """SHA-256 of the token."""
        return hashlib.sha256(self.text.encode()).digest()


class Authorizations:
    """Authorizations in ``file``, with tokens signed by ``sts``. All methods raise ``StateInvalid``."""

    def __init__(
        self,
        sts: SecurityTokenService,
        file: AuthorizationsFile,
        people: People,
        clock: Clock,
        lifetimes: Lifetimes,
        ending: Ending,
    ) -> None:
        self.sts = sts
        self.file = file
        self.clock = clock
        self.ending = ending
        self._people = people
        self._lifetimes = lifetimes

    async def grant_code(
        self, request: AuthorizationRequest, client: SignInClient, sign_in: SignIn, scopes: tuple[str, ...]
    ) -> str:
        """A code for what a person gave ``client``: good once, for a minute. ``request`` was checked."""
        code = secrets.token_urlsafe(32)
        authorization = self.draft(client, sign_in, request.audience, scopes)

        def write(connection: sqlite3.Connection, now: int) -> None:
            (waiting,) = connection.execute("SELECT count(*) FROM codes WHERE used = 0").fetchone()
            if waiting >= _MAX_CODES:
                raise GrantUnavailable("too many codes wait to be used, try again later")
            insert_code(connection, digest_of(code), request, authorization, now + CODE_SECONDS)

        await self.file.run(write)
        return code

    async def start(
        self,
        client: SignInClient,
        sign_in: SignIn,
        audience: str,
        scopes: tuple[str, ...],
        *,
        assurance: Assurance | None = None,
        given_at: int | None = None,
    ) -> Authorization:
        """A new authorization, in force from now on. ``assurance``: that of the client, where it is not its own.

        ``given_at``: when the person gave it, where that is not now.
        """
        authorization = self.draft(client, sign_in, audience, scopes, assurance=assurance)
        if given_at is not None:
            authorization = replace(authorization, granted_at=given_at)
        until = int(self.clock.now()) + self._lifetimes.access
        await self.file.run(lambda connection, _: insert_authorization(connection, authorization, until))
        return authorization

    def draft(
        self,
        client: SignInClient,
        sign_in: SignIn,
        audience: str,
        scopes: tuple[str, ...],
        *,
        assurance: Assurance | None = None,
    ) -> Authorization:
        """An authorization that is not in force yet, of no scope that the client may not have."""
        now = int(self.clock.now())
        return Authorization(
            id=random_id(),
            sign_in=sign_in,
            client_id=client.client_id,
            client_name=client.name,
            assurance=assurance or client.assurance,
            audience=audience,
            scopes=tuple(each for each in scopes if not client.scopes or each in client.scopes),
            granted_at=now,
            expires_at=now + self._lifetimes.absolute,
            txn=random_id(),
        )

    async def issue(
        self, authorization: Authorization, *, scopes: tuple[str, ...], thumbprint: str = "", refresh: bool
    ) -> Issued:
        """Tokens of an authorization that is in force: these of its scopes, as far as the person still has them.

        ``thumbprint``: the key that the access token is bound to, and the refresh token of a public client.
        Raises ``InvalidGrant`` where nothing of it is left, and ``GrantUnavailable``.
        """
        prepared = self.prepare(authorization, scopes, thumbprint)
        token = RefreshToken.fresh() if refresh else None

        def write(connection: sqlite3.Connection, now: int) -> bool:
            return self.keep(connection, authorization, token, thumbprint, now)

        if not await self.file.run(write):
            raise InvalidGrant("what was given has been taken back")
        return self.signed(prepared, token)

    def prepare(self, authorization: Authorization, scopes: tuple[str, ...], thumbprint: str) -> Prepared:
        """What the access token will say; nothing is written or signed. Raises as ``issue``."""
        person = self._person(authorization)
        self._check_not_revoked(authorization)
        given = tuple(each for each in scopes if each in authorization.scopes and each in person.scopes)
        if scopes and not given:
            raise InvalidGrant("nothing is left of what was given")
        now = self.clock.now()
        if now >= authorization.expires_at:
            raise InvalidGrant("what was given has expired")
        grant = access_grant(authorization, self.sts.issuer, given, now=now, lifetime=self._lifetimes.access)
        return Prepared(grant, access_claims(authorization, grant, person, thumbprint))

    def keep(
        self,
        connection: sqlite3.Connection,
        authorization: Authorization,
        token: RefreshToken | None,
        thumbprint: str,
        now: int,
    ) -> bool:
        """Write down the first refresh token, and for how long the authorization counts now; whether it does at all."""
        if not extend_authorization(connection, authorization.id, self.until(authorization, token, now)):
            return False
        if token is not None:
            insert = "INSERT INTO refresh_tokens (family, authorization_id, digest, thumbprint) VALUES (?, ?, ?, ?)"
            connection.execute(insert, (token.family, authorization.id, token.digest, thumbprint))
        return True

    def until(self, authorization: Authorization, token: RefreshToken | None, now: int) -> int:
        """When the last token of it will have expired."""
        return min(now + (self._lifetimes.idle if token else self._lifetimes.access), authorization.expires_at)

    def signed(self, prepared: Prepared, token: RefreshToken | None) -> Issued:
        """The answer."""
        grant, claims = prepared.grant, prepared.claims
        access: Credential = sign(claims, self.sts.keys.signing_key)
        document = {
            "access_token": access.reveal(),
            "token_type": "DPoP" if "cnf" in claims else "Bearer",
            "expires_in": grant.lifetime,
            "scope": oauth.format_scope(grant.scopes),
            "refresh_token": token.text if token else "",
        }
        return Issued(grant, {name: value for name, value in document.items() if value})

    async def listed(self, sub: str, issuer: str) -> list[Authorization]:
        """What a person has given and still counts, newest first. ``issuer``: as in ``Person``."""
        return await self.file.run(lambda connection, now: authorizations_of(connection, sub, issuer, now))

    async def find(self, authorization_id: str) -> Authorization | None:
        """One that still counts."""
        return await self.file.run(lambda connection, now: find_authorization(connection, authorization_id, now))

    async def revoke(self, authorization_id: str) -> None:
        """End an authorization and every token of it. Whose it is has been checked; the caller tells the trail."""
        ended = await self.file.run(lambda connection, _: delete_authorization(connection, authorization_id))
        if ended is not None:
            await self.ending.revoke(ended, by=f"user:{ended.sign_in.person.sub}")

    def _person(self, authorization: Authorization) -> Person:
        """As they are now. Whom another provider knows stays as they were at the sign-in, until the authorization ends."""
        person = authorization.sign_in.person
        if person.issuer:
            return person
        known = self._people.find(person.sub)
        if known is None:
            raise InvalidGrant("the person who gave this is not known here any more")
        return known

    def _check_not_revoked(self, authorization: Authorization) -> None:
        """Whatever revokes a token that was issued with the authorization ends the authorization, too."""
        try:
            if self.sts.revocations.is_revoked(_as_token(authorization, self.sts.issuer)):
                raise InvalidGrant("what was given has been revoked")
        except KeysUnavailable as error:
            raise GrantUnavailable("no token can be issued now", detail=error.message) from error


@dataclass(frozen=True, slots=True)
class Prepared:
    """An access token before it is signed."""

    grant: Grant
    claims: Mapping[str, Any]


def digest_of(text: str) -> bytes:
    """SHA-256 of a code."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _as_token(authorization: Authorization, issuer: str) -> VerifiedToken:
    """A token as old as what proves the person: whoever signed in here before they were logged out everywhere has to
    sign in again. When another provider says they signed in is not for this service to end.
    """
    sign_in = authorization.sign_in
    since = authorization.granted_at if sign_in.person.issuer else min(authorization.granted_at, sign_in.auth_time)
    grant = access_grant(authorization, issuer, (), now=since, lifetime=1)
    return VerifiedToken(Credential(""), {}, access_claims(authorization, grant, sign_in.person))
