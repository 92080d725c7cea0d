"""A host with client documents: real TLS on a loopback port, for the name ``localhost``, with any answer at all.

::

    async with DocumentHost() as host:
        url = host.publish("/client.json", redirect_uris=["http://127.0.0.1/callback"])
        await ClientDocuments(client_for_strangers(local=True, tls=host.trust), clock).find(url)
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Head = dict[str, str]


@cache
def certificate() -> tuple[bytes, bytes]:
    """A key and a certificate of ``localhost`` that vouches for itself, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    began = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(began)
        .not_valid_after(began + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, made.public_bytes(pem)


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        file.write_bytes(b"".join(certificate()))
        context.load_cert_chain(file)
    return context


@dataclass
class Reply:
    """What is answered at a path: ``body`` after ``wait`` is set, or at once."""

    body: bytes
    status: int = 200
    headers: Head = field(default_factory=lambda: {"Content-Type": "application/json"})
    wait: asyncio.Event | None = None


@dataclass
class DocumentHost:
    """Answers every request at ``replies`` by its path, else 404. ``asked``: the paths, in order; ``heads``: in full."""

    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=_server_context())
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.trust = ssl.create_default_context(cadata=certificate()[1].decode())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"

    def publish(self, path: str = "/client.json", *, cache_control: str = "", **members: Any) -> str:
        """A sound document of a public client at ``path``, with ``members`` changed; its URL."""
        url = self.url(path)
        sound = {"client_id": url, "client_name": "Tool", "redirect_uris": ["http://127.0.0.1/callback"]}
        headers = {"Content-Type": "application/json"}
        if cache_control:
            headers["Cache-Control"] = cache_control
        self.replies[path] = Reply(json.dumps({**sound, **members}).encode(), headers=headers)
        return url

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            self.heads.append(head)
            self.asked.append(path)
            reply = self.replies.get(path, Reply(b"{}", 404))
            if reply.wait is not None:
                await reply.wait.wait()
            lines = [f"HTTP/1.1 {reply.status} x", *(f"{name}: {value}" for name, value in reply.headers.items())]
            lines += [f"Content-Length: {len(reply.body)}", "Connection: close", "", ""]
            writer.write("\r\n".join(lines).encode() + reply.body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
