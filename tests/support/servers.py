"""Runs ASGI applications on real loopback sockets, each on a port of its own choosing.

In the test's own event loop::

    async with serving(app) as url: ...

Where an application must know its own address before it is made (an issuer, say)::

    listener = Listener()
    async with serving(make_app(issuer=listener.url), listener): ...

In a thread with a loop of its own, for tests that block::

    with serving_in_thread(app) as url: ...
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn


class Listener:
    """A listening loopback socket: the port is known, and nobody else's, before anything is served on it."""

    def __init__(self) -> None:
        # asyncio sets TCP_NODELAY only on a socket that says it is TCP; without it a second answer takes 40 ms.
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(128)
        self.port: int = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"


class _Server(uvicorn.Server):
    """Starts and stops without uvicorn's fixed pauses, and leaves signals to pytest."""

    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="critical",
                access_log=False,
                server_header=False,
                ws="none",
                lifespan="auto",
                proxy_headers=False,
            )
        )
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """From any thread. Requests under way get 2 s to end."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        if not self.should_exit:
            await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(2):
                while state.connections or state.tasks:
                    await asyncio.sleep(0.002)
        except TimeoutError:
            for task in state.tasks:
                task.cancel()
        await self.lifespan.shutdown()


@asynccontextmanager
async def serving(app: Any, listener: Listener | None = None) -> AsyncIterator[str]:
    """The application's base URL, while it is served in this event loop."""
    listener = listener or Listener()
    server = _Server(app)
    task = asyncio.create_task(server.serve(sockets=[listener.socket]))
    # The socket already listens: a client that comes before the server is up waits in the backlog.
    try:
        yield listener.url
    finally:
        server.stop()
        await task
        listener.socket.close()


@contextmanager
def serving_in_thread(app: Any, listener: Listener | None = None) -> Iterator[str]:
    """The application's base URL, while it is served in a thread."""
    listener = listener or Listener()
    server = _Server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener.socket]}, daemon=True)
    thread.start()
    try:
        assert server.ready.wait(10), "the server did not start within 10 s"
        yield listener.url
    finally:
        server.stop()
        thread.join(10)
        listener.socket.close()
    assert not thread.is_alive(), "the server did not stop within 10 s"
