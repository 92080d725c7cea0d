"""What tools and arguments are called (rule): the same description gives the same names, whatever is selected.

Clients put their own prefix before a tool's name, and models take 64 characters: what is made here stays under
``BUDGET``. A name that is taken or cut gets a hash of what it stands for, never a number.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from remit.catalog.openapi.description import Operation

#: Of a tool's name: leaves 16 characters of 64 to the client.
BUDGET: Final = 48
MAX_KEY: Final = 64
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NOT_IN_KEY: Final = re.compile(r"[^A-Za-z0-9_.-]+")
#: ``HTTPServer`` is two words, ``v2`` and ``sha256`` are one; ``IDs`` is one too.
_WORD: Final = re.compile(r"[A-Z]+s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NUMBERED: Final = re.compile(r"(?<=[a-z])_(?=[0-9])")
_HASH: Final = 8

K = TypeVar("K", bound=Hashable)


def tool_names(operations: Sequence[Operation], prefix: str = "") -> tuple[str, ...]:
    """A name for each operation, in their order: letters, digits and ``_``, at most ``BUDGET``, each once.

    By operationId; where several have the same, or none, by method and path. ``prefix`` stands before each; what
    begins with no letter gets the method there. Two operations with the same method and path are expected to
    stand at different places of a file.
    """
    by_id = _unique(words_of(operation.id) for operation in operations)
    by_path = [words_of(f"{operation.method} {operation.path}") for operation in operations]
    names = [of_id or of_path for of_id, of_path in zip(by_id, by_path, strict=True)]
    once = _unique(names)
    return tuple(
        _fitted(name, operation, prefix, is_taken=not only)
        for name, only, operation in zip(names, once, operations, strict=True)
    )


def _unique(names: Iterable[str]) -> list[str]:
    """The names that stand there once; the others are empty."""
    names = list(names)
    counts = Counter(names)
    return [name if counts[name] == 1 else "" for name in names]


def words_of(text: str) -> str:
    """The words of a name: ``GetAPIKeys/list-all`` → ``get_api_keys_list_all``."""
    plain = unicodedata.normalize("NFKD", text[:2048]).encode("ascii", "ignore").decode()
    return _NUMBERED.sub("", "_".join(_WORD.findall(plain)).lower())


def _fitted(name: str, operation: Operation, prefix: str, *, is_taken: bool) -> str:
    name = name if name[:1].isalpha() else f"{operation.method.lower()}_{name}".rstrip("_")
    before = words_of(prefix).lstrip("0123456789_")
    name = f"{before}_{name}" if before else name
    if len(name) <= BUDGET and not is_taken:
        return name
    place = operation.pointer.partition("#")[2]
    return _cut(name, f"{operation.method} {operation.path} {place}", BUDGET)


def _cut(name: str, meaning: str, limit: int) -> str:
    """The beginning of the name, whole words where it is possible, and a hash of what it means."""
    room = limit - _HASH - 1
    head = name[: room + 1]
    if len(name) > room:
        head = head.rpartition("_")[0] if "_" in head[room // 2 :] else head[:room]
    digest = hashlib.sha256(meaning.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    return f"{head.rstrip('_')}_{digest}"


# ── arguments ────────────────────────────────────────────────────────────────────────────


def key_of(name: str) -> str:
    """The name as models take it: up to 64 letters, digits, ``_``, ``.`` and ``-``; ``$filter`` is ``filter``."""
    if _KEY.fullmatch(name):
        return name
    key = _NOT_IN_KEY.sub("_", name).strip("_")
    if not key:
        return _cut("key", name, MAX_KEY)
    return key if len(key) <= MAX_KEY else _cut(key, name, MAX_KEY)


def distinct_keys(names: Mapping[K, tuple[str, str]], taken: Sequence[str] = ()) -> dict[K, str]:
    """A key for each thing that has a name and a location: ``id``, or ``id_path`` where several want to be ``id``.

    None of them is one of ``taken``.
    """
    keys = {thing: key_of(name) for thing, (name, _) in names.items()}
    located = {
        thing: key if only else key_of(f"{key[: MAX_KEY - 8]}_{names[thing][1]}")
        for (thing, key), only in zip(keys.items(), _unique([*keys.values(), *taken]), strict=False)
    }
    return {
        thing: key if only else _cut(key, " ".join(names[thing]), MAX_KEY)
        for (thing, key), only in zip(located.items(), _unique([*located.values(), *taken]), strict=False)
    }


class Keys:
    """The keys of the members of all objects of a description, one for each name, and the way back."""

    def __init__(self, names: Iterable[str]) -> None:
        known = set(names)
        odd = sorted(name for name in known if not _KEY.fullmatch(name))
        counts = Counter(key_of(name) for name in odd)
        self._keys = {name: self._key(name, known, counts) for name in odd}
        #: Key → name on the wire, of those that differ.
        self.wire: Mapping[str, str] = {key: name for name, key in self._keys.items()}

    def __getitem__(self, name: str) -> str:
        return self._keys.get(name, name)

    @staticmethod
    def _key(name: str, known: set[str], counts: Counter[str]) -> str:
        key = key_of(name)
        return key if counts[key] == 1 and key not in known else _cut(key, name, MAX_KEY)
