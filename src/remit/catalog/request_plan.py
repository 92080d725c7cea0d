"""The request block → a plan in which nothing is left to parse (rule)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from remit.catalog.asked import Calling
from remit.catalog.binding import Arguments, bind_leaf, bind_tree, scalar_text
from remit.catalog.body_plan import BodyCompiler
from remit.catalog.definition import RequestBlock, RetryBlock
from remit.catalog.grammar import did_you_mean
from remit.catalog.plan import Argument, Body, Bound, Encoding, Field, Fixed, Members, RequestPlan, RetryPlan, Segment
from remit.catalog.problem import Flaws, Path
from remit.catalog.styles import encoding_of
from remit.catalog.upstream import Upstream, check_header_names, check_header_text, compile_retry

#: RFC 9110 §9.2.2
_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")
_COOKIE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_IN_PATH: Final = Encoding("simple", takes="scalar")
_IN_HEADER: Final = Encoding("simple", takes="scalar")
_IN_COOKIE: Final = Encoding("cookie", takes="scalar")


@dataclass(slots=True)
class RequestCompiler:
    """One request block being compiled: ``path`` leads to it, flaws are added as they are found."""

    block: RequestBlock
    arguments: Arguments
    path: Path
    flaws: Flaws

    def compile(self, upstream: Upstream, retry: RetryPlan, max_bytes: int) -> RequestPlan:
        """The plan. It is of use only when nothing was added to the flaws."""
        block = self.block
        segments = self._segments()
        query = tuple(self._query(name, value) for name, value in block.query.items())
        headers = self._headers(upstream)
        cookies = self._cookies()
        bodies = BodyCompiler(block, self.arguments, self.path, self.flaws)
        body = bodies.compile()
        self._check_uploads(bodies.uploads_sent(body))
        self._check_styles(_styled(query, body))
        return RequestPlan(
            method=block.method,
            origin=upstream.origin,
            base_url=upstream.base_url,
            path=block.path,
            segments=segments,
            query=query,
            headers=headers,
            cookies=cookies,
            body=body,
            idempotency_header=self._idempotency_header(),
            repeatable=block.method in _REPEATABLE or block.idempotency_key == "auto",
            retry=retry,
            max_bytes=max_bytes,
        )

    # ── path ──

    def _segments(self) -> tuple[Segment, ...]:
        texts = self.block.path.split("/")[1:]
        for index, text in enumerate(texts):
            if unquote(text) in {".", ".."} or (not text and index < len(texts) - 1):
                self._add("path", f'"{text}" cannot be a segment of a path', "write the path it means")
        return tuple(self._segment(text) for text in texts)

    def _segment(self, text: str) -> Segment:
        parts: list[str | Bound] = []
        for index, part in enumerate(PLACEHOLDER.split(text)):
            if index % 2:
                parts.append(Bound(Field(part, _IN_PATH), self._path_argument(part)))
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

    # ── query ──

    def _query(self, name: str, value: Any) -> Bound:
        path = (*self.path, "query", name)
        flat = isinstance(value, list) and not any(isinstance(item, list | dict) for item in value)
        binding = (bind_tree if flat else bind_leaf)(value, path, self.arguments, self.flaws)
        return Bound(Field(name, encoding_of(binding, self.block.style, self.arguments, path, self.flaws)), binding)

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

    def _check_uploads(self, sent: set[str]) -> None:
        for name in self.block.uploads:
            path = (*self.path, "uploads", name)
            if name not in sent:
                hint = f"write it as a part of a multipart body, or body: ${name} with encoding: binary"
                self.flaws.add(path, f'the file "{name}" is not sent as one', hint, at_key=True)

    # ── headers and cookies ──

    def _headers(self, upstream: Upstream) -> tuple[Bound, ...]:
        headers = {name.lower(): Bound(Field(name, _IN_HEADER), fixed) for name, fixed in upstream.headers}
        check_header_names(self.block.headers, (*self.path, "headers"), self.flaws)
        for name, value in self.block.headers.items():
            path = (*self.path, "headers", name)
            binding = bind_leaf(value, path, self.arguments, self.flaws)
            if isinstance(binding, Fixed):
                check_header_text(scalar_text(binding.value), path, self.flaws)
            elif isinstance(binding, Argument) and self.arguments.is_collection(binding.name):
                self.flaws.add(path, f'"{binding.name}" is a list or object', "a header holds texts and numbers")
            headers[name.lower()] = Bound(Field(name, _IN_HEADER), binding)
        return tuple(headers.values())

    def _cookies(self) -> tuple[Bound, ...]:
        cookies: list[Bound] = []
        for name, value in self.block.cookies.items():
            path = (*self.path, "cookies", name)
            binding = bind_leaf(value, path, self.arguments, self.flaws)
            if not _COOKIE_NAME.fullmatch(name):
                self.flaws.add(path, f'"{name[:60]}" is no cookie name', "use letters, digits and hyphens", at_key=True)
            if isinstance(binding, Argument) and self.arguments.is_collection(binding.name):
                self.flaws.add(path, f'"{binding.name}" is a list or object', "a cookie holds texts and numbers")
            cookies.append(Bound(Field(name, _IN_COOKIE, name), binding))
        return tuple(cookies)

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


def _styled(query: tuple[Bound, ...], body: Body | None) -> set[str]:
    """The arguments that a style can be set for."""
    bindings = [bound.binding for bound in query]
    if body is not None and body.kind in {"form", "multipart"} and isinstance(body.binding, Members):
        bindings += [binding for _, binding in body.binding.members]
    return {binding.name for binding in bindings if isinstance(binding, Argument)}


def plan_retry(
    upstream: RetryBlock | None, tool: RetryBlock | None, request: Calling, path: Path, flaws: Flaws
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
