"""The request block → a plan in which nothing is left to parse (rule)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from remit.catalog.binding import Arguments, bind_leaf, bind_tree, scalar_text
from remit.catalog.definition import RequestBlock, RetryBlock, Style
from remit.catalog.grammar import did_you_mean
from remit.catalog.plan import Argument, Binding, Field, Fixed, RequestPlan, RetryPlan, Segment
from remit.catalog.problem import Flaws, Path
from remit.catalog.upstream import Upstream, check_header_names, check_header_text, compile_retry

#: RFC 9110 §9.2.2
_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_OBJECT_STYLES: Final = frozenset({"deepObject", "brackets", "json"})


@dataclass(slots=True)
class RequestCompiler:
    """One request block being compiled: ``path`` leads to it, flaws are added as they are found."""

    block: RequestBlock
    arguments: Arguments
    path: Path
    flaws: Flaws

    def compile(self, upstream: Upstream, retry: RetryPlan) -> RequestPlan:
        """The plan. It is of use only when nothing was added to the flaws."""
        block = self.block
        repeatable = block.method in _REPEATABLE or block.idempotency_key == "auto"
        segments = self._segments()
        query = tuple(self._field("query", name, value) for name, value in block.query.items())
        headers = self._headers(upstream)
        form = self._form() if block.encoding == "form" and block.body is not None else None
        body = self._body() if block.encoding == "json" and block.body is not None else None
        self._check_body()
        self._check_styles(
            {field.binding.name for field in (*query, *(form or ())) if isinstance(field.binding, Argument)}
        )
        return RequestPlan(
            method=block.method,
            origin=upstream.origin,
            base_url=upstream.base_url,
            path=block.path,
            segments=segments,
            query=query,
            headers=headers,
            body=body,
            form=form,
            idempotency_header=self._idempotency_header(),
            repeatable=repeatable,
            retry=retry,
        )

    # ── path ──

    def _segments(self) -> tuple[Segment, ...]:
        texts = self.block.path.split("/")[1:]
        for index, text in enumerate(texts):
            if unquote(text) in {".", ".."} or (not text and index < len(texts) - 1):
                self._add("path", f'"{text}" cannot be a segment of a path', "write the path it means")
        return tuple(self._segment(text) for text in texts)

    def _segment(self, text: str) -> Segment:
        parts: list[str | Argument] = []
        for index, part in enumerate(_PLACEHOLDER.split(text)):
            if index % 2:
                parts.append(self._path_argument(part))
            elif part:
                self._check_literal(part)
                parts.append(part)
        return tuple(parts)

    def _path_argument(self, name: str) -> Argument:
        path = (*self.path, "path")
        argument = self.arguments.use(name, path, self.flaws)
        if name in self.arguments.properties:
            if name not in self.arguments.required:
                self._add("path", f'the path needs "{name}", which is optional', f"add {name} to required")
            if self.arguments.is_collection(name):
                self._add("path", f'"{name}" is a list or object', "a path holds texts and numbers")
        return argument

    def _check_literal(self, text: str) -> None:
        if not _LITERAL.fullmatch(text):
            self._add("path", f'"{text[:60]}" may not stand in a path', "percent-encode it; the query has its own key")
        elif text.removeprefix("$") in self.arguments.properties and text.startswith("$"):
            self._add("path", f'"{text}" is literal text here', f"write {{{text[1:]}}}")

    # ── query, form, body ──

    def _field(self, place: str, name: str, value: Any) -> Field:
        path = (*self.path, place, name)
        binding: Binding
        if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
            binding = bind_tree(value, path, self.arguments, self.flaws)
        else:
            binding = bind_leaf(value, path, self.arguments, self.flaws)
        style: Style = "form"
        if isinstance(binding, Argument):
            style = self.block.style.get(binding.name, "form")
            if self.arguments.kinds(binding.name) == {"object"} and style not in _OBJECT_STYLES:
                hint = f"set style: {{{binding.name}: json}}, deepObject or brackets"
                self.flaws.add(path, f'style {style} cannot carry the object "{binding.name}"', hint)
        return Field(name, binding, style)

    def _form(self) -> tuple[Field, ...]:
        if not isinstance(self.block.body, dict):
            self._add("body", "a form body is a mapping of its fields", "name the fields one by one")
            return ()
        return tuple(self._field("body", name, value) for name, value in self.block.body.items())

    def _body(self) -> Binding:
        return bind_tree(self.block.body, (*self.path, "body"), self.arguments, self.flaws)

    def _check_body(self) -> None:
        block = self.block
        if block.body is not None and block.method in {"GET", "HEAD"}:
            self._add("body", f"{block.method} has no body", "use query, or another method", at_key=True)
        if block.body is None and "encoding" in block.model_fields_set:
            self._add("encoding", "there is no body to encode", "leave encoding out", at_key=True)

    def _check_styles(self, fields: set[str]) -> None:
        for name, style in self.block.style.items():
            path, kinds = (*self.path, "style", name), self.arguments.kinds(name)
            if name not in fields:
                hint = did_you_mean(name, sorted(fields)) if name not in self.arguments.properties else ""
                self.flaws.add(path, f'"{name}" is no argument of the query or a form', hint, at_key=True)
            elif kinds and not kinds & {"array", "object"}:
                self.flaws.add(
                    path, f'style is for lists and objects, "{name}" is neither', "leave it out", at_key=True
                )
            elif style == "deepObject" and kinds == {"array"}:
                self.flaws.add(path, "deepObject is for objects", "use form, comma, space, pipe, brackets or json")

    # ── headers ──

    def _headers(self, upstream: Upstream) -> tuple[tuple[str, Binding], ...]:
        headers: dict[str, tuple[str, Binding]] = {name.lower(): (name, fixed) for name, fixed in upstream.headers}
        check_header_names(self.block.headers, (*self.path, "headers"), self.flaws)
        for name, value in self.block.headers.items():
            path = (*self.path, "headers", name)
            binding = bind_leaf(value, path, self.arguments, self.flaws)
            if isinstance(binding, Fixed):
                check_header_text(scalar_text(binding.value), path, self.flaws)
            elif isinstance(binding, Argument) and self.arguments.is_collection(binding.name):
                self.flaws.add(path, f'"{binding.name}" is a list or object', "a header holds texts and numbers")
            headers[name.lower()] = (name, binding)
        return tuple(headers.values())

    def _idempotency_header(self) -> str:
        name = self.block.idempotency_header
        if self.block.idempotency_key == "off":
            if "idempotency_header" in self.block.model_fields_set:
                self._add("idempotencyHeader", "there is no key to send", "set idempotencyKey: auto", at_key=True)
            return ""
        if name.lower() in {other.lower() for other in self.block.headers}:
            self._add("idempotencyHeader", f"{name} is set in headers too", "leave it out there")
        check_header_names([name], (*self.path, "idempotencyHeader"), self.flaws)
        return name

    def _add(self, key: str, message: str, hint: str = "", *, at_key: bool = False) -> None:
        self.flaws.add((*self.path, key), message, hint, at_key=at_key)


def plan_retry(
    upstream: RetryBlock | None, tool: RetryBlock | None, request: RequestBlock, path: Path, flaws: Flaws
) -> RetryPlan:
    """The retry plan of one tool: its own block, or the upstream's.

    What acts only once is sent again only when no connection was made, whatever the upstream's block says;
    a tool's own block may not ask for more.
    """
    retry = compile_retry(tool or upstream)
    if request.method in _REPEATABLE or request.idempotency_key == "auto":
        return retry
    once = retry.when & {"connect"}
    if tool is not None and "when" in tool.model_fields_set and once != retry.when:
        hint = "keep connect alone, or set idempotencyKey: auto"
        flaws.add((*path, "retry", "when"), f"a {request.method} that was sent cannot be repeated safely", hint)
    return RetryPlan(retry.attempts if once else 1, once, retry.backoff)
