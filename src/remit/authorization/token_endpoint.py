"""Path: a token request of a client that people sign in through, recorded before its answer leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from remit import oauth
from remit.authorization.authorizations import Authorizations, Issued, UnknownGrant
from remit.authorization.client import SignInClient, Source
from remit.authorization.client_authentication import SignInClients
from remit.authorization.codes import Codes
from remit.authorization.devices import Devices
from remit.authorization.refresh import Refreshing
from remit.errors import (
    AuditError,
    AuthorizationPending,
    GrantError,
    GrantUnavailable,
    InvalidDpopProof,
    InvalidRequest,
    KeysUnavailable,
    ProofInvalid,
    SlowDown,
    StateInvalid,
    UnauthorizedClient,
)
from remit.sts.endpoints import TOKEN_PATH
from remit.sts.form import Form, single
from remit.sts.parameters import read_scopes, read_targets
from remit.sts.recording import OpenRecord
from remit.tokens.dpop import DpopProofs, Proof

#: Answers one kind of token request of an identified client; the last argument is the thumbprint of the key that it
#: proved to hold (RFC 9449), or ``""``. Raises leaves of ``GrantError``.
GrantHandler = Callable[[SignInClient, Form, str], Awaitable[Issued]]


class SignInGrants:
    """The grants of an authorization server, each answer with a record in the trail.

    ``extra``: more grants, by grant type.
    """

    def __init__(
        self,
        clients: SignInClients,
        authorizations: Authorizations,
        proofs: DpopProofs,
        *,
        open_record: OpenRecord | None = None,
        extra: Mapping[str, GrantHandler] | None = None,
    ) -> None:
        self._clients = clients
        self._proofs = proofs
        self._clock = authorizations.clock
        self._url = authorizations.sts.issuer.rstrip("/") + TOKEN_PATH
        self._open_record = open_record
        self._grants: dict[str, GrantHandler] = {
            oauth.GRANT_AUTHORIZATION_CODE: Codes(authorizations).grant,
            oauth.GRANT_REFRESH_TOKEN: Refreshing(authorizations).grant,
            oauth.GRANT_DEVICE_CODE: Devices(authorizations).grant,
            **(extra or {}),
        }

    @property
    def grant_types(self) -> frozenset[str]:
        """What is answered here."""
        return frozenset(self._grants)

    async def answer(self, authorization: Sequence[str], form: Form, dpop: Sequence[str]) -> Mapping[str, Any]:
        """``authorization`` and ``dpop`` are the values of these headers; ``grant_type`` is one of ``grant_types``.

        Raises leaves of ``GrantError``; what cannot be recorded is not issued (``GrantUnavailable``).
        """
        try:
            client = await self._clients.authenticate(authorization, form)
            issued = await self._recorded(client, form, self._proof(dpop))
        except (AuditError, StateInvalid) as error:
            raise GrantUnavailable("no token can be issued now", detail=error.detail) from error
        return issued.document

    async def _recorded(self, client: SignInClient, form: Form, proof: Proof | None) -> Issued:
        grant_type, targets, scopes = single(form, "grant_type"), read_targets(form), read_scopes(form)
        if grant_type not in client.grants:
            raise UnauthorizedClient("this client may not use this grant")
        if self._open_record is None:
            return await self._grant(client, form, proof)
        record = self._open_record(client.client_id, auth_method(client, form))
        record.asked(grant_type)
        record.wanted(targets, scopes)
        try:
            issued = await self._grant(client, form, proof)
        except GrantError as error:
            if _is_worth_a_record(client, error):
                await record.refused(error)
            raise
        record.granted(issued.grant)
        try:
            await record.issued()
        except AuditError:
            await _undone(issued)
            raise
        return issued

    async def _grant(self, client: SignInClient, form: Form, proof: Proof | None) -> Issued:
        """A proof counts once, and is remembered only where it came with something that nobody can make up."""
        issued = await self._grants[single(form, "grant_type")](client, form, proof.thumbprint if proof else "")
        try:
            self._spend(proof)
        except GrantError:
            await _undone(issued)
            raise
        return issued

    def _spend(self, proof: Proof | None) -> None:
        if proof is not None:
            with _refused_proofs():
                self._proofs.spend(proof, now=self._clock.now())

    def _proof(self, dpop: Sequence[str]) -> Proof | None:
        """RFC 9449 §5. ``None`` where the client proves no key."""
        if not dpop:
            return None
        if len(dpop) > 1:
            raise InvalidDpopProof("more than one DPoP header is included")
        with _refused_proofs():
            return self._proofs.check(dpop[0], "POST", self._url, now=self._clock.now())


def auth_method(client: SignInClient, form: Form) -> str:
    """How the client of a request that came through proved itself (RFC 8414's names)."""
    if "client_secret" in form:
        return oauth.CLIENT_SECRET_POST
    return oauth.CLIENT_SECRET_BASIC if client.auth_method == oauth.CLIENT_SECRET_POST else client.auth_method


async def _undone(issued: Issued) -> None:
    """Let what was used up for an answer that cannot leave count again."""
    if issued.undo is not None:
        await issued.undo()


@contextmanager
def _refused_proofs() -> Iterator[None]:
    try:
        yield
    except ProofInvalid as error:
        raise InvalidDpopProof(error.message, detail=error.detail) from error
    except KeysUnavailable as error:
        raise GrantUnavailable(error.message, detail=error.detail) from error


def _is_worth_a_record(client: SignInClient, error: GrantError) -> bool:
    """Not where nothing has happened yet, nor where anybody could ask: a public client proves nothing of itself, and
    whoever likes can have a secret or a key of a client that the operator has not registered.
    """
    if isinstance(error, AuthorizationPending | SlowDown):
        return False
    anybody = client.is_public or client.source is not Source.SETTINGS
    return not (anybody and isinstance(error, UnknownGrant | InvalidRequest))
