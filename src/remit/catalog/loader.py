"""Tool files on disk → the catalog (door): load, reload what changed, watch. Python files only where that is wanted.

A file that breaks keeps the tools it had; a file that is broken from the start has none. Neither takes
another file's tools down.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from remit.catalog.compile import CompiledFile, compile_text
from remit.catalog.descriptions import Descriptions
from remit.catalog.kinds import kind_of
from remit.catalog.lock_files import LOCK_NAME, LockMode, Locks
from remit.catalog.openapi.files import MAX_FILE_BYTES as MAX_DESCRIPTION_BYTES
from remit.catalog.problem import Problem
from remit.catalog.python import compile_python, installed_tools
from remit.catalog.tool import Catalog, Tool

MAX_FILE_BYTES: Final = 1024 * 1024
MAX_FILES: Final = 5_000
YAML: Final = frozenset({".yaml", ".yml"})
PYTHON: Final = frozenset({".py"})
#: Besides YAML, what API descriptions are written in.
_JSON: Final = frozenset({".json"})


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was loaded, and everything that was wrong, in the order of files and lines.

    ``warnings`` are tools that are served although they are not as `tools.lock` has them, ``passed_over`` Python files
    that are not run because that is switched off. ``is_other``: whether the catalog is another than that of the load before.
    """

    catalog: Catalog = field(default_factory=Catalog)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    passed_over: tuple[Problem, ...] = ()
    is_other: bool = True


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One file: the text it had, what became of it, and the tools that are served for it."""

    digest: str
    compiled: CompiledFile
    tools: tuple[Tool, ...]


def load_catalog(
    paths: Sequence[Path],
    environment: Mapping[str, str],
    lock: LockMode = "off",
    *,
    python: bool = False,
    cache: Path | None = None,
) -> LoadReport:
    """Load every ``.yaml`` and ``.yml`` file named by ``paths`` or below them, with ``python`` also every ``.py``.

    Never raises for what is in them.
    """
    return CatalogSource(paths, environment, lock, python=python, cache=cache).report


class CatalogSource:
    """Where tools come from. ``report`` is the present state; ``reload`` makes the next.

    ``lock``: what becomes of tools that are not as `tools.lock` has them. Enforced, they are not served. ``python``:
    whether Python files are run for their tools, and packages that bring some. ``cache``: the folder where parsed API
    descriptions are kept.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        environment: Mapping[str, str],
        lock: LockMode = "off",
        *,
        python: bool = False,
        cache: Path | None = None,
    ) -> None:
        self._paths = tuple(paths)
        self._cache = cache
        self._suffixes = YAML | PYTHON if python else YAML
        self._lock = lock
        self._environment = dict(environment)
        self._files: dict[Path, _Loaded] = {}
        self._described: frozenset[Path] = frozenset()
        installed = installed_tools(self._environment) if python else {}
        self._installed = {file: _Loaded("", compiled, compiled.tools) for file, compiled in installed.items()}
        self.report = LoadReport()
        self.reload()

    @property
    def catalog(self) -> Catalog:
        """The tools as they are served now."""
        return self.report.catalog

    def reload(self) -> LoadReport:
        """Read the files again and compile those whose text changed, or that of the API description behind them."""
        found, problems = find_files(self._paths, self._suffixes)
        descriptions = Descriptions(self._cache)
        files = {file: self._load(file, self._files.get(file), descriptions) for file in found}
        sources = [loaded.compiled.source for loaded in files.values()]
        self._described = frozenset().union(*(source.paths for source in sources if source is not None))
        self._files = {
            file: loaded for file, loaded in files.items() if loaded.tools or not is_part(file, self._described)
        }
        self._files |= self._installed
        for loaded in self._files.values():
            problems += loaded.compiled.problems
        tools, clashes = _unique(self._files, self.report.catalog)
        problems += clashes
        unlocked = Locks(self._paths).problems(tools) if self._lock != "off" else {}
        if self._lock == "enforce":
            tools = [tool for tool in tools if tool.name not in unlocked]
            problems += unlocked.values()
        warnings = sorted(unlocked.values()) if self._lock == "warn" else ()
        passed_over = tuple(self._passed_over())
        catalog = Catalog.of(tools)
        is_other = catalog.revision != self.report.catalog.revision
        self.report = LoadReport(catalog, tuple(sorted(problems)), tuple(warnings), passed_over, is_other)
        return self.report

    def _passed_over(self) -> list[Problem]:
        """Python files that somebody may miss."""
        if self._suffixes >= PYTHON:
            return []
        found, _ = find_files([path for path in self._paths if path.exists()], PYTHON)
        if not found:
            return []
        more = f" (nor are {len(found) - 1} more)" if len(found) > 1 else ""
        hint = "set python_tools: true, if whoever can write here may run code in this server"
        return [Problem(found[0].as_posix(), 0, 0, f"Python tools are switched off, so this is not run{more}", hint)]

    def _load(self, file: Path, before: _Loaded | None, descriptions: Descriptions) -> _Loaded:
        name = file.as_posix()
        text = read_text(file)
        if isinstance(text, Problem):
            return _Loaded("", CompiledFile(problems=(text,)), before.tools if before else ())
        digest = hashlib.sha256(text.encode()).hexdigest()
        source = before.compiled.source if before else None
        if before and before.digest == digest and (source is None or descriptions.is_current(source)):
            return before
        if file.suffix in PYTHON:
            compiled = compile_python(text, name, self._environment)
        else:
            compiled = compile_text(text, name, self._environment, descriptions)
        kept = before.tools if before and compiled.problems else compiled.tools
        return _Loaded(digest, compiled, kept)

    async def watch(
        self, changed: Callable[[LoadReport], Awaitable[None]], *, stop: asyncio.Event | None = None
    ) -> None:
        """Reload whenever a file changes, and tell ``changed``, until ``stop`` is set or the task is cancelled."""
        from watchfiles import awatch  # noqa: PLC0415  only servers watch

        places = {path if path.is_dir() else path.parent for path in self._paths}
        existing = [place for place in places if place.is_dir()]
        if not existing:
            return
        async for changes in awatch(*existing, stop_event=stop, debounce=200, step=50):
            if any(self._matters(Path(name)) for _, name in changes):
                await changed(await asyncio.to_thread(self.reload))

    def _matters(self, path: Path) -> bool:
        """Whether a reload may find something else once this file has changed."""
        is_one = path.suffix in self._suffixes | _JSON or path.name == LOCK_NAME
        return is_one or path.resolve() in self._described


