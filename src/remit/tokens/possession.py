"""Whether a token and the proof of possession that came with it belong together (RFC 7800, RFC 9449 §6) (rule)."""

from __future__ import annotations

import hmac

from remit.credential import ConfirmedToken, UnverifiedToken
from remit.errors import ClaimInvalid, TokenUnbound
from remit.tokens.verified import VerifiedToken


def check_possession(token: UnverifiedToken, verified: VerifiedToken) -> None:
    """Raise unless ``verified`` is bound to the very key that was proven with ``token``, or neither is the case.

    So every reader that knows nothing of proofs refuses bound tokens: to a thief they are worth nothing. A proof counts
    from here on as used.

    Raises ``TokenUnbound``; ``ClaimInvalid`` for a ``cnf`` of another kind (a certificate, say); and what the proof's
    ``spend`` raises.
    """
    if "cnf" not in verified.claims:
        if isinstance(token, ConfirmedToken):
            raise TokenUnbound("the token came with a proof of possession, but is not bound to a key")
        return
    confirmation = verified.claims["cnf"]
    bound_to = confirmation.get("jkt") if isinstance(confirmation, dict) and len(confirmation) == 1 else None
    if not isinstance(bound_to, str):
        raise ClaimInvalid("claim cnf binds the token in a way that is not known here")
    if not isinstance(token, ConfirmedToken):
        raise TokenUnbound(
            "the token is bound to a key and came without a proof of it",
            hint="send it over HTTP as `Authorization: DPoP …` with a DPoP proof; elsewhere use a bearer token",
        )
    if not hmac.compare_digest(bound_to.encode(), token.thumbprint.encode()):
        raise TokenUnbound("the token is bound to another key than the one that was proven")
    token.spend()
