"""Rule: what another provider says of a person → the person, and how they signed in there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.authorization.person import Person, SignIn
from remit.errors import ClaimInvalid
from remit.tokens.checks import MAX_NAME_BYTES, read_name, read_seconds
from remit.tokens.verified import VerifiedToken

_MAX_LIST: Final = 256


@dataclass(frozen=True, slots=True)
class PersonClaims:
    """Where a provider says what of a person, and what its people may give to clients.

    ``scopes``: all of them; ``scopes_by_group``: members of a group, besides.
    """

    subject: str = "sub"
    name: str = "name"
    groups: str = "groups"
    roles: str = "roles"
    scopes: tuple[str, ...] = ()
    scopes_by_group: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


def read_sign_in(token: VerifiedToken, names: PersonClaims) -> SignIn:
    """Whom a token is about, known by its issuer, and how they signed in. Its signature and purpose were checked.

    Raises ``ClaimInvalid`` where it does not say who it is about. What only informs counts as not said where it is
    malformed; a sign-in whose time is not said has the time 0.
    """
    claims = token.claims
    subject = read_name(claims, names.subject)
    if not subject:
        raise ClaimInvalid(f"claim {names.subject} is missing")
    if names.subject == "email" and claims.get("email_verified", True) is not True:
        raise ClaimInvalid("claim email is not verified by its issuer")
    groups = _texts(claims.get(names.groups))
    by_group = [scope for group in groups for scope in names.scopes_by_group.get(group, ())]
    person = Person(
        sub=subject,
        issuer=token.issuer,
        name=_text(claims.get(names.name)) or _text(claims.get("email")),
        groups=groups,
        roles=_texts(claims.get(names.roles)),
        scopes=tuple(dict.fromkeys((*names.scopes, *by_group))),
    )
    auth_time = int(read_seconds(claims, "auth_time") or 0)
    return SignIn(person, auth_time, _texts(claims.get("amr")), _text(claims.get("acr")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_NAME_BYTES and value.isprintable() else ""


def _texts(value: Any) -> tuple[str, ...]:
    """A list, or one text. Too long a list counts as not said: a cut list could hide a group."""
    values: Iterable[Any] = [value] if isinstance(value, str) else value if isinstance(value, list) else ()
    texts = tuple(_text(each) for each in values)
    return texts if len(texts) <= _MAX_LIST and all(texts) else ()
