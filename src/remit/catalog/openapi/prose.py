"""Descriptions as people write them → text for a model (rule): no markup, nothing unseen, bounded."""

from __future__ import annotations

import html
import re
from typing import Final

_TAG: Final = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|br|caption|center|code|dd|details|div|dl|dt|em|font|h[1-6]|hr|i|img|kbd|li|ol|p|pre|s|"
    r"small|span|strong|sub|summary|sup|table|tbody|td|th|thead|tr|tt|u|ul)(?:\s[^<>]{0,500})?/?>|<!--.{0,2000}?-->",
    re.IGNORECASE | re.DOTALL,
)
_IMAGE: Final = re.compile(r"!\[[^\]\[]{0,300}\]\([^()\s]{0,2000}\)")
_LINK: Final = re.compile(r"\[([^\]\[]{1,300})\](?:\([^()]{0,2000}\)|\[[^\]\[]{0,100}\])")
_FENCE: Final = re.compile(r"^[ \t]*(?:```|~~~)[^\n]{0,100}$", re.MULTILINE)
_LINE_MARK: Final = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|(?:[-=*_][ \t]?){3,}$)", re.MULTILINE)
_TABLE_RULE: Final = re.compile(r"^[ \t|:-]{3,}$", re.MULTILINE)
_EMPHASIS: Final = re.compile(r"(\*{2,3}|__)(?=\S)(.{1,500}?)(?<=\S)\1")
_SENTENCE_END: Final = re.compile(r"[.!?](?=\s|$)")
#: No longer text is looked at.
_MAX_READ: Final = 16_384


def plain(text: str, limit: int) -> str:
    """The text on one line without Markdown and HTML, at most ``limit`` characters, cut behind a sentence or a word."""
    text = text[:_MAX_READ]
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "&" in text:
        text = html.unescape(text)
    if "](" in text or "][" in text:
        text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    if "```" in text or "~~~" in text:
        text = _FENCE.sub("", text)
    if "|" in text:
        text = _TABLE_RULE.sub("", text)
    text = _EMPHASIS.sub(r"\2", _LINE_MARK.sub("", text)).replace("`", "")
    if not text.isprintable():
        text = "".join([character if character.isprintable() else " " for character in text])
    return shortened(" ".join(text.split()), limit)


def shortened(text: str, limit: int) -> str:
    """At most ``limit`` characters of the text: whole sentences if they are half of it, else words and ``…``."""
    if len(text) <= limit:
        return text
    ends = [match.end() for match in _SENTENCE_END.finditer(text[: limit + 1]) if match.end() <= limit]
    if ends and ends[-1] >= limit // 2:
        return text[: ends[-1]]
    head = text[: max(limit - 1, 0)]
    return f"{head.rpartition(' ')[0] or head}…" if limit else ""
