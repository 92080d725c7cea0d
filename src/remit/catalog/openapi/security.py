"""What an operation's ``security`` says about the token (rule): a hint for the tool file, never a permission."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from remit.catalog.openapi.reading import Reading, Version
from remit.catalog.openapi.references import Dangling, Place

#: What is looked at of the alternatives of one operation, and of the schemes of one alternative.
MAX_ALTERNATIVES: Final = 20
_WITH_SCOPES: Final = frozenset({"oauth2", "openIdConnect"})
#: Who a token is for, in the only widespread extension that says it: texts with commas between them.
_AUDIENCES: Final = "x-google-audiences"


@dataclass(frozen=True, slots=True)
class Needed:
    """The scopes a token must have, and whom it is for."""

    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()


def needed_for(operation: Place, version: Version, reading: Reading) -> Needed:
    """The first alternative that names scopes, else the first that names an audience."""
    own = "security" in operation.mapping
    place = operation if own else reading.references.root
    alternatives = [_needed(item, version, reading) for item in islice(place.at("security").items(), MAX_ALTERNATIVES)]
    scoped = [needed for needed in alternatives if needed.scopes]
    if len(set(scoped)) > 1:
        reading.notebook.add(place.at("security"), "several alternatives name scopes: the first is taken")
    named = scoped or [needed for needed in alternatives if needed.audiences]
    return named[0] if named else Needed()


def _needed(alternative: Place, version: Version, reading: Reading) -> Needed:
    scopes: dict[str, None] = {}
    audiences: dict[str, None] = {}
    for name in islice(alternative.mapping, MAX_ALTERNATIVES):
        scheme = _scheme(name, version, reading)
        if scheme.text("type") in _WITH_SCOPES:
            scopes |= dict.fromkeys(alternative.texts(name))
        audiences |= dict.fromkeys(filter(None, map(str.strip, scheme.text(_AUDIENCES).split(","))))
    return Needed(tuple(scopes), tuple(audiences))


def _scheme(name: str, version: Version, reading: Reading) -> Place:
    """The security scheme of that name, or at that address (3.2); empty where there is none."""
    place = version.schemes.at(name)
    try:
        return reading.follow(place) if place.value is not None else reading.references.resolve(place.file, name)
    except Dangling:
        reading.notebook.add(version.schemes, f"there is no security scheme {name[:60]}")
        return Place(place.file, place.pointer, {})
