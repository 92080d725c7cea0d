"""Values as somebody sent them → the schema of such values (rule)."""

from __future__ import annotations

import re
from typing import Any, Final

#: Stands where a value is not known or not kept.
EXAMPLE: Final = "example"

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_FORMATS: Final = (
    ("date", re.compile(r"\d{4}-\d\d-\d\d")),
    ("date-time", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")),
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("email", re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")),
)


def parsed(text: str) -> Any:
    """A text of a path, query or form as the value that it most likely is: 007 and 1e5 stay texts."""
    if text in {"true", "false"}:
        return text == "true"
    if _INTEGER.fullmatch(text) and text != "-0":
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) and str(float(text)) == text else text


def schema_of(value: Any) -> dict[str, Any]:
    """JSON Schema of values like this one. Of a list the first item speaks for all."""
    if isinstance(value, dict):
        members = {name: schema_of(item) for name, item in value.items()}
        closed: dict[str, Any] = {"properties": members, "additionalProperties": False} if members else {}
        return {"type": "object", **closed}
    if isinstance(value, list):
        return {"type": "array", **({"items": schema_of(value[0])} if value else {})}
    if isinstance(value, str):
        named = next((name for name, shape in _FORMATS if shape.fullmatch(value)), "")
        return {"type": "string", **({"format": named} if named else {})}
    if value is None:
        return {"type": ["string", "null"]}
    kinds = {bool: "boolean", int: "integer", float: "number"}
    return {"type": kinds[type(value)]}
