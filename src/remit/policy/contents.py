"""Noun: a policy as it was read. Worker processes import this, so it imports little itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_REVISION_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Bundle:
    """Rego modules and tests by their path (with ``/``), and the data beside them: a policy.

    ``revision`` names it: what its author calls it, where they call it anything, and the beginning of a SHA-256 over
    modules and data.
    """

    modules: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)
    revision: str = ""
    tests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        modules: Mapping[str, str],
        data: Mapping[str, Any] | None = None,
        *,
        tests: Mapping[str, str] | None = None,
        label: str = "",
    ) -> Bundle:
        """The bundle of these, with its revision. ``label`` is what its author calls it."""
        content = json.dumps({"modules": dict(modules), "data": data or {}}, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(content.encode()).hexdigest()[:_REVISION_DIGITS]
        revision = label if label.endswith(digest) else "@".join(filter(None, (label, digest)))
        return cls(dict(modules), data or {}, revision, dict(tests or {}))
