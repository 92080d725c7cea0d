"""The ``remit`` command as a real process, with nothing of this process's settings in its environment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

TIMEOUT = 60


def remit_command(*arguments: object) -> list[str]:
    """The command line of ``remit ARGUMENTS``."""
    return [sys.executable, "-m", "remit", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """This environment without any setting of remit's but a generous deadline."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REMIT_", "ORDERS_", "PAYMENTS_", "STOCK_"))
    }
    # A decision's deadline is by the clock on the wall, and tests share their machine with each other.
    return {**kept, "PYTHONIOENCODING": "utf-8", "REMIT_POLICY__DEADLINE": "2s", **more}


def remit(
    *arguments: object, cwd: Path, stdin: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``remit ARGUMENTS`` to its end. It must not end with a traceback."""
    done = subprocess.run(
        remit_command(*arguments),
        cwd=cwd,
        input=stdin,
        env=environment(**(env or {})),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done


@contextmanager
def remit_process(
    *arguments: object, cwd: Path, stderr: Any = subprocess.DEVNULL, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """``remit ARGUMENTS`` while the block runs; killed at its end if it still runs then."""
    process = subprocess.Popen(
        remit_command(*arguments),
        cwd=cwd,
        env=environment(**(env or {})),
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(TIMEOUT)


def wait_until_served(base: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the process answers at ``base``."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the process ended with {process.returncode}"
        try:
            if httpx.get(f"{base}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)  # another process opens the port: there is no event to wait for
    raise TimeoutError(f"{base} was not served within {TIMEOUT} s")
