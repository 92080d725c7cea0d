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

    @property
    def place(self) -> tuple[str, int, int]:
        """File, line and column, to sort by; 0 where ``where`` does not say."""
        file, *numbers = self.where.split(",")[0].split(":")
        line, column = [*(int(number) for number in numbers if number.isdigit()), 0, 0][:2]
        return file, line, column

    def document(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)
