"""The body of a request block → a plan of it (rule)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

from remit.catalog.binding import Arguments, bind_leaf, bind_tree
from remit.catalog.definition import BodyEncoding, RequestBlock
from remit.catalog.media import charset_of, essence, is_json, parameter
from remit.catalog.plan import Argument, Binding, Body, Encoding, Field, Members
from remit.catalog.problem import Flaws, Path
from remit.catalog.styles import encoding_of

#: What is sent where the file names no media type.
_MEDIA_TYPES: Final[Mapping[BodyEncoding, str]] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data",
    "text": "text/plain; charset=utf-8",
    "binary": "application/octet-stream",
    "xml": "application/xml",
    "merge-patch": "application/merge-patch+json",
    "json-patch": "application/json-patch+json",
}
_EACH: Final = Encoding("json", explode=True)


@dataclass(frozen=True, slots=True)
class BodyCompiler:
    """A body being compiled: ``path`` leads to the request block, flaws are added as they are found."""

    block: RequestBlock
    arguments: Arguments
    path: Path
    flaws: Flaws

    def compile(self) -> Body | None:
        """The plan, or nothing where the block has no body. Of use only when nothing was added to the flaws."""
        block = self.block
        media_type = block.media_type or _MEDIA_TYPES[block.encoding]
        self._check(media_type)
        if block.body is None:
            return None
        match block.encoding:
            case "form" | "multipart":
                return self._form(media_type)
            case "binary":
                return self._binary(media_type)
            case "text" | "xml":
                binding = bind_leaf(block.body, (*self.path, "body"), self.arguments, self.flaws)
                return Body("text", media_type, binding, charset=charset_of(media_type) or "utf-8")
            case _:
                return Body("json", media_type, self._tree(block.body, "body"))

    def uploads_sent(self, body: Body | None) -> set[str]:
        """The arguments that are sent as files."""
        if body is None:
            return set()
        if body.kind == "binary":
            return {body.binding.name} if isinstance(body.binding, Argument) else set()
        members = body.binding.members if body.kind == "multipart" and isinstance(body.binding, Members) else ()
        return {binding.name for _, binding in members if isinstance(binding, Argument)}

    def _tree(self, value: Any, *where: str) -> Binding:
        return bind_tree(value, (*self.path, *where), self.arguments, self.flaws)

    # ── forms ──

    def _form(self, media_type: str) -> Body:
        block, multipart = self.block, self.block.encoding == "multipart"
        if not isinstance(block.body, dict):
            self._add("body", f"a {block.encoding} body is a mapping of its fields", "name the fields one by one")
            return Body("form", media_type, Members(()))
        members = tuple((name, self._member(name, value)) for name, value in block.body.items())
        encode = self._part if multipart else self._field
        fields = {
            name: Field(name, encode(name, binding), name if multipart else quote_plus(name))
            for name, binding in members
        }
        return Body("multipart" if multipart else "form", media_type, Members(members), fields)

    def _member(self, name: str, value: Any) -> Binding:
        flat = isinstance(value, list) and not any(isinstance(item, list | dict) for item in value)
        if flat or (self.block.encoding == "multipart" and value is not None):
            return self._tree(value, "body", name)
        return bind_leaf(value, (*self.path, "body", name), self.arguments, self.flaws)

    def _field(self, name: str, binding: Binding) -> Encoding:
        return encoding_of(binding, self.block.style, self.arguments, (*self.path, "body", name), self.flaws)

    def _part(self, name: str, binding: Binding) -> Encoding:
        """A file, what the style says, or JSON: an object as one part, a list as a part an item."""
        if not isinstance(binding, Argument):
            return _EACH
        if binding.name in self.block.uploads:
            return Encoding("file", explode=True, media_types=tuple(self.block.uploads[binding.name]))
        return self._field(name, binding) if binding.name in self.block.style else _EACH

    # ── binary ──

    def _binary(self, media_type: str) -> Body:
        binding = bind_leaf(self.block.body, (*self.path, "body"), self.arguments, self.flaws)
        if not isinstance(binding, Argument) or binding.name not in self.block.uploads:
            hint = "write body: $file and uploads: {file: []}"
            self._add("body", "a binary body is an argument that is a file", hint)
            return Body("binary", media_type, binding)
        types = self.block.uploads[binding.name] or ([media_type] if self.block.media_type else [])
        return Body("binary", media_type, binding, rest=Encoding("file", media_types=tuple(types)))

    # ── checks ──

    def _check(self, media_type: str) -> None:
        block = self.block
        if block.body is not None and block.method in {"GET", "HEAD"}:
            self._add("body", f"{block.method} has no body", "use query, or another method", at_key=True)
        for key, name in (("encoding", "encoding"), ("media_type", "mediaType")):
            if block.body is None and key in block.model_fields_set:
                self._add(name, "there is no body to encode", f"leave {name} out", at_key=True)
        if block.media_type and not _fits(block.encoding, media_type):
            self._add("mediaType", f"{media_type} is not written as {block.encoding}", "set another encoding")
        if charset_of(media_type) is None:
            self._add("mediaType", "that charset cannot be written", "leave it out: the body is UTF-8")

    def _add(self, key: str, message: str, hint: str = "", *, at_key: bool = False) -> None:
        self.flaws.add((*self.path, key), message, hint, at_key=at_key)


def _fits(encoding: BodyEncoding, media_type: str) -> bool:
    bare = essence(media_type)
    match encoding:
        case "json" | "merge-patch" | "json-patch":
            return is_json(media_type)
        case "form":
            return bare == _MEDIA_TYPES["form"]
        case "multipart":
            return bare.startswith("multipart/") and not parameter(media_type, "boundary")
        case "xml":
            return bare.endswith(("/xml", "+xml"))
    return True
