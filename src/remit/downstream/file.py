"""An answer that is a file (noun): an image, a recording, a document; anything but JSON and text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class File:
    """A whole file. ``media_type`` is what the API says it is; NOT checked: whether the content is of that type."""

    media_type: str
    content: bytes = field(repr=False)

    @property
    def facts(self) -> dict[str, Any]:
        """What is said of it where it cannot stand itself: to policy, on a terminal, in the trail."""
        digest = hashlib.sha256(self.content).hexdigest()
        return {"media_type": self.media_type, "size": len(self.content), "sha256": digest}
