"""Text that misleads a model or hides from a reviewer (rule): the two ways in which tools are poisoned.

What a model reads of a tool is an instruction to it, whoever wrote it. Characters that cannot be seen are found
surely; sentences that give orders are found by what such sentences have said so far, so a finding is a question to a
reviewer, and no finding is no proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from remit.catalog.lint_finding import Note
from remit.catalog.problem import Path

_ALLOWED: Final = frozenset("\n\t\u200d")  # a line, a column, and what joins the parts of one emoji
#: Characters without a shape that Unicode calls printable: fillers, blanks and marks that alter the one before.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\U000e0100-\U000e01ef\ufe00-\ufe0e]|\ufe0f{2}"
)
_JOINER_ALONE: Final = re.compile("(?:^|[\x00-\x7f])\u200d")

_ORDERS: Final = re.compile(
    r"\b(ignore|disregard|forget|override)\b.{0,30}\b(instructions?|prompts?|guidelines)\b"
    r"|\b(disregard|forget) (all|any|the|your|every|everything)\b.{0,10}\b(previous|prior|above|earlier|before)\b"
    r"|\b(do not|don't|never|without)\b.{0,12}\b(tell|telling|inform|informing|notify|notifying|mention)\b.{0,20}"
    r"\b(users?|anyone|anybody|them|this)\b"
    r"|\bwithout the user'?s? (knowledge|knowing|consent)\b"
    r"|<\s*/?\s*(important|system|secret|hidden|instructions?|assistant|admin)\s*>|<!--"
    r"|\b(system prompt|developer message)\b"
    r"|\b(instead of|before|rather than) (using |calling |running )?(any|every|all) other tools?\b"
    r"|(~|/home/\w+|/root|%userprofile%)[/\\]\.|\bid_rsa\b|/etc/(passwd|shadow)|\bmcp\.json\b"
    r"|\b(send|post|upload|forward|submit|exfiltrate|append)\b[^\[\]()]{0,60}https?://",
    re.IGNORECASE | re.DOTALL,
)
_ENCODED: Final = re.compile(r"[A-Za-z0-9+=_]{60,}")


def text_notes(value: Any, path: Path) -> Iterator[Note]:
    """Look at every text of what a model is given, names of properties too. ``path`` leads to it."""
    if isinstance(value, str):
        yield from _notes(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _notes(str(key), (*path, key))
            yield from text_notes(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from text_notes(item, (*path, index))


def _notes(text: str, path: Path) -> Iterator[Note]:
    hidden = unseen(text)
    if hidden:
        codes = ", ".join(dict.fromkeys(f"U+{ord(character):04X}" for character in hidden[:5]))
        message = f"{len(hidden)} characters here cannot be seen: {codes}"
        yield Note("T203", path, message, "take them out: they can carry instructions that no reviewer sees")
    if found := _ORDERS.search(text):
        said = " ".join(found[0].split())[:60]
        message = f'a model takes "{said}" for an order'
        yield Note("T207", path, message, "take the sentence out; ask whoever wrote it what it is for")
    elif "pattern" not in path and _ENCODED.search(text):
        message = "a run of 60 letters and digits says nothing to people"
        yield Note("T207", path, message, "take it out; ask whoever wrote it what it is for")


def unseen(text: str) -> str:
    """The characters of a text that leave no mark on a screen, but for spaces and ends of lines."""
    if text.isascii() and text.isprintable():
        return ""
    found = [character for character in text if not character.isprintable() and character not in _ALLOWED]
    found += (match[0][0] for match in _BLANK.finditer(text))
    found += ("\u200d" for _ in _JOINER_ALONE.finditer(text))
    return "".join(found)
