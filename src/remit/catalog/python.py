"""Door: Python files and installed packages → tools. **This runs their code.**

Only files that the setting ``tools`` names or holds are run, and packages that are installed with the entry point
``remit.tools``, and only where ``python_tools`` is on. An import that fails is a problem with its place.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Final

from remit.catalog.compile import CompiledFile, compile_document
from remit.catalog.problem import Problem
from remit.catalog.python_document import Misplaced, PythonDocument, Source, document_of
from remit.errors import DefinitionInvalid
from remit.tools import ToolSet

#: Where packages name their tool sets, or the modules that hold them.
GROUP: Final = "remit.tools"
#: Of these the interpreter wrote the text, or nearly so; that of others may hold anything.
_TELLING: Final = (ImportError, NameError, SyntaxError, AttributeError, TypeError)


@dataclass(frozen=True, slots=True)
class Read:
    """What a Python file makes: its tool sets as data, or problems."""

    documents: tuple[PythonDocument, ...] = ()
    problems: tuple[Problem, ...] = ()


def compile_python(text: str, file: str, environment: Mapping[str, str]) -> CompiledFile:
    """Run a Python file, and compile the tool sets it makes. Raises nothing that the file can raise."""
    return _compiled(read_python(text, file), file, environment)


def read_python(text: str, file: str) -> Read:
    """Run a Python file: the tool sets it makes, or every problem of any. Raises nothing that the file can raise."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    of_file = f"remit_tools_{hashlib.sha256(file.encode()).hexdigest()[:12]}_"
    module = ModuleType(f"{of_file}{digest[:12]}")
    module.__file__ = file
    try:
        tree = ast.parse(text, file)
        _run(module, tree, file)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever the operator's code does, the others are served
        sys.modules.pop(module.__name__, None)
        return Read(problems=(_import_problem(error, file),))
    for name in [name for name in sys.modules if name.startswith(of_file) and name != module.__name__]:
        del sys.modules[name]  # as the file was before; what still runs of it keeps what it needs
    return _read(_sets_in(module), Source(file, digest, tree))


def installed_tools(environment: Mapping[str, str]) -> dict[Path, CompiledFile]:
    """The tools of installed packages, by the file of each module. They are imported once in a process."""
    found: dict[Path, CompiledFile] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        file, compiled = _installed(point, environment)
        found[Path(file)] = compiled
    return found


def _installed(point: EntryPoint, environment: Mapping[str, str]) -> tuple[str, CompiledFile]:
    name = f"entry point {point.name}"
    try:
        with redirect_stdout(sys.stderr):
            loaded = point.load()
        file = sys.modules[point.module].__file__ or name
        text = Path(file).read_text(encoding="utf-8")
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever the package does, the others are served
        return name, CompiledFile(problems=(_import_problem(error, name),))
    source = Source(file, hashlib.sha256(text.encode()).hexdigest(), ast.parse(text, file))
    read = _read([loaded] if isinstance(loaded, ToolSet) else _sets_in(loaded), source)
    return file, _compiled(read, file, environment)


def _run(module: ModuleType, tree: ast.Module, file: str) -> None:
    """Its classes find their module by name, so it is known by one while it is there."""
    sys.modules[module.__name__] = module
    with redirect_stdout(sys.stderr):  # standard output is the protocol's on stdio
        exec(compile(tree, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  that is what it is for


def _sets_in(module: object) -> list[ToolSet]:
    found = (value for value in vars(module).values() if isinstance(value, ToolSet))
    return list({id(value): value for value in found}.values())


def _read(tool_sets: Iterable[ToolSet], source: Source) -> Read:
    read = [document_of(tool_set, source) for tool_set in tool_sets]
    if not read:
        problem = Problem(source.file, 0, 0, "there is no ToolSet in it", "make one, or keep the file elsewhere")
        return Read(problems=(problem,))
    problems = tuple(problem for _, wrong in read for problem in _problems(wrong, source.file))
    return Read(problems=problems) if problems else Read(tuple(document for document, _ in read))


def _compiled(read: Read, file: str, environment: Mapping[str, str]) -> CompiledFile:
    """All of its sets, or every problem of any."""
    files = [compile_document(document, file, environment, document.codes) for document in read.documents]
    problems = (*read.problems, *(problem for each in files for problem in each.problems))
    return CompiledFile(problems=problems) if problems else CompiledFile(tuple(t for each in files for t in each.tools))


def _problems(wrong: Iterable[Misplaced], file: str) -> Iterator[Problem]:
    for each in wrong:
        yield Problem(file, each.line, 1, each.error.message, each.error.hint)


def _import_problem(error: BaseException, file: str) -> Problem:
    """At the innermost line of the file itself."""
    if isinstance(error, DefinitionInvalid):
        return Problem(file, *_place(error, file), error.message, error.hint)
    told = f": {error}" if isinstance(error, _TELLING) else ""
    said = f"it cannot be imported, {type(error).__name__}{told}"
    return Problem(file, *_place(error, file), " ".join(said.split())[:300], "run the file with Python to see more")


def _place(error: BaseException, file: str) -> tuple[int, int]:
    if isinstance(error, SyntaxError) and error.filename == file and error.lineno:
        return error.lineno, error.offset or 1
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return (lines[-1], 1) if lines and lines[-1] else (0, 0)
