"""Noun: the ``.manifest`` of an OPA bundle: its revision, and the parts of the data that are its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.errors import PolicyInvalid
from remit.tokens import strict_json

#: Where a bundle's manifest is.
MANIFEST: Final = ".manifest"

_MAX_REVISION: Final = 100
_MAX_ROOTS: Final = 100

#: A place in the data, as steps: ``("remit", "authz")``.
Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is read of it. ``roots``: rules and data lie below one of these; ``()`` is everywhere."""

    revision: str = ""
    roots: tuple[Place, ...] = ((),)

    @classmethod
    def read(cls, content: bytes, where: str) -> Manifest:
        """Raises ``PolicyInvalid`` for one that cannot be read, or asks for what there is not."""
        try:
            manifest = strict_json.loads(content)
        except strict_json.NotStrict as error:
            raise PolicyInvalid("the bundle's manifest cannot be read", where=where, detail=str(error)) from error
        if not isinstance(manifest, dict):
            raise PolicyInvalid("the bundle's manifest is not an object", where=where)
        _check_language(manifest, where)
        return cls(_revision(manifest.get("revision", ""), where), _roots(manifest.get("roots", [""]), where))

    def check(self, packages: Mapping[str, Place], data: Any, where: str) -> None:
        """Raises ``PolicyInvalid`` for a module (by name) or data that do not lie below a root."""
        for name, package in packages.items():
            if not self._has(package):
                detail = f"{name} is of the package {'.'.join(package)}"
                raise PolicyInvalid("the bundle's roots do not allow one of its modules", where=where, detail=detail)
        stranger = self._stranger(data, ())
        if stranger is not None:
            detail = f"there is data at /{'/'.join(stranger)[:200]!a}"
            raise PolicyInvalid("the bundle's roots do not allow some of its data", where=where, detail=detail)

    def _has(self, place: Place) -> bool:
        return any(place[: len(root)] == root for root in self.roots)

    def _stranger(self, value: Any, place: Place) -> Place | None:
        """The first place of ``value`` that is in no root. No deeper than the roots themselves."""
        if self._has(place):
            return None
        if not isinstance(value, dict) or not any(root[: len(place)] == place for root in self.roots):
            return place
        strangers = (self._stranger(inner, (*place, name)) for name, inner in value.items())
        return next((stranger for stranger in strangers if stranger is not None), None)


def _revision(revision: Any, where: str) -> str:
    if not isinstance(revision, str) or len(revision) > _MAX_REVISION or not revision.isprintable():
        detail = f"a revision is at most {_MAX_REVISION} printable characters"
        raise PolicyInvalid("the bundle's revision cannot be used", where=where, detail=detail)
    return revision


def _roots(roots: Any, where: str) -> tuple[Place, ...]:
    if not isinstance(roots, list) or len(roots) > _MAX_ROOTS or not all(isinstance(root, str) for root in roots):
        raise PolicyInvalid("the bundle's roots cannot be used", where=where, detail=f"a list of {_MAX_ROOTS} at most")
    places = tuple(tuple(filter(None, root.split("/"))) for root in roots)
    for number, place in enumerate(places):
        for other in places[number + 1 :]:
            shared = min(len(place), len(other))
            if place[:shared] == other[:shared]:
                detail = f"{'/'.join(place)[:100]!a} and {'/'.join(other)[:100]!a}"
                raise PolicyInvalid("two of the bundle's roots overlap", where=where, detail=detail)
    return places


def _check_language(manifest: Mapping[str, Any], where: str) -> None:
    versions = [manifest.get("rego_version", 1)]
    by_file = manifest.get("file_rego_versions", {})
    if isinstance(by_file, dict):
        versions += by_file.values()
    if any(version != 1 or isinstance(version, bool) for version in versions) or not isinstance(by_file, dict):
        raise PolicyInvalid(
            "the bundle is not written in version 1 of Rego", where=where, hint="rewrite it with `opa fmt --write`"
        )
    if manifest.get("wasm"):
        raise PolicyInvalid(
            "the bundle is compiled to WebAssembly", where=where, hint="build it with `opa build --target rego`"
        )
