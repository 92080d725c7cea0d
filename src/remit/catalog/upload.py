"""The argument that holds a file: ``{data | text, filename, mediaType}`` (rule)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from remit.catalog.problem import Flaws, Path

#: What a tool file may say of an upload; the rest is made.
_OWN: Final = frozenset({"title", "description", "type", "items", "minItems", "maxItems"})
_MAX_BYTES: Final = 256 * 1024


def upload_schema(media_types: Sequence[str] = (), *, max_bytes: int = _MAX_BYTES) -> dict[str, Any]:
    """The input schema of one file of at most ``max_bytes``.

    ``media_types`` are what the API takes, ranges included; none means any. That exactly one of ``data`` and
    ``text`` is given is not in the schema (models read ``oneOf`` badly): the request is refused otherwise.
    """
    kind: dict[str, Any] = {"type": "string", "maxLength": 255, "description": "Media type of the file: image/png"}
    if media_types and not any("*" in media_type for media_type in media_types):
        kind["enum"] = list(media_types)
    elif media_types:
        kind["description"] = f"Media type of the file, one of {', '.join(media_types)}"
    return {
        "type": "object",
        "properties": {
            "data": {
                "type": "string",
                "contentEncoding": "base64",
                "maxLength": 4 * ((max_bytes + 2) // 3),
                "description": "The file's bytes in base64",
            },
            "text": {"type": "string", "maxLength": max_bytes, "description": "The file's text, in place of data"},
            "filename": {"type": "string", "maxLength": 255, "description": "Name of the file, without a folder"},
            "mediaType": kind,
        },
        "minProperties": 1,
        "additionalProperties": False,
    }


def with_uploads(
    schema: dict[str, Any], uploads: Mapping[str, Sequence[str]], max_bytes: int, path: Path, flaws: Flaws
) -> dict[str, Any]:
    """The input schema with that of a file for each upload (argument → media types).

    A property of type array takes several files. ``path`` leads to the schema.
    """
    properties = schema.get("properties")
    if not uploads or not isinstance(properties, dict):
        return schema
    made: dict[str, Any] = {}
    for name, media_types in uploads.items():
        declared = properties.get(name, {})
        if not isinstance(declared, dict) or not _OWN.issuperset(declared) or declared.get("type", "array") != "array":
            hint = "keep title and description, and type: array where there may be several"
            flaws.add((*path, "properties", name), f'the schema of the file "{name}" is made here', hint, at_key=True)
            continue
        file = upload_schema(media_types, max_bytes=max_bytes)
        made[name] = {**declared, "items": file} if "type" in declared else {**declared, **file}
    return {**schema, "properties": {**properties, **made}}
