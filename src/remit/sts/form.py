"""Rule: the body of a token request → its parameters, each name once.

Strict where a lenient reader and this one could see two different requests (RFC 6749 §3.2, RFC 8693 §2.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from remit.errors import InvalidRequest

#: Parameters by name; only ``audience`` and ``resource`` may have several values. None is empty.
Form = Mapping[str, Sequence[str]]

MAX_BODY_BYTES: Final = 64 * 1024
_MAX_FIELDS: Final = 64
_CONTENT_TYPE: Final = re.compile(r'application/x-www-form-urlencoded(?:\s*;\s*charset="?utf-8"?)?\s*', re.IGNORECASE)
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_REPEATABLE: Final = frozenset({"audience", "resource"})


def read_form(content_type: str, body: bytes) -> Form:
    """The parameters in ``body``. Raises ``InvalidRequest``, never showing what was sent.

    "Parameters sent without a value MUST be treated as if they were omitted" and "parameters MUST NOT be included
    more than once" (RFC 6749 §3.2): a name may not even repeat with an empty value.
    """
    if not _CONTENT_TYPE.fullmatch(content_type):
        raise InvalidRequest("the body must be application/x-www-form-urlencoded in UTF-8")
    if not body.isascii():
        raise InvalidRequest("the body has bytes that are not ASCII")
    pairs = [pair for pair in body.decode("ascii").split("&") if pair]
    if len(pairs) > _MAX_FIELDS:
        raise InvalidRequest(f"the body has more than {_MAX_FIELDS} parameters")
    form: dict[str, list[str]] = {}
    for pair in pairs:
        encoded_name, _, encoded_value = pair.partition("=")
        name, value = decode(encoded_name), decode(encoded_value)
        if name in form and name not in _REPEATABLE:
            raise InvalidRequest("a parameter is included more than once")
        form.setdefault(name, []).append(value)
    return {name: present for name, values in form.items() if (present := [value for value in values if value])}


def decode(text: str) -> str:
    """One form-encoded name or value. Raises ``InvalidRequest``."""
    if _BROKEN_ESCAPE.search(text):
        raise InvalidRequest("the request has a malformed percent-encoding")
    try:
        value = unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeError as error:
        raise InvalidRequest("the request has a value that is not UTF-8") from error
    if _CONTROL.search(value):
        raise InvalidRequest("the request has a control character")
    return value


def single(form: Form, name: str) -> str:
    """The value of a parameter that may stand once, or ``""``. Raises ``InvalidRequest`` where it repeats."""
    values = form.get(name, ())
    if len(values) > 1:
        raise InvalidRequest("a parameter is included more than once")
    return values[0] if values else ""
