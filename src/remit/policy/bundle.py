"""Door: a policy folder or an OPA bundle → modules, data, tests and a revision; and back into an OPA bundle.

In a folder, ``*.rego`` anywhere below it are modules (hidden files and folders are passed over), and ``data.json`` or
``data.yaml`` at its top is what policies see as ``data.remit_data``. A bundle (``.tar.gz``) is laid out as Open Policy
Agent wants it: data files lie where they are in the data, so they must come to lie below ``remit_data``. In both,
``*_test.rego`` are tests, and what is neither of these is passed over.

Modules that come with the product lie under ``remit/``: see ``_library``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, Final

from remit.errors import PolicyInvalid
from remit.policy import adapter as orchestrator
from remit.policy.archive import read_archive, write_archive
from remit.policy.contents import Bundle
from remit.policy.data import MAX_DATA_BYTES, DataFile, locate, merged
from remit.policy.gate import DATA_ROOT
from remit.policy.manifest import MANIFEST, Manifest, Place
from remit.policy.signature import SIGNATURES, Signatures, SigningKey, sign, verify
from remit.policy.tables import check_tables

__all__ = ["AUTHZ", "STANDARD", "Bundle", "load_policy", "write_bundle"]

STANDARD: Final = "remit/standard.rego"
AUTHZ: Final = "remit/authz.rego"

_MAX_MODULES: Final = 200
_MAX_MODULE_BYTES: Final = 1_000_000
_MAX_DETAILS: Final = 20
_DATA_FILES: Final = ("data.json", "data.yaml", "data.yml")
_REFUSED: Final = {
    "policy.wasm": "it is compiled to WebAssembly",
    "plan.json": "it is compiled to a plan",
    "plan.pb": "it is compiled to a plan",
    "patch.json": "it is a delta bundle, which only changes another one",
    ".manifest.pb": "its manifest is not JSON",
}
_PACKAGE: Final = re.compile(r"(?:\s|#[^\n]*(?:\n|\Z))*package[ \t]+([\w.]+)")
_AUTHZ_PACKAGE: Final = ("remit", "authz")
#: Packages that only the product's own modules have.
_OURS: Final = frozenset({("remit", "standard"), ("remit", "governed")})


def load_policy(path: Path, *, signatures: Signatures | None = None, adapter: str = "none") -> Bundle:
    """Read a policy folder or bundle. Raises ``PolicyInvalid`` naming the file.

    What modules say is not checked here, but the tables of the standard policy are, where it is used. ``adapter:
    orchestrator`` is for policies of that package.
    """
    signatures = signatures or Signatures()
    try:
        found = _read_folder(path, signatures) if path.is_dir() else _read_archive(path, signatures)
    except OSError as error:  # taken away while it is read
        raise PolicyInvalid("the policy cannot be read", where=str(path), detail=str(error)) from error
    shipped = _library(found, adapter)
    for name in [name for name in found.modules if name.startswith("remit/")]:
        if found.modules.pop(name) != shipped.get(name):
            raise PolicyInvalid(
                "files under remit/ are the product's own",
                where=found.within(name),
                hint="move the file elsewhere; a bundle written by another version of remit is to be written anew",
            )
    data = _data_of(found)
    if STANDARD in shipped:
        _check_tables(found, data)
    return Bundle.of({**found.modules, **shipped}, data, tests=found.tests, label=found.manifest.revision)


def write_bundle(bundle: Bundle, path: Path, *, signing: SigningKey | None = None) -> None:
    """Write an OPA bundle that an OPA server decides the same with; tests are left out.

    Its bytes depend on the arguments alone, but for signatures that differ each time (ES256, PS256 and the like).
    """
    roots = sorted({DATA_ROOT, *(_package(name, source)[0] for name, source in bundle.modules.items())})
    files = {name: source.encode() for name, source in bundle.modules.items()}
    files["data.json"] = _json({DATA_ROOT: dict(bundle.data)})
    files[MANIFEST] = _json({"revision": bundle.revision, "roots": roots, "rego_version": 1})
    if signing:
        files[SIGNATURES] = sign(files, signing)
    write_archive(path, files)


# ── reading ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Found:
    """What a folder or an archive holds."""

    path: Path
    modules: dict[str, str] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)
    data: list[DataFile] = field(default_factory=list)
    manifest: Manifest = field(default_factory=Manifest)

    def add_module(self, name: str, content: bytes) -> None:
        """A ``.rego`` file."""
        kind = self.tests if name.endswith("_test.rego") else self.modules
        if len(kind) == _MAX_MODULES:
            raise PolicyInvalid(f"more than {_MAX_MODULES} policy files", where=str(self.path))
        kind[name] = self._text(name, content, _MAX_MODULE_BYTES)

    def add_data(self, name: str, mount: Place, content: bytes) -> None:
        """A data file that lies at ``mount``."""
        self.data.append(DataFile.read(self.within(name), mount, self._text(name, content, MAX_DATA_BYTES)))

    def within(self, name: str) -> str:
        """The name of one of its files, for an operator."""
        return str(self.path / name)

    def _text(self, name: str, content: bytes, limit: int) -> str:
        if len(content) > limit:
            raise PolicyInvalid(f"a policy file is larger than {limit} bytes", where=self.within(name))
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            where = self.within(name)
            raise PolicyInvalid("a policy file cannot be read", where=where, detail=str(error)) from error


def _read_folder(path: Path, signatures: Signatures) -> _Found:
    if signatures.required:
        raise PolicyInvalid(
            "a folder cannot be signed, and only signed policies are used here",
            where=str(path),
            hint="build and sign a bundle, or unset policy.signatures.required",
        )
    found = _Found(path)
    for file in sorted(path.rglob("*.rego")):
        name = file.relative_to(path).as_posix()
        if not any(step.startswith(".") for step in name.split("/")):
            found.add_module(name, _bytes(file, _MAX_MODULE_BYTES))
    files = [path / name for name in _DATA_FILES if (path / name).exists()]
    if len(files) > 1:
        raise PolicyInvalid("there are two data files", where=str(files[1]), hint=f"keep {files[0].name} or this one")
    for file in files:
        found.add_data(file.name, (DATA_ROOT,), _bytes(file, MAX_DATA_BYTES))
    return found


def _bytes(file: Path, limit: int) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(limit + 1)
    except OSError as error:
        raise PolicyInvalid("a policy file cannot be read", where=str(file), detail=str(error)) from error


def _read_archive(path: Path, signatures: Signatures) -> _Found:
    files = read_archive(path)
    _check_signature(path, files, signatures)
    manifest = Manifest.read(files[MANIFEST], str(path / MANIFEST)) if MANIFEST in files else Manifest()
    found = _Found(path, manifest=manifest)
    for name, content in files.items():
        place = PurePosixPath(name)
        if place.name in _REFUSED or (place.name == MANIFEST and name != MANIFEST):
            detail = _REFUSED.get(place.name, "it has a second manifest")
            raise PolicyInvalid(
                "the bundle is of a kind that is not used here",
                where=found.within(name),
                detail=detail,
                hint="build it with `opa build --target rego`",
            )
        if place.suffix == ".rego":
            found.add_module(name, content)
        elif place.name in _DATA_FILES:
            found.add_data(name, place.parts[:-1], content)
    sources = {**found.modules, **found.tests}
    packages = {name: _package(found.within(name), source) for name, source in sources.items()}
    manifest.check(packages, merged(found.data), str(path / MANIFEST))
    return found


def _check_signature(path: Path, files: Mapping[str, bytes], signatures: Signatures) -> None:
    if SIGNATURES not in files:
        if signatures.required:
            hint = "sign it with `opa sign`, or unset policy.signatures.required"
            raise PolicyInvalid("the bundle is not signed, and only signed ones are used", where=str(path), hint=hint)
        return
    try:
        verify(files, signatures)
    except PolicyInvalid as error:
        where = error.where or str(path)
        raise PolicyInvalid(error.message, where=where, detail=error.detail, hint=error.hint) from error


# ── what comes of it ─────────────────────────────────────────────────────────────────────


def _data_of(found: _Found) -> Mapping[str, Any]:
    whole = merged(found.data)
    for name in whole.keys() - {DATA_ROOT}:
        raise PolicyInvalid(
            f"the bundle has data outside of {DATA_ROOT}",
            where=locate(found.data, (name,)),
            hint=f"move its data files into the folder {DATA_ROOT}, or their members below `{DATA_ROOT}`",
        )
    data = whole.get(DATA_ROOT, {})
    if not isinstance(data, dict):
        raise PolicyInvalid("the data is not an object", where=found.data[0].name)
    return data


def _library(found: _Found, adapter: str) -> dict[str, str]:
    """The product's own modules that go with these.

    A policy without ``package remit.authz`` is decided by the standard one, whose tables are its data, or by the adapter
    where that is set. One that has it is left alone; it may ask the standard policy by ``data.remit.standard``.
    """
    own = {name: source for name, source in found.modules.items() if not name.startswith("remit/")}
    packages = {_package(found.within(name), source): found.within(name) for name, source in own.items()}
    if ours := sorted(_OURS & packages.keys()):
        raise PolicyInvalid(f"the package {'.'.join(ours[0])} is the product's own", where=packages[ours[0]])
    if adapter != "none":
        return _adapted(found, own, packages)
    if _AUTHZ_PACKAGE in packages:
        return _shipped(STANDARD) if any("data.remit.standard" in source for source in own.values()) else {}
    if orchestrator.PACKAGE in packages:
        hint = "set policy.adapter to orchestrator"
        raise PolicyInvalid("this policy needs an adapter", where=packages[orchestrator.PACKAGE], hint=hint)
    if not own and not found.data:
        raise PolicyInvalid(
            "no policy was found",
            where=str(found.path),
            hint="put .rego files or the tables of the standard policy there: without policy nothing is permitted",
        )
    return _shipped(STANDARD, AUTHZ)


def _adapted(found: _Found, own: Mapping[str, str], packages: Mapping[Place, str]) -> dict[str, str]:
    if orchestrator.PACKAGE not in packages:
        hint = "put a policy of `package orchestrator` there, or set policy.adapter to none"
        raise PolicyInvalid("there is no policy of package orchestrator to adapt", where=str(found.path), hint=hint)
    if _AUTHZ_PACKAGE in packages:
        raise PolicyInvalid(
            "package remit.authz is the adapter's",
            where=packages[_AUTHZ_PACKAGE],
            hint="set policy.adapter to none for a policy with a `package remit.authz` of its own",
        )
    return {**_shipped(orchestrator.ADAPTER), orchestrator.GOVERNED: orchestrator.governed(own)}


def _check_tables(found: _Found, data: Mapping[str, Any]) -> None:
    problems = tuple(
        PolicyInvalid(
            problem.message,
            where=locate(found.data, (DATA_ROOT, *problem.path)) or str(found.path),
            hint=problem.hint,
        )
        for problem in check_tables(data)
    )
    if problems:
        first = problems[0]
        told = "; ".join(f"{problem.where}: {problem.message}" for problem in problems[:_MAX_DETAILS])
        raise PolicyInvalid(first.message, where=first.where, detail=told, hint=first.hint, problems=problems)


def _shipped(*names: str) -> dict[str, str]:
    return {name: _shipped_text(name) for name in names}


@cache
def _shipped_text(name: str) -> str:
    file = resources.files("remit.policy") / "library" / PurePosixPath(name).name
    return file.read_text("utf-8")


def _package(where: str, source: str) -> Place:
    """What a module says its package is; the engine reads it again, and strictly."""
    stated = _PACKAGE.match(source)
    if stated is None:
        raise PolicyInvalid("the file does not begin with its package", where=where, hint="begin with `package NAME`")
    return tuple(stated[1].split("."))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
