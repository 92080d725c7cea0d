"""What an API says of an error in one of the usual forms: a code and a sentence, each fit to be read (rule).

Problem details (RFC 9457 §3.1), OAuth errors (RFC 6749 §5.2), JSON:API, OData, and the ``error.message`` of most others.
"""

from __future__ import annotations

import re
from typing import Any, Final

from remit.catalog.binding import scalar_text

UNSAID: Final = "(not said)"
_MAX_VALUE: Final = 200

_Way = tuple[str | int, ...]
#: Where a sentence may stand, the most telling first.
_MESSAGES: Final[tuple[_Way, ...]] = (
    ("detail",),
    ("error", "message"),
    ("error", "message", "value"),
    ("error_description",),
    ("message",),
    ("errors", 0, "detail"),
    ("errors", 0, "message"),
    ("errors", 0),
    ("errorMessage",),
    ("fault", "faultstring"),
    ("error", "detail"),
    ("error", "description"),
    ("title",),
    ("error",),
)
_CODES: Final[tuple[_Way, ...]] = (
    ("error", "code"),
    ("code",),
    ("errors", 0, "code"),
    ("errorCode",),
    ("error_code",),
    ("error", "type"),
    ("error",),
    ("type",),
)
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/#-]{0,99}")
_NO_TYPE: Final = "about:blank"
#: A page for people, or a part of one.
_MARKUP: Final = re.compile(
    r"</[a-z]|<(!doctype|html|head|body|title|script|style|div|span|table|pre|br|p|h[1-6])\b", re.IGNORECASE
)
#: What looks like one that somebody echoes: a JWT, or what stands in a header.
_CREDENTIAL: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}|\b(?:Bearer|Basic|DPoP)\s+(?=\S*[0-9=])\S{8,}", re.IGNORECASE
)


def message_in(body: Any) -> str:
    """The sentence, or that there is none."""
    found = (readable(_at(body, way)) for way in _MESSAGES)
    return next((text for text in found if text != UNSAID), UNSAID)


def code_in(body: Any) -> str:
    """The code, one word, or that there is none."""
    found = (readable(_at(body, way)) for way in _CODES)
    return next((text for text in found if _CODE.fullmatch(text) and text != _NO_TYPE), UNSAID)


def readable(value: Any) -> str:
    """A value of the API's on one short printable line, because an agent will read it.

    No page, and nothing in it that looks like a credential; of a list or an object nothing.
    """
    if value is None or isinstance(value, dict | list):
        return UNSAID
    try:
        text = scalar_text(value)
    except ValueError:
        return UNSAID
    if _MARKUP.search(text[: 4 * _MAX_VALUE]):
        return UNSAID
    printable = "".join(character if character.isprintable() else " " for character in text[: 16 * _MAX_VALUE])
    return _CREDENTIAL.sub("[credential]", " ".join(printable.split()))[:_MAX_VALUE] or UNSAID


def _at(node: Any, way: _Way) -> Any:
    for step in way:
        if isinstance(node, dict) and isinstance(step, str):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and len(node) > step:
            node = node[step]
        else:
            return None
    return node
