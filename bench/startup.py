"""How long commands take from nothing: `remit --help`, and `remit serve` until it is ready."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median
from typing import Final

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


def ready_seconds(folder: Path, times: int) -> float:
    """The median time from starting `remit serve` with 1,000 tools until ``/readyz`` says yes."""
    make_workspace(folder)
    for file in range(_FILES):
        text = _HEAD.format(api=f"api{file}")
        text += "".join(_TOOL.format(api=f"api{file}", number=number) for number in range(_TOOLS_EACH))
        (folder / "tools" / f"api{file}.yaml").write_text(text, encoding="utf-8")
    return median(_until_ready(folder) for _ in range(times))


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _until_ready(folder: Path) -> float:
    settings = folder / "remit.yaml"
    listen = next(line for line in settings.read_text(encoding="utf-8").splitlines() if line.startswith("listen:"))
    url = f"http://{listen.split()[1]}/readyz"
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "remit", "--quiet", "--config", str(settings), "serve"])
    try:
        while not _answers(url):
            if process.poll() is not None or time.perf_counter() - started > _GIVE_UP:
                raise SystemExit("remit serve did not become ready")
            time.sleep(_POLL)
        return time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  http on loopback, made here
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
