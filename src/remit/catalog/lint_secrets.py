"""Texts of a tool file that look like secrets (rule). What looks like one is never repeated."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from remit.catalog.lint_finding import Note
from remit.catalog.problem import Path

_FIX: Final = "take it out and replace it where it is valid: a tool file is no place for a secret"

#: What issuers of keys write in front of them, and the shapes of tokens and private keys.
_KNOWN: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)[-_][A-Za-z0-9_-]{10,}|\bsk-[A-Za-z0-9]{20,}|\bgh[opsur]_[A-Za-z0-9]{20,}"
    r"|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bAKIA[A-Z0-9]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{30,}|\bSG\.[A-Za-z0-9_-]{16,}\.|\bya29\.[A-Za-z0-9_-]{20,}|\b(?:Bearer|Basic) +[A-Za-z0-9+/=._~-]{12,}"
)
_SECRET_NAME: Final = re.compile(
    r"(^|[-_. \[])(api[-_]?key|(access|app|subscription|functions|private|account)[-_]?key|secret|token|jwt|sid|sig"
    r"|signature|password|passwd|pwd|passphrase|auth|authorization|credentials?|session([-_]?id)?)\]?$",
    re.IGNORECASE,
)
_POSITION_NAME: Final = re.compile(
    r"(page|next|previous|prev|continuation|cursor|sync|resume)[-_]?token\]?$", re.IGNORECASE
)
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_RANDOM: Final = re.compile(r"[A-Za-z0-9+=]{24,}")
_ARGUMENT: Final = re.compile(r"\$[^${]")
_BITS: Final = 3.5
#: Where values are sent as they stand.
_SENT: Final = ("query", "headers", "cookies", "body")


def secret_notes(data: Any) -> Iterator[Note]:
    """``data`` is a tool file before the environment is filled in."""
    for path, text in _texts(data, ()):
        if _KNOWN.search(text):
            yield Note("T201", path, f"{_place(path)} looks like a secret", _FIX)
        elif _is_sent(path) and not _ARGUMENT.match(text) and _is_secret_by(path, text):
            yield Note("T201", path, f"{_place(path)} looks like a secret: it is sent with every call", _FIX)


def source_secrets(text: str) -> Iterator[tuple[int, Note]]:
    """The lines of a program, from 1, with what issuers of keys write. What only looks random is not told: code does."""
    for number, line in enumerate(text.splitlines(), 1):
        if _KNOWN.search(line):
            yield number, Note("T201", (), "this looks like a secret", _FIX)


def is_secret_name(name: str) -> bool:
    """Whether a parameter, header or member of that name holds a secret: ``api_key``, ``accessToken``; no page's token."""
    name = _HUMP.sub("_", name)
    return bool(_SECRET_NAME.search(name)) and not _POSITION_NAME.search(name)


def looks_secret(text: str) -> bool:
    """Whether a text has the shape of a key or token, or is one that nobody would type."""
    return bool(_KNOWN.search(text)) or any(_is_random(word) for word in _RANDOM.findall(text))


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _is_sent(path: Path) -> bool:
    return path[:2] in {("upstream", "headers"), ("upstream", "baseUrl")} or (
        len(path) > 4 and path[0] == "tools" and path[2] == "request" and path[3] in _SENT
    )


def _is_secret_by(path: Path, text: str) -> bool:
    """By the name it goes by, or because nobody would type it."""
    named = is_secret_name(str(path[-1])) and len(text) >= 6 and any(map(str.isdigit, text))
    return named or looks_secret(text)


def _is_random(word: str) -> bool:
    """Digits and letters in a mixture that words and names do not have (Shannon entropy by character)."""
    if not (any(map(str.isdigit, word)) and any(map(str.isalpha, word))):
        return False
    counts = Counter(word).values()
    return -sum(count / len(word) * math.log2(count / len(word)) for count in counts) >= _BITS


def _place(path: Path) -> str:
    return next((str(step) for step in reversed(path) if isinstance(step, str)), "this")
