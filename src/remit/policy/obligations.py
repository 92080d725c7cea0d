"""Rule: what a permit demands. Obligations only ever restrict, and one that is not understood denies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Protocol, TypeVar

from remit.errors import PolicyFailed

NARROW_SCOPES: Final = "narrow_scopes"
LIMIT_LIFETIME: Final = "limit_lifetime"
#: What policy is told it may demand.
SUPPORTED: Final = (LIMIT_LIFETIME, NARROW_SCOPES)

_MAX_SECONDS: Final = 86_400
_MAX_SCOPES: Final = 100


@dataclass(frozen=True, slots=True)
class Obligation:
    """One demand: its type, and what that type needs to know."""

    id: str
    type: str
    properties: Mapping[str, Any]


class Narrowable(Protocol):
    """What a call wants of the token service: a data class with scopes, and a lifetime in seconds."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes wanted."""
        ...

    @property
    def max_lifetime(self) -> int:
        """The longest lifetime wanted."""
        ...


Wanted = TypeVar("Wanted", bound=Narrowable)


def read_obligation(item: Any) -> Obligation:
    """An engine's answer → an obligation that can be enforced. Raises ``ValueError`` for any other."""
    match item:
        case {"id": str(name), "type": str(kind), "properties": dict(properties)} if item.keys() == {
            "id",
            "type",
            "properties",
        }:
            obligation = Obligation(name[:100], kind[:100], properties)
        case _:
            raise ValueError("an obligation is not of the form {id, type, properties}")
    _check(obligation)
    return obligation


def narrowed(wanted: Wanted, obligations: Iterable[Obligation]) -> Wanted:
    """``wanted`` within what the obligations allow: common scopes, shortest lifetime.

    Raises ``PolicyFailed`` for an obligation that is not understood, and where no scope is left of some: a token
    request without scope asks many servers for all of them (RFC 6749 §3.3).
    """
    scopes, lifetime = wanted.scopes, wanted.max_lifetime
    for obligation in obligations:
        try:
            _check(obligation)
        except ValueError as error:
            raise _failed(str(error)) from error
        if obligation.type == NARROW_SCOPES:
            allowed = obligation.properties["scopes"]
            scopes = tuple(scope for scope in scopes if scope in allowed)
        else:
            lifetime = min(lifetime, obligation.properties["seconds"])
    if wanted.scopes and not scopes:
        raise _failed("narrow_scopes leaves none of the scopes that the tool needs")
    return replace(wanted, scopes=scopes, max_lifetime=lifetime)


def _check(obligation: Obligation) -> None:
    match obligation.type, obligation.properties:
        case "narrow_scopes", {"scopes": list(scopes), **rest} if not rest and len(scopes) <= _MAX_SCOPES:
            if not all(isinstance(scope, str) for scope in scopes):
                raise ValueError("narrow_scopes: a scope is not text")
        case "limit_lifetime", {"seconds": int(seconds), **rest} if not rest and not isinstance(seconds, bool):
            if not 0 < seconds <= _MAX_SECONDS:
                raise ValueError(f"limit_lifetime: seconds is not between 1 and {_MAX_SECONDS}")
        case kind, _ if kind in SUPPORTED:
            raise ValueError(f"{kind}: its properties are not what they should be")
        case _:
            raise ValueError(f"unknown obligation {obligation.type!r}")


def _failed(detail: str) -> PolicyFailed:
    return PolicyFailed(
        "policy demands what cannot be done, so the call is refused",
        detail=detail,
        hint="mend the policy's obligations",
    )
