"""Rule: the label of an article as a picture: its number in Code 39, which every barcode scanner reads."""

from __future__ import annotations

import struct
import zlib
from typing import Final

#: What Code 39 can say here; ``*`` stands at both ends.
ALPHABET: Final = "1234567890ABCDEFGHIJKLMNOPQRSTUVWXYZ-. *"
#: Two of a character's five bars are wide: which, for each ten characters; the one wide space tells the tens apart.
_WIDE_BARS: Final = ("10001", "01001", "11000", "00101", "10100", "01100", "00011", "10010", "01010", "00110")
_WIDE_SPACE: Final = (1, 2, 3, 0)
_WIDE: Final = 3
#: Bits of a picture with one bit per pixel.
_BLACK, _WHITE = "0", "1"
_QUIET: Final = _WHITE * 10
_HEIGHT: Final = 40


def label(text: str, scale: int) -> bytes:
    """A PNG with ``text``, of which every character is one of ``ALPHABET``, in bars ``scale`` pixels narrow."""
    modules = _QUIET + "".join(map(_bars, f"*{text}*")) + _QUIET
    row = "".join(module * scale for module in modules)
    return _png(row, _HEIGHT * scale)


def _bars(character: str) -> str:
    """A character's bars, black, and the spaces behind them, white."""
    tens, unit = divmod(ALPHABET.index(character), 10)
    return "".join(
        _BLACK * (_WIDE if wide == "1" else 1) + _WHITE * (_WIDE if position == _WIDE_SPACE[tens] else 1)
        for position, wide in enumerate(_WIDE_BARS[unit])
    )


def _png(row: str, height: int) -> bytes:
    """One row of pixels repeated, one bit each (ISO/IEC 15948)."""
    size = -(-len(row) // 8)
    packed = int(row.ljust(8 * size, _WHITE), 2).to_bytes(size, "big")
    header = struct.pack(">IIBBBBB", len(row), height, 1, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + packed) * height, 9)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
