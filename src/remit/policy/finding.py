"""Noun: what a check of a policy found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``where`` is ``file:line:column``. An error makes a policy wrong, a warning dangerous, an info is advice."""

    where: str
    code: str
    severity: Severity
    message: str
    hint: str = ""

    def document(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)
