"""The folder of real API descriptions that REMIT_SPECS names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def main_files(folder: Path) -> Iterator[Path]:
    """Every file that says which OpenAPI it is."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".json", ".yaml", ".yml"} and path.is_file():
            head = path.read_bytes()[:65536]
            if b'"swagger"' in head or b'"openapi"' in head or b"openapi:" in head or b"swagger:" in head:
                yield path
