"""Path: one record per request at the token endpoint: which token was issued to whom, or why none was.

It is written before the answer leaves. What it never holds is what no record holds (``remit.audit.event``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from ulid import ULID

from remit.audit import event
from remit.audit.event import Facts, Kind, Outcome
from remit.audit.seen import DecisionSeen
from remit.audit.store import Store
from remit.clock import Clock
from remit.errors import GrantError, GrantUnavailable
from remit.principal import Parties, Profile
from remit.tokens.verifier import VerifiedToken

_DOOR: Final = "token_endpoint"


class RuleSeen(Protocol):
    """What the trail sees of the rule that a token was issued by."""

    @property
    def aud(self) -> str:
        """The target's name."""
        ...

    @property
    def profile(self) -> Profile:
        """How its tokens say who acts for whom."""
        ...


class SubjectSeen(Protocol):
    """What the trail sees of a subject token: its claims, not its text."""

    @property
    def token(self) -> VerifiedToken:
        """The token."""
        ...

    @property
    def parties(self) -> Parties:
        """On whose behalf it was, and who acted."""
        ...

    @property
    def scopes(self) -> Sequence[str]:
        """What it holds."""
        ...


class GrantSeen(Protocol):
    """What the trail sees of what was granted."""

    @property
    def parties(self) -> Parties:
        """On whose behalf, and who acts."""
        ...

    @property
    def audience(self) -> str:
        """For which API."""
        ...

    @property
    def scopes(self) -> Sequence[str]:
        """With which scopes."""
        ...

    @property
    def expires_at(self) -> int:
        """Seconds since the epoch."""
        ...

    @property
    def jti(self) -> str:
        """The token's id."""
        ...

    @property
    def txn(self) -> str:
        """The transaction it belongs to."""
        ...

    @property
    def profile(self) -> Profile:
        """How the token says who acts for whom."""
        ...


class Issuance:
    """What becomes known of one token request of the authenticated client ``client_id``."""

    def __init__(self, store: Store, clock: Clock, client_id: str, auth_method: str) -> None:
        self._store = store
        self._clock = clock
        self._client_id = client_id
        self._parent_jti = ""
        self._grant: Facts = {}
        self._facts: Facts = {
            "door": _DOOR,
            "client": {"client_id": event.text(client_id), "auth_method": event.text(auth_method)},
            "grant": self._grant,
        }

    def asked(self, grant_type: str) -> None:
        """Which grant."""
        self._grant["type"] = event.text(grant_type.rpartition(":")[2])

    def wanted(self, targets: frozenset[str], scopes: tuple[str, ...]) -> None:
        """For which target and with which scopes, as it was asked."""
        self._facts["requested"] = {"targets": event.texts(sorted(targets)), "scopes": event.texts(scopes)}

    def ruled(self, rule: RuleSeen) -> None:
        """By which rule."""
        self._grant["rule"] = event.text(f"{self._client_id}/{rule.aud}")
        self._grant["profile"] = rule.profile.value

    def proved(self, subject: SubjectSeen) -> None:
        """On whose behalf."""
        token, parties = subject.token, subject.parties
        self._parent_jti = token.jti
        self._facts["principal"] = {
            "subject": event.text(parties.principal.sub),
            "issuer": event.text(parties.principal.iss),
            "client_id": event.text(token.client_id),
            "scopes": event.texts(subject.scopes),
            "chain": event.of_chain(parties.chain),
            "jti": event.text(token.jti),
            "txn": event.text(token.txn),
        }

    def decided(self, decision: DecisionSeen) -> None:
        """What policy said."""
        self._facts["decision"] = event.of_decision(decision)

    def granted(self, grant: GrantSeen) -> None:
        """What will be issued; a token of the client's own is on its own behalf."""
        principal = grant.parties.principal
        self._facts.setdefault("principal", {"subject": event.text(principal.sub), "issuer": event.text(principal.iss)})
        self._facts["exchange"] = {
            "jti": event.text(grant.jti),
            "parent_jti": event.text(self._parent_jti),
            "txn": event.text(grant.txn),
            "subject": event.text(principal.sub),
            "audience": event.text(grant.audience),
            "scopes": event.texts(grant.scopes),
            "exp": grant.expires_at,
            "chain": event.of_chain(grant.parties.chain),
            "kind": self._kind(grant),
        }

    def _kind(self, grant: GrantSeen) -> str:
        """Somebody acts for another; or a client has a token of its own; or of the person who signed in through it."""
        if grant.parties.chain:
            return "delegated"
        return "direct" if grant.parties.principal.sub == self._client_id else "sign_in"

    async def issued(self) -> None:
        """Write that the token was issued. Durable on return; raises ``AuditError``."""
        await self._append(Kind.ISSUED, {"outcome": Outcome.SUCCESS.value})

    async def refused(self, error: GrantError) -> None:
        """Write why none was. Durable on return; raises ``AuditError``."""
        self._facts.pop("exchange", None)
        outcome = Outcome.FAILURE if isinstance(error, GrantUnavailable) else Outcome.DENIED
        said = f"{error.message} ({error.detail})" if error.detail else error.message
        await self._append(
            Kind.REFUSED, {"outcome": outcome.value, "error": {"code": error.code, "detail": event.text(said)}}
        )

    async def _append(self, kind: Kind, ending: Facts) -> None:
        now = self._clock.now()
        record = {
            **self._facts,
            **ending,
            "call_id": str(ULID.from_timestamp(now)),
            "kind": kind.value,
            "time_ms": int(now * 1000),
        }
        await self._store.append(record)
