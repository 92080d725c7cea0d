"""Noun: how a token service's tokens differ from what the RFCs say, as the operator declared it.

Nothing is found out by trying, and no product is known by name: what is not declared is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from remit.oauth import TYP_ACCESS_TOKEN
from remit.tokens.verifier import RFC9068_CLAIMS, Expectation


@dataclass(frozen=True, slots=True)
class Declared:
    """The defaults are the words of RFC 8693 and RFC 9068.

    ``typ``: the ``typ`` headers its tokens may have, lower case. ``client_claim``: the claim that names the client.
    ``act_required`` off: a token may name no actor, which makes it impersonation (RFC 8693 §1.1); one that is named
    must be the right one all the same. ``aud_required`` off: a token may name no audience, and is then good anywhere.
    ``within_subject`` off: a token may outlive the subject token.
    """

    typ: frozenset[str] = frozenset({TYP_ACCESS_TOKEN})
    client_claim: str = "client_id"
    act_required: bool = True
    aud_required: bool = True
    within_subject: bool = True

    def expectation(self, audiences: frozenset[str], *, leeway: int = 30) -> Expectation:
        """What a token of this service for ``audiences`` must be; ``leeway`` in seconds."""
        required = RFC9068_CLAIMS - {"client_id"} | {self.client_claim}
        if self.aud_required:
            return Expectation(audiences, self.typ, required, leeway)
        return Expectation(audiences | {""}, self.typ, required - {"aud"}, leeway)


#: A service that does as the RFCs say.
NOTHING_DECLARED: Final = Declared()