def find_files(paths: Sequence[Path], suffixes: frozenset[str] = YAML) -> tuple[list[Path], list[Problem]]:
    """The tool files named by ``paths``, or with one of ``suffixes`` below them, in order, and the paths that lead
    nowhere. API descriptions and overlays that lie below them are none.
    """
    problems: list[Problem] = []
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            files.update(dict.fromkeys(_below(path, suffixes)))
        elif path.is_file():
            if _is_named(path, suffixes):
                files[path] = None
        else:
            problems.append(Problem(path.as_posix(), 0, 0, "there is no such file or directory", "mend the path"))
    if len(files) > MAX_FILES:
        problems.append(Problem(paths[0].as_posix(), 0, 0, f"more than {MAX_FILES} tool files", "name fewer paths"))
    return sorted(files)[:MAX_FILES], problems


def is_part(file: Path, described: frozenset[Path]) -> bool:
    """Whether it is one of the files of API descriptions, and no tool file, whatever a description leads to."""
    return file.resolve() in described and kind_of(_content(file)) != "tools"


def _is_named(path: Path, suffixes: frozenset[str]) -> bool:
    """A file that is named itself may be called anything, but Python is only what is called so."""
    return path.suffix in suffixes or (path.suffix not in PYTHON and suffixes >= YAML)


def _below(directory: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    for path in directory.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
        private = path.suffix in PYTHON and path.name.startswith("_")
        if path.suffix in suffixes and not (hidden or private) and path.is_file() and not _is_description(path):
            yield path


def _is_description(path: Path) -> bool:
    return path.suffix in YAML and kind_of(_content(path)) == "description"


def _content(path: Path) -> bytes:
    """What can be read of a file, for a look at what it is."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_DESCRIPTION_BYTES)
    except OSError:
        return b""


def read_text(file: Path) -> str | Problem:
    """The file's text, bounded, or why it cannot be had."""
    name = file.as_posix()
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return Problem(name, 0, 0, f"cannot be read: {error.strerror}", "check that it exists and its permissions")
    if len(content) > MAX_FILE_BYTES:
        return Problem(name, 0, 0, f"larger than {MAX_FILE_BYTES} bytes", "split the file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        return Problem(name, line, column, "not UTF-8 from here on", "save the file as UTF-8")


def _unique(files: Mapping[Path, _Loaded], served: Catalog) -> tuple[list[Tool], list[Problem]]:
    """Tools whose name only one file gives. A name that was served stays with the file it was served from."""
    by_name: dict[str, list[Tool]] = {}
    for loaded in files.values():
        for tool in loaded.tools:
            by_name.setdefault(tool.name, []).append(tool)
    tools: list[Tool] = []
    problems: list[Problem] = []
    for name, candidates in by_name.items():
        if len(candidates) == 1:
            tools += candidates
            continue
        owner = served.get(name)
        tools += [tool for tool in candidates if owner and _file_of(tool) == _file_of(owner)]
        places = " and ".join(tool.where for tool in candidates)
        for tool in candidates:
            file, _, line = tool.where.rpartition(":")
            problems.append(Problem(file, int(line), 1, f"{name} is defined in {places}", "give each its own name"))
    return tools, problems


def _file_of(tool: Tool) -> str:
    return tool.where.rpartition(":")[0]
