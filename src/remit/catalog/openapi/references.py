"""Where things stand in a description's files, and what a reference points at (rule).

Only who knows that a reference may stand at a place asks to follow it: nothing here searches for ``$ref``.
Files are reached through a mapping from their name below the description's folder; a name that leads out of the
folder and an address on a network are never asked for.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urljoin

MAX_HOPS: Final = 50
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
#: Where schemas with a name of their own stand, in any version.
_NAMED_SCHEMAS: Final = (("components", "schemas"), ("definitions",), ("$defs",))
_IDENTIFIERS: Final = (("$id", ""), ("$anchor", "#"), ("$dynamicAnchor", "#"))


class Dangling(Exception):
    """A reference that leads nowhere, or where it may not; ``reason`` is for the operator."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FileRefused(KeyError):
    """What a mapping of files raises for a file that is not had; ``reason`` completes "the file …"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Place:
    """A value and where it stands; references in it count from ``file``. A place that is not there has ``None``."""

    file: str
    pointer: str
    value: Any

    @property
    def where(self) -> str:
        """``file#/json/pointer``."""
        return f"{self.file}#{self.pointer}"

    @property
    def mapping(self) -> dict[str, Any]:
        """The value, or an empty mapping where it is none."""
        return self.value if isinstance(self.value, dict) else {}

    def at(self, *steps: str | int) -> Place:
        """The place below."""
        pointer, value = self.pointer, self.value
        for step in steps:
            pointer += f"/{escape(step) if isinstance(step, str) else step}"
            value = _member(value, step)
        return Place(self.file, pointer, value)

    def members(self) -> Iterator[tuple[str, Place]]:
        """The members of a mapping, in order; none where it is no mapping."""
        for key in self.mapping:
            yield key, self.at(key)

    def items(self) -> Iterator[Place]:
        """The items of a list; none where it is no list."""
        for index in range(len(self.value) if isinstance(self.value, list) else 0):
            yield self.at(index)

    def text(self, key: str) -> str:
        """The member's text, stripped; empty where it has none."""
        value = self.mapping.get(key)
        return value.strip() if isinstance(value, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of the list that the member is, each once."""
        value = self.mapping.get(key)
        return tuple(dict.fromkeys(item for item in value if isinstance(item, str))) if isinstance(value, list) else ()

    def flag(self, key: str) -> bool:
        """Whether the member is ``true``."""
        return self.mapping.get(key) is True


def escape(step: str) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return step.replace("~", "~0").replace("/", "~1")


def _unescape(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _member(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(str(step))
    if isinstance(value, list) and str(step).isdecimal() and len(str(step)) < 9:
        index = int(step)
        return value[index] if index < len(value) else None
    return None


class References:
    """Resolves references between ``documents``: the parsed files by their name."""

    def __init__(self, documents: Mapping[str, Any], root: str) -> None:
        self._documents = documents
        self.root = Place(root, "", documents[root])
        self._identifiers: dict[str, dict[str, str]] = {}

    def follow(self, place: Place) -> Place:
        """What stands at ``place``, references followed until there is none. Raises ``Dangling``.

        Plain values beside a reference (a description, say) take precedence over what it points at.
        """
        beside: dict[str, Any] = {}
        for _ in range(MAX_HOPS):
            reference = place.mapping.get("$ref")
            if not isinstance(reference, str):
                return Place(place.file, place.pointer, {**place.mapping, **beside}) if beside else place
            plain = {key: value for key, value in place.mapping.items() if isinstance(value, str | bool | int | float)}
            beside = {**plain, **beside}
            beside.pop("$ref")
            place = self.resolve(place.file, reference)
        raise Dangling("a reference that leads back to itself")

    def resolve(self, file: str, reference: str, hops: int = 0) -> Place:
        """The place that ``reference``, written in ``file``, points at. Raises ``Dangling``."""
        named = self._identified(file).get(reference)
        if named is not None:
            return self._walk(file, named, hops)
        address, _, fragment = reference.partition("#")
        target = self._file(file, address) if address else file
        if fragment and not fragment.startswith("/"):
            anchored = self._identified(target).get(f"#{unquote(fragment)}")
            if anchored is None:
                raise Dangling(f"no schema has the anchor {_shown(fragment)}")
            return self._walk(target, anchored, hops)
        try:
            return self._walk(target, unquote(fragment), hops)
        except Dangling:
            if "%" not in fragment or hops:  # twice at every step of a loop would be twice too often
                raise
            return self._walk(target, fragment, hops)  # a key with a percent sign that was not encoded

    def _file(self, file: str, address: str) -> str:
        """The name of the file at ``address``, as seen from ``file``."""
        own = self._self_of(file)
        if own:
            absolute = urljoin(own, address)
            if absolute == own:
                return file
            address = absolute.removeprefix(own.rpartition("/")[0] + "/")
        if _SCHEME.match(address) or address.startswith("//"):
            raise Dangling(f"a reference to the network is never followed: {_shown(address)}")
        path = unquote(address.partition("?")[0]).replace("\\", "/")
        name = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        if name.startswith(("../", "/")) or name == ".." or "\0" in name:
            raise Dangling(f"the file {_shown(address)} is outside the description's folder")
        return name

    def _self_of(self, file: str) -> str:
        """What the file calls itself (``$self`` of 3.2), empty where it does not."""
        document = self._document(file)
        own = document.get("$self") if isinstance(document, dict) else None
        return own.partition("#")[0] if isinstance(own, str) else ""

    def _document(self, name: str) -> Any:
        try:
            return self._documents[name]
        except FileRefused as refused:
            raise Dangling(f"the file {_shown(name)} {refused.reason}") from None
        except KeyError:
            raise Dangling(f"there is no file {_shown(name)}") from None

    def _walk(self, file: str, pointer: str, hops: int) -> Place:
        """Along a decoded pointer. A reference on the way is followed, since nothing else can stand below it."""
        if hops > MAX_HOPS:
            raise Dangling("a reference that leads back to itself")
        value = self._document(file)
        steps = pointer.split("/")[1:]
        for index, step in enumerate(steps):
            below = _member(value, _unescape(step))
            reference = value.get("$ref") if isinstance(value, dict) else None
            if below is None and isinstance(reference, str):
                there = self.resolve(file, reference, hops + 1)
                rest = "/".join(["", *steps[index:]])
                return self._walk(there.file, there.pointer + rest, hops + 1)
            if below is None:
                raise Dangling(f"there is nothing at {_shown(pointer)}" + (f" in {file}" if file else ""))
            value = below
        return Place(file, pointer, value)

    def _identified(self, file: str) -> dict[str, str]:
        """``$id`` and ``#anchor`` → pointer, for the schemas of the file that have a name of their own."""
        if file not in self._identifiers:
            found: dict[str, str] = {}
            for name, pointer in _identifiers(Place(file, "", self._document(file))):
                found.setdefault(name, pointer)
            self._identifiers[file] = found
        return self._identifiers[file]


def _identifiers(document: Place) -> Iterator[tuple[str, str]]:
    """The identifiers of the file's schemas, each with the pointer to its schema."""
    named = (schema for steps in _NAMED_SCHEMAS for _, schema in document.at(*steps).members())
    for schema in (document, *named):
        for key, prefix in _IDENTIFIERS:
            if schema.text(key):
                yield prefix + schema.text(key), schema.pointer


def _shown(text: str) -> str:
    """Enough of a reference to find it, on one line."""
    return "".join(character if character.isprintable() else "?" for character in text[:120])
