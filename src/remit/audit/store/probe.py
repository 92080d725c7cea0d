"""Door: whether a trail could be written now."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_SECONDS = 1.0


def is_writable(path: Path) -> bool:
    """Take the write lock of the trail at ``path`` and give it back. Writes nothing and makes no file."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    return True
