"""Path: a request as somebody made or describes it → one more tool in a tool file. Nothing is called.

1. find the **place**: the file that is named, else the one that calls the same API, else a new one
2. **sketch** the tool: what varied in the request becomes an argument
3. have it make that request, which becomes the tool's **example**
4. **write** it, if the file can be used with it; everything else in the file stays as it is
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from remit.app.comparing import body_of
from remit.catalog.compile import CompiledFile, compile_text
from remit.catalog.curl import CurlInvalid, CurlRequest
from remit.catalog.definition import SCHEMA_FILE, tool_file_schema
from remit.catalog.document import read_document
from remit.catalog.loader import find_files, load_catalog, read_text
from remit.catalog.problem import Problem
from remit.catalog.sketch import Sketch, sketch
from remit.catalog.tool import Tool
from remit.catalog.tool_text import CannotAppend, file_text, with_tool
from remit.downstream.request import CallContext, build_request
from remit.errors import ArgumentsInvalid, DefinitionInvalid, RequestUnusable, StateInvalid
from remit.settings import Settings, environment

_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")
_NOT_API: Final = frozenset({"www", "api", "apis", "rest", "gateway"})
_CONTEXT: Final = CallContext(user={}, actor={}, call={"id": "example"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tool goes. ``text`` is the file's, empty where it is new; ``base_url`` that of its API."""

    file: Path
    base_url: str
    text: str = field(default="", repr=False)

    @property
    def is_new(self) -> bool:
        """Whether the file has to be made."""
        return not self.text


@dataclass(frozen=True, slots=True)
class Said:
    """What is known of the tool beside the request; empty where nobody said it. ``audience`` is for a new file.

    ``example``: what its example is called.
    """

    example: str
    title: str = ""
    description: str = ""
    audience: str = ""
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """What would be written. ``left_out`` says in words what of the request is no part of the tool."""

    place: Place
    tool: Tool
    text: str = field(repr=False)
    left_out: tuple[str, ...] = ()


# ── 1 ────────────────────────────────────────────────────────────────────────────────────


def check_name(settings: Settings, name: str) -> None:
    """Whether a tool may be called so. Raises ``DefinitionInvalid``."""
    if not _NAME.fullmatch(name):
        raise DefinitionInvalid(
            f'"{name[:80]}" is no name of a tool', hint="a letter, then up to 63 letters, digits, _ and -"
        )
    known = load_catalog(settings.tools, _variables(settings), cache=settings.descriptions_dir).catalog.get(name)
    if known is not None:
        raise DefinitionInvalid(f"{name} is there already", where=known.where, hint="choose another name")


def place_of(settings: Settings, file: Path | None, *, url: str, base_url: str) -> Place | None:
    """Where a tool goes that calls ``url``, or one of the API at ``base_url``; each may be empty.

    ``None`` where it cannot be told without more being said. Raises ``DefinitionInvalid``.
    """
    base_url = base_url.rstrip("/")
    if file is not None and file.exists():
        text, compiled = _read(file, settings)
        if compiled.problems:
            raise _unusable(compiled.problems[0])
        return Place(file, compiled.tools[0].plan.base_url, text)
    called = url or base_url
    if not called:
        return None
    if file is not None:
        return Place(file, base_url)
    return _place_by_url(settings, called) or _new_place(settings, called, base_url)


def _new_place(settings: Settings, called: str, base_url: str) -> Place:
    file = _folder(settings) / f"{api_name(called)}.yaml"
    if file.exists():
        raise DefinitionInvalid(
            "the file is there already, and calls another address", where=file.as_posix(), hint="name one with --file"
        )
    return Place(file, base_url)


def known_apis(settings: Settings) -> dict[str, Path]:
    """The APIs that tool files call, by name, each with one of its files."""
    return {compiled.tools[0].upstream: file for file, _, compiled in _usable(settings)}


def api_name(url: str) -> str:
    """What the API at ``url`` may be called: ``https://api.crm.example.com/v2`` is ``crm``."""
    host = urlsplit(url).hostname or ""
    labels = [label for label in host.split(".") if label not in _NOT_API and not label.isdigit()]
    name = re.sub(r"[^a-z0-9-]", "-", labels[0].lower())[:31] if labels else ""
    return name if re.fullmatch(r"[a-z][a-z0-9-]*", name) else "api"


def _place_by_url(settings: Settings, url: str) -> Place | None:
    found = [Place(file, compiled.tools[0].plan.base_url, text) for file, text, compiled in _usable(settings)]
    below = [
        place
        for place in found
        if url == place.base_url or url.startswith((f"{place.base_url}/", f"{place.base_url}?"))
    ]
    return max(below, key=lambda place: len(place.base_url), default=None)


def _usable(settings: Settings) -> list[tuple[Path, str, CompiledFile]]:
    files, _ = find_files(settings.tools)
    read = [(file, *_read(file, settings)) for file in files]
    return [each for each in read if each[2].tools]


