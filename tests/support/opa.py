"""A real OPA server, where there is the program::

async with opa_server(bundle) as place:
    engine = OpaEngine(place, SystemClock())
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from remit.policy.bundle import Bundle, write_bundle
from remit.policy.opa import OpaPlace
from support.servers import Listener

OPA = shutil.which("opa")
needs_opa = pytest.mark.skipif(OPA is None, reason="opa is not on PATH; `.ci/opa` builds it and runs these")
needs_unix_sockets = pytest.mark.skipif(sys.platform == "win32", reason="asyncio has no unix sockets on Windows")


@asynccontextmanager
async def opa_server(bundle: Bundle, *, unix: bool = False) -> AsyncIterator[OpaPlace]:
    """Where OPA serves the bundle that ``write_bundle`` makes of this one, on loopback or a unix socket."""
    # Not pytest's folder: the path of a socket may be about a hundred bytes long.
    with tempfile.TemporaryDirectory(prefix="opa") as name:
        folder = Path(name)
        write_bundle(bundle, folder / "bundle.tar.gz")
        # A machine that is busy with other tests is no reason to deny.
        place = OpaPlace(socket=folder / "s", timeout=10) if unix else OpaPlace(url=free_url(), timeout=10)
        async with opa_at(place, folder, "--bundle", "bundle.tar.gz"):
            yield place


@asynccontextmanager
async def opa_at(place: OpaPlace, folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """OPA's process, in this folder, once it listens there; killed in the end."""
    address = f"unix://{place.socket}" if place.socket else place.url.removeprefix("http://")
    command = [str(OPA), "run", "--server", "--skip-version-check", "--log-level", "error", "--addr", address]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, *arguments, stdout=log, stderr=log, cwd=folder)
    try:
        await _until_it_listens(place, process, folder / "log")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def free_url() -> str:
    """A port that was free a moment ago."""
    listener = Listener()
    listener.socket.close()
    return listener.url


async def _until_it_listens(place: OpaPlace, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(20):
        while True:
            assert process.returncode is None, log.read_text("utf-8", "replace")
            try:
                if place.socket:
                    _, writer = await asyncio.open_unix_connection(place.socket)
                else:
                    _, writer = await asyncio.open_connection("127.0.0.1", int(place.url.rpartition(":")[2]))
            except OSError:
                await asyncio.sleep(0.01)  # another process opens the port: there is no event to wait for
            else:
                writer.close()
                return
