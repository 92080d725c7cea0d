"""The folder of real API descriptions that REMIT_SPECS names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SAYS_WHICH: Final = re.compile(rb"""(?:^|[{,])\s*["']?(?:swagger|openapi)["']?\s*:\s*["']?[0-9]""", re.MULTILINE)


def main_files(folder: Path) -> Iterator[Path]:
    """Every file that says which OpenAPI it is."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".json", ".yaml", ".yml"} and _SAYS_WHICH.search(path.read_bytes()):
            yield path