def _read(file: Path, settings: Settings) -> tuple[str, CompiledFile]:
    text = read_text(file)
    if isinstance(text, Problem):
        return "", CompiledFile(problems=(text,))
    return text, compile_text(text, file.as_posix(), _variables(settings))


def _folder(settings: Settings) -> Path:
    first = settings.tools[0] if settings.tools else Path("tools")
    return first.parent if first.suffix in {".yaml", ".yml"} else first


def _variables(settings: Settings) -> Mapping[str, str]:
    return {**settings.variables, **environment()}


# ── 2 and 3 ──────────────────────────────────────────────────────────────────────────────


def make(settings: Settings, name: str, request: CurlRequest, place: Place, said: Said) -> Made:
    """The tool and the text of its file. Raises ``DefinitionInvalid``."""
    try:
        sketched = sketch(name, request, place.base_url)
    except CurlInvalid as error:
        raise DefinitionInvalid(f"no tool can be made of it: {error}", where=place.file.as_posix()) from None
    described = {"title": said.title, "description": said.description}
    tool = {**sketched.tool, **{key: value for key, value in described.items() if value}}
    if said.scopes and not place.is_new:
        tool["auth"] = {"scopes": list(said.scopes)}
    compiled, _ = _compiled(settings, place, sketched, tool, said)
    tool["examples"] = [{"name": said.example, "args": sketched.arguments, "expect": _expected(compiled, sketched)}]
    compiled, text = _compiled(settings, place, sketched, tool, said)
    return Made(place, compiled, text, sketched.left_out)


def _compiled(
    settings: Settings, place: Place, sketched: Sketch, tool: Mapping[str, Any], said: Said
) -> tuple[Tool, str]:
    """The tool as it takes effect in its file, and the file's text."""
    if place.is_new:
        text = file_text(*_upstream(place, sketched.base_url, said), tool)
    else:
        try:
            text = with_tool(place.text, read_document(place.text), tool)
        except CannotAppend as error:
            where = place.file.as_posix()
            raise DefinitionInvalid(
                f"nothing can be added: {error}", where=where, hint="write it so, or name another file"
            ) from None
    compiled = compile_text(text, place.file.as_posix(), _variables(settings))
    if compiled.problems:
        raise _unusable(compiled.problems[0])
    return next(each for each in compiled.tools if each.name == tool["name"]), text


def _upstream(place: Place, base_url: str, said: Said) -> tuple[str, dict[str, Any]]:
    """Name and upstream block of a new file."""
    name = re.sub(r"[^a-z0-9-]", "-", place.file.stem.lower())[:31]
    name = name if re.fullmatch(r"[a-z][a-z0-9-]*", name) else api_name(base_url)
    parts = urlsplit(base_url)
    auth = {"audience": said.audience or f"{parts.scheme}://{parts.netloc}", "scopes": list(said.scopes)}
    if parts.scheme == "http":  # for development: another address where it is served
        base_url = f"${{{name.upper().replace('-', '_')}_URL:-{base_url}}}"
    return name, {"baseUrl": base_url, "auth": auth}


def _expected(tool: Tool, sketched: Sketch) -> dict[str, Any]:
    """The request as this tool makes it of the arguments that were given once."""
    try:
        tool.validate(sketched.arguments)
        request = build_request(tool, sketched.arguments, _CONTEXT)
    except (ArgumentsInvalid, RequestUnusable) as error:
        raise DefinitionInvalid(f"the tool cannot make the request: {error.message}", hint=error.hint) from error
    path, _, query = request.url.removeprefix(tool.plan.base_url).partition("?")
    expected: dict[str, Any] = {"method": request.method, "path": path}
    if query:
        expected["query"] = query
    headers = {name.lower(): value for name, value in request.headers}
    media = headers.get("content-type", "")
    if request.body is not None and not media.startswith("multipart/"):
        expected["body"] = body_of(request.body, media, as_text=False)
    return {"request": expected}


def _unusable(problem: Problem) -> DefinitionInvalid:
    return DefinitionInvalid(problem.message, where=problem.where, hint=problem.hint)


# ── 4 ────────────────────────────────────────────────────────────────────────────────────


def write(made: Made) -> list[Path]:
    """Write the file, and beside a new one the schema that editors complete from. Raises ``StateInvalid``."""
    file = made.place.file
    written = [file]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{file.name}.new")
        fresh.write_text(made.text, encoding="utf-8", newline="")
        os.replace(fresh, file)  # noqa: PTH105  the same on every system
        schema = file.with_name(SCHEMA_FILE)
        if made.place.is_new and not schema.exists():
            schema.write_text(json.dumps(tool_file_schema(), indent=2) + "\n", encoding="utf-8", newline="\n")
            written.append(schema)
    except OSError as error:
        raise StateInvalid(
            f"it cannot be written: {error.strerror}", where=file.as_posix(), hint="check permissions"
        ) from error
    return written
