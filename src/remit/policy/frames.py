"""Rule: what goes over the pipes between this process and a policy worker.

A frame is its body's length and its number (4 bytes each, network order), then the body. Frame 0 is the order that a
worker is started with, and what it says to that. After it, frames are input documents, and the answers to them under
the same numbers: ``ANSWERED`` and the policy's answer as JSON, or ``UNDECIDED`` and why there is none.
"""

from __future__ import annotations

import struct
from typing import Final

HEAD: Final = struct.Struct(">II")
ANSWERED: Final = b"="
UNDECIDED: Final = b"!"
#: No answer of a policy is longer; no decision that can be read is either.
MAX_ANSWER: Final = 2 * 1024 * 1024


class FrameInvalid(Exception):
    """Nothing a worker would send."""


def frame(number: int, body: bytes) -> bytes:
    """``body`` as it goes over the pipe."""
    return HEAD.pack(len(body), number) + body


class Frames:
    """Bytes as they arrive → frames. ``limit``: the longest body that is waited for."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that are complete now, number and body. Raises ``FrameInvalid`` for one beyond the limit."""
        self._rest += data
        frames: list[tuple[int, bytes]] = []
        start = 0
        while len(self._rest) - start >= HEAD.size:
            length, number = HEAD.unpack_from(self._rest, start)
            if length > self._limit:
                raise FrameInvalid
            end = start + HEAD.size + length
            if len(self._rest) < end:
                break
            frames.append((number, self._rest[start + HEAD.size : end]))
            start = end
        self._rest = self._rest[start:]
        return frames
