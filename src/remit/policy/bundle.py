"""Door: a policy directory → modules, data and a revision.

``*.rego`` anywhere below the directory are modules (``*_test.rego`` are left out, as with ``opa build --ignore``);
``data.json`` or ``data.yaml`` at its top is what policies see as ``data.remit_data``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from remit.catalog.document import DocumentInvalid, read_document
from remit.errors import PolicyInvalid

_MAX_MODULES: Final = 200
_MAX_MODULE_BYTES: Final = 1_000_000
_MAX_DATA_BYTES: Final = 16_000_000
_REVISION_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Bundle:
    """Rego modules by their path (relative to the directory, with ``/``), and the data beside them.

    ``revision`` is the beginning of a SHA-256 over all of it.
    """

    modules: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)
    revision: str = ""

    @classmethod
    def of(cls, modules: Mapping[str, str], data: Mapping[str, Any] | None = None) -> Bundle:
        """The bundle of these modules and data, with its revision."""
        content = json.dumps({"modules": dict(modules), "data": data or {}}, sort_keys=True, separators=(",", ":"))
        return cls(dict(modules), data or {}, hashlib.sha256(content.encode()).hexdigest()[:_REVISION_DIGITS])


def load_policy(directory: Path) -> Bundle:
    """Read a policy directory. Raises ``PolicyInvalid`` naming the file; what the modules say is not checked here."""
    paths = sorted(path for path in directory.rglob("*.rego") if not path.name.endswith("_test.rego"))
    if not paths:
        raise PolicyInvalid(
            "no policy was found",
            where=str(directory),
            hint="put at least one .rego file there: without policy nothing is permitted",
        )
    if len(paths) > _MAX_MODULES:
        raise PolicyInvalid(f"more than {_MAX_MODULES} policy files", where=str(directory))
    modules = {path.relative_to(directory).as_posix(): _text(path, _MAX_MODULE_BYTES) for path in paths}
    return Bundle.of(modules, _data(directory))


def _data(directory: Path) -> Mapping[str, Any]:
    found = [path for path in _data_files(directory) if path.exists()]
    if len(found) > 1:
        raise PolicyInvalid("there are two data files", where=str(found[1]), hint=f"keep {found[0].name} or this one")
    if not found:
        return {}
    text = _text(found[0], _MAX_DATA_BYTES)
    data = _json(text, found[0]) if found[0].suffix == ".json" else _yaml(text, found[0])
    if not isinstance(data, dict):
        raise PolicyInvalid("the data is not an object", where=str(found[0]))
    return data


def _data_files(directory: Path) -> Iterable[Path]:
    return (directory / name for name in ("data.json", "data.yaml", "data.yml"))


def _text(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyInvalid("a policy file cannot be read", where=str(path), detail=str(error)) from error
    if len(content) > limit:
        raise PolicyInvalid(f"a policy file is larger than {limit} bytes", where=str(path))
    return text


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise PolicyInvalid("the data is not JSON", where=where, detail=error.msg) from error
    except (ValueError, RecursionError) as error:
        raise PolicyInvalid("the data is not JSON", where=str(path), detail=str(error)) from error


def _yaml(text: str, path: Path) -> Any:
    try:
        return read_document(text).data
    except DocumentInvalid as error:
        (line, column), fault = error.faults[0].position, error.faults[0]
        where = f"{path}:{line}:{column}"
        raise PolicyInvalid(f"the data cannot be read: {fault.message}", where=where, hint=fault.hint) from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice in one object")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
