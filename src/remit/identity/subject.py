"""Path: a token as it came → the ``Caller`` it proves.

Issuers are pinned by configuration; each has its own audience list and its own names for groups and roles,
because identity providers agree on neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.errors import TokenMissing
from remit.principal import Assurance, Caller, Principal
from remit.tokens.possession import check_possession
from remit.tokens.verifier import Expectation, VerifiedToken, Verifier

_MAX_LIST = 256
_MAX_TEXT = 256


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Where an issuer puts what policy wants to know."""

    name: str = "name"
    groups: str = "groups"
    roles: str = "roles"


_DEFAULT_NAMES: Final = ClaimNames()


class SubjectIdentifier:
    """Verifies the caller's token and reads the principal from it.

    ``expect`` holds this server's audiences (RFC 9068 §4: a token for anybody else is refused).
    ``claim_names`` maps an issuer to its spelling; an issuer without an entry uses the defaults.
    ``check_revoked`` raises ``AuthenticationError`` leaves for a verified token that counts no more.
    ``token_service`` is the one issuer that is believed about other issuers' users (``sub_iss``): the embedded token
    service, which verified them itself. Without it alice of one issuer would be taken for alice of the other.
    """

    def __init__(
        self,
        verifier: Verifier,
        expect: Expectation,
        clock: Clock,
        claim_names: Mapping[str, ClaimNames] | None = None,
        check_revoked: Callable[[VerifiedToken], None] | None = None,
        *,
        token_service: str = "",
    ) -> None:
        self._verifier = verifier
        self._expect = expect
        self._clock = clock
        self._claim_names = dict(claim_names or {})
        self._check_revoked = check_revoked
        self._token_service = token_service

    async def identify(self, token: UnverifiedToken | None) -> Caller:
        """The caller that ``token`` proves. Raises ``AuthenticationError`` leaves.

        A token that is bound to a key needs a door that has checked a proof of it (``ConfirmedToken``).
        Does NOT decide whether the caller may do anything: that is policy's.
        """
        if token is None:
            raise TokenMissing(
                "no token was presented",
                hint="over HTTP send `Authorization: Bearer …`; on stdio set REMIT_SUBJECT_TOKEN_FILE or _COMMAND; "
                "with `remit call` name --as USER or --token-file FILE",
            )
        verified = await self._verifier.verify(token, self._expect, now=self._clock.now())
        if self._check_revoked is not None:
            self._check_revoked(verified)
        check_possession(token, verified)
        return Caller(self._principal(verified), verified.credential)

    def _principal(self, token: VerifiedToken) -> Principal:
        names = self._claim_names.get(token.issuer, _DEFAULT_NAMES)
        principal = principal_of(token, names, issuer=self._issuer_of_subject(token))
        # Said by the embedded service alone: another issuer's claim of this name would be its own business.
        if token.issuer == self._token_service and "client_assurance" in token.claims:
            return replace(principal, client_assurance=_assurance(token.claims["client_assurance"]))
        return principal

    def _issuer_of_subject(self, token: VerifiedToken) -> str:
        """Who knows the subject: whoever issued the token, but for what the token service exchanged."""
        proved_by = token.parties.principal.iss if token.issuer == self._token_service else ""
        return proved_by or token.issuer


def principal_of(token: VerifiedToken, names: ClaimNames = _DEFAULT_NAMES, *, issuer: str = "") -> Principal:
    """Whom a verified token proves, with what it says of them. ``issuer``: who knows them, else the token's own.

    Reads ``sub`` as the subject: of a ``workload`` token that is the current actor.
    """
    claims = token.claims
    return Principal(
        subject=token.subject,
        issuer=issuer or token.issuer,
        client_id=token.client_id,
        token_issuer=token.issuer,
        audience=token.audience,
        scopes=token.scopes,
        chain=token.chain,
        groups=_texts(claims.get(names.groups)),
        roles=_texts(claims.get(names.roles)),
        name=_text(claims.get(names.name)),
        acr=_text(claims.get("acr")),
        amr=_texts(claims.get("amr")),
        auth_time=_seconds(claims.get("auth_time")),
        expires_at=token.expires_at,
        jti=token.jti,
        txn=token.txn,
    )


def _assurance(value: Any) -> Assurance:
    """What cannot be read is worth the least."""
    return Assurance(value) if value in set(Assurance) else Assurance.SELF_ASSERTED


def _text(value: Any) -> str:
    """A claim that only informs: anything but a short printable string counts as not said."""
    return value if isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable() else ""


def _texts(value: Any) -> tuple[str, ...]:
    """A list claim, or one string. Too long a list counts as not said: a cut list could hide a group."""
    values: Iterable[Any] = [value] if isinstance(value, str) else value if isinstance(value, list) else ()
    texts = tuple(_text(item) for item in values)
    return texts if len(texts) <= _MAX_LIST and all(texts) else ()


def _seconds(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
