"""Request headers → ``Delegation`` (path)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from urllib.parse import parse_qsl

from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.errors import ClaimInvalid, SettingsInvalid, TokenMalformed, TokenMissing
from remit.principal import Profile
from remit.resource.delegation import Delegation
from remit.tokens.possession import check_possession
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer

Headers = Iterable[tuple[bytes, bytes]]


class ResourceServer:
    """Verifies the tokens of one API.

    ``audience`` is this API's name in ``aud``. A token must name an actor, which must be the client it was issued
    to; ``allow_direct`` accepts tokens of users who call for themselves, ``allow_foreign_actor`` those of issuers
    that name the actor by something else than its ``client_id``. ``profiles``: how a token may say who acts for
    whom, ``rfc8693`` or ``workload``; a token of any other is refused, and none is taken for the other.
    """

    def __init__(
        self,
        audience: str,
        issuers: Iterable[TrustedIssuer],
        clock: Clock,
        *,
        allow_direct: bool = False,
        allow_foreign_actor: bool = False,
        profiles: Collection[str] = ("rfc8693",),
    ) -> None:
        self._expect = Expectation(audiences=frozenset({audience}), profiles=_profiles(profiles))
        self._verifier = TokenVerifier(issuers)
        self._clock = clock
        self._allow_direct = allow_direct
        self._allow_foreign_actor = allow_foreign_actor

    async def authenticate(self, headers: Headers, query: bytes = b"") -> Delegation:
        """Verify the bearer token of a request (RFC 6750 §2.1, RFC 9068 §4, RFC 8693 §4.1).

        1. One ``Authorization`` header of scheme ``Bearer``, and no token in the query.
        2. The token is an access token of a trusted issuer, for this API, now (``TokenVerifier``), and a bearer token:
           one that is bound to a key is refused, since no proof of the key is read here.
        3. It is read in its own profile, which is one that is accepted here.
        4. It names an actor, and the actor is the client it was issued to.

        This does NOT decide whether subject or actor may do anything: see ``Delegation.require``.

        Raises ``TokenMissing``, a leaf of ``TokenInvalid``, or ``KeysUnavailable``.
        """
        token = bearer_token(headers, query)  # (1)
        verified = await self._verifier.verify(token, self._expect, now=self._clock.now())  # (2)
        check_possession(token, verified)
        delegation = Delegation.from_token(verified)  # (3)
        self._check_actor(delegation)  # (4)
        return delegation

    def _check_actor(self, delegation: Delegation) -> None:
        if not delegation.current_actor:
            if self._allow_direct:
                return
            raise ClaimInvalid("claim act is missing: a delegated token is needed")
        if delegation.current_actor != delegation.client_id and not self._allow_foreign_actor:
            raise ClaimInvalid("the current actor is not the client the token was issued to")


def _profiles(names: Collection[str]) -> frozenset[Profile]:
    """``{"rfc8693", "workload"}`` as values. Raises ``SettingsInvalid``."""
    try:
        return frozenset(Profile(name) for name in ({names} if isinstance(names, str) else names))
    except ValueError as error:
        raise SettingsInvalid(str(error), hint=f"choose of {', '.join(Profile)}") from error


def bearer_token(headers: Headers, query: bytes = b"") -> UnverifiedToken:
    """The token of ``Authorization: Bearer``; header names are lower case, as ASGI has them.

    Raises ``TokenMissing`` where there is none, ``TokenMalformed`` where there are several or one in the query
    (RFC 6750 §2: "Clients MUST NOT use more than one method"; RFC 9700 §4.3.2 forbids the query).
    """
    # As text: of bytes, parse_qsl refuses what is not ASCII once it is decoded.
    if query and any(name == "access_token" for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)):
        raise TokenMalformed("a token in the query is not accepted")
    values: Sequence[bytes] = [value for name, value in headers if name == b"authorization"]
    if len(values) > 1:
        raise TokenMalformed("more than one authorization header")
    scheme, _, token = values[0].partition(b" ") if values else (b"", b"", b"")
    if scheme.lower() != b"bearer":
        raise TokenMissing("no bearer token was sent")
    # Latin-1 keeps every byte; what is not ASCII is refused by the strict parser.
    return UnverifiedToken(token.strip(b" ").decode("latin-1"))
