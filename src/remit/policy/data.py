"""Rule: what data files say, where in the data of a policy it lies, and where in which file it stands."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final, NoReturn

import orjson

from remit.catalog.document import DocumentInvalid, read_document
from remit.errors import PolicyInvalid

MAX_DATA_BYTES: Final = 16_000_000
#: Engines read no deeper.
_MAX_DEPTH: Final = 100

#: Where something lies in the data: members' names, and places in lists.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file that was read: its name, the place in the data where it lies, its text, and what it says."""

    name: str
    mount: tuple[str, ...]
    text: str
    value: Any

    @classmethod
    def read(cls, name: str, mount: tuple[str, ...], text: str) -> DataFile:
        """Read JSON, or YAML where the name says so. Raises ``PolicyInvalid`` (file:line:column)."""
        value = _json(text, name) if PurePath(name).suffix == ".json" else _yaml(text, name)
        _check(value, name)
        return cls(name, mount, text, value)

    def knows(self, path: Path) -> int:
        """How many steps of ``path`` this file has."""
        if self.mount != path[: len(self.mount)]:
            return 0
        value = self.value
        for count, step in enumerate(path[len(self.mount) :]):
            if not _has(value, step):
                return len(self.mount) + count
            value = value[step]
        return len(path)

    def locate(self, path: Path) -> str:
        """``file:line:column`` of what lies at ``path``, or as near to it as this file comes."""
        try:
            line, column = read_document(self.text).locate(path[len(self.mount) :])
        except DocumentInvalid:  # JSON that our YAML does not read: too large, or with tabs before its members
            return self.name
        return f"{self.name}:{line}:{column}"


def merged(files: Iterable[DataFile]) -> Any:
    """All files as one document: objects become one, and nothing may be said twice. Raises ``PolicyInvalid``."""
    root: dict[str, Any] = {}
    for file in files:
        value = file.value
        for step in reversed(file.mount):
            value = {step: value}
        if not isinstance(value, dict):
            raise PolicyInvalid("the data is not an object", where=file.name)
        _merge(root, value, file)
    return root


def locate(files: Sequence[DataFile], path: Path) -> str:
    """``file:line:column`` in the file that says most of ``path``; empty where there is no file."""
    best = max(files, key=lambda file: file.knows(path), default=None)
    return best.locate(path) if best else ""


def _merge(into: dict[str, Any], value: Mapping[str, Any], file: DataFile) -> None:
    """What comes from a file is never changed: it is copied as far as it is merged into."""
    for name, each in value.items():
        if name not in into:
            into[name] = each
        elif isinstance(into[name], dict) and isinstance(each, dict):
            into[name] = dict(into[name])
            _merge(into[name], each, file)
        else:
            raise PolicyInvalid(f'two data files say what "{name[:80]}" is', where=file.name)


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value)


def _check(value: Any, name: str) -> None:
    """Refuse what engines do not read alike: whole numbers beyond 64 bits, half surrogate pairs, great depth."""
    level = [value]
    for _ in range(_MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise PolicyInvalid(f"the data is nested deeper than {_MAX_DEPTH} levels", where=name)
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise PolicyInvalid("the data cannot be read by every engine", where=name, detail=str(error)) from error


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _yaml(text: str, name: str) -> Any:
    try:
        return read_document(text).data
    except DocumentInvalid as error:
        (line, column), fault = error.faults[0].position, error.faults[0]
        where = f"{name}:{line}:{column}"
        raise PolicyInvalid(f"the data cannot be read: {fault.message}", where=where, hint=fault.hint) from error


def _json(text: str, name: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"{name}:{error.lineno}:{error.colno}"
        raise PolicyInvalid("the data is not JSON", where=where, detail=error.msg) from error
    except (ValueError, RecursionError) as error:
        raise PolicyInvalid("the data is not JSON", where=name, detail=str(error)) from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice in one object")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_each_once, parse_float=_finite, parse_constant=_no_constant)
