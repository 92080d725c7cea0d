"""A described body → how it is written, and what its argument looks like (rule).

OpenAPI 3.2 §4.14 and §4.15: by the media type, by the encoding of each member, else by the member's type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import quote_plus

from remit.catalog.media import charset_of, essence, is_json, is_text
from remit.catalog.openapi.description import DEFINITIONS, Content, JsonSchema, PartEncoding
from remit.catalog.plan import Binding, Body, Encoding, Field
from remit.catalog.upload import upload_schema

BodyKind = Literal["json", "form", "multipart", "text", "binary"]
Schemas = Mapping[str, JsonSchema]

FORM: Final = "application/x-www-form-urlencoded"
_COLLECTIONS: Final = frozenset({"object", "array"})
_ONLY_TEXT: Final = ("/xml", "+xml", "ndjson", "jsonl", "jsonlines", "json-seq")
_RANGES: Final = {"text/*": "text/plain", "*/*": "", "application/*": "", "": ""}
_EACH: Final = Encoding("json", explode=True)
#: Keywords that say what a value is; a schema without any stands for bytes in a part (OpenAPI 3.1).
_SHAPES: Final = ("type", "enum", "const", "properties", "items", "$ref", "allOf", "anyOf", "oneOf")
_MAX_DEPTH: Final = 16


def body_of(content: Content, binding: Binding, schemas: Schemas) -> Body:
    """The plan of a body. Raises ``ValueError`` for a charset that cannot be written."""
    kind, media_type = kind_of(content, schemas), _concrete(content, schemas)
    if kind == "binary":
        ranges = () if essence(content.media_type) in _RANGES else (content.media_type,)
        return Body(kind, media_type, binding, rest=Encoding("file", media_types=ranges))
    if kind in {"form", "multipart"}:
        names = {name: encoding for name, encoding, _ in _members(content, schemas, kind)}
        headers = {name: _part_headers(content, name, schema) for name, _, schema in _members(content, schemas, kind)}
        return Body(kind, media_type, binding, _fields(names, kind), headers=headers if kind == "multipart" else {})
    charset = charset_of(media_type)
    if charset is None:
        raise ValueError(f"the charset of {media_type} cannot be written")
    return Body(kind, media_type, binding, charset=charset)


def input_of(content: Content, schemas: Schemas, *, max_bytes: int) -> JsonSchema:
    """The schema of an argument that holds the whole body: files as uploads, text as a string, else as described."""
    kind, schema = kind_of(content, schemas), resolved(content.schema, schemas)
    if kind == "binary":
        ranges = () if essence(content.media_type) in _RANGES else (content.media_type,)
        return upload_schema(ranges, max_bytes=max_bytes)
    if kind == "text" and _types(schema, schemas) & _COLLECTIONS:
        return {"type": "string", "description": f"The body as it is sent, {content.media_type}"}
    if kind != "multipart":
        return content.schema
    made = {
        name: _part_schema(member, encoding, schemas, max_bytes)
        for name, encoding, member in _members(content, schemas, kind)
        if encoding.style == "file" or (encoding.style == "text" and _types(member, schemas) & _COLLECTIONS)
    }
    if not made:
        return content.schema
    whole = {key: value for key, value in schema.items() if key != "allOf"}
    return {**whole, "type": "object", "properties": {**properties_of(content.schema, schemas), **made}}


def kind_of(content: Content, schemas: Schemas) -> BodyKind:
    """How a body of this media type and schema is written."""
    bare, types = essence(content.media_type), _types(content.schema, schemas)
    if is_json(bare):
        return "json"
    if bare == FORM or bare.startswith("multipart/"):
        return "text" if types == {"string"} else "form" if bare == FORM else "multipart"
    if types and types <= _COLLECTIONS and not bare.endswith(_ONLY_TEXT):
        return "json"
    if bare in _RANGES:
        return _kind_in_range(bare, content.schema, schemas)
    return "text" if is_text(bare) else "binary"


def _kind_in_range(bare: str, schema: JsonSchema, schemas: Schemas) -> BodyKind:
    """``*/*`` and the like: by the schema alone."""
    if _is_marked_bytes(resolved(schema, schemas)):
        return "binary"
    return "text" if bare == "text/*" or _types(schema, schemas) == {"string"} else "json"


def _concrete(content: Content, schemas: Schemas) -> str:
    """What is sent: the media type itself, or one of its range."""
    bare = essence(content.media_type)
    if bare not in _RANGES:
        return content.media_type
    default = "text/plain" if kind_of(content, schemas) == "text" else "application/json"
    return _RANGES[bare] or default


# ── members of forms ──


def _members(content: Content, schemas: Schemas, kind: BodyKind) -> Iterator[tuple[str, Encoding, JsonSchema]]:
    """Each described member in order, with its encoding and its schema."""
    for name, schema in properties_of(content.schema, schemas).items():
        part = content.encodings.get(name, PartEncoding())
        yield name, _encoding(part, schema, schemas, multipart=kind == "multipart"), schema


def _fields(encodings: Mapping[str, Encoding], kind: BodyKind) -> dict[str, Field]:
    names = frozenset(name.casefold() for name in encodings)
    return {
        name: Field(name, encoding, name if kind == "multipart" else quote_plus(name), others=names - {name.casefold()})
        for name, encoding in encodings.items()
    }


def _encoding(part: PartEncoding, schema: JsonSchema, schemas: Schemas, *, multipart: bool) -> Encoding:
    """A style where the description sets one, else by content type, which has a default for each type of value."""
    if part.style is not None:
        return Encoding(part.style, part.explode, part.allow_reserved)
    item = _item(schema, schemas)
    types = tuple(entry.strip() for entry in part.content_type.split(",") if entry.strip())
    if multipart and item.get("contentEncoding") and "string" in _types(item, schemas):
        return Encoding("text", explode=True, media_types=types or ("application/octet-stream",))
    if multipart and _is_file(item, types, schemas):
        return Encoding("file", explode=True, media_types=types)
    if types and is_json(types[0]):
        return Encoding("content", explode=True, media_types=types)
    if types and (is_text(types[0]) or _types(item, schemas).isdisjoint(_COLLECTIONS)):
        return Encoding("text", explode=True, media_types=types)
    return _EACH


def _is_file(item: JsonSchema, types: tuple[str, ...], schemas: Schemas) -> bool:
    """Bytes are a file whatever is in them: servers that want a file want its name, of a CSV file too."""
    if types and not _is_marked_bytes(item):
        return not (is_json(types[0]) or is_text(types[0]))
    return is_bytes(item, schemas)


def _part_headers(content: Content, name: str, schema: JsonSchema) -> tuple[tuple[str, str], ...]:
    """The headers that go with a part. A member that is base64 says so (OpenAPI 3.2 §4.15.5.2)."""
    headers = dict(content.encodings.get(name, PartEncoding()).headers)
    encoded = schema.get("contentEncoding")
    if isinstance(encoded, str) and encoded.lower() in {"base64", "quoted-printable"}:
        headers.setdefault("Content-Transfer-Encoding", encoded.lower())
    return tuple(headers.items())


def _part_schema(schema: JsonSchema, encoding: Encoding, schemas: Schemas, max_bytes: int) -> JsonSchema:
    """The argument's schema for a file or a text, or a list of them."""
    made: JsonSchema = {"type": "string"}
    if encoding.style == "file":
        made = upload_schema(encoding.media_types, max_bytes=max_bytes)
    said: JsonSchema = {key: schema[key] for key in ("title", "description") if key in schema}
    whole = resolved(schema, schemas)
    if "array" not in _types(whole, schemas):
        return {**made, **said}
    bounds: JsonSchema = {key: whole[key] for key in ("minItems", "maxItems") if key in whole}
    return {"type": "array", "items": made, **bounds, **said}


# ── schemas ──


def resolved(schema: JsonSchema, schemas: Schemas) -> JsonSchema:
    """The schema that a reference leads to; an empty one where it leads nowhere."""
    for _ in range(_MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        schema = schemas.get(reference.removeprefix(DEFINITIONS), {})
    return {}


def properties_of(schema: JsonSchema, schemas: Schemas, depth: int = 0) -> dict[str, JsonSchema]:
    """The members an object may have, of ``allOf`` too, in the description's order."""
    whole = resolved(schema, schemas)
    found: dict[str, JsonSchema] = {}
    for part in whole.get("allOf", ()) if depth < _MAX_DEPTH else ():
        found |= properties_of(part, schemas, depth + 1)
    return found | dict(whole.get("properties", {}))


def is_bytes(schema: JsonSchema, schemas: Schemas) -> bool:
    """Whether a value is bytes: it says so, or says nothing at all."""
    whole = resolved(schema, schemas)
    return _is_marked_bytes(whole) or not any(key in whole for key in _SHAPES)


def _is_marked_bytes(whole: JsonSchema) -> bool:
    media_type = whole.get("contentMediaType", "")
    textual = "contentEncoding" in whole or not media_type or is_json(media_type) or is_text(media_type)
    return whole.get("format") == "binary" or not textual


def _item(schema: JsonSchema, schemas: Schemas) -> JsonSchema:
    """What stands in a part: the value, or an item of it."""
    whole = resolved(schema, schemas)
    if "array" not in _types(whole, schemas):
        return whole
    items = whole.get("items", {})
    return resolved(items, schemas) if isinstance(items, dict) else {}


def _types(schema: JsonSchema, schemas: Schemas, depth: int = 0) -> frozenset[str]:
    """The JSON types a value may have, as far as the schema says; ``null`` apart."""
    whole = resolved(schema, schemas)
    declared: Any = whole.get("type", ())
    types = frozenset([declared] if isinstance(declared, str) else declared) - {"null"}
    if types or depth >= _MAX_DEPTH:
        return types
    if "properties" in whole or "additionalProperties" in whole:
        return frozenset({"object"})
    if "items" in whole or "prefixItems" in whole:
        return frozenset({"array"})
    parts = [part for key in ("allOf", "anyOf", "oneOf") for part in whole.get(key, ())]
    return frozenset().union(*(_types(part, schemas, depth + 1) for part in parts))
