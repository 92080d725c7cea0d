"""An API on a real socket that records the bytes of each request and answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Recorded:
    """One request as it came over the wire; header names in lower case."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]


#: Bytes to send; ``None`` to close without an answer.
Answer = Callable[[Recorded], Awaitable[bytes | None]]


def http(status: int = 200, body: bytes = b"{}", media: str = "application/json", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *([f"Content-Type: {media}"] if media else [])]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


@dataclass
class RecordingApi:
    """``url`` of the running API, what it got, and what it answers next."""

    url: str = ""
    seen: list[Recorded] = field(default_factory=list)
    answers: list[bytes | None] = field(default_factory=list)
    answer: Answer | None = None
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                recorded = await _read(reader)
                self.seen.append(recorded)
                answer = await self.answer(recorded) if self.answer else self.answers.pop(0) if self.answers else http()
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.disconnected.set()
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Recorded:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:-2])]
    length = int(dict(headers).get("content-length", "0"))
    return Recorded(head[0], headers, await reader.readexactly(length))


@asynccontextmanager
async def recording_api(answer: Answer | None = None) -> AsyncIterator[RecordingApi]:
    """Serve until the block ends."""
    api = RecordingApi(answer=answer)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await api._serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield api
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
