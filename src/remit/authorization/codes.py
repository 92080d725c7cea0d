"""Path: an authorization code → tokens (RFC 6749 §4.1.3, RFC 7636 §4.6).

A code has one chance: whoever brings it wrongly has used it up. One that is brought again, by anybody, has leaked, so
all that came of it ends (RFC 6749 §4.1.2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import sqlite3
from typing import Final

from remit.authorization.authorizations import (
    CODE_SECONDS,
    Authorizations,
    Issued,
    Prepared,
    RefreshToken,
    UnknownGrant,
    digest_of,
)
from remit.authorization.client import SignInClient
from remit.authorization.rows import CodeRow, delete_authorization, find_code, insert_authorization, use_code
from remit.errors import GrantError, GrantUnavailable, InvalidDpopProof, InvalidGrant, InvalidRequest, InvalidTarget
from remit.oauth import GRANT_REFRESH_TOKEN
from remit.sts.form import Form, single
from remit.sts.parameters import read_targets

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1


class Codes:
    """The authorization code grant."""

    def __init__(self, authorizations: Authorizations) -> None:
        self._authorizations = authorizations
        self._file = authorizations.file

    async def grant(self, client: SignInClient, form: Form, thumbprint: str) -> Issued:
        """Redeem a code. ``client`` has been identified; ``thumbprint``: of the key it proved, or ``""``."""
        text = single(form, "code")
        if not text:
            raise InvalidRequest("code is missing")
        digest = digest_of(text)
        code = await self._file.run(lambda connection, now: find_code(connection, digest, now))
        if code is None:
            raise UnknownGrant("the code is not known here or has expired")
        if code.used:
            await self._leaked(code)
        try:
            prepared = self._checked(code, client, form, thumbprint)
        except GrantUnavailable:
            raise
        except GrantError:
            await self._spoil(digest, code)
            raise
        return await self._redeem(digest, code, client, prepared, thumbprint)

    def _checked(self, code: CodeRow, client: SignInClient, form: Form, thumbprint: str) -> Prepared:
        if code.authorization.client_id != client.client_id:
            raise InvalidGrant("the code was issued to another client")
        if single(form, "redirect_uri") != code.redirect_uri:
            raise InvalidGrant("redirect_uri is not the one that the code was sent to")
        check_verifier(single(form, "code_verifier"), code.code_challenge)
        if not read_targets(form) <= {code.authorization.audience}:
            raise InvalidTarget("the code is for another resource")
        if code.dpop_jkt and code.dpop_jkt != thumbprint:
            raise InvalidDpopProof("the code is bound to a key, and the request proves another or none")
        return self._authorizations.prepare(code.authorization, code.authorization.scopes, thumbprint)

    async def _redeem(
        self, digest: bytes, code: CodeRow, client: SignInClient, prepared: Prepared, thumbprint: str
    ) -> Issued:
        """Of all that bring the code at once, one gets here first."""
        authorization = code.authorization
        token = RefreshToken.fresh() if GRANT_REFRESH_TOKEN in client.grants else None

        def write(connection: sqlite3.Connection, now: int) -> bool:
            until = self._authorizations.until(authorization, token, now)
            # Remembered as long as anything of it may be refreshed.
            if not use_code(connection, digest, authorization.expires_at if token else until):
                return False
            insert_authorization(connection, authorization, until)
            return self._authorizations.keep(connection, authorization, token, thumbprint, now)

        if not await self._file.run(write):
            await self._leaked(code)
        return self._authorizations.signed(prepared, token)

    async def _spoil(self, digest: bytes, code: CodeRow) -> None:
        """Use the code up for nothing; it is remembered until it would have expired."""

        def write(connection: sqlite3.Connection, now: int) -> bool:
            return use_code(connection, digest, now + CODE_SECONDS)

        if not await self._file.run(write):
            await self._leaked(code)

    async def _leaked(self, code: CodeRow) -> None:
        """Raises ``InvalidGrant``, once nothing of the authorization counts any more."""
        authorization, ending = code.authorization, self._authorizations.ending
        await self._file.run(lambda connection, _: delete_authorization(connection, authorization.id))
        await ending.revoke(authorization, by=f"client:{authorization.client_id}")
        await ending.told("authorization_revoked", authorization, reason="a code was used twice")
        raise InvalidGrant("the code was used before, so all that came of it has been revoked")


def check_verifier(verifier: str, challenge: str) -> None:
    """PKCE, method S256 (RFC 7636 §4.6). Raises ``InvalidGrant``, and ``InvalidRequest`` where there is none."""
    if not verifier:
        raise InvalidRequest("code_verifier is missing")
    if not _VERIFIER.fullmatch(verifier):
        raise InvalidGrant("code_verifier is malformed")
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    if not hmac.compare_digest(made, challenge.encode()):
        raise InvalidGrant("code_verifier does not fit the code_challenge")
