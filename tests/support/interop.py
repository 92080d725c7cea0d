"""Other people's OAuth software, as processes: clients that exchange once and end, servers that stay.

``.ci/interop`` installs it in the folder that ``REMIT_INTEROP`` names; without that, tests that need it are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent.parent / "interop"
TIMEOUT = 60


@dataclass(frozen=True)
class Tools:
    """Where the clients and servers are installed: a Python environment and a ``node_modules``."""

    folder: Path

    @classmethod
    def installed(cls) -> Tools:
        """Those ``.ci/interop`` installed, or a skipped test."""
        named = os.environ.get("REMIT_INTEROP")
        if not named:
            pytest.skip("REMIT_INTEROP names no folder with other people's software: run .ci/interop")
        tools = cls(Path(named).resolve())
        # Node looks for a script's packages beside the script, so that is where it runs.
        for script in HERE.glob("*/*.mjs"):
            (tools.folder / script.parent.name).mkdir(exist_ok=True)
            shutil.copy(script, tools.folder / script.parent.name)
        return tools

    def command(self, script: str, *arguments: str) -> list[str]:
        """How to run ``clients/exchange.py`` or ``servers/some.mjs``."""
        if script.endswith(".mjs"):
            return ["node", "--no-warnings", str(self.folder / script), *arguments]
        bin_folder = "Scripts" if os.name == "nt" else "bin"
        return [str(self.folder / "python" / bin_folder / "python"), str(HERE / script), *arguments]

    def exchange(self, library: str, case: Mapping[str, str]) -> dict[str, Any]:
        """What one library makes of the answer to ``case``."""
        module, _, kind = library.partition(".")
        done = subprocess.run(
            self.command(f"clients/exchange.{kind}", module),
            input=json.dumps(case),
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{library}: {done.stderr}"
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer

    @contextmanager
    def server(self, script: str, setup: Mapping[str, Any], cwd: Path) -> Iterator[dict[str, Any]]:
        """A server while the block runs; what it said of itself once it was listening, as JSON on one line."""
        with (cwd / "stderr").open("w+", encoding="utf-8") as errors:
            process = subprocess.Popen(
                self.command(script),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                cwd=cwd,
            )
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(setup) + "\n")
                process.stdin.flush()
                # oidc-provider warns on standard output first.
                said = next((line for line in process.stdout if line.startswith("{")), "")
                assert said, (cwd / "stderr").read_text(encoding="utf-8")
                yield json.loads(said)
            finally:
                process.kill()
                process.communicate(timeout=TIMEOUT)
