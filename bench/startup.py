"""A thousand tools: `remit serve` until it is ready, and its memory; and `remit --help`, which loads none."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import psutil

from bench.workspace import make_workspace

_FILES: Final = 20
_TOOLS_EACH: Final = 50
_GIVE_UP: Final = 60.0
_POLL: Final = 0.01

_HEAD: Final = """\
version: 1
name: {api}
upstream:
  baseUrl: https://{api}.example.com
  auth: {{type: token-exchange, audience: {api}, scopes: [orders:read], maxTtl: 120s}}
tools:
"""
_TOOL: Final = """\
  - name: {api}_get_{number}
    title: Get thing {number}
    description: Get one thing by its id, with whatever is known of it. Use the list when the id is not known.
    input:
      type: object
      required: [id]
      properties:
        id: {{type: string, pattern: "^O[0-9]{{1,12}}$", description: Its id}}
        limit: {{type: integer, minimum: 1, maximum: 50}}
        status: {{enum: [pending, shipped, delivered]}}
    request:
      method: GET
      path: /things/{{id}}
      query: {{limit: $limit, status: $status}}
    response:
      select: "{{id: id, items: items[].{{sku: sku, price: price}}}}"
      errors: {{"404": No thing has that id.}}
    tags: [things]
"""


def help_seconds(times: int) -> float:
    """The median time of `remit --help`."""
    return median(_timed([sys.executable, "-m", "remit", "--help"]) for _ in range(times))


def make_large(folder: Path) -> None:
    """A workspace with 1,000 tools besides its own, which alice's role may use."""
    make_workspace(folder)
    names = [f"api{number}" for number in range(_FILES)]
    for api in names:
        text = _HEAD.format(api=api) + "".join(_TOOL.format(api=api, number=number) for number in range(_TOOLS_EACH))
        (folder / "tools" / f"{api}.yaml").write_text(text, encoding="utf-8")
    tables = folder / "policy" / "data.yaml"
    text, role = tables.read_text(encoding="utf-8"), "  support-lead:\n"
    granted = role + "".join(f"    {api}: [read]\n" for api in names)
    tables.write_text(text.replace(role, granted, 1), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Ready:
    """`remit serve` at ``base``, ready ``seconds`` after it was started."""

    base: str
    seconds: float
    process: psutil.Process


def ready_seconds(folder: Path, times: int) -> float:
    """The median time from starting `remit serve` until ``/readyz`` says yes."""
    seconds = []
    for _ in range(times):
        with ready(folder) as server:
            seconds.append(server.seconds)
    return median(seconds)


@contextmanager
def ready(folder: Path) -> Iterator[Ready]:
    """`remit serve` in the workspace ``folder``, as long as the block runs."""
    settings = folder / "remit.yaml"
    listen = next(line for line in settings.read_text(encoding="utf-8").splitlines() if line.startswith("listen:"))
    base = f"http://{listen.split()[1]}"
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "remit", "--quiet", "--config", str(settings), "serve"])
    try:
        while not _answers(f"{base}/readyz"):
            if process.poll() is not None or time.perf_counter() - started > _GIVE_UP:
                raise SystemExit("remit serve did not become ready")
            time.sleep(_POLL)
        yield Ready(base, time.perf_counter() - started, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  http on loopback, made here
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
