"""An OPA server on loopback, where there is the program."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from remit.policy.bundle import Bundle
from remit.policy.gate import DATA_ROOT
from remit.policy.opa import OpaPlace

OPA: Final = shutil.which("opa")
_SECONDS_TO_START: Final = 20


@asynccontextmanager
async def opa_server(bundle: Bundle, folder: Path) -> AsyncIterator[OpaPlace]:
    """Where OPA serves this policy, whose files are written to ``folder``."""
    folder.mkdir()
    for path, source in bundle.modules.items():
        (folder / path).write_text(source, encoding="utf-8")
    (folder / "data.json").write_text(json.dumps({DATA_ROOT: bundle.data}), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = ("--skip-version-check", "--log-level", "error", "--addr", address)
    server = await asyncio.create_subprocess_exec(
        str(OPA), "run", "--server", *options, str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await _listening(address)
        yield OpaPlace(url=f"http://{address}")
    finally:
        server.kill()
        await server.wait()


async def _listening(address: str) -> None:
    host, _, port = address.partition(":")
    async with asyncio.timeout(_SECONDS_TO_START):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
