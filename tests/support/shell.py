"""Plays the console blocks of a page: each ``$`` line is run, in this process where it ends, as one where it serves.

What is printed below a command must be in what it prints, in order; ``…`` stands for anything. Ports of the pages
(8700 and so on) become free ones, and back again in what is printed.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import structlog

from remit.cli.main import main
from support.command import TIMEOUT, environment, remit_process, wait_until_served
from support.company import free_port
from support.docs import Block, Command, Page, commands

#: The ports that the pages speak of: MCP and token service, orders, payments, stock, and one more.
PORTS = (8700, 8701, 8702, 8703, 8710)
_PORT = re.compile(r"\b(8700|8701|8702|8703|8710)\b")
#: Commands that are not run here, and why.
NOT_RUN = {
    "make demo": "sets up a virtual environment; the Makefile is asked for the target instead",
    "make test": "is what runs these tests",
    ".ci/interop": "installs other people's software",
}
#: Commands that serve until they are stopped.
_SERVING = ("remit serve", "remit demo --dir .")


@dataclass(frozen=True)
class Served:
    """A workspace that `remit demo` serves, and the document it wrote. ``ports``: those of the pages → its own."""

    folder: Path
    ports: Mapping[str, str]
    document: Mapping[str, Any]


@dataclass
class Shell:
    """A folder, and what runs in it. ``played`` are the texts of the commands that were run."""

    folder: Path
    ports: Mapping[str, str]
    background: ExitStack
    played: list[str] = field(default_factory=list)

    def play(self, page: Page) -> None:
        """Write the tool and policy files of the page, and run its commands, in the order in which they stand."""
        for block in page.blocks():
            if block.path.startswith(("tools/", "policy/", "next/")) and (self.folder / "remit.yaml").exists():
                (self.folder / block.path).parent.mkdir(exist_ok=True)
                (self.folder / block.path).write_text(block.text, encoding="utf-8")
            if block.language == "console":
                self.run_block(block)

    def run_block(self, block: Block) -> None:
        """Run the commands of a console block."""
        for command in commands(block):
            if not is_run(command):
                continue
            printed = self.run(command)
            _check_output(command, printed)
            self.played.append(command.text)

    def run(self, command: Command) -> str:
        """What the command prints, on both streams."""
        if command.text.startswith(_SERVING) and "--once" not in command.text:
            return self._serve(command)
        printed = ""
        for part in command.text.split(" && "):
            if part.startswith("cd "):
                self.folder = self.folder / part.removeprefix("cd ")
                continue
            code, printed = run_remit(part, self.folder)
            assert code == command.exit_code, f"line {command.line}: {part}: exit {code}\n{printed}"
            if part.startswith("remit init"):
                self._use_free_ports()
        return self._as_written(printed)

    def _serve(self, command: Command) -> str:
        """Start it and wait until it answers. `serve` is stopped again, the demo goes on for the commands that follow."""
        arguments = [self._mapped(word) for word in shlex.split(command.text)[1:]]
        port = next((word.rpartition(":")[2] for word in arguments if ":" in word), self.ports["8700"])
        with ExitStack() as stack:
            process = stack.enter_context(remit_process(*arguments, cwd=self.folder))
            wait_until_served(f"http://127.0.0.1:{port}", process)
            if "demo" in arguments:
                self.background.push(stack.pop_all())
        return ""

    def _use_free_ports(self) -> None:
        for file in (*self.folder.rglob("remit.yaml"), *self.folder.rglob("apis/*.yaml")):
            file.write_text(self._mapped(file.read_text(encoding="utf-8")), encoding="utf-8")

    def _mapped(self, text: str) -> str:
        return _PORT.sub(lambda match: self.ports[match[1]], text)

    def _as_written(self, text: str) -> str:
        for written, used in self.ports.items():
            text = text.replace(f":{used}", f":{written}")
        return text


def is_run(command: Command) -> bool:
    """Whether the command is tried, as all are but those named above."""
    return command.text not in NOT_RUN


@contextmanager
def shell(folder: Path, ports: Mapping[str, str] | None = None) -> Iterator[Shell]:
    """A shell in ``folder``; what serves in the background is stopped at the end."""
    with ExitStack() as background:
        yield Shell(folder, ports or free_ports(), background)


def free_ports() -> dict[str, str]:
    """A free port for each that the pages speak of."""
    return {str(port): str(free_port()) for port in PORTS}


def run_remit(line: str, folder: Path) -> tuple[int, str]:
    """Run one ``remit`` command line in this process, ``< file`` and ``> file`` included: exit code and output."""
    words = shlex.split(line)
    assert words[0] == "remit", f"{line}: only remit is run here"
    stdin = _file_after("<", words, folder)
    target = _file_after(">", words, folder)
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        _logging_kept(),
        mock.patch.dict("os.environ", environment(COLUMNS="200"), clear=True),
        mock.patch.object(sys, "argv", words),
        mock.patch.object(sys, "stdin", io.StringIO(stdin.read_text(encoding="utf-8") if stdin else "")),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
    if target:
        target.write_text(out.getvalue(), encoding="utf-8")
        return code, err.getvalue()
    return code, err.getvalue() + out.getvalue()


@contextmanager
def _logging_kept() -> Iterator[None]:
    """What a command does to the logging of this process is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


def _file_after(mark: str, words: list[str], folder: Path) -> Path | None:
    if mark not in words:
        return None
    at = words.index(mark)
    _, name = words.pop(at), words.pop(at)
    return folder / name


def _check_output(command: Command, printed: str) -> None:
    lines = iter(printed.splitlines())
    for expected in filter(None, command.output):
        pattern = r"\s+".join(map(_as_pattern, expected.split()))
        found = any(re.search(pattern, line) for line in lines)
        assert found, f"line {command.line}: {command.text}: {expected!r} is not in, or not in this order:\n{printed}"


def _as_pattern(word: str) -> str:
    return ".*".join(map(re.escape, word.split("…")))


def wait_for_file(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Return once the process has written ``path``."""
    deadline = time.monotonic() + TIMEOUT
    while not path.exists():
        assert process.poll() is None, f"the process ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{path.name} was not written within {TIMEOUT} s"
        time.sleep(0.02)  # another process writes it: there is no event to wait for
